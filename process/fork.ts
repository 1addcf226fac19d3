// Copyright 2026 the multitask authors. MIT license.

import { hub } from "../ipc/_hub.ts";
import { checkWait, type WaitOptions } from "../ipc/_options.ts";
import { isPseudoModule } from "../ipc/_task.ts";
import { startTimer } from "../ipc/_timer.ts";
import {
  InvalidStateError,
  ProcessExitError,
  TimeoutError,
} from "../ipc/errors.ts";
import type { Child } from "./_child.ts";
import { endAll } from "./_end_of_program.ts";
import { FORK_ENTRY } from "./_entries.ts";
import type { PermissionMode } from "./_permissions.ts";
import { spawnPlan } from "./_plan.ts";
import { earlierCalls, recordCall, replayCall } from "./_replay.ts";
import { moduleArgument, type RuntimeOptions } from "./_runtime.ts";
import type { ExitStatus } from "./_spawn.ts";
import { self } from "../ipc/_self.ts";
import { adoptChild, nextIdentity } from "./process.ts";

/** Options of {@linkcode fork}. */
export interface ForkOptions extends WaitOptions {
  /**
   * How the child's Deno is started: the flags of this program cannot be read
   * back. A program that runs with `--import-map` or `--unstable-kv` has to say
   * so here.
   *
   * @default {{}}
   */
  runtime?: RuntimeOptions;
  /**
   * What the child may do; never more than this process.
   *
   * @default {"inherit"}
   */
  permissions?: PermissionMode;
  /**
   * Environment variables to add to this process's own.
   *
   * @default {{}}
   */
  env?: Readonly<Record<string, string>>;
}

/** How long a child may take to reach the call again, in milliseconds. */
const DEFAULT_TIMEOUT = 30_000;

/**
 * Starts a child that goes on from this call: resolves to the child's pid in
 * the parent and to 0 in the child.
 *
 * Python: `os.fork`, emulated. A real `fork(2)` copies one thread of a process
 * with all its memory; a JavaScript runtime is many threads (event loop,
 * compiler, garbage collector, I/O), of which only the calling one would live
 * on in the child, with locks held by the others. So the child is a new
 * process that runs the same main module again, with the same arguments, up to
 * this call:
 *
 * - Variables are computed again, not copied: what depends on time, random
 *   numbers, files or input may come out differently. Queues and locks made
 *   before the call are new ones: pass them to a {@linkcode Process} instead.
 * - What the main module does before the call happens again (files written,
 *   requests sent), except for output on the console and stdout, which is
 *   silent, and for processes, pools and commands of this package, which are
 *   not started; what they would have given is `undefined`, or an empty list.
 * - Earlier calls give in the child what they gave in the parent. The main
 *   module must come by the same calls in the same order.
 *
 * The parent waits for the child at its normal end, as for any process;
 * `activeChildren()` has it.
 *
 * **Cancel safety**: when the wait is aborted or runs out of time, the child is
 * ended.
 *
 * @param options How the child is started, and how long it may take to reach
 * the call: 30 seconds if nothing is said.
 * @throws {InvalidStateError} In a worker, in a task of another process, and
 * where there is no main module that could run again (`deno test`, `deno eval`).
 * @throws {TypeError | RangeError} If an option is not as it has to be.
 * @throws {PermissionNeededError} If a permission is missing; names the flag.
 * @throws {ProcessExitError} If the child ended before it reached the call.
 * @throws {TimeoutError} If the child did not reach the call in time.
 *
 * @example
 * ```ts ignore
 * import { fork, getpid, getppid } from "@multitask/std/process";
 *
 * const pid = await fork();
 * if (pid === 0) console.log(`I am child process (${getpid()}) of ${getppid()}.`);
 * else console.log(`I (${getpid()}) just created a child process (${pid}).`);
 * ```
 */
export async function fork(options: ForkOptions = {}): Promise<number> {
  const { timeout = DEFAULT_TIMEOUT, signal } = checkWait("fork", options);
  const { runtime, permissions, env } = options;
  checkPlace();
  signal?.throwIfAborted();
  if (self.replaying) return await replayCall();
  const forks = earlierCalls();
  const plan = spawnPlan(
    "fork",
    {
      ...(runtime === undefined ? {} : { runtime }),
      ...(permissions === undefined ? {} : { permissions }),
      ...(env === undefined ? {} : { env }),
    },
    undefined,
    {
      first: [FORK_ENTRY],
      main: [moduleArgument(Deno.mainModule), ...Deno.args],
    },
  );
  const identity = nextIdentity();
  const name = `Process-${identity}`;
  const child = plan.spawn(name, "nothing");
  const failed = recordCall(child.pid);
  const reached = Promise.withResolvers<void>();
  adoptChild(child, reached.resolve);
  child.connected.then(() =>
    child.send({
      type: "replay",
      self: {
        name,
        identity,
        daemon: false,
        parent: { name: self.name, pid: Deno.pid },
        startedAt: [],
      },
      forks,
    })
  );
  try {
    await arrival(child, reached.promise, timeout, signal);
  } catch (error) {
    failed();
    throw error;
  }
  return child.pid;
}

async function arrival(
  child: Child,
  reached: Promise<void>,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  let stopTimer: (() => void) | undefined;
  let onAbort: (() => void) | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      reached.then(resolve);
      child.ended.then((status) => reject(unreached(child, status)));
      stopTimer = startTimer(() =>
        reject(
          new TimeoutError(
            `Cannot fork: the child (pid ${child.pid}) ran the main module again and did not reach this call in ${timeout} ms`,
          ),
        ), timeout);
      onAbort = () => reject(signal!.reason);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  } catch (error) {
    await endAll([child], 0);
    throw error;
  } finally {
    stopTimer?.();
    if (onAbort) signal?.removeEventListener("abort", onAbort);
  }
}

function unreached(
  child: Child,
  { exitCode, signal }: ExitStatus,
): ProcessExitError {
  const how = signal === null
    ? `ended with exit code ${exitCode}`
    : `was ended by ${signal}`;
  return new ProcessExitError(
    `Cannot fork: the child (pid ${child.pid}) ran the main module again and ${how} before it reached this call. Its stderr may say why: flags of this program that it does not know of (import map, unstable features; see the options "runtime", "permissions" and "env"), an error in the main module, or other calls of fork() before this one than in this run`,
    { process: child.name, pid: child.pid, exitCode, signal },
  );
}

function checkPlace(): void {
  const where = "importScripts" in globalThis ||
      globalThis.constructor?.name === "DedicatedWorkerGlobalScope"
    ? "in a worker"
    : hub.parent !== undefined && !self.forked
    ? "in a task of another process"
    : isPseudoModule(Deno.mainModule)
    ? "where the main module is not a file (deno eval, stdin)"
    : isTest()
    ? "under deno test"
    : Deno.build.standalone
    ? "in a compiled program"
    : undefined;
  if (where !== undefined) {
    throw new InvalidStateError(
      `Cannot fork ${where}: the child runs the main module again; use a Process`,
    );
  }
}

/** Outside of `deno test` the runtime has another function in this place. */
function isTest(): boolean {
  return Deno.test.name === "test";
}
