// Copyright 2026 the multitask authors. MIT license.
// What ran where and when, in the trace event format of Chrome.

import { type RunTimes, sinceEpoch } from "./_protocol.ts";
import type { WorkerHandle } from "./_worker_handle.ts";

interface Run {
  /** Its number. */
  readonly worker: number;
  readonly name: string;
  readonly count: number;
  /** In milliseconds since the epoch. */
  readonly start: number;
  readonly ms: number;
  readonly outcome?: TraceOutcome;
}

/** What became of a task that did not end by itself. */
export type TraceOutcome = "lost" | "timed out" | "aborted";

/** The most entries; older ones are dropped. */
const MAX_RUNS = 200_000;

/** See the file comment. */
export class Trace {
  /** When the pool was made, since the epoch: times are counted from there. */
  readonly #begin = sinceEpoch(performance.now());
  readonly #workers = new Map<number, string>();
  #runs: Run[] = [];

  /** So many tasks of a name have run, one after the other. */
  add(
    worker: WorkerHandle,
    name: string,
    count: number,
    { start, spent: ms }: RunTimes,
  ): void {
    this.#push(worker, { worker: worker.id, name, count, start, ms });
  }

  /** One has ended with its worker; it had begun at this time. */
  addBroken(
    worker: WorkerHandle,
    name: string,
    start: number,
    outcome: TraceOutcome,
  ): void {
    const ms = Math.max(0, sinceEpoch(performance.now()) - start);
    const run = { worker: worker.id, name, count: 1, start, ms, outcome };
    this.#push(worker, run);
  }

  #push({ id, name }: WorkerHandle, run: Run): void {
    this.#workers.set(id, name);
    this.#runs.push(run);
    if (this.#runs.length > 2 * MAX_RUNS) {
      this.#runs = this.#runs.slice(-MAX_RUNS);
    }
  }

  async write(path: string | URL): Promise<void> {
    const events = [
      ...[...this.#workers].map(([id, name]) => ({
        name: "thread_name",
        ph: "M",
        pid: Deno.pid,
        tid: id,
        args: { name },
      })),
      ...this.#runs.map(({ worker, name, count, start, ms, outcome }) => ({
        name,
        ph: "X",
        pid: Deno.pid,
        tid: worker,
        // In microseconds.
        ts: Math.round((start - this.#begin) * 1000),
        dur: Math.max(1, Math.round(ms * 1000)),
        args: { tasks: count, ...outcome && { outcome } },
      })),
    ];
    await Deno.writeTextFile(
      path,
      JSON.stringify({
        traceEvents: events,
        otherData: { begin: this.#begin },
      }),
    );
  }
}
