// Copyright 2026 the multitask authors. MIT license.
// What a listener and its clients have in common: the key, the limits, and how
// a stream to a stranger becomes a connection.

import { isLocal, type ListenerAddress, showAddress } from "./_address.ts";
import { MAX_FRAME } from "./_channel.ts";
import {
  checkKey,
  handshake,
  importKey,
  readToken,
  type Role,
  showToken,
} from "./_handshake.ts";
import { checkInteger, checkNonNegative, shown } from "./_options.ts";
import type { MessageLimits, Socket } from "./_socket_end.ts";
import { startTimer } from "./_timer.ts";
import { AuthenticationError, TimeoutError } from "./errors.ts";

/** What a listener and its clients may both be told. */
export interface PeerOptions {
  /**
   * The key that both sides prove to know, without sending it. Long and random:
   * whoever has seen a handshake can try keys against it. It tells who is there
   * and hides nothing: for that there is `tls`.
   *
   * @default {undefined} both sides take whoever speaks the protocol
   */
  authkey?: string | Uint8Array;
  /**
   * The longest message to accept, in bytes as it is encoded. The other side is
   * told, and its `send` refuses what is longer.
   *
   * @default {67_108_864} 64 MiB
   */
  maxMessage?: number;
  /**
   * How long the other side may take to say and to prove who it is, in
   * milliseconds.
   *
   * @default {10_000}
   */
  handshakeTimeout?: number;
  /**
   * Whether to accept an address that other machines can reach with neither
   * `tls` nor `authkey`.
   *
   * @default {false}
   */
  insecure?: boolean;
}

const MAX_MESSAGE = 1 << 26;
const HANDSHAKE_TIMEOUT = 10_000;

/** A stream whose other side has proved itself. */
export interface Met {
  readonly socket: Socket;
  readonly limits: MessageLimits;
}

/** One side of connections to come. */
export class Peer {
  readonly #role: Role;
  readonly #key: Promise<CryptoKey> | undefined;
  readonly #maxMessage: number;
  readonly #timeout: number;

  /** Checks the options; `address` is where connections go to or come from. */
  constructor(
    action: string,
    role: Role,
    address: ListenerAddress,
    options: PeerOptions & { tls?: unknown },
  ) {
    const { authkey, tls, insecure = false } = options;
    const { maxMessage = MAX_MESSAGE, handshakeTimeout = HANDSHAKE_TIMEOUT } =
      options;
    checkInteger(action, "maxMessage", maxMessage, 1);
    if (maxMessage >= MAX_FRAME) {
      throw new RangeError(
        `Cannot ${action}: "maxMessage" must be less than ${MAX_FRAME}, received ${maxMessage}`,
      );
    }
    checkNonNegative(action, "handshakeTimeout", handshakeTimeout);
    const key = authkey === undefined ? undefined : checkKey(action, authkey);
    if (tls !== undefined) checkTls(action, role, address, tls);
    if (
      key === undefined && tls === undefined && !insecure && !isLocal(address)
    ) {
      throw new TypeError(
        `Cannot ${action}: ${
          showAddress(address)
        } leads over the network; give "tls", or "authkey" (which encrypts nothing), or insecure: true`,
      );
    }
    this.#role = role;
    this.#maxMessage = maxMessage;
    this.#timeout = handshakeTimeout;
    this.#key = key && importKey(key);
  }

  /**
   * Shakes hands; closes the socket if that fails, takes too long, or is
   * aborted.
   */
  meet(socket: Socket, signal: AbortSignal): Promise<Met> {
    return this.#within(socket, signal, async () => {
      const sent = await handshake(socket, {
        role: this.#role,
        key: await this.#key,
        maxMessage: this.#maxMessage,
      });
      return { received: this.#maxMessage, sent };
    });
  }

  /** The same with somebody who shows a token; `limitsOf` knows whose it is. */
  meetAgain(
    socket: Socket,
    signal: AbortSignal,
    limitsOf: (token: string) => MessageLimits | undefined,
  ): Promise<Met> {
    return this.#within(socket, signal, async () => {
      const limits = limitsOf(await readToken(socket, await this.#key));
      if (limits !== undefined) return limits;
      throw new AuthenticationError(
        "Cannot accept: the other side shows a token that was not given",
      );
    });
  }

  /** Shows a token, to somebody who knows it. */
  async showToken(socket: Socket, token: string): Promise<void> {
    await showToken(socket, await this.#key, token);
  }

  async #within(
    socket: Socket,
    signal: AbortSignal,
    talk: () => Promise<MessageLimits>,
  ): Promise<Met> {
    let over: { reason: unknown } | undefined;
    const giveUp = (reason: unknown) => {
      over ??= { reason };
      closeQuietly(socket);
    };
    const onAbort = () => giveUp(signal.reason);
    const stopTimer = startTimer(
      () =>
        giveUp(
          new TimeoutError(
            `Cannot ${
              this.#role === "client" ? "connect" : "accept"
            }: the other side did not finish the handshake within ${this.#timeout} ms`,
          ),
        ),
      this.#timeout,
      { unref: true }, // The socket keeps the program alive, if anything does.
    );
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      signal.throwIfAborted();
      const limits = await talk();
      if (over !== undefined) throw over.reason;
      return { socket, limits };
    } catch (error) {
      giveUp(error);
      throw over!.reason;
    } finally {
      stopTimer();
      signal.removeEventListener("abort", onAbort);
    }
  }
}

function checkTls(
  action: string,
  role: Role,
  address: ListenerAddress,
  tls: unknown,
): void {
  if (typeof tls !== "object" || tls === null) {
    throw new TypeError(
      `Cannot ${action}: "tls" must be an object, received ${shown(tls)}`,
    );
  }
  if ("path" in address) {
    throw new TypeError(
      `Cannot ${action}: "tls" needs a port, received ${showAddress(address)}`,
    );
  }
  const { cert, key, caCerts = [] } = tls as {
    cert?: unknown;
    key?: unknown;
    caCerts?: unknown;
  };
  // A client needs none.
  const isPair = typeof cert === "string" && typeof key === "string" ||
    role === "client" && cert === undefined && key === undefined;
  if (!isPair) {
    throw new TypeError(
      `Cannot ${action}: "tls.cert" and "tls.key" must be texts in PEM`,
    );
  }
  if (
    !Array.isArray(caCerts) ||
    !caCerts.every((text) => typeof text === "string")
  ) {
    throw new TypeError(
      `Cannot ${action}: "tls.caCerts" must be a list of texts in PEM, received ${
        shown(caCerts)
      }`,
    );
  }
}

function closeQuietly(socket: Socket): void {
  try {
    socket.close();
  } catch {
    // It was closed already.
  }
}
