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
import { InvalidStateError } from "./errors.ts";
import type { LockGuard } from "./lock.ts";

/** Options of {@linkcode RLock.acquire}. */
export interface RLockAcquireOptions extends WaitOptions {
  /**
   * A guard of the same lock that is held: the new one is a further level of
   * that hold.
   *
   * @default {undefined} a hold of its own
   */
  within?: LockGuard;
}

/** A hold of the lock with its levels. */
class Levels extends Hold {
  /** Guards that are not released, the innermost last. */
  readonly guards: Set<Guard> = new Set();
  /** Whether the thread owns it: it came by `acquireSync`. */
  readonly isThreads: boolean;

  constructor(lock: LockHere, outcome: number, isThreads: boolean) {
    super(lock, outcome);
    this.isThreads = isThreads;
  }
}

class Guard implements LockGuard {
  readonly abandoned: boolean;
  readonly levels: Levels;

  constructor(levels: Levels) {
    this.levels = levels;
    this.abandoned = levels.abandoned;
    levels.guards.add(this);
  }

  release(): void {
    const { levels } = this;
    const { guards } = levels;
    if (guards.delete(this) && guards.size === 0) levels.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** The hold of a lock that this thread has, for a condition. */
export let rlockHold: (lock: RLock) => Hold | undefined;

interface Storage {
  getStore(): Levels | undefined;
  run<R>(levels: Levels, fn: () => R): R;
}

/** Loaded when it is needed for the first time: that takes 5 ms. */
let newStorage: (() => Storage) | undefined;

async function loadStorage(): Promise<void> {
  if (newStorage !== undefined) return;
  const { AsyncLocalStorage } = await import("node:async_hooks");
  newStorage = () => new AsyncLocalStorage<Levels>();
}

/**
 * A lock that its holder can acquire again: it is free when every level is
 * released.
 *
 * Python: `multiprocessing.RLock`, which is owned by a thread. Here many async
 * tasks share a thread, so that an async `acquire` is owned by its guard:
 * re-entry is `acquire({ within: guard })`, or any `acquire` inside of
 * `run(fn)`. A hold by `acquireSync` is owned by the thread. Else it is as
 * {@linkcode Lock} is.
 *
 * **Cancel safety**: an aborted or timed-out `acquire` leaves its place in line
 * at once and holds nothing.
 *
 * @example
 * ```ts
 * import { RLock } from "@multitask/std/ipc";
 * import { assert } from "@std/assert";
 *
 * const lock = new RLock();
 * await lock.run(async () => {
 *   using _inner = await lock.acquire();
 *   assert(lock.locked);
 * });
 * assert(!lock.locked);
 * ```
 */
export class RLock implements Disposable {
  static {
    registerHandle(
      HandleNumber.RLock,
      this.prototype,
      () => new this(),
      (place) => new LockCore(place),
    );
    rlockHold = (lock) => lock.#held();
  }

  readonly #reference: Reference;
  /** Where this thread works on the memory itself. */
  readonly #core: LockCore | undefined;
  readonly #here: LockHere<Levels>;
  #storage: Storage | undefined;

  /** Makes a lock that belongs to this process, and that nobody holds. */
  constructor(options: SharedOptions = {}) {
    this.#reference = claimReference(
      this,
      HandleNumber.RLock,
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
   * Waits until the lock is free and takes it; at once where the hold is
   * entered again. Resolves to `null` when the `timeout` is over first.
   *
   * @throws {InvalidStateError} If `within` is not a guard of this lock that is
   * held.
   * @throws {ProcessExitError} If the process that owns the lock has ended.
   * @throws {ClosedError} If the lock is closed.
   */
  acquire(
    options?: RLockAcquireOptions & { timeout?: never },
  ): Promise<LockGuard>;
  /** The same with a time-out: resolves to `null` when it is over first. */
  acquire(options: RLockAcquireOptions): Promise<LockGuard | null>;
  async acquire(options?: RLockAcquireOptions): Promise<LockGuard | null> {
    const { timeout, signal } = checkWait("acquire lock", options);
    checkOpen(this.#reference, "acquire the lock");
    signal?.throwIfAborted();
    const levels = options?.within === undefined
      ? this.#storage?.getStore()
      : this.#levelsOf(options.within);
    if (levels !== undefined && levels.guards.size > 0) {
      return new Guard(levels);
    }
    const reference = this.#reference;
    const now = this.#core?.tryAcquire() ?? 0;
    if (now !== 0) return this.#guard(now, false);
    const outcome = await reference.call(LockOp.Acquire, {
      timeout,
      signal,
      undo: (late) => giveBack(reference, late.number),
    });
    return outcome === undefined ? null : this.#guard(outcome.number, false);
  }

  #levelsOf(within: LockGuard): Levels {
    if (
      !(within instanceof Guard) || within.levels !== this.#here.last ||
      !within.levels.guards.has(within)
    ) {
      throw new InvalidStateError(
        'Cannot acquire lock: "within" must be a guard of this lock that is held',
      );
    }
    return within.levels;
  }

  #guard(outcome: number, isThreads: boolean): Guard {
    return new Guard(new Levels(this.#here, outcome, isThreads));
  }

  /** Takes the lock if it is free now, or held by the caller. */
  tryAcquire(
    options?: Pick<RLockAcquireOptions, "within">,
  ): Promise<LockGuard | null> {
    return this.acquire({ ...options, timeout: 0 });
  }

  /**
   * The blocking form of {@linkcode RLock.acquire}: stops the event loop. The
   * thread owns what it gives, and can acquire it again.
   *
   * @throws {InvalidStateError} If nothing could end the wait: an async task of
   * this thread holds the lock, or nobody else reaches its memory.
   */
  acquireSync(options?: { timeout?: never }): LockGuard;
  /** The same with a time-out: gives `null` when it is over first. */
  acquireSync(options: WaitSyncOptions): LockGuard | null;
  acquireSync(options?: WaitSyncOptions): LockGuard | null {
    const { timeout } = checkWait("acquire lock", options);
    checkOpen(this.#reference, "acquire the lock");
    const last = this.#held();
    if (last?.isThreads) return new Guard(last);
    if (last !== undefined && timeout === undefined) {
      throw new InvalidStateError(
        "Cannot block: an async task of this thread holds the lock, and cannot release it while the thread is blocked; await acquire()",
      );
    }
    const now = this.#core?.tryAcquire() ?? 0;
    if (now !== 0) return this.#guard(now, true);
    const outcome = this.#reference.callSync(LockOp.Acquire, { timeout });
    return outcome === undefined ? null : this.#guard(outcome.number, true);
  }

  #held(): Levels | undefined {
    const { last } = this.#here;
    return last !== undefined && last.guards.size > 0 && last.isHeld
      ? last
      : undefined;
  }

  /**
   * Runs `fn` while the lock is held. Inside of it, also after an `await`,
   * every `acquire` and `run` of this lock is a further level of that hold.
   */
  async run<R>(
    fn: () => R | Promise<R>,
    options?: RLockAcquireOptions & { timeout?: never },
  ): Promise<R> {
    await loadStorage();
    const storage = this.#storage ??= newStorage!();
    // The type says so: without a time-out it is never null.
    using guard = await this.acquire(options) as Guard;
    return await storage.run(guard.levels, fn);
  }

  /**
   * Releases the innermost level that this thread has.
   *
   * @throws {InvalidStateError} If this thread does not hold the lock.
   */
  release(): void {
    checkOpen(this.#reference, "release the lock");
    const guard = [...this.#held()?.guards ?? []].pop();
    if (guard === undefined) {
      throw new InvalidStateError(
        "Cannot release a lock that this thread does not hold",
      );
    }
    guard.release();
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

  /** The same as {@linkcode RLock.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
