// Copyright 2026 the multitask authors. MIT license.

/**
 * Work on several machines: managers that share queues, locks and objects, and
 * pools whose workers are elsewhere.
 *
 * ```ts
 * import { SyncManager } from "@multitask/std/distributed";
 * import { assertEquals } from "@std/assert";
 *
 * const authkey = "a long random secret";
 * await using manager = new SyncManager({ authkey });
 * await manager.start();
 *
 * // Mostly in another program, on another machine.
 * await using client = new SyncManager({ address: manager.address, authkey });
 * await client.connect();
 * const queue = await client.queue<string>();
 * await queue.put("A");
 * const lease = await queue.lease({ ttl: 10_000 });
 * assertEquals(lease.value, "A");
 * await lease.ack();
 * ```
 *
 * | you want to | take |
 * | --- | --- |
 * | share your own queues and objects by name | {@linkcode Manager}, with types {@linkcode defineManager} |
 * | make dicts, queues, locks and so on elsewhere | {@linkcode SyncManager} |
 * | lose no item when a worker dies | `lease` of a {@linkcode RemoteQueue} |
 * | run functions on other machines as a pool does | {@linkcode RemotePool} and {@linkcode serveWorker} |
 *
 * | Python | here |
 * | --- | --- |
 * | `BaseManager`, `register`, `start`, `connect`, `shutdown` | {@linkcode Manager}, the same names; `start` serves in this process |
 * | `SyncManager` | {@linkcode SyncManager} |
 * | `AutoProxy`, `QueueProxy`, `DictProxy`, ... | {@linkcode Remote}: the methods of the object, as promises |
 * | pickled code of whoever knows the key | nothing: only data crosses, and methods that are shared are called |
 *
 * ## What holds
 *
 * - Both sides prove that they know the key before anything is decoded. An address
 *   that other machines reach needs `tls`, or says `insecure`.
 * - A call that was under way when the connection broke rejects with
 *   `ConnectionClosedError`, and is not repeated. Later calls wait for the next
 *   connection, which is made by itself.
 * - Each side says all the time that it is there; who is silent for too long is
 *   gone. What it held is free, and its leases go to others.
 * - Whoever is hostile is refused, counted in `status()`, and holds up nobody.
 *
 * @module
 */

export { defineManager } from "./define_manager.ts";
export type {
  DefinedManager,
  DefinedManagerClass,
  ManagerBase,
  ManagerDefinitions,
} from "./define_manager.ts";
export { Lease } from "./lease.ts";
export {
  Manager,
  type ManagerOptions,
  type ManagerRegisterOptions,
  type ManagerTlsOptions,
} from "./manager.ts";
export type {
  Remote,
  RemoteHasMethods,
  RemoteKinds,
  RemoteName,
  RemoteObject,
  RemotePlain,
  RemoteRegistered,
  RemoteResult,
} from "./remote.ts";
export { RemoteBarrier } from "./remote_barrier.ts";
export { RemoteCondition } from "./remote_condition.ts";
export { type DictEntries, RemoteDict } from "./remote_dict.ts";
export { RemoteEvent } from "./remote_event.ts";
export { RemoteList } from "./remote_list.ts";
export { RemoteLock } from "./remote_lock.ts";
export type { RemoteLockGuard } from "./remote_lock_guard.ts";
export { RemoteNamespace } from "./remote_namespace.ts";
export { type QueueLeaseOptions, RemoteQueue } from "./remote_queue.ts";
export { RemoteSemaphore } from "./remote_semaphore.ts";
export { RemoteValue } from "./remote_value.ts";
export {
  SyncManager,
  type SyncManagerQueueOptions,
  type SyncManagerSemaphoreOptions,
} from "./sync_manager.ts";
export { RemoteBase } from "./_remote.ts";
export { RemoteHoldable, type RemoteHoldOptions } from "./_remote_hold.ts";
export type { DeadLetter } from "./_queue_servant.ts";
export type {
  ManagerGuestStatus,
  ManagerRefusals,
  ManagerStatus,
} from "./_server.ts";
export type {
  Engine,
  EngineCapabilities,
  EngineLease,
  EngineLock,
  EngineNews,
  EngineOutcome,
  EngineResult,
  EngineTask,
  EngineWorker,
} from "./engine.ts";
export { MemoryEngine } from "./memory_engine.ts";
export {
  RemotePool,
  type RemotePoolOptions,
  type RemotePoolStats,
  type RemoteTaskArgs,
  type RemoteTaskFunction,
  type RemoteTaskName,
  type RemoteTaskResult,
} from "./remote_pool.ts";
export {
  type RemoteWorker,
  type RemoteWorkerStats,
  serveWorker,
  type ServeWorkerOptions,
  type WorkerTasks,
} from "./serve_worker.ts";
