// Copyright 2026 the multitask authors. MIT license.
// A worker that is a process.

import "../ipc/_handles.ts";
import { homes } from "../ipc/_homes.ts";
import { hub } from "../ipc/_hub.ts";
import type { Packet } from "../ipc/_packet.ts";
import type { PipeEnd } from "../ipc/_pipe_end.ts";
import { startTimer } from "../ipc/_timer.ts";
import { type Connection, endOf } from "../ipc/connection.ts";
import { ConnectionClosedError } from "../ipc/errors.ts";
import { Pipe } from "../ipc/pipe.ts";
import type { SharedArray } from "../ipc/shared_array.ts";
import type { Child } from "../process/_child.ts";
import { setDaemon, watchInterrupts } from "../process/_end_of_program.ts";
import type { SpawnPlan } from "../process/_plan.ts";
import { self } from "../ipc/_self.ts";
import type { ExitStatus } from "../process/_spawn.ts";
import { takeSpare } from "../process/_spares.ts";
import { LineTail } from "./_line_tail.ts";
import { makeBoardMemory, SharedBoard } from "./_shared_board.ts";
import type { WorkerEvents, WorkerHandle } from "./_worker_handle.ts";

/** The module of a worker; reached by URL, also when the package is remote. */
const WORKER_MODULE = new URL("./_worker.ts", import.meta.url).href;

/** Never called: so the module belongs to the graph of the program. */
export const entry = (): Promise<unknown> => import("./_worker.ts");

/** Why nothing is waited for any more. */
const ENDED = new Error("The worker has ended");

/** How many lines of a worker's stderr are kept. */
const STDERR_LINES = 20;

/** A copy: whoever reads it may read other messages meanwhile. */
function keptPacket({ bytes, refs }: Packet): Packet {
  return { bytes: bytes.slice(), refs };
}

/** See the file comment. */
export class ProcessWorker implements WorkerHandle {
  readonly name: string;
  readonly id: number;
  readonly #child: Child;
  readonly #events: WorkerEvents;
  readonly #connection: Connection;
  readonly #end: PipeEnd;
  readonly #memory: SharedArray<"i32"> | undefined;
  readonly #stderr = new LineTail(STDERR_LINES);
  readonly board: SharedBoard | undefined;
  #hold: (() => void) | undefined;
  #reading = false;
  readonly #stopper = new AbortController();
  readonly #stop: AbortSignal = this.#stopper.signal;
  #sending: Promise<unknown> | undefined;

  constructor(
    id: number,
    plan: SpawnPlan,
    startedAt: readonly string[],
    events: WorkerEvents,
  ) {
    this.id = id;
    this.name = `PoolWorker-${id}`;
    this.#events = events;
    const [here, there] = Pipe();
    this.#connection = here;
    this.#end = endOf(here) as PipeEnd; // A pipe's.
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
        task: { kind: "export", module: WORKER_MODULE, name: "serve" },
      }, args);
      there.close();
    });
  }

  get isEnding(): boolean {
    return this.#stop.aborted;
  }

  get pid(): number {
    return this.#child.pid;
  }

  send(packet: Packet): void {
    if (this.isEnding) return hub.dropPacket(packet);
    try {
      if (this.#sending === undefined && this.#end.trySend(packet)) return;
    } catch (error) {
      if (!(error instanceof ConnectionClosedError)) throw error;
      // Its end is about to be told; the packet was dropped.
      return;
    }
    const kept = { ...packet, bytes: packet.bytes.slice() };
    const sending: Promise<unknown> = this.#end.sendLater(kept)
      .catch(() => {}) // Its end is told by its exit.
      .finally(() => {
        if (this.#sending === sending) this.#sending = undefined;
      });
    this.#sending = sending;
  }

  get awake(): boolean {
    return this.#hold !== undefined;
  }

  set awake(awake: boolean) {
    if (awake === this.awake || this.isEnding) return;
    if (!awake) {
      this.#hold!();
      this.#hold = undefined;
      return;
    }
    this.#hold = this.#child.hold();
    if (!this.#reading) this.#read();
  }

  /** Reads messages while there is something to do. */
  async #read(): Promise<void> {
    this.#reading = true;
    try {
      while (this.awake) {
        const got = this.#end.tryReceive(keptPacket);
        this.#events.message(
          got?.value ??
            (await this.#end.receive({ signal: this.#stop }))!.packet,
        );
      }
    } catch (error) {
      // It is about to end: that is told by its exit.
      if (error !== ENDED && !(error instanceof ConnectionClosedError)) {
        throw error;
      }
    } finally {
      this.#reading = false;
    }
  }

  /** Reads what is there, once nobody else does. */
  #drain(): void {
    try {
      for (let got; (got = this.#end.tryReceive(keptPacket)) !== undefined;) {
        this.#events.message(got.value);
      }
    } catch (error) {
      // All was read.
      if (!(error instanceof ConnectionClosedError)) throw error;
    }
  }

  async #ended({ exitCode, signal }: ExitStatus): Promise<void> {
    // What a pending read was about to get is the next message again.
    this.#stopper.abort(ENDED);
    try {
      this.#drain();
    } finally {
      await this.#stderr.finished;
      this.#events.ended({ exitCode, signal, stderr: this.#stderr.text });
      this.#hold?.();
      this.#hold = undefined;
      this.#close();
    }
  }

  #close(): void {
    this.#connection.close();
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
