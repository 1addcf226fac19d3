// Copyright 2026 the multitask authors. MIT license.
// Reads an output to its end and hands it to whoever wants it.

const CHUNK = 1 << 16;

/** Gets the chunks, whose memory is used again once its promise resolves. */
export type Sink = (chunk: Uint8Array) => void | Promise<void>;

/** What reads from a command, and can be told to stop. */
export interface Reading {
  /** Resolves at the end of the output, or when reading was given up. */
  readonly done: Promise<void>;
  /** Whether the output was read to its end. */
  readonly hasEnded: boolean;
  /** Gives up reading, at once. */
  stop(): void;
}

/** Reads an output into sinks, one chunk after the other. */
export class Pump implements Reading {
  readonly #reader: ReadableStreamBYOBReader;
  readonly #done = Promise.withResolvers<void>();
  #hasEnded = false;
  #isStopped = false;

  /**
   * @param failed Called when a sink fails; reading goes on without it, so that
   * the command is not held up.
   */
  constructor(
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
    sinks: readonly Sink[],
    failed: (error: unknown) => void,
  ) {
    this.#reader = stream.getReader({ mode: "byob" });
    this.#run([...sinks], failed).finally(() => this.#done.resolve());
  }

  get done(): Promise<void> {
    return this.#done.promise;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  async #run(sinks: Sink[], failed: (error: unknown) => void): Promise<void> {
    let memory: ArrayBuffer = new ArrayBuffer(CHUNK);
    try {
      while (true) {
        const { value, done } = await this.#reader.read(new Uint8Array(memory));
        if (this.#isStopped) return;
        if (done || value === undefined) break;
        memory = value.buffer;
        for (const sink of [...sinks]) {
          try {
            const written = sink(value);
            if (written !== undefined) await written;
          } catch (error) {
            if (this.#isStopped) return;
            sinks.splice(sinks.indexOf(sink), 1);
            failed(error);
          }
        }
        if (this.#isStopped) return;
      }
      this.#hasEnded = true;
    } catch (error) {
      if (!this.#isStopped) failed(error);
    }
  }

  stop(): void {
    if (this.#hasEnded || this.#isStopped) return;
    this.#isStopped = true;
    // A sink may be at work for ever; nobody waits for it.
    this.#done.resolve();
    this.#reader.cancel().catch(() => {});
  }
}
