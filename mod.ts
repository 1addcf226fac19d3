// Copyright 2026 the multitask authors. MIT license.

/**
 * Python's multi-tasking toolbox for Deno: processes, pools of them, and queues,
 * pipes, locks and events between them.
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
 * @module
 */

export * from "./distributed/mod.ts";
export * from "./ipc/mod.ts";
export * from "./pool/mod.ts";
export * from "./process/mod.ts";
