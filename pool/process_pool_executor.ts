// Copyright 2026 the multitask authors. MIT license.

import { checkInteger } from "../ipc/_options.ts";
import { cpuCount } from "../process/current_process.ts";
import { Executor } from "./_executor.ts";
import {
  checkPoolOptions,
  type NeedsInitargs,
  type TaskPoolOptions,
} from "./_pool_options.ts";
import { processStarter, type ProcessWorkerOptions } from "./_process_start.ts";
import { TaskPool } from "./_task_pool.ts";

/**
 * Options of a {@linkcode ProcessPoolExecutor}.
 *
 * @typeParam I The parameters of the initializer.
 */
// deno-lint-ignore no-explicit-any -- where the initializer is not known.
export interface ProcessPoolExecutorOptions<I extends unknown[] = any[]>
  extends TaskPoolOptions<I>, ProcessWorkerOptions {
  /**
   * How many workers there are at most; they are started when they are needed.
   *
   * @default {cpuCount()}
   */
  maxWorkers?: number;
}

/**
 * Runs calls in worker processes and gives a future for each.
 *
 * Python: `concurrent.futures.ProcessPoolExecutor`. The differences: a worker
 * that dies fails its own call and no other; `with(options)` gives calls a
 * `timeout`, a `signal` or a `priority`; the rest is as {@linkcode Pool} has it.
 *
 * **Disposal**: `await using` shuts it down and waits, as a `Pool` does.
 *
 * @typeParam I The parameters of the initializer.
 *
 * @example
 * ```ts
 * import { ProcessPoolExecutor } from "@multitask/std/pool";
 * import { assertEquals } from "@std/assert";
 *
 * await using executor = new ProcessPoolExecutor({ maxWorkers: 2 });
 * const future = executor.submit((a: number, b: number) => a + b, 1, 2);
 * assertEquals(await future.result(), 3);
 * ```
 */
export class ProcessPoolExecutor<I extends unknown[] = []> extends Executor {
  /**
   * Makes an executor; workers are started when they are needed.
   *
   * @throws {TypeError | RangeError} If an option is not as it has to be.
   */
  constructor(
    options: ProcessPoolExecutorOptions<I> & NeedsInitargs<I> =
      // Without an initializer.
      {} as ProcessPoolExecutorOptions<I> & NeedsInitargs<I>,
  ) {
    const action = "create executor";
    checkPoolOptions(action, options);
    const size = options.maxWorkers ?? cpuCount();
    checkInteger(action, "maxWorkers", size, 1);
    const start = processStarter(action, options);
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
