// Copyright 2026 the multitask authors. MIT license.
// What proxies of all kinds have in common: something behind them, that they can
// be passed on, and that nobody else can make one.

import { parts } from "../ipc/_codec.ts";
import { HandleNumber } from "../ipc/_shared_object.ts";
import { type Target, targetOf } from "./_target.ts";

/** What gets a proxy around it: the constructors are not for the public. */
let wrapping: Target | undefined;

/** Makes the proxy of a target. */
export function wrap<T>(target: Target, make: () => T): T {
  wrapping = target;
  try {
    return make();
  } finally {
    wrapping = undefined;
  }
}

/** What is behind one of our proxies. */
export function behind(remote: RemoteBase): Target {
  return targetOf(remote)!; // Each has one since its construction.
}

/**
 * A proxy of an object that a manager shares: what all of them have. Proxies
 * come from managers. They can be passed on, in arguments and results, in items
 * of queues, and to other processes of the program.
 */
export abstract class RemoteBase implements Disposable {
  /** Only managers make proxies. */
  constructor() {
    if (wrapping === undefined) {
      throw new TypeError(
        `Cannot construct a ${new.target.name}: get it from a Manager`,
      );
    }
    wrapping.bind(this);
    wrapping = undefined;
  }

  /** What it is sent as, to other processes of the program. */
  get [parts](): [number, ...unknown[]] {
    const { id, kind, shape, serverId, origin, session } = behind(this);
    const ticket = session.options.ticket();
    return [HandleNumber.Proxy, ticket, id, kind, shape, serverId, origin];
  }

  /** Lets go of it in this process; the object goes on. Idempotent. */
  close(): void {
    letGo(this);
  }

  /** Lets go of it, as `close` does where the object has no `close` itself. */
  [Symbol.dispose](): void {
    letGo(this);
  }
}

function letGo(remote: RemoteBase): void {
  const target = behind(remote);
  if (!target.isClosed) target.session.letGo(target, remote);
}
