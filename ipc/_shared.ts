// Copyright 2026 the multitask authors. MIT license.
// What the public classes of shared objects have in common: a reference, found
// by the hub, and a second way to be made, around a reference that arrived.

import { type Handle, handle } from "./_codec.ts";
import type { CorePlace } from "./_core.ts";
import { type Home, homes } from "./_homes.ts";
import { hub } from "./_hub.ts";
import { Reference } from "./_reference.ts";
import { HandleNumber, type SharedObject } from "./_shared_object.ts";
import { ClosedError } from "./errors.ts";

/** Options of a shared object. */
export interface SharedOptions {
  /**
   * Where it lives: `"mapped"` memory is reached by every process that has
   * `--allow-ffi` (Linux), `"shared"` memory by the threads of this process;
   * everybody else goes through this process.
   *
   * @default {undefined} mapped where that can be had, else shared
   */
  home?: Home;
}

/** The type in memory of those classes that share another one's. */
const MEMORY_TYPES: Readonly<Record<number, number>> = {
  [HandleNumber.JoinableQueue]: HandleNumber.Queue,
  [HandleNumber.SimpleQueue]: HandleNumber.Queue,
  [HandleNumber.LifoQueue]: HandleNumber.Queue,
  [HandleNumber.PriorityQueue]: HandleNumber.Queue,
  [HandleNumber.RLock]: HandleNumber.Lock,
  [HandleNumber.BoundedSemaphore]: HandleNumber.Semaphore,
};

let arriving: Reference | undefined;

/** Makes instances of a class cross as references. Call from a static block. */
export function registerHandle(
  type: number,
  prototype: object,
  make: () => object,
  attach: (place: CorePlace) => SharedObject,
): void {
  Object.defineProperty(prototype, handle, { value: true });
  hub.register({
    type,
    revive: (reference) => {
      arriving = reference;
      try {
        return make() as Handle;
      } finally {
        arriving = undefined;
      }
    },
    attach: (place, owner) => {
      const agent = homes.reach(place, owner);
      // The place may be anything that another process has made up.
      return agent?.isObject(place.at, MEMORY_TYPES[type] ?? type)
        ? attach({ agent, place, owner })
        : undefined;
    },
  });
}

/** The reference of an object under construction: the arriving one, or new. */
export function claimReference(
  object: object,
  type: number,
  make: () => SharedObject,
  part = 0,
): Reference {
  const reference = arriving ?? new Reference(hub, type, part, make());
  arriving = undefined;
  hub.bind(object as Handle, reference);
  return reference;
}

/** Whether an object that arrived is under construction. */
export function isArriving(): boolean {
  return arriving !== undefined;
}

/** Throws when the object was closed here. */
export function checkOpen(reference: Reference, action: string): void {
  if (reference.closed) {
    throw new ClosedError(`Cannot ${action}: it is closed`);
  }
}

/** Closes an object: for everybody in its owner, else only here. */
export function closeShared(reference: Reference, what: string): void {
  if (reference.closed) return;
  reference.markClosed();
  if (reference.object !== undefined) {
    hub.remove(
      reference,
      new ClosedError(`The ${what} was closed by its owner`),
    );
  } else hub.release(reference);
}
