// Copyright 2026 the multitask authors. MIT license.
// Addresses of listeners: what may be written, and who can reach them.

import { checkInteger, shown } from "./_options.ts";

/** A port of a host. */
export interface TcpAddress {
  /**
   * A name or an IP address; `""` is `127.0.0.1` (in Python: all interfaces).
   */
  readonly hostname: string;
  /** The port; for a listener, 0 is any that is free. */
  readonly port: number;
}

/** A Unix socket. */
export interface UnixAddress {
  /** The file of the socket; on Linux, `"\0name"` is a name without a file. */
  readonly path: string;
}

/** Where a listener is. */
export type ListenerAddress = TcpAddress | UnixAddress;

/** Where a listener is by default: any port of this machine. */
export const ANY_LOCAL_PORT: TcpAddress = { hostname: "127.0.0.1", port: 0 };

const MAX_PORT = 0xffff;
const HOST_AND_PORT = /^(?:\[([^[\]]+)\]|([^:[\]]*)):(\d+)$/;

/** Checks an address and brings it into its one form. */
export function parseAddress(
  action: string,
  address: ListenerAddress | string,
): ListenerAddress {
  if (typeof address === "string") return parseText(action, address);
  if (typeof address !== "object" || address === null) {
    throw bad(action, shown(address));
  }
  const { hostname, port, path } = address as Partial<
    TcpAddress & UnixAddress
  >;
  if (path !== undefined) {
    if (typeof path !== "string" || path === "" || hostname !== undefined) {
      throw bad(action, shown(address));
    }
    return { path };
  }
  if (typeof hostname !== "string") throw bad(action, shown(address));
  checkInteger(action, "port", port, 0);
  return tcp(action, hostname.replace(/^\[(.*)\]$/, "$1"), port!);
}

function parseText(action: string, text: string): TcpAddress {
  const match = HOST_AND_PORT.exec(text);
  if (match === null) throw bad(action, shown(text));
  return tcp(action, match[1] ?? match[2]!, Number(match[3]));
}

function tcp(action: string, hostname: string, port: number): TcpAddress {
  if (port > MAX_PORT) {
    throw new RangeError(
      `Cannot ${action}: "port" must be at most ${MAX_PORT}, received ${port}`,
    );
  }
  return { hostname: hostname || ANY_LOCAL_PORT.hostname, port };
}

function bad(action: string, received: string): TypeError {
  return new TypeError(
    `Cannot ${action}: "address" must be { hostname, port }, { path } or "host:port" (IPv6: "[::1]:port"), received ${received}`,
  );
}

/** Shows an address in a message. */
export function showAddress(address: ListenerAddress): string {
  return JSON.stringify(
    "path" in address ? address.path : showPort(address),
  );
}

/** `host:port`, an IPv6 address in brackets. */
export function showPort({ hostname, port }: TcpAddress): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/**
 * Whether only this machine can reach the address. Other spellings of the
 * loopback addresses are taken for foreign ones: that is the safe side.
 */
export function isLocal(address: ListenerAddress): boolean {
  return "path" in address || address.hostname === "localhost" ||
    address.hostname === "::1" ||
    /^127(?:\.\d{1,3}){3}$/.test(address.hostname);
}
