// Copyright 2026 the multitask authors. MIT license.

import { hub } from "./_hub.ts";
import type { Packet } from "./_packet.ts";
import { KEY_LENGTH_BYTES } from "./_priority_heap.ts";
import { priorityKey } from "./_priority_key.ts";
import { QueueKind } from "./_queue_core.ts";
import { HandleNumber } from "./_shared_object.ts";
import { defineQueue, Queue } from "./queue.ts";

/** The key goes before the value, so that nobody has to decode it. */
function pack(
  item: unknown,
  transfer: readonly ArrayBuffer[] | undefined,
): Packet {
  const key = priorityKey(item);
  const { bytes, refs } = hub.pack(item, "item", transfer, true);
  const keyed = new Uint8Array(KEY_LENGTH_BYTES + key.length + bytes.length);
  new DataView(keyed.buffer).setUint32(0, key.length, true);
  keyed.set(key, KEY_LENGTH_BYTES);
  keyed.set(bytes, KEY_LENGTH_BYTES + key.length);
  return { bytes: keyed, refs };
}

function unpack({ bytes, refs }: Packet): unknown {
  const { buffer, byteOffset } = bytes;
  const length = new DataView(buffer, byteOffset).getUint32(0, true);
  return hub.unpack({ bytes: bytes.subarray(KEY_LENGTH_BYTES + length), refs });
}

/**
 * A queue for threads and processes that gives the lowest item first.
 *
 * Python: `queue.PriorityQueue`, which threads of one process share only. An
 * item is a number, bigint, string, boolean, `Date` or `Uint8Array`, or an
 * array that begins with some: `[priority, item]`. Arrays are compared element
 * by element, up to the first that has no order; items that are equal so far
 * leave in the order in which they came, where Python fails to compare them.
 *
 * @typeParam T The items.
 *
 * @example
 * ```ts
 * import { PriorityQueue } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new PriorityQueue<[number, string]>();
 * await queue.put([2, "later"]);
 * await queue.put([1, "first"]);
 * await queue.put([1, "second"]);
 * assertEquals(await queue.get(), [1, "first"]);
 * assertEquals(await queue.get(), [1, "second"]);
 * ```
 */
export class PriorityQueue<T = unknown> extends Queue<T> {
  static {
    defineQueue(this, {
      number: HandleNumber.PriorityQueue,
      kind: QueueKind.Priority,
      pack,
      unpack,
    });
  }
}
