// Copyright 2026 the multitask authors. MIT license.

import type { ListenerAddress } from "./_address.ts";
import { Dialer } from "./_dial.ts";
import type { ClientTlsOptions } from "./_network.ts";
import { checkWait, type WaitOptions } from "./_options.ts";
import type { PeerOptions } from "./_peer.ts";
import { SocketEnd } from "./_socket_end.ts";
import { type Connection, makeConnection } from "./connection.ts";

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
  const wait = checkWait("connect", options);
  const { socket, limits } = await new Dialer(address, options).dial(wait);
  return makeConnection<T>(new SocketEnd(socket, limits));
}
