// Copyright 2026 the multitask authors. MIT license.
// Events, barriers and values of ipc as guests of a manager work with them.

import type { Barrier } from "../ipc/barrier.ts";
import type { Event } from "../ipc/event.ts";
import type { Value } from "../ipc/value.ts";
import {
  type CallContext,
  callOf,
  type Methods,
  type Servant,
  waitOf,
} from "./_servant.ts";
import { Kind, NO_SHAPE } from "./_wire.ts";

/** A servant that has nothing but an object, and methods that know it. */
class Plain<T> implements Servant {
  readonly kind: number;
  readonly shape = NO_SHAPE;
  readonly keepsProxies = false;
  readonly #object: T;
  readonly #methods: Methods<T>;

  constructor(kind: number, object: T, methods: Methods<T>) {
    this.kind = kind;
    this.#object = object;
    this.#methods = methods;
  }

  call(method: string, args: readonly unknown[], context: CallContext) {
    return callOf(this.#methods, this.#object, method, args, context);
  }
}

type Method<T> = (
  object: T,
  args: readonly unknown[],
  context: CallContext,
) => unknown;

const EVENT_METHODS: Methods<Event> = new Map<string, Method<Event>>([
  ["set", (event) => event.set()],
  ["clear", (event) => event.clear()],
  ["isSet", (event) => event.isSet],
  ["wait", (event, _, context) => event.isSet || event.wait(waitOf(context))],
]);

/** Serves an event. */
export function eventServant(event: Event): Servant {
  return new Plain(Kind.Event, event, EVENT_METHODS);
}

const BARRIER_METHODS: Methods<Barrier> = new Map<string, Method<Barrier>>([
  ["wait", (barrier, _, context) => barrier.wait(waitOf(context))],
  ["reset", (barrier) => barrier.reset()],
  ["abort", (barrier) => barrier.abort()],
  ["parties", (barrier) => barrier.parties],
  ["waiting", (barrier) => barrier.waiting],
  ["broken", (barrier) => barrier.broken],
]);

/** Serves a barrier. */
export function barrierServant(barrier: Barrier): Servant {
  return new Plain(Kind.Barrier, barrier, BARRIER_METHODS);
}

// What is no number of the value's type is refused by the value itself.
const VALUE_METHODS: Methods<Value> = new Map<string, Method<Value>>([
  ["value", (value) => value.value],
  ["get", (value) => value.value],
  ["set", (value, [to]) => value.set(to as number)],
  ["add", (value, [amount]) => value.add(amount as number)],
  [
    "compareExchange",
    (value, [expected, to]) =>
      value.compareExchange(expected as number, to as number),
  ],
  ["lock", (value) => value.lock],
]);

/** Serves a value. */
export function valueServant(value: Value): Servant {
  return new Plain(Kind.Value, value, VALUE_METHODS);
}
