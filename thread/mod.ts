// Copyright 2026 the multitask authors. MIT license.

/**
 * Threads: functions that run in other threads of this process.
 *
 * ```ts
 * import { currentThread, Thread } from "@multitask/std/thread";
 * import { Lock, Value } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const balance = new Value("i32", 0);
 * const lock = new Lock();
 * const change = async (balance: Value<"i32">, lock: Lock) => {
 *   for (let i = 0; i < 100; i++) {
 *     using _guard = await lock.acquire();
 *     balance.value += 5;
 *     balance.value -= 5;
 *   }
 * };
 * const threads = [1, 2].map(() =>
 *   new Thread({ target: change, args: [balance, lock] })
 * );
 * for (const thread of threads) thread.start();
 * for (const thread of threads) await thread.join();
 * assertEquals(balance.value, 0);
 * assertEquals(currentThread().name, "MainThread");
 * ```
 *
 * ## Coming from Python
 *
 * | Python | here |
 * | --- | --- |
 * | `threading.Thread` | {@linkcode Thread} |
 * | `current_thread()`, `main_thread()` | {@linkcode currentThread}, {@linkcode mainThread} |
 * | `enumerate()`, `active_count()` | {@linkcode enumerate}, {@linkcode activeCount} |
 * | `threading.Timer` | {@linkcode Timer}, in milliseconds |
 * | `threading.excepthook` | {@linkcode setExcepthook} |
 * | `Lock`, `RLock`, `Condition`, `Semaphore`, `Event`, `Barrier` | those of `ipc`: the same for threads and processes |
 * | `threading.local` | `ThreadLocal` of `thread_local` |
 *
 * Three things are different, and change how programs are written:
 *
 * - **No variables are shared.** Each thread loads its modules by itself, and has
 *   its own globals; arguments are copied. What threads share is what is made for
 *   it: `Value`, `SharedArray`, `Queue` and their kin. So a race, and the need of
 *   a lock, is only where such an object is.
 * - **There is no interpreter lock.** Threads run JavaScript at the same time,
 *   one on each core; a pool of them is for work that needs the processor, too.
 * - **Waiting needs no thread.** One thread waits for thousands of sockets by
 *   `await`. A thread for each connection is a waste.
 *
 * @module
 */

export {
  activeCount,
  type CurrentThread,
  currentThread,
  enumerate,
  mainThread,
  type ThreadHandle,
} from "./current_thread.ts";
export {
  type ExceptHook,
  type ExceptHookArgs,
  setExcepthook,
} from "./set_excepthook.ts";
export { Thread, type ThreadOptions } from "./thread.ts";
export { Timer, type TimerOptions } from "./timer.ts";
export type { ThreadExit } from "./_started_thread.ts";
export type {
  ThreadPermissionGrant,
  ThreadPermissionMode,
  ThreadPermissions,
} from "./_permissions.ts";
export { type Target, type TaskRef, taskRef } from "../ipc/task_ref.ts";
export type { WaitOptions } from "../ipc/_options.ts";
export type { Waitable } from "../ipc/_waitable.ts";
