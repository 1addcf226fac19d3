// Copyright 2026 the multitask authors. MIT license.
// The hold of a lock in this process, as Lock, RLock and Condition know it.

import { type LockCore, LockOp, TAKEN, TAKEN_ABANDONED } from "./_lock_core.ts";
import type { Reference } from "./_reference.ts";

/** A lock as this thread sees it. */
export interface LockHere<H extends Hold = Hold> {
  readonly reference: Reference;
  /** Where this thread works on the memory itself. */
  readonly core: LockCore | undefined;
  /** The last hold that was made here. */
  last: H | undefined;
}

/** Gives back what an acquire gave that nobody waits for any more. */
export function giveBack(reference: Reference, outcome: number): void {
  reference.cast(LockOp.Release, Math.floor(outcome / 2));
}

/**
 * One acquisition of a lock. A condition gives it up for a while: it is the
 * same hold for its guards when it has come back.
 *
 *   held --release--> released
 *    \ ^--resume-- suspended --release--> released (and nothing to give back)
 *
 * Where the memory is within reach, the core knows the hold itself; elsewhere
 * the owner knows it by the number of its acquisition.
 */
export class Hold {
  readonly #lock: LockHere;
  #acquisition = 0;
  abandoned: boolean;

  /** From what an acquire gave. */
  constructor(lock: LockHere, outcome: number) {
    this.#lock = lock;
    this.abandoned = outcome === TAKEN_ABANDONED;
    if (outcome <= TAKEN_ABANDONED) {
      this.#acquisition = TAKEN;
      lock.core!.holder = this;
      lock.last = this;
    } else this.#begin(outcome);
  }

  #begin(outcome: number): void {
    this.#acquisition = Math.floor(outcome / 2);
    this.abandoned ||= outcome % 2 === 1;
    this.#lock.core?.adopt(this.#acquisition, this);
    this.#lock.last = this;
  }

  /** Whether it holds, as far as is known here. */
  get isHeld(): boolean {
    if (this.#acquisition === 0) return false;
    return this.#lock.core?.isHeldBy(this) ?? true;
  }

  /** Gives the lock back. Idempotent. */
  release(): void {
    const acquisition = this.#acquisition;
    if (acquisition === 0) return;
    this.#acquisition = 0;
    const { core, reference } = this.#lock;
    // What was let go of elsewhere is still held for whoever waits there.
    if (core !== undefined) core.releaseOf(this);
    else reference.cast(LockOp.Release, acquisition);
  }

  /** The same, for `using`. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** Takes the lock back after a `release`. */
  async resume(): Promise<void> {
    // Without a limit: it is done when it is done, or fails.
    const outcome = await this.#lock.reference.call(LockOp.Acquire);
    this.#begin(outcome!.number);
  }

  /** The same, blocking. */
  resumeSync(): void {
    this.#begin(this.#lock.reference.callSync(LockOp.Acquire)!.number);
  }
}
