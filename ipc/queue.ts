// Copyright 2026 the multitask authors. MIT license.

import { homes } from "./_homes.ts";
import { hub } from "./_hub.ts";
import {
  checkInteger,
  checkWait,
  type WaitOptions,
  type WaitSyncOptions,
} from "./_options.ts";
import type { Packet } from "./_packet.ts";
import { QueueCore, QueueKind, QueueOp } from "./_queue_core.ts";
import type { Reference } from "./_reference.ts";
import {
  checkOpen,
  claimReference,
  closeShared,
  registerHandle,
  type SharedOptions,
} from "./_shared.ts";
import { HandleNumber } from "./_shared_object.ts";
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

/** What tells the classes of queues apart. */
interface QueueType {
  /** The number of the class. */
  readonly number: number;
  /** The order in which items leave. */
  readonly kind: number;
  /** Whether it is counted which items are done. */
  readonly joinable?: boolean;
  /** Encodes an item; what is lent is only valid until the next call. */
  readonly pack?: (
    item: unknown,
    transfer: readonly ArrayBuffer[] | undefined,
    lend: boolean,
  ) => Packet;
  readonly unpack?: (packet: Packet) => unknown;
}

function packItem(
  item: unknown,
  transfer: readonly ArrayBuffer[] | undefined,
  lend: boolean,
): Packet {
  return hub.pack(item, "item", transfer, lend);
}

function unpackItem(packet: Packet): unknown {
  return hub.unpack(packet);
}

const types = new Map<unknown, QueueType>();

/** Says how a class of queues is. Call it from a static block. */
export function defineQueue(
  constructor: new () => Queue<unknown>,
  type: QueueType,
): void {
  types.set(constructor, type);
  registerHandle(
    type.number,
    constructor.prototype,
    () => new constructor(),
    (place) => new QueueCore(place, { ended }),
  );
}

/** Classes of users are as the one of ours that they extend. */
function typeOf(constructor: unknown): QueueType {
  for (let at = constructor; at !== null; at = Object.getPrototypeOf(at)) {
    const type = types.get(at);
    if (type !== undefined) return type;
  }
  throw new TypeError("Cannot create queue: it is of no class of queues");
}

/** The reference of a queue, for what a class adds. */
export let referenceOf: <T>(queue: Queue<T>) => Reference;

/** Takes the first item if its memory is within reach and one is there. */
export let takeNow: <T>(queue: Queue<T>) => { value: T } | undefined;

/** Puts an item if the queue's memory is within reach and there is room. */
export let putNow: <T>(queue: Queue<T>, item: T) => boolean;

function ended(action: "put" | "get"): Error {
  return new QueueShutDownError(
    `Cannot ${action}: the queue is shut down${
      action === "get" ? " and empty" : ""
    }`,
  );
}

/**
 * A first-in first-out queue for threads and processes.
 *
 * Python: `multiprocessing.Queue`, without its hidden feeder thread: `put`
 * resolves when the queue has the item and rejects when it cannot be sent, and
 * `size` is exact everywhere. `shutdown` is that of Python 3.13's
 * `queue.Queue`.
 *
 * A queue belongs to the process that made it, its owner. Pass it in the `args`
 * of a process, in other items, through pipes: everybody who has it works on
 * the same queue. Items outlive the process that put them; a process that is
 * killed takes no item along but the one that it had got. When the owner ends,
 * whoever waits gets a {@linkcode ProcessExitError}.
 *
 * **Ordering**: items leave in the order in which they were accepted; those who
 * wait to get, and those who wait to put, are served first come, first served.
 *
 * **Cancel safety**: an aborted or timed-out `get` takes nothing: an item that
 * was already on its way goes back to the front. An aborted or timed-out `put`
 * has put nothing; where it was too late for that, it succeeds. To know, one that
 * is given up waits for the owner's answer, one second at most: if that is not
 * enough, the item is taken back later unless somebody has got it.
 *
 * @typeParam T The items: anything structured clone carries, and handles. As
 * there, properties whose keys are symbols are left out.
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
    defineQueue(this, { number: HandleNumber.Queue, kind: QueueKind.Fifo });
    referenceOf = (queue) => queue.#reference;
    takeNow = (queue) => {
      checkOpen(queue.#reference, "get from the queue");
      return queue.#core?.tryGet(queue.#unpack);
    };
    putNow = (queue, item) => {
      checkOpen(queue.#reference, "put to the queue");
      const packet = queue.#tryPut(item);
      if (packet !== undefined) hub.dropPacket(packet);
      return packet === undefined;
    };
  }

  readonly #reference: Reference;
  /** Where this thread works on the memory itself. */
  readonly #core: QueueCore | undefined;
  readonly #pack: NonNullable<QueueType["pack"]>;
  readonly #unpack: (packet: Packet) => T;

  /**
   * Makes a queue that belongs to this process.
   *
   * @param maxsize How many items fit before `put` waits; 0 is without a limit.
   * @throws {TypeError | RangeError} If `maxsize` is not an integer >= 0.
   */
  constructor(maxsize = 0, options: SharedOptions = {}) {
    checkInteger("create queue", "maxsize", maxsize, 0);
    const { number, kind, joinable = false, pack, unpack } = typeOf(new.target);
    this.#pack = pack ?? packItem;
    // The types of `put` are the check: whoever shares a queue shares its T.
    this.#unpack = (unpack ?? unpackItem) as (packet: Packet) => T;
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

  /** Puts an item if there is room at once; gives the packet if there is none. */
  #tryPut(item: T, transfer?: readonly ArrayBuffer[]): Packet | undefined {
    const core = this.#core;
    const packet = this.#pack(item, transfer, core !== undefined);
    if (core === undefined) return packet;
    if (core.tryPut(packet) !== undefined) return undefined;
    return { bytes: packet.bytes.slice(), refs: packet.refs };
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
      certain: true,
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
    return this.#unpack(done.packet);
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
    return this.#unpack(done.packet);
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
