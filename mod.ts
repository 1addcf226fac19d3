// Copyright 2026 the multitask authors. MIT license.

/**
 * Python's multi-tasking toolbox for Deno: processes and threads, pools of them,
 * queues, pipes, locks and events between them, and external commands.
 *
 * ```ts
 * import { Process, Queue } from "@multitask/std";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new Queue<string>();
 * const writer = new Process({
 *   target: async (queue: Queue<string>) => {
 *     for (const value of ["A", "B", "C"]) await queue.put(value);
 *   },
 *   args: [queue],
 * });
 * writer.start();
 * assertEquals(await queue.get(), "A");
 * assertEquals(await queue.get(), "B");
 * assertEquals(await queue.get(), "C");
 * await writer.join();
 * ```
 *
 * ## Process, thread, both, or none?
 *
 * Three questions decide.
 *
 * **Does the work compute, or wait?** What waits (for sockets, files, timers)
 * needs no worker at all: one thread waits for thousands of things at a time by
 * `await`, as an event-driven server does, and nothing has to be locked. What
 * computes needs one worker for each core, and no more: each further one only
 * makes them take turns.
 *
 * **May it go wrong?** An endless loop in a thread cannot be ended, and a thread
 * that uses up the memory ends the whole program. A process can be killed and
 * limited, and takes nobody along: {@linkcode Process} and {@linkcode Pool} are
 * for code that is large, foreign or dangerous.
 *
 * **How much goes to and fro?** Arguments and results are copied in both cases.
 * Threads and processes that have `--allow-ffi` (Linux) share memory, where a
 * queue, a lock or a number takes less than a microsecond; other processes are
 * reached by messages.
 *
 * | | `await` | `Thread`, `ThreadPool` | `Process`, `Pool` | `HybridPool` |
 * | --- | --- | --- | --- | --- |
 * | work that waits | best | good | good | good |
 * | work that computes | one core | all cores | all cores | all cores |
 * | a crash takes along | all | all | its own task | its process's tasks |
 * | an endless loop can be ended | no | no | yes | yes, with its process |
 * | a limit of memory | no | no | yes | yes |
 * | fewer permissions | no | with a flag | yes | yes |
 *
 * **What does it cost?** Two cores, two workers, medians of `deno task bench`:
 *
 * | | `await` | `ThreadPool` | `Pool` | `HybridPool` |
 * | --- | --- | --- | --- | --- |
 * | 16 tasks of 62 ms that compute | 992 ms | 525 ms | 525 ms | 528 ms |
 * | 200 tasks that wait 10 ms each | 12 ms | 1.2 s | 1.2 s | 1.2 s |
 * | one task after the other, each second | | 35 000 | 38 000 | 33 000 |
 * | a burst of 100 000 tasks, each second | | 280 000 | 294 000 | 326 000 |
 * | 1 MiB as an argument and as the result | | 3.8 ms | 2.2 ms | 2.0 ms |
 * | a start, to the first result | | 52 ms | 58 ms (spare: 5) | |
 * | memory of one worker | | 5 MiB | 15 MiB | 17 MiB |
 *
 * A worker runs one task at a time: that is why those that wait belong into
 * `await`.
 *
 * Somebody who comes from Python keeps the names and unlearns one thing: there is
 * no interpreter lock. Threads run at the same time, on all cores; in return they
 * share no variables, only the objects that are made for it. So `threading` code
 * that was written to wait becomes plain `await`, and `multiprocessing` code that
 * was written to compute may as well use threads.
 *
 * @module
 */

export * from "./distributed/mod.ts";
export * from "./ipc/mod.ts";
export * from "./pool/mod.ts";
export * from "./process/mod.ts";
export * from "./subprocess/mod.ts";
export * from "./thread/mod.ts";
export * from "./thread_local/mod.ts";
