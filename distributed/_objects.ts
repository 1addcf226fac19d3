// Copyright 2026 the multitask authors. MIT license.
// The objects that a manager shares, by their numbers.
//
// An object gets its number when it is handed out for the first time, and keeps it
// while some guest has a reference: guests count what they get and say what they
// dropped, so that one that is on its way is never taken for dropped. The same
// object has the same number.

import { Barrier } from "../ipc/barrier.ts";
import { Condition } from "../ipc/condition.ts";
import { ClosedError } from "../ipc/errors.ts";
import { Event } from "../ipc/event.ts";
import { Lock } from "../ipc/lock.ts";
import { Queue } from "../ipc/queue.ts";
import { RLock } from "../ipc/rlock.ts";
import { Semaphore } from "../ipc/semaphore.ts";
import { Value } from "../ipc/value.ts";
import { ConditionServant } from "./_condition_servant.ts";
import { dictServant, listServant } from "./_data_servants.ts";
import { LockServant, SemaphoreServant } from "./_hold_servant.ts";
import { ObjectServant, type ShareOptions } from "./_object_servant.ts";
import { QueueServant } from "./_queue_servant.ts";
import type { Servant } from "./_servant.ts";
import {
  barrierServant,
  eventServant,
  valueServant,
} from "./_sync_servants.ts";
import { MANAGER, type Ref } from "./_wire.ts";

/** A shared object. */
export class Entry {
  readonly id: number;
  readonly object: object;
  readonly servant: Servant;
  /** How many references guests have. */
  count = 0;

  constructor(id: number, object: object, servant: Servant) {
    this.id = id;
    this.object = object;
    this.servant = servant;
  }

  get ref(): Ref {
    const { id, servant: { kind, shape } } = this;
    return { id, kind, shape };
  }
}

/** The error for a number that stands for nothing (any more). */
export class GoneError extends ClosedError {}

/** Objects of ipc that go as references by themselves. */
export function isIpcObject(object: object): boolean {
  return object instanceof Queue || object instanceof Lock ||
    object instanceof RLock || object instanceof Semaphore ||
    object instanceof Event || object instanceof Condition ||
    object instanceof Barrier || object instanceof Value;
}

function servantOf(object: object, options: ShareOptions): Servant {
  if (options.servant !== undefined) return options.servant;
  if (object instanceof Queue) {
    return new QueueServant(object, options.maxAttempts);
  }
  if (object instanceof Lock || object instanceof RLock) {
    return new LockServant(object);
  }
  if (object instanceof Semaphore) return new SemaphoreServant(object);
  if (object instanceof Event) return eventServant(object);
  if (object instanceof Condition) return new ConditionServant(object);
  if (object instanceof Barrier) return barrierServant(object);
  if (object instanceof Value) return valueServant(object);
  if (object instanceof Map) return dictServant(object);
  if (Array.isArray(object)) return listServant(object);
  return new ObjectServant(object, options);
}

/** See the file comment. */
export class ObjectTable {
  readonly #byId = new Map<number, Entry>();
  readonly #byObject = new WeakMap<object, Entry>();
  /** Dropped, while somebody has something of them. */
  readonly #busy = new Set<Servant>();
  #nextId = MANAGER + 1;

  /** The manager itself is an object, too. */
  constructor(manager: Servant) {
    this.#byId.set(MANAGER, new Entry(MANAGER, manager, manager));
  }

  get size(): number {
    return this.#byId.size - 1;
  }

  /** The entry of an object, made if it is the first time. */
  share(object: object, options: ShareOptions = {}): Entry {
    let entry = this.#byObject.get(object);
    if (entry === undefined) {
      entry = new Entry(this.#nextId++, object, servantOf(object, options));
      this.#byObject.set(object, entry);
    }
    // It may have been dropped; its servant knows of leases.
    this.#byId.set(entry.id, entry);
    return entry;
  }

  /** Whether it is shared already. */
  has(object: object): boolean {
    return this.#byObject.has(object);
  }

  get(id: number): Entry {
    const entry = this.#byId.get(id);
    if (entry !== undefined) return entry;
    throw new GoneError(
      `Cannot use object ${id}: the manager does not have it any more`,
    );
  }

  /** So many references are dropped. */
  drop(id: number, count: number): void {
    const entry = this.#byId.get(id);
    if (entry === undefined || id === MANAGER) return;
    entry.count -= count;
    if (entry.count > 0) return;
    this.#byId.delete(id);
    for (const servant of this.#busy) {
      if (!servant.isBusy) this.#busy.delete(servant);
    }
    if (entry.servant.isBusy) this.#busy.add(entry.servant);
  }

  /** The manager ends. */
  end(): void {
    for (const { id, servant } of this.#byId.values()) {
      if (id !== MANAGER) servant.end?.();
    }
    for (const servant of this.#busy) servant.end?.();
    this.#byId.clear();
    this.#busy.clear();
  }
}
