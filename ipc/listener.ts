// Copyright 2026 the multitask authors. MIT license.

import {
  ANY_LOCAL_PORT,
  type ListenerAddress,
  parseAddress,
  showAddress,
} from "./_address.ts";
import { Inbox } from "./_inbox.ts";
import { resourceClosed, resourceOpened } from "./_live.ts";
import {
  addressOf,
  listen,
  type ListenerTlsOptions,
  tune,
} from "./_network.ts";
import {
  checkInteger,
  checkWait,
  shown,
  type WaitOptions,
} from "./_options.ts";
import { Peer, type PeerOptions } from "./_peer.ts";
import type { SocketEnd } from "./_socket_end.ts";
import { startTimer } from "./_timer.ts";
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
/**
 * So many may be about to prove who they are. That takes a few round trips, so
 * that among more the oldest is none to wait for.
 */
const MAX_STRANGERS = 128;
/** How long to wait for descriptors when they have run out: a guess. */
const SHORTAGE_PAUSE = 100;

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
  readonly #socket: Deno.Listener<Deno.Conn>;
  readonly #address: ListenerAddress;
  readonly #peer: Peer;
  readonly #backlog: number;
  readonly #onReject: ListenerOptions["onReject"];
  /** Who has not proved yet who they are, the oldest first. */
  readonly #strangers = new Set<AbortController>();
  readonly #accepted = new Inbox<Accepted>();
  readonly #running: Promise<void>;
  #accepting = 0;
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
    const { tls, backlog = BACKLOG, onReject } = options;
    const address = parseAddress(action, options.address ?? ANY_LOCAL_PORT);
    checkInteger(action, "backlog", backlog, 1);
    if (onReject !== undefined && typeof onReject !== "function") {
      throw new TypeError(
        `Cannot listen: "onReject" must be a function, received ${
          shown(onReject)
        }`,
      );
    }
    this.#peer = new Peer(action, "listener", address, options);
    this.#backlog = backlog;
    this.#onReject = onReject;
    this.#socket = listen(address, tls);
    this.#address = addressOf(this.#socket.addr) ?? address;
    resourceOpened(this, `listener on ${showAddress(this.#address)}`);
    this.#running = this.#run();
  }

  /** Where it listens; has the port that was free. */
  get address(): ListenerAddress {
    return this.#address;
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
    if (this.#accepting++ === 0) this.#socket.ref();
    let accepted: Accepted | undefined;
    try {
      accepted = await this.#accepted.get(wait);
    } finally {
      if (--this.#accepting === 0) this.#socket.unref();
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
    this.#socket.close();
    resourceClosed(this);
    for (const stranger of this.#strangers) stranger.abort(error());
    this.#accepted.end(error);
    for (const { end } of this.#accepted.clear()) end.close();
    if ("path" in this.#address) removeSocket(this.#address.path);
  }

  /** The same as {@linkcode Listener.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Stops listening, and waits until the address can be taken again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    this.#socket.ref(); // The program waits for this.
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      try {
        this.#meet(await this.#socket.accept());
      } catch {
        if (this.#closed) return;
        // Descriptors have run out: some will be given back.
        await new Promise<void>((resolve) =>
          startTimer(resolve, SHORTAGE_PAUSE, { unref: true })
        );
      }
    }
  }

  async #meet(conn: Deno.Conn): Promise<void> {
    const address = addressOf(conn.remoteAddr);
    const stranger = new AbortController();
    this.#makeRoom();
    this.#strangers.add(stranger);
    try {
      // What has not proved itself holds nothing up.
      conn.unref();
      tune(conn);
      const end = await this.#peer.meet(conn, stranger.signal);
      if (this.#closed) end.close();
      else if (this.#accepted.length < this.#backlog) {
        this.#accepted.put({ end, address });
      } else {
        end.close();
        throw new ConnectionClosedError(
          `Cannot accept: ${this.#backlog} others wait for accept() already`,
        );
      }
    } catch (error) {
      // The handshake fails with errors only.
      if (!this.#closed) this.#onReject?.(error as Error, address);
    } finally {
      this.#strangers.delete(stranger);
    }
  }

  #makeRoom(): void {
    if (this.#strangers.size < MAX_STRANGERS) return;
    const [oldest] = this.#strangers;
    this.#strangers.delete(oldest!);
    oldest!.abort(
      new ConnectionClosedError(
        `Cannot accept: ${MAX_STRANGERS} others came before the other side had proved itself`,
      ),
    );
  }
}

function removeSocket(path: string): void {
  if (path.startsWith("\0")) return; // A name without a file.
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
