// Copyright 2026 the multitask authors. MIT license.

import { attachQueue, QueueBase } from "./_queue_base.ts";
import { QueueKind } from "./_queue_core.ts";
import { registerHandle, type SharedOptions } from "./_shared.ts";
import { HandleNumber } from "./_shared_object.ts";

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
 * takes its item back unless somebody has got it already.
 *
 * @typeParam T The items: anything structured clone carries, and handles.
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
export class Queue<T = unknown> extends QueueBase<T> {
  static {
    registerHandle(
      HandleNumber.Queue,
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
      { number: HandleNumber.Queue, kind: QueueKind.Fifo },
      maxsize,
      options,
    );
  }
}
