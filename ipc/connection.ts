// Copyright 2026 the multitask authors. MIT license.

import type { ConnectionEnd } from "./_connection_end.ts";
import {
  checkInteger,
  checkWait,
  shown,
  type WaitOptions,
} from "./_options.ts";
import { onPipeEnd } from "./_pipe_end.ts";
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

/** What gets a connection around it: the constructor is not for the public. */
let wrapping: ConnectionEnd | undefined;

/** Makes the connection around an end. */
export let makeConnection: <T>(end: ConnectionEnd) => Connection<T>;

/** What is behind a connection: for those who pack messages themselves. */
export let endOf: (connection: Connection) => ConnectionEnd;

/**
 * One end of a {@linkcode Pipe}, or of a connection between a
 * {@linkcode Listener} and a {@linkcode Client}: messages both ways, boundaries
 * kept.
 *
 * Python: `multiprocessing.connection.Connection`. Differences: an end of a pipe
 * that is passed to another process and not used here counts as moved, so that
 * its death is seen as the end of the stream; `recvBytes` leaves a message that
 * is too long unread instead of breaking the connection; several readers or
 * writers of one end share it whole message by whole message.
 *
 * An end of a pipe can be passed on, in `args` and in messages. A connection to
 * a listener cannot, and neither can the shared objects of a program be sent
 * over it: they are a {@linkcode SerializationError}.
 *
 * **Ordering**: messages arrive in the order of `send`.
 *
 * **Back-pressure**: `send` waits while 1 MiB is unread; over a socket, until
 * the message is written to it. The other end reads 1 MiB ahead.
 *
 * **Cancel safety**: an aborted or timed-out `recv` takes nothing. An aborted or
 * timed-out `send` has sent nothing; where it was too late for that, it succeeds.
 * Over a socket a message that has begun to be written is sent whole, and only
 * the wait ends.
 *
 * **Close**: whoever waits at the closed end gets a
 * {@linkcode ConnectionClosedError}; the other end can read what was sent.
 *
 * @typeParam T The messages.
 */
export class Connection<T = unknown>
  implements Waitable, Disposable, AsyncDisposable {
  static {
    makeConnection = <T>(end: ConnectionEnd) => {
      wrapping = end;
      return new Connection<T>();
    };
    endOf = (connection) => connection.#end;
    onPipeEnd(makeConnection);
  }

  readonly #end: ConnectionEnd;

  private constructor() {
    if (wrapping === undefined) {
      throw new TypeError(
        "Cannot construct a Connection: use Pipe(), Client() or Listener.accept()",
      );
    }
    this.#end = wrapping;
    wrapping = undefined;
    this.#end.attach?.(this);
  }

  /**
   * Sends a message; waits while too much is unread. In a process that does not
   * own the pipe it resolves when the message is on its way, unless it is given
   * a `timeout` or `signal`; an error that only the owner finds out comes with
   * the next call. Over a socket it resolves when the message is written; with
   * `timeout: 0`, when it has begun to be.
   *
   * @throws {SerializationError} If the message cannot be sent; names the path.
   * @throws {ConnectionClosedError} If the other end is closed.
   * @throws {RangeError} If it is longer than the other end of a socket accepts.
   * @throws {TimeoutError} If there was no room in time.
   */
  async send(message: T, options?: ConnectionSendOptions): Promise<void> {
    const { timeout, signal } = checkWait("send", options);
    this.#checkOpen("send");
    signal?.throwIfAborted(); // Before anything is taken away.
    if (!await this.#end.send(message, options ?? {})) {
      throw new TimeoutError(`Cannot send: no room within ${timeout} ms`);
    }
  }

  /**
   * Receives the next message; waits for one.
   *
   * @throws {ConnectionClosedError} If the other end is closed and everything
   * it sent has been received, or if the connection broke. Python: `EOFError`.
   * @throws {SerializationError} If the message cannot be decoded; it is lost.
   * @throws {TimeoutError} If nothing came in time.
   */
  async recv(options?: WaitOptions): Promise<T> {
    return await this.#recv(checkWait("receive", options)) as T;
  }

  async #recv(
    options: WaitOptions,
    check?: (message: unknown) => void,
  ): Promise<unknown> {
    this.#checkOpen("receive");
    const received = await this.#end.recv(options);
    if (received === undefined) {
      throw new TimeoutError(
        `Cannot receive: nothing came in ${options.timeout} ms`,
      );
    }
    try {
      check?.(received.message);
    } catch (error) {
      received.giveBack();
      throw error;
    }
    return received.message;
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
    return await this.#end.ready({ timeout, signal });
  }

  /** Lets `wait` include the connection: ready when `recv` would not wait. */
  async [waitable](signal: AbortSignal): Promise<void> {
    this.#checkOpen("wait");
    await this.#end.ready({ signal });
  }

  /** Whether this end was closed here. */
  get closed(): boolean {
    return this.#end.closed;
  }

  /**
   * Closes this end in this process. When no process has it open any more, the
   * other end can still read what was sent, and then gets
   * {@linkcode ConnectionClosedError}. Idempotent.
   *
   * The socket of a connection to a listener is closed in the background, within
   * two seconds, so that what was sent gets across; `await using` waits for it.
   */
  close(): void {
    this.#end.close();
  }

  #checkOpen(action: string): void {
    if (this.#end.closed) {
      throw new ConnectionClosedError(
        `Cannot ${action}: this end of the connection is closed`,
      );
    }
  }

  /** The same as {@linkcode Connection.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Closes this end and waits until nothing of it is open any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#end.gone();
  }
}
