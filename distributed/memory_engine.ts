// Copyright 2026 the multitask authors. MIT license.
// See the states of a task in engine.ts. Here:
//
// - a task is in the queue of its priority, or in one lease, or in the log of its
//   owner, or forgotten;
// - `#settle` is the only way into the log, and takes it out of all else;
// - who waits to lease is served first come, first served, among those who run
//   the name;
// - a name that no worker runs which is there fails its tasks after UNKNOWN_BOUND:
//   who waits for a task that nobody will ever run would wait for ever.

import type { WaitOptions } from "../ipc/_options.ts";
import { Line, type Waiter, waitFor } from "../ipc/_waiting.ts";
import {
  CancelledError,
  LeaseLostError,
  TaskReferenceError,
  TimeoutError,
  WorkerLostError,
} from "../ipc/errors.ts";
import { startTimer } from "../ipc/_timer.ts";
import { Fences } from "./_fence.ts";
import { startLapse } from "./_lapse.ts";
import {
  type Engine,
  type EngineCapabilities,
  type EngineLease,
  type EngineLock,
  type EngineNews,
  type EngineOutcome,
  type EngineResult,
  type EngineTask,
  type EngineWorker,
  MEMORY_CAPABILITIES,
} from "./engine.ts";

/** How long a name may have no worker while others are there: a guess. */
const UNKNOWN_BOUND = 5_000;

interface Entry {
  readonly task: EngineTask;
  readonly owner: Owner;
  attempts: number;
  lease: Lease | undefined;
  error: unknown;
  stopUnknown: (() => void) | undefined;
}

interface Lease {
  readonly fence: number;
  readonly worker: Worker;
  stopTtl: (() => void) | undefined;
  stopTimeout: (() => void) | undefined;
}

interface Owner {
  readonly name: string;
  readonly tasks: Map<string, Entry>;
  log: EngineOutcome[];
  sequence: number;
  readonly news: Line<true>;
}

interface Worker {
  identity: EngineWorker;
  readonly leases: Set<Entry>;
  cancelled: { id: string; fence: number }[];
  readonly orders: Line<true>;
}

interface Idle extends Waiter<Entry> {
  readonly worker: Worker;
}

interface NamedLock {
  holder: { fence: number; stop: () => void } | undefined;
  readonly waiters: Line<number>;
}

/**
 * The engine that each manager has: in memory, gone with its process.
 *
 * @example
 * ```ts
 * import { MemoryEngine } from "@multitask/std/distributed";
 * import { assertEquals } from "@std/assert";
 *
 * const engine = new MemoryEngine();
 * await engine.enqueue("me", [{
 *   id: "1",
 *   name: "square",
 *   calls: [[3]],
 *   priority: 0,
 *   timeout: undefined,
 *   maxAttempts: 3,
 * }]);
 * const worker = { name: "worker", tasks: ["square"], concurrency: 1 };
 * const lease = await engine.lease(worker);
 * await engine.complete(lease!.id, lease!.fence, [{ ok: true, value: 9 }]);
 * const { outcomes } = await engine.watch("me", 0);
 * assertEquals(outcomes[0]!.results, [{ ok: true, value: 9 }]);
 * ```
 */
export class MemoryEngine implements Engine {
  /** What it can do. */
  readonly capabilities: EngineCapabilities = MEMORY_CAPABILITIES;
  /** Tells this engine from one that has taken its place. */
  readonly id: string = crypto.randomUUID();
  readonly #owners = new Map<string, Owner>();
  readonly #entries = new Map<string, Entry>();
  readonly #workers = new Map<string, Worker>();
  /** What waits, by priority, the highest first; in order. */
  readonly #queues: { priority: number; entries: Set<Entry> }[] = [];
  readonly #idle = new Set<Idle>();
  readonly #locks = new Map<string, NamedLock>();
  readonly #fences = new Fences();

  #owner(name: string): Owner {
    let owner = this.#owners.get(name);
    if (owner === undefined) {
      owner = {
        name,
        tasks: new Map(),
        log: [],
        sequence: 0,
        news: new Line(),
      };
      this.#owners.set(name, owner);
    }
    return owner;
  }

  #worker(identity: EngineWorker): Worker {
    let worker = this.#workers.get(identity.name);
    if (worker === undefined) {
      worker = {
        identity,
        leases: new Set(),
        cancelled: [],
        orders: new Line(),
      };
      this.#workers.set(identity.name, worker);
      this.#tellAll();
    }
    worker.identity = identity;
    return worker;
  }

  /** There are other workers than before: owners want to know. */
  #tellAll(): void {
    for (const { news } of this.#owners.values()) news.serveAll(true);
    for (const { entries } of this.#queues) {
      for (const entry of entries) this.#checkKnown(entry);
    }
  }

  // ---- Tasks ----

  /** See {@linkcode Engine.enqueue}. */
  enqueue(name: string, tasks: readonly EngineTask[]): Promise<string> {
    const owner = this.#owner(name);
    for (const task of tasks) {
      if (this.#entries.has(task.id)) continue;
      const entry: Entry = {
        task,
        owner,
        attempts: 0,
        lease: undefined,
        error: undefined,
        stopUnknown: undefined,
      };
      this.#entries.set(task.id, entry);
      owner.tasks.set(task.id, entry);
      this.#offer(entry, false);
    }
    return Promise.resolve(this.id);
  }

  /** Gives a task to who waits for one, else into the queue. */
  #offer(entry: Entry, isFirst: boolean): void {
    for (const idle of this.#idle) {
      if (!idle.worker.identity.tasks.includes(entry.task.name)) continue;
      this.#idle.delete(idle);
      idle.resolve(entry);
      return;
    }
    const { priority } = entry.task;
    let queue = this.#queues.find((one) => one.priority === priority);
    if (queue === undefined) {
      queue = { priority, entries: new Set() };
      this.#queues.push(queue);
      this.#queues.sort((a, b) => b.priority - a.priority);
    }
    if (isFirst && queue.entries.size > 0) {
      queue.entries = new Set([entry, ...queue.entries]);
    } else queue.entries.add(entry);
    this.#checkKnown(entry);
  }

  /** One that nobody can run does not wait for ever. */
  #checkKnown(entry: Entry): void {
    const { name } = entry.task;
    const isKnown = this.#workers.size === 0 ||
      [...this.#workers.values()].some(({ identity }) =>
        identity.tasks.includes(name)
      );
    if (isKnown) {
      entry.stopUnknown?.();
      entry.stopUnknown = undefined;
    } else {
      entry.stopUnknown ??= startTimer(
        () =>
          this.#settle(entry, {
            error: new TaskReferenceError(
              `Cannot run task "${name}": no worker that is there has a handler of that name`,
            ),
          }),
        UNKNOWN_BOUND,
        { unref: true },
      );
    }
  }

  #takeFor(worker: Worker): Entry | undefined {
    const { tasks } = worker.identity;
    for (const { entries } of this.#queues) {
      for (const entry of entries) {
        if (!tasks.includes(entry.task.name)) continue;
        entries.delete(entry);
        return entry;
      }
    }
    return undefined;
  }

  /** See {@linkcode Engine.lease}. */
  async lease(
    identity: EngineWorker,
    options: WaitOptions & { ttl?: number | undefined } = {},
  ): Promise<EngineLease | undefined> {
    options.signal?.throwIfAborted();
    const worker = this.#worker(identity);
    const entry = this.#takeFor(worker) ??
      await waitFor<Entry>(options, (waiter) => {
        const idle: Idle = { ...waiter, worker };
        this.#idle.add(idle);
        return () => this.#idle.delete(idle);
      });
    if (entry === undefined) return undefined;
    return this.#grant(entry, worker, options.ttl);
  }

  #grant(entry: Entry, worker: Worker, ttl: number | undefined): EngineLease {
    const { id, name, calls, timeout } = entry.task;
    const fence = this.#fences.next();
    entry.stopUnknown?.();
    entry.stopUnknown = undefined;
    entry.attempts++;
    const lease: Lease = {
      fence,
      worker,
      stopTtl: undefined,
      stopTimeout: undefined,
    };
    entry.lease = lease;
    worker.leases.add(entry);
    if (ttl !== undefined) this.#startTtl(entry, lease, ttl);
    if (timeout !== undefined) {
      lease.stopTimeout = startTimer(
        () => {
          this.#order(entry);
          this.#settle(entry, {
            error: new TimeoutError(`The task took longer than ${timeout} ms`),
          });
        },
        timeout,
        { unref: true },
      );
    }
    return { id, name, calls, attempt: entry.attempts, fence };
  }

  #startTtl(entry: Entry, lease: Lease, ttl: number): void {
    lease.stopTtl?.();
    lease.stopTtl = startLapse(() => {
      this.#order(entry);
      this.#lost(entry, `did not extend its lease within ${ttl} ms`);
    }, ttl);
  }

  /** The worker is to stop what it does. */
  #order(entry: Entry): void {
    const { worker, fence } = entry.lease!;
    worker.cancelled.push({ id: entry.task.id, fence });
    worker.orders.serveAll(true);
  }

  #end(entry: Entry): void {
    const { lease } = entry;
    entry.stopUnknown?.();
    if (lease === undefined) return;
    lease.stopTtl?.();
    lease.stopTimeout?.();
    lease.worker.leases.delete(entry);
    entry.lease = undefined;
  }

  #find(id: string, fence: number, action: string): Entry {
    const entry = this.#entries.get(id);
    if (entry?.lease?.fence === fence) return entry;
    throw new LeaseLostError(
      `Cannot ${action} the task: its lease ${fence} is over`,
      { fence },
    );
  }

  /** See {@linkcode Engine.extend}. */
  extend(id: string, fence: number, ttl: number): Promise<void> {
    return Promise.try(() => {
      const entry = this.#find(id, fence, "extend the lease of");
      this.#startTtl(entry, entry.lease!, ttl);
    });
  }

  /** See {@linkcode Engine.complete}. */
  complete(
    id: string,
    fence: number,
    results: readonly EngineResult[],
  ): Promise<void> {
    return Promise.try(() =>
      this.#settle(this.#find(id, fence, "complete"), results)
    );
  }

  /** See {@linkcode Engine.fail}. */
  fail(id: string, fence: number, error: unknown): Promise<void> {
    return Promise.try(() => this.#again(this.#find(id, fence, "fail"), error));
  }

  /** The worker never got it: that was no attempt. */
  giveBack(id: string, fence: number): void {
    const entry = this.#entries.get(id);
    if (entry?.lease?.fence !== fence) return;
    this.#end(entry);
    entry.attempts--;
    this.#offer(entry, true);
  }

  #again(entry: Entry, error: unknown): void {
    this.#end(entry);
    if (entry.attempts >= entry.task.maxAttempts) {
      return this.#settle(entry, { error });
    }
    this.#offer(entry, true);
  }

  #lost(entry: Entry, why: string): void {
    const { name } = entry.lease!.worker.identity;
    const { attempts } = entry;
    this.#again(
      entry,
      new WorkerLostError(
        `Worker "${name}" ${why} while it ran the task${
          attempts > 1 ? ` (attempt ${attempts})` : ""
        }`,
        { worker: name },
      ),
    );
  }

  #settle(entry: Entry, results: EngineOutcome["results"]): void {
    const { owner, task: { id } } = entry;
    this.#end(entry);
    for (const { entries } of this.#queues) entries.delete(entry);
    this.#entries.delete(id);
    owner.tasks.delete(id);
    owner.log.push({ sequence: ++owner.sequence, id, results });
    owner.news.serveAll(true);
  }

  /** See {@linkcode Engine.cancel}. */
  cancel(name: string, ids: readonly string[]): Promise<readonly string[]> {
    const owner = this.#owner(name);
    const notBegun: string[] = [];
    for (const id of ids) {
      const entry = owner.tasks.get(id);
      if (entry === undefined) continue;
      if (entry.lease === undefined) notBegun.push(id);
      else this.#order(entry);
      const error = new CancelledError("The task was cancelled");
      this.#settle(entry, { error });
    }
    return Promise.resolve(notBegun);
  }

  // ---- Who waits ----

  /** See {@linkcode Engine.cancelled}. */
  async cancelled(
    name: string,
    options: WaitOptions = {},
  ): Promise<readonly { readonly id: string; readonly fence: number }[]> {
    const worker = this.#workers.get(name);
    if (worker === undefined) return [];
    if (worker.cancelled.length === 0) await worker.orders.wait(options);
    return worker.cancelled.splice(0);
  }

  /** See {@linkcode Engine.watch}. */
  async watch(
    name: string,
    after: number,
    options: WaitOptions = {},
  ): Promise<EngineNews> {
    const owner = this.#owner(name);
    owner.log = owner.log.filter(({ sequence }) => sequence > after);
    if (owner.log.length === 0) await owner.news.wait(options);
    return {
      engine: this.id,
      outcomes: owner.log.slice(),
      queued: this.#queues.reduce((sum, { entries }) => sum + entries.size, 0),
      running: [...this.#workers.values()]
        .reduce((sum, { leases }) => sum + leases.size, 0),
      workers: [...this.#workers.values()].map(({ identity }) => identity),
    };
  }

  /** See {@linkcode Engine.forget}. */
  async forget(name: string): Promise<void> {
    const owner = this.#owners.get(name);
    if (owner === undefined) return;
    await this.cancel(name, [...owner.tasks.keys()]);
    owner.log = [];
    owner.news.serveAll(true);
    this.#owners.delete(name);
  }

  /** See {@linkcode Engine.leave}. */
  leave(name: string): Promise<void> {
    this.lose(name, "has left");
    return Promise.resolve();
  }

  /** A worker is gone: what it has leased goes to others. */
  lose(name: string, why: string): void {
    const worker = this.#workers.get(name);
    if (worker === undefined) return;
    this.#workers.delete(name);
    for (const idle of this.#idle) {
      if (idle.worker !== worker) continue;
      this.#idle.delete(idle);
      idle.reject(new CancelledError(`Worker "${name}" ${why}`));
    }
    for (const entry of [...worker.leases]) this.#lost(entry, why);
    worker.orders.serveAll(true);
    this.#tellAll();
  }

  // ---- Locks ----

  /** See {@linkcode Engine.lock}. */
  async lock(
    name: string,
    { ttl, ...wait }: WaitOptions & { ttl: number },
  ): Promise<EngineLock | undefined> {
    wait.signal?.throwIfAborted();
    let lock = this.#locks.get(name);
    if (lock === undefined) {
      lock = { holder: undefined, waiters: new Line() };
      this.#locks.set(name, lock);
    }
    const taken = lock;
    const fence = lock.holder === undefined
      ? this.#hold(taken)
      : await lock.waiters.wait(wait);
    if (fence === undefined) return undefined;
    this.#limit(name, taken, fence, ttl);
    return {
      fence,
      extend: (ttl) =>
        Promise.try(() => {
          this.#checkHold(taken, fence);
          this.#limit(name, taken, fence, ttl);
        }),
      release: () => {
        this.#free(name, taken, fence);
        return Promise.resolve();
      },
    };
  }

  #hold(lock: NamedLock): number {
    const fence = this.#fences.next();
    lock.holder = { fence, stop: () => {} };
    return fence;
  }

  #checkHold(lock: NamedLock, fence: number): void {
    if (lock.holder?.fence === fence) return;
    throw new LeaseLostError(`Cannot extend: the hold ${fence} is over`, {
      fence,
    });
  }

  #limit(name: string, lock: NamedLock, fence: number, ttl: number): void {
    lock.holder!.stop();
    const stop = startLapse(() => this.#free(name, lock, fence), ttl);
    lock.holder = { fence, stop };
  }

  #free(name: string, lock: NamedLock, fence: number): void {
    if (lock.holder?.fence !== fence) return;
    lock.holder.stop();
    const next = this.#hold(lock);
    if (lock.waiters.serve(next)) return;
    lock.holder = undefined;
    if (this.#locks.get(name) === lock) this.#locks.delete(name);
  }
}
