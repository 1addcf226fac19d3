// Copyright 2026 the multitask authors. MIT license.
// The kinds of pools, and the two ways in which a pool and its workers know of
// each other's tasks.
//
// The tests of processes are run with the others, too: a module is imported once
// more with the kind behind its name, as in "./pool_test.ts?thread".

import {
  HybridPool,
  Pool,
  type PoolOptions,
  ThreadPool,
} from "../../pool/mod.ts";
import { deadline } from "@std/async";
import { cpuCount } from "../../process/mod.ts";
import { liveResources } from "../../ipc/_live.ts";
import {
  assertNothingLive,
  isRunning,
  type RunOptions,
  runProgram as runFixture,
  type RunResult,
  until,
} from "../process/_run.ts";

/** Far more than a test takes, even on a busy machine. */
const TEST_BOUND = 15_000;

/** A way, and the options that lead to it. */
export interface Way {
  readonly name: string;
  readonly options: Pick<PoolOptions, "permissions">;
}

/** Everything but what maps memory. */
const NO_FFI = {
  read: true,
  write: true,
  net: true,
  env: true,
  sys: true,
  run: true,
} as const;

/** Memory that both reach; or messages only. */
export const WAYS: readonly Way[] = [
  { name: "over mapped memory", options: {} },
  { name: "over the hub", options: { permissions: NO_FFI } },
];

/** What the workers of a pool are. */
export type Kind = "process" | "thread" | "hybrid";

/** Threads, asked for as if they were processes. */
// deno-lint-ignore no-explicit-any -- whatever its initializer takes.
class ThreadsAsPool extends ThreadPool<any[]> {
  constructor(options?: number | PoolOptions) {
    const { processes, permissions: _, runtime: __, ...rest } =
      typeof options === "object" ? options : { processes: options };
    super({
      ...rest,
      ...(processes === undefined ? {} : { threads: processes }),
    });
  }
}

/** Threads of one process, asked for as if they were processes. */
// deno-lint-ignore no-explicit-any -- whatever its initializer takes.
class HybridAsPool extends HybridPool<any[]> {
  constructor(options?: number | PoolOptions) {
    const { processes, ...rest } = typeof options === "object"
      ? options
      : { processes: options };
    super({ ...rest, processes: 1, threads: processes ?? cpuCount() });
  }
}

const POOLS: Record<
  Kind,
  new (options?: number | PoolOptions) => Pool | ThreadPool | HybridPool
> = { process: Pool, thread: ThreadsAsPool, hybrid: HybridAsPool };

/** The kind of pools that a module of tests is run with, by its URL. */
export function suiteOf(url: string) {
  // Whoever imports it names a kind.
  const kind = (new URL(url).search.slice(1) || "process") as Kind;
  const suffix = kind === "process" ? "" : ` (${kind})`;
  const test: typeof poolTest = (name, ...rest) =>
    poolTest(`${name}${suffix}`, ...rest);
  return {
    kind,
    /** Made as pools of processes are. */
    Pool: POOLS[kind],
    poolTest: test,
    /** Of what only processes are, or can be done to: not run with threads. */
    processTest: (kind === "process" ? test : () => {}) as typeof poolTest,
    /** Of programs, which make their pools themselves. */
    programTest: (name: string, test: () => Promise<void>): void => {
      if (kind === "process") Deno.test(name, test);
    },
    /** Threads share memory in any case. */
    WAYS: kind === "thread"
      ? [{ name: "over shared memory", options: {} }]
      : WAYS,
  };
}

/** The numbers below `count`. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** Runs a fixture of a pool as a program of its own. */
export function runProgram(
  name: string,
  options?: RunOptions,
): Promise<RunResult> {
  return runFixture(new URL(`./fixtures/${name}`, import.meta.url), options);
}

/** A test with pools: bounded, and nothing is left afterwards. */
export function poolTest(
  name: string,
  test: () => Promise<void>,
  bound: number = TEST_BOUND,
): void {
  Deno.test(name, async () => {
    try {
      await deadline(test(), bound);
      await assertNothingLive();
    } catch (error) {
      // The tests behind it shall not suffer from this one.
      await endWhatIsLeft().catch(() => {});
      throw error;
    }
  });
}

async function endWhatIsLeft(): Promise<void> {
  const pids = liveResources().flatMap((what) =>
    /^process (\d+)$/.exec(what)?.[1] ?? []
  ).map(Number);
  for (const pid of pids) {
    if (isRunning(pid)) Deno.kill(pid, "SIGKILL");
  }
  await until(() => liveResources().length === 0, "Resources are left");
}
