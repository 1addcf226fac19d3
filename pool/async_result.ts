// Copyright 2026 the multitask authors. MIT license.

import { checkWait, type WaitOptions } from "../ipc/_options.ts";
import { type Waitable, waitable } from "../ipc/_waitable.ts";
import {
  CancelledError,
  InvalidStateError,
  TimeoutError,
} from "../ipc/errors.ts";
import type { TaskOutcome } from "./_task.ts";
import { waitBounded } from "../ipc/_wait_bounded.ts";

/** What belongs to a result: a task, or a whole map. */
export interface ResultWork {
  /** Takes it back, if it has not begun. */
  cancel(): boolean;
}

/** What a result tells its pool. */
export interface ResultOwner {
  /** It failed, and nobody has asked for it so far. */
  failedUnread(result: object, error: unknown): void;
  /** Somebody has asked for it at last. */
  read(result: object): void;
}

/** What is called with the outcome. */
export interface ResultCallbacks<R> {
  readonly callback?: ((value: R) => void) | undefined;
  readonly errorCallback?: ((error: unknown) => void) | undefined;
}

/** Makes a result. For this package only. */
export let makeResult: <R>(
  owner: ResultOwner,
  callbacks?: ResultCallbacks<R>,
) => AsyncResult<R>;

/** Tells what it is the result of. For this package only. */
export let setWork: (result: AsyncResult, work: ResultWork) => void;

/** Settles it, once. For this package only. */
export let settleResult: (result: AsyncResult, outcome: TaskOutcome) => void;

/**
 * What comes of a task: its value or its error.
 *
 * Python: `multiprocessing.pool.AsyncResult`. It is not thenable, so that it can
 * be returned from async functions: use `get()` or `promise`. A failure that
 * nobody reads is told on stderr at the end of the pool.
 *
 * @typeParam R What the task returns.
 */
export class AsyncResult<R = unknown> implements Waitable {
  static {
    makeResult = (owner, callbacks) => new AsyncResult(owner, callbacks);
    setWork = (result, work) => result.#work = work;
    settleResult = (result, outcome) => result.#settle(outcome);
  }

  readonly #owner: ResultOwner;
  /** Whose values are of the type that was submitted. */
  readonly #callbacks: ResultCallbacks<never> | undefined;
  /** Set once, by whoever makes the result. */
  #work: ResultWork | undefined;
  #outcome: TaskOutcome | undefined;
  #resolvers: PromiseWithResolvers<unknown> | undefined;
  #isUnread = false;

  private constructor(
    owner: ResultOwner,
    callbacks: ResultCallbacks<R> | undefined,
  ) {
    this.#owner = owner;
    this.#callbacks = callbacks as ResultCallbacks<never> | undefined;
  }

  #settle(outcome: TaskOutcome): void {
    this.#outcome = outcome;
    if (this.#resolvers !== undefined) this.#tell(this.#resolvers, outcome);
    const callback = this.#callbacks?.callback;
    const errorCallback = this.#callbacks?.errorCallback;
    if (outcome.ok) {
      // What the function returned: its type says so.
      if (callback) callBack(callback, outcome.value as never);
      return;
    }
    if (errorCallback) callBack(errorCallback, outcome.error);
    if (
      this.#resolvers !== undefined || errorCallback ||
      outcome.error instanceof CancelledError
    ) return;
    this.#isUnread = true;
    this.#owner.failedUnread(this, outcome.error);
  }

  #tell(
    resolvers: PromiseWithResolvers<unknown>,
    outcome: TaskOutcome,
  ): void {
    if (outcome.ok) resolvers.resolve(outcome.value);
    else resolvers.reject(outcome.error);
  }

  /** The value, or the error, as a promise. Always the same one. */
  get promise(): Promise<R> {
    if (this.#isUnread) {
      this.#isUnread = false;
      this.#owner.read(this);
    }
    if (this.#resolvers === undefined) {
      this.#resolvers = Promise.withResolvers<unknown>();
      // It may be awaited later.
      this.#resolvers.promise.catch(() => {});
      if (this.#outcome !== undefined) {
        this.#tell(this.#resolvers, this.#outcome);
      }
    }
    // What the function returned: its type says so.
    return this.#resolvers.promise as Promise<R>;
  }

  /**
   * Waits for the value.
   *
   * @throws {TimeoutError} If it is not there in time; the task goes on.
   * @throws The task's error; `WorkerLostError` if its worker ended.
   */
  async get(options?: WaitOptions): Promise<R> {
    const wait = checkWait("get the result", options);
    return await waitBounded(
      this.promise,
      wait,
      () =>
        new TimeoutError(`The result is not there after ${wait.timeout} ms`),
    );
  }

  /**
   * Waits until the task is done, whatever came of it.
   *
   * @throws {TimeoutError} If it is not done in time; it goes on.
   */
  async wait(options?: WaitOptions): Promise<void> {
    try {
      await this.get(options);
    } catch (error) {
      if (this.#outcome === undefined) throw error;
    }
  }

  /** Whether the task is done. */
  ready(): boolean {
    return this.#outcome !== undefined;
  }

  /**
   * Whether the task gave a value.
   *
   * @throws {InvalidStateError} If it is not done. Python: `ValueError`.
   */
  successful(): boolean {
    if (this.#outcome === undefined) {
      throw new InvalidStateError(
        "Cannot tell whether the task was successful: it is not done",
      );
    }
    return this.#outcome.ok;
  }

  /**
   * Takes the task back if it has not begun: then its result is a
   * {@linkcode CancelledError}. Gives whether that was so. To stop one that runs
   * give it a `signal` or a `timeout`.
   */
  cancel(): boolean {
    return this.#work?.cancel() ?? false;
  }

  /** Lets `wait` include the result: ready when the task is done. */
  async [waitable](signal: AbortSignal): Promise<void> {
    await this.wait({ signal });
  }
}

/** A callback that throws is the user's error, not the pool's. */
function callBack<T>(callback: (value: T) => void, value: T): void {
  try {
    callback(value);
  } catch (error) {
    reportError(error);
  }
}
