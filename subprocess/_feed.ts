// Copyright 2026 the multitask authors. MIT license.
// Writes a command's input. A command may end without having read all of it:
// that is its own affair, and told by its exit code.

/** What an input is made of. */
export type InputChunk = string | Uint8Array | ArrayBuffer;

/** A write is not larger, so that giving up takes no longer than one. */
const PIECE = 1 << 20;

/** Writes an input piece by piece, then closes it. */
export class Feed {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #done = Promise.withResolvers<void>();
  #stopSource: () => void = () => {};
  #isStopped = false;
  #hasEnded = false;

  /** @param failed Called when the source fails, with its error. */
  constructor(
    stdin: WritableStream<Uint8Array<ArrayBuffer>>,
    source: AsyncIterable<InputChunk> | Iterable<InputChunk>,
    failed: (error: unknown) => void,
  ) {
    this.#writer = stdin.getWriter();
    this.#writer.closed.catch(() => {}); // Each write tells it, too.
    this.#run(source, failed);
  }

  /** Resolves when all is written, or nobody reads any more, or it was stopped. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** Whether the source has come to its end. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  async #run(
    source: AsyncIterable<InputChunk> | Iterable<InputChunk>,
    failed: (error: unknown) => void,
  ): Promise<void> {
    try {
      const next = this.#open(source);
      while (!this.#isStopped) {
        const { value, done } = await next();
        if (this.#isStopped) break;
        this.#hasEnded = done === true;
        if (done) break;
        if (!await this.#write(toBytes(value))) return this.stop();
      }
    } catch (error) {
      if (!this.#isStopped) failed(error);
      return this.stop();
    }
    if (this.#isStopped) return;
    this.#isStopped = true;
    try {
      await this.#writer.close();
    } catch {
      // The command has ended.
    }
    this.#done.resolve();
  }

  /** Gives how to get the next chunk. */
  #open(
    source: AsyncIterable<InputChunk> | Iterable<InputChunk>,
  ): () => Promise<IteratorResult<unknown>> | IteratorResult<unknown> {
    if (source instanceof ReadableStream) {
      // Its iterator could not be left while it waits for a chunk.
      const reader: ReadableStreamDefaultReader<unknown> = source.getReader();
      this.#stopSource = () => {
        reader.cancel().catch(() => {});
      };
      return async () => {
        const { value, done } = await reader.read();
        return { value, done };
      };
    }
    const iterator = Symbol.asyncIterator in source
      ? source[Symbol.asyncIterator]()
      : source[Symbol.iterator]();
    this.#stopSource = () => {
      // It may be waiting for its next chunk, for ever.
      Promise.try(() => iterator.return?.()).catch(() => {});
    };
    return () => iterator.next();
  }

  /** Gives whether anybody reads on. */
  async #write(chunk: Uint8Array<ArrayBuffer>): Promise<boolean> {
    for (let at = 0; at < chunk.length && !this.#isStopped; at += PIECE) {
      const piece = chunk.length <= PIECE
        ? chunk
        : chunk.subarray(at, at + PIECE);
      try {
        await this.#writer.write(piece);
      } catch {
        return false;
      }
    }
    return true;
  }

  /** Gives up writing, and lets go of the source. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#stopSource();
    this.#writer.abort().catch(() => {});
    this.#done.resolve();
  }
}

const encoder = new TextEncoder();

function toBytes(chunk: unknown): Uint8Array<ArrayBuffer> {
  if (typeof chunk === "string") return encoder.encode(chunk);
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  if (chunk instanceof Uint8Array) {
    // Other memory cannot be written from.
    return chunk.buffer instanceof ArrayBuffer
      ? chunk as Uint8Array<ArrayBuffer>
      : new Uint8Array(chunk);
  }
  throw new TypeError(
    `Cannot feed command: a chunk of its input must be a string or bytes, received ${typeof chunk}`,
  );
}
