// Copyright 2026 the multitask authors. MIT license.

import { hub } from "./_hub.ts";
import type { Reference } from "./_reference.ts";
import {
  checkInteger,
  checkWait,
  shown,
  type WaitOptions,
} from "./_options.ts";
import type { PipeCore } from "./_pipe_core.ts";
import { QueueOp } from "./_queue_core.ts";
import {
  checkOpen,
  claimReference,
  HandleNumber,
  isArriving,
  registerHandle,
} from "./_shared.ts";
import { type Waitable, waitable } from "./_waitable.ts";
import { ConnectionClosedError, TimeoutError } from "./errors.ts";

/** Options of {@linkcode Connection.send}. */
export interface ConnectionSendOptions extends WaitOptions {
  /**
   * Buffers in the message to take away from this side: they are detached once
   * the message is encoded.
   *
   * @default {[]}
   */
  transfer?: readonly ArrayBuffer[];
}

/** Options of {@linkcode Connection.recvBytes}. */
export interface ConnectionRecvBytesOptions extends WaitOptions {
  /**
   * The longest message to accept, in bytes. A longer one stays unread.
   *
   * @default {undefined} any length
   */
  maxLength?: number;
}

/** So many bytes may be on their way without waiting for an answer. */
const UNANSWERED_LIMIT = 1 << 18;

/** The end that is being made: the constructor is not for the public. */
let pipe: { core: PipeCore; end: 0 | 1 } | undefined;

/** Makes one end of a pipe; for `Pipe()` only. */
export let makeConnection: <T>(core: PipeCore, end: 0 | 1) => Connection<T>;

/**
 * One end of a {@linkcode Pipe}: messages both ways, boundaries kept.
 *
 * Python: `multiprocessing.connection.Connection`. Differences: an end that is
 * passed to another process and not used here counts as moved, so that its
 * death is seen as the end of the stream; `recvBytes` leaves a message that is
 * too long unread instead of breaking the connection; several readers or
 * writers of one end share it whole message by whole message.
 *
 * **Ordering**: messages arrive in the order of `send`.
 *
 * **Back-pressure**: `send` waits while 1 MiB is unread.
 *
 * **Cancel safety**: as for {@linkcode Queue}: an aborted `recv` takes nothing,
 * an aborted `send` takes its message back unless it has been read.
 *
 * @typeParam T The messages.
 */
export class Connection<T = unknown> implements Waitable, Disposable {
  static {
    registerHandle(
      HandleNumber.Connection,
      this.prototype,
      () => new this(),
    );
    makeConnection = <T>(core: PipeCore, end: 0 | 1) => {
      pipe = { core, end };
      return new Connection<T>();
    };
  }

  readonly #reference: Reference;
  /** Bytes on their way to an owner that has not answered for them yet. */
  #unanswered = 0;

  private constructor() {
    const made = pipe;
    pipe = undefined;
    if (made === undefined && !isArriving()) {
      throw new TypeError("Cannot construct a Connection: use Pipe()");
    }
    this.#reference = claimReference(
      this,
      HandleNumber.Connection,
      () => made!.core,
      made?.end,
    );
  }

  /**
   * Sends a message; waits while too much is unread. In a process that does not
   * own the pipe it resolves when the message is on its way, unless it is given
   * a `timeout` or `signal`; an error that only the owner finds out comes with
   * the next call.
   *
   * @throws {SerializationError} If the message cannot be sent; names the path.
   * @throws {ConnectionClosedError} If the other end is closed.
   * @throws {TimeoutError} If there was no room in time.
   */
  async send(message: T, options?: ConnectionSendOptions): Promise<void> {
    const { timeout, signal } = checkWait("send", options);
    this.#checkOpen("send");
    signal?.throwIfAborted(); // Before anything is taken away.
    const packet = hub.pack(message, "message", options?.transfer);
    const size = packet.bytes.length;
    const sent = this.#reference.call(QueueOp.Put, {
      packet,
      timeout,
      signal,
      undo: ({ number }) => this.#reference.cast(QueueOp.Withdraw, number),
    });
    // A message to an owner elsewhere is on its way, in order; while little is,
    // nobody has to wait for the answers.
    if (
      this.#reference.object === undefined &&
      timeout === undefined && signal === undefined &&
      this.#unanswered + size <= UNANSWERED_LIMIT
    ) {
      this.#unanswered += size;
      let failure: { error: unknown } | undefined;
      const going = sent.catch((error) => {
        failure = { error };
        throw error;
      }).finally(() => this.#unanswered -= size);
      // An owner that is known to be gone has answered already.
      await undefined;
      if (failure === undefined) hub.goOn(this.#reference, going);
      else await going;
      return;
    }
    if (await sent === undefined) {
      throw new TimeoutError(`Cannot send: no room within ${timeout} ms`);
    }
  }

  /**
   * Receives the next message; waits for one.
   *
   * @throws {ConnectionClosedError} If the other end is closed and everything
   * it sent has been received. Python: `EOFError`.
   * @throws {TimeoutError} If nothing came in time.
   */
  async recv(options?: WaitOptions): Promise<T> {
    return await this.#recv(checkWait("receive", options)) as T;
  }

  async #recv(
    { timeout, signal }: WaitOptions,
    check?: (message: unknown) => void,
  ): Promise<unknown> {
    this.#checkOpen("receive");
    const done = await this.#reference.call(QueueOp.Get, {
      timeout,
      signal,
      undo: ({ number, packet }) =>
        this.#reference.cast(QueueOp.Unget, number, packet),
    });
    if (done === undefined) {
      throw new TimeoutError(`Cannot receive: nothing came in ${timeout} ms`);
    }
    // A copy for the case that it has to go back: the frame's bytes may be
    // read over by then.
    const message = hub.unpack(done.packet);
    try {
      check?.(message);
    } catch (error) {
      this.#reference.cast(QueueOp.Unget, done.number, hub.pack(message));
      throw error;
    }
    return message;
  }

  /** Sends bytes as one message. They are copied at the call. */
  async sendBytes(bytes: Uint8Array, options?: WaitOptions): Promise<void> {
    if (!(bytes instanceof Uint8Array)) {
      throw new TypeError(
        `Cannot send bytes: a Uint8Array is required, received ${shown(bytes)}`,
      );
    }
    // A copy that has a buffer of just this length, so that nothing beside it
    // is sent.
    const own = new Uint8Array(bytes);
    // Bytes and values share the stream; `recvBytes` checks what it gets.
    await this.send(own as unknown as T, options);
  }

  /**
   * Receives a message of bytes.
   *
   * @throws {RangeError} If it is longer than `maxLength`; it stays unread.
   * @throws {TypeError} If the next message is a value; it stays unread.
   */
  async recvBytes(options?: ConnectionRecvBytesOptions): Promise<Uint8Array> {
    const waiting = checkWait("receive", options);
    const maxLength = options?.maxLength;
    if (maxLength !== undefined) {
      checkInteger("receive", "maxLength", maxLength, 0);
    }
    const message = await this.#recv(waiting, (message) => {
      if (!(message instanceof Uint8Array)) {
        throw new TypeError(
          `Cannot receive bytes: the next message is ${
            shown(message)
          }; receive it with recv()`,
        );
      }
      if (maxLength !== undefined && message.length > maxLength) {
        throw new RangeError(
          `Cannot receive: the next message has ${message.length} bytes, "maxLength" is ${maxLength}`,
        );
      }
    });
    // The check has seen that it is one.
    return message as Uint8Array;
  }

  /**
   * Whether a `recv` would not wait: something is there, or the end. Without a
   * `timeout` it looks and does not wait, as Python's does; with one it waits
   * that long for it.
   */
  async poll(options?: WaitOptions): Promise<boolean> {
    const { timeout = 0, signal } = checkWait("poll", options);
    this.#checkOpen("poll");
    const done = await this.#reference.call(QueueOp.Ready, { timeout, signal });
    return done !== undefined;
  }

  /** Lets `wait` include the connection: ready when `recv` would not wait. */
  async [waitable](signal: AbortSignal): Promise<void> {
    this.#checkOpen("wait");
    await this.#reference.call(QueueOp.Ready, { signal });
  }

  /** Whether this end was closed here. */
  get closed(): boolean {
    return this.#reference.closed;
  }

  /**
   * Closes this end in this process. When no process has it open any more, the
   * other end can still read what was sent, and then gets
   * {@linkcode ConnectionClosedError}. Idempotent.
   */
  close(): void {
    if (this.#reference.closed) return;
    this.#reference.markClosed();
    hub.release(this.#reference);
  }

  #checkOpen(action: string): void {
    if (this.#reference.closed) {
      throw new ConnectionClosedError(
        `Cannot ${action}: this end of the connection is closed`,
      );
    }
    checkOpen(this.#reference, action);
  }

  /** The same as {@linkcode Connection.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
