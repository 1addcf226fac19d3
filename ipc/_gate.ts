// Copyright 2026 the multitask authors. MIT license.
// The way in: accepts sockets at an address and lets those in who prove
// themselves. What becomes of them is the caller's affair.
//
//   socket comes --> stranger --handshake--> admitted
//                       \--wrong, late, left, crowded out--> refused
//
// Who was admitted at a loopback port may be offered a shortcut: a Unix socket
// without a file, where a token that is good for once, and the key, are all that
// is asked for.
//
// At most so many are strangers at a time: one more, and the oldest has to go,
// so that whoever is silent keeps nobody out who answers.

import { isLocal, type ListenerAddress, showAddress } from "./_address.ts";
import { resourceClosed, resourceOpened } from "./_live.ts";
import {
  addressOf,
  listen,
  type ListenerTlsOptions,
  mayUseNames,
  newName,
  type Shortcut,
  tune,
} from "./_network.ts";
import { Peer, type PeerOptions } from "./_peer.ts";
import { TOKEN_SIZE } from "./_handshake.ts";
import type { MessageLimits, Socket } from "./_socket_end.ts";
import { startTimer } from "./_timer.ts";
import { ConnectionClosedError } from "./errors.ts";

/** How a gate lets in. Options that users give are checked by it. */
export interface GateOptions extends PeerOptions {
  readonly tls?: ListenerTlsOptions;
  /** How many strangers there may be at a time. */
  readonly maxStrangers?: number;
  /** Whether to offer a shortcut beside a port of this machine. */
  readonly offersShortcut?: boolean;
  /** Listens in another way; `refused` is for who does not get as far as this. */
  readonly listen?: (refused: (error: Error) => void) => GateListener;
}

/** A socket that was accepted; `Deno.Conn` is one. */
export interface GateSocket extends Socket {
  readonly remoteAddr: Deno.Addr;
}

/** What a gate needs of a listener; `Deno.Listener` is one. */
export interface GateListener {
  readonly addr: Deno.Addr;
  /** Resolves when it listens, where that takes a moment. */
  readonly ready?: Promise<void>;
  accept(): Promise<GateSocket>;
  close(): void;
  ref(): void;
  unref(): void;
}

/** Somebody who has proved themselves. */
export interface Admitted {
  readonly socket: Socket;
  readonly limits: MessageLimits;
  /** Where they come from; clients of Unix sockets come from nowhere. */
  readonly address: ListenerAddress | undefined;
  /** Whether they were admitted before, and come by the shortcut now. */
  readonly isAgain: boolean;
}

/** What a gate tells. */
export interface GateEvents {
  /** May throw: then that is why it is refused after all. */
  admitted(admitted: Admitted): void;
  refused(error: Error, address: ListenerAddress | undefined): void;
}

/**
 * So many may be about to prove who they are. That takes a few round trips, so
 * that among more the oldest is none to wait for.
 */
export const MAX_STRANGERS = 128;
/** How long the offer of a shortcut stands, in milliseconds. */
const OFFER_BOUND = 10_000;
/** How long to wait for descriptors when they have run out: a guess. */
const SHORTAGE_PAUSE = 100;

/** See the file comment. It does not keep the program alive by itself. */
export class Gate {
  readonly #socket: GateListener;
  /**
   * The shortcut: a Unix socket by which those on this machine can come who have
   * been admitted before. It costs the system less than a port does.
   */
  readonly #near: { socket: GateListener; path: string } | undefined;
  /** Who may come by it. */
  readonly #expected = new Map<
    string,
    { limits: MessageLimits; forget: () => void }
  >();
  readonly address: ListenerAddress;
  readonly #peer: Peer;
  readonly #maxStrangers: number;
  readonly #events: GateEvents;
  /** The oldest first. */
  readonly #strangers = new Set<AbortController>();
  /** Resolves when the address can be taken again. */
  readonly gone: Promise<void>;
  #holds = 0;
  #closed = false;

  /** Listens from now on. */
  constructor(
    address: ListenerAddress,
    options: GateOptions,
    events: GateEvents,
  ) {
    this.#peer = new Peer("listen", "listener", address, options);
    this.#maxStrangers = options.maxStrangers ?? MAX_STRANGERS;
    this.#events = events;
    this.#socket = options.listen?.((error) => {
      if (!this.#closed) events.refused(error, undefined);
    }) ?? listen(address, options.tls);
    this.address = addressOf(this.#socket.addr) ?? address;
    this.#near = options.offersShortcut === true
      ? openNear(this.address)
      : undefined;
    resourceOpened(this, `listener on ${showAddress(this.address)}`);
    this.gone = Promise.all([
      this.#run(this.#socket),
      this.#near && this.#run(this.#near.socket),
    ]).then(() => {});
  }

  /**
   * Offers the shortcut, if there is one, to somebody who was admitted: once, and
   * not for long.
   */
  offerShortcut(limits: MessageLimits): Shortcut | undefined {
    const near = this.#near;
    if (near === undefined || "path" in this.address) return undefined;
    const { path } = near;
    const { port } = this.address;
    const token = crypto.getRandomValues(new Uint8Array(TOKEN_SIZE)).toHex();
    const forget = startTimer(
      () => this.#expected.delete(token),
      OFFER_BOUND,
      { unref: true },
    );
    this.#expected.set(token, { limits, forget });
    return { path, token, port };
  }

  #take(token: string): MessageLimits | undefined {
    const expected = this.#expected.get(token);
    this.#expected.delete(token);
    expected?.forget();
    return expected?.limits;
  }

  /** Resolves when it listens; rejects where that fails later than at once. */
  get ready(): Promise<void> {
    return this.#socket.ready ?? Promise.resolve();
  }

  /** How many are about to prove themselves. */
  get strangers(): number {
    return this.#strangers.size;
  }

  /** Keeps the program alive until {@linkcode Gate.release}. Counts. */
  hold(): void {
    if (this.#holds++ === 0) this.#socket.ref();
  }

  release(): void {
    if (--this.#holds === 0 && !this.#closed) this.#socket.unref();
  }

  /** Stops listening, and drops strangers. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
    this.#near?.socket.close();
    for (const { forget } of this.#expected.values()) forget();
    resourceClosed(this);
    const error = new ConnectionClosedError("Cannot accept: it is closed");
    for (const stranger of this.#strangers) stranger.abort(error);
    if ("path" in this.address) removeSocket(this.address.path);
  }

  async #run(socket: GateListener): Promise<void> {
    while (!this.#closed) {
      try {
        this.#meet(await socket.accept(), socket);
      } catch {
        if (this.#closed) return;
        // Descriptors have run out: some will be given back.
        await new Promise<void>((resolve) =>
          startTimer(resolve, SHORTAGE_PAUSE, { unref: true })
        );
      }
    }
  }

  async #meet(conn: GateSocket, socket: GateListener): Promise<void> {
    const address = addressOf(conn.remoteAddr);
    const stranger = new AbortController();
    this.#makeRoom();
    this.#strangers.add(stranger);
    try {
      // What has not proved itself holds nothing up.
      conn.unref();
      tune(conn);
      const { signal } = stranger;
      const isAgain = socket === this.#near?.socket;
      const met = isAgain
        ? await this.#peer.meetAgain(conn, signal, (token) => this.#take(token))
        : await this.#peer.meet(conn, signal);
      if (this.#closed) met.socket.close();
      else this.#events.admitted({ ...met, address, isAgain });
    } catch (error) {
      // The handshake fails with errors only.
      if (!this.#closed) this.#events.refused(error as Error, address);
    } finally {
      this.#strangers.delete(stranger);
    }
  }

  #makeRoom(): void {
    if (this.#strangers.size < this.#maxStrangers) return;
    const [oldest] = this.#strangers;
    this.#strangers.delete(oldest!);
    oldest!.abort(
      new ConnectionClosedError(
        `Cannot accept: ${this.#maxStrangers} others came before the other side had proved itself`,
      ),
    );
  }
}

/** Without it, the port does as well. */
function openNear(
  address: ListenerAddress,
): { socket: GateListener; path: string } | undefined {
  if ("path" in address || !isLocal(address) || !mayUseNames()) return;
  const path = newName();
  try {
    return { socket: listen({ path }, undefined), path };
  } catch {
    return; // Descriptors have run out.
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
