// Copyright 2026 the multitask authors. MIT license.
// What a command has written, kept in memory.
//
// It stands in one piece of memory from the start: to collect pieces and to join
// them at the end touches twice as much memory, which costs more than reading
// it. What is not written to yet costs nothing, so the piece grows in large steps.

/** What happens to output beyond a limit. */
export type OverflowMode = "fail" | "truncate" | "tail";

const FIRST_SIZE = 1 << 16;
const GROWTH = 8;

/** Less than this is copied into memory of its own size. A guess. */
const COPIED_SIZE = 1 << 20;

/** Collects an output. */
export class Capture {
  readonly #limit: number;
  readonly #mode: OverflowMode;
  #memory: Uint8Array<ArrayBuffer> = new Uint8Array();
  #size = 0;
  #isTruncated = false;
  /** Somebody has a view of the memory: it may not be given back. */
  #isShown = false;

  constructor(limit = Infinity, mode: OverflowMode = "fail") {
    this.#limit = limit;
    this.#mode = mode;
  }

  /** Whether some of the output was dropped. */
  get isTruncated(): boolean {
    return this.#isTruncated;
  }

  /** Keeps a copy; gives whether there was more than may be. */
  add(chunk: Uint8Array): boolean {
    const room = this.#limit - this.#size;
    if (chunk.length <= room) {
      this.#append(chunk);
      return false;
    }
    this.#isTruncated = true;
    if (this.#mode === "tail") {
      this.#append(chunk);
      // Not at each chunk: to move what is kept takes long.
      if (this.#size >= 2 * this.#limit + FIRST_SIZE) this.#dropBeginning();
      return false;
    }
    this.#append(chunk.subarray(0, Math.max(0, room)));
    return this.#mode === "fail";
  }

  #append(chunk: Uint8Array): void {
    const size = this.#size + chunk.length;
    if (size > this.#memory.length) {
      this.#move(Math.max(size, FIRST_SIZE, this.#memory.length * GROWTH));
    }
    this.#memory.set(chunk, this.#size);
    this.#size = size;
  }

  #move(length: number, from = 0): void {
    const memory = new Uint8Array(length);
    memory.set(this.#memory.subarray(from, this.#size));
    if (!this.#isShown) this.#memory.buffer.transfer(0);
    this.#memory = memory;
    this.#isShown = false;
  }

  #dropBeginning(): void {
    const from = this.#size - this.#limit;
    if (this.#isShown) this.#move(this.#memory.length, from);
    else this.#memory.copyWithin(0, from, this.#size);
    this.#size = this.#limit;
  }

  /** All that was kept. Can be called again. */
  bytes(): Uint8Array<ArrayBuffer> {
    if (this.#size > this.#limit) this.#dropBeginning();
    // A view keeps all of the memory. To move little costs little; of much, what
    // is not used was never touched.
    if (this.#size < COPIED_SIZE) this.#move(this.#size);
    this.#isShown = true;
    return this.#memory.subarray(0, this.#size);
  }
}
