// Copyright 2026 the multitask authors. MIT license.

/** Objects that are shared between machines.
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
  RemoteObject,
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
export type { RemoteHoldOptions } from "./_remote_hold.ts";
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
} from "./remote_pool.ts";
export {
  type RemoteWorker,
  type RemoteWorkerStats,
  serveWorker,
  type ServeWorkerOptions,
  type WorkerTasks,
} from "./serve_worker.ts";
