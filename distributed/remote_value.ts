// Copyright 2026 the multitask authors. MIT license.

import type { NumberOf, NumberType } from "../ipc/_number_types.ts";
import { behind, RemoteBase } from "./_remote.ts";
import type { RemoteLock } from "./remote_lock.ts";

/**
 * A number that lives in a manager.
 *
 * Python: the proxy of a `Value`. Each of its operations is atomic; for more than
 * one there is `lock`.
 *
 * @typeParam K The type, as that of `Value`.
 *
 * @example
 * ```ts
 * import { SyncManager } from "@multitask/std/distributed";
 * import { assertEquals } from "@std/assert";
 *
 * await using manager = new SyncManager({ authkey: "a long random secret" });
 * await manager.start();
 * const counter = await manager.value("i32", 40);
 * assertEquals(await counter.add(2), 40);
 * assertEquals(await counter.value, 42);
 * ```
 */
export class RemoteValue<K extends NumberType = NumberType> extends RemoteBase {
  /** The number. */
  get value(): Promise<NumberOf<K>> {
    return this.get();
  }

  /** The number. */
  async get(): Promise<NumberOf<K>> {
    return await behind(this).call("get") as NumberOf<K>;
  }

  /** Stores a number. */
  async set(value: NumberOf<K>): Promise<void> {
    await behind(this).call("set", [value]);
  }

  /** Adds to the number; resolves to the old one. */
  async add(amount: NumberOf<K>): Promise<NumberOf<K>> {
    return await behind(this).call("add", [amount]) as NumberOf<K>;
  }

  /** Stores `value` where `expected` stands; resolves to the old number. */
  async compareExchange(
    expected: NumberOf<K>,
    value: NumberOf<K>,
  ): Promise<NumberOf<K>> {
    const args = [expected, value];
    return await behind(this).call("compareExchange", args) as NumberOf<K>;
  }

  /** Its lock, for more than one operation. */
  get lock(): Promise<RemoteLock> {
    return behind(this).call("lock") as Promise<RemoteLock>;
  }
}
