// Copyright 2026 the multitask authors. MIT license.

import { checkWait, type WaitOptions } from "../ipc/_options.ts";
import { type Waitable, waitable } from "../ipc/_waitable.ts";
import { InvalidStateError, TimeoutError } from "../ipc/errors.ts";
import { startTimer } from "../ipc/_timer.ts";
import type { TaskOutcome } from "./_task.ts";

/** What a result needs of its pool. */
export interface ResultSource {
  /** Takes the task back, if it has not begun. */
  cancel(): boolean;
  /** Somebody has asked for the outcome. */
  read(): void;
}

/** Makes a result, and what settles it. For this package only. */
export let makeResult: <R>(source: ResultSource) => {
  result: AsyncResult<R>;
  settle: (outcome: TaskOutcome) => void;
};

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
    makeResult = <R>(source: ResultSource) => {
      const result = new AsyncResult<R>(source);
      return { result, settle: (outcome) => result.#settle(outcome) };
    };
  }

  readonly #source: ResultSource;
  #outcome: TaskOutcome | undefined;
  #resolvers: PromiseWithResolvers<R> | undefined;

  private constructor(source: ResultSource) {
    this.#source = source;
  }

  #settle(outcome: TaskOutcome): void {
    this.#outcome = outcome;
    if (this.#resolvers !== undefined) this.#tell(this.#resolvers, outcome);
  }

  #tell(resolvers: PromiseWithResolvers<R>, outcome: TaskOutcome): void {
    // What the function returned: its type says so.
    if (outcome.ok) resolvers.resolve(outcome.value as R);
    else resolvers.reject(outcome.error);
  }

  /** The value, or the error, as a promise. Always the same one. */
  get promise(): Promise<R> {
    this.#source.read();
    if (this.#resolvers === undefined) {
      this.#resolvers = Promise.withResolvers<R>();
      // It may be awaited later.
      this.#resolvers.promise.catch(() => {});
      if (this.#outcome !== undefined) {
        this.#tell(this.#resolvers, this.#outcome);
      }
    }
    return this.#resolvers.promise;
  }

  /**
   * Waits for the value.
   *
   * @throws {TimeoutError} If it is not there in time; the task goes on.
   * @throws The task's error; `WorkerLostError` if its worker ended.
   */
  async get(options?: WaitOptions): Promise<R> {
    const { timeout, signal } = checkWait("get the result", options);
    signal?.throwIfAborted();
    const { promise } = this;
    if (timeout === undefined && signal === undefined) return await promise;
    if (this.#outcome !== undefined) return await promise;
    let stopTimer: (() => void) | undefined;
    let onAbort: (() => void) | undefined;
    try {
      return await Promise.race([
        promise,
        new Promise<never>((_, reject) => {
          if (timeout !== undefined) {
            stopTimer = startTimer(
              () =>
                reject(
                  new TimeoutError(
                    `The result is not there after ${timeout} ms`,
                  ),
                ),
              timeout,
            );
          }
          onAbort = () => reject(signal!.reason);
          signal?.addEventListener("abort", onAbort, { once: true });
        }),
      ]);
    } finally {
      stopTimer?.();
      if (onAbort) signal?.removeEventListener("abort", onAbort);
    }
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
    return this.#source.cancel();
  }

  /** Lets `wait` include the result: ready when the task is done. */
  async [waitable](signal: AbortSignal): Promise<void> {
    await this.wait({ signal });
  }
}
