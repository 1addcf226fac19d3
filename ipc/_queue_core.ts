// Copyright 2026 the multitask authors. MIT license.
// The queue as it lives in its owner: under Queue, and twice under Pipe.
//
// Invariants, at the end of every operation:
//   - nobody waits to get while an item is there;
//   - nobody waits to put while there is room;
//   - items leave in the order in which they came, a putter that waits comes
//     after all items, and waiters are served first in, first out;
//   - `count` is the number of items.
// An item belongs to the queue from the answer to `put` to the answer to `get`:
// its leases are the owner's for that time, whatever happens to its sender.

import { Deque } from "./_deque.ts";
import { hub } from "./_hub.ts";
import type { Packet } from "./_packet.ts";
import {
  type Operation,
  type Reply,
  type SharedObject,
  Status,
  type Withdraw,
} from "./_shared_object.ts";
import { WAIT_QUEUE_WORDS, type Waiter, WaitQueue } from "./_wait_queue.ts";
import { SharedWords, type Words } from "./_words.ts";

/** Operations on a queue. */
export const QueueOp = {
  Put: 1,
  Get: 2,
  /** Gives an item back that came too late: to the front. */
  Unget: 3,
  /** Takes an item back by its number, if it is still there. */
  Withdraw: 4,
  Size: 5,
  /** Number 1: at once, dropping the items. */
  ShutDown: 6,
  /** Waits until a get would not. */
  Ready: 7,
  MaxSize: 8,
  IsShutDown: 9,
} as const;

const COUNT = 0;
const FLAGS = 1;
const GETTERS = 2;
const PUTTERS = GETTERS + WAIT_QUEUE_WORDS;
const WATCHERS = PUTTERS + WAIT_QUEUE_WORDS;
const WORDS = WATCHERS + WAIT_QUEUE_WORDS;

const SHUT_DOWN = 1;

/** What tells one kind of queue from another. */
export interface QueueKind {
  /** How much fits; 0 is without a limit. */
  readonly limit: number;
  /** What an item takes of it. */
  readonly costOf: (packet: Packet) => number;
  /** What whoever puts, or gets from the empty queue, is told after the end. */
  readonly ended: (action: "put" | "get") => Error;
}

interface Putter extends Waiter {
  readonly cost: number;
}

interface Item {
  readonly number: number;
  readonly packet: Packet;
  readonly cost: number;
}

/** A first-in first-out queue of packets. See the file comment. */
export class QueueCore implements SharedObject {
  readonly #kind: QueueKind;
  readonly #words: Words = new SharedWords(WORDS);
  readonly #getters = new WaitQueue(this.#words, GETTERS);
  readonly #putters = new WaitQueue<Putter>(this.#words, PUTTERS);
  readonly #items = new Deque<Item>();
  /** Those who only want to know that there is something to get. */
  readonly #watchers = new WaitQueue(this.#words, WATCHERS);
  #used = 0;
  /** Whether the items were dropped, and with them what comes back late. */
  #dropped = false;
  #nextNumber = 1;

  constructor(kind: QueueKind) {
    this.#kind = kind;
  }

  get size(): number {
    return this.#words.load(COUNT);
  }

  get isShutDown(): boolean {
    return (this.#words.load(FLAGS) & SHUT_DOWN) !== 0;
  }

  perform(operation: Operation, reply: Reply): Withdraw | undefined {
    switch (operation.code) {
      case QueueOp.Put:
        return this.#put(operation, reply);
      case QueueOp.Get:
        return this.#get(operation.caller, reply);
      case QueueOp.Unget:
        this.#unget(operation);
        break;
      case QueueOp.Withdraw:
        this.#withdraw(operation.number);
        break;
      case QueueOp.ShutDown:
        this.shutDown(operation.number === 1);
        break;
      case QueueOp.Ready:
        return this.#ready(reply);
      case QueueOp.Size:
        reply(Status.Done, this.size);
        return;
      case QueueOp.MaxSize:
        reply(Status.Done, this.#kind.limit);
        return;
      case QueueOp.IsShutDown:
        reply(Status.Done, this.isShutDown ? 1 : 0);
        return;
      default:
        throw new RangeError(
          `Cannot do operation ${operation.code} on a queue`,
        );
    }
    reply(Status.Done, 0);
    return undefined;
  }

  #hasRoom(cost: number): boolean {
    const { limit } = this.#kind;
    // An item larger than the whole limit fits when nothing else is there.
    return limit === 0 || this.#used + cost <= limit ||
      this.#items.length === 0;
  }

  #put(operation: Operation, reply: Reply): Withdraw | undefined {
    const packet = operation.packet!;
    if (this.isShutDown) {
      hub.dropPacket(packet);
      throw this.#kind.ended("put");
    }
    const cost = this.#kind.costOf(packet);
    const accept = () => {
      hub.adoptPacket(packet);
      const number = this.#nextNumber++;
      this.#add({ number, packet, cost });
      reply(Status.Done, number);
    };
    if (this.#putters.size === 0 && this.#hasRoom(cost)) {
      accept();
      this.#serve();
      return undefined;
    }
    const leave = this.#putters.push({
      cost,
      turn: accept,
      fail: (error) => {
        hub.dropPacket(packet);
        reply(Status.Failed, 0, hub.pack(error));
      },
    });
    return () => {
      leave();
      hub.dropPacket(packet);
      // The one behind may fit where this one did not.
      this.#serve();
    };
  }

  #get(caller: string, reply: Reply): Withdraw | undefined {
    const deliver = () => {
      const item = this.#remove();
      hub.handOver(item.packet, caller);
      reply(Status.Done, item.number, item.packet);
    };
    if (this.#items.length > 0) {
      deliver();
      this.#serve();
      return undefined;
    }
    if (this.isShutDown) throw this.#kind.ended("get");
    return this.#getters.push({
      turn: deliver,
      fail: (error) => reply(Status.Failed, 0, hub.pack(error)),
    });
  }

  #add(item: Item): void {
    this.#items.push(item);
    this.#used += item.cost;
    this.#words.add(COUNT, 1);
  }

  #remove(): Item {
    const item = this.#items.shift()!;
    this.#used -= item.cost;
    this.#words.add(COUNT, -1);
    return item;
  }

  /** Restores the invariants after a change. */
  #serve(): void {
    while (true) {
      if (this.#items.length > 0 && this.#getters.shift()) continue;
      const first = this.#putters.peek();
      if (first === undefined || !this.#hasRoom(first.cost)) break;
      this.#putters.shift();
    }
    if (this.#isReady()) this.#wakeWatchers();
  }

  #wakeWatchers(): void {
    for (let left = this.#watchers.size; left > 0; left--) {
      this.#watchers.shift();
    }
  }

  #unget(operation: Operation): void {
    const packet = operation.packet!;
    if (this.#dropped) return hub.dropPacket(packet);
    hub.adoptPacket(packet);
    const cost = this.#kind.costOf(packet);
    this.#items.unshift({ number: operation.number, packet, cost });
    this.#used += cost;
    this.#words.add(COUNT, 1);
    this.#serve();
  }

  #withdraw(number: number): void {
    const item = this.#items.remove((item) => item.number === number);
    if (item === undefined) return;
    this.#used -= item.cost;
    this.#words.add(COUNT, -1);
    hub.dropPacket(item.packet);
    this.#serve();
  }

  #isReady(): boolean {
    return this.#items.length > 0 || this.isShutDown;
  }

  #ready(reply: Reply): Withdraw | undefined {
    if (this.#isReady()) {
      reply(Status.Done, 0);
      return undefined;
    }
    return this.#watchers.push({
      turn: () => reply(Status.Done, 0),
      fail: (error) => reply(Status.Failed, 0, hub.pack(error)),
    });
  }

  /** Takes no more; gets go on until it is empty. */
  shutDown(immediate: boolean): void {
    this.#end(this.#kind.ended("put"), this.#kind.ended("get"));
    if (immediate) this.#dropItems();
    this.#wakeWatchers();
  }

  #end(forPutters: Error, forGetters: Error): void {
    if (!this.isShutDown) this.#words.add(FLAGS, SHUT_DOWN);
    // Getters that wait do so because the queue is empty.
    this.#putters.failAll(forPutters);
    this.#getters.failAll(forGetters);
  }

  #dropItems(): void {
    this.#dropped = true;
    while (this.#items.length > 0) hub.dropPacket(this.#remove().packet);
  }

  holderGone(_isGone: (path: string) => boolean): void {
    // Items outlive whoever put them; the hub withdraws waiters.
  }

  destroy(error: Error): void {
    this.#end(error, error);
    this.#watchers.failAll(error);
    this.#dropItems();
  }
}
