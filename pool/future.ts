// Copyright 2026 the multitask authors. MIT license.

import { shown, type WaitOptions } from "../ipc/_options.ts";
import { callBack, checkCallback } from "./_call_back.ts";
import type { TaskOutcome } from "./_task.ts";
import { type ResultOwner, TaskResult } from "./_task_result.ts";

/** What belongs to a future: its task. */
export interface FutureWork {
  readonly id: number;
  /** Takes it back, if it has not begun. */
  cancel(): boolean;
  /** Whether it has begun, and is not done. */
  isRunning(): boolean;
}

/** Has something done when it is done; gives how to take that back. */
export let whenDone: (future: Future, callback: () => unknown) => () => void;

/** Whether one that is done has failed; that is not to read it. For this package only. */
export let hasFailed: (future: Future) => boolean;

/** Makes a future. For this package only. */
export let makeFuture: <R>(owner: ResultOwner) => Future<R>;

/** Tells what it is the future of. For this package only. */
export let setFutureWork: (future: Future, work: FutureWork) => void;

/** Settles it, once. For this package only. */
export let settleFuture: (future: Future, outcome: TaskOutcome) => void;

/**
 * What will come of a call that was submitted to an executor.
 *
 * Python: `concurrent.futures.Future`. It is not thenable, so that it can be
 * returned from async functions: use `result()` or `promise`.
 *
 * ```text
 * pending --begins--> running --> finished (a value, or an error)
 *     \--cancel--> cancelled
 * ```
 *
 * @typeParam R What the function returns.
 */
export class Future<R = unknown> extends TaskResult<R> {
  static {
    makeFuture = (owner) => new Future(owner);
    whenDone = (future, callback) => {
      if (future.outcome !== undefined) future.#call(callback);
      else future.#callbacks.add(callback);
      return () => future.#callbacks.delete(callback);
    };
    hasFailed = ({ outcome }) => outcome?.ok === false;
    setFutureWork = (future, work) => future.#work = work;
    settleFuture = (future, outcome) => future.#settle(outcome);
  }

  #work: FutureWork | undefined;
  #isCancelled = false;
  /** In the order in which they were added. */
  readonly #callbacks: Set<() => unknown> = new Set();

  private constructor(owner: ResultOwner) {
    super(owner);
  }

  #settle(outcome: TaskOutcome): void {
    this.settleWith(outcome, false);
    const callbacks = [...this.#callbacks];
    this.#callbacks.clear();
    for (const callback of callbacks) this.#call(callback);
  }

  #call(callback: () => unknown): void {
    callBack(callback, undefined, (error) => this.callbackFailed(error));
  }

  /** The number of the call: events name it. */
  get id(): number {
    return this.#work!.id;
  }

  /**
   * Takes the call back if it has not begun. Gives whether it is cancelled, now
   * or before.
   */
  cancel(): boolean {
    if (this.outcome !== undefined) return this.#isCancelled;
    // Its callbacks may ask.
    this.#isCancelled = true;
    return this.#isCancelled = this.#work?.cancel() ?? false;
  }

  /** Whether it was taken back by {@linkcode Future.cancel}. */
  cancelled(): boolean {
    return this.#isCancelled;
  }

  /** Whether it has begun, and is not done. */
  running(): boolean {
    return this.outcome === undefined && (this.#work?.isRunning() ?? false);
  }

  /** Whether it is finished or cancelled. */
  done(): boolean {
    return this.outcome !== undefined;
  }

  /**
   * Waits for the value.
   *
   * @throws {TimeoutError} If it is not there in time; the call goes on.
   * @throws {CancelledError} If it was cancelled.
   * @throws The function's error.
   */
  async result(options?: WaitOptions): Promise<R> {
    return await this.waitFor(options);
  }

  /**
   * Waits for the end: the error, or `null` when there was none.
   *
   * @throws {TimeoutError} If it does not end in time; the call goes on.
   * @throws {CancelledError} If it was cancelled.
   */
  async exception(options?: WaitOptions): Promise<unknown> {
    try {
      await this.result(options);
      return null;
    } catch (error) {
      const outcome = this.outcome;
      if (outcome === undefined || outcome.ok || this.cancelled()) throw error;
      return outcome.error;
    }
  }

  /**
   * Has a function called with this future when it is done; at once when it is.
   * Callbacks are called in the order in which they were added.
   */
  addDoneCallback(callback: (future: Future<R>) => unknown): void {
    checkCallback("add a callback", "callback", callback);
    whenDone(this as Future, () => callback(this));
  }
}

/** Throws unless all of them are futures. */
export function checkFutures(
  action: string,
  futures: Iterable<Future>,
): Set<Future> {
  if (
    typeof futures !== "object" || futures === null ||
    !(Symbol.iterator in futures)
  ) {
    throw new TypeError(
      `Cannot ${action}: futures must be iterable, received ${shown(futures)}`,
    );
  }
  const found = new Set(futures);
  for (const future of found) {
    if (!(future instanceof Future)) {
      throw new TypeError(
        `Cannot ${action}: a Future is required, received ${shown(future)}`,
      );
    }
  }
  return found;
}
