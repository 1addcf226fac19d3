// Copyright 2026 the multitask authors. MIT license.
// Counts and times of a pool.

import type { RunTimes } from "./_protocol.ts";

/** How many of the latest times are kept. */
const KEPT = 1000;

/** Times in milliseconds: of the latest thousand. */
export interface Percentiles {
  /** How many there were in all. */
  readonly count: number;
  /** Half of them took no longer. */
  readonly p50: number;
  /** Nine in ten. */
  readonly p90: number;
  /** Ninety-nine in a hundred. */
  readonly p99: number;
  /** The longest. */
  readonly max: number;
}

/** What a worker has done. */
export interface PoolWorkerStats {
  /** What it is called, for example `PoolWorker-1`. */
  readonly name: string;
  /** Its process id. */
  readonly pid: number;
  /** Tasks that it was given. */
  readonly tasks: number;
  /** How long its tasks ran, in milliseconds. */
  readonly run: Percentiles;
  /** How long they had waited before, in milliseconds. */
  readonly wait: Percentiles;
}

/** Counts of a pool. */
export interface PoolStats {
  /** Tasks and items that wait. */
  readonly queued: number;
  /** Those that run. */
  readonly running: number;
  /** Those that gave a value. */
  readonly done: number;
  /** Those that failed. */
  readonly failed: number;
  /** Those whose worker ended while they ran. */
  readonly lost: number;
  /** The workers that there are at this moment. */
  readonly workers: readonly PoolWorkerStats[];
}

/** Counts of tasks. */
export class PoolCounts {
  done = 0;
  failed = 0;
  lost = 0;
}

/** The latest values of something that is measured. */
class Latest {
  readonly #values: number[] = [];
  #next = 0;
  #count = 0;

  add(value: number, times = 1): void {
    this.#count += times;
    for (let i = Math.min(times, KEPT); i > 0; i--) {
      this.#values[this.#next] = value;
      this.#next = (this.#next + 1) % KEPT;
    }
  }

  get percentiles(): Percentiles {
    const sorted = [...this.#values].sort((a, b) => a - b);
    const at = (share: number) =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ??
        0;
    return {
      count: this.#count,
      p50: at(0.5),
      p90: at(0.9),
      p99: at(0.99),
      max: sorted.at(-1) ?? 0,
    };
  }
}

/** How long tasks of a worker waited and ran. */
export class WorkerTimes {
  readonly #run = new Latest();
  readonly #wait = new Latest();

  /** So many tasks took so long together, and the longest of them so long. */
  ran(count: number, { spent, longest }: RunTimes): void {
    this.#run.add((spent - longest) / (count - 1), count - 1);
    this.#run.add(longest);
  }

  /** So many had waited so long. */
  waited(ms: number, count = 1): void {
    this.#wait.add(ms, count);
  }

  get run(): Percentiles {
    return this.#run.percentiles;
  }

  get wait(): Percentiles {
    return this.#wait.percentiles;
  }
}
