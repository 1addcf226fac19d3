// Copyright 2026 the multitask authors. MIT license.

import type { Reading } from "./_pump.ts";
import {
  decodeAll,
  decoderFor,
  type TextMode,
  UndecodableError,
} from "./_text.ts";

const CHUNK = 1 << 16;

/** What happens to a reader of lines. */
export interface LineEvents {
  /** A line is longer than may be. */
  overflow(): void;
  /** The output cannot be read. */
  failed(error: unknown): void;
}

/** Reads an output as lines, all lines of a chunk at a time. */
export class LineReader implements Reading {
  readonly #reader: ReadableStreamBYOBReader;
  readonly #mode: TextMode;
  readonly #decoder: TextDecoder;
  readonly #maxLine: number;
  readonly #events: LineEvents;
  readonly #done = Promise.withResolvers<void>();
  #memory: ArrayBuffer = new ArrayBuffer(CHUNK);
  #partial = "";
  #hasReturn = false;
  /** Bytes before the current chunk, and those of its first character there. */
  #offset = 0;
  #pending: Uint8Array = new Uint8Array();
  #hasEnded = false;
  #isStopped = false;

  constructor(
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
    mode: TextMode,
    maxLine: number,
    events: LineEvents,
  ) {
    this.#reader = stream.getReader({ mode: "byob" });
    this.#mode = mode;
    this.#decoder = decoderFor(mode);
    this.#maxLine = maxLine;
    this.#events = events;
  }

  get done(): Promise<void> {
    return this.#done.promise;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The next lines; `undefined` at the end, or when reading was given up. */
  async next(): Promise<string[] | undefined> {
    while (!this.#hasEnded && !this.#isStopped) {
      let bytes: Uint8Array<ArrayBuffer> | undefined;
      try {
        const { value, done } = await this.#reader.read(
          new Uint8Array(this.#memory),
        );
        bytes = done ? undefined : value;
      } catch (error) {
        this.stop();
        this.#events.failed(error);
      }
      if (this.#isStopped) break;
      if (bytes === undefined) return this.#end();
      this.#memory = bytes.buffer;
      const lines = this.#take(this.#decode(bytes));
      if (lines.length > 0) return lines;
    }
    return undefined;
  }

  #take(text: string): string[] {
    if (text === "") return [];
    this.#hasReturn ||= text.includes("\r");
    const lines = text.split("\n");
    lines[0] = this.#partial + lines[0];
    this.#partial = lines.pop()!;
    if (this.#hasReturn) {
      for (const [i, line] of lines.entries()) {
        if (line.endsWith("\r")) lines[i] = line.slice(0, -1);
      }
    }
    if (this.#partial.length > this.#maxLine) this.#events.overflow();
    return lines;
  }

  #end(): string[] | undefined {
    const text = this.#decode();
    const lines = this.#take(text);
    if (this.#partial !== "") lines.push(this.#partial);
    this.#partial = "";
    this.#hasEnded = true;
    this.#done.resolve();
    return lines.length > 0 ? lines : undefined;
  }

  #decode(bytes?: Uint8Array): string {
    try {
      const text = bytes === undefined
        ? this.#decoder.decode()
        : this.#decoder.decode(bytes, { stream: true });
      if (bytes !== undefined && this.#mode.errors === "strict") {
        this.#pending = begun(bytes, this.#decoder.encoding);
        this.#offset += bytes.length;
      }
      return text;
    } catch (cause) {
      this.stop();
      const start = this.#offset - this.#pending.length;
      const rest = new Uint8Array([...this.#pending, ...bytes ?? []]);
      try {
        decodeAll(rest, this.#mode);
      } catch (error) {
        if (error instanceof UndecodableError) {
          throw new UndecodableError(start + error.offset, { cause });
        }
      }
      throw new UndecodableError(start, { cause });
    }
  }

  stop(): void {
    if (this.#hasEnded || this.#isStopped) return;
    this.#isStopped = true;
    this.#done.resolve();
    this.#reader.cancel().catch(() => {});
  }
}

/** The bytes of a character that has begun at the end of a chunk. */
function begun(bytes: Uint8Array, encoding: string): Uint8Array {
  if (encoding !== "utf-8") return new Uint8Array();
  for (let count = 1; count <= 3; count++) {
    const byte = bytes.at(-count);
    if (byte === undefined || byte < 0x80) break;
    if (byte < 0xc0) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return length > count ? bytes.slice(-count) : new Uint8Array();
  }
  return new Uint8Array();
}
