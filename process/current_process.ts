// Copyright 2026 the multitask authors. MIT license.

import { type Process, processes } from "./process.ts";
import { hub } from "../ipc/_hub.ts";
import { checkWait, type WaitOptions } from "../ipc/_options.ts";
import { self } from "../ipc/_self.ts";
import { waitFor } from "../ipc/_waiting.ts";

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
  /**
   * Waits for its end: `true`, or `false` when the `timeout` was over first. A
   * child ends with its parent, at once where the system sees to it: what stands
   * behind a wait without a limit runs rarely, and not for long.
   *
   * @throws {TypeError | RangeError} If an option is not as it has to be.
   */
  join(options?: WaitOptions): Promise<boolean>;
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
 *
 * @example
 * ```ts
 * import { parentProcess } from "@multitask/std/process";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parentProcess(), null);
 * ```
 */
export function parentProcess(): ParentProcess | null {
  const { parent } = self;
  if (parent === undefined) return null;
  // A thread learns nothing of it: it goes down with its process.
  const isAlive = () => self.isThread || hub.parent?.channel.closed === false;
  return Object.freeze({
    ...parent,
    isAlive,
    join: async (options?: WaitOptions) => {
      const wait = checkWait("join the parent process", options);
      wait.signal?.throwIfAborted();
      if (!isAlive()) return true;
      return await waitFor<true>(
        wait,
        ({ resolve }) => self.watchParent?.(() => resolve(true)) ?? (() => {}),
      ) ?? false;
    },
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
