// Copyright 2026 the multitask authors. MIT license.
// A node:net socket as a byte stream: the way over inherited descriptors.

import type { ByteStream } from "../ipc/_channel.ts";

/** What is used of node:net's Socket. */
export interface NodeSocket {
  on(event: "data", listener: (chunk: Uint8Array) => void): unknown;
  on(event: "end" | "close", listener: () => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  write(chunk: Uint8Array, callback: (error?: Error | null) => void): boolean;
  pause(): unknown;
  resume(): unknown;
  destroy(): unknown;
  ref(): unknown;
  unref(): unknown;
}

/** Reading stops while this much lies here unread. */
const HIGH_WATER = 1 << 20;

/** Reads and writes a node:net socket by promises. */
export class NodeStream implements ByteStream {
  readonly #socket: NodeSocket;
  #chunks: Uint8Array[] = [];
  #buffered = 0;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: NodeSocket) {
    this.#socket = socket;
    socket.on("data", (chunk) => {
      this.#chunks.push(chunk);
      this.#buffered += chunk.length;
      if (this.#buffered > HIGH_WATER) socket.pause();
      this.#wake?.();
    });
    const end = () => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on("end", end);
    socket.on("close", end);
    socket.on("error", (error) => {
      this.#error ??= error;
      end();
    });
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#chunks.length === 0) {
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const chunk = this.#chunks[0]!;
    const count = Math.min(chunk.length, into.length);
    into.set(chunk.subarray(0, count));
    if (count === chunk.length) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(count);
    if (
      this.#buffered > HIGH_WATER && this.#buffered - count <= HIGH_WATER
    ) this.#socket.resume();
    this.#buffered -= count;
    return count;
  }

  write(bytes: Uint8Array): Promise<number> {
    if (this.#ended) {
      return Promise.reject(this.#error ?? new Error("The socket is closed"));
    }
    return new Promise((resolve, reject) => {
      this.#socket.write(
        bytes,
        (error) => error ? reject(error) : resolve(bytes.length),
      );
    });
  }

  close(): void {
    this.#ended = true;
    this.#socket.destroy();
    this.#wake?.();
  }

  ref(): void {
    this.#socket.ref();
  }

  unref(): void {
    this.#socket.unref();
  }
}
