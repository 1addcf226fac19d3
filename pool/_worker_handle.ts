// Copyright 2026 the multitask authors. MIT license.
// A worker as the scheduler sees it: a process, a thread, or, in tests, neither.

import type { Packet } from "../ipc/_packet.ts";
import type { SharedBoard } from "./_shared_board.ts";

/** How a worker ended. */
export interface WorkerEnd {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** The last lines that it wrote to stderr. */
  readonly stderr: string;
  /** The same in words, where it is not an exit code or a signal. */
  readonly how?: string;
}

/** What a worker tells its scheduler. */
export interface WorkerEvents {
  /** A message. */
  message(packet: Packet): void;
  /** It has ended, and all its messages have been told. Comes once. */
  ended(end: WorkerEnd): void;
}

/** See the file comment. */
export interface WorkerHandle {
  readonly name: string;
  readonly id: number;
  readonly pid: number;
  /** Memory that both reach, if the worker says that it reaches it. */
  readonly board: SharedBoard | undefined;
  /** Whether its program has ended, which is told in a moment. */
  readonly isEnding: boolean;
  /** Sends a message, in order. The packet's bytes may be changed afterwards. */
  send(packet: Packet): void;
  /**
   * Whether its messages are read, and it keeps the program alive: while it has
   * something to do.
   */
  awake: boolean;
  /** Ends it at once. */
  kill(): void;
  /** Ends it politely, and after `grace` milliseconds for sure. */
  end(grace: number): void;
}

/** Starts a worker. Throws at once when it cannot be started. */
export type StartWorker = (id: number, events: WorkerEvents) => WorkerHandle;
