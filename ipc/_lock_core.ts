// Copyright 2026 the multitask authors. MIT license.
// The lock as it lives in its owner.
//
// The HOLDER word says which acquisition holds the lock (0: free); who made it
// is kept beside it, so that the death of a process frees what it held and the
// next holder learns of it. A release hands over to the first waiter directly:
// nobody can barge in between.
//
//   free --acquire--> held --release--> free, or held by the first waiter
//                     held --holder dies--> the same, and marked abandoned

import { hub } from "./_hub.ts";
import {
  type Operation,
  type Reply,
  type SharedObject,
  Status,
  type Withdraw,
} from "./_shared_object.ts";
import { InvalidStateError } from "./errors.ts";
import { WAIT_QUEUE_WORDS, WaitQueue } from "./_wait_queue.ts";
import { SharedWords, type Words } from "./_words.ts";

/** Operations on a lock. */
export const LockOp = {
  /** Gives the acquisition, twice, plus 1 when it was abandoned. */
  Acquire: 1,
  /** Of this acquisition; 0 is whichever holds it. */
  Release: 2,
  IsLocked: 3,
} as const;

const HOLDER = 0;
const LAST = 1;
const ABANDONED = 2;
const WAITERS = 3;
const WORDS = WAITERS + WAIT_QUEUE_WORDS;

const FREE = 0;

/** A mutual exclusion lock with a known holder. See the file comment. */
export class LockCore implements SharedObject {
  readonly #words: Words = new SharedWords(WORDS);
  readonly #waiters = new WaitQueue(this.#words, WAITERS);
  #holderPath = "";

  get locked(): boolean {
    return this.#words.load(HOLDER) !== FREE;
  }

  perform(operation: Operation, reply: Reply): Withdraw | undefined {
    switch (operation.code) {
      case LockOp.Acquire:
        return this.#acquire(operation.caller, reply);
      case LockOp.Release:
        this.#release(operation.number);
        reply(Status.Done, 0);
        return undefined;
      case LockOp.IsLocked:
        reply(Status.Done, this.locked ? 1 : 0);
        return undefined;
      default:
        throw new RangeError(`Cannot do operation ${operation.code} on a lock`);
    }
  }

  #acquire(caller: string, reply: Reply): Withdraw | undefined {
    const grant = () => {
      // Acquisitions are numbered from 1; 0 means free.
      let acquisition = (this.#words.add(LAST, 1) + 1) >>> 0;
      if (acquisition === FREE) acquisition = this.#words.add(LAST, 1) + 1;
      this.#words.store(HOLDER, acquisition);
      this.#holderPath = caller;
      const abandoned = this.#words.load(ABANDONED);
      this.#words.store(ABANDONED, 0);
      reply(Status.Done, acquisition * 2 + abandoned);
    };
    if (!this.locked) {
      grant();
      return undefined;
    }
    return this.#waiters.push({
      turn: grant,
      fail: (error) => reply(Status.Failed, 0, hub.pack(error)),
    });
  }

  #release(acquisition: number): void {
    const holder = this.#words.load(HOLDER) >>> 0;
    if (acquisition === FREE && holder === FREE) {
      throw new InvalidStateError("Cannot release a lock that is not held");
    }
    // A guard that outlived its hold frees nobody else's.
    if (acquisition !== FREE && acquisition !== holder) return;
    this.#free();
  }

  #free(): void {
    this.#words.store(HOLDER, FREE);
    this.#waiters.shift();
  }

  holderGone(isGone: (path: string) => boolean): void {
    if (!this.locked || !isGone(this.#holderPath)) return;
    this.#words.store(ABANDONED, 1);
    this.#free();
  }

  destroy(error: Error): void {
    this.#waiters.failAll(error);
  }
}
