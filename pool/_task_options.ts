// Copyright 2026 the multitask authors. MIT license.
// Options of tasks and of maps, and their checks.

import {
  checkInteger,
  checkNonNegative,
  checkWait,
  shown,
} from "../ipc/_options.ts";
import { checkCallback } from "./_call_back.ts";
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

/**
 * What follows the function of a call: its arguments, which may be left out
 * where it needs none, and options.
 */
export type CallRest<A extends unknown[], O> = [] extends A
  ? [args?: A, options?: O]
  : [args: A, options?: O];

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
   * The longest run of each item, in milliseconds: then it fails with
   * `TimeoutError`, and is stopped as a task is. Such items go to the workers
   * one by one, whatever `chunksize` says, so that very short ones take longer.
   */
  itemTimeout?: number;
  /**
   * Items of a map with a higher one begin first.
   *
   * @default {0}
   */
  priority?: number;
  /**
   * Called when the first result comes, then a few times a second, also while
   * an item takes long, and when all are there; not when there are no items, and
   * not any more when the map is given up.
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
  /**
   * The longest run of each item, in milliseconds: then it fails with
   * `TimeoutError`, and is stopped as a task is. Such items go to the workers
   * one by one, whatever `chunksize` says, so that very short ones take longer.
   */
  itemTimeout?: number;
  /**
   * Items with a higher one begin first.
   *
   * @default {0}
   */
  priority?: number;
  /** Ends it: the iterator throws `signal.reason`. */
  signal?: AbortSignal;
}

export function checkTaskOptions(
  action: string,
  options: PoolApplyAsyncOptions<never> & { onProgress?: unknown },
): void {
  checkWait(action, options);
  for (const name of ["callback", "errorCallback", "onProgress"] as const) {
    if (options[name] !== undefined) checkCallback(action, name, options[name]);
  }
  const { priority, transfer } = options;
  if (priority !== undefined && !Number.isFinite(priority)) {
    throw new TypeError(
      `Cannot ${action}: "priority" must be a finite number, received ${
        shown(priority)
      }`,
    );
  }
  if (
    transfer !== undefined &&
    !(Array.isArray(transfer) &&
      transfer.every((buffer) => buffer instanceof ArrayBuffer))
  ) {
    throw new TypeError(
      `Cannot ${action}: "transfer" must be an array of ArrayBuffers, received ${
        shown(transfer)
      }`,
    );
  }
}

export function checkMapOptions(
  action: string,
  options: PoolMapAsyncOptions<never> & PoolImapOptions,
): void {
  checkTaskOptions(action, options);
  if (options.itemTimeout !== undefined) {
    checkNonNegative(action, "itemTimeout", options.itemTimeout);
  }
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
