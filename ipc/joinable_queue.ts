// Copyright 2026 the multitask authors. MIT license.

import {
  checkWait,
  type WaitOptions,
  type WaitSyncOptions,
} from "./_options.ts";
import { QueueKind, QueueOp } from "./_queue_core.ts";
import { checkOpen } from "./_shared.ts";
import { HandleNumber } from "./_shared_object.ts";
import { TimeoutError } from "./errors.ts";
import { defineQueue, Queue, referenceOf } from "./queue.ts";

/**
 * A {@linkcode Queue} that knows which items are done: whoever gets an item
 * calls `taskDone` when it has worked it off, and `join` waits for all.
 *
 * Python: `multiprocessing.JoinableQueue`; `join` takes a time-out and a signal
 * here. `shutdown({ immediate: true })` counts the dropped items as done.
 *
 * **Cancel safety**: an aborted or timed-out `join` leaves nothing behind.
 *
 * @typeParam T The items: anything structured clone carries, and handles.
 *
 * @example
 * ```ts
 * import { JoinableQueue } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new JoinableQueue<string>();
 * await queue.put("A");
 * const joined = queue.join();
 * assertEquals(await queue.get(), "A");
 * queue.taskDone();
 * await joined;
 * ```
 */
export class JoinableQueue<T = unknown> extends Queue<T> {
  static {
    defineQueue(this, {
      number: HandleNumber.JoinableQueue,
      kind: QueueKind.Fifo,
      joinable: true,
    });
  }

  /**
   * Says that an item that was got is done. Needs no `await`.
   *
   * @throws {InvalidStateError} If it is called more often than items were put:
   * where the queue is out of reach at the next awaited call.
   */
  taskDone(): void {
    checkOpen(referenceOf(this), "mark a task as done");
    referenceOf(this).cast(QueueOp.TaskDone);
  }

  /**
   * Waits until every item that was put is done.
   *
   * @throws {TimeoutError} If they were not in time.
   */
  async join(options?: WaitOptions): Promise<void> {
    const { timeout, signal } = checkWait("join", options);
    checkOpen(referenceOf(this), "join the queue");
    const done = await referenceOf(this).call(QueueOp.Join, {
      timeout,
      signal,
    });
    if (done === undefined) throw this.#late(timeout);
  }

  /** The blocking form of {@linkcode JoinableQueue.join}. */
  joinSync(options?: WaitSyncOptions): void {
    const { timeout } = checkWait("join", options);
    checkOpen(referenceOf(this), "join the queue");
    const done = referenceOf(this).callSync(QueueOp.Join, { timeout });
    if (done === undefined) throw this.#late(timeout);
  }

  #late(timeout: number | undefined): TimeoutError {
    return new TimeoutError(
      `Cannot join the queue: items were not done in ${timeout} ms`,
    );
  }
}
