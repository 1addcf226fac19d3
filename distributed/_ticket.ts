// Copyright 2026 the multitask authors. MIT license.
// How a process comes to a manager, as it is passed on to other processes of the
// program together with a proxy. It has the key: it goes over the private channels
// of the program only, and the codec for other programs refuses it.

import { type ListenerAddress, showAddress } from "../ipc/_address.ts";
import { registerComposite } from "../ipc/_codec.ts";
import { Dialer, type DialOptions } from "../ipc/_dial.ts";
import type { ErrorClassLookup } from "../ipc/_error_codec.ts";
import { HandleNumber } from "../ipc/_shared_object.ts";
import type { Met } from "../ipc/_peer.ts";
import type { MessageLimits } from "../ipc/_socket_end.ts";
import { SerializationError } from "../ipc/errors.ts";
import { type Heartbeat, type LineEvents, SocketLine } from "./_line.ts";
import { Session } from "./_session.ts";
import type { Origin } from "./_target.ts";
import type { Shape } from "./_wire.ts";

/** See the file comment. */
export interface Ticket {
  readonly address: ListenerAddress;
  readonly dial: DialOptions;
  readonly heartbeat: Heartbeat;
  readonly reconnectTimeout: number;
  readonly maxValues: number;
}

/** Makes a session that is not connected yet. */
export function sessionFor(
  ticket: Ticket,
  errorClass?: ErrorClassLookup,
): Session {
  const { address, dial, heartbeat, reconnectTimeout, maxValues } = ticket;
  const dialer = new Dialer(address, dial);
  let limits: MessageLimits;
  const lineOf = (met: Met, events: LineEvents) => {
    limits = met.limits;
    return new SocketLine(met.socket, limits, events, heartbeat);
  };
  return new Session({
    open: async (events, wait) => lineOf(await dialer.dial(wait), events),
    shortcut: (offered) =>
      dialer.mayTake(offered)
        ? async (events, wait) =>
          lineOf(await dialer.dialAgain(offered, limits, wait), events)
        : undefined,
    interval: heartbeat.interval,
    reconnectTimeout,
    maxValues,
    errorClass,
    where: showAddress(address),
    ticket: () => ticket,
  });
}

/** The sessions of proxies that were passed to this process. */
const sessions = new Map<string, Session>();

registerComposite(HandleNumber.Proxy, (parts) => {
  // What a proxy is sent as: see RemoteBase.
  const [ticket, id, kind, shape, serverId, origin] = parts as [
    Ticket,
    number,
    number,
    Shape,
    string,
    Origin | undefined,
  ];
  if (typeof serverId !== "string" || typeof id !== "number") {
    throw new SerializationError("Cannot decode: bad proxy");
  }
  let session = sessions.get(serverId);
  if (session === undefined) {
    session = sessionFor(ticket);
    session.expect(serverId);
    sessions.set(serverId, session);
  }
  return session.proxyFor({ id, kind, shape }, origin);
});
