// Copyright 2026 the multitask authors. MIT license.

/**
 * Communication between processes: queues, pipes, locks, events.
 *
 * ```ts
 * import { Lock, Queue } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new Queue<number>();
 * const lock = new Lock();
 * {
 *   using _guard = await lock.acquire();
 *   await queue.put(1);
 * }
 * assertEquals(await queue.get(), 1);
 * ```
 *
 * An object lives in the process that made it, its owner. Pass it in the `args`
 * of a `Process`, in items of a queue or messages of a pipe, as it is or
 * anywhere in a value: whoever gets it works on the same object. Operations
 * travel to the owner through the processes between, which are its ancestors
 * and theirs; when the owner ends, whoever waits gets an error that names it.
 *
 * | Python | here |
 * | --- | --- |
 * | `multiprocessing.Queue` | {@linkcode Queue}: `put` resolves when the queue has the item |
 * | `multiprocessing.Pipe` | {@linkcode Pipe} |
 * | `multiprocessing.Lock` | {@linkcode Lock}: freed when its holder dies |
 * | `multiprocessing.Event` | {@linkcode Event} |
 * | `multiprocessing.connection.wait` | {@linkcode wait} |
 *
 * What waits returns a promise. Its blocking form ends in `Sync`; it stops the
 * event loop and is for code in a child that has nothing else to do.
 *
 * @module
 */

export { Connection } from "./connection.ts";
export type {
  ConnectionRecvBytesOptions,
  ConnectionSendOptions,
} from "./connection.ts";
export * from "./errors.ts";
export { Event } from "./event.ts";
export { Lock, type LockGuard } from "./lock.ts";
export { Pipe, type PipeOptions } from "./pipe.ts";
export {
  Queue,
  type QueuePutOptions,
  type QueueShutdownOptions,
} from "./queue.ts";
export { type Target, type TaskRef, taskRef } from "./task_ref.ts";
export { wait } from "./wait.ts";
export { type Waitable, waitable } from "./_waitable.ts";
export type { WaitOptions, WaitSyncOptions } from "./_options.ts";
