// Copyright 2026 the multitask authors. MIT license.

/**
 * Communication between threads, processes and machines: queues, pipes, locks,
 * shared values and memory, message connections.
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
 * ## Which one, when
 *
 * | you want to | take |
 * | --- | --- |
 * | hand work or results to others | {@linkcode Queue}; with `maxsize` for back-pressure |
 * | know when all of it is done | {@linkcode JoinableQueue} |
 * | take the most urgent, or the newest, first | {@linkcode PriorityQueue}, {@linkcode LifoQueue} |
 * | talk with one other process | {@linkcode Pipe} |
 * | talk with another program or machine | {@linkcode Listener} and {@linkcode Client} |
 * | let one in at a time | {@linkcode Lock}; {@linkcode RLock} where a holder comes again |
 * | let `n` in at a time | {@linkcode BoundedSemaphore}; {@linkcode Semaphore} to count or to signal |
 * | wait until something has happened, once for all | {@linkcode Event} |
 * | wait until a state is as you need it | {@linkcode Condition} |
 * | start the next round together | {@linkcode Barrier} |
 * | count, or share a number | {@linkcode Value} |
 * | share many numbers, or bytes | {@linkcode SharedArray}, {@linkcode SharedMemory}, {@linkcode ShareableList} |
 * | wait for the first of several | {@linkcode wait} |
 *
 * ## Where an object lives, and what it costs
 *
 * An object belongs to the process that made it, its owner. Pass it in the
 * `args` of a `Process`, in items of a queue or messages of a pipe, as it is or
 * anywhere in a value: whoever gets it works on the same object, with the same
 * methods. When the owner ends, whoever waits gets a
 * {@linkcode ProcessExitError} that names it.
 *
 * | home | reached directly by | others |
 * | --- | --- | --- |
 * | `"mapped"`: memory that the processes of the program map. The default where `--allow-ffi` is granted whole (Linux) | every process and thread with `--allow-ffi` | through the owner |
 * | `"shared"`: a `SharedArrayBuffer`. The default elsewhere | the threads of the owner's process | through the owner |
 *
 * Directly an operation that does not wait is a few changes of memory, well
 * under a microsecond; a wake-up in another process takes some ten. Through the
 * owner it is a message there and back, some forty microseconds, or a few of
 * them where many are under way at once. `bench/` has the figures.
 *
 * What one process does to objects of one home, all see in that order. Between an
 * object in mapped memory and one that is reached through its owner there is no
 * order: a message to the owner may arrive after a change of memory that was made
 * later.
 *
 * A lock, a permit of a bounded semaphore and an item of a queue survive whoever
 * had them in hand: what a dead process held is free again, and the next holder
 * sees `guard.abandoned`.
 *
 * What waits returns a promise. Its blocking form ends in `Sync`; it stops the
 * event loop and is for code in a thread or child that has nothing else to do.
 *
 * ## Coming from Python
 *
 * | Python | here |
 * | --- | --- |
 * | `multiprocessing.Queue`, `JoinableQueue`, `SimpleQueue` | the same names; `put` resolves when the queue has the item, `size` is exact, `shutdown` as in 3.13 |
 * | `queue.LifoQueue`, `PriorityQueue` | the same names, for processes as well; ties keep their order |
 * | `multiprocessing.Pipe`, `Connection` | {@linkcode Pipe}, {@linkcode Connection} |
 * | `multiprocessing.connection.Listener`, `Client`, `wait` | the same names; a stranger never ends `accept` |
 * | `Lock`, `RLock`, `Semaphore`, `BoundedSemaphore` | the same names; `acquire` gives a guard for `using`; freed when the holder dies |
 * | `Condition`, `Event`, `Barrier` | the same names |
 * | `Value`, `Array` | {@linkcode Value} with atomic `add`, {@linkcode SharedArray} with a typed `view` |
 * | `shared_memory.SharedMemory`, `ShareableList` | the same names, without a resource tracker |
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
