// Copyright 2026 the multitask authors. MIT license.
// A double-ended queue over a ring that grows and shrinks by halves.

const MIN_CAPACITY = 16;

/** Items at both ends in constant time. */
export class Deque<T> implements Iterable<T> {
  #ring: (T | undefined)[] = new Array(MIN_CAPACITY);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: T): void {
    if (this.#length === this.#ring.length) this.#resize(this.#length * 2);
    this.#ring[(this.#head + this.#length) & (this.#ring.length - 1)] = item;
    this.#length++;
  }

  unshift(item: T): void {
    if (this.#length === this.#ring.length) this.#resize(this.#length * 2);
    this.#head = (this.#head - 1) & (this.#ring.length - 1);
    this.#ring[this.#head] = item;
    this.#length++;
  }

  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#ring[this.#head];
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#length--;
    if (
      this.#ring.length > MIN_CAPACITY && this.#length * 4 <= this.#ring.length
    ) this.#resize(this.#ring.length / 2);
    return item;
  }

  /** Takes out the first item that `test` accepts: for rare use. */
  remove(test: (item: T) => boolean): T | undefined {
    const items = [...this];
    const index = items.findIndex(test);
    if (index < 0) return undefined;
    const [removed] = items.splice(index, 1);
    this.#ring = new Array(this.#ring.length);
    this.#head = 0;
    this.#length = 0;
    for (const item of items) this.push(item);
    return removed;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let i = 0; i < this.#length; i++) {
      yield this.#ring[(this.#head + i) & (this.#ring.length - 1)]!;
    }
  }

  #resize(capacity: number): void {
    const ring = new Array<T | undefined>(capacity);
    for (let i = 0; i < this.#length; i++) {
      ring[i] = this.#ring[(this.#head + i) & (this.#ring.length - 1)];
    }
    this.#ring = ring;
    this.#head = 0;
  }
}
