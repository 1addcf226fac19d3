// Copyright 2026 the multitask authors. MIT license.
// Sockets of the platform: how they are opened, and what it means when they
// cannot be.
//
// Deno finishes a TLS handshake in the background even when the connection is
// closed meanwhile: the socket stays open until the other side goes on or leaves
// (Deno 2.9.6). So whoever is silent holds a descriptor of a TLS listener, but
// neither its memory nor its attention.

import { type ListenerAddress, showAddress, showPort } from "./_address.ts";
import { waitFor } from "./_waiting.ts";
import { PermissionNeededError } from "./errors.ts";

/** What a TLS listener shows to its clients. */
export interface ListenerTlsOptions {
  /** Its certificate, and those between it and the root, as PEM. */
  cert: string;
  /** The private key of the certificate, as PEM. */
  key: string;
}

/** What a TLS client accepts, and shows. */
export interface ClientTlsOptions {
  /**
   * Root certificates to accept beside those of the system, each as PEM.
   *
   * @default {[]}
   */
  caCerts?: readonly string[];
  /**
   * A certificate for a server that asks for one, as PEM. A `Listener` does
   * not; a `Manager` may, and a TLS proxy.
   */
  cert?: string;
  /** The private key of the certificate, as PEM. */
  key?: string;
}

/** A Unix socket by which one can come again, and the port it stands for. */
export interface Shortcut {
  readonly path: string;
  /** What to show there, in hex. */
  readonly token: string;
  readonly port: number;
}

/** How names of Unix sockets without a file begin. */
const NAME = "\0multitask-";

/** Whether a path is a name that {@linkcode newName} may have given. */
export function isName(path: string): boolean {
  return path.startsWith(NAME);
}

/**
 * A new name for a Unix socket without a file. Nobody can take it beforehand;
 * everybody on this machine can see it.
 */
export function newName(): string {
  return `${NAME}${crypto.randomUUID()}`;
}

/** Whether Unix sockets without a file are there, and may be used (Linux). */
export function mayUseNames(): boolean {
  if (Deno.build.os !== "linux") return false;
  return (["read", "write", "net"] as const).every((name) => {
    const { state, partial } = Deno.permissions.querySync({ name });
    return state === "granted" && !partial;
  });
}

/** Opens a socket that does not keep the program alive. */
export function listen(
  address: ListenerAddress,
  tls: ListenerTlsOptions | undefined,
): Deno.Listener<Deno.Conn> {
  try {
    const listener: Deno.Listener<Deno.Conn> = "path" in address
      ? Deno.listen({ transport: "unix", path: address.path })
      : tls === undefined
      ? Deno.listen({ ...address })
      : Deno.listenTls({ ...address, cert: tls.cert, key: tls.key });
    listener.unref();
    return listener;
  } catch (error) {
    throw failure("listen on", address, error);
  }
}

/**
 * Connects. A TLS connection shakes hands when it is first read or written, and
 * then fails with `InvalidData` if the certificate is not the listener's.
 */
export async function connect(
  address: ListenerAddress,
  tls: ClientTlsOptions | undefined,
  signal: AbortSignal,
): Promise<Deno.Conn> {
  try {
    return await open(address, tls, signal);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw failure("connect to", address, error);
  }
}

function open(
  address: ListenerAddress,
  tls: ClientTlsOptions | undefined,
  signal: AbortSignal,
): Promise<Deno.Conn> {
  if ("path" in address) {
    const { path } = address;
    return unlessAborted(Deno.connect({ transport: "unix", path }), signal);
  }
  const { cert, key } = tls ?? {};
  if (cert === undefined || key === undefined) {
    return openPort(address, tls, signal);
  }
  // The only way for a certificate of the client, and one without an abort.
  const caCerts = [...tls?.caCerts ?? []];
  return unlessAborted(
    Deno.connectTls({ ...address, caCerts, cert, key }),
    signal,
  );
}

async function openPort(
  address: { hostname: string; port: number },
  tls: ClientTlsOptions | undefined,
  signal: AbortSignal,
): Promise<Deno.Conn> {
  const conn = await Deno.connect({ ...address, signal });
  tune(conn);
  if (tls === undefined) return conn;
  const { hostname } = address;
  const caCerts = [...tls.caCerts ?? []];
  return await Deno.startTls(conn, { hostname, caCerts });
}

/** A connection that comes after the abort is closed. */
async function unlessAborted(
  connecting: Promise<Deno.Conn>,
  signal: AbortSignal,
): Promise<Deno.Conn> {
  const conn = await waitFor<Deno.Conn>({ signal }, (waiter) => {
    connecting.then(waiter.resolve, waiter.reject);
    return () => connecting.then((conn) => conn.close(), () => {});
  });
  return conn!; // There is no time limit.
}

/**
 * Short messages leave at once; a peer whose machine is gone is noticed. Deno
 * does not offer this for connections that are TLS from the start.
 */
export function tune(conn: object): void {
  if (!("setNoDelay" in conn)) return;
  const tcp = conn as Deno.TcpConn; // Only these have it.
  try {
    tcp.setNoDelay(true);
    tcp.setKeepAlive(true);
  } catch {
    // The other side has left; who reads finds out.
  }
}

/** The address of a socket; clients of Unix sockets have none. */
export function addressOf(addr: Deno.Addr): ListenerAddress | undefined {
  if ("hostname" in addr) return { hostname: addr.hostname, port: addr.port };
  // The types do not say so: a socket without a name has null here.
  const path = "path" in addr ? addr.path as string | null : null;
  return path === null ? undefined : { path };
}

type ErrorClass = new (message: string, options: ErrorOptions) => Error;

/** The same kind of error, with what was to be done. */
function failure(
  action: "listen on" | "connect to",
  address: ListenerAddress,
  error: unknown,
): unknown {
  const what = `Cannot ${action} ${showAddress(address)}`;
  if (error instanceof Deno.errors.NotCapable) {
    const flag = "path" in address
      ? `--allow-read=${address.path} --allow-write=${address.path} --allow-net=unix:${address.path}`
      : `--allow-net=${showPort(address)}`;
    return new PermissionNeededError(`${what}: add ${flag}`, {
      flag,
      cause: error,
    });
  }
  if (!(error instanceof Error)) return error;
  const type = error.constructor as ErrorClass;
  return new type(`${what}: ${error.message}`, { cause: error });
}
