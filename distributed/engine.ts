// Copyright 2026 the multitask authors. MIT license.

import type { WaitOptions } from "../ipc/_options.ts";

/**
 * A task as an engine keeps it: a name, and lists of arguments with which it is
 * called one after the other.
 */
export interface EngineTask {
  /** Chosen by who submits it: the same task twice is the same task. */
  readonly id: string;
  /** Which handler of a worker runs it. */
  readonly name: string;
  /** The arguments of each call. */
  readonly calls: readonly (readonly unknown[])[];
  /** Those with a higher one are leased first. */
  readonly priority: number;
  /** How long it may run, in milliseconds. */
  readonly timeout: number | undefined;
  /** How often it may be tried. */
  readonly maxAttempts: number;
}

/** A task that a worker has got. */
export interface EngineLease {
  /** The task's. */
  readonly id: string;
  /** The task's. */
  readonly name: string;
  /** The task's. */
  readonly calls: readonly (readonly unknown[])[];
  /** Which attempt this is, from 1. */
  readonly attempt: number;
  /** Greater than that of all leases before. */
  readonly fence: number;
}

/** What came of a call. */
export type EngineResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown };

/** What came of a task, as those who watch are told. */
export interface EngineOutcome {
  /** Rises with each outcome of an owner. */
  readonly sequence: number;
  /** The task's. */
  readonly id: string;
  /** Of each call; or of the task as a whole, which then failed. */
  readonly results: readonly EngineResult[] | { readonly error: unknown };
}

/** A worker, as it says of itself. */
export interface EngineWorker {
  /** What it is called; one of each name. */
  readonly name: string;
  /** The names of tasks that it runs. */
  readonly tasks: readonly string[];
  /** How many tasks it runs at the same time. */
  readonly concurrency: number;
}

/** What those who watch learn. */
export interface EngineNews {
  /** Which engine tells. */
  readonly engine: string;
  /** What has come since. */
  readonly outcomes: readonly EngineOutcome[];
  /** How many tasks wait, of all owners. */
  readonly queued: number;
  /** How many tasks are leased, of all owners. */
  readonly running: number;
  /** Who is there. */
  readonly workers: readonly EngineWorker[];
}

/** A lock that an engine has given. */
export interface EngineLock {
  /** Greater than that of all holders before. */
  readonly fence: number;
  /** Has it last so long from now on, in milliseconds. */
  extend(ttl: number): Promise<void>;
  /** Gives it back. */
  release(): Promise<void>;
}

/** What an engine can do. */
export interface EngineCapabilities {
  /** Whether tasks outlive the engine's process. */
  readonly durable: boolean;
  /** Whether several machines keep them. */
  readonly clustered: boolean;
  /** Whether tasks have priorities. */
  readonly priorities: boolean;
  /** Whether a task that runs can be cancelled. */
  readonly cancelRunning: boolean;
}

/** What the engine of a manager can do. */
export const MEMORY_CAPABILITIES: EngineCapabilities = Object.freeze({
  durable: false,
  clustered: false,
  priorities: true,
  cancelRunning: true,
});

/**
 * What keeps tasks and hands them to workers: what a `RemotePool` and
 * `serveWorker` stand on. Each manager has one, in memory.
 *
 * ```text
 * queued --lease--> leased(fence) --complete, fence is right--> settled
 *    ^                 |--lease over, or failed: tried again----.
 *    `-----------------|----------------------------------------'
 *                      `--the same, and it was the last attempt--> settled
 * queued --cancel--> settled
 * ```
 *
 * Each task is settled once: what comes with a stale fence is refused with
 * `LeaseLostError`. Outcomes are kept until whoever watches says that it has them.
 */
export interface Engine {
  /** What it can do. */
  readonly capabilities: EngineCapabilities;
  /**
   * Takes tasks, of an owner; those that it has already are left alone.
   *
   * @returns Which engine has them: another one has them not.
   */
  enqueue(owner: string, tasks: readonly EngineTask[]): Promise<string>;
  /**
   * Gives a worker a task; waits for one.
   *
   * @returns `undefined` when there was none in time.
   */
  lease(
    worker: EngineWorker,
    options?: WaitOptions & { ttl?: number | undefined },
  ): Promise<EngineLease | undefined>;
  /** Has a lease last so long from now on, in milliseconds. */
  extend(id: string, fence: number, ttl: number): Promise<void>;
  /** Says what came of the calls of a task. */
  complete(
    id: string,
    fence: number,
    results: readonly EngineResult[],
  ): Promise<void>;
  /** Says that a task was not done, so that another worker gets it. */
  fail(id: string, fence: number, error: unknown): Promise<void>;
  /** Gives up tasks of an owner; gives those that had not begun. */
  cancel(owner: string, ids: readonly string[]): Promise<readonly string[]>;
  /**
   * Tells which tasks of a worker were given up while they run; waits for some.
   */
  cancelled(
    worker: string,
    options?: WaitOptions,
  ): Promise<readonly { readonly id: string; readonly fence: number }[]>;
  /**
   * Tells what came of the tasks of an owner; waits for something, or for
   * `timeout`.
   *
   * @param after The sequence up to which the owner has the outcomes: they are
   * forgotten.
   */
  watch(
    owner: string,
    after: number,
    options?: WaitOptions,
  ): Promise<EngineNews>;
  /** Forgets an owner, with its tasks. */
  forget(owner: string): Promise<void>;
  /** Says that a worker takes no more. */
  leave(worker: string): Promise<void>;
  /**
   * Takes the lock of a name; waits for it.
   *
   * @returns `undefined` when it was not free in time.
   */
  lock(
    name: string,
    options: WaitOptions & { ttl: number },
  ): Promise<EngineLock | undefined>;
}
