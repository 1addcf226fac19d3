// Copyright 2026 the multitask authors. MIT license.

import { giveBack, Hold, type LockHere } from "./_hold.ts";
import { homes } from "./_homes.ts";
import { LockCore, LockOp } from "./_lock_core.ts";
import {
  checkWait,
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

/** The hold of a lock that this thread has, for a condition. */
export let lockHold: (lock: Lock) => Hold | undefined;

/**
 * A mutual exclusion lock for threads and processes.
 *
 * Python: `multiprocessing.Lock`. Unlike there the lock knows its holder: when
 * the process that holds it dies, or ends without releasing it, the next one in
 * line gets it and is told by `guard.abandoned`.
 *
 * A lock belongs to the process that made it; pass it in the `args` of processes
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
    registerHandle(
      HandleNumber.Lock,
      this.prototype,
      () => new this(),
      (place) => new LockCore(place),
    );
    lockHold = (lock) => lock.#here.last?.isHeld ? lock.#here.last : undefined;
  }

  readonly #reference: Reference;
  /** Where this thread works on the memory itself. */
  readonly #core: LockCore | undefined;
  readonly #here: LockHere;

  /** Makes a lock that belongs to this process, and that nobody holds. */
  constructor(options: SharedOptions = {}) {
    this.#reference = claimReference(
      this,
      HandleNumber.Lock,
      () =>
        new LockCore({ agent: homes.agentFor("create lock", options.home) }),
    );
    this.#core = this.#reference.direct as LockCore | undefined;
    this.#here = {
      reference: this.#reference,
      core: this.#core,
      last: undefined,
    };
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
    signal?.throwIfAborted();
    const taken = this.#tryNow();
    if (taken !== 0) return new Hold(this.#here, taken);
    const reference = this.#reference;
    const outcome = await reference.call(LockOp.Acquire, {
      timeout,
      signal,
      undo: (late) => giveBack(reference, late.number),
    });
    return outcome === undefined ? null : new Hold(this.#here, outcome.number);
  }

  /** Takes the lock if it is free now, else resolves to `null`. */
  tryAcquire(): Promise<LockGuard | null> {
    return this.acquire({ timeout: 0 });
  }

  /**
   * The blocking form of {@linkcode Lock.acquire}: stops the event loop.
   *
   * @throws {InvalidStateError} If nothing could end the wait: no other thread
   * or process reaches the lock's memory.
   */
  acquireSync(options?: { timeout?: never }): LockGuard;
  /** The same with a time-out: gives `null` when it is over first. */
  acquireSync(options: WaitSyncOptions): LockGuard | null;
  acquireSync(options?: WaitSyncOptions): LockGuard | null {
    const { timeout } = checkWait("acquire lock", options);
    const taken = this.#tryNow();
    if (taken !== 0) return new Hold(this.#here, taken);
    const outcome = this.#reference.callSync(LockOp.Acquire, { timeout });
    return outcome === undefined ? null : new Hold(this.#here, outcome.number);
  }

  /** Takes it if it is free and its memory within reach. */
  #tryNow(): number {
    checkOpen(this.#reference, "acquire the lock");
    return this.#core === undefined ? 0 : this.#core.tryAcquire();
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
   * A process that neither owns the lock nor reaches its memory asks the owner
   * and blocks until it answers; `InvalidStateError` where that cannot be done.
   */
  get locked(): boolean {
    checkOpen(this.#reference, "read the lock");
    if (this.#core !== undefined) return this.#core.locked;
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
