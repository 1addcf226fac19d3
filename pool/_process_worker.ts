// Copyright 2026 the multitask authors. MIT license.
// A worker that is a process.

import "../ipc/_handles.ts";
import { homes } from "../ipc/_homes.ts";
import { hub } from "../ipc/_hub.ts";
import type { Packet } from "../ipc/_packet.ts";
import { self } from "../ipc/_self.ts";
import { startTimer } from "../ipc/_timer.ts";
import type { SharedArray } from "../ipc/shared_array.ts";
import type { Child } from "../process/_child.ts";
import { setDaemon, watchInterrupts } from "../process/_end_of_program.ts";
import type { SpawnPlan } from "../process/_plan.ts";
import type { ExitStatus } from "../process/_spawn.ts";
import { takeSpare } from "../process/_spares.ts";
import { LineTail } from "./_line_tail.ts";
import { makeBoardMemory, SharedBoard } from "./_shared_board.ts";
import { WORKER_TASK } from "./_worker_entry.ts";
import type { WorkerEvents, WorkerHandle } from "./_worker_handle.ts";
import { WorkerPipe } from "./_worker_pipe.ts";

/** How many lines of a worker's stderr are kept. */
const STDERR_LINES = 20;

/** See the file comment. */
export class ProcessWorker implements WorkerHandle {
  readonly name: string;
  readonly id: number;
  readonly #child: Child;
  readonly #events: WorkerEvents;
  readonly #pipe: WorkerPipe;
  readonly #memory: SharedArray<"i32"> | undefined;
  readonly #stderr = new LineTail(STDERR_LINES);
  readonly board: SharedBoard | undefined;

  constructor(
    id: number,
    plan: SpawnPlan,
    startedAt: readonly string[],
    events: WorkerEvents,
  ) {
    this.id = id;
    this.name = `PoolWorker-${id}`;
    this.#events = events;
    this.#pipe = new WorkerPipe(
      (packet) => events.message(packet),
      () => this.#child.hold(),
    );
    const { there } = this.#pipe;
    // Processes share memory where it is mapped.
    this.#memory = homes.mapped === undefined ? undefined : makeBoardMemory();
    this.board = this.#memory && new SharedBoard(this.#memory);
    const args = hub.pack([
      there,
      this.#memory ?? null,
      { name: this.name, id },
    ]);
    let child: Child;
    try {
      child = takeSpare(plan, this.name) ?? plan.spawn(this.name, "handles");
    } catch (error) {
      hub.dropPacket(args);
      this.#close();
      throw error;
    }
    this.#child = child;
    setDaemon(child, true);
    watchInterrupts(child);
    if (child.stderr !== null) this.#stderr.read(child.stderr);
    child.listen({
      message: (_message, packet) => {
        // What its own main function says: its tasks' results come otherwise.
        hub.dropPacket(packet);
      },
      ended: (status) => {
        hub.dropSent(args);
        there.close();
        this.#ended(status);
      },
    });
    child.connected.then((isThere) => {
      if (!isThere) return;
      child.send({
        type: "run",
        self: {
          name: this.name,
          // Unlike a daemon it may have children: pools can be nested.
          daemon: false,
          parent: { name: self.name, pid: Deno.pid },
          startedAt,
        },
        task: WORKER_TASK,
      }, args);
      there.close();
    });
  }

  get isEnding(): boolean {
    return this.#pipe.isOver;
  }

  get pid(): number {
    return this.#child.pid;
  }

  send(packet: Packet): void {
    this.#pipe.send(packet);
  }

  get awake(): boolean {
    return this.#pipe.awake;
  }

  set awake(awake: boolean) {
    this.#pipe.awake = awake;
  }

  async #ended({ exitCode, signal }: ExitStatus): Promise<void> {
    try {
      this.#pipe.finish();
    } finally {
      await this.#stderr.finished;
      this.#events.ended({ exitCode, signal, stderr: this.#stderr.text });
      this.#close();
    }
  }

  #close(): void {
    this.#pipe.close();
    this.#memory?.close();
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  end(grace: number): void {
    this.#child.kill("SIGTERM");
    const stopTimer = startTimer(() => this.kill(), grace, { unref: true });
    this.#child.ended.finally(stopTimer);
  }
}
