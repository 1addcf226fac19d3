// Copyright 2026 the multitask authors. MIT license.

import { checkInteger } from "../ipc/_options.ts";
import { cpuCount } from "../process/current_process.ts";
import { Hosts } from "./_hybrid_worker.ts";
import {
  checkPoolOptions,
  type NeedsInitargs,
  type TaskPoolOptions,
} from "./_pool_options.ts";
import { processStart, type ProcessWorkerOptions } from "./_process_start.ts";
import { TaskPool } from "./_task_pool.ts";

/**
 * Options of a {@linkcode HybridPool}.
 *
 * @typeParam I The parameters of the initializer.
 */
// deno-lint-ignore no-explicit-any -- where the initializer is not known.
export interface HybridPoolOptions<I extends unknown[] = any[]>
  extends TaskPoolOptions<I>, ProcessWorkerOptions {
  /**
   * How many processes.
   *
   * @default {cpuCount()}
   */
  processes?: number;
  /**
   * How many threads each of them has.
   *
   * @default {2}
   */
  threads?: number;
}

const THREADS = 2;

/**
 * Worker threads in several processes, with one queue over all of them.
 *
 * Python has none; it is what the mixed mode of servers such as Apache's is. The
 * methods are those of {@linkcode Pool}.
 *
 * A process that ends takes the tasks of its own threads along, and no others;
 * another one takes its place. Threads of one process share what its memory
 * costs, so that many workers which mostly wait are cheaper than in a `Pool`; and
 * what goes wrong stays in its process, which it does not in a `ThreadPool`. A
 * task in a loop that nothing can end is ended with its process after a few
 * seconds.
 *
 * The workers read the modules of this package and of the tasks, so that
 * `permissions` must let them.
 *
 * @typeParam I The parameters of the initializer.
 *
 * @example
 * ```ts
 * import { HybridPool } from "@multitask/std/pool";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new HybridPool({ processes: 1, threads: 2 });
 * assertEquals(await pool.map((x: number) => x * x, [1, 2, 3]), [1, 4, 9]);
 * ```
 */
export class HybridPool<I extends unknown[] = []> extends TaskPool {
  /**
   * Starts the workers.
   *
   * @throws {TypeError | RangeError} If an option is not as it has to be.
   * @throws {PermissionNeededError} If a permission is missing; names the flag.
   */
  constructor(
    options: HybridPoolOptions<I> & NeedsInitargs<I> =
      // Without an initializer.
      {} as HybridPoolOptions<I> & NeedsInitargs<I>,
  ) {
    const action = "create hybrid pool";
    if (typeof options !== "object" || options === null) {
      throw new TypeError(
        `Cannot ${action}: the options must be an object such as { processes: 2, threads: 2 }`,
      );
    }
    const { processes = cpuCount(), threads = THREADS } = options;
    checkInteger(action, "processes", processes, 1);
    checkInteger(action, "threads", threads, 1);
    checkPoolOptions(action, options);
    const hosts = new Hosts(processStart(action, options), threads);
    super({
      noun: "pool",
      action,
      size: processes * threads,
      options,
      start: (id, events) => hosts.start(id, events),
      ended: () => hosts.close(),
    });
  }
}
