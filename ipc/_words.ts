// Copyright 2026 the multitask authors. MIT license.
// Shared words: the small interface every synchronisation primitive is written
// over, and its home in a SharedArrayBuffer. A home in mapped memory implements
// the same interface with futexes.

/** How a wait on a word ended. */
export type WordWait = "ok" | "not-equal" | "timed-out";

/** A row of 32-bit words that several threads may share. */
export interface Words {
  load(index: number): number;
  store(index: number, value: number): void;
  /** Adds and gives the old value. */
  add(index: number, delta: number): number;
  /** Stores `value` where `expected` stands; gives the old value. */
  compareExchange(index: number, expected: number, value: number): number;
  /** Blocks while the word is `value`, at most `timeout` milliseconds. */
  wait(index: number, value: number, timeout: number): WordWait;
  /** The same without blocking. Does not keep the program alive. */
  waitAsync(index: number, value: number, timeout: number): Promise<WordWait>;
  /** Wakes up to `count` waits on the word; gives how many. */
  notify(index: number, count: number): number;
}

/** Words in a SharedArrayBuffer: the `shared` home. */
export class SharedWords implements Words {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;

  constructor(words: number | SharedArrayBuffer) {
    this.buffer = typeof words === "number"
      ? new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT)
      : words;
    this.#words = new Int32Array(this.buffer);
  }

  load(index: number): number {
    return Atomics.load(this.#words, index);
  }

  store(index: number, value: number): void {
    Atomics.store(this.#words, index, value);
  }

  add(index: number, delta: number): number {
    return Atomics.add(this.#words, index, delta);
  }

  compareExchange(index: number, expected: number, value: number): number {
    return Atomics.compareExchange(this.#words, index, expected, value);
  }

  wait(index: number, value: number, timeout: number): WordWait {
    return Atomics.wait(this.#words, index, value, timeout);
  }

  async waitAsync(
    index: number,
    value: number,
    timeout: number,
  ): Promise<WordWait> {
    return await Atomics.waitAsync(this.#words, index, value, timeout).value;
  }

  notify(index: number, count: number): number {
    return Atomics.notify(this.#words, index, count);
  }
}
