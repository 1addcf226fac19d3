// Copyright 2026 the multitask authors. MIT license.

/**
 * Processes: functions that run in a Deno of their own.
 *
 * ```ts
 * import { Process } from "@multitask/std/process";
 * import { assertEquals } from "@std/assert";
 *
 * const process = new Process({
 *   target: (name: string) => `Hello from ${name} (${Deno.pid})`,
 *   args: ["a child"],
 * });
 * process.start();
 * assertEquals(await process.result, `Hello from a child (${process.pid})`);
 * await process.join();
 * ```
 *
 * | Python | here |
 * | --- | --- |
 * | `multiprocessing.Process` | {@linkcode Process} |
 * | `current_process()`, `parent_process()` | {@linkcode currentProcess}, {@linkcode parentProcess} |
 * | `active_children()`, `cpu_count()` | {@linkcode activeChildren}, {@linkcode cpuCount} |
 * | `os.getpid()`, `os.getppid()` | {@linkcode getpid}, {@linkcode getppid} |
 * | `os.fork()` | {@linkcode fork}, an emulation |
 *
 * @module
 */

export {
  activeChildren,
  cpuCount,
  type CurrentProcess,
  currentProcess,
  getpid,
  getppid,
  type ParentProcess,
  parentProcess,
} from "./current_process.ts";
export { fork, type ForkOptions } from "./fork.ts";
export {
  type PrewarmOptions,
  Process,
  type ProcessBaseOptions,
  type ProcessExit,
  type ProcessOptions,
  type ProcessSpawnOptions,
} from "./process.ts";
export type {
  PermissionGrant,
  PermissionMode,
  ProcessPermissions,
} from "./_permissions.ts";
export type { RuntimeOptions } from "./_runtime.ts";
export type { OutputMode } from "./_spawn.ts";
export { type Target, type TaskRef, taskRef } from "../ipc/task_ref.ts";
export type { WaitOptions } from "../ipc/_options.ts";
export type { Waitable } from "../ipc/_waitable.ts";
