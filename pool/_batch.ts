// Copyright 2026 the multitask authors. MIT license.
// What workers are given: tasks, or items of a map, several at a time.

import type { FunctionEntry } from "./_functions.ts";
import type { Task, TaskOutcome } from "./_task.ts";

/** Items of a map, in order, that the scheduler hands out. */
export interface ItemSource {
  readonly id: number;
  readonly fn: FunctionEntry;
  readonly priority: number;
  /** Whether an item is a list of arguments. */
  readonly isSpread: boolean;
  /** The longest run of each, in milliseconds. */
  readonly timeout: number | undefined;
  /** How many go in one batch; `undefined` for as many as fit. */
  readonly chunksize: number | undefined;
  /** How many wait to be handed out. */
  readonly waiting: number;
  /** Takes up to so many of them, which follow each other. */
  take(count: number): TakenItems;
  /** Some were not begun: they are next. */
  putBack(start: number, items: unknown[]): void;
  /**
   * Whether what is done has to be known one by one when a worker dies: not
   * where one failure is the end of all.
   */
  readonly isDurable: boolean;
  /** One is done; its result took so many bytes on its way. */
  settled(index: number, outcome: TaskOutcome, bytes?: number): void;
  /** Several that follow each other are done. */
  settledRun(index: number, values: unknown[]): void;
  /** Whether the one with this index may be run again. Counts. */
  mayRetry(index: number, retries: number): boolean;
  /** Whether it is in the queue. For the scheduler. */
  isQueued: boolean;
}

/** Items that follow each other. */
export interface TakenItems {
  /** The index of the first. */
  readonly start: number;
  readonly items: unknown[];
  readonly attempt: number;
  /** Since when they have waited. */
  readonly since: number;
}

/** What a worker has been given. */
export type Batch =
  & {
    readonly id: number;
    readonly slot: number;
    readonly fn: FunctionEntry;
    /** Those from here on were taken back. */
    end: number;
    /** Which are settled. */
    readonly settled: Uint8Array;
    readonly sentAt: number;
    /** When its worker began with what runs, at the earliest; since the epoch. */
    runsSince: number;
    /** Why nobody wants it any more. */
    givenUp: "timed out" | "aborted" | undefined;
    /** Stops the clock of the one that is timed. */
    stopClock: (() => void) | undefined;
    /** Keeps its worker, while it is about to be ended for this batch. */
    stopKill: (() => void) | undefined;
  }
  & (
    | { readonly kind: "calls"; readonly tasks: Task[] }
    | {
      readonly kind: "items";
      readonly source: ItemSource;
      readonly start: number;
      readonly items: unknown[];
    }
  );
