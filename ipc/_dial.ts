// Copyright 2026 the multitask authors. MIT license.
// The way out: a connection to whoever listens at an address, with both sides
// proved.

import {
  isLocal,
  type ListenerAddress,
  parseAddress,
  showAddress,
} from "./_address.ts";
import {
  type ClientTlsOptions,
  connect,
  isName,
  mayUseNames,
  type Shortcut,
} from "./_network.ts";
import { type Met, Peer, type PeerOptions } from "./_peer.ts";
import type { MessageLimits } from "./_socket_end.ts";
import { type Wait, waitFor } from "./_waiting.ts";
import { TimeoutError } from "./errors.ts";

/** How to connect. Options that users give are checked by it. */
export interface DialOptions extends PeerOptions {
  readonly tls?: ClientTlsOptions;
}

/** One who connects, as often as it takes. */
export class Dialer {
  readonly address: ListenerAddress;
  readonly #tls: ClientTlsOptions | undefined;
  readonly #peer: Peer;

  /** Checks the address and the options. */
  constructor(address: ListenerAddress | string, options: DialOptions) {
    this.address = parseAddress("connect", address);
    if ("port" in this.address && this.address.port === 0) {
      throw new RangeError(
        `Cannot connect: "port" must be that of a listener, received 0`,
      );
    }
    this.#tls = options.tls;
    this.#peer = new Peer("connect", "client", this.address, options);
  }

  /**
   * Connects. After an abort or a time-out nothing is left.
   *
   * @throws {TimeoutError} If nobody was there, or answered, in time.
   */
  dial(wait: Wait): Promise<Met> {
    return this.#within(
      wait,
      async (stop) =>
        await this.#peer.meet(
          await connect(this.address, this.#tls, stop),
          stop,
        ),
    );
  }

  /** Whether an offered shortcut leads to the same, as far as is known here. */
  mayTake({ path, port }: Shortcut): boolean {
    const { address } = this;
    return this.#tls === undefined && isName(path) && "port" in address &&
      address.port === port && isLocal(address) && mayUseNames();
  }

  /** Comes again, by a shortcut; the other side was met with these limits. */
  dialAgain(
    { path, token }: Shortcut,
    limits: MessageLimits,
    wait: Wait,
  ): Promise<Met> {
    return this.#within(wait, async (stop) => {
      const socket = await connect({ path }, undefined, stop);
      try {
        await this.#peer.showToken(socket, token);
      } catch (error) {
        socket.close();
        throw error;
      }
      return { socket, limits };
    });
  }

  async #within(
    wait: Wait,
    meet: (stop: AbortSignal) => Promise<Met>,
  ): Promise<Met> {
    const met = await waitFor<Met>(wait, (waiter) => {
      const stop = new AbortController();
      const meeting = meet(stop.signal);
      meeting.then(waiter.resolve, waiter.reject);
      return () => {
        stop.abort();
        // It may have come about in the same moment.
        meeting.then(({ socket }) => socket.close(), () => {});
      };
    });
    if (met !== undefined) return met;
    throw new TimeoutError(
      `Cannot connect: no connection to ${
        showAddress(this.address)
      } within ${wait.timeout} ms`,
    );
  }
}
