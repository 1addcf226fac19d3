// Copyright 2026 the multitask authors. MIT license.
// A queue as guests of a manager work with it: that of ipc, and leases.
//
// An item and its leases:
//
//   queued --get--> gone
//     |  ^
//   lease \--fail, ttl over, guest gone, given back--.
//     v                                               \
//   leased(fence) ---------ack---> done                |
//     \--the same, and it was the last attempt--> dead
//
// - Each lease has a fence, greater than all before. Only the lease that an item
//   has at this moment can be acknowledged, failed or extended: a fence that is not
//   in `#leases` is refused. So nothing is completed twice.
// - An item is in the queue of ipc, or in `#back`, or in one lease, or in `#dead`,
//   or gone. What came back is served before what was never taken.
// - A lease with a `ttl` lasts so long, whatever becomes of the guest's lines; one
//   without lasts as long as the guest's session.
// - Who waits is served first come, first served: by the queue of ipc, where each
//   has a `get` of its own, or by what comes back, which goes to the oldest. The
//   `get` that lost gives its item back.
// - A queue that is shut down is not over while items are leased: they may come
//   back.

import { Deque } from "../ipc/_deque.ts";
import { checkInteger, checkNonNegative } from "../ipc/_options.ts";
import { type Waiter, waitFor } from "../ipc/_waiting.ts";
import {
  InvalidStateError,
  LeaseLostError,
  QueueEmptyError,
  QueueShutDownError,
} from "../ipc/errors.ts";
import { JoinableQueue } from "../ipc/joinable_queue.ts";
import { putNow, type Queue, takeNow } from "../ipc/queue.ts";
import { Fences } from "./_fence.ts";
import { startLapse } from "./_lapse.ts";
import {
  type CallContext,
  callOf,
  type Hold,
  type Holder,
  type Methods,
  type Servant,
  waitOf,
} from "./_servant.ts";
import { Kind, NO_SHAPE } from "./_wire.ts";

/** How often an item is tried, if nothing else is said. */
export const MAX_ATTEMPTS = 5;

/** An item, and what has become of it so far. */
interface Item {
  readonly value: unknown;
  attempts: number;
  /** Why the last attempt failed. */
  error: unknown;
}

/** An item that was tried too often. */
export interface DeadLetter<T = unknown> {
  /** The item. */
  readonly value: T;
  /** How often it was tried. */
  readonly attempts: number;
  /** Why the last attempt failed. */
  readonly error: unknown;
}

/** A lease as it crosses. */
export interface LeaseGrant {
  readonly value: unknown;
  readonly attempt: number;
  readonly fence: number;
}

interface Lease extends Hold {
  readonly fence: number;
  readonly item: Item;
  readonly maxAttempts: number;
  readonly guest: Holder;
  stopTimer: (() => void) | undefined;
}

interface Waiting extends Waiter<Item> {
  readonly stop: AbortController;
  isOver: boolean;
  /** The queue has ended; what is leased may still come back. */
  ended: unknown;
}

/** Why a `get` of ipc is given up. */
const NOT_NEEDED = new InvalidStateError("Something came back");

/** See the file comment. */
export class QueueServant implements Servant {
  readonly kind = Kind.Queue;
  readonly shape = NO_SHAPE;
  readonly keepsProxies = true;
  readonly #queue: Queue;
  readonly #maxAttempts: number;
  readonly #back = new Deque<Item>();
  readonly #waiting = new Set<Waiting>();
  readonly #leases = new Map<number, Lease>();
  #dead: Item[] = [];
  readonly #fences = new Fences();

  constructor(queue: Queue, maxAttempts = MAX_ATTEMPTS) {
    this.#queue = queue;
    this.#maxAttempts = maxAttempts;
  }

  call(method: string, args: readonly unknown[], context: CallContext) {
    return callOf(METHODS, this, method, args, context);
  }

  get size(): number {
    return this.#queue.size + this.#back.length;
  }

  get queue(): Queue {
    return this.#queue;
  }

  get dead(): readonly DeadLetter[] {
    return this.#dead.map(({ value, attempts, error }) => ({
      value,
      attempts,
      error,
    }));
  }

  // ---- Taking ----

  get(context: CallContext): unknown {
    const item = this.#takeNow(context);
    if (item instanceof Promise) {
      return item.then((item) => this.#got(item, context));
    }
    return this.#got(item, context);
  }

  #got(item: Item, context: CallContext): unknown {
    context.undo = () => this.#giveBack(item);
    return item.value;
  }

  #takeNow(context: CallContext): Item | Promise<Item> {
    const back = this.#back.shift();
    if (back !== undefined) return back;
    // Who waits was here before.
    const now = this.#waiting.size > 0 ? undefined : this.#tryQueue();
    if (now !== undefined) return newItem(now.value);
    return this.#wait(context);
  }

  #tryQueue(): { value: unknown } | undefined {
    try {
      return takeNow(this.#queue);
    } catch (error) {
      if (error instanceof QueueShutDownError && this.#mayComeBack) {
        return undefined;
      }
      throw error;
    }
  }

  async #wait({ timeout, signal }: CallContext): Promise<Item> {
    if (timeout === 0 && !this.#mayComeBack) {
      return newItem(await this.#queue.get({ timeout, signal }));
    }
    const item = await waitFor<Item>({ timeout, signal }, (waiter) => {
      const waiting: Waiting = {
        ...waiter,
        stop: new AbortController(),
        isOver: false,
        ended: undefined,
      };
      this.#waiting.add(waiting);
      this.#fetch(waiting);
      return () => this.#leave(waiting);
    });
    if (item !== undefined) return item;
    throw new QueueEmptyError(
      timeout
        ? `The queue stayed empty for ${timeout} ms`
        : "The queue is empty",
    );
  }

  /** Whether items may come that the queue of ipc does not know of. */
  get #mayComeBack(): boolean {
    return this.#leases.size > 0;
  }

  async #fetch(waiting: Waiting): Promise<void> {
    try {
      const value = await this.#queue.get({ signal: waiting.stop.signal });
      const item = newItem(value);
      if (waiting.isOver) return this.#giveBack(item);
      this.#leave(waiting);
      waiting.resolve(item);
    } catch (error) {
      if (waiting.isOver) return;
      waiting.ended = error;
      if (error instanceof QueueShutDownError && this.#mayComeBack) return;
      this.#leave(waiting);
      waiting.reject(error);
    }
  }

  #leave(waiting: Waiting): void {
    waiting.isOver = true;
    this.#waiting.delete(waiting);
    waiting.stop.abort(NOT_NEEDED);
  }

  /** An item is there again: the oldest who waits gets it. */
  #giveBack(item: Item, isLast = false): void {
    for (const waiting of this.#waiting) {
      this.#leave(waiting);
      waiting.resolve(item);
      return;
    }
    if (isLast) this.#back.push(item);
    else this.#back.unshift(item);
  }

  /** Nothing comes back any more: who waits at the end of the queue is told. */
  #checkEnd(): void {
    if (this.#mayComeBack) return;
    for (const waiting of [...this.#waiting]) {
      if (waiting.ended === undefined) continue;
      this.#leave(waiting);
      waiting.reject(waiting.ended);
    }
  }

  /** What was got and could not be used is the next item again. */
  unget(value: unknown): void {
    this.#giveBack(newItem(value));
  }

  // ---- Leases ----

  lease(
    context: CallContext,
    ttl: number | undefined,
    maxAttempts: number = this.#maxAttempts,
  ): LeaseGrant | Promise<LeaseGrant> {
    const item = this.#takeNow(context);
    if (item instanceof Promise) {
      return item.then((item) => this.#grant(item, context, ttl, maxAttempts));
    }
    return this.#grant(item, context, ttl, maxAttempts);
  }

  #grant(
    item: Item,
    context: CallContext,
    ttl: number | undefined,
    maxAttempts: number,
  ): LeaseGrant {
    const fence = this.#fences.next();
    const { guest } = context;
    const lease: Lease = {
      fence,
      item,
      maxAttempts,
      guest,
      stopTimer: undefined,
      guestGone: () => this.#expire(fence, "its holder was gone"),
    };
    this.#leases.set(fence, lease);
    if (ttl === undefined) guest.holds.add(lease);
    else this.#startTimer(lease, ttl);
    item.attempts++;
    context.undo = () => this.giveBack(fence);
    return { value: item.value, attempt: item.attempts, fence };
  }

  #startTimer(lease: Lease, ttl: number): void {
    lease.stopTimer?.();
    lease.stopTimer = startLapse(
      () => this.#expire(lease.fence, `its time of ${ttl} ms was up`),
      ttl,
    );
  }

  /** Ends a lease; throws when it is over already. */
  #end(fence: number, action: string): Lease {
    const lease = this.#find(fence, action);
    this.#leases.delete(fence);
    lease.guest.holds.delete(lease);
    lease.stopTimer?.();
    return lease;
  }

  #find(fence: number, action: string): Lease {
    const lease = this.#leases.get(fence);
    if (lease !== undefined) return lease;
    throw new LeaseLostError(
      `Cannot ${action} the item: its lease ${fence} is over`,
      { fence },
    );
  }

  #expire(fence: number, why: string): void {
    if (!this.#leases.has(fence)) return;
    this.#failed(
      this.#end(fence, "expire"),
      new LeaseLostError(`The lease ${fence} is over: ${why}`, { fence }),
    );
  }

  ack(fence: number): void {
    this.#end(fence, "acknowledge");
    this.#done();
    this.#checkEnd();
  }

  #done(): void {
    if (this.#queue instanceof JoinableQueue) this.#queue.taskDone();
  }

  fail(fence: number, error: unknown): void {
    this.#failed(this.#end(fence, "fail"), error);
  }

  #failed({ item, maxAttempts }: Lease, error: unknown): void {
    item.error = error;
    if (item.attempts >= maxAttempts) {
      this.#dead.push(item);
      this.#done();
    } else this.#giveBack(item, true);
    this.#checkEnd();
  }

  /** The holder has not begun: that was no attempt. */
  giveBack(fence: number): void {
    const { item } = this.#end(fence, "give back");
    item.attempts--;
    this.#giveBack(item);
    this.#checkEnd();
  }

  extend(fence: number, ttl: number): void {
    const lease = this.#find(fence, "extend the lease of");
    lease.guest.holds.delete(lease);
    this.#startTimer(lease, ttl);
  }

  /** Dead items are tried again, as if they were new. */
  retryDead(): number {
    const dead = this.#dead;
    this.#dead = [];
    for (const { value } of dead) this.#giveBack(newItem(value), true);
    return dead.length;
  }

  // ---- Putting ----

  put(value: unknown, context: CallContext): Promise<void> | void {
    if (putNow(this.#queue, value)) return;
    return this.#queue.put(value, waitOf(context));
  }

  shutdown(immediate: boolean): void {
    if (immediate) { while (this.#back.shift() !== undefined); }
    this.#queue.shutdown({ immediate });
    this.#checkEnd();
  }

  taskDone(): void {
    this.#joinable.taskDone();
  }

  join(context: CallContext): Promise<void> {
    return this.#joinable.join(waitOf(context));
  }

  get #joinable(): JoinableQueue {
    if (this.#queue instanceof JoinableQueue) return this.#queue;
    throw new InvalidStateError(
      "Cannot wait for items to be done: the queue is no JoinableQueue",
    );
  }

  get isBusy(): boolean {
    return this.#leases.size > 0;
  }

  end(): void {
    for (const { stopTimer } of this.#leases.values()) stopTimer?.();
    this.#leases.clear();
  }
}

function newItem(value: unknown): Item {
  return { value, attempts: 0, error: undefined };
}

function fenceOf(value: unknown): number {
  checkInteger("use a lease", "fence", value, 0);
  return value as number;
}

/** Checks a time to live; `undefined` where it is left out. */
export function checkTtl(action: string, ttl: unknown): number | undefined {
  if (ttl === undefined) return undefined;
  checkNonNegative(action, "ttl", ttl);
  if (ttl === 0) {
    throw new RangeError(`Cannot ${action}: "ttl" must be > 0, received 0`);
  }
  return ttl as number;
}

/** Checks how often something may be tried. */
export function checkAttempts(
  action: string,
  attempts: unknown,
): number | undefined {
  if (attempts === undefined) return undefined;
  checkInteger(action, "maxAttempts", attempts, 1);
  return attempts as number;
}

const METHODS: Methods<QueueServant> = new Map<
  string,
  (
    servant: QueueServant,
    args: readonly unknown[],
    context: CallContext,
  ) => unknown
>([
  ["get", (queue, _, context) => queue.get(context)],
  ["put", (queue, [value], context) => queue.put(value, context)],
  ["unget", (queue, [value]) => queue.unget(value)],
  ["lease", (queue, [ttl, attempts], context) =>
    queue.lease(
      context,
      checkTtl("lease", ttl),
      checkAttempts("lease", attempts),
    )],
  ["ack", (queue, [fence]) => queue.ack(fenceOf(fence))],
  ["fail", (queue, [fence, error]) => queue.fail(fenceOf(fence), error)],
  ["giveBack", (queue, [fence]) => queue.giveBack(fenceOf(fence))],
  [
    "extend",
    (queue, [fence, ttl]) =>
      queue.extend(fenceOf(fence), checkTtl("extend the lease", ttl ?? 0)!),
  ],
  ["deadLetters", (queue) => queue.dead],
  ["retryDeadLetters", (queue) => queue.retryDead()],
  ["size", (queue) => queue.size],
  ["empty", (queue) => queue.size === 0],
  ["full", ({ queue }) => queue.full],
  ["maxsize", ({ queue }) => queue.maxsize],
  ["isShutDown", ({ queue }) => queue.isShutDown],
  ["shutdown", (queue, [immediate]) => queue.shutdown(immediate === true)],
  ["taskDone", (queue) => queue.taskDone()],
  ["join", (queue, _, context) => queue.join(context)],
]);
