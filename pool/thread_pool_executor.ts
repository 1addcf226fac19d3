// Copyright 2026 the multitask authors. MIT license.

import { checkInteger } from "../ipc/_options.ts";
import { cpuCount } from "../process/current_process.ts";
import { Executor } from "./_executor.ts";
import {
  checkPoolOptions,
  type NeedsInitargs,
  type TaskPoolOptions,
} from "./_pool_options.ts";
import { TaskPool } from "./_task_pool.ts";
import { threadStarter, type ThreadWorkerOptions } from "./_thread_start.ts";

/**
 * Options of a {@linkcode ThreadPoolExecutor}.
 *
 * @typeParam I The parameters of the initializer.
 */
// deno-lint-ignore no-explicit-any -- where the initializer is not known.
export interface ThreadPoolExecutorOptions<I extends unknown[] = any[]>
  extends TaskPoolOptions<I>, ThreadWorkerOptions {
  /**
   * How many workers there are at most; they are started when they are needed.
   *
   * @default {cpuCount()}
   */
  maxWorkers?: number;
}

/**
 * Runs calls in worker threads and gives a future for each.
 *
 * Python: `concurrent.futures.ThreadPoolExecutor`, which has more threads than
 * there are cores by default, since they are for waiting there: here that is done
 * by `await`. Else it is as {@linkcode ProcessPoolExecutor}; what threads cannot
 * do is told at {@linkcode ThreadPool}.
 *
 * **Disposal**: `await using` shuts it down and waits, as a pool does.
 *
 * @typeParam I The parameters of the initializer.
 *
 * @example
 * ```ts
 * import { ThreadPoolExecutor } from "@multitask/std/pool";
 * import { assertEquals } from "@std/assert";
 *
 * await using executor = new ThreadPoolExecutor({ maxWorkers: 2 });
 * const future = executor.submit((a: number, b: number) => a + b, 1, 2);
 * assertEquals(await future.result(), 3);
 * ```
 */
export class ThreadPoolExecutor<I extends unknown[] = []> extends Executor {
  /**
   * Makes an executor; workers are started when they are needed.
   *
   * @throws {TypeError | RangeError} If an option is not as it has to be.
   * @throws {PermissionNeededError} If `permissions` needs a flag; names it.
   */
  constructor(
    options: ThreadPoolExecutorOptions<I> & NeedsInitargs<I> =
      // Without an initializer.
      {} as ThreadPoolExecutorOptions<I> & NeedsInitargs<I>,
  ) {
    const action = "create executor";
    const size = options.maxWorkers ?? cpuCount();
    checkInteger(action, "maxWorkers", size, 1);
    checkPoolOptions(action, options);
    const start = threadStarter(action, options);
    super(
      new TaskPool({
        noun: "executor",
        action,
        size,
        options,
        start,
        isLazy: true,
      }),
    );
  }
}
