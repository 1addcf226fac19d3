// Copyright 2026 the multitask authors. MIT license.

import { attachQueue, QueueBase } from "./_queue_base.ts";
import { QueueKind } from "./_queue_core.ts";
import { registerHandle, type SharedOptions } from "./_shared.ts";
import { HandleNumber } from "./_shared_object.ts";

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
export class LifoQueue<T = unknown> extends QueueBase<T> {
  static {
    registerHandle(
      HandleNumber.LifoQueue,
      this.prototype,
      () => new this(),
      attachQueue,
    );
  }

  /**
   * Makes a queue that belongs to this process.
   *
   * @param maxsize How many items fit before `put` waits; 0 is without a limit.
   * @throws {TypeError | RangeError} If `maxsize` is not an integer >= 0.
   */
  constructor(maxsize = 0, options: SharedOptions = {}) {
    super(
      { number: HandleNumber.LifoQueue, kind: QueueKind.Lifo },
      maxsize,
      options,
    );
  }
}
