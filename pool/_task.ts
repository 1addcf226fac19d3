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

import { hub } from "../ipc/_hub.ts";
import { NO_PACKET, type Packet } from "../ipc/_packet.ts";
import type { FunctionEntry } from "./_functions.ts";

/** How a task ended. */
export type TaskOutcome =
  | { readonly ok: true; readonly value: unknown }
  | {
    readonly ok: false;
    readonly error: unknown;
    /** Whoever waits for it has ended it: that is no news. */
    readonly isAsked?: boolean;
  };

/** Tells what waits for a task what became of it. */
export type Tell<S> = (sink: S, outcome: TaskOutcome) => void;

/** Who runs tasks. */
export interface TaskRunner {
  /** Takes a task back, if it has not begun. */
  cancel(task: Task): boolean;
}

/** Where a task stands. */
export type TaskState = "queued" | "sent" | "settled";

/** Which task of a pool is meant. */
export interface TaskName {
  /** That of its result, or of the result of its map. */
  readonly id: number;
  /** That of its function. */
  readonly name: string;
  /** Where it is among the items, if it is one. */
  readonly index?: number;
}

let lastId = 0;

/** A number for a task, or a map. */
export function nextId(): number {
  return ++lastId;
}

/** See the file comment. */
export class Task {
  readonly id: number = nextId();
  readonly fn: FunctionEntry;
  /** Its arguments. */
  args: Packet;
  /** The same not packed, where there are handles among them. */
  #values: unknown[] | undefined;
  /** Higher ones go first. */
  readonly priority: number;
  /** The longest run in milliseconds. */
  readonly timeout: number | undefined;
  /** Whether it may be asked to stop while it runs: then it goes by itself. */
  readonly isWatched: boolean;
  state: TaskState = "queued";
  attempt = 1;
  readonly queuedAt: number = performance.now();
  readonly #runner: TaskRunner;
  /** Who is told, and how. */
  #sink: object | undefined;
  readonly #tell: Tell<never>;
  #listeners: (() => void)[] | undefined;

  constructor(
    runner: TaskRunner,
    sink: object,
    tell: Tell<never>,
    fn: FunctionEntry,
    args: Packet,
    values: unknown[] | undefined,
    priority: number,
    timeout: number | undefined,
    isWatched: boolean,
  ) {
    this.#runner = runner;
    this.#sink = sink;
    this.#tell = tell;
    this.fn = fn;
    this.args = args;
    this.#values = args.refs.length > 0 ? values : undefined;
    this.priority = priority;
    this.timeout = timeout;
    this.isWatched = isWatched;
  }

  /**
   * It goes to another worker: handles can be sent once only. Throws when the
   * arguments cannot be sent any more: some were transferred.
   */
  renew(): void {
    if (this.#values !== undefined) this.args = hub.pack(this.#values, "args");
  }

  /** Takes it back, if it has not begun. */
  cancel(): boolean {
    return this.#runner.cancel(this);
  }

  /** Has something done when it is settled. */
  onSettled(listener: () => void): void {
    (this.#listeners ??= []).push(listener);
  }

  /** False when it had been settled before. */
  settle(outcome: TaskOutcome): boolean {
    const sink = this.#sink;
    if (sink === undefined) return false;
    this.#sink = undefined;
    // Nobody gets what is in it; and it may be long until it leaves the queue.
    if (this.state === "queued") hub.dropPacket(this.args);
    this.args = NO_PACKET;
    this.#values = undefined;
    this.state = "settled";
    if (this.#listeners !== undefined) {
      for (const listener of this.#listeners) listener();
    }
    // They came together.
    this.#tell(sink as never, outcome);
    return true;
  }
}
