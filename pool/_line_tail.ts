// Copyright 2026 the multitask authors. MIT license.

/** How long the rest of a stream may take once its process has ended, in ms. */
const REST_BOUND = 200;

/** The longest part of a line that is kept. */
const MAX_LINE = 2000;

/**
 * Passes a worker's stderr on to this process's, and keeps its last lines for
 * error messages.
 */
export class LineTail {
  readonly #max: number;
  readonly #lines: string[] = [];
  #partial = "";
  #reading: Promise<void> = Promise.resolve();

  constructor(max: number) {
    this.#max = max;
  }

  /** Reads to the end. */
  read(stream: ReadableStream<Uint8Array>): void {
    this.#reading = this.#read(stream).catch(() => {});
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      try {
        for (let at = 0; at < bytes.length;) {
          at += Deno.stderr.writeSync(bytes.subarray(at));
        }
      } catch {
        // Nobody reads this process's; what a worker said last is kept.
      }
      this.#add(decoder.decode(bytes, { stream: true }));
    }
  }

  #add(text: string): void {
    const lines = (this.#partial + text).split("\n");
    this.#partial = lines.pop()!.slice(-MAX_LINE);
    for (const line of lines) this.#lines.push(line.slice(0, MAX_LINE));
    this.#lines.splice(0, this.#lines.length - this.#max);
  }

  /** Resolves when the stream has ended; bounded, since others may hold it. */
  get finished(): Promise<void> {
    let timer: ReturnType<typeof setTimeout>;
    const bound = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, REST_BOUND);
    });
    return Promise.race([this.#reading, bound]).finally(() =>
      clearTimeout(timer)
    );
  }

  /** The last lines. */
  get text(): string {
    return [...this.#lines, ...this.#partial === "" ? [] : [this.#partial]]
      .join("\n");
  }
}
