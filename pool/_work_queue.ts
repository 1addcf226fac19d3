// Copyright 2026 the multitask authors. MIT license.
// What waits, by priority: the highest first, and first in, first out among
// equals.

import { Deque } from "../ipc/_deque.ts";

interface Rank<T> {
  readonly priority: number;
  queue: Deque<T>;
  /** How many of them are not wanted any more, at most. */
  gone: number;
}

/** So many that are not wanted are not worth a search. */
const FEW = 100;

/** See the file comment. */
export class WorkQueue<T extends { readonly priority: number }> {
  readonly #isWanted: (work: T) => boolean;
  readonly #ranks = new Map<number, Rank<T>>();
  /** Those that may have something: a heap, the highest priority first. */
  readonly #heap: Rank<T>[] = [];

  constructor(isWanted: (work: T) => boolean) {
    this.#isWanted = isWanted;
  }

  #queueOf(priority: number): Deque<T> {
    const known = this.#ranks.get(priority);
    if (known !== undefined) return known.queue;
    const rank = { priority, queue: new Deque<T>(), gone: 0 };
    this.#ranks.set(priority, rank);
    const heap = this.#heap;
    let at = heap.push(rank) - 1;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (heap[parent]!.priority >= priority) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = rank;
    return rank.queue;
  }

  push(work: T): void {
    this.#queueOf(work.priority).push(work);
  }

  /** Puts it before all others of its priority. */
  unshift(work: T): void {
    this.#queueOf(work.priority).unshift(work);
  }

  /**
   * One of them is not wanted any more. It may stay: only when half of them
   * are such, these are taken out.
   */
  left({ priority }: T): void {
    const rank = this.#ranks.get(priority);
    if (rank === undefined) return;
    rank.gone++;
    if (rank.gone < FEW || rank.gone * 2 < rank.queue.length) return;
    const wanted = new Deque<T>();
    for (const work of rank.queue) {
      if (this.#isWanted(work)) wanted.push(work);
    }
    rank.queue = wanted;
    rank.gone = 0;
  }

  /** Takes it out, wherever it is: for rare use. */
  remove(work: T): void {
    this.#ranks.get(work.priority)?.queue.remove((one) => one === work);
  }

  /** Those that go first, in order; `undefined` when there is nothing. */
  get first(): Deque<T> | undefined {
    while (this.#heap.length > 0) {
      const { priority, queue } = this.#heap[0]!;
      if (queue.length > 0) return queue;
      this.#ranks.delete(priority);
      this.#dropFirst();
    }
    return undefined;
  }

  #dropFirst(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    const { length } = heap;
    if (length === 0) return;
    let at = 0;
    while (true) {
      let child = 2 * at + 1;
      if (child >= length) break;
      const other = heap[child + 1];
      if (other !== undefined && other.priority > heap[child]!.priority) {
        child++;
      }
      if (heap[child]!.priority <= last.priority) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }

  get isEmpty(): boolean {
    return this.first === undefined;
  }

  /** All of it, in no order. */
  *[Symbol.iterator](): Iterator<T> {
    for (const { queue } of this.#ranks.values()) yield* queue;
  }
}
