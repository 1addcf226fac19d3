// Copyright 2026 the multitask authors. MIT license.
// A worker that is a thread of this process. Both reach the same memory, so that
// messages and claims need nobody else.

import "../ipc/_handles.ts";
import { hub } from "../ipc/_hub.ts";
import type { Packet } from "../ipc/_packet.ts";
import type { SharedArray } from "../ipc/shared_array.ts";
import { StartedThread, type ThreadExit } from "../thread/_started_thread.ts";
import type { WorkerGrants } from "../thread/_permissions.ts";
import { makeBoardMemory, SharedBoard } from "./_shared_board.ts";
import { WORKER_TASK } from "./_worker_entry.ts";
import type { WorkerEvents, WorkerHandle } from "./_worker_handle.ts";
import { WorkerPipe } from "./_worker_pipe.ts";

/** What a thread of a pool is started with. */
export interface ThreadWorkerStart {
  readonly name: string;
  readonly grants: WorkerGrants;
  /** The module of the tasks, most likely: for threads that may not read it. */
  readonly preload: string | undefined;
}

/** See the file comment. */
export class ThreadWorker implements WorkerHandle {
  readonly name: string;
  readonly id: number;
  readonly pid: number = Deno.pid;
  readonly #thread: StartedThread;
  readonly #events: WorkerEvents;
  readonly #pipe: WorkerPipe;
  readonly #memory: SharedArray<"i32">;
  readonly board: SharedBoard;
  #isOver = false;

  constructor(
    id: number,
    { name, grants, preload }: ThreadWorkerStart,
    events: WorkerEvents,
  ) {
    this.id = id;
    this.name = name;
    this.#events = events;
    this.#pipe = new WorkerPipe(
      (packet) => events.message(packet),
      () => this.#thread.hold(),
      "shared",
    );
    const { there } = this.#pipe;
    this.#memory = makeBoardMemory("shared");
    this.board = new SharedBoard(this.#memory);
    const args = hub.pack([there, this.#memory, { name, id }]);
    try {
      this.#thread = new StartedThread(
        { name, daemon: true, grants, preload },
        {
          message: (_message, packet) => hub.dropPacket(packet),
          // Nobody can use it any more, or end it.
          stuck: () => this.#ended("is in a loop that nothing can end"),
          ended: (exit) => {
            hub.dropSent(args);
            there.close();
            this.#ended(endOf(exit, this.#thread.failure), exit);
          },
        },
      );
    } catch (error) {
      hub.dropPacket(args);
      there.close();
      this.#close();
      throw error;
    }
    this.#thread.send({ type: "run", task: WORKER_TASK }, args);
  }

  get isEnding(): boolean {
    return this.#isOver;
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

  #ended(how: string, exit?: ThreadExit): void {
    if (this.#isOver) return;
    this.#isOver = true;
    try {
      this.#pipe.finish();
    } finally {
      this.#events.ended({
        exitCode: exit?.exitCode ?? null,
        signal: null,
        stderr: "",
        how,
      });
      this.#close();
    }
  }

  #close(): void {
    this.#pipe.close();
    this.#memory.close();
  }

  kill(): void {
    this.#thread.stop();
  }

  end(): void {
    this.#thread.stop();
  }
}

function endOf({ reason, exitCode }: ThreadExit, failure?: string): string {
  if (failure !== undefined) return `could not be started (${failure})`;
  return reason === "terminated"
    ? "was terminated"
    : `ended with exit code ${exitCode}`;
}
