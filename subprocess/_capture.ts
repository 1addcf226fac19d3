// Copyright 2026 the multitask authors. MIT license.
// What a command has written, kept in memory.
//
// Chunks are copied into large segments, since the memory they come in is used
// again. The segments are joined at the end, and each is given back as soon as
// it is copied: the peak is the output and one segment.

/** What happens to output beyond a limit. */
export type OverflowMode = "fail" | "truncate" | "tail";

const FIRST_SEGMENT = 1 << 16;
const LAST_SEGMENT = 1 << 23;

/** Collects an output. */
export class Capture {
  readonly #limit: number;
  readonly #mode: OverflowMode;
  #segments: Uint8Array<ArrayBuffer>[] = [];
  /** How much of the last segment is used. */
  #used = 0;
  #size = 0;
  #nextSegment = FIRST_SEGMENT;
  #isTruncated = false;

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
    if (this.#mode === "tail") this.#shift(chunk);
    else this.#append(chunk.subarray(0, room));
    return this.#mode === "fail";
  }

  #append(chunk: Uint8Array): void {
    this.#size += chunk.length;
    while (chunk.length > 0) {
      let last = this.#segments.at(-1);
      if (last === undefined || this.#used === last.length) {
        last = new Uint8Array(this.#nextSegment);
        this.#segments.push(last);
        this.#used = 0;
        this.#nextSegment = Math.min(this.#nextSegment * 2, LAST_SEGMENT);
      }
      const count = Math.min(chunk.length, last.length - this.#used);
      last.set(
        count === chunk.length ? chunk : chunk.subarray(0, count),
        this.#used,
      );
      this.#used += count;
      chunk = chunk.subarray(count);
    }
  }

  /** Drops from the beginning what has no room: twice the limit is kept. */
  #shift(chunk: Uint8Array): void {
    if (chunk.length >= this.#limit) {
      this.#clear();
      return this.#append(chunk.subarray(chunk.length - this.#limit));
    }
    const kept = this.bytes();
    const room = this.#limit - chunk.length;
    this.#clear();
    this.#append(kept.subarray(kept.length - room));
    this.#append(chunk);
  }

  #clear(): void {
    this.#segments = [];
    this.#used = this.#size = 0;
    this.#nextSegment = FIRST_SEGMENT;
  }

  /** All that was kept. Can be called again. */
  bytes(): Uint8Array<ArrayBuffer> {
    const [first] = this.#segments;
    if (this.#segments.length === 1 && first!.length === this.#size) {
      return first!;
    }
    const all = new Uint8Array(this.#size);
    let at = 0;
    for (const segment of this.#segments) {
      const isLast = at + segment.length >= this.#size;
      all.set(isLast ? segment.subarray(0, this.#size - at) : segment, at);
      at += segment.length;
      segment.buffer.transfer(0);
    }
    this.#segments = this.#size === 0 ? [] : [all];
    this.#used = this.#size;
    return all;
  }
}
