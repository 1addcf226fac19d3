// Copyright 2026 the multitask authors. MIT license.

import {
  formatOf,
  listSize,
  openList,
  readSlot,
  type ShareableFormat,
  type ShareableValue,
  writeList,
  writeSlot,
} from "./_list_format.ts";
import { shown } from "./_options.ts";
import { parts, registerComposite } from "./_codec.ts";
import type { SharedOptions } from "./_shared.ts";
import { HandleNumber } from "./_shared_object.ts";
import { SharedMemory } from "./shared_memory.ts";

export type { ShareableFormat, ShareableValue } from "./_list_format.ts";

/** Options of {@linkcode ShareableList}. */
export interface ShareableListOptions extends SharedOptions {
  /**
   * The name of the shared memory, under which other processes find the list.
   *
   * @default {undefined} a name that nobody has yet
   */
  name?: string;
}

/** The memory of a list that arrives. */
let arriving: SharedMemory | undefined;

/**
 * What the slots of a {@linkcode ShareableList} made of items of type `T` take:
 * a list made of `1` and `2` takes all numbers.
 *
 * @typeParam T The items.
 */
export type ShareableItem<T extends ShareableValue> = T extends number ? number
  : T extends bigint ? bigint
  : T extends boolean ? boolean
  : T extends string ? string
  : T extends Uint8Array ? Uint8Array
  : T;

/**
 * A list of fixed length in shared memory: numbers, bigints, booleans, strings,
 * bytes and `null`, which all processes read and change in place.
 *
 * Python: `multiprocessing.shared_memory.ShareableList`, with these
 * differences:
 *
 * - `get` and `set`, which take negative indexes, too, instead of subscripts;
 *   `length` instead of `len`.
 * - Strings and bytes come back as they were set; Python cuts trailing NULs off.
 * - A slot has the bytes that its first value took, rounded up to a multiple of
 *   8 and at least 8, so numbers, booleans and `null` fit everywhere. Python
 *   counts characters, not bytes, and has up to 8 bytes more.
 * - A number is `5` whether it is stored as an integer or not; bigints stay
 *   bigints and take 64 bits, signed.
 * - `format` names the type of one slot, not the layout of them all.
 * - `close`, `unlink` and `using` do what they do in {@linkcode SharedMemory}.
 *
 * Nothing here waits or takes a lock: who reads while another process sets the
 * same slot may see half of a value, or a {@linkcode SerializationError}. Keep
 * a `Lock` beside the list where that can happen.
 *
 * Once the list is closed, all but `length` throws a {@linkcode ClosedError}.
 *
 * @typeParam T The items. A slot may change its type if `T` names several.
 *
 * @example
 * ```ts
 * import { ShareableList } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * using list = new ShareableList<string | number | null>(["Ada", 36, null]);
 * list.set(1, 36.5);
 * list.set(-1, 7);
 *
 * // Most likely in another process:
 * using same = new ShareableList({ name: list.shm.name });
 * assertEquals(same.toArray(), ["Ada", 36.5, 7]);
 * list.unlink();
 * ```
 */
export class ShareableList<T extends ShareableValue = ShareableValue>
  implements Iterable<ShareableItem<T>>, Disposable {
  static {
    registerComposite(
      HandleNumber.ShareableList,
      // What a list is sent as, below.
      ([shm]) => {
        arriving = shm as SharedMemory;
        return new this([]);
      },
    );
  }

  readonly #shm: SharedMemory;
  #length: number | undefined;

  /**
   * Makes a list of the items in new shared memory.
   *
   * @throws {TypeError} If an item is of a type that a slot cannot hold.
   * @throws {RangeError} If a bigint is outside of 64 bits.
   */
  constructor(items: Iterable<T>, options?: ShareableListOptions);
  /**
   * Opens the list that another process made. Python: `ShareableList(name=...)`.
   * The type of the items is taken on trust.
   *
   * @throws {SerializationError} If the memory does not hold a list.
   */
  constructor(options: { name: string });
  constructor(
    first: Iterable<T> | { name: string },
    options: ShareableListOptions = {},
  ) {
    const arrived = arriving;
    arriving = undefined;
    if (arrived !== undefined) {
      this.#shm = arrived; // It may be out of reach here.
      return;
    }
    using cleanup = new DisposableStack();
    if (isIterable(first)) {
      const items = [...first];
      const size = listSize(items);
      this.#shm = new SharedMemory({ ...options, create: true, size });
      cleanup.defer(() => this.#shm.unlink());
      cleanup.defer(() => this.#shm.close());
      writeList(this.#shm.buf, items);
      this.#length = items.length;
    } else {
      this.#shm = new SharedMemory({ name: checkName(first) });
      cleanup.defer(() => this.#shm.close());
      this.#length = openList(this.#shm.buf);
    }
    cleanup.move(); // All went well: the memory stays.
  }

  /** The shared memory of the list. Python: same name. */
  get shm(): SharedMemory {
    return this.#shm;
  }

  /** What it is sent as. */
  get [parts](): [number, SharedMemory] {
    return [HandleNumber.ShareableList, this.#shm];
  }

  /**
   * How many slots there are. Python: `len(list)`.
   *
   * @throws {PermissionNeededError} If its memory is out of reach.
   */
  get length(): number {
    return this.#length ??= openList(this.#shm.buf);
  }

  /**
   * The value of a slot; bytes are a copy. Python: `list[index]`.
   *
   * @param index The place of the slot; a negative one counts from the end.
   * @throws {RangeError} If there is no such slot.
   * @throws {SerializationError} If the value is damaged, or being written.
   */
  get(index: number): ShareableItem<T> {
    // The types of `set` are the check: whoever shares a list shares its T.
    return readSlot(this.#shm.buf, index) as ShareableItem<T>;
  }

  /**
   * Sets the value of a slot, which may be of another type than the one before.
   * If it throws, the slot is as it was. Python: `list[index] = value`.
   *
   * @param index The place of the slot; a negative one counts from the end.
   * @throws {RangeError} If there is no such slot, or the value does not fit:
   * the message has the bytes that it needs and those that there are.
   * @throws {TypeError} If a slot cannot hold values of this type.
   */
  set(index: number, value: ShareableItem<T>): void {
    writeSlot(this.#shm.buf, index, value);
  }

  /**
   * Names how a slot holds its value: a number is an `"int"` if it is a safe
   * integer, else a `"float"`. Python: the property `format`, which is that of
   * all slots together, in the letters of `struct`.
   *
   * @param index The place of the slot; a negative one counts from the end.
   * @throws {RangeError} If there is no such slot.
   */
  format(index: number): ShareableFormat {
    return formatOf(this.#shm.buf, index);
  }

  /**
   * How many slots hold the value. Python: same name; here `1`, `1n` and `true`
   * are three values, and `NaN` equals itself.
   */
  count(value: ShareableItem<T>): number {
    let count = 0;
    for (const item of this) if (equal(item, value)) count++;
    return count;
  }

  /**
   * The index of the first slot that holds the value. Python: same name; what
   * is equal is said at {@linkcode ShareableList.count}.
   *
   * @throws {RangeError} If there is none; Python: `ValueError`.
   */
  index(value: ShareableItem<T>): number {
    const index = this.indexOf(value);
    if (index >= 0) return index;
    throw new RangeError(
      `Cannot find index: ${shown(value)} is not in the list`,
    );
  }

  /**
   * The index of the first slot that holds the value, or -1 if there is none:
   * {@linkcode ShareableList.index} as arrays have it. No Python counterpart.
   */
  indexOf(value: ShareableItem<T>): number {
    for (let i = 0; i < this.length; i++) {
      if (equal(this.get(i), value)) return i;
    }
    return -1;
  }

  /** Copies the values. Python: `list(shareable_list)`. */
  toArray(): ShareableItem<T>[] {
    return [...this];
  }

  /** The values in order, each read when it is asked for. */
  *[Symbol.iterator](): Generator<ShareableItem<T>, void, void> {
    for (let i = 0; i < this.length; i++) yield this.get(i);
  }

  /** Lets go of the memory in this process. Python: `list.shm.close()`. */
  close(): void {
    this.#shm.close();
  }

  /**
   * Takes the name of the memory away: nobody can open the list any more, those
   * who have it keep it. Python: `list.shm.unlink()`.
   */
  unlink(): void {
    this.#shm.unlink();
  }

  /** Closes the list. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** Text counts as its characters, as in Python. */
function isIterable<T>(value: Iterable<T> | object): value is Iterable<T> {
  return typeof value === "string" ||
    typeof value === "object" && value !== null && Symbol.iterator in value;
}

function checkName(options: { name: string }): string {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot create list: the first argument must be items or options, received ${
        shown(options)
      }`,
    );
  }
  if (typeof options.name !== "string") {
    throw new TypeError(
      `Cannot open list: "name" must be a string, received ${
        shown(options.name)
      }`,
    );
  }
  return options.name;
}

/** As `includes` of an array has it, and bytes by what is in them. */
function equal(a: ShareableValue, b: ShareableValue): boolean {
  if (a instanceof Uint8Array) {
    return b instanceof Uint8Array && a.length === b.length &&
      a.every((byte, i) => byte === b[i]);
  }
  return a === b || Object.is(a, b);
}
