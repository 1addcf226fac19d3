// Copyright 2026 the multitask authors. MIT license.
// Several HTTP servers, in processes or threads, behind one port.
//
// On Linux the kernel does it (SO_REUSEPORT): all of them listen at the same
// port, and each connection goes to one of them. Deno offers that through
// node:http; its own Deno.serve needs --unstable-net for it. On other systems
// each server has a port of its own, and the parent listens at the common one
// and passes the bytes of each connection on.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fail } from "./_options.ts";

const HOSTNAME = "127.0.0.1";

/** Who brings a connection to one of the servers. */
export type Sharing = "kernel" | "parent";

/**
 * Reads who it shall be.
 *
 * @param argument The argument of the command line.
 * @returns What it says; by default the kernel where it can.
 */
export function sharingOf(argument: string | undefined): Sharing {
  const canKernel = Deno.build.os === "linux";
  if (argument === undefined) return canKernel ? "kernel" : "parent";
  if (argument !== "kernel" && argument !== "parent") {
    fail(`Unknown argument: ${argument}`);
  }
  if (argument === "kernel" && !canKernel) {
    fail("Only the kernel of Linux shares a port");
  }
  return argument;
}

/** A server, where it listens. */
export interface HttpServer {
  readonly port: number;
  /** Takes no more connections; answers what has come. */
  close(): Promise<void>;
}

/**
 * Starts a server: called in the process or thread that serves.
 *
 * @param port Where to listen, perhaps as others do: {@linkcode SharedPort.own}.
 * @param answer Gives the text that answers a request for a path.
 * @returns The server, once it listens.
 */
export function listen(
  port: number,
  answer: (path: string) => string | Promise<string>,
): Promise<HttpServer> {
  const server = createServer(async (request, response) => {
    // One connection for each request, so that each may go elsewhere.
    response.setHeader("connection", "close");
    response.end(await answer(request.url ?? "/"));
  });
  const { promise, resolve, reject } = Promise.withResolvers<HttpServer>();
  server.once("error", reject);
  server.listen({ host: HOSTNAME, port, reusePort: true, backlog: 511 }, () => {
    resolve({
      // A server at a TCP port has such an address.
      port: (server.address() as AddressInfo).port,
      close: () => new Promise((closed) => server.close(() => closed())),
    });
  });
  return promise;
}

/** The common port, seen from the parent. */
export interface SharedPort extends AsyncDisposable {
  /** Where a further server shall listen: the common port, or 0 for any. */
  readonly own: number;
  /** What clients ask. */
  readonly url: string;
  /** Says that a server listens. */
  add(port: number): void;
  /** Says that a server has ended. */
  remove(port: number): void;
}

/**
 * Opens the common port.
 *
 * @param sharing Who brings a connection to a server.
 * @returns The port.
 */
export function openSharedPort(sharing: Sharing): SharedPort {
  return sharing === "kernel" ? new KernelPort() : new ParentPort();
}

/** The first server chooses the port, and the others join it. */
class KernelPort implements SharedPort {
  own = 0;

  get url(): string {
    return `http://${HOSTNAME}:${this.own}`;
  }

  add(port: number): void {
    this.own = port;
  }

  /** The kernel knows. */
  remove(_port: number): void {}

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** The parent takes each connection, and passes on what comes. */
class ParentPort implements SharedPort {
  readonly own = 0;
  readonly #listener = Deno.listen({ hostname: HOSTNAME, port: 0 });
  /** The servers; the next one to get a connection is the first. */
  readonly #ports: number[] = [];
  readonly #accepting = this.#accept();

  get url(): string {
    // It listens at a TCP port.
    return `http://${HOSTNAME}:${(this.#listener.addr as Deno.NetAddr).port}`;
  }

  add(port: number): void {
    this.#ports.push(port);
  }

  remove(port: number): void {
    const index = this.#ports.indexOf(port);
    if (index >= 0) this.#ports.splice(index, 1);
  }

  async #accept(): Promise<void> {
    const connections = new Set<Promise<void>>();
    // It ends when the listener is closed.
    for await (const client of this.#listener) {
      const done = this.#pass(client).finally(() => connections.delete(done));
      connections.add(done);
    }
    await Promise.all(connections);
  }

  /** Passes a connection on; whichever side breaks it off, both are closed. */
  async #pass(client: Deno.Conn): Promise<void> {
    using server = await this.#connect();
    using _client = client;
    if (server === null) return;
    await Promise.allSettled([
      client.readable.pipeTo(server.writable),
      server.readable.pipeTo(client.writable),
    ]);
  }

  /** Connects to the next server; `null` if there is none. */
  async #connect(): Promise<Deno.Conn | null> {
    for (let tries = this.#ports.length; tries > 0; tries--) {
      const port = this.#ports.shift();
      if (port === undefined) break;
      this.#ports.push(port);
      try {
        return await Deno.connect({ hostname: HOSTNAME, port });
      } catch {
        // It has just ended, and the next one serves.
      }
    }
    return null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
  }
}
