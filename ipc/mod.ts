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
 * | `multiprocessing.connection.Listener`, `Client` | {@linkcode Listener}, {@linkcode Client}: between programs, also over a network |
 * | `multiprocessing.connection.wait` | {@linkcode wait} |
 *
 * What waits returns a promise. Its blocking form ends in `Sync`; it stops the
 * event loop and is for code in a child that has nothing else to do.
 *
 * @module
 */

export { Barrier, type BarrierOptions } from "./barrier.ts";
export { BoundedSemaphore } from "./bounded_semaphore.ts";
export { Client, type ClientOptions } from "./client.ts";
export { Condition } from "./condition.ts";
export { Connection } from "./connection.ts";
export type {
  ConnectionRecvBytesOptions,
  ConnectionSendOptions,
} from "./connection.ts";
export * from "./errors.ts";
export { Event } from "./event.ts";
export { JoinableQueue } from "./joinable_queue.ts";
export { LifoQueue } from "./lifo_queue.ts";
export { Listener, type ListenerOptions } from "./listener.ts";
export { Lock, type LockGuard } from "./lock.ts";
export { Pipe, type PipeOptions } from "./pipe.ts";
export { PriorityQueue } from "./priority_queue.ts";
export {
  Queue,
  type QueuePutOptions,
  type QueueShutdownOptions,
} from "./queue.ts";
export { RLock, type RLockAcquireOptions } from "./rlock.ts";
export { Semaphore, type SemaphoreOptions } from "./semaphore.ts";
export {
  type ShareableFormat,
  type ShareableItem,
  ShareableList,
  type ShareableListOptions,
  type ShareableValue,
} from "./shareable_list.ts";
export { SharedArray } from "./shared_array.ts";
export { SharedMemory, type SharedMemoryOptions } from "./shared_memory.ts";
export { SimpleQueue } from "./simple_queue.ts";
export { type Target, type TaskRef, taskRef } from "./task_ref.ts";
export { Value } from "./value.ts";
export { wait } from "./wait.ts";
export { type Waitable, waitable } from "./_waitable.ts";
export type { ListenerAddress, TcpAddress, UnixAddress } from "./_address.ts";
export type { Home } from "./_homes.ts";
export type { ClientTlsOptions, ListenerTlsOptions } from "./_network.ts";
export type { NumberOf, NumberType, TypedArrayOf } from "./_number_types.ts";
export type { WaitOptions, WaitSyncOptions } from "./_options.ts";
export type { PeerOptions } from "./_peer.ts";
export type { SharedOptions } from "./_shared.ts";
