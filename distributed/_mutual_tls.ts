// Copyright 2026 the multitask authors. MIT license.
// A TLS listener that asks its clients for certificates. `Deno.listenTls` cannot
// (Deno 2.9), node:tls can.
//
// Whoever has no certificate of a root that is given ends within the TLS
// handshake, and is told as refused. Who is silent there has HANDSHAKE_BOUND.

import type { TcpAddress } from "../ipc/_address.ts";
import type { GateListener, GateSocket } from "../ipc/_gate.ts";
import { AuthenticationError } from "../ipc/errors.ts";
import { Inbox } from "../ipc/_inbox.ts";
import { type NodeSocket, NodeStream } from "../process/_node_stream.ts";

/** What the listener shows, and whom it takes. */
export interface MutualTlsOptions {
  readonly cert: string;
  readonly key: string;
  /** Roots of the certificates of clients, as PEM. */
  readonly clientCaCerts: readonly string[];
}

/** What is used of node:tls. */
interface NodeTls {
  createServer(options: object): NodeTlsServer;
}

interface NodeTlsServer {
  listen(port: number, hostname: string): unknown;
  close(callback?: () => void): unknown;
  ref(): unknown;
  unref(): unknown;
  on(
    event: "secureConnection",
    listener: (socket: NodeTlsSocket) => void,
  ): unknown;
  on(event: "tlsClientError", listener: (error: Error) => void): unknown;
  on(event: "listening", listener: () => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
}

interface NodeTlsSocket extends NodeSocket {
  readonly remoteAddress?: string;
  readonly remotePort?: number;
  end(): unknown;
  setNoDelay(noDelay: boolean): unknown;
}

/** How long the TLS handshake of a client may take, in milliseconds. */
const HANDSHAKE_BOUND = 10_000;

class TlsSocket extends NodeStream implements GateSocket {
  readonly remoteAddr: Deno.Addr;
  readonly #socket: NodeTlsSocket;

  constructor(socket: NodeTlsSocket) {
    super(socket);
    this.#socket = socket;
    socket.setNoDelay(true);
    this.remoteAddr = {
      transport: "tcp",
      hostname: socket.remoteAddress ?? "",
      port: socket.remotePort ?? 0,
    };
  }

  closeWrite(): Promise<void> {
    this.#socket.end();
    return Promise.resolve();
  }
}

/** Listens; throws at once if the address is taken. */
export function listenMutually(
  address: TcpAddress,
  { cert, key, clientCaCerts }: MutualTlsOptions,
  refused: (error: Error) => void,
): GateListener {
  // Deno's own types of `process` are not there everywhere.
  const { process } = globalThis as unknown as {
    process: { getBuiltinModule(name: string): NodeTls };
  };
  const server = process.getBuiltinModule("node:tls").createServer({
    cert,
    key,
    ca: [...clientCaCerts],
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: HANDSHAKE_BOUND,
  });
  const accepted = new Inbox<GateSocket>();
  const closed = () => new Error("The listener is closed");
  server.on(
    "secureConnection",
    (socket) => accepted.put(new TlsSocket(socket)),
  );
  server.on("tlsClientError", (error) =>
    refused(
      new AuthenticationError(
        `Cannot accept: the TLS handshake failed: ${error.message}`,
        { cause: error },
      ),
    ));
  const listening = Promise.withResolvers<void>();
  listening.promise.catch(() => {}); // Whoever waits for it is told.
  server.on("listening", () => listening.resolve());
  server.on("error", (error) => {
    accepted.end(() => error);
    listening.reject(error);
    refused(error);
  });
  // It tells only later where it listens, and that it cannot: this does at once.
  const addr = takePort(address);
  server.listen(addr.port, address.hostname);
  server.unref();
  return {
    addr,
    ready: listening.promise,
    accept: async () => (await accepted.get({}))!, // There is no time limit.
    close: () => {
      accepted.end(closed);
      for (const socket of accepted.clear()) socket.close();
      server.close();
    },
    ref: () => void server.ref(),
    unref: () => void server.unref(),
  };
}

/** A port that is free at this moment. */
function takePort({ hostname, port }: TcpAddress): Deno.NetAddr {
  using probe = Deno.listen({ hostname, port });
  return probe.addr;
}
