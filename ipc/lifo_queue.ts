// Copyright 2026 the multitask authors. MIT license.

import { QueueKind } from "./_queue_core.ts";
import { HandleNumber } from "./_shared_object.ts";
import { defineQueue, Queue } from "./queue.ts";

/**
 * A stack for threads and processes: the item that came last leaves first.
 *
 * Python: `queue.LifoQueue`, which threads of one process share only. Else it
 * is as {@linkcode Queue} is.
 *
 * @typeParam T The items: anything structured clone carries, and handles.
 *
 * @example
 * ```ts
 * import { LifoQueue } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new LifoQueue<string>();
 * await queue.put("A");
 * await queue.put("B");
 * assertEquals([await queue.get(), await queue.get()], ["B", "A"]);
 * ```
 */
export class LifoQueue<T = unknown> extends Queue<T> {
  static {
    defineQueue(this, {
      number: HandleNumber.LifoQueue,
      kind: QueueKind.Lifo,
    });
  }
}
