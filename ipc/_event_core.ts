// Copyright 2026 the multitask authors. MIT license.
// The event as it lives in its owner: a flag, and those who wait for it.

import { hub } from "./_hub.ts";
import {
  type Operation,
  type Reply,
  type SharedObject,
  Status,
  type Withdraw,
} from "./_shared_object.ts";
import { WAIT_QUEUE_WORDS, WaitQueue } from "./_wait_queue.ts";
import { SharedWords, type Words } from "./_words.ts";

/** Operations on an event. */
export const EventOp = { Set: 1, Clear: 2, Wait: 3, IsSet: 4 } as const;

const FLAG = 0;
const WAITERS = 1;
const WORDS = WAITERS + WAIT_QUEUE_WORDS;

/** A flag to wait for. Everybody who waits when it is set is woken. */
export class EventCore implements SharedObject {
  readonly #words: Words = new SharedWords(WORDS);
  readonly #waiters = new WaitQueue(this.#words, WAITERS);

  get isSet(): boolean {
    return this.#words.load(FLAG) === 1;
  }

  perform(operation: Operation, reply: Reply): Withdraw | undefined {
    switch (operation.code) {
      case EventOp.Set:
        this.#words.store(FLAG, 1);
        // Whoever starts to wait while these are told waits for the next set.
        for (let left = this.#waiters.size; left > 0; left--) {
          this.#waiters.shift();
        }
        break;
      case EventOp.Clear:
        this.#words.store(FLAG, 0);
        break;
      case EventOp.Wait:
        return this.#wait(reply);
      case EventOp.IsSet:
        reply(Status.Done, this.isSet ? 1 : 0);
        return undefined;
      default:
        throw new RangeError(
          `Cannot do operation ${operation.code} on an event`,
        );
    }
    reply(Status.Done, 0);
    return undefined;
  }

  #wait(reply: Reply): Withdraw | undefined {
    if (this.isSet) {
      reply(Status.Done, 0);
      return undefined;
    }
    return this.#waiters.push({
      turn: () => reply(Status.Done, 0),
      fail: (error) => reply(Status.Failed, 0, hub.pack(error)),
    });
  }

  holderGone(_isGone: (path: string) => boolean): void {
    // Nobody holds an event; the hub withdraws waiters.
  }

  destroy(error: Error): void {
    this.#waiters.failAll(error);
  }
}
