// Copyright 2026 the multitask authors. MIT license.
// A channel: frames both ways over one byte stream, in order.
//
//   frame = u32 length of what follows | u8 kind | body
//
// Frames begun in one turn of the event loop leave in one write. What is not
// yet wholly written is known (`unsent()`): a process that must not turn its
// event loop any more (a blocking call, an exit) sends exactly that another
// way, and the receiver passes over what then arrives twice.

import { ByteWriter, copied } from "./_bytes.ts";

/** What a channel needs of a connection; `Deno.Conn` is one. */
export interface ByteStream {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}

/** How a channel reports to its owner. */
export interface ChannelEvents {
  /**
   * A frame arrived. `body` is only valid during the call: use
   * {@linkcode kept} for what is to stay.
   */
  frame(kind: number, body: Uint8Array): void;
  /** Nothing more will arrive: end-of-file, or the error that ended it. */
  end(error: Error | undefined): void;
}

/** Options of a {@linkcode Channel}. */
export interface ChannelOptions {
  /**
   * The longest frame to read, in bytes of kind and body: a longer one ends the
   * channel before any memory is taken for it.
   *
   * @default {MAX_FRAME}
   */
  maxFrame?: number;
}

/** What has been handed to a channel and may not have left the process. */
export interface Unsent {
  /** How many frames are wholly written. */
  readonly after: number;
  /** How many frames at the start of `bytes` may still arrive the usual way. */
  readonly twice: number;
  /** The frames, as they would have been written. */
  readonly bytes: Uint8Array;
}

const READ_SIZE = 0x10000;
/** The longest frame of all. */
export const MAX_FRAME = 0x7fffff00;

/** Makes a view of a frame's body safe to keep after the call. */
export function kept(view: Uint8Array): Uint8Array {
  // A frame longer than the read buffer has a buffer of its own.
  return view.buffer.byteLength > READ_SIZE ? view : copied(view);
}

/** Frames over a byte stream. See the file comment. */
export class Channel {
  readonly #stream: ByteStream;
  readonly #events: ChannelEvents;
  readonly #maxFrame: number;
  readonly #out = new ByteWriter(1024);
  #framesInOut = 0;
  #frameStart = 0;
  #inFlight: Uint8Array | undefined;
  #framesInFlight = 0;
  /** Whether what is in the middle of a write was sent another way, too. */
  #taken = false;
  #framesSent = 0;
  #flushing: Promise<void> | undefined;
  #closed = false;
  #received = 0;
  #bytesRead = 0;
  #skip = 0;

  constructor(
    stream: ByteStream,
    events: ChannelEvents,
    { maxFrame = MAX_FRAME }: ChannelOptions = {},
  ) {
    this.#stream = stream;
    this.#events = events;
    this.#maxFrame = maxFrame;
  }

  /** How many frames have arrived. */
  get received(): number {
    return this.#received;
  }

  /** How many bytes have arrived, those of unfinished frames among them. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Whether the channel was closed on this side or has ended. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether everything is wholly written, or was sent another way. */
  get idle(): boolean {
    return this.#out.pos === 0 && (this.#inFlight === undefined || this.#taken);
  }

  /** How many bytes are not wholly written. */
  get unsentBytes(): number {
    return this.#out.pos + (this.#inFlight?.length ?? 0);
  }

  /** Passes over the next `count` frames: they came another way. */
  skip(count: number): void {
    this.#skip += count;
  }

  /** Starts a frame; write its body to the result, then call `commit`. */
  begin(kind: number): ByteWriter {
    const out = this.#out;
    this.#frameStart = out.pos;
    out.u32(0);
    out.u8(kind);
    return out;
  }

  /** Ends the frame begun last and sees that it leaves soon. */
  commit(): void {
    const out = this.#out;
    if (this.#closed) {
      out.pos = 0;
      return;
    }
    const end = out.pos;
    out.pos = this.#frameStart;
    out.u32(end - this.#frameStart - 4);
    out.pos = end;
    this.#framesInOut++;
    this.#flushing ??= this.#flush();
  }

  /** Resolves when all frames so far are written, or the channel ended. */
  async flushed(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
  }

  async #flush(): Promise<void> {
    await undefined; // Frames of the same turn share a write.
    try {
      while (this.#out.pos > 0 && !this.#closed) {
        const frames = this.#framesInOut;
        this.#framesInFlight = frames;
        this.#framesInOut = 0;
        let bytes: Uint8Array = this.#inFlight = this.#out.take();
        while (bytes.length > 0) {
          bytes = bytes.subarray(await this.#stream.write(bytes));
        }
        this.#inFlight = undefined;
        this.#framesInFlight = 0;
        this.#taken = false;
        this.#framesSent += frames;
      }
    } catch {
      // The reading side sees the end of the stream and reports it.
      this.#out.pos = 0;
    } finally {
      this.#inFlight = undefined;
      this.#flushing = undefined;
    }
  }

  /**
   * What has not wholly left yet. What is not in the middle of a write is
   * taken out: the caller sends it.
   */
  takeUnsent(): Unsent {
    const inFlight = this.#taken ? undefined : this.#inFlight;
    const twice = inFlight === undefined ? 0 : this.#framesInFlight;
    if (inFlight !== undefined) this.#taken = true;
    const queued = this.#out.take();
    this.#framesInOut = 0;
    const bytes = new Uint8Array((inFlight?.length ?? 0) + queued.length);
    if (inFlight !== undefined) bytes.set(inFlight);
    bytes.set(queued, inFlight?.length ?? 0);
    return { after: this.#framesSent, twice, bytes };
  }

  /** Reads until the stream ends. Call once. */
  async run(): Promise<void> {
    let failure: Error | undefined;
    let buffer = new Uint8Array(READ_SIZE);
    let start = 0;
    let end = 0;
    try {
      reading: while (true) {
        while (end - start >= 4) {
          const length = frameLength(buffer, start);
          if (length < 1 || length > this.#maxFrame) {
            throw new RangeError(`Cannot read a frame of ${length} bytes`);
          }
          if (end - start - 4 < length) break;
          const body = buffer.subarray(start + 5, start + 4 + length);
          const kind = buffer[start + 4]!;
          start += 4 + length;
          this.#arrived(kind, body);
          if (this.#closed) break reading;
        }
        const needed = end - start >= 4
          ? 4 + frameLength(buffer, start)
          : READ_SIZE;
        if (needed > READ_SIZE || buffer.length > READ_SIZE) {
          // A frame that does not fit gets a buffer of its own, which holds
          // nothing else, so that its body can be kept without a copy.
          if (buffer.length !== needed || start > 0) {
            const own = new Uint8Array(Math.max(needed, READ_SIZE));
            own.set(buffer.subarray(start, end));
            buffer = own;
            end -= start;
            start = 0;
          }
        } else if (start === end) {
          start = end = 0;
        } else if (buffer.length - start < needed) {
          buffer.copyWithin(0, start, end);
          end -= start;
          start = 0;
        }
        // What these frames have led to leaves first: whoever waits for it gets it
        // earlier by the time that asking for more takes.
        await undefined;
        await undefined;
        const count = await this.#stream.read(buffer.subarray(end));
        if (count === null || this.#closed) break;
        end += count;
        this.#bytesRead += count;
      }
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
    }
    const wasClosed = this.#closed;
    this.close();
    this.#events.end(wasClosed ? undefined : failure);
  }

  #arrived(kind: number, body: Uint8Array): void {
    this.#received++;
    if (this.#skip > 0) {
      this.#skip--;
      return;
    }
    this.#events.frame(kind, body);
  }

  /** Reads frames that came another way, as if they had come by this one. */
  deliver(bytes: Uint8Array, passOver: number): void {
    let at = 0;
    while (at + 5 <= bytes.length) {
      const length = frameLength(bytes, at);
      if (passOver > 0) passOver--;
      else {
        this.#events.frame(
          bytes[at + 4]!,
          bytes.subarray(at + 5, at + 4 + length),
        );
      }
      at += 4 + length;
    }
  }

  /** Closes the stream. What is not written is lost; `flushed()` goes first. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#stream.close();
    } catch {
      // It was closed by the other side already.
    }
  }
}

function frameLength(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 |
    bytes[at + 3]! << 24) >>> 0;
}
