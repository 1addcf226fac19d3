// Copyright 2026 the multitask authors. MIT license.

import { checkWait, type WaitOptions } from "../ipc/_options.ts";
import { type Waitable, waitable } from "../ipc/_waitable.ts";
import { CancelledError, TimeoutError } from "../ipc/errors.ts";
import { waitBounded } from "../ipc/_wait_bounded.ts";
import type { TaskOutcome } from "./_task.ts";

/** What belongs to a future: its task. */
export interface FutureWork {
  /** Takes it back, if it has not begun. */
  cancel(): boolean;
  /** Whether it has begun, and is not done. */
  isRunning(): boolean;
}

/** Has something done when it is done; gives how to take that back. */
export let whenDone: (future: Future, callback: () => unknown) => () => void;

/** Makes a future. For this package only. */
export let makeFuture: <R>() => Future<R>;

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
export class Future<R = unknown> implements Waitable {
  static {
    makeFuture = () => new Future();
    whenDone = (future, callback) => {
      if (future.#outcome !== undefined) future.#call(callback);
      else future.#callbacks.add(callback);
      return () => future.#callbacks.delete(callback);
    };
    setFutureWork = (future, work) => future.#work = work;
    settleFuture = (future, outcome) => future.#settle(outcome);
  }

  #work: FutureWork | undefined;
  #outcome: TaskOutcome | undefined;
  readonly #resolvers: PromiseWithResolvers<unknown> = Promise
    .withResolvers<unknown>();
  /** In the order in which they were added. */
  readonly #callbacks: Set<() => unknown> = new Set();

  private constructor() {
    // It may be read later, or by `exception()` alone.
    this.#resolvers.promise.catch(() => {});
  }

  #settle(outcome: TaskOutcome): void {
    this.#outcome = outcome;
    if (outcome.ok) this.#resolvers.resolve(outcome.value);
    else this.#resolvers.reject(outcome.error);
    const callbacks = [...this.#callbacks];
    this.#callbacks.clear();
    for (const callback of callbacks) this.#call(callback);
  }

  #call(callback: () => unknown): void {
    try {
      callback();
    } catch (error) {
      // Python logs it: the other callbacks are called all the same.
      console.error("A callback of a future failed:");
      console.error(error);
    }
  }

  /**
   * Takes the call back if it has not begun. Gives whether it is cancelled, now
   * or before.
   */
  cancel(): boolean {
    if (this.#outcome !== undefined) return this.cancelled();
    return this.#work?.cancel() ?? false;
  }

  /** Whether it was taken back. */
  cancelled(): boolean {
    const outcome = this.#outcome;
    return outcome?.ok === false && outcome.error instanceof CancelledError;
  }

  /** Whether it has begun, and is not done. */
  running(): boolean {
    return this.#outcome === undefined && (this.#work?.isRunning() ?? false);
  }

  /** Whether it is finished or cancelled. */
  done(): boolean {
    return this.#outcome !== undefined;
  }

  /** The value, or the error, as a promise. Always the same one. */
  get promise(): Promise<R> {
    // What the function returned: its type says so.
    return this.#resolvers.promise as Promise<R>;
  }

  /**
   * Waits for the value.
   *
   * @throws {TimeoutError} If it is not there in time; the call goes on.
   * @throws {CancelledError} If it was cancelled.
   * @throws The function's error.
   */
  async result(options?: WaitOptions): Promise<R> {
    const wait = checkWait("get the result", options);
    return await waitBounded(
      this.promise,
      wait,
      () =>
        new TimeoutError(`The result is not there after ${wait.timeout} ms`),
    );
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
      const outcome = this.#outcome;
      if (outcome === undefined || outcome.ok || this.cancelled()) throw error;
      return outcome.error;
    }
  }

  /**
   * Has a function called with this future when it is done; at once when it is.
   * Callbacks are called in the order in which they were added.
   */
  addDoneCallback(callback: (future: Future<R>) => unknown): void {
    if (typeof callback !== "function") {
      throw new TypeError(
        'Cannot add a callback: "callback" must be a function',
      );
    }
    whenDone(this as Future, () => callback(this));
  }

  /** Lets `wait` include the future: ready when it is done. */
  async [waitable](signal: AbortSignal): Promise<void> {
    try {
      await this.result({ signal });
    } catch (error) {
      if (this.#outcome === undefined) throw error;
    }
  }
}

/** Throws unless all of them are futures. */
export function checkFutures(
  action: string,
  futures: Iterable<Future>,
): Set<Future> {
  const found = new Set(futures);
  for (const future of found) {
    if (!(future instanceof Future)) {
      throw new TypeError(`Cannot ${action}: a Future is required`);
    }
  }
  return found;
}
