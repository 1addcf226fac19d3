// Copyright 2026 the multitask authors. MIT license.
// What all queues have in common: the public methods over a queue core. The
// classes differ in the order in which items leave.

import type { CorePlace } from "./_core.ts";
import { homes } from "./_homes.ts";
import { hub } from "./_hub.ts";
import {
  checkInteger,
  checkWait,
  type WaitOptions,
  type WaitSyncOptions,
} from "./_options.ts";
import type { Packet } from "./_packet.ts";
import { QueueCore, QueueOp } from "./_queue_core.ts";
import type { Reference } from "./_reference.ts";
import {
  checkOpen,
  claimReference,
  closeShared,
  type SharedOptions,
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

/** What tells the kinds of queues apart. */
export interface QueueType {
  /** The number of the class. */
  readonly number: number;
  /** The order in which items leave. */
  readonly kind: number;
  /** Whether it is counted which items are done. */
  readonly joinable?: boolean;
}

function ended(action: "put" | "get"): Error {
  return new QueueShutDownError(
    `Cannot ${action}: the queue is shut down${
      action === "get" ? " and empty" : ""
    }`,
  );
}

/** A view of a queue that is there. */
export function attachQueue(place: CorePlace): QueueCore {
  return new QueueCore(place, { ended });
}

/** The methods of all queues. See {@linkcode Queue}. */
export abstract class QueueBase<T>
  implements AsyncIterable<T>, Disposable, AsyncDisposable {
  readonly #reference: Reference;
  /** Where this thread works on the memory itself. */
  readonly #core: QueueCore | undefined;

  /** Makes a queue. For the public classes. */
  constructor(
    { number, kind, joinable = false }: QueueType,
    maxsize: number,
    options: SharedOptions,
  ) {
    checkInteger("create queue", "maxsize", maxsize, 0);
    this.#reference = claimReference(
      this,
      number,
      () =>
        new QueueCore({ agent: homes.agentFor("create queue", options.home) }, {
          ended,
          kind,
          joinable,
          limit: maxsize,
        }),
    );
    // What stands for a class of queues has no other core.
    this.#core = this.#reference.direct as QueueCore | undefined;
  }

  /** Encodes an item; what is lent is only valid until the next call. */
  protected pack(
    item: T,
    transfer: readonly ArrayBuffer[] | undefined,
    lend: boolean,
  ): Packet {
    return hub.pack(item, "item", transfer, lend);
  }

  /** Puts an item if there is room at once; gives the packet if there is none. */
  #tryPut(item: T, transfer?: readonly ArrayBuffer[]): Packet | undefined {
    const core = this.#core;
    const packet = this.pack(item, transfer, core !== undefined);
    if (core === undefined) return packet;
    if (core.tryPut(packet) !== undefined) return undefined;
    return { bytes: packet.bytes.slice(), refs: packet.refs };
  }

  /** Decodes an item. */
  protected unpack(packet: Packet): T {
    // The types of `put` are the check: whoever shares a queue shares its T.
    return hub.unpack(packet) as T;
  }

  /** The reference, for what a class adds. */
  protected get reference(): Reference {
    return this.#reference;
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
    const packet = this.#tryPut(item, options?.transfer);
    if (packet === undefined) return;
    const done = await this.#reference.call(QueueOp.Put, {
      packet,
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
   * @throws {InvalidStateError} If nothing could end the wait: no other thread
   * or process reaches the queue's memory.
   */
  putSync(item: T, options?: WaitSyncOptions): void {
    const { timeout } = checkWait("put", options);
    checkOpen(this.#reference, "put to the queue");
    const packet = this.#tryPut(item);
    if (packet === undefined) return;
    const done = this.#reference.callSync(QueueOp.Put, { packet, timeout });
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
    signal?.throwIfAborted();
    const got = this.#core?.tryGet(this.#unpack);
    if (got !== undefined) return got.value;
    const done = await this.#reference.call(QueueOp.Get, {
      timeout,
      signal,
      undo: ({ number, packet }) =>
        this.#reference.cast(QueueOp.Unget, number, packet),
    });
    if (done === undefined) throw this.#empty(timeout);
    return this.unpack(done.packet);
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
   * @throws {InvalidStateError} If nothing could end the wait: no other thread
   * or process reaches the queue's memory.
   */
  getSync(options?: WaitSyncOptions): T {
    const { timeout } = checkWait("get", options);
    checkOpen(this.#reference, "get from the queue");
    const got = this.#core?.tryGet(this.#unpack);
    if (got !== undefined) return got.value;
    const done = this.#reference.callSync(QueueOp.Get, { timeout });
    if (done === undefined) throw this.#empty(timeout);
    return this.unpack(done.packet);
  }

  readonly #unpack = (packet: Packet): T => this.unpack(packet);

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
   * A process that neither owns the queue nor reaches its memory asks the owner
   * and blocks until it answers; `InvalidStateError` where that cannot be done.
   */
  get size(): number {
    if (this.#core !== undefined && !this.#reference.closed) {
      return this.#core.size;
    }
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
