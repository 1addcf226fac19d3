// Copyright 2026 the multitask authors. MIT license.

import type { ByteStream } from "../../ipc/_channel.ts";
import { FakeStream } from "./_fake_stream.ts";

/** One of two streams in memory: what is written here arrives at the other. */
export class PairedStream implements ByteStream {
  /** What arrives here. */
  readonly incoming = new FakeStream();
  /** What was written here. */
  readonly written: Uint8Array[] = [];
  /** Changes what is written here before it gets to the other. */
  tamper: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes;
  #other!: PairedStream;

  static make(): [PairedStream, PairedStream] {
    const [left, right] = [new PairedStream(), new PairedStream()];
    left.#other = right;
    right.#other = left;
    return [left, right];
  }

  read(into: Uint8Array): Promise<number | null> {
    return this.incoming.read(into);
  }

  write(bytes: Uint8Array): Promise<number> {
    this.written.push(bytes.slice());
    this.#other.incoming.feed(this.tamper(bytes.slice()));
    return Promise.resolve(bytes.length);
  }

  close(): void {
    this.incoming.end();
    this.#other.incoming.end();
  }
}
