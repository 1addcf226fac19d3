// Copyright 2026 the multitask authors. MIT license.

import { QueueKind } from "./_queue_core.ts";
import type { SharedOptions } from "./_shared.ts";
import { HandleNumber } from "./_shared_object.ts";
import { defineQueue, Queue } from "./queue.ts";

/**
 * A {@linkcode Queue} without a limit: `put` never waits.
 *
 * Python: `multiprocessing.SimpleQueue`, whose `put` blocks when the pipe under
 * it is full; here it has the other methods of a queue as well.
 *
 * @typeParam T The items: anything structured clone carries, and handles.
 *
 * @example
 * ```ts
 * import { SimpleQueue } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new SimpleQueue<number>();
 * await queue.put(1);
 * assertEquals(await queue.get(), 1);
 * assertEquals(queue.empty, true);
 * ```
 */
export class SimpleQueue<T = unknown> extends Queue<T> {
  static {
    defineQueue(this, {
      number: HandleNumber.SimpleQueue,
      kind: QueueKind.Fifo,
    });
  }

  /** Makes a queue that belongs to this process. */
  constructor(options: SharedOptions = {}) {
    super(0, options);
  }
}
