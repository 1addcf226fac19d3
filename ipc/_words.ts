// Copyright 2026 the multitask authors. MIT license.
// Shared words: the small interface every synchronisation primitive is written
// over, and its home in a SharedArrayBuffer. The home in mapped memory, which
// other processes reach too, is in _mapped_words.ts.
//
// Single words that are read or changed outside a guard go through the atomic
// methods here. What changes under a guard is written plainly to `int32`: the
// guard's own compare-exchange and exchange order it between threads.

/** How a wait on a word ended. */
export type WordWait = "ok" | "not-equal" | "timed-out";

/** A row of 32-bit words that several threads may share. */
export abstract class Words {
  /** The words themselves. */
  readonly int32: Int32Array;
  /** The same memory as bytes, and as 64-bit words. */
  readonly bytes: Uint8Array;
  readonly int64: BigInt64Array;

  constructor(buffer: ArrayBufferLike) {
    this.int32 = new Int32Array(buffer);
    this.bytes = new Uint8Array(buffer);
    this.int64 = new BigInt64Array(
      buffer,
      0,
      Math.floor(buffer.byteLength / BigInt64Array.BYTES_PER_ELEMENT),
    );
  }

  load(index: number): number {
    return Atomics.load(this.int32, index);
  }

  store(index: number, value: number): void {
    Atomics.store(this.int32, index, value);
  }

  /** Adds and gives the old value. */
  add(index: number, delta: number): number {
    return Atomics.add(this.int32, index, delta);
  }

  /** Stores and gives the old value. */
  exchange(index: number, value: number): number {
    return Atomics.exchange(this.int32, index, value);
  }

  /** Stores `value` where `expected` stands; gives the old value. */
  compareExchange(index: number, expected: number, value: number): number {
    return Atomics.compareExchange(this.int32, index, expected, value);
  }

  /** Blocks while the word is `value`, at most `timeout` milliseconds. */
  abstract wait(index: number, value: number, timeout: number): WordWait;
  /**
   * Resolves when the word is notified, or at once where it is not `value`.
   * May keep the program alive until then.
   */
  abstract waitAsync(index: number, value: number): Promise<void>;
  /** Wakes up to `count` waits on the word. */
  abstract notify(index: number, count: number): void;
}

/** Words in a SharedArrayBuffer: the `shared` home. */
export class SharedWords extends Words {
  readonly buffer: SharedArrayBuffer;

  constructor(words: number | SharedArrayBuffer) {
    const buffer = typeof words === "number"
      ? new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT)
      : words;
    super(buffer);
    this.buffer = buffer;
  }

  override wait(index: number, value: number, timeout: number): WordWait {
    return Atomics.wait(
      this.int32 as Int32Array<SharedArrayBuffer>,
      index,
      value,
      timeout,
    );
  }

  override async waitAsync(index: number, value: number): Promise<void> {
    await Atomics.waitAsync(
      this.int32 as Int32Array<SharedArrayBuffer>,
      index,
      value,
    ).value;
  }

  override notify(index: number, count: number): void {
    Atomics.notify(this.int32, index, count);
  }
}
