// Copyright 2026 the multitask authors. MIT license.

import { checkInteger } from "../ipc/_options.ts";
import { cpuCount } from "../process/current_process.ts";
import {
  checkPoolOptions,
  type NeedsInitargs,
  type TaskPoolOptions,
} from "./_pool_options.ts";
import { processStarter, type ProcessWorkerOptions } from "./_process_start.ts";
import { TaskPool } from "./_task_pool.ts";

/**
 * Options of a {@linkcode Pool}.
 *
 * @typeParam I The parameters of the initializer.
 */
// deno-lint-ignore no-explicit-any -- where the initializer is not known.
export interface PoolOptions<I extends unknown[] = any[]>
  extends TaskPoolOptions<I>, ProcessWorkerOptions {
  /**
   * How many workers.
   *
   * @default {cpuCount()}
   */
  processes?: number;
}

/**
 * Worker processes that run tasks.
 *
 * Python: `multiprocessing.Pool`. The differences: a task whose worker dies
 * fails with an error that names it, and the others go on; functions are named,
 * not sent (see `Process`); items are read as they are needed; how many go to a
 * worker at a time follows from how long they take; a task can be given a
 * `timeout`, a `signal` and a `priority`.
 *
 * ```text
 * open --close--> closing --all is done--> ended
 *    \-------------terminate---------------/
 * ```
 *
 * **Ordering**: tasks begin in the order in which they were submitted, those with
 * a higher priority first. Results come as they are ready; `map`, `starmap` and
 * `imap` give them in the order of the items.
 *
 * **Program end**: tasks that are queued or run keep the program alive; idle
 * workers do not, and end with it.
 *
 * **Disposal**: `await using` closes the pool and waits until all is done, for
 * `disposeTimeout` at most; then it terminates it.
 *
 * @typeParam I The parameters of the initializer.
 *
 * @example
 * ```ts
 * import { Pool } from "@multitask/std/pool";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new Pool(2);
 * assertEquals(await pool.apply((a: number, b: number) => a + b, [1, 2]), 3);
 * assertEquals(await pool.map((x: number) => x * x, [1, 2, 3]), [1, 4, 9]);
 * ```
 */
export class Pool<I extends unknown[] = []> extends TaskPool {
  /**
   * Starts the workers.
   *
   * @param processes How many, or the options.
   * @throws {TypeError | RangeError} If an option is not as it has to be.
   * @throws {PermissionNeededError} If a permission is missing; names the flag.
   */
  constructor(processes?: number | PoolOptions<I> & NeedsInitargs<I>) {
    const action = "create pool";
    const options: PoolOptions<I> = typeof processes === "number"
      ? { processes }
      : processes === undefined
      ? {}
      : processes;
    checkPoolOptions(action, options);
    const size = options.processes ?? cpuCount();
    checkInteger(action, "processes", size, 1);
    super({
      noun: "pool",
      action,
      size,
      options,
      start: processStarter(action, options),
    });
  }
}
