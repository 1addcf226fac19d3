// Copyright 2026 the multitask authors. MIT license.
// Listeners, clients and hostile strangers over real sockets.

import {
  checkKey,
  handshake,
  importKey,
  type Role,
} from "../../ipc/_handshake.ts";
import { Client, type ClientOptions } from "../../ipc/client.ts";
import type { Connection } from "../../ipc/connection.ts";
import { Listener, type ListenerOptions } from "../../ipc/listener.ts";
import type { ListenerAddress, TcpAddress } from "../../ipc/_address.ts";
import { bounded } from "./_waits.ts";

function pem(name: string): string {
  return Deno.readTextFileSync(
    new URL(`./fixtures/tls/${name}`, import.meta.url),
  );
}

/** For the host name `localhost`. */
export const SERVER_TLS = { cert: pem("server.crt"), key: pem("server.key") };
/** Accepts it. */
export const CLIENT_TLS = { caCerts: [pem("ca.crt")] };

/** A key for both sides. */
export const KEY = "the key of the tests";

/** A way from a client to a listener. */
export interface Way {
  readonly name: string;
  readonly listener: ListenerOptions;
  readonly client: ClientOptions;
  readonly transport?: "unix";
}

/** All kinds of ways. */
export const WAYS: readonly Way[] = [
  { name: "TCP", listener: {}, client: {} },
  {
    name: "TCP with a key",
    listener: { authkey: KEY },
    client: { authkey: KEY },
  },
  { name: "a Unix socket", listener: {}, client: {}, transport: "unix" },
  {
    name: "TLS with a key",
    listener: { address: "localhost:0", tls: SERVER_TLS, authkey: KEY },
    client: { tls: CLIENT_TLS, authkey: KEY },
  },
];

/** Where a client finds a listener; by name where TLS asks for it. */
export function addressFor(listener: Listener, tls: boolean): ListenerAddress {
  const { address } = listener;
  if (!tls || "path" in address) return address;
  return { hostname: "localhost", port: address.port };
}

/** A listener, a client, and the connection between them. */
export class Connected<T = unknown> implements AsyncDisposable {
  readonly listener: Listener<T>;
  readonly client: Connection<T>;
  readonly server: Connection<T>;
  readonly #directory: string | undefined;

  private constructor(
    listener: Listener<T>,
    client: Connection<T>,
    server: Connection<T>,
    directory: string | undefined,
  ) {
    this.listener = listener;
    this.client = client;
    this.server = server;
    this.#directory = directory;
  }

  static async by<T = unknown>(
    { listener: listenerOptions, client: clientOptions, transport }: Way =
      WAYS[0]!,
  ): Promise<Connected<T>> {
    const directory = transport === undefined
      ? undefined
      : await Deno.makeTempDir();
    const listener = new Listener<T>({
      ...listenerOptions,
      ...(directory && { address: { path: `${directory}/socket` } }),
    });
    const address = addressFor(listener, clientOptions.tls !== undefined);
    const client = await bounded(Client<T>(address, clientOptions));
    const server = await bounded(listener.accept());
    return new Connected(listener, client, server, directory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.listener.close();
    // Each end waits for the other.
    await bounded(Promise.all([
      this.client[Symbol.asyncDispose](),
      this.server[Symbol.asyncDispose](),
    ]));
    if (this.#directory !== undefined) await Deno.remove(this.#directory);
  }
}

/** A TCP connection to a listener by somebody who says what the test says. */
export class Stranger implements Disposable {
  readonly conn: Deno.TcpConn;

  private constructor(conn: Deno.TcpConn) {
    this.conn = conn;
  }

  static async at(listener: Listener): Promise<Stranger> {
    const { hostname, port } = listener.address as TcpAddress;
    return new Stranger(await Deno.connect({ hostname, port }));
  }

  /** Does what a good client or listener does. */
  async shakeHands(role: Role = "client", authkey?: string): Promise<void> {
    const key = authkey === undefined
      ? undefined
      : await importKey(checkKey("test", authkey));
    await bounded(handshake(this.conn, { role, key, maxMessage: 1 << 20 }));
  }

  async write(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0) {
      rest = rest.subarray(await this.conn.write(rest));
    }
  }

  /** All that comes until the other side is gone. */
  async readAll(): Promise<number> {
    const into = new Uint8Array(1 << 16);
    let size = 0;
    try {
      for (let n; (n = await bounded(this.conn.read(into))) !== null;) {
        size += n;
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
    }
    return size;
  }

  [Symbol.dispose](): void {
    this.conn.close();
  }
}

/** Collects what a listener rejects, and waits for so many. */
export class Rejects {
  readonly errors: Error[] = [];
  readonly addresses: (ListenerAddress | undefined)[] = [];
  #change = Promise.withResolvers<void>();

  readonly onReject = (
    error: Error,
    address: ListenerAddress | undefined,
  ): void => {
    this.errors.push(error);
    this.addresses.push(address);
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  };

  async until(count: number): Promise<Error[]> {
    while (this.errors.length < count) await bounded(this.#change.promise);
    return this.errors;
  }
}
