// Copyright 2026 the multitask authors. MIT license.
// Memory that a pool shares with one worker, where both reach it.
//
// Claims. A batch has a range of tasks, [next, end), in one word. The worker
// takes the next one by a compare-exchange before it runs it; the pool takes the
// last ones back in the same way, for a worker that has nothing to do. So a slow
// task holds nobody back that has not begun, however busy its worker is, and
// when a worker dies it is known which task it was at.
//
// Staging. The worker notes results here before it sends several at once: what
// it had finished when it died, or when its next task takes long, is found here.
// One that is found in both places counts once.

import type { Home } from "../ipc/_homes.ts";
import { SharedArray } from "../ipc/shared_array.ts";

/** How many batches a worker may have at the same time. */
export const SLOTS = 4;

/** The most tasks of a batch: a range is two numbers of 16 bits. */
export const MAX_BATCH = 0xffff;

const Word = {
  Claims: 0,
  /** The batch that the staged results belong to. */
  Batch: SLOTS,
  /** How many bytes of them are there. */
  Length: SLOTS + 1,
  /** Changes when they were sent, and others take their place. */
  Epoch: SLOTS + 2,
  Staging: 16,
} as const;

/** Room for staged results, in bytes. */
export const STAGING_BYTES = 0x10000;

/** Where the staged results begin, in bytes. */
const STAGING_AT = Word.Staging * Int32Array.BYTES_PER_ELEMENT;

/** The memory itself, to be sent to the worker. */
export function makeBoardMemory(home?: Home): SharedArray<"i32"> {
  return new SharedArray(
    "i32",
    Word.Staging + STAGING_BYTES / 4,
    home === undefined ? {} : { home },
  );
}

/** See the file comment. */
export class SharedBoard {
  readonly #words: Int32Array;
  readonly #staging: Uint8Array;

  /** Throws where the memory is out of reach. */
  constructor(memory: SharedArray<"i32">) {
    this.#words = memory.view;
    const { buffer, byteOffset } = this.#words;
    this.#staging = new Uint8Array(
      buffer,
      byteOffset + STAGING_AT,
      STAGING_BYTES,
    );
  }

  /** Begins a batch. For the pool, while the slot is nobody's. */
  open(slot: number, count: number): void {
    Atomics.store(this.#words, Word.Claims + slot, count);
  }

  /** Takes the next task; -1 when there is none left. For the worker. */
  claim(slot: number): number {
    const at = Word.Claims + slot;
    while (true) {
      const range = Atomics.load(this.#words, at);
      const next = range >>> 16;
      if (next >= (range & MAX_BATCH)) return -1;
      const taken = range + 0x10000 | 0;
      if (Atomics.compareExchange(this.#words, at, range, taken) === range) {
        return next;
      }
    }
  }

  /** How many were begun, and where the range ends now. */
  range(slot: number): { next: number; end: number } {
    const range = Atomics.load(this.#words, Word.Claims + slot);
    return { next: range >>> 16, end: range & MAX_BATCH };
  }

  /** Takes up to `count` of those at the end back; gives the new end. */
  takeBack(slot: number, count: number): number {
    const at = Word.Claims + slot;
    while (true) {
      const range = Atomics.load(this.#words, at);
      const next = range >>> 16;
      const end = range & MAX_BATCH;
      const rest = Math.max(next, end - count);
      if (rest >= end) return end;
      const left = next << 16 | rest;
      if (Atomics.compareExchange(this.#words, at, range, left) === range) {
        return rest;
      }
    }
  }

  /** Notes a result behind those that are there. For the worker. */
  stage(batch: number, length: number, bytes: Uint8Array): void {
    if (length === 0) Atomics.store(this.#words, Word.Batch, batch);
    if (bytes.length < FEW_BYTES) {
      for (let i = 0; i < bytes.length; i++) {
        this.#staging[length + i] = bytes[i]!;
      }
    } else this.#staging.set(bytes, length);
    Atomics.store(this.#words, Word.Length, length + bytes.length);
  }

  /**
   * A copy of the results that are staged; `undefined` when there are none, or
   * when they are just being sent.
   */
  get staged(): { batch: number; bytes: Uint8Array } | undefined {
    const words = this.#words;
    const epoch = Atomics.load(words, Word.Epoch);
    const length = Atomics.load(words, Word.Length);
    if (length === 0) return undefined;
    const batch = Atomics.load(words, Word.Batch);
    const bytes = this.#staging.slice(0, length);
    if (Atomics.load(words, Word.Epoch) !== epoch) return undefined;
    return { batch, bytes };
  }

  /** They were sent. */
  clear(): void {
    // In this order: whoever sees the new epoch sees no old results.
    Atomics.store(this.#words, Word.Length, 0);
    Atomics.add(this.#words, Word.Epoch, 1);
  }
}

/** A loop beats a call into the engine for less than this. */
const FEW_BYTES = 64;
