// Copyright 2026 the multitask authors. MIT license.

/**
 * Pools of worker processes that run functions by naming them: Python's
 * `multiprocessing.Pool` and `concurrent.futures`, without their dead ends.
 *
 * ```ts
 * import { Pool } from "@multitask/std/pool";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new Pool(2);
 * assertEquals(await pool.map((x: number) => x * x, [1, 2, 3]), [1, 4, 9]);
 * ```
 *
 * @module
 */

export { asCompleted } from "./as_completed.ts";
export { AsyncResult } from "./async_result.ts";
export { Future } from "./future.ts";
export {
  Pool,
  type PoolApplyAsyncOptions,
  type PoolEventMap,
  type PoolImapOptions,
  type PoolMapAsyncOptions,
  type PoolMapOptions,
  type PoolOptions,
  type PoolProgress,
  type PoolStats,
  type PoolTaskOptions,
  type PoolWorkerStats,
} from "./pool.ts";
export {
  progressBar,
  type ProgressBarOptions,
  type ProgressBarOutput,
} from "./progress_bar.ts";
export {
  type ExecutorShutdownOptions,
  ProcessPoolExecutor,
  type ProcessPoolExecutorOptions,
} from "./process_pool_executor.ts";
export { type TaskContext, taskContext } from "./task_context.ts";
export {
  waitFutures,
  type WaitFuturesOptions,
  type WaitFuturesResult,
} from "./wait_futures.ts";
export type { Percentiles } from "./_stats.ts";
