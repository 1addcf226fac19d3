// Copyright 2026 the multitask authors. MIT license.

import { InvalidStateError } from "../ipc/errors.ts";

/** What a task of a pool can know, and tell, while it runs. */
export interface TaskContext {
  /** The name of its worker, for example `PoolWorker-1`. */
  readonly worker: string;
  /** The number of its worker, from 1. */
  readonly workerId: number;
  /** 1; 2 when it runs again because a worker was lost, and so on. */
  readonly attempt: number;
  /**
   * Aborted when the task is cancelled or its time is up: a task that stops by
   * itself then keeps its worker, others are ended with it.
   */
  readonly signal: AbortSignal;
  /**
   * Prints a text in the pool's process, line by line, each with the name of
   * the worker. Comes before the task's result.
   */
  log(...values: unknown[]): void;
  /**
   * Tells the pool how far it has come: listeners to `"progress"` get the value.
   */
  progress(value: unknown): void;
}

let current: TaskContext | undefined;

/** Tells who runs where several run at the same time. */
let source: (() => TaskContext | undefined) | undefined;

/** Says who tells who runs. For workers only. */
export function setTaskContextSource(
  get: () => TaskContext | undefined,
): void {
  source = get;
}

/** Sets who runs. For workers only. */
export function setTaskContext(context: TaskContext | undefined): void {
  current = context;
}

/**
 * What the running task can know of itself. For the task's own code and what
 * it calls; a worker runs one task at a time.
 *
 * Python has no counterpart.
 *
 * @throws {InvalidStateError} If no task of a pool runs here.
 *
 * @example
 * ```ts
 * import { Pool, taskContext } from "@multitask/std/pool";
 * import { assertEquals } from "@std/assert";
 *
 * export function whoRuns(): number {
 *   return taskContext().attempt;
 * }
 *
 * if (import.meta.main) {
 *   await using pool = new Pool(1);
 *   assertEquals(await pool.apply(whoRuns), 1);
 * }
 * ```
 */
export function taskContext(): TaskContext {
  const context = source?.() ?? current;
  if (context !== undefined) return context;
  throw new InvalidStateError(
    "Cannot get the task context: no task of a pool runs here",
  );
}
