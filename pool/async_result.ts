// Copyright 2026 the multitask authors. MIT license.

import type { WaitOptions } from "../ipc/_options.ts";
import { InvalidStateError } from "../ipc/errors.ts";
import { callBack } from "./_call_back.ts";
import type { TaskOutcome } from "./_task.ts";
import { type ResultOwner, TaskResult } from "./_task_result.ts";

/** What belongs to a result: a task, or a whole map. */
export interface ResultWork {
  readonly id: number;
  /** Takes it back, if it has not begun. */
  cancel(): boolean;
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
export class AsyncResult<R = unknown> extends TaskResult<R> {
  static {
    makeResult = (owner, callbacks) => new AsyncResult(owner, callbacks);
    setWork = (result, work) => result.#work = work;
    settleResult = (result, outcome) => result.#settle(outcome);
  }

  /** Whose values are of the type that was submitted. */
  readonly #callbacks: ResultCallbacks<never> | undefined;
  /** Set once, by whoever makes the result. */
  #work: ResultWork | undefined;

  private constructor(
    owner: ResultOwner,
    callbacks: ResultCallbacks<R> | undefined,
  ) {
    super(owner);
    this.#callbacks = callbacks as ResultCallbacks<never> | undefined;
  }

  #settle(outcome: TaskOutcome): void {
    const callback = this.#callbacks?.callback;
    const errorCallback = this.#callbacks?.errorCallback;
    this.settleWith(outcome, errorCallback !== undefined);
    // What the function returned: its type says so.
    if (!outcome.ok) {
      if (errorCallback) this.#call(errorCallback, outcome.error);
    } else if (callback) this.#call(callback, outcome.value as never);
  }

  #call<T>(callback: (value: T) => void, value: T): void {
    callBack(callback, value, (error) => this.callbackFailed(error));
  }

  /** The number of the task, or of the map: events name it. */
  get id(): number {
    return this.#work!.id;
  }

  /**
   * Waits for the value.
   *
   * @throws {TimeoutError} If it is not there in time; the task goes on.
   * @throws The task's error; `WorkerLostError` if its worker ended.
   */
  async get(options?: WaitOptions): Promise<R> {
    return await this.waitFor(options);
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
      if (this.outcome === undefined) throw error;
    }
  }

  /** Whether the task is done. */
  ready(): boolean {
    return this.outcome !== undefined;
  }

  /**
   * Whether the task gave a value.
   *
   * @throws {InvalidStateError} If it is not done. Python: `ValueError`.
   */
  successful(): boolean {
    if (this.outcome === undefined) {
      throw new InvalidStateError(
        "Cannot tell whether the task was successful: it is not done",
      );
    }
    return this.outcome.ok;
  }

  /**
   * Takes the task back if it has not begun: then its result is a
   * {@linkcode CancelledError}. Gives whether that was so. To stop one that runs
   * give it a `signal` or a `timeout`.
   */
  cancel(): boolean {
    return this.#work?.cancel() ?? false;
  }
}
