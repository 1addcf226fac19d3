// Copyright 2026 the multitask authors. MIT license.
// How a pool starts workers that are processes.

import { checkInteger } from "../ipc/_options.ts";
import { callerFiles } from "../ipc/_task.ts";
import { checkGuarded } from "../ipc/_unguarded.ts";
import type { PermissionMode } from "../process/_permissions.ts";
import { type SpawnPlan, spawnPlan } from "../process/_plan.ts";
import type { RuntimeOptions } from "../process/_runtime.ts";
import { ProcessWorker } from "./_process_worker.ts";
import type { StartWorker } from "./_worker_handle.ts";

const MIB = 2 ** 20;

/** Options of workers that are processes. */
export interface ProcessWorkerOptions {
  /**
   * What the workers may do; never more than this process.
   *
   * @default {"inherit"}
   */
  permissions?: PermissionMode;
  /**
   * How much memory a worker's heap may take, in bytes: more ends it, and its
   * task fails.
   *
   * @default {undefined} what the engine allows
   */
  memoryLimit?: number;
  /** How the Deno of each worker is started. */
  runtime?: RuntimeOptions;
}

/** How processes for workers are started. */
export interface ProcessStart {
  /** Works out anew how: permissions may have been given up since. */
  plan(): SpawnPlan;
  /** Where the main process has started processes. */
  readonly startedAt: readonly string[];
}

/** Checks the options; gives how processes are started. */
export function processStart(
  action: string,
  options: ProcessWorkerOptions,
): ProcessStart {
  const { permissions = "inherit", memoryLimit } = options;
  if (memoryLimit !== undefined) {
    checkInteger(action, "memoryLimit", memoryLimit, MIB);
  }
  const startedAt = checkGuarded(action);
  const [file] = callerFiles();
  const runtime = withMemoryLimit(options);
  return {
    plan: () =>
      spawnPlan(action, { permissions, stderr: "piped", runtime }, file),
    startedAt,
  };
}

/** Checks the options; gives what starts a worker. */
export function processStarter(
  action: string,
  options: ProcessWorkerOptions,
): StartWorker {
  const { plan, startedAt } = processStart(action, options);
  return (id, events) => new ProcessWorker(id, plan(), startedAt, events);
}

function withMemoryLimit(
  { runtime = {}, memoryLimit }: ProcessWorkerOptions,
): RuntimeOptions {
  if (memoryLimit === undefined) return runtime;
  const flag = `--max-old-space-size=${Math.ceil(memoryLimit / MIB)}`;
  return { ...runtime, v8Flags: [...runtime.v8Flags ?? [], flag] };
}
