// Copyright 2026 the multitask authors. MIT license.
// A connection end over a byte stream: a socket to another program.
//
// States:
//
//   open ---(the stream ends or breaks)---------------> over
//     \                                                  ^
//      `--(close)--> closing --(the other side closes, --'
//                               or LINGER is over)
//
//   open     messages go both ways
//   closing  takes no more and gives no more; what was accepted is written,
//            then the other side is told the end; what still comes is dropped.
//            (A socket that is closed with something unread is reset: what is on
//            its way to the other side would be lost.)
//   over     the socket is closed; what has arrived can be received
//
// A send is queued while BATCH bytes before it are not written; then it has
// begun, and goes out whole whatever happens to who waits for it.
//
// The stream is read while less than READ_AHEAD is unread, so a message that
// nobody receives holds the other side up by its full socket, not our memory.

import { type ByteStream, Channel, kept } from "./_channel.ts";
import { decode, encode } from "./_codec.ts";
import type {
  ConnectionEnd,
  Received,
  SendOptions,
} from "./_connection_end.ts";
import { Inbox } from "./_inbox.ts";
import { resourceClosed, resourceOpened } from "./_live.ts";
import { startTimer } from "./_timer.ts";
import { type Wait, type Waiter, waitFor } from "./_waiting.ts";
import { ConnectionClosedError } from "./errors.ts";

/** What a socket end needs of a connection; `Deno.Conn` is one. */
export interface Socket extends ByteStream {
  closeWrite(): Promise<void>;
  ref(): void;
  unref(): void;
}

/** The longest messages, in bytes. */
export interface MessageLimits {
  /** Of those that this side accepts. */
  readonly received: number;
  /** Of those that the other side accepts. */
  readonly sent: number;
}

/** The kinds of frames. */
const Kind = { Message: 1 } as const;

/** The other side is kept waiting while this many bytes are unread. */
const READ_AHEAD = 1 << 20;
/** What a short message takes beside its bytes: a guess. */
const MESSAGE_COST = 64;
/** Length and kind: what a frame takes beside its body. */
const FRAME_HEADER = 5;
/** Short messages leave in writes of about this size. */
const BATCH = 1 << 16;
/** How long a closed socket may wait for the other side: a guess. */
const LINGER = 2_000;

/** The next call finds out what became of it. */
const NOBODY: Waiter<true> = { resolve() {}, reject() {} };

interface Outgoing extends Waiter<true> {
  readonly bytes: Uint8Array;
}

/** See the file comment. */
export class SocketEnd implements ConnectionEnd {
  readonly #socket: Socket;
  readonly #limits: MessageLimits;
  readonly #channel: Channel;
  readonly #over = Promise.withResolvers<void>();
  #closed = false;
  /** Why nothing more can be sent. */
  #failure: { readonly why: string; readonly cause?: unknown } | undefined;

  readonly #unread = new Inbox<Uint8Array>();
  #unreadBytes = 0;
  /** The reader waits here while too much is unread. */
  #room: PromiseWithResolvers<void> | undefined;
  /** Bytes of frames that have arrived whole. */
  #wholeFrames = 0;

  /** Sends that have not begun. */
  readonly #queued = new Set<Outgoing>();
  /** Sends that have begun. */
  #begun: Outgoing[] = [];
  #begunBytes = 0;
  #writing = false;
  /** How many wait for what comes, and keep the program alive. */
  #waiting = 0;
  #stopLinger: (() => void) | undefined;

  constructor(socket: Socket, limits: MessageLimits) {
    this.#socket = socket;
    this.#limits = limits;
    this.#channel = new Channel(
      {
        read: (into) => this.#read(into),
        write: (bytes) => this.#write(bytes),
        close: () => socket.close(),
      },
      {
        frame: (kind, body) => this.#arrived(kind, body),
        end: (error) => this.#ended(error),
      },
      { maxFrame: limits.received + 1 },
    );
    resourceOpened(this, "connection");
    // Whoever receives keeps the program alive, not what may come.
    socket.unref();
    this.#channel.run();
  }

  get closed(): boolean {
    return this.#closed;
  }

  // ---- Receiving ----

  async recv(wait: Wait): Promise<Received | undefined> {
    const bytes = await this.#keepingAlive(this.#unread.get(wait));
    if (bytes === undefined) return undefined;
    this.#count(-1, bytes);
    return {
      message: decode(bytes, { foreign: true }),
      giveBack: () => {
        if (this.#closed) return;
        this.#count(1, bytes);
        this.#unread.giveBack(bytes);
      },
    };
  }

  ready(wait: Wait): Promise<boolean> {
    return this.#keepingAlive(this.#unread.ready(wait));
  }

  async #keepingAlive<T>(waiting: Promise<T>): Promise<T> {
    if (this.#waiting++ === 0) this.#socket.ref();
    try {
      return await waiting;
    } finally {
      if (--this.#waiting === 0) this.#socket.unref();
    }
  }

  #count(sign: 1 | -1, bytes: Uint8Array): void {
    this.#unreadBytes += sign * (bytes.length + MESSAGE_COST);
    if (this.#unreadBytes < READ_AHEAD) this.#room?.resolve();
  }

  async #read(into: Uint8Array): Promise<number | null> {
    if (this.#unreadBytes >= READ_AHEAD && !this.#closed) {
      this.#room = Promise.withResolvers();
      await this.#room.promise;
      this.#room = undefined;
    }
    return await this.#socket.read(into);
  }

  #arrived(kind: number, body: Uint8Array): void {
    this.#wholeFrames += body.length + FRAME_HEADER;
    if (kind !== Kind.Message) {
      throw new RangeError(`Cannot read a frame of kind ${kind}`);
    }
    if (this.#closed) return;
    const bytes = kept(body);
    this.#count(1, bytes);
    this.#unread.put(bytes);
  }

  /** The stream is over: the channel has closed it. */
  #ended(error: Error | undefined): void {
    this.#stopLinger?.();
    const { why, cause } = this.#endOf(error);
    this.#fail(why, cause);
    this.#unread.end(() =>
      new ConnectionClosedError(`Cannot receive: ${why}`, { cause })
    );
    resourceClosed(this);
    this.#over.resolve();
  }

  #endOf(error: Error | undefined): { why: string; cause?: unknown } {
    // What the channel itself finds wrong; the platform throws no such errors.
    if (error instanceof RangeError) {
      return {
        why:
          `the connection was ended here: ${error.message}; "maxMessage" is ${this.#limits.received}`,
        cause: error,
      };
    }
    if (this.#channel.bytesRead > this.#wholeFrames) {
      return {
        why: "the connection ended within a message, which was cut off",
        cause: error,
      };
    }
    if (error !== undefined) {
      return { why: `the connection broke: ${error.message}`, cause: error };
    }
    return { why: "the other end of the connection is closed" };
  }

  // ---- Sending ----

  async send(message: unknown, options: SendOptions): Promise<boolean> {
    if (this.#failure !== undefined) throw this.#cannotSend();
    const bytes = pack(message, this.#limits.sent, options.transfer);
    // Without any time, it is enough that it has begun.
    if (options.timeout === 0) return !this.#queue({ bytes, ...NOBODY })();
    const sent = await waitFor<true>(
      options,
      (waiter) => this.#queue({ bytes, ...waiter }),
    );
    return sent === true;
  }

  /** Gives how to take it back: that is true unless it has begun. */
  #queue(outgoing: Outgoing): () => boolean {
    this.#queued.add(outgoing);
    this.#begin();
    return () => this.#queued.delete(outgoing);
  }

  /** Begins the sends that are due. */
  #begin(): void {
    for (const outgoing of this.#queued) {
      const { bytes } = outgoing;
      if (this.#begunBytes > 0 && this.#begunBytes + bytes.length > BATCH) {
        break;
      }
      this.#queued.delete(outgoing);
      this.#begun.push(outgoing);
      this.#begunBytes += bytes.length + FRAME_HEADER;
      this.#channel.begin(Kind.Message).raw(bytes);
      this.#channel.commit();
    }
    if (!this.#writing) this.#finishBegun();
  }

  async #finishBegun(): Promise<void> {
    this.#writing = true;
    while (this.#begun.length > 0) {
      await this.#written();
      const begun = this.#begun;
      this.#begun = [];
      this.#begunBytes = 0;
      for (const { resolve, reject } of begun) {
        if (this.#failure === undefined) resolve(true);
        else reject(this.#cannotSend());
      }
      this.#begin();
    }
    this.#writing = false;
  }

  async #written(): Promise<void> {
    const channel = this.#channel;
    while (!channel.idle && !channel.closed) await channel.flushed();
  }

  async #write(bytes: Uint8Array): Promise<number> {
    try {
      return await this.#socket.write(bytes);
    } catch (error) {
      this.#fail("the other end of the connection is closed", error);
      throw error;
    }
  }

  /** Nothing more can be sent. */
  #fail(why: string, cause?: unknown): void {
    this.#failure ??= { why, cause };
    for (const { reject } of this.#queued) reject(this.#cannotSend());
    this.#queued.clear();
  }

  #cannotSend(): ConnectionClosedError {
    const { why, cause } = this.#failure!;
    return new ConnectionClosedError(`Cannot send: ${why}`, { cause });
  }

  // ---- The end ----

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const why = "this end of the connection was closed";
    for (const { reject } of this.#queued) {
      reject(new ConnectionClosedError(`Cannot send: ${why}`));
    }
    this.#queued.clear();
    this.#unread.end(() => new ConnectionClosedError(`Cannot receive: ${why}`));
    this.#unread.clear();
    this.#room?.resolve();
    if (!this.#channel.closed) this.#sayGoodbye();
  }

  async #sayGoodbye(): Promise<void> {
    this.#stopLinger = startTimer(
      () => {
        this.#fail("this end was closed, and the other did not read in time");
        this.#channel.close();
      },
      LINGER,
      { unref: true },
    );
    await this.#written();
    try {
      await this.#socket.closeWrite();
    } catch {
      this.#channel.close(); // The other side is gone.
    }
  }

  gone(): Promise<void> {
    return this.#keepingAlive(this.#over.promise);
  }
}

/** The bytes of a message for another program. */
function pack(
  message: unknown,
  limit: number,
  transfer: readonly ArrayBuffer[] | undefined,
): Uint8Array {
  const { bytes } = encode(message, { root: "message", foreign: true });
  if (bytes.length > limit) {
    throw new RangeError(
      `Cannot send: the message has ${bytes.length} bytes, the other end accepts ${limit} ("maxMessage")`,
    );
  }
  // Only a message that will be sent takes its buffers along.
  if (transfer !== undefined) encode(undefined, { transfer });
  return bytes;
}
