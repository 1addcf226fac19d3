// Copyright 2026 the multitask authors. MIT license.

import { checkInteger } from "../ipc/_options.ts";
import { cpuCount } from "../process/current_process.ts";
import {
  checkPoolOptions,
  type NeedsInitargs,
  type TaskPoolOptions,
} from "./_pool_options.ts";
import { TaskPool } from "./_task_pool.ts";
import { threadStarter, type ThreadWorkerOptions } from "./_thread_start.ts";

/**
 * Options of a {@linkcode ThreadPool}.
 *
 * @typeParam I The parameters of the initializer.
 */
// deno-lint-ignore no-explicit-any -- where the initializer is not known.
export interface ThreadPoolOptions<I extends unknown[] = any[]>
  extends TaskPoolOptions<I>, ThreadWorkerOptions {
  /**
   * How many workers.
   *
   * @default {cpuCount()}
   */
  threads?: number;
}

/**
 * Worker threads that run tasks.
 *
 * Python: `multiprocessing.pool.ThreadPool`. The differences: the threads use all
 * cores, since there is no interpreter lock; they share no variables; the rest is
 * as {@linkcode Pool} has it, whose methods it has.
 *
 * Against a `Pool` of processes: a worker takes less memory, and large arguments
 * and results need no way out of the process. But threads can neither be killed
 * nor limited:
 *
 * - A task that waits, for a promise or in a blocking form, can be ended: by its
 *   `signal`, its `timeout`, or `terminate`. One that is in a loop cannot: it
 *   fails with `WorkerLostError` a second later, another thread takes its place,
 *   and the loop goes on until the program ends.
 * - A task that uses up the memory ends the whole program.
 *
 * Send such tasks to a {@linkcode Pool}.
 *
 * @typeParam I The parameters of the initializer.
 *
 * @example
 * ```ts
 * import { ThreadPool } from "@multitask/std/pool";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new ThreadPool(2);
 * assertEquals(await pool.map((x: number) => x * x, [1, 2, 3]), [1, 4, 9]);
 * ```
 */
export class ThreadPool<I extends unknown[] = []> extends TaskPool {
  /**
   * Starts the workers.
   *
   * @param threads How many, or the options.
   * @throws {TypeError | RangeError} If an option is not as it has to be.
   * @throws {PermissionNeededError} If `permissions` needs a flag; names it.
   */
  constructor(threads?: number | ThreadPoolOptions<I> & NeedsInitargs<I>) {
    const action = "create thread pool";
    const options: ThreadPoolOptions<I> =
      typeof threads === "object" && threads !== null
        ? threads
        : threads === undefined
        ? {}
        : { threads };
    const size = options.threads ?? cpuCount();
    checkInteger(action, "threads", size, 1);
    checkPoolOptions(action, options);
    super({
      noun: "pool",
      action,
      size,
      options,
      start: threadStarter(action, options),
    });
  }
}
