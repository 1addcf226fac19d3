// Copyright 2026 the multitask authors. MIT license.

import { checkInteger, checkWait, type WaitOptions } from "../ipc/_options.ts";
import { InvalidStateError } from "../ipc/errors.ts";
import type { WaitGrant } from "./_condition_servant.ts";
import { behind } from "./_remote.ts";
import { RemoteHoldable, type RemoteHoldOptions } from "./_remote_hold.ts";
import { guardOf, type RemoteLockGuard } from "./remote_lock_guard.ts";

/** More than wait. */
const ALL = 0x7fffffff;

/**
 * A condition that lives in a manager.
 *
 * Python: the proxy of a `threading.Condition`. Whoever has acquired it may
 * `wait` and `notify`; a `wait` gives the hold up and gets it again, under
 * another `fence`.
 *
 * **Cancel safety**: an aborted or timed-out `wait` has the hold when it ends;
 * one whose connection broke has not.
 */
export class RemoteCondition extends RemoteHoldable {
  /** Acquires the lock of the condition. */
  acquire(
    options?: RemoteHoldOptions & { timeout?: never },
  ): Promise<RemoteLockGuard>;
  /** The same with a time-out: resolves to `null` when it is over first. */
  acquire(options: RemoteHoldOptions): Promise<RemoteLockGuard | null>;
  acquire(options?: RemoteHoldOptions): Promise<RemoteLockGuard | null> {
    return this.hold("acquire the condition", options);
  }

  /** Releases the lock of the condition. Needs no `await`. */
  release(): void {
    behind(this).cast("release");
  }

  #held(action: string): { fence: number } {
    const guard = guardOf(this);
    if (guard !== undefined) return guard;
    throw new InvalidStateError(
      `Cannot ${action} the condition: acquire it first`,
    );
  }

  /**
   * Gives the hold up, waits to be notified, and gets the hold again: `true`, or
   * `false` when the `timeout` was over first.
   *
   * @throws {InvalidStateError} If this process does not hold it.
   * @throws {LeaseLostError} If its hold is over.
   */
  async wait(options?: WaitOptions): Promise<boolean> {
    const { timeout, signal } = checkWait("wait for condition", options);
    const guard = this.#held("wait for");
    const { notified, fence } = await behind(this).call("wait", [guard.fence], {
      timeout,
      signal,
      isCertain: true,
    }) as WaitGrant;
    guard.fence = fence;
    if (!notified) signal?.throwIfAborted();
    return notified;
  }

  /**
   * Waits until `predicate` holds, which is looked at with the hold, at first and
   * after each notification: `true`, or `false` when the `timeout` was over first.
   */
  async waitFor(
    predicate: () => boolean | Promise<boolean>,
    options?: WaitOptions,
  ): Promise<boolean> {
    const { timeout, signal } = checkWait("wait for condition", options);
    this.#held("wait for");
    const end = performance.now() + (timeout ?? Infinity);
    while (!await predicate()) {
      const left = end - performance.now();
      if (left <= 0) return false;
      await this.wait({
        ...(timeout === undefined ? {} : { timeout: left }),
        ...(signal === undefined ? {} : { signal }),
      });
    }
    return true;
  }

  /**
   * Wakes those who have waited longest. Needs no `await`.
   *
   * @param count How many at most.
   * @throws {InvalidStateError} If this process does not hold it.
   */
  notify(count = 1): void {
    checkInteger("notify", "count", count, 1);
    const { fence } = this.#held("notify");
    behind(this).cast("notify", [fence, Math.min(count, ALL)]);
  }

  /** Wakes all who wait. Needs no `await`. */
  notifyAll(): void {
    this.notify(ALL);
  }
}
