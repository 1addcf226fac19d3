// Copyright 2026 the multitask authors. MIT license.
// The two ways in which a pool and its workers know of each other's tasks.

import type { PoolOptions } from "../../pool/mod.ts";
import { deadline } from "@std/async";
import { liveResources } from "../../ipc/_live.ts";
import {
  assertNothingLive,
  isRunning,
  runDeno,
  type RunOptions,
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

/** The numbers below `count`. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** Runs a fixture of a pool as a program of its own. */
export function runProgram(
  name: string,
  { flags = ["-A"], args = [], ...options }: RunOptions = {},
): Promise<RunResult> {
  const path = decodeURIComponent(
    new URL(`./fixtures/${name}`, import.meta.url).pathname,
  );
  return runDeno([
    "run",
    "--quiet",
    "--no-prompt",
    "--no-check",
    ...flags,
    path,
    ...args,
  ], options);
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
