// Copyright 2026 the multitask authors. MIT license.
// The way out: a connection to whoever listens at an address, with both sides
// proved.

import { type ListenerAddress, parseAddress, showAddress } from "./_address.ts";
import { type ClientTlsOptions, connect } from "./_network.ts";
import { type Met, Peer, type PeerOptions } from "./_peer.ts";
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
  async dial(wait: Wait): Promise<Met> {
    const { address } = this;
    const meet = async (stop: AbortSignal): Promise<Met> =>
      await this.#peer.meet(await connect(address, this.#tls, stop), stop);
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
        showAddress(address)
      } within ${wait.timeout} ms`,
    );
  }
}
