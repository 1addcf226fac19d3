// Copyright 2026 the multitask authors. MIT license.
// A task: one call of a function, as the scheduler knows it.
//
//   queued --sent to a worker--> sent --result--> settled
//     ^  \--cancelled, aborted----> settled        ^
//     \--taken back, or retried--- sent            |
//                                    \--time is up, aborted: settled at once;
//                                       its worker is ended if it goes on
//
// `settle` is called once; what comes later is ignored.

import type { Packet } from "../ipc/_packet.ts";
import type { FunctionEntry } from "./_functions.ts";

/** How a task ended. */
export type TaskOutcome =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown };

/** Where a task stands. */
export type TaskState = "queued" | "sent" | "settled";

let nextId = 1;

/** See the file comment. */
export class Task {
  readonly id: number = nextId++;
  readonly fn: FunctionEntry;
  /** Its arguments. */
  readonly args: Packet;
  /** Higher ones go first. */
  readonly priority: number;
  /** The longest run in milliseconds. */
  readonly timeout: number | undefined;
  /** Whether it may be asked to stop while it runs: then it goes by itself. */
  readonly isWatched: boolean;
  state: TaskState = "queued";
  attempt = 1;
  readonly queuedAt: number;
  #listeners: (() => void)[] | undefined;
  #settle: ((outcome: TaskOutcome) => void) | undefined;

  constructor(
    fn: FunctionEntry,
    args: Packet,
    { priority = 0, timeout, signal, settle }: {
      priority?: number | undefined;
      timeout?: number | undefined;
      signal?: AbortSignal | undefined;
      settle: (outcome: TaskOutcome) => void;
    },
  ) {
    this.fn = fn;
    this.args = args;
    this.priority = priority;
    this.timeout = timeout;
    this.isWatched = timeout !== undefined || signal !== undefined;
    this.#settle = settle;
    this.queuedAt = performance.now();
  }

  /** Has something done when it is settled. */
  onSettled(listener: () => void): void {
    (this.#listeners ??= []).push(listener);
  }

  /** False when it had been settled before. */
  settle(outcome: TaskOutcome): boolean {
    const settle = this.#settle;
    if (settle === undefined) return false;
    this.#settle = undefined;
    this.state = "settled";
    for (const listener of this.#listeners ?? []) listener();
    settle(outcome);
    return true;
  }
}
