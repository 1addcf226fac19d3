// Copyright 2026 the multitask authors. MIT license.

/**
 * Pools of workers that run functions by naming them: Python's
 * `multiprocessing.Pool`, its `ThreadPool` and `concurrent.futures`, without their
 * dead ends.
 *
 * ```ts
 * import { Pool } from "@multitask/std/pool";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new Pool(2);
 * assertEquals(await pool.map((x: number) => x * x, [1, 2, 3]), [1, 4, 9]);
 * ```
 *
 * The workers of a {@linkcode Pool} are processes: they can be killed, limited in
 * memory, and given fewer permissions. Those of a {@linkcode ThreadPool} are
 * threads, which start in less memory and cannot be killed; those of a
 * {@linkcode HybridPool} are threads in several processes. All have the same
 * methods.
 *
 * @module
 */

export { asCompleted } from "./as_completed.ts";
export { AsyncResult } from "./async_result.ts";
export { Future } from "./future.ts";
export { HybridPool, type HybridPoolOptions } from "./hybrid_pool.ts";
export { Pool, type PoolOptions } from "./pool.ts";
export { ThreadPool, type ThreadPoolOptions } from "./thread_pool.ts";
export {
  ThreadPoolExecutor,
  type ThreadPoolExecutorOptions,
} from "./thread_pool_executor.ts";
export type {
  CallRest,
  PoolApplyAsyncOptions,
  PoolImapOptions,
  PoolMapAsyncOptions,
  PoolMapOptions,
  PoolTaskOptions,
} from "./_task_options.ts";
export {
  progressBar,
  type ProgressBarOptions,
  type ProgressBarOutput,
} from "./progress_bar.ts";
export {
  ProcessPoolExecutor,
  type ProcessPoolExecutorOptions,
} from "./process_pool_executor.ts";
export { type TaskContext, taskContext } from "./task_context.ts";
export {
  waitFutures,
  type WaitFuturesOptions,
  type WaitFuturesResult,
} from "./wait_futures.ts";
export type {
  Executor,
  ExecutorShutdownOptions,
  IterablesOf,
} from "./_executor.ts";
export type { PoolEventMap } from "./_events.ts";
export type { NeedsInitargs, TaskPoolOptions } from "./_pool_options.ts";
export type { ProcessWorkerOptions } from "./_process_start.ts";
export type { ThreadWorkerOptions } from "./_thread_start.ts";
export type { PoolProgress } from "./_progress.ts";
export type { Percentiles, PoolStats, PoolWorkerStats } from "./_stats.ts";
export type { TaskName } from "./_task.ts";
export type { TaskResult } from "./_task_result.ts";
export type { TaskPool } from "./_task_pool.ts";
