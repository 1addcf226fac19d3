// Copyright 2026 the multitask authors. MIT license.

import type { Reference } from "./_reference.ts";
import type { Outcome } from "./_shared_object.ts";
import { LockCore, LockOp } from "./_lock_core.ts";
import {
  checkWait,
  type WaitOptions,
  type WaitSyncOptions,
} from "./_options.ts";
import {
  checkOpen,
  claimReference,
  closeShared,
  HandleNumber,
  registerHandle,
} from "./_shared.ts";

/**
 * A hold of a {@linkcode Lock}. It knows its acquisition: releasing it twice,
 * or after `lock.release()`, never frees somebody else's hold.
 */
export interface LockGuard extends Disposable {
  /** Whether the holder before died, or ended, without releasing. */
  readonly abandoned: boolean;
  /** Gives the lock back. Idempotent, and needs no `await`. */
  release(): void;
}

class Guard implements LockGuard {
  readonly abandoned: boolean;
  readonly #acquisition: number;
  readonly #reference: Reference;
  #released = false;

  constructor(reference: Reference, outcome: Outcome) {
    this.#reference = reference;
    this.#acquisition = Math.floor(outcome.number / 2);
    this.abandoned = outcome.number % 2 === 1;
  }

  release(): void {
    if (this.#released) return;
    // What its owner has closed is gone for all; elsewhere only the way to it
    // was let go of, and whoever waits there still waits.
    if (this.#reference.closed && this.#reference.object) return;
    this.#released = true;
    this.#reference.cast(LockOp.Release, this.#acquisition);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/**
 * A mutual exclusion lock for processes.
 *
 * Python: `multiprocessing.Lock`. Unlike there the lock knows its holder: when
 * the process that holds it dies, or ends without releasing it, the next one in
 * line gets it and is told by `guard.abandoned`.
 *
 * A lock lives in the process that made it; pass it in the `args` of processes
 * or in items of queues.
 *
 * **Ordering**: waiters are served first come, first served, and a released
 * lock goes to the first waiter directly.
 *
 * **Cancel safety**: an aborted or timed-out `acquire` leaves its place in line
 * at once and holds nothing.
 *
 * @example
 * ```ts
 * import { Lock } from "@multitask/std/ipc";
 * import { assert, assertEquals } from "@std/assert";
 *
 * const lock = new Lock();
 * {
 *   using _guard = await lock.acquire();
 *   assert(lock.locked);
 *   assertEquals(await lock.tryAcquire(), null);
 * }
 * assert(!lock.locked);
 * ```
 */
export class Lock implements Disposable {
  static {
    registerHandle(HandleNumber.Lock, this.prototype, () => new this());
  }

  readonly #reference: Reference;

  /** Makes a lock that lives in this process, and that nobody holds. */
  constructor() {
    this.#reference = claimReference(
      this,
      HandleNumber.Lock,
      () => new LockCore(),
    );
  }

  /**
   * Waits until the lock is free and takes it. Resolves to `null` when the
   * `timeout` is over first.
   *
   * @throws {ProcessExitError} If the process that owns the lock has ended.
   * @throws {ClosedError} If the lock is closed.
   */
  acquire(options?: WaitOptions & { timeout?: never }): Promise<LockGuard>;
  /** The same with a time-out: resolves to `null` when it is over first. */
  acquire(options: WaitOptions): Promise<LockGuard | null>;
  async acquire(options?: WaitOptions): Promise<LockGuard | null> {
    const { timeout, signal } = checkWait("acquire lock", options);
    checkOpen(this.#reference, "acquire the lock");
    const reference = this.#reference;
    const outcome = await reference.call(LockOp.Acquire, {
      timeout,
      signal,
      undo: (late) => new Guard(reference, late).release(),
    });
    return outcome === undefined ? null : new Guard(reference, outcome);
  }

  /** Takes the lock if it is free now, else resolves to `null`. */
  tryAcquire(): Promise<LockGuard | null> {
    return this.acquire({ timeout: 0 });
  }

  /**
   * The blocking form of {@linkcode Lock.acquire}: stops the event loop.
   *
   * @throws {InvalidStateError} If nothing could end the wait: the lock lives
   * in this thread, or in a process below this one.
   */
  acquireSync(options?: { timeout?: never }): LockGuard;
  /** The same with a time-out: gives `null` when it is over first. */
  acquireSync(options: WaitSyncOptions): LockGuard | null;
  acquireSync(options?: WaitSyncOptions): LockGuard | null {
    const { timeout } = checkWait("acquire lock", options);
    checkOpen(this.#reference, "acquire the lock");
    const outcome = this.#reference.callSync(LockOp.Acquire, { timeout });
    return outcome === undefined ? null : new Guard(this.#reference, outcome);
  }

  /**
   * Frees the lock, whoever holds it, as Python's does. Needs no `await`.
   *
   * @throws {InvalidStateError} If nobody holds it: here in the owner, elsewhere
   * at the next awaited call, or at the end of the process.
   */
  release(): void {
    checkOpen(this.#reference, "release the lock");
    this.#reference.cast(LockOp.Release);
  }

  /**
   * Whether somebody holds the lock at this moment.
   *
   * In a process that does not own the lock this asks the owner and blocks
   * until it answers; `InvalidStateError` where that cannot be done.
   */
  get locked(): boolean {
    checkOpen(this.#reference, "read the lock");
    return this.#reference.callSync(LockOp.IsLocked)!.number === 1;
  }

  /**
   * Lets go of the lock. In its owner this ends it for everybody: whoever waits
   * gets a {@linkcode ClosedError}. Idempotent.
   */
  close(): void {
    closeShared(this.#reference, "lock");
  }

  /** The same as {@linkcode Lock.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
