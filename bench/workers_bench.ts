// Copyright 2026 the multitask authors. MIT license.

// The same jobs by one thread, by threads, by processes, and by both: which of
// them is for what, and what a worker costs.

import { HybridPool, Pool, ThreadPool } from "../pool/mod.ts";
import { familyOf, HAS_CPU_TIMES } from "./_cpu.ts";
import {
  measure,
  medianOf,
  MILLISECONDS,
  PER_SECOND,
  printRatio,
  printTable,
  readFlags,
  selfTimedFlagsHelp,
} from "./_measure.ts";
import { NODE_POOLS, NodePools } from "./_node.ts";
import { burn, noop, pause, same } from "./fixtures/pool_tasks.ts";

const ROUNDS = 9;

const HELP =
  `Compares one thread, ThreadPool(2), Pool(2) and HybridPool({ processes: 1,
threads: 2 }) by the same jobs: work that computes, work that waits, one task in
flight, a burst, megabytes. The pools of npm on Node (piscina, tinypool and
workerpool use threads, jest-worker processes) are in the same run. "ratio" is to
the first row. Then, what a worker of each kind takes of the memory.

Usage: deno run -A bench/workers_bench.ts [flags]

${selfTimedFlagsHelp(ROUNDS)}`;

const WORKERS = 2;

/** Tasks that only compute. */
const BURNS = 8 * WORKERS;

/** Tasks that only wait, and how long each, in milliseconds. */
const PAUSES = 200;
const PAUSE_MS = 10;

/**
 * Tasks of a sample that are awaited one by one: so many that the engine has
 * compiled what runs.
 */
const ONE_BY_ONE = 10_000;

/** Tasks that are submitted before the first is awaited. */
const BURST = 100_000;

const LARGE = 2 ** 20;
const LARGE_COUNT = 30;

/** Workers that are started to see what one costs. */
const CROWD = 8;

const THREADS = "ThreadPool";
const BARE = "bare worker, postMessage";

type AnyPool = Pool | ThreadPool | HybridPool;

if (import.meta.main) {
  const options = { rounds: ROUNDS, ...readFlags(HELP) };
  await using node = await NodePools.start();
  await using threads = new ThreadPool(WORKERS);
  await using processes = new Pool(WORKERS);
  await using hybrid = new HybridPool({ processes: 1, threads: WORKERS });
  const pools: Record<string, AnyPool> = {
    [THREADS]: threads,
    "Pool": processes,
    "HybridPool": hybrid,
  };
  const each = (count: number, run: (pool: AnyPool) => Promise<unknown>) =>
    Object.entries(pools).map(([name, pool]) =>
      timed(name, count, () => run(pool))
    );
  const nodeRows = (command: string, args: number[]) =>
    NODE_POOLS.map((name) => node.contender(name, command, args, args[0]!));

  {
    const title = `${BURNS} tasks that compute`;
    const seeds = Array.from({ length: BURNS }, (_, i) => i);
    const rows = await measure([
      timed("one thread", 1, () => Promise.resolve(seeds.map(burn))),
      ...each(1, (pool) => pool.map(burn, seeds)),
    ], { progress: title, ...options });
    printTable(title, rows, MILLISECONDS);
  }
  {
    const title = `${PAUSES} tasks that wait ${PAUSE_MS} ms each`;
    const times = new Array<number>(PAUSES).fill(PAUSE_MS);
    const rows = await measure([
      timed("one thread, await", 1, () => Promise.all(times.map(pause))),
      ...each(1, (pool) => pool.map(pause, times, { chunksize: 1 })),
    ], { progress: title, ...options });
    printTable(title, rows, MILLISECONDS);
  }
  {
    const title = "one task in flight";
    using bare = bareWorker();
    const rows = await measure([
      ...each(ONE_BY_ONE, async (pool) => {
        for (let i = 0; i < ONE_BY_ONE; i++) await pool.apply(noop);
      }),
      bare,
      ...nodeRows("one", [ONE_BY_ONE]),
    ], { progress: title, ...options });
    printTable(`tasks per second: ${title}`, rows, PER_SECOND);
    printRatio(rows, THREADS, BARE, 1);
    printRatio(rows, THREADS, "piscina", 2);
  }
  {
    const title = `a burst of ${BURST} tasks`;
    const rows = await measure([
      ...each(BURST, async (pool) => {
        const results = [];
        for (let i = 0; i < BURST; i++) {
          results.push(pool.applyAsync(noop).promise);
        }
        await Promise.all(results);
      }),
      ...nodeRows("burst", [BURST]),
    ], { progress: title, ...options, rounds: 3 });
    printTable(`tasks per second: ${title}`, rows, PER_SECOND);
    let best: string | undefined;
    for (const name of NODE_POOLS) {
      const micros = medianOf(rows, name);
      if (micros === undefined) continue;
      if (best === undefined || micros < medianOf(rows, best)!) best = name;
    }
    if (best !== undefined) printRatio(rows, THREADS, best, 5);
  }
  {
    const title = "an argument and a result of 1 MiB";
    const bytes = new Uint8Array(LARGE);
    const rows = await measure(
      each(LARGE_COUNT, async (pool) => {
        for (let i = 0; i < LARGE_COUNT; i++) {
          await pool.apply(same<Uint8Array>, [bytes]);
        }
      }),
      { progress: title, ...options },
    );
    printTable(title, rows, MILLISECONDS);
  }
  if (HAS_CPU_TIMES) await printMemory();
}

function timed(name: string, count: number, run: () => Promise<unknown>) {
  return {
    name,
    time: async () => {
      const start = performance.now();
      await run();
      return (performance.now() - start) * 1000 / count;
    },
  };
}

/** What a pool of threads cannot be quicker than by messages. */
function bareWorker() {
  const worker = new Worker(
    new URL("./fixtures/echo_worker.ts", import.meta.url),
    { type: "module" },
  );
  const row = timed(BARE, ONE_BY_ONE, async () => {
    for (let i = 0; i < ONE_BY_ONE; i++) {
      await new Promise((resolve) => {
        worker.onmessage = resolve;
        worker.postMessage(i);
      });
    }
  });
  return { ...row, [Symbol.dispose]: () => worker.terminate() };
}

/** What each of some workers adds to the memory that is really used. */
async function printMemory(): Promise<void> {
  console.log(`\nmemory of one of ${CROWD} workers (PSS, Linux)`);
  const crowds: Record<string, () => AnyPool> = {
    "ThreadPool": () => new ThreadPool(CROWD),
    "Pool": () => new Pool(CROWD),
    "HybridPool": () =>
      new HybridPool({ processes: CROWD / 4, threads: CROWD / 2 }),
  };
  for (const [name, make] of Object.entries(crowds)) {
    const before = used();
    await using pool = make();
    await pool.map(pause, new Array<number>(4 * CROWD).fill(50), {
      chunksize: 1,
    });
    const each = (used() - before) / CROWD / 2 ** 20;
    console.log(`  ${name.padEnd(12)} ${each.toFixed(1)} MiB`);
  }
}

/** Bytes of this process and those below it, what they share counted once. */
function used(): number {
  let kib = 0;
  for (const pid of familyOf(Deno.pid)) {
    const text = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
    kib += Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0);
  }
  return kib * 1024;
}
