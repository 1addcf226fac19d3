// Copyright 2026 the multitask authors. MIT license.

import { checkWait, type WaitOptions } from "../ipc/_options.ts";
import { QueueFullError, QueueShutDownError } from "../ipc/errors.ts";
import type { QueueShutdownOptions } from "../ipc/queue.ts";
import {
  checkAttempts,
  checkTtl,
  type DeadLetter,
  type LeaseGrant,
} from "./_queue_servant.ts";
import { behind, RemoteBase } from "./_remote.ts";
import { type Lease, makeLease } from "./lease.ts";

/** Options of {@linkcode RemoteQueue.lease}. */
export interface QueueLeaseOptions extends WaitOptions {
  /**
   * How long the lease lasts, in milliseconds, unless it is extended: then the
   * item goes to somebody else.
   *
   * @default {undefined} as long as this process is there, as far as the manager
   * knows: it notices a process that has ended, is stopped or cut off, but not
   * one whose task never ends
   */
  ttl?: number;
  /**
   * How often the item may be tried in all: after that it is a dead letter.
   *
   * @default {5} or what the manager says of the queue
   */
  maxAttempts?: number;
}

/**
 * A queue that lives in a manager, perhaps on another machine.
 *
 * Python: the proxy of a `queue.Queue`. It has the methods of `Queue`, and
 * `lease`, which Python does not have: with `get` an item is gone when the
 * worker dies that took it. What is a property there is a promise here.
 *
 * **Ordering**: as that of the queue itself. Items that come back after a failed
 * lease go before those that were never taken.
 *
 * **Cancel safety**: an aborted or timed-out `get` or `lease` takes nothing: what
 * was on its way goes back. While the connection is cut an item that was on its
 * way to `get` is lost, one that was leased is not.
 *
 * @typeParam T The items: anything structured clone carries, and proxies.
 *
 * @example
 * ```ts
 * import { SyncManager } from "@multitask/std/distributed";
 * import { assertEquals } from "@std/assert";
 *
 * await using manager = new SyncManager({ authkey: "a long random secret" });
 * await manager.start();
 * const queue = await manager.queue<string>();
 * await queue.put("A");
 * const lease = await queue.lease({ ttl: 10_000 });
 * assertEquals([lease.value, lease.attempt], ["A", 1]);
 * await lease.ack();
 * assertEquals(await queue.size, 0);
 * ```
 */
export class RemoteQueue<T = unknown> extends RemoteBase
  implements AsyncIterable<T>, AsyncDisposable {
  /**
   * Puts an item at the end; waits while the queue is full. Resolves when the
   * manager has it.
   *
   * @throws {SerializationError} If the item cannot be sent; names the path.
   * @throws {QueueFullError} If there was no room in time; has the `item`.
   * @throws {QueueShutDownError} If the queue is shut down.
   * @throws {ConnectionClosedError} If the connection broke; then whether it was
   * put is not known.
   */
  async put(item: T, options?: WaitOptions): Promise<void> {
    const { timeout, signal } = checkWait("put", options);
    try {
      await behind(this).call("put", [item], { timeout, signal });
    } catch (error) {
      if (!(error instanceof QueueFullError)) throw error;
      // The item was not sent back.
      throw new QueueFullError(error.message, { item, cause: error });
    }
  }

  /** Puts an item if there is room now. */
  putNowait(item: T): Promise<void> {
    return this.put(item, { timeout: 0 });
  }

  /**
   * Takes the first item; waits while the queue is empty. From then on it is
   * this process's alone: see {@linkcode RemoteQueue.lease}.
   *
   * @throws {QueueEmptyError} If nothing came in time.
   * @throws {QueueShutDownError} If the queue is shut down and empty.
   * @throws {ConnectionClosedError} If the connection broke.
   */
  async get(options?: WaitOptions): Promise<T> {
    const { timeout, signal } = checkWait("get", options);
    const target = behind(this);
    const late = signal &&
      ((value: unknown) => target.cast("unget", [value]));
    // Whoever shares a queue shares its T.
    return await target.call("get", [], { timeout, signal, late }) as T;
  }

  /** Takes the first item if there is one now. */
  getNowait(): Promise<T> {
    return this.get({ timeout: 0 });
  }

  /**
   * Takes the first item on trial: it is done when it is acknowledged, and goes
   * to somebody else when that does not come in time.
   *
   * @throws {QueueEmptyError} If nothing came in time.
   * @throws {QueueShutDownError} If the queue is shut down, and nothing is in it
   * or may come back.
   * @throws {ConnectionClosedError} If the connection broke.
   */
  async lease(options: QueueLeaseOptions = {}): Promise<Lease<T>> {
    const { timeout, signal } = checkWait("lease", options);
    const ttl = checkTtl("lease", options.ttl);
    const attempts = checkAttempts("lease", options.maxAttempts);
    const target = behind(this);
    const late = signal &&
      ((value: unknown) =>
        target.cast("giveBack", [(value as LeaseGrant).fence]));
    const grant = await target.call("lease", [ttl, attempts], {
      timeout,
      signal,
      late,
    });
    return makeLease<T>(target, grant as LeaseGrant, ttl);
  }

  /** Gives the items until the queue is shut down and empty. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<T> {
    while (true) {
      let item: T;
      try {
        item = await this.get();
      } catch (error) {
        if (error instanceof QueueShutDownError) return;
        throw error;
      }
      yield item;
    }
  }

  /**
   * Gives leases until the queue is shut down and nothing more comes: each has to
   * be acknowledged.
   */
  async *leases(
    options: QueueLeaseOptions = {},
  ): AsyncIterableIterator<Lease<T>> {
    while (true) {
      let lease: Lease<T>;
      try {
        lease = await this.lease(options);
      } catch (error) {
        if (error instanceof QueueShutDownError) return;
        throw error;
      }
      yield lease;
    }
  }

  /** How many items are there. Leased ones are not. */
  get size(): Promise<number> {
    return behind(this).call("size") as Promise<number>;
  }

  /** Whether nothing is there. */
  get empty(): Promise<boolean> {
    return behind(this).call("empty") as Promise<boolean>;
  }

  /** Whether `put` would wait. */
  get full(): Promise<boolean> {
    return behind(this).call("full") as Promise<boolean>;
  }

  /** How many items fit; 0 is without a limit. */
  get maxsize(): Promise<number> {
    return behind(this).call("maxsize") as Promise<number>;
  }

  /** Whether `shutdown` was called. */
  get isShutDown(): Promise<boolean> {
    return behind(this).call("isShutDown") as Promise<boolean>;
  }

  /** Takes no more items. Needs no `await`. See `Queue.shutdown`. */
  shutdown(options: QueueShutdownOptions = {}): void {
    behind(this).cast("shutdown", [options.immediate === true]);
  }

  /**
   * Says that an item that was got is done, where it is a `JoinableQueue`. Needs
   * no `await`. Leased items are done when they are acknowledged.
   */
  taskDone(): void {
    behind(this).cast("taskDone");
  }

  /**
   * Waits until every item that was put is done, where it is a `JoinableQueue`.
   *
   * @throws {InvalidStateError} If it is none.
   * @throws {TimeoutError} If they were not in time.
   */
  async join(options?: WaitOptions): Promise<void> {
    const { timeout, signal } = checkWait("join", options);
    await behind(this).call("join", [], { timeout, signal });
  }

  /** The items that were tried too often, the oldest first. They stay. */
  async deadLetters(): Promise<readonly DeadLetter<T>[]> {
    return await behind(this).call("deadLetters", [], {
      isCopy: true,
    }) as DeadLetter<T>[];
  }

  /** Has the dead letters tried again, as if they were new; gives how many. */
  async retryDeadLetters(): Promise<number> {
    return await behind(this).call("retryDeadLetters") as number;
  }

  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}
