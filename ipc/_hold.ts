// Copyright 2026 the multitask authors. MIT license.
// The hold of a lock in this process, as Lock, RLock and Condition know it.

import { LockCore, LockOp } from "./_lock_core.ts";
import type { Reference } from "./_reference.ts";

/**
 * One acquisition of a lock. A condition gives it up for a while: it is the
 * same hold for its guards when it has come back.
 *
 *   held --release--> released
 *    \ ^--resume-- suspended --release--> released (and nothing to give back)
 */
export class Hold {
  readonly #reference: Reference;
  #acquisition: number;
  abandoned: boolean;
  /** Called when it holds again: it is the last hold of this thread then. */
  onResume: (() => void) | undefined;

  /** From what an acquire gave. */
  constructor(reference: Reference, outcome: number) {
    this.#reference = reference;
    this.#acquisition = Math.floor(outcome / 2);
    this.abandoned = outcome % 2 === 1;
  }

  /** Whether it holds, as far as is known here. */
  get isHeld(): boolean {
    if (this.#acquisition === 0) return false;
    const { direct } = this.#reference;
    return direct instanceof LockCore
      ? direct.heldHere === this.#acquisition
      : true;
  }

  /** Gives the lock back. Idempotent. */
  release(): void {
    const reference = this.#reference;
    const acquisition = this.#acquisition;
    if (acquisition === 0) return;
    // What its owner has closed is gone for all; elsewhere only the way to it
    // was let go of, and whoever waits there still waits.
    if (reference.closed && reference.object) return;
    this.#acquisition = 0;
    const { direct } = reference;
    if (direct !== undefined) (direct as LockCore).release(acquisition);
    else reference.cast(LockOp.Release, acquisition);
  }

  /** Takes the lock back after a `release`. */
  async resume(): Promise<void> {
    // Without a limit: it is done when it is done, or fails.
    const outcome = await this.#reference.call(LockOp.Acquire);
    this.#resumed(outcome!.number);
  }

  /** The same, blocking. */
  resumeSync(): void {
    this.#resumed(this.#reference.callSync(LockOp.Acquire)!.number);
  }

  #resumed(outcome: number): void {
    this.#acquisition = Math.floor(outcome / 2);
    this.abandoned ||= outcome % 2 === 1;
    this.onResume?.();
  }
}
