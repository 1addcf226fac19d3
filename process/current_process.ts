// Copyright 2026 the multitask authors. MIT license.

import { type Process, processes } from "./process.ts";
import { hub } from "../ipc/_hub.ts";
import { self } from "../ipc/_self.ts";

/** The process that asks. */
export interface CurrentProcess {
  /** Its name; `MainProcess` for the one that no other started. */
  readonly name: string;
  /** Its process id. */
  readonly pid: number;
  /** Whether it ends with its parent's program. */
  readonly daemon: boolean;
  /** Aborted when the parent calls `interrupt()`. */
  readonly signal: AbortSignal;
}

/** The process that started this one with this package. */
export interface ParentProcess {
  /** Its name. */
  readonly name: string;
  /** Its process id. */
  readonly pid: number;
  /** Whether it lives. This process ends soon after it has ended. */
  isAlive(): boolean;
}

/**
 * The process that asks. Python: `multiprocessing.current_process`.
 *
 * @example
 * ```ts
 * import { currentProcess } from "@multitask/std/process";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(currentProcess().name, "MainProcess");
 * ```
 */
export function currentProcess(): CurrentProcess {
  return Object.freeze({
    name: self.name,
    pid: Deno.pid,
    daemon: self.daemon,
    signal: self.interrupted.signal,
  });
}

/**
 * The process that started this one; `null` in the main process. Python:
 * `multiprocessing.parent_process`.
 */
export function parentProcess(): ParentProcess | null {
  const { parent } = self;
  if (parent === undefined) return null;
  return Object.freeze({
    ...parent,
    isAlive: () => hub.parent?.channel.closed === false,
  });
}

/**
 * The children of this process that live, in the order of their start. Python:
 * `multiprocessing.active_children`, which also reaps; here that needs no call.
 */
export function activeChildren(): Process[] {
  return [...processes.values()];
}

/**
 * How many processors the machine has. Python: `multiprocessing.cpu_count`.
 *
 * @example
 * ```ts
 * import { cpuCount } from "@multitask/std/process";
 * import { assert } from "@std/assert";
 *
 * assert(cpuCount() >= 1);
 * ```
 */
export function cpuCount(): number {
  return navigator.hardwareConcurrency;
}

/** The id of this process. Python: `os.getpid`. */
export function getpid(): number {
  return Deno.pid;
}

/** The id of the parent process, whoever that is. Python: `os.getppid`. */
export function getppid(): number {
  return Deno.ppid;
}
