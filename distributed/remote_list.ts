// Copyright 2026 the multitask authors. MIT license.

import { behind, RemoteBase } from "./_remote.ts";

/**
 * A list that lives in a manager.
 *
 * Python: the proxy of a `list`; `append` is `push`, `extend` is `push` of
 * several, `index` is `indexOf`. What it gives are copies, frozen so that a
 * change of one, which would not get there, is an error. Indices from the end are
 * negative.
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
 * const list = await manager.list<string>(["a"]);
 * await list.push("b", "c");
 * assertEquals(await list.get(-1), "c");
 * assertEquals(await list.slice(), ["a", "b", "c"]);
 * ```
 */
export class RemoteList<T = unknown> extends RemoteBase
  implements AsyncIterable<T> {
  async #get<R>(method: string, ...args: unknown[]): Promise<R> {
    // Whoever shares a list shares its type.
    return await behind(this).call(method, args, { isCopy: true }) as R;
  }

  /**
   * The item at an index.
   *
   * @throws {RangeError} If there is none.
   */
  get(index: number): Promise<T> {
    return this.#get("get", index);
  }

  /**
   * Sets the item at an index.
   *
   * @throws {RangeError} If there is none.
   */
  async set(index: number, value: T): Promise<void> {
    await this.#get("set", index, value);
  }

  /** Adds items at the end; gives the new length. */
  push(...items: T[]): Promise<number> {
    return this.#get("push", items);
  }

  /**
   * Removes an item and gives it: the last one if no index is given.
   *
   * @throws {RangeError} If there is none.
   */
  pop(index = -1): Promise<T> {
    return this.#get("pop", index);
  }

  /** Inserts an item before an index. */
  async insert(index: number, value: T): Promise<void> {
    await this.#get("insert", index, value);
  }

  /**
   * Removes the first item that is equal (`===`).
   *
   * @throws {RangeError} If there is none.
   */
  async remove(value: T): Promise<void> {
    await this.#get("remove", value);
  }

  /** Where the first item is that is equal (`===`), or -1. */
  indexOf(value: T): Promise<number> {
    return this.#get("indexOf", value);
  }

  /** Whether an item is there. */
  includes(value: T): Promise<boolean> {
    return this.#get("includes", value);
  }

  /** How many items are equal (`===`). */
  count(value: T): Promise<number> {
    return this.#get("count", value);
  }

  /** The items from `start` up to, but not with, `end`; all by default. */
  slice(start?: number, end?: number): Promise<readonly T[]> {
    return this.#get("slice", start, end);
  }

  /** Turns the order around. */
  async reverse(): Promise<void> {
    await this.#get("reverse");
  }

  /** Sorts by `<`. */
  async sort(): Promise<void> {
    await this.#get("sort");
  }

  /** Removes all. */
  async clear(): Promise<void> {
    await this.#get("clear");
  }

  /** How many items there are. Python: `len()`. */
  get length(): Promise<number> {
    return this.#get("length");
  }

  /** Gives the items as they are at the begin. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<T> {
    yield* await this.slice();
  }
}
