// Copyright 2026 the multitask authors. MIT license.

import { behind, RemoteBase } from "./_remote.ts";

/** What a dict can be filled with. */
export type DictEntries<K, V> =
  | ReadonlyMap<K, V>
  | readonly (readonly [K, V])[]
  | Readonly<Record<string, V>>;

/**
 * A map that lives in a manager.
 *
 * Python: the proxy of a `dict`. It has the names of `Map`, and those of `dict`
 * that a map lacks. What it gives are copies, frozen so that a change of one,
 * which would not get there, is an error. Keys are strings, numbers, bigints,
 * booleans, null or undefined.
 *
 * @typeParam K The keys.
 * @typeParam V The values: anything structured clone carries, and proxies.
 *
 * @example
 * ```ts
 * import { SyncManager } from "@multitask/std/distributed";
 * import { assertEquals } from "@std/assert";
 *
 * await using manager = new SyncManager({ authkey: "a long random secret" });
 * await manager.start();
 * const dict = await manager.dict<string, number>({ a: 1 });
 * await dict.set("b", 2);
 * assertEquals(await dict.add("a", 1), 2);
 * assertEquals(await dict.entries(), [["a", 2], ["b", 2]]);
 * ```
 */
export class RemoteDict<K = unknown, V = unknown> extends RemoteBase
  implements AsyncIterable<[K, V]> {
  async #get<R>(method: string, ...args: unknown[]): Promise<R> {
    // Whoever shares a dict shares its types.
    return await behind(this).call(method, args, { isCopy: true }) as R;
  }

  /** The value of a key; `otherwise` where there is none. */
  get(key: K): Promise<V | undefined>;
  /** The same, with something else for a key that is not there. */
  get<D>(key: K, otherwise: D): Promise<V | D>;
  get(key: K, otherwise?: unknown): Promise<unknown> {
    return this.#get("get", key, otherwise);
  }

  /** Sets the value of a key. */
  async set(key: K, value: V): Promise<void> {
    await this.#get("set", key, value);
  }

  /** Whether there is a key. */
  has(key: K): Promise<boolean> {
    return this.#get("has", key);
  }

  /** Removes a key; gives whether it was there. */
  delete(key: K): Promise<boolean> {
    return this.#get("delete", key);
  }

  /** Removes all. */
  async clear(): Promise<void> {
    await this.#get("clear");
  }

  /** How many keys there are. Python: `len()`. */
  get size(): Promise<number> {
    return this.#get("size");
  }

  /** The keys, in the order in which they came. */
  keys(): Promise<readonly K[]> {
    return this.#get("keys");
  }

  /** The values, in the order of the keys. */
  values(): Promise<readonly V[]> {
    return this.#get("values");
  }

  /** Keys and values. Python: `items()`. */
  entries(): Promise<readonly (readonly [K, V])[]> {
    return this.#get("entries");
  }

  /** All of it, as a map of its own. */
  async copy(): Promise<Map<K, V>> {
    return await behind(this).call("copy") as Map<K, V>;
  }

  /**
   * Removes a key and gives its value, or `otherwise`.
   *
   * @throws {RangeError} If it is not there, and nothing else was given.
   */
  pop(key: K, ...otherwise: [] | [V]): Promise<V> {
    return this.#get("pop", key, ...otherwise);
  }

  /**
   * Removes what came last and gives it.
   *
   * @throws {RangeError} If the dict is empty.
   */
  popItem(): Promise<readonly [K, V]> {
    return this.#get("popItem");
  }

  /** Sets a value where there is none; gives what is there then. */
  setDefault(key: K, value: V): Promise<V> {
    return this.#get("setDefault", key, value);
  }

  /** Sets many values at once. */
  async update(entries: DictEntries<K, V>): Promise<void> {
    await this.#get("update", entries);
  }

  /**
   * Adds to a number, atomically; gives the new one. Python's
   * `d[key] += amount` loses updates.
   *
   * @param start What is added to where there is nothing. The default is 0.
   */
  add(key: K, amount: V & (number | bigint), start?: V): Promise<V> {
    return this.#get("add", key, amount, start);
  }

  /** Gives the entries as they are at the begin. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<[K, V]> {
    for (const [key, value] of await this.entries()) yield [key, value];
  }
}
