// Copyright 2026 the multitask authors. MIT license.
// What ran where and when, in the trace event format of Chrome.

interface Run {
  readonly worker: number;
  readonly name: string;
  readonly count: number;
  /** In milliseconds since the beginning. */
  readonly start: number;
  readonly ms: number;
}

/** The most entries; older ones are dropped. */
const MAX_RUNS = 200_000;

/** See the file comment. */
export class Trace {
  readonly #begin = performance.now();
  #runs: Run[] = [];

  /** So many tasks of a name have just run, for so long together. */
  add(worker: number, name: string, count: number, ms: number): void {
    const start = performance.now() - this.#begin - ms;
    this.#runs.push({ worker, name, count, start, ms });
    if (this.#runs.length > 2 * MAX_RUNS) {
      this.#runs = this.#runs.slice(-MAX_RUNS);
    }
  }

  async write(path: string | URL): Promise<void> {
    const workers = new Set(this.#runs.map(({ worker }) => worker));
    const events = [
      ...[...workers].map((tid) => ({
        name: "thread_name",
        ph: "M",
        pid: Deno.pid,
        tid,
        args: { name: `PoolWorker-${tid}` },
      })),
      ...this.#runs.map(({ worker, name, count, start, ms }) => ({
        name,
        ph: "X",
        pid: Deno.pid,
        tid: worker,
        // In microseconds.
        ts: Math.round(start * 1000),
        dur: Math.max(1, Math.round(ms * 1000)),
        args: { tasks: count },
      })),
    ];
    await Deno.writeTextFile(path, JSON.stringify({ traceEvents: events }));
  }
}
