// Copyright 2026 the multitask authors. MIT license.
// What is known of a task's outcome, and who has asked for it.

import { checkWait, type WaitOptions } from "../ipc/_options.ts";
import { type Waitable, waitable } from "../ipc/_waitable.ts";
import { waitBounded } from "../ipc/_wait_bounded.ts";
import { CancelledError, TimeoutError } from "../ipc/errors.ts";
import type { TaskOutcome } from "./_task.ts";

/** What a result tells its pool. */
export interface ResultOwner {
  /** It failed, and nobody has asked for it so far. */
  failedUnread(result: object, error: unknown): void;
  /** Somebody has asked for it at last. */
  read(result: object): void;
  /** What the user has given to be called has thrown. */
  callbackFailed(error: unknown): void;
}

/**
 * What comes of a task, as a promise: what {@linkcode AsyncResult} and
 * {@linkcode Future} have in common. It is not thenable, so that it can be
 * returned from async functions.
 *
 * @typeParam R What the task returns.
 */
export abstract class TaskResult<R = unknown> implements Waitable {
  readonly #owner: ResultOwner;
  #outcome: TaskOutcome | undefined;
  /** Made when somebody asks. */
  #resolvers: PromiseWithResolvers<unknown> | undefined;
  #isUnread = false;

  /**
   * For this package only.
   *
   * @internal
   */
  constructor(owner: ResultOwner) {
    this.#owner = owner;
  }

  /**
   * What came of it; `undefined` before.
   *
   * @internal
   */
  protected get outcome(): TaskOutcome | undefined {
    return this.#outcome;
  }

  /**
   * It is done; a failure may be heard of already by somebody.
   *
   * @internal
   */
  protected settleWith(outcome: TaskOutcome, isHeard: boolean): void {
    this.#outcome = outcome;
    if (this.#resolvers !== undefined) return this.#resolve(outcome);
    if (
      outcome.ok || outcome.isAsked || isHeard ||
      outcome.error instanceof CancelledError
    ) return;
    this.#isUnread = true;
    this.#owner.failedUnread(this, outcome.error);
  }

  /**
   * What the user has given to be called has thrown.
   *
   * @internal
   */
  protected callbackFailed(error: unknown): void {
    this.#owner.callbackFailed(error);
  }

  #resolve(outcome: TaskOutcome): void {
    const { promise, resolve, reject } = this.#resolvers!;
    if (outcome.ok) return resolve(outcome.value);
    // It may be awaited later.
    promise.catch(() => {});
    reject(outcome.error);
  }

  /** The value, or the error, as a promise. Always the same one. */
  get promise(): Promise<R> {
    if (this.#isUnread) {
      this.#isUnread = false;
      this.#owner.read(this);
    }
    if (this.#resolvers === undefined) {
      this.#resolvers = Promise.withResolvers<unknown>();
      if (this.#outcome !== undefined) this.#resolve(this.#outcome);
    }
    // What the function returned: its type says so.
    return this.#resolvers.promise as Promise<R>;
  }

  /**
   * Waits for the value, as long as the options allow.
   *
   * @internal
   */
  protected async waitFor(options: WaitOptions | undefined): Promise<R> {
    const wait = checkWait("get the result", options);
    return await waitBounded(
      this.promise,
      wait,
      () =>
        new TimeoutError(`The result is not there after ${wait.timeout} ms`),
    );
  }

  /** Lets `wait` include it: ready when it is done. */
  async [waitable](signal: AbortSignal): Promise<void> {
    try {
      await this.waitFor({ signal });
    } catch (error) {
      if (this.#outcome === undefined) throw error;
    }
  }
}
