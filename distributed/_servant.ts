// Copyright 2026 the multitask authors. MIT license.
// What a shared object is for its manager: something that is called on behalf of
// guests, that may wait, and that learns when a guest is gone.

import type { WaitOptions } from "../ipc/_options.ts";
import type { Shape } from "./_wire.ts";

/** On whose behalf, and how long, a call is made. */
export interface CallContext {
  readonly guest: Holder;
  /** The time limit that the caller has given, in milliseconds. */
  readonly timeout: number | undefined;
  /** Aborted when the caller gives up, or is gone. */
  readonly signal: AbortSignal;
  /**
   * What is to be done if the result cannot be delivered: what was taken for
   * the caller is given back.
   */
  undo: (() => void) | undefined;
}

/** How long a call may wait, for methods of ipc's objects. */
export function waitOf({ timeout, signal }: CallContext): WaitOptions {
  return timeout === undefined ? { signal } : { timeout, signal };
}

/** Something that a guest has until it gives it back, or is gone. */
export interface Hold {
  /** The guest is gone. */
  guestGone(): void;
}

/** Somebody who may hold things. */
export interface Holder {
  readonly holds: Set<Hold>;
}

/** See the file comment. */
export interface Servant {
  readonly kind: number;
  readonly shape: Shape;
  /** Whether references in arguments are to stay references. */
  readonly keepsProxies: boolean;
  /**
   * Does what a method is asked to. Arguments come from strangers: they are
   * checked here.
   */
  call(method: string, args: readonly unknown[], context: CallContext): unknown;
  /** Whether somebody has something of it, which goes on without references. */
  readonly isBusy?: boolean;
  /** The manager ends. */
  end?(): void;
}

/** Errors that say that a name is not shared: they are counted. */
export const refusals: WeakSet<Error> = new WeakSet();

/** The error for a name that is not shared. */
export function noSuchMethod(name: string): TypeError {
  const error = new TypeError(
    `Cannot call "${
      name.slice(0, 100)
    }": the object does not share a method of that name`,
  );
  refusals.add(error);
  return error;
}

/** The methods of a kind of servants, by their names. */
export type Methods<S> = ReadonlyMap<
  string,
  (servant: S, args: readonly unknown[], context: CallContext) => unknown
>;

/** Calls a method of a kind of servants, if there is one of that name. */
export function callOf<S>(
  methods: Methods<S>,
  servant: S,
  name: string,
  args: readonly unknown[],
  context: CallContext,
): unknown {
  const method = methods.get(name);
  if (method === undefined) throw noSuchMethod(name);
  return method(servant, args, context);
}
