// Copyright 2026 the multitask authors. MIT license.
// The one wait queue under all primitives: first in, first out, over shared
// words, with a waiter taken out at once when it gives up.
//
// A waiter is a ticket in a ring of words; what happens when its turn comes is
// kept by the thread that waits. The ring is short; tickets of this
// thread that do not fit stand in line behind it, in order, and move up.
//
// States of a ticket, changed only here and only under the guard word:
//
//   lined up --(room in the ring)--> in the ring --(first)--> its turn, or fails
//       \________________________________\__________________> left
//
// A ticket that leaves from the middle leaves a gap (0) behind: nobody moves.

import type { Words } from "./_words.ts";

/** Words of a wait queue, relative to its base. */
const GUARD = 0;
const HEAD = 1;
const TAIL = 2;
const WAITING = 3;
const RING = 4;

/** Tickets in the ring: a power of two. A guess that fits most queues. */
const RING_SIZE = 16;

/** How many words a wait queue takes. */
export const WAIT_QUEUE_WORDS = RING + RING_SIZE;

const FREE = 0;
const TAKEN = 1;
const CONTENDED = 2;

/** Somebody who waits in a queue. Just one of the two is called, once. */
export interface Waiter {
  /** It is this waiter's turn. */
  turn(): void;
  /** The wait is over in vain. */
  fail(error: Error): void;
}

/** A first-in first-out queue of waiters. See the file comment. */
export class WaitQueue<W extends Waiter = Waiter> {
  readonly #words: Words;
  readonly #base: number;
  readonly #waiters = new Map<number, W>();
  readonly #line: number[] = [];
  #nextTicket = 1;

  constructor(words: Words, base: number) {
    this.#words = words;
    this.#base = base;
  }

  /** How many wait. */
  get size(): number {
    return this.#words.load(this.#base + WAITING);
  }

  /** Waits in line; gives how to leave it before the turn has come. */
  push(waiter: W): () => void {
    const ticket = this.#nextTicket;
    // 0 is a gap; after 2^31 tickets the numbers start anew.
    this.#nextTicket = ticket === 0x7fffffff ? 1 : ticket + 1;
    this.#waiters.set(ticket, waiter);
    this.#guarded(() => {
      this.#words.add(this.#base + WAITING, 1);
      if (this.#line.length > 0 || !this.#enter(ticket)) {
        this.#line.push(ticket);
      }
    });
    return () => this.#remove(ticket);
  }

  /** Who is first in line. */
  peek(): W | undefined {
    const ticket = this.#guarded(() => this.#first());
    return this.#waiters.get(ticket);
  }

  /** Gives the first waiter its turn; false when nobody waits. */
  shift(): boolean {
    const waiter = this.#take();
    waiter?.turn();
    return waiter !== undefined;
  }

  /** Ends every wait that is under way. */
  failAll(error: Error): void {
    for (let left = this.size; left > 0; left--) this.#take()?.fail(error);
  }

  #take(): W | undefined {
    const ticket = this.#guarded(() => {
      const first = this.#first();
      if (first !== 0) this.#leave(first);
      return first;
    });
    const waiter = this.#waiters.get(ticket);
    this.#waiters.delete(ticket);
    return waiter;
  }

  #remove(ticket: number): void {
    if (!this.#waiters.delete(ticket)) return;
    this.#guarded(() => this.#leave(ticket));
  }

  #slot(position: number): number {
    return this.#base + RING + (position & (RING_SIZE - 1));
  }

  #enter(ticket: number): boolean {
    const words = this.#words;
    const head = words.load(this.#base + HEAD);
    const tail = words.load(this.#base + TAIL);
    if (((tail - head) | 0) >= RING_SIZE) return false;
    words.store(this.#slot(tail), ticket);
    words.store(this.#base + TAIL, (tail + 1) | 0);
    return true;
  }

  /** The ticket at the head, or 0. */
  #first(): number {
    const words = this.#words;
    const head = words.load(this.#base + HEAD);
    return head === words.load(this.#base + TAIL)
      ? 0
      : words.load(this.#slot(head));
  }

  #leave(ticket: number): void {
    const words = this.#words;
    words.add(this.#base + WAITING, -1);
    const tail = words.load(this.#base + TAIL);
    let head = words.load(this.#base + HEAD);
    let at = head;
    while (at !== tail && words.load(this.#slot(at)) !== ticket) {
      at = (at + 1) | 0;
    }
    if (at === tail) {
      this.#line.splice(this.#line.indexOf(ticket), 1);
      return;
    }
    words.store(this.#slot(at), 0);
    // Gaps at the head give their room back at once, so that the head is 0
    // only when nobody is in the ring.
    while (head !== tail && words.load(this.#slot(head)) === 0) {
      head = (head + 1) | 0;
    }
    words.store(this.#base + HEAD, head);
    this.#moveUp();
  }

  #moveUp(): void {
    while (this.#line.length > 0 && this.#enter(this.#line[0]!)) {
      this.#line.shift();
    }
  }

  /** Runs `change` while no other thread changes the queue. */
  #guarded<T>(change: () => T): T {
    const words = this.#words;
    const guard = this.#base + GUARD;
    if (words.compareExchange(guard, FREE, TAKEN) !== FREE) {
      // The classic three-state futex mutex (Drepper, "Futexes Are Tricky").
      while (true) {
        const state = words.compareExchange(guard, TAKEN, CONTENDED);
        if (state === FREE) {
          if (words.compareExchange(guard, FREE, CONTENDED) === FREE) break;
        } else words.wait(guard, CONTENDED, 50);
      }
    }
    try {
      return change();
    } finally {
      if (words.add(guard, -1) !== TAKEN) {
        words.store(guard, FREE);
        words.notify(guard, 1);
      }
    }
  }
}
