// Copyright 2026 the multitask authors. MIT license.
// Options that all pools have, and their checks.

import { checkInteger, checkNonNegative, shown } from "../ipc/_options.ts";
import type { Target } from "../ipc/task_ref.ts";

/**
 * Options of any pool.
 *
 * @typeParam I The parameters of the initializer.
 */
// deno-lint-ignore no-explicit-any -- where the initializer is not known.
export interface TaskPoolOptions<I extends unknown[] = any[]> {
  /** Runs in each worker before its first task. If it fails, the pool does. */
  initializer?: Target<I, unknown>;
  /**
   * The arguments of the initializer.
   *
   * @default {[]}
   */
  initargs?: Readonly<NoInfer<I>>;
  /**
   * After so many tasks a worker ends, and another takes its place.
   *
   * @default {undefined} never
   */
  maxTasksPerChild?: number;
  /**
   * What becomes of a task whose worker ends while it runs: it fails with
   * `WorkerLostError`, or runs again.
   *
   * @default {"fail"}
   */
  onWorkerLost?: "fail" | "retry";
  /**
   * How often a task is run again, with `onWorkerLost: "retry"`.
   *
   * @default {1}
   */
  retries?: number;
  /**
   * The longest run, in milliseconds, of each task that has none of its own: of
   * `apply` and `applyAsync`. For the items of a map there is `itemTimeout`.
   */
  taskTimeout?: number;
  /**
   * How long a task may go on that was aborted or whose time is up, in
   * milliseconds: then it is ended with its worker.
   *
   * @default {500}
   */
  killGrace?: number;
  /**
   * How long a worker may take until its initializer is done, in milliseconds:
   * then it is ended. Three in a row that do not get ready break the pool.
   *
   * @default {60_000}
   */
  startTimeout?: number;
  /**
   * How long the disposal waits for tasks, in milliseconds, before it ends them.
   *
   * @default {60_000}
   */
  disposeTimeout?: number;
  /**
   * Whether runs are noted, to be written as a trace.
   *
   * @default {false}
   */
  trace?: boolean;
}

/** An initializer that needs arguments gets them. */
export type NeedsInitargs<I extends unknown[]> = [] extends I ? unknown
  : { initargs: Readonly<NoInfer<I>> };

/** Throws unless the options that all pools have are as they have to be. */
export function checkPoolOptions(
  action: string,
  options: TaskPoolOptions,
): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot ${action}: the options must be an object, received ${
        shown(options)
      }`,
    );
  }
  const { maxTasksPerChild, retries, initargs, onWorkerLost } = options;
  if (maxTasksPerChild !== undefined) {
    checkInteger(action, "maxTasksPerChild", maxTasksPerChild, 1);
  }
  if (retries !== undefined) checkInteger(action, "retries", retries, 0);
  const times = [
    "taskTimeout",
    "killGrace",
    "startTimeout",
    "disposeTimeout",
  ] as const;
  for (const name of times) {
    if (options[name] !== undefined) {
      checkNonNegative(action, name, options[name]);
    }
  }
  if (initargs !== undefined && !Array.isArray(initargs)) {
    throw new TypeError(
      `Cannot ${action}: "initargs" must be an array, received ${
        shown(initargs)
      }`,
    );
  }
  if (
    onWorkerLost !== undefined && onWorkerLost !== "fail" &&
    onWorkerLost !== "retry"
  ) {
    throw new TypeError(
      `Cannot ${action}: "onWorkerLost" must be "fail" or "retry", received ${
        shown(onWorkerLost)
      }`,
    );
  }
  checkBoolean(action, "trace", options.trace);
}

/** Throws unless an option is a boolean, if it is there. */
export function checkBoolean(
  action: string,
  name: string,
  value: unknown,
): void {
  if (value === undefined || typeof value === "boolean") return;
  throw new TypeError(
    `Cannot ${action}: "${name}" must be a boolean, received ${shown(value)}`,
  );
}
