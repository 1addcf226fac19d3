// Copyright 2026 the multitask authors. MIT license.

import {
  ANY_LOCAL_PORT,
  type ListenerAddress,
  parseAddress,
} from "./_address.ts";
import { type Admitted, Gate } from "./_gate.ts";
import { Inbox } from "./_inbox.ts";
import type { ListenerTlsOptions } from "./_network.ts";
import {
  checkInteger,
  checkWait,
  shown,
  type WaitOptions,
} from "./_options.ts";
import type { PeerOptions } from "./_peer.ts";
import { SocketEnd } from "./_socket_end.ts";
import { type Connection, makeConnection } from "./connection.ts";
import { ClosedError, ConnectionClosedError, TimeoutError } from "./errors.ts";

/** Options of {@linkcode Listener}. */
export interface ListenerOptions extends PeerOptions {
  /**
   * Where to listen: a port, a Unix socket, or `"host:port"`.
   *
   * @default {{ hostname: "127.0.0.1", port: 0 }} any free port of this machine
   */
  address?: ListenerAddress | string;
  /**
   * The certificate and its key, for connections that are encrypted. Deno keeps
   * the socket of somebody who connects and does not shake hands by TLS until
   * they leave: a listener that is open to anybody needs a firewall or a proxy
   * before it.
   *
   * @default {undefined} no TLS
   */
  tls?: ListenerTlsOptions;
  /**
   * How many connections may wait for `accept`. One more is closed.
   *
   * @default {128}
   */
  backlog?: number;
  /**
   * Called with each connection that did not come to be, and where it came from:
   * an {@linkcode AuthenticationError}, a {@linkcode TimeoutError}, or a
   * {@linkcode ConnectionClosedError}.
   */
  onReject?: (error: Error, address: ListenerAddress | undefined) => void;
}

const BACKLOG = 128;

interface Accepted {
  readonly end: SocketEnd;
  readonly address: ListenerAddress | undefined;
}

/**
 * Listens at an address for connections of other programs, made by
 * {@linkcode Client}.
 *
 * Python: `multiprocessing.connection.Listener`. Differences: who does not know
 * the key is dropped and `accept` goes on (in Python it raises, by which a
 * stranger ends a server); `onReject` tells. The handshakes go on beside each
 * other and without `accept`, so nobody holds up anybody. `backlog` is 128, not
 * 1. The host name `""` is this machine alone. Messages are values of the
 * structured clone kind, never code.
 *
 * An `authkey` tells both sides who is there; it does not hide or protect what
 * is sent. Over a network use `tls`; a port that other machines can reach and
 * that has neither is refused, unless `insecure` is set.
 *
 * An `accept` that waits keeps the program alive, a listener does not.
 *
 * @typeParam T The messages.
 *
 * @example
 * ```ts
 * import { Client, Listener } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const authkey = crypto.getRandomValues(new Uint8Array(32));
 * using listener = new Listener<string>({ authkey });
 * using client = await Client<string>(listener.address, { authkey });
 * using server = await listener.accept();
 * await client.send("hello");
 * assertEquals(await server.recv(), "hello");
 * ```
 */
export class Listener<T = unknown>
  implements AsyncIterable<Connection<T>>, Disposable, AsyncDisposable {
  readonly #gate: Gate;
  readonly #backlog: number;
  readonly #accepted = new Inbox<Accepted>();
  #closed = false;
  #lastAccepted: ListenerAddress | undefined;

  /**
   * Listens from now on.
   *
   * @throws {TypeError} If an option is wrong, or if the address leads over the
   * network with neither `tls` nor `authkey`.
   * @throws {RangeError} If a number is out of range or the key is empty.
   * @throws {PermissionNeededError} If a permission is missing; names the flag.
   * @throws {Deno.errors.AddrInUse} If the address is taken.
   */
  constructor(options: ListenerOptions = {}) {
    const action = "listen";
    if (typeof options !== "object" || options === null) {
      throw new TypeError(
        `Cannot listen: the options must be an object, received ${
          shown(options)
        }`,
      );
    }
    const { backlog = BACKLOG, onReject } = options;
    const address = parseAddress(action, options.address ?? ANY_LOCAL_PORT);
    checkInteger(action, "backlog", backlog, 1);
    if (onReject !== undefined && typeof onReject !== "function") {
      throw new TypeError(
        `Cannot listen: "onReject" must be a function, received ${
          shown(onReject)
        }`,
      );
    }
    this.#backlog = backlog;
    this.#gate = new Gate(address, options, {
      admitted: (admitted) => this.#admitted(admitted),
      refused: (error, address) => onReject?.(error, address),
    });
  }

  /** Where it listens; has the port that was free. */
  get address(): ListenerAddress {
    return this.#gate.address;
  }

  /**
   * Where the connection that `accept` gave last comes from; `undefined` before
   * the first, and for clients of a Unix socket, which have no address.
   *
   * Python: `Listener.last_accepted`.
   */
  get lastAccepted(): ListenerAddress | undefined {
    return this.#lastAccepted;
  }

  /**
   * Gives the next connection whose other side has proved itself; waits for
   * one.
   *
   * **Ordering**: connections in the order in which they proved themselves;
   * those who wait, first come, first served.
   *
   * **Cancel safety**: an aborted or timed-out `accept` takes nothing.
   *
   * @throws {TimeoutError} If none came in time.
   * @throws {ClosedError} If the listener is closed.
   */
  async accept(options?: WaitOptions): Promise<Connection<T>> {
    const wait = checkWait("accept", options);
    this.#gate.hold();
    let accepted: Accepted | undefined;
    try {
      accepted = await this.#accepted.get(wait);
    } finally {
      this.#gate.release();
    }
    if (accepted === undefined) {
      throw new TimeoutError(
        `Cannot accept: no connection came in ${wait.timeout} ms`,
      );
    }
    this.#lastAccepted = accepted.address;
    return makeConnection<T>(accepted.end);
  }

  /** Accepts connections until the listener is closed. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<Connection<T>> {
    while (!this.#closed) {
      let connection: Connection<T>;
      try {
        connection = await this.accept();
      } catch (error) {
        if (this.#closed) return;
        throw error;
      }
      yield connection;
    }
  }

  /**
   * Stops listening: whoever waits in `accept` gets a {@linkcode ClosedError},
   * connections that were not accepted are closed, those that were go on. The
   * file of a Unix socket is removed. Idempotent.
   *
   * A port can be taken again a moment later; `await using` waits for that.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const error = () =>
      new ClosedError("Cannot accept: the listener is closed");
    this.#gate.close();
    this.#accepted.end(error);
    for (const { end } of this.#accepted.clear()) end.close();
  }

  /** The same as {@linkcode Listener.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Stops listening, and waits until the address can be taken again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    this.#gate.hold(); // The program waits for this.
    await this.#gate.gone;
  }

  #admitted({ socket, limits, address }: Admitted): void {
    const end = new SocketEnd(socket, limits);
    if (this.#accepted.length < this.#backlog) {
      this.#accepted.put({ end, address });
      return;
    }
    end.close();
    throw new ConnectionClosedError(
      `Cannot accept: ${this.#backlog} others wait for accept() already`,
    );
  }
}
