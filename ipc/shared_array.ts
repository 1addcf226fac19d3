// Copyright 2026 the multitask authors. MIT license.

import { BlockOp, type OpenBlock, setAccess } from "./_block_core.ts";
import { parts, registerComposite } from "./_codec.ts";
import { hub } from "./_hub.ts";
import {
  arrayOver,
  checkNumber,
  checkType,
  NUMBER_TYPES,
  type NumberOf,
  type NumberType,
  sizeOf,
  type TypedArrayOf,
} from "./_number_types.ts";
import { checkInteger, shown } from "./_options.ts";
import type { SharedOptions } from "./_shared.ts";
import { HandleNumber } from "./_shared_object.ts";
import { ClosedError } from "./errors.ts";
import { RLock } from "./rlock.ts";
import { Block } from "./shared_memory.ts";

/** Reads, or writes, one number for a process that does not reach the memory. */
function access(
  buffer: ArrayBufferLike,
  type: number,
  index: number,
  value?: number | bigint,
): number | bigint {
  const name = NUMBER_TYPES[type];
  if (name === undefined) throw new RangeError(`There is no type ${type}`);
  const length = Math.floor(buffer.byteLength / sizeOf(name));
  const numbers = arrayOver(name, buffer, length) as unknown as {
    [index: number]: number | bigint;
  };
  checkIndex(index, length);
  const old = numbers[index]!;
  if (value !== undefined) {
    checkNumber("set", name, value);
    numbers[index] = value;
  }
  return old;
}

setAccess(access);

function checkIndex(index: unknown, length: number): void {
  if (
    Number.isInteger(index) && index as number >= 0 && index as number < length
  ) {
    return;
  }
  throw new RangeError(
    `Cannot use item ${shown(index)}: the array has ${length}, from 0 on`,
  );
}

/** What an array is made of when it arrives. */
interface Arrived {
  readonly block: Block;
  readonly lock: RLock;
  readonly type: number;
  readonly length: number;
}

/**
 * Numbers of one type that threads and processes share.
 *
 * Python: `multiprocessing.Array`. `view` is a typed array over the memory
 * itself; `get` and `set` go everywhere, and are atomic for one number of up to
 * 64 bits only as plain memory is. Use `lock` for more.
 *
 * @typeParam K The type of the numbers, as {@linkcode Value} has them.
 *
 * @example
 * ```ts
 * import { SharedArray } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * using array = new SharedArray("f64", [1, 2, 3]);
 * array.view[0] = 40;
 * assertEquals(await array.get(0), 40);
 * assertEquals(array.length, 3);
 * ```
 */
export class SharedArray<K extends NumberType = NumberType>
  implements Disposable {
  static {
    registerComposite(
      HandleNumber.SharedArray,
      // What it is sent as, below.
      ([block, lock, type, length]) =>
        new this("i32", 0, { block, lock, type, length } as unknown as object),
    );
  }

  readonly #block: Block;
  readonly #type: K;
  /** How many numbers it has. */
  readonly length: number;
  readonly #options: SharedOptions;
  #lock: RLock | undefined;
  #open: OpenBlock | undefined;
  #view: TypedArrayOf<K> | undefined;
  #closed = false;

  /**
   * Makes an array that belongs to this process.
   *
   * @param type The type of its numbers.
   * @param lengthOrItems How many zeros, or the numbers.
   * @throws {TypeError | RangeError} If one of them is not as it has to be.
   */
  constructor(
    type: K,
    lengthOrItems: number | Iterable<NumberOf<K>>,
    options: SharedOptions = {},
  ) {
    this.#options = options;
    if ("block" in options) {
      // From the class itself: see above.
      const arrived = options as unknown as Arrived;
      this.#block = arrived.block;
      this.#lock = arrived.lock;
      this.#type = NUMBER_TYPES[arrived.type] as K;
      this.length = arrived.length;
      this.#block.use();
      return;
    }
    checkType("create array", type);
    const items = typeof lengthOrItems === "number"
      ? undefined
      : [...lengthOrItems];
    for (const item of items ?? []) checkNumber("create array", type, item);
    const length = items?.length ?? lengthOrItems as number;
    checkInteger("create array", "length", length, 0);
    this.#type = type;
    this.length = length;
    this.#block = new Block(length * sizeOf(type), options, "create array");
    this.#block.use();
    if (items !== undefined) {
      const numbers = this.view as unknown as { [index: number]: unknown };
      items.forEach((item, index) => numbers[index] = item);
    }
  }

  /** What it is sent as. */
  get [parts](): [number, object, RLock, number, number] {
    const type = NUMBER_TYPES.indexOf(this.#type);
    return [
      HandleNumber.SharedArray,
      this.#block,
      this.lock,
      type,
      this.length,
    ];
  }

  /** Its lock, for more than one operation; made when it is first asked for. */
  get lock(): RLock {
    return this.#lock ??= new RLock(this.#options);
  }

  /**
   * The numbers themselves. Empty, where that can be done, once it is closed.
   *
   * @throws {ClosedError} If it is closed.
   * @throws {PermissionNeededError} If its memory is out of reach.
   */
  get view(): TypedArrayOf<K> {
    this.#checkOpen();
    if (this.#view !== undefined) return this.#view;
    this.#open = this.#block.open("view the array");
    return this.#view = arrayOver(this.#type, this.#open.buffer, this.length);
  }

  #checkOpen(): void {
    if (this.#closed) {
      throw new ClosedError("Cannot use the array: it is closed");
    }
  }

  async #access(
    index: number,
    value?: NumberOf<K>,
  ): Promise<NumberOf<K>> {
    this.#checkOpen();
    checkIndex(index, this.length);
    if (value !== undefined) checkNumber("set", this.#type, value);
    if (this.#block.core !== undefined) {
      const numbers = this.view as unknown as { [index: number]: NumberOf<K> };
      const old = numbers[index]!;
      if (value !== undefined) numbers[index] = value;
      return old;
    }
    const type = NUMBER_TYPES.indexOf(this.#type);
    const sent = value === undefined ? [type, index] : [type, index, value];
    const done = await this.#block.reference.call(
      value === undefined ? BlockOp.Get : BlockOp.Set,
      { packet: hub.pack(sent) },
    );
    // The owner packs a number of the type.
    return hub.unpack(done!.packet) as NumberOf<K>;
  }

  /**
   * One of the numbers.
   *
   * @throws {RangeError} If there is no such index.
   */
  async get(index: number): Promise<NumberOf<K>> {
    return await this.#access(index);
  }

  /**
   * Stores one of the numbers.
   *
   * @throws {RangeError} If there is no such index.
   * @throws {TypeError} If `value` is not of the type's kind.
   */
  async set(index: number, value: NumberOf<K>): Promise<void> {
    checkNumber("set", this.#type, value);
    await this.#access(index, value);
  }

  /** Lets go of the array here; others still have it. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#open?.close();
    this.#open = this.#view = undefined;
    this.#block.leave();
    this.#lock?.close();
  }

  /** The same as {@linkcode SharedArray.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
