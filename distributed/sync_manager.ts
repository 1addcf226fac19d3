// Copyright 2026 the multitask authors. MIT license.

import type { NumberOf, NumberType } from "../ipc/_number_types.ts";
import { Barrier } from "../ipc/barrier.ts";
import { BoundedSemaphore } from "../ipc/bounded_semaphore.ts";
import { Condition } from "../ipc/condition.ts";
import { Event } from "../ipc/event.ts";
import { JoinableQueue } from "../ipc/joinable_queue.ts";
import { Lock } from "../ipc/lock.ts";
import { Queue } from "../ipc/queue.ts";
import { Semaphore } from "../ipc/semaphore.ts";
import { Value } from "../ipc/value.ts";
import {
  dictServant,
  listServant,
  namespaceServant,
} from "./_data_servants.ts";
import { SemaphoreServant } from "./_hold_servant.ts";
import { SharedResult } from "./_object_servant.ts";
import { checkAttempts, QueueServant } from "./_queue_servant.ts";
import { callName, Manager, registerName } from "./manager.ts";
import type { RemoteBarrier } from "./remote_barrier.ts";
import type { RemoteCondition } from "./remote_condition.ts";
import type { DictEntries, RemoteDict } from "./remote_dict.ts";
import type { RemoteEvent } from "./remote_event.ts";
import type { RemoteList } from "./remote_list.ts";
import type { RemoteLock } from "./remote_lock.ts";
import type { RemoteNamespace } from "./remote_namespace.ts";
import type { RemoteQueue } from "./remote_queue.ts";
import type { RemoteSemaphore } from "./remote_semaphore.ts";
import type { RemoteValue } from "./remote_value.ts";

/** Options of {@linkcode SyncManager.queue}. */
export interface SyncManagerQueueOptions {
  /**
   * How many items fit before `put` waits; 0 is without a limit.
   *
   * @default {0}
   */
  maxsize?: number;
  /**
   * Whether it is counted which items are done, for `taskDone` and `join`.
   *
   * @default {false}
   */
  joinable?: boolean;
  /**
   * How often a leased item may be tried in all.
   *
   * @default {5}
   */
  maxAttempts?: number;
}

/** Options of {@linkcode SyncManager.semaphore}. */
export interface SyncManagerSemaphoreOptions {
  /**
   * Whether there are never more permits than at first; permits of a holder that
   * is gone come back then.
   *
   * @default {false}
   */
  bounded?: boolean;
  /**
   * Whether permits of a holder that is gone come back.
   *
   * @default {false}
   */
  recover?: boolean;
}

/** Objects of a manager are reached through it: no other process maps them. */
const HERE = { home: "shared" } as const;

/**
 * A manager that makes objects to share: dicts, lists, queues, locks and so on.
 *
 * Python: `multiprocessing.managers.SyncManager`. Each call makes a new object,
 * in the manager; whoever gets its proxy, for example through a queue, works with
 * the same one. An object is there while some guest has a proxy of it.
 *
 * @example
 * ```ts
 * import { SyncManager } from "@multitask/std/distributed";
 * import { assertEquals } from "@std/assert";
 *
 * const authkey = "a long random secret";
 * await using manager = new SyncManager({ authkey });
 * await manager.start();
 * await using client = new SyncManager({ address: manager.address, authkey });
 * await client.connect();
 *
 * const counts = await client.dict<string, number>();
 * const lock = await client.lock();
 * {
 *   using _guard = await lock.acquire();
 *   await counts.set("a", (await counts.get("a") ?? 0) + 1);
 * }
 * assertEquals(await counts.get("a"), 1);
 * ```
 */
export class SyncManager extends Manager {
  static {
    const made = {
      dict: (entries?: DictEntries<unknown, unknown>) => {
        const map = new Map<unknown, unknown>();
        const servant = dictServant(map);
        if (entries !== undefined) servant.call("update", [entries], NOBODY);
        return new SharedResult(map, { servant });
      },
      list: (items: unknown[] = []) => {
        const list: unknown[] = [];
        const servant = listServant(list);
        servant.call("push", [items], NOBODY);
        return new SharedResult(list, { servant });
      },
      queue: (options: SyncManagerQueueOptions = {}) => {
        const { maxsize = 0, joinable = false, maxAttempts } = options;
        checkAttempts("create queue", maxAttempts);
        const queue = joinable
          ? new JoinableQueue(maxsize, HERE)
          : new Queue(maxsize, HERE);
        const servant = new QueueServant(queue, maxAttempts);
        return new SharedResult(queue, { servant });
      },
      lock: () => new Lock(HERE),
      semaphore: (value = 1, options: SyncManagerSemaphoreOptions = {}) => {
        const { bounded = false, recover = false } = options;
        const semaphore = bounded
          ? new BoundedSemaphore(value, HERE)
          : new Semaphore(value, HERE);
        const servant = new SemaphoreServant(semaphore, recover);
        return new SharedResult(semaphore, { servant });
      },
      event: () => new Event(HERE),
      condition: () => new Condition(new Lock(HERE), HERE),
      barrier: (parties: number) => new Barrier(parties, HERE),
      value: (type: NumberType, value: NumberOf<NumberType>) =>
        new Value(type, value, HERE),
      namespace: (values?: Record<string, unknown>) => {
        const servant = namespaceServant(values);
        return new SharedResult(servant, { servant });
      },
    };
    for (const [name, callable] of Object.entries(made)) {
      registerName(this, name, callable);
    }
  }

  async #make<R>(name: string, ...args: unknown[]): Promise<R> {
    // What is registered under the name gives that.
    return await callName(this, name, args, false) as R;
  }

  /** Makes a map. Python: `dict()`. */
  dict<K = string, V = unknown>(
    entries?: DictEntries<K, V>,
  ): Promise<RemoteDict<K, V>> {
    return this.#make("dict", entries);
  }

  /** Makes a list. Python: `list()`. */
  list<T = unknown>(items?: readonly T[]): Promise<RemoteList<T>> {
    return this.#make("list", items);
  }

  /**
   * Makes a queue. Python: `Queue()` and `JoinableQueue()`.
   *
   * @param options Or just `maxsize`.
   */
  queue<T = unknown>(
    options: number | SyncManagerQueueOptions = {},
  ): Promise<RemoteQueue<T>> {
    return this.#make(
      "queue",
      typeof options === "number" ? { maxsize: options } : options,
    );
  }

  /** Makes a lock. Python: `Lock()`. */
  lock(): Promise<RemoteLock> {
    return this.#make("lock");
  }

  /**
   * Makes a semaphore. Python: `Semaphore()` and `BoundedSemaphore()`.
   *
   * @param value How many permits there are at first.
   */
  semaphore(
    value = 1,
    options?: SyncManagerSemaphoreOptions,
  ): Promise<RemoteSemaphore> {
    return this.#make("semaphore", value, options);
  }

  /** Makes an event. Python: `Event()`. */
  event(): Promise<RemoteEvent> {
    return this.#make("event");
  }

  /** Makes a condition. Python: `Condition()`. */
  condition(): Promise<RemoteCondition> {
    return this.#make("condition");
  }

  /**
   * Makes a barrier. Python: `Barrier()`.
   *
   * @param parties How many have to come.
   */
  barrier(parties: number): Promise<RemoteBarrier> {
    return this.#make("barrier", parties);
  }

  /** Makes a number. Python: `Value()`. */
  value<K extends NumberType>(
    type: K,
    value: NumberOf<K>,
  ): Promise<RemoteValue<K>> {
    return this.#make("value", type, value);
  }

  /** Makes a namespace. Python: `Namespace()`. */
  namespace<T extends object = Record<string, unknown>>(
    values?: T,
  ): Promise<RemoteNamespace<T>> {
    return this.#make("namespace", values);
  }
}

/** For what is filled before anybody has it. */
const NOBODY = {
  guest: { holds: new Set<never>() },
  timeout: undefined,
  signal: new AbortController().signal,
  undo: undefined,
};
