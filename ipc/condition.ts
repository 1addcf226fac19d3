// Copyright 2026 the multitask authors. MIT license.

import { parts, registerComposite } from "./_codec.ts";
import type { Hold } from "./_hold.ts";
import { homes } from "./_homes.ts";
import {
  checkInteger,
  checkWait,
  shown,
  type WaitOptions,
  type WaitSyncOptions,
} from "./_options.ts";
import type { Reference } from "./_reference.ts";
import {
  checkOpen,
  claimReference,
  closeShared,
  registerHandle,
  type SharedOptions,
} from "./_shared.ts";
import { HandleNumber } from "./_shared_object.ts";
import { SignalCore, SignalOp } from "./_signal_core.ts";
import { InvalidStateError } from "./errors.ts";
import { Lock, type LockGuard, lockHold } from "./lock.ts";
import { RLock, rlockHold } from "./rlock.ts";

/** Those who wait for a condition: a handle of its own. */
class Signal {
  static {
    registerHandle(
      HandleNumber.Signal,
      this.prototype,
      () => new this(),
      (place) => new SignalCore(place),
    );
  }

  readonly reference: Reference;

  constructor(options: SharedOptions = {}) {
    this.reference = claimReference(
      this,
      HandleNumber.Signal,
      () =>
        new SignalCore({
          agent: homes.agentFor("create condition", options.home),
        }),
    );
  }
}

/** The number of all: a list is never longer. */
const ALL = 0x7fffffff;

/**
 * A lock, and a queue of those who wait until something has changed.
 *
 * Python: `multiprocessing.Condition`. `wait` releases the lock, waits to be
 * notified, and has the lock again when it ends, however it ends. Use `waitFor`
 * where you can: between the notification and the return others may have had
 * the lock. Who holds the lock is known for this thread as a whole: among its
 * async tasks only the one that has the guard may call `wait` and `notify`.
 *
 * **Ordering**: first come, first notified. A notification that reaches a
 * process which dies, or a wait that ends at the same time, goes to the next.
 *
 * **Cancel safety**: an aborted or timed-out `wait` has the lock when it ends.
 *
 * @example
 * ```ts
 * import { Condition } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const condition = new Condition();
 * const items: string[] = [];
 * const taken = (async () => {
 *   using _guard = await condition.acquire();
 *   await condition.waitFor(() => items.length > 0);
 *   return items.shift();
 * })();
 * {
 *   using _guard = await condition.acquire();
 *   items.push("A");
 *   condition.notify();
 * }
 * assertEquals(await taken, "A");
 * ```
 */
export class Condition implements Disposable {
  static {
    registerComposite(
      HandleNumber.Condition,
      // What a condition is sent as, below.
      ([lock, signal]) => new this(lock as Lock, signal as Signal),
    );
  }

  readonly #lock: Lock | RLock;
  readonly #signal: Signal;
  readonly #reference: Reference;

  /**
   * Makes a condition that belongs to this process.
   *
   * @param lock Its lock, which others may use too. The default is a new
   * {@linkcode RLock}.
   * @throws {TypeError} If `lock` is not a lock.
   */
  constructor(lock?: Lock | RLock, options?: SharedOptions);
  /** For one that arrives. */
  constructor(lock: Lock | RLock | undefined, signal: unknown);
  constructor(lock?: Lock | RLock, rest: unknown = {}) {
    if (
      lock !== undefined && !(lock instanceof Lock) && !(lock instanceof RLock)
    ) {
      throw new TypeError(
        `Cannot create condition: "lock" must be a Lock or an RLock, received ${
          shown(lock)
        }`,
      );
    }
    const options = rest as SharedOptions;
    this.#signal = rest instanceof Signal ? rest : new Signal(options);
    this.#lock = lock ?? new RLock(options);
    this.#reference = this.#signal.reference;
  }

  /** What it is sent as. */
  get [parts](): [number, Lock | RLock, object] {
    return [HandleNumber.Condition, this.#lock, this.#signal];
  }

  /** Acquires the lock. See {@linkcode Lock.acquire}. */
  acquire(options?: WaitOptions & { timeout?: never }): Promise<LockGuard>;
  /** The same with a time-out: resolves to `null` when it is over first. */
  acquire(options: WaitOptions): Promise<LockGuard | null>;
  acquire(options?: WaitOptions): Promise<LockGuard | null> {
    return this.#lock.acquire(options as WaitOptions);
  }

  /** Acquires the lock if it is free now, else resolves to `null`. */
  tryAcquire(): Promise<LockGuard | null> {
    return this.#lock.tryAcquire();
  }

  /** Acquires the lock in the blocking way. See {@linkcode Lock.acquireSync}. */
  acquireSync(options?: { timeout?: never }): LockGuard;
  /** The same with a time-out: gives `null` when it is over first. */
  acquireSync(options: WaitSyncOptions): LockGuard | null;
  acquireSync(options?: WaitSyncOptions): LockGuard | null {
    return this.#lock.acquireSync(options as WaitSyncOptions);
  }

  /** Releases the lock. */
  release(): void {
    this.#lock.release();
  }

  #held(action: string): Hold {
    checkOpen(this.#reference, `${action} the condition`);
    const lock = this.#lock;
    const held = lock instanceof RLock ? rlockHold(lock) : lockHold(lock);
    if (held !== undefined) return held;
    throw new InvalidStateError(
      `Cannot ${action} the condition: acquire it first`,
    );
  }

  /**
   * Releases the lock, waits to be notified, and acquires the lock again:
   * `true`, or `false` when the `timeout` was over first.
   *
   * @throws {InvalidStateError} If this thread does not hold the lock.
   * @throws {ProcessExitError} If the process that owns the condition has ended.
   */
  async wait(options?: WaitOptions): Promise<boolean> {
    const { timeout, signal } = checkWait("wait for condition", options);
    const held = this.#held("wait for");
    signal?.throwIfAborted();
    // In line before the lock is free: whoever notifies then is heard.
    const notified = this.#reference.call(SignalOp.Wait, { timeout, signal });
    try {
      held.release();
      return await notified !== undefined;
    } finally {
      await held.resume();
    }
  }

  /**
   * The blocking form of {@linkcode Condition.wait}: stops the event loop.
   *
   * @throws {InvalidStateError} If this thread does not hold the lock, or if
   * nothing could end the wait.
   */
  waitSync(options?: WaitSyncOptions): boolean {
    const { timeout } = checkWait("wait for condition", options);
    const held = this.#held("wait for");
    try {
      return this.#reference.callSync(SignalOp.Wait, {
        timeout,
        started: () => held.release(),
      }) !== undefined;
    } finally {
      held.resumeSync();
    }
  }

  /**
   * Waits until `predicate` holds, which is looked at with the lock held, at
   * first and after each notification: `true`, or `false` when the `timeout`
   * was over first.
   *
   * @throws {InvalidStateError} If this thread does not hold the lock.
   */
  async waitFor(
    predicate: () => boolean,
    options?: WaitOptions,
  ): Promise<boolean> {
    const { timeout, signal } = checkWait("wait for condition", options);
    this.#held("wait for");
    const end = performance.now() + (timeout ?? Infinity);
    while (!predicate()) {
      const left = end - performance.now();
      if (left <= 0) return false;
      await this.wait({
        ...(timeout === undefined ? {} : { timeout: left }),
        ...(signal === undefined ? {} : { signal }),
      });
    }
    return true;
  }

  /** The blocking form of {@linkcode Condition.waitFor}. */
  waitForSync(predicate: () => boolean, options?: WaitSyncOptions): boolean {
    const { timeout } = checkWait("wait for condition", options);
    this.#held("wait for");
    const end = performance.now() + (timeout ?? Infinity);
    while (!predicate()) {
      const left = end - performance.now();
      if (left <= 0) return false;
      this.waitSync(timeout === undefined ? {} : { timeout: left });
    }
    return true;
  }

  /**
   * Wakes those who have waited longest. Needs no `await`; they go on when the
   * lock is released.
   *
   * @param count How many at most.
   * @throws {InvalidStateError} If this thread does not hold the lock.
   * @throws {RangeError} If `count` is not an integer >= 1.
   */
  notify(count = 1): void {
    checkInteger("notify", "count", count, 1);
    this.#held("notify");
    this.#reference.cast(SignalOp.Notify, Math.min(count, ALL));
  }

  /**
   * Wakes all who wait.
   *
   * @throws {InvalidStateError} If this thread does not hold the lock.
   */
  notifyAll(): void {
    this.notify(ALL);
  }

  /**
   * Lets go of the condition, and not of its lock. In its owner this ends it for
   * everybody: whoever waits gets a {@linkcode ClosedError}. Idempotent.
   */
  close(): void {
    closeShared(this.#reference, "condition");
  }

  /** The same as {@linkcode Condition.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
