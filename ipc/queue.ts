// Copyright 2026 the multitask authors. MIT license.

import { hub } from "./_hub.ts";
import type { Reference } from "./_reference.ts";
import {
  checkInteger,
  checkWait,
  type WaitOptions,
  type WaitSyncOptions,
} from "./_options.ts";
import { QueueCore, QueueOp } from "./_queue_core.ts";
import {
  checkOpen,
  claimReference,
  closeShared,
  HandleNumber,
  registerHandle,
} from "./_shared.ts";
import {
  QueueEmptyError,
  QueueFullError,
  QueueShutDownError,
} from "./errors.ts";

/** Options of {@linkcode Queue.put} and {@linkcode Queue.putNowait}. */
export interface QueuePutOptions extends WaitOptions {
  /**
   * Buffers in the item to take away from this side: they are detached once
   * the item is encoded.
   *
   * @default {[]}
   */
  transfer?: readonly ArrayBuffer[];
}

/** Options of {@linkcode Queue.shutdown}. */
export interface QueueShutdownOptions {
  /**
   * Whether to drop the items that are still there.
   *
   * @default {false}
   */
  immediate?: boolean;
}

/**
 * A first-in first-out queue for processes.
 *
 * Python: `multiprocessing.Queue`, without its hidden feeder thread: `put`
 * resolves when the queue has the item and rejects when it cannot be sent, and
 * `size` is exact everywhere. `shutdown` is that of Python 3.13's
 * `queue.Queue`.
 *
 * A queue lives in the process that made it, its owner. Pass it in the `args`
 * of a process, in other items, through pipes: everybody who has it works on
 * the same queue. Items outlive the process that put them. When the owner ends,
 * whoever waits gets a {@linkcode ProcessExitError} that names it.
 *
 * **Ordering**: items leave in the order in which they were accepted; those who
 * wait to get, and those who wait to put, are served first come, first served.
 *
 * **Cancel safety**: an aborted or timed-out `get` takes nothing: an item that
 * was already on its way goes back to the front. An aborted or timed-out `put`
 * takes its item back unless somebody has got it already.
 *
 * @typeParam T The items: anything structured clone carries, and handles.
 *
 * @example
 * ```ts
 * import { Queue } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new Queue<string>();
 * await queue.put("A");
 * await queue.put("B");
 * queue.shutdown();
 * const items = [];
 * for await (const item of queue) items.push(item);
 * assertEquals(items, ["A", "B"]);
 * ```
 */
export class Queue<T = unknown>
  implements AsyncIterable<T>, Disposable, AsyncDisposable {
  static {
    registerHandle(HandleNumber.Queue, this.prototype, () => new this());
  }

  readonly #reference: Reference;

  /**
   * Makes a queue that lives in this process.
   *
   * @param maxsize How many items fit before `put` waits; 0 is without a limit.
   * @throws {TypeError | RangeError} If `maxsize` is not an integer >= 0.
   */
  constructor(maxsize = 0) {
    checkInteger("create queue", "maxsize", maxsize, 0);
    this.#reference = claimReference(
      this,
      HandleNumber.Queue,
      () =>
        new QueueCore({
          limit: maxsize,
          costOf: () => 1,
          ended: (action) =>
            new QueueShutDownError(
              `Cannot ${action}: the queue is shut down${
                action === "get" ? " and empty" : ""
              }`,
            ),
        }),
    );
  }

  /**
   * Puts an item at the end; waits while the queue is full.
   *
   * @throws {SerializationError} If the item cannot be sent; names the path.
   * @throws {QueueFullError} If there was no room in time; has the `item`.
   * @throws {QueueShutDownError} If the queue is shut down.
   * @throws {ClosedError} If the queue is closed.
   */
  async put(item: T, options?: QueuePutOptions): Promise<void> {
    const { timeout, signal } = checkWait("put", options);
    checkOpen(this.#reference, "put to the queue");
    signal?.throwIfAborted(); // Before anything is taken away.
    const done = await this.#reference.call(QueueOp.Put, {
      packet: hub.pack(item, "item", options?.transfer),
      timeout,
      signal,
      undo: ({ number }) => this.#reference.cast(QueueOp.Withdraw, number),
    });
    if (done === undefined) throw this.#full(item, timeout);
  }

  /**
   * Puts an item if there is room now.
   *
   * @throws {QueueFullError} If the queue is full; has the `item`.
   */
  putNowait(
    item: T,
    options?: Pick<QueuePutOptions, "transfer">,
  ): Promise<void> {
    return this.put(item, { ...options, timeout: 0 });
  }

  /**
   * The blocking form of {@linkcode Queue.put}: stops the event loop.
   *
   * @throws {InvalidStateError} If nothing could end the wait: the queue lives
   * in this thread, or in a process below this one.
   */
  putSync(item: T, options?: WaitSyncOptions): void {
    const { timeout } = checkWait("put", options);
    checkOpen(this.#reference, "put to the queue");
    const done = this.#reference.callSync(QueueOp.Put, {
      packet: hub.pack(item, "item"),
      timeout,
    });
    if (done === undefined) throw this.#full(item, timeout);
  }

  #full(item: T, timeout: number | undefined): QueueFullError {
    return new QueueFullError(
      timeout ? `The queue stayed full for ${timeout} ms` : "The queue is full",
      { item },
    );
  }

  /**
   * Takes the first item; waits while the queue is empty.
   *
   * @throws {QueueEmptyError} If nothing came in time.
   * @throws {QueueShutDownError} If the queue is shut down and empty.
   * @throws {SerializationError} If the item cannot be decoded; it is lost.
   */
  async get(options?: WaitOptions): Promise<T> {
    const { timeout, signal } = checkWait("get", options);
    checkOpen(this.#reference, "get from the queue");
    const done = await this.#reference.call(QueueOp.Get, {
      timeout,
      signal,
      undo: ({ number, packet }) =>
        this.#reference.cast(QueueOp.Unget, number, packet),
    });
    if (done === undefined) throw this.#empty(timeout);
    // The types of `put` are the check: whoever shares a queue shares its T.
    return hub.unpack(done.packet) as T;
  }

  /**
   * Takes the first item if there is one now.
   *
   * @throws {QueueEmptyError} If the queue is empty.
   */
  getNowait(): Promise<T> {
    return this.get({ timeout: 0 });
  }

  /**
   * The blocking form of {@linkcode Queue.get}: stops the event loop.
   *
   * @throws {InvalidStateError} If nothing could end the wait: the queue lives
   * in this thread, or in a process below this one.
   */
  getSync(options?: WaitSyncOptions): T {
    const { timeout } = checkWait("get", options);
    checkOpen(this.#reference, "get from the queue");
    const done = this.#reference.callSync(QueueOp.Get, { timeout });
    if (done === undefined) throw this.#empty(timeout);
    return hub.unpack(done.packet) as T;
  }

  #empty(timeout: number | undefined): QueueEmptyError {
    return new QueueEmptyError(
      timeout
        ? `The queue stayed empty for ${timeout} ms`
        : "The queue is empty",
    );
  }

  #read(code: number): number {
    checkOpen(this.#reference, "read the queue");
    return this.#reference.callSync(code)!.number;
  }

  /**
   * How many items are there at this moment, exactly.
   *
   * In a process that does not own the queue this asks the owner and blocks
   * until it answers; `InvalidStateError` where that cannot be done.
   */
  get size(): number {
    return this.#read(QueueOp.Size);
  }

  /** Whether nothing is there at this moment. See {@linkcode Queue.size}. */
  get empty(): boolean {
    return this.size === 0;
  }

  /** Whether `put` would wait at this moment. See {@linkcode Queue.size}. */
  get full(): boolean {
    const { maxsize } = this;
    return maxsize > 0 && this.size >= maxsize;
  }

  /** How many items fit; 0 is without a limit. See {@linkcode Queue.size}. */
  get maxsize(): number {
    return this.#read(QueueOp.MaxSize);
  }

  /** Whether `shutdown` was called. See {@linkcode Queue.size}. */
  get isShutDown(): boolean {
    return this.#read(QueueOp.IsShutDown) === 1;
  }

  /**
   * Takes no more items: waiting and later `put`s reject with
   * {@linkcode QueueShutDownError}, `get`s do so once the queue is empty.
   * Idempotent. Python 3.13: `queue.Queue.shutdown`.
   */
  shutdown(options: QueueShutdownOptions = {}): void {
    checkOpen(this.#reference, "shut the queue down");
    this.#reference.cast(QueueOp.ShutDown, options.immediate ? 1 : 0);
  }

  /**
   * Lets go of the queue. In its owner this ends it for everybody: items are
   * dropped and whoever waits gets a {@linkcode ClosedError}; elsewhere only
   * this process is done with it. Idempotent.
   */
  close(): void {
    closeShared(this.#reference, "queue");
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

  /** The same as {@linkcode Queue.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** The same as {@linkcode Queue.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}
