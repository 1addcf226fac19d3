// Copyright 2026 the multitask authors. MIT license.

import { homes } from "./_homes.ts";
import { hub } from "./_hub.ts";
import {
  checkInteger,
  checkWait,
  type WaitOptions,
  type WaitSyncOptions,
} from "./_options.ts";
import type { Reference } from "./_reference.ts";
import { MAX_PERMITS, SemaphoreCore, SemaphoreOp } from "./_semaphore_core.ts";
import {
  checkOpen,
  claimReference,
  closeShared,
  registerHandle,
  type SharedOptions,
} from "./_shared.ts";
import { HandleNumber } from "./_shared_object.ts";
import type { LockGuard } from "./lock.ts";

class Guard implements LockGuard {
  readonly abandoned: boolean;
  readonly #reference: Reference;
  readonly #hold: number;
  #released = false;

  constructor(reference: Reference, outcome: number) {
    this.#reference = reference;
    this.#hold = Math.floor(outcome / 2);
    this.abandoned = outcome % 2 === 1;
  }

  release(): void {
    const reference = this.#reference;
    if (this.#released || (reference.closed && reference.object)) return;
    this.#released = true;
    const core = reference.direct as SemaphoreCore | undefined;
    if (core !== undefined) core.releaseHeld(hub.path, this.#hold);
    else reference.cast(SemaphoreOp.ReleaseHeld, this.#hold);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Classes whose semaphores never have more permits than at first. */
const bounded = new WeakMap<object, number>();

/** Says that a class of semaphores is bounded. Call it from a static block. */
export function defineBounded(
  constructor: new () => Semaphore,
  number: number,
): void {
  bounded.set(constructor, number);
  register(constructor, number);
}

function register(constructor: new () => Semaphore, number: number): void {
  registerHandle(
    number,
    constructor.prototype,
    () => new constructor(),
    (place) => new SemaphoreCore(place),
  );
}

/** The number of the bounded class that a class is or extends. */
function boundedNumber(constructor: object): number | undefined {
  for (let at = constructor; at !== null; at = Object.getPrototypeOf(at)) {
    const number = bounded.get(at);
    if (number !== undefined) return number;
  }
  return undefined;
}

/** Options of {@linkcode Semaphore}. */
export interface SemaphoreOptions extends SharedOptions {
  /**
   * Whether permits that a process holds come back when it dies. Leave it out
   * for a semaphore that signals: there who takes a permit never gives it back.
   *
   * @default {false}
   */
  recover?: boolean;
}

/**
 * A number of permits that threads and processes take and give.
 *
 * Python: `multiprocessing.Semaphore`; `value` is a property, and `release`
 * takes a count as `threading`'s does.
 *
 * **Ordering**: those who wait are served first come, first served.
 *
 * **Cancel safety**: an aborted or timed-out `acquire` leaves its place in line
 * at once and takes nothing.
 *
 * @example
 * ```ts
 * import { Semaphore } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const semaphore = new Semaphore(2);
 * {
 *   using _guard = await semaphore.acquire();
 *   assertEquals(semaphore.value, 1);
 * }
 * assertEquals(semaphore.value, 2);
 * ```
 */
export class Semaphore implements Disposable {
  static {
    register(this, HandleNumber.Semaphore);
  }

  readonly #reference: Reference;
  /** Where this thread works on the memory itself. */
  readonly #core: SemaphoreCore | undefined;

  /**
   * Makes a semaphore that belongs to this process.
   *
   * @param value How many permits there are at first.
   * @throws {TypeError | RangeError} If `value` is not an integer >= 0.
   */
  constructor(value = 1, options: SemaphoreOptions = {}) {
    checkInteger("create semaphore", "value", value, 0);
    if (value > MAX_PERMITS) {
      throw new RangeError(
        `Cannot create semaphore: "value" must be at most ${MAX_PERMITS}, received ${value}`,
      );
    }
    const number = boundedNumber(new.target);
    const isBounded = number !== undefined;
    this.#reference = claimReference(
      this,
      number ?? HandleNumber.Semaphore,
      () =>
        new SemaphoreCore({
          agent: homes.agentFor("create semaphore", options.home),
        }, {
          value,
          bounded: isBounded,
          tracked: isBounded || options.recover === true,
        }),
    );
    this.#core = this.#reference.direct as SemaphoreCore | undefined;
  }

  /**
   * Waits for a permit and takes it. Resolves to `null` when the `timeout` is
   * over first.
   *
   * @throws {ProcessExitError} If the process that owns it has ended.
   * @throws {ClosedError} If it is closed.
   */
  acquire(options?: WaitOptions & { timeout?: never }): Promise<LockGuard>;
  /** The same with a time-out: resolves to `null` when it is over first. */
  acquire(options: WaitOptions): Promise<LockGuard | null>;
  async acquire(options?: WaitOptions): Promise<LockGuard | null> {
    const { timeout, signal } = checkWait("acquire semaphore", options);
    checkOpen(this.#reference, "acquire the semaphore");
    signal?.throwIfAborted();
    const reference = this.#reference;
    const now = this.#core?.tryAcquire(hub.path) ?? -1;
    if (now >= 0) return new Guard(reference, now);
    const outcome = await reference.call(SemaphoreOp.Acquire, {
      timeout,
      signal,
      undo: (late) => new Guard(reference, late.number).release(),
    });
    return outcome === undefined ? null : new Guard(reference, outcome.number);
  }

  /** Takes a permit if there is one now, else resolves to `null`. */
  tryAcquire(): Promise<LockGuard | null> {
    return this.acquire({ timeout: 0 });
  }

  /**
   * The blocking form of `acquire`: stops the event loop.
   *
   * @throws {InvalidStateError} If nothing could end the wait: no other thread
   * or process reaches the semaphore's memory.
   */
  acquireSync(options?: { timeout?: never }): LockGuard;
  /** The same with a time-out: gives `null` when it is over first. */
  acquireSync(options: WaitSyncOptions): LockGuard | null;
  acquireSync(options?: WaitSyncOptions): LockGuard | null {
    const { timeout } = checkWait("acquire semaphore", options);
    checkOpen(this.#reference, "acquire the semaphore");
    const reference = this.#reference;
    const now = this.#core?.tryAcquire(hub.path) ?? -1;
    if (now >= 0) return new Guard(reference, now);
    const outcome = reference.callSync(SemaphoreOp.Acquire, { timeout });
    return outcome === undefined ? null : new Guard(reference, outcome.number);
  }

  /**
   * Gives permits, whoever took them. Needs no `await`.
   *
   * @param count How many.
   * @throws {RangeError} If `count` is not an integer >= 1.
   * @throws {InvalidStateError} If there would be too many; nothing changes
   * then. Where the semaphore is out of reach the error comes with the next
   * awaited call, or at the end of the process.
   */
  release(count = 1): void {
    checkInteger("release semaphore", "count", count, 1);
    checkOpen(this.#reference, "release the semaphore");
    this.#reference.cast(SemaphoreOp.Release, count);
  }

  /**
   * How many permits are there at this moment. Python: `get_value()`.
   *
   * A process that neither owns the semaphore nor reaches its memory asks the
   * owner and blocks until it answers; `InvalidStateError` where that cannot be
   * done.
   */
  get value(): number {
    checkOpen(this.#reference, "read the semaphore");
    if (this.#core !== undefined) return this.#core.value;
    return this.#reference.callSync(SemaphoreOp.Value)!.number;
  }

  /**
   * Lets go of the semaphore. In its owner this ends it for everybody: whoever
   * waits gets a {@linkcode ClosedError}. Idempotent.
   */
  close(): void {
    closeShared(this.#reference, "semaphore");
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
