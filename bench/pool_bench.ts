// Copyright 2026 the multitask authors. MIT license.

// Pools of two workers: tasks one by one and in a burst, a map of tiny tasks,
// large arguments, work that only computes, and an idle pool.

import { Pool } from "../pool/mod.ts";
import { cpuTime, familyOf, HAS_CPU_TIMES } from "./_cpu.ts";
import {
  type Absence,
  measure,
  type Measurement,
  medianOf,
  MILLISECONDS,
  PER_SECOND,
  printGoal,
  printRatio,
  printTable,
  readFlags,
  type Row,
  type SelfTimed,
  selfTimedFlagsHelp,
} from "./_measure.ts";
import { NODE_POOLS, NodePools } from "./_node.ts";
import { Peer } from "./_peer.ts";
import { pythonContender, PythonPeer } from "./_python.ts";
import { burn, noop, same, sizeOf } from "./fixtures/pool_tasks.ts";

const ROUNDS = 9;

/** Of the burst, which takes some of them ten seconds. */
const BURST_ROUNDS = 3;

const HELP = `Compares pools of two workers: ours of processes, Python's, and
those of npm on Node (piscina, tinypool and workerpool use threads, jest-worker
processes). The packages are installed into a temporary directory. "ratio" is to
the first row. It takes some minutes; the burst has ${BURST_ROUNDS} rounds if nothing else is
said.

Usage: deno run -A bench/pool_bench.ts [flags]

${selfTimedFlagsHelp(ROUNDS)}`;

const WORKERS = 2;

/** Tasks of a sample that are awaited one by one. */
const ONE_BY_ONE = 10_000;

/**
 * How long they run before the first sample, in milliseconds: a pool gets
 * quicker over the first 40 000 or so, while engines compile what runs.
 */
const ONE_BY_ONE_WARM_UP = 3000;

/** Tasks that are submitted before the first is awaited. */
const BURST = 100_000;

/** What of them ProcessPoolExecutor gets, which takes long. */
const EXECUTOR_BURST = BURST / 10;

/** Items of a map. */
const ITEMS = 1_000_000;

const LARGE = 2 ** 20;

/** Tasks of a sample that have a large argument. */
const LARGE_COUNT = 50;

/** Tasks that only compute, of a sample. */
const BURNS = 8 * WORKERS;

/** What is taken for equal, since two runs of the same differ. A guess. */
const EQUAL = 0.95;

const IDLE_MS = 2000;
const IDLE_ROUNDS = 3;

/** How long after the last task a pool counts as idle. A guess. */
const REST_MS = 1000;

const OURS = "Pool";
const PYTHON = "Python Pool";
const EXECUTOR = "Python ProcessPoolExecutor";
const PISCINA = "piscina";

if (import.meta.main) {
  const flags = readFlags(HELP);
  const options = { rounds: ROUNDS, ...flags };
  await using node = await NodePools.start();
  await using python = await PythonPeer.start("python_pools.py");
  await using pool = new Pool(WORKERS);

  const nodeRows = (command: string, args: number[]): (SelfTimed | Absence)[] =>
    NODE_POOLS.map((name) => node.contender(name, command, args, args[0]!));

  {
    const title = "one task in flight";
    const rows = await measure([
      pythonContender(PYTHON, python, `one apply ${ONE_BY_ONE}`, ONE_BY_ONE),
      pythonContender(EXECUTOR, python, `one submit ${ONE_BY_ONE}`, ONE_BY_ONE),
      timed(OURS, ONE_BY_ONE, async () => {
        for (let i = 0; i < ONE_BY_ONE; i++) await pool.apply(noop);
      }),
      ...nodeRows("one", [ONE_BY_ONE]),
    ], { progress: title, warmUpMs: ONE_BY_ONE_WARM_UP, ...options });
    printTable(`tasks per second: ${title}`, rows, PER_SECOND);
    printRatio(rows, OURS, PYTHON, 6);
    printRatio(rows, OURS, PISCINA, 2);
  }

  {
    const title = `a burst of ${BURST} tasks`;
    const rows = await measure([
      pythonContender(PYTHON, python, `burst apply ${BURST}`, BURST),
      pythonContender(
        EXECUTOR,
        python,
        `burst submit ${EXECUTOR_BURST}`,
        EXECUTOR_BURST,
      ),
      timed(OURS, BURST, async () => {
        const results = [];
        for (let i = 0; i < BURST; i++) {
          results.push(pool.applyAsync(noop).promise);
        }
        await Promise.all(results);
      }),
      ...nodeRows("burst", [BURST]),
    ], { progress: title, rounds: BURST_ROUNDS, ...flags });
    printTable(`tasks per second: ${title}`, rows, PER_SECOND);
    const best = quickest(rows, NODE_POOLS);
    if (best !== undefined) printRatio(rows, OURS, best, 5);
  }

  {
    const title = `map over ${ITEMS} integers`;
    const items = Array.from({ length: ITEMS }, (_, i) => i);
    const rows = await measure([
      pythonContender(PYTHON, python, `map ${ITEMS}`, ITEMS),
      timed(OURS, ITEMS, () => pool.map(same<number>, items)),
    ], { progress: title, ...options });
    printTable(`items per second: ${title}`, rows, PER_SECOND);
    printRatio(rows, OURS, PYTHON, 1);
  }

  for (const way of ["send", "swap"] as const) {
    const title = way === "send"
      ? "an argument of 1 MiB"
      : "an argument and a result of 1 MiB";
    const bytes = new Uint8Array(LARGE);
    const rows = await measure([
      pythonContender(
        PYTHON,
        python,
        `${way} ${LARGE_COUNT} ${LARGE}`,
        LARGE_COUNT,
      ),
      timed(OURS, LARGE_COUNT, async () => {
        for (let i = 0; i < LARGE_COUNT; i++) {
          if (way === "send") await pool.apply(sizeOf, [bytes]);
          else await pool.apply(same<Uint8Array>, [bytes]);
        }
      }),
      ...nodeRows(way, [LARGE_COUNT, LARGE]),
    ], { progress: title, ...options });
    printTable(`round trip: ${title}`, rows);
    printRatio(rows, OURS, PYTHON, 1);
  }

  await measureBurns(pool, options);
  await measureIdle(pool, python, node);
}

/** Work that only computes, by the pool and by bare processes. */
async function measureBurns(
  pool: Pool,
  options: { rounds: number },
): Promise<void> {
  await using children = new AsyncDisposableStack();
  const bare: Peer[] = [];
  for (let i = 0; i < WORKERS; i++) {
    const program = new URL("./fixtures/bare_burner.ts", import.meta.url);
    const child = await Peer.start(Deno.execPath(), [
      "run",
      "--no-lock",
      "--allow-all",
      program.href,
    ]);
    if (child === undefined) throw new Error("A bare process has said nothing");
    bare.push(children.use(child));
  }
  const seeds = Array.from({ length: BURNS }, (_, i) => i);
  const title = `${BURNS} tasks that only compute`;
  const alone = "one bare process";
  const together = `${WORKERS} bare processes`;
  const rows = await measure([
    timed(alone, 1, () => bare[0]!.time(`${BURNS}`)),
    timed(
      together,
      1,
      () => Promise.all(bare.map((child) => child.time(`${BURNS / WORKERS}`))),
    ),
    timed(OURS, 1, () => pool.map(burn, seeds)),
  ], { progress: title, ...options });
  printTable(title, rows, MILLISECONDS);
  const speedUp = (name: string) =>
    medianOf(rows, alone)! / medianOf(rows, name)!;
  printGoal(
    `speed-up of ${OURS} at least ${EQUAL} x that of ${together}`,
    `${speedUp(OURS).toFixed(2)} to ${speedUp(together).toFixed(2)}`,
    speedUp(OURS) >= EQUAL * speedUp(together),
  );
}

/** What pools use that have nothing to do. */
async function measureIdle(
  pool: Pool,
  python: PythonPeer | undefined,
  node: NodePools,
): Promise<void> {
  const title = `processor time of idle pools in ${IDLE_MS} ms`;
  if (!HAS_CPU_TIMES) {
    console.log(`\n${title}\n  skipped: this system does not tell it`);
    return;
  }
  const workers = `${OURS}, workers`;
  const parent = `${OURS}, parent`;
  const groups: [string, number[]][] = [
    [workers, pool.stats().workers.map(({ pid }) => pid)],
    [parent, [Deno.pid]],
  ];
  if (python !== undefined) {
    groups.push(["both of Python", familyOf(python.pid)]);
  }
  if (node.pid !== undefined) groups.push(["all on Node", familyOf(node.pid)]);

  console.error(title);
  await sleep(REST_MS);
  const samples = new Map<string, number[]>();
  for (let round = 0; round < IDLE_ROUNDS; round++) {
    const before = groups.map(([, pids]) => cpuTime(pids));
    await sleep(IDLE_MS);
    groups.forEach(([name, pids], i) => {
      const used = cpuTime(pids) - before[i]!;
      samples.set(name, [...samples.get(name) ?? [], used]);
    });
  }
  const rows = [...samples].map(([name, times]): Measurement => {
    times.sort((a, b) => a - b);
    const median = times[times.length >> 1]!;
    return { name, median, min: times[0]!, max: times.at(-1)! };
  });
  printTable(title, rows, MILLISECONDS);
  const used = medianOf(rows, workers)! + medianOf(rows, parent)!;
  printGoal(
    "an idle pool uses none",
    `${MILLISECONDS.of(used)} ms`,
    used === 0,
  );
}

/** A contender that is timed here. */
function timed(
  name: string,
  runs: number,
  work: () => Promise<unknown>,
): SelfTimed {
  return {
    name,
    time: async () => {
      const start = performance.now();
      await work();
      return (performance.now() - start) * 1000 / runs;
    },
  };
}

/** The one of these that takes the least time. */
function quickest(
  rows: readonly Row[],
  names: readonly string[],
): string | undefined {
  let best: string | undefined;
  for (const name of names) {
    const time = medianOf(rows, name);
    if (time === undefined) continue;
    if (best === undefined || time < medianOf(rows, best)!) best = name;
  }
  return best;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
