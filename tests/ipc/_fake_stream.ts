// Copyright 2026 the multitask authors. MIT license.

import type { ByteStream } from "../../ipc/_channel.ts";

/** A byte stream in memory: the test decides what arrives and what leaves. */
export class FakeStream implements ByteStream {
  /** What was written, a copy of each write. */
  readonly writes: Uint8Array[] = [];
  closed = 0;
  /** The most bytes that one write takes. */
  maxWrite = Infinity;
  /** Set to make the next writes and reads fail. */
  failure: unknown;

  readonly #arrived: Uint8Array[] = [];
  #ended = false;
  #reader: (() => void) | undefined;
  #gate: { opened: Promise<void>; open: () => void } | undefined;

  /** These bytes arrive, to be read at once or in parts. */
  feed(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#arrived.push(bytes);
    this.#wake();
  }

  /** Nothing more arrives. */
  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** Reads fail from now on. */
  fail(failure: unknown): void {
    this.failure = failure;
    this.#wake();
  }

  /** Writes wait from now on. */
  hold(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = { opened: promise, open: resolve };
  }

  /** Writes go on. */
  letGo(): void {
    this.#gate?.open();
    this.#gate = undefined;
  }

  /** All that was written. */
  get written(): Uint8Array {
    return concat(this.writes);
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (
      this.#arrived.length === 0 && !this.#ended && this.failure === undefined
    ) {
      await new Promise<void>((resolve) => this.#reader = resolve);
    }
    if (this.failure !== undefined) throw this.failure;
    const first = this.#arrived[0];
    if (first === undefined) return null;
    if (into.length === 0) throw new Error("a read has no room");
    const count = Math.min(first.length, into.length);
    into.set(first.subarray(0, count));
    if (count < first.length) this.#arrived[0] = first.subarray(count);
    else this.#arrived.shift();
    return count;
  }

  async write(bytes: Uint8Array): Promise<number> {
    const count = Math.min(bytes.length, this.maxWrite);
    const taken = bytes.slice(0, count);
    await this.#gate?.opened;
    if (this.failure !== undefined) throw this.failure;
    this.writes.push(taken);
    return count;
  }

  close(): void {
    this.closed++;
    if (this.closed > 1) throw new Error("closed twice");
    this.end();
  }

  #wake(): void {
    this.#reader?.();
    this.#reader = undefined;
  }
}

/** The parts one after the other. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
