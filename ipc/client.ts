// Copyright 2026 the multitask authors. MIT license.

import { type ListenerAddress, parseAddress, showAddress } from "./_address.ts";
import { type ClientTlsOptions, connect } from "./_network.ts";
import { checkWait, type WaitOptions } from "./_options.ts";
import { Peer, type PeerOptions } from "./_peer.ts";
import type { SocketEnd } from "./_socket_end.ts";
import { waitFor } from "./_waiting.ts";
import { type Connection, makeConnection } from "./connection.ts";
import { TimeoutError } from "./errors.ts";

/**
 * Options of {@linkcode Client}. The `timeout` is for all of it; without one the
 * connection takes as long as the system lets it, and then the handshake at most
 * `handshakeTimeout`.
 */
export interface ClientOptions extends PeerOptions, WaitOptions {
  /**
   * Connects by TLS: `{}` accepts what the system does, `caCerts` more. The
   * certificate must be for the host name of the address.
   *
   * @default {undefined} no TLS
   */
  tls?: ClientTlsOptions;
}

/**
 * Connects to a {@linkcode Listener}, of this program or another one, here or on
 * another machine.
 *
 * Python: `multiprocessing.connection.Client`. Differences: it has `timeout` and
 * `signal`, and a listener that is silent is given up after `handshakeTimeout`.
 * With an `authkey` both sides prove that they know it.
 *
 * **Cancel safety**: after an abort or a time-out no connection is left; the
 * listener may have seen one that was closed at once.
 *
 * @typeParam T The messages.
 * @param address The address of the listener; its port must be known.
 *
 * @throws {AuthenticationError} If the listener has another key, or none, or
 * asks for one; if it is no listener; if its certificate is not accepted.
 * @throws {ConnectionClosedError} If it closed the connection meanwhile.
 * @throws {TimeoutError} If it was not there, or did not answer, in time.
 * @throws {PermissionNeededError} If a permission is missing; names the flag.
 * @throws {TypeError} If an option is wrong, or if the address leads over the
 * network with neither `tls` nor `authkey`, without `insecure`.
 * @throws {RangeError} If a number is out of range or the key is empty.
 * @throws {Deno.errors.ConnectionRefused} If nobody listens at the port.
 *
 * @example
 * ```ts
 * import { Client, Listener } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = new Listener<number>({ authkey: "a long random secret" });
 * const serve = async () => {
 *   using connection = await listener.accept();
 *   await connection.send(await connection.recv() * 2);
 * };
 * const served = serve();
 *
 * using client = await Client<number>(listener.address, {
 *   authkey: "a long random secret",
 *   timeout: 5000,
 * });
 * await client.send(21);
 * assertEquals(await client.recv(), 42);
 * await served;
 * ```
 */
export async function Client<T = unknown>(
  address: ListenerAddress | string,
  options: ClientOptions = {},
): Promise<Connection<T>> {
  const { timeout } = checkWait("connect", options);
  const target = parseAddress("connect", address);
  if ("port" in target && target.port === 0) {
    throw new RangeError(
      `Cannot connect: "port" must be that of a listener, received 0`,
    );
  }
  const peer = new Peer("connect", "client", target, options);
  const meet = async (stop: AbortSignal): Promise<SocketEnd> =>
    await peer.meet(await connect(target, options.tls, stop), stop);
  const end = await waitFor<SocketEnd>(options, (waiter) => {
    const stop = new AbortController();
    const meeting = meet(stop.signal);
    meeting.then(waiter.resolve, waiter.reject);
    return () => {
      stop.abort();
      // It may have come about in the same moment.
      meeting.then((end) => end.close(), () => {});
    };
  });
  if (end === undefined) {
    throw new TimeoutError(
      `Cannot connect: no connection to ${
        showAddress(target)
      } within ${timeout} ms`,
    );
  }
  return makeConnection<T>(end);
}
