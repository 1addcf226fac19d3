// Copyright 2026 the multitask authors. MIT license.
// Options of tasks and of maps, and their checks.

import { checkInteger, checkWait, shown } from "../ipc/_options.ts";
import type { PoolProgress } from "./_progress.ts";

/** Options of a single task. */
export interface PoolTaskOptions {
  /**
   * The longest run in milliseconds, from its begin: then the task fails with
   * `TimeoutError`, `taskContext().signal` is aborted, and if it goes on its
   * worker is ended.
   */
  timeout?: number;
  /**
   * Gives the task up: it fails with `signal.reason`; one that runs is ended as
   * at a time-out.
   */
  signal?: AbortSignal;
  /**
   * Tasks with a higher one begin first.
   *
   * @default {0}
   */
  priority?: number;
  /** Buffers in the arguments to move: they are empty here afterwards. */
  transfer?: readonly ArrayBuffer[];
}

/** Options of {@linkcode Pool.applyAsync}. */
export interface PoolApplyAsyncOptions<R> extends PoolTaskOptions {
  /** Called with the value. */
  callback?: (value: R) => void;
  /** Called with the error. */
  errorCallback?: (error: unknown) => void;
}

/** Options of {@linkcode Pool.map} and its relatives. */
export interface PoolMapOptions {
  /**
   * How many items a worker gets at a time. Without it that follows from how
   * long they take.
   */
  chunksize?: number;
  /** Gives all of it up: what has not begun never does. */
  signal?: AbortSignal;
  /** The longest time for all items, in milliseconds. */
  timeout?: number;
  /**
   * Items of a map with a higher one begin first.
   *
   * @default {0}
   */
  priority?: number;
  /**
   * Called a few times a second while results come, and when all are there; not
   * when there are no items, and not any more when the map is given up.
   */
  onProgress?: (progress: PoolProgress) => void;
}

/** Options of {@linkcode Pool.mapAsync} and its relatives. */
export interface PoolMapAsyncOptions<R> extends PoolMapOptions {
  /** Called with the values. */
  callback?: (values: R[]) => void;
  /** Called with the error. */
  errorCallback?: (error: unknown) => void;
}

/** Options of {@linkcode Pool.imap} and its relatives. */
export interface PoolImapOptions {
  /**
   * How many items a worker gets at a time. Without it that follows from how
   * long they take.
   */
  chunksize?: number;
  /**
   * How many items may be between being read and being taken by the consumer.
   * Without it that follows from how long they take.
   */
  buffer?: number;
  /** Ends it: the iterator throws `signal.reason`. */
  signal?: AbortSignal;
}

export function checkTaskOptions(
  action: string,
  options: PoolTaskOptions,
): void {
  checkWait(action, options);
  const { priority, transfer } = options;
  if (priority !== undefined && !Number.isFinite(priority)) {
    throw new TypeError(
      `Cannot ${action}: "priority" must be a finite number, received ${
        shown(priority)
      }`,
    );
  }
  if (transfer !== undefined && !Array.isArray(transfer)) {
    throw new TypeError(
      `Cannot ${action}: "transfer" must be an array, received ${
        shown(transfer)
      }`,
    );
  }
}

export function checkMapOptions(
  action: string,
  options: PoolMapOptions & PoolImapOptions,
): void {
  checkTaskOptions(action, options);
  for (const name of ["chunksize", "buffer"] as const) {
    if (options[name] !== undefined) {
      checkInteger(action, name, options[name], 1);
    }
  }
}

export function isAsync(
  items: Iterable<unknown> | AsyncIterable<unknown>,
): items is AsyncIterable<unknown> {
  return typeof items === "object" && Symbol.asyncIterator in items;
}

export function checkItems(action: string, items: unknown): void {
  const isIterable = typeof items === "string" ||
    (typeof items === "object" && items !== null &&
      (Symbol.iterator in items || Symbol.asyncIterator in items));
  if (!isIterable) {
    throw new TypeError(
      `Cannot ${action}: the items must be iterable, received ${shown(items)}`,
    );
  }
}
