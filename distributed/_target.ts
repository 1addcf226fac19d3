// Copyright 2026 the multitask authors. MIT license.
// What is behind a proxy: an object of a manager, as this process knows it.

import type { Session, SessionCallOptions } from "./_session.ts";
import { MANAGER, type Ref, type Shape } from "./_wire.ts";

/** By which name, and with which arguments, an object was got. */
export interface Origin {
  readonly name: string;
  readonly args: readonly unknown[];
}

const targets = new WeakMap<object, Target>();

/** What is behind an object, if it is a proxy. */
export function targetOf(object: object): Target | undefined {
  return targets.get(object);
}

/** See the file comment. */
export class Target {
  readonly session: Session;
  /** The number of the object; another one when the manager is another. */
  id: number;
  readonly kind: number;
  readonly shape: Shape;
  /** The manager that the number belongs to. */
  serverId: string;
  /** How to get it again from a manager that has taken the other's place. */
  readonly origin: Origin | undefined;
  /** An error that nobody has waited for. */
  fault: Error | undefined;
  /** Whether it was let go of. */
  isClosed = false;
  /** How often the manager has handed it out to this process. */
  received = 0;

  constructor(session: Session, ref: Ref, origin: Origin | undefined) {
    this.session = session;
    this.id = ref.id;
    this.kind = ref.kind;
    this.shape = ref.shape;
    this.serverId = session.serverId;
    this.origin = origin;
  }

  /** Makes an object a proxy of this. */
  bind(proxy: object): void {
    targets.set(proxy, this);
  }

  /** Calls a method and gives its result. */
  call(
    method: string,
    args: readonly unknown[] = [],
    options: SessionCallOptions = {},
  ): Promise<unknown> {
    return this.session.call(this, method, args, options);
  }

  /** Calls a method whose result nobody needs; an error comes later. */
  cast(method: string, args: readonly unknown[] = []): void {
    this.session.cast(this, method, args);
  }
}

/** The manager itself. */
export function managerTarget(session: Session): Target {
  const ref = { id: MANAGER, kind: 0, shape: { methods: [], properties: [] } };
  return new Target(session, ref, undefined);
}
