// Copyright 2026 the multitask authors. MIT license.

/**
 * Values that each thread, or each request that a thread serves, has for itself.
 *
 * ```ts
 * import { ThreadLocal } from "@multitask/std/thread-local";
 * import { assertEquals } from "@std/assert";
 *
 * const local = new ThreadLocal<{ student: string }>();
 * const processStudent = () => `Hello, ${local.student}`;
 * assertEquals(local.run({ student: "Alice" }, processStudent), "Hello, Alice");
 * ```
 *
 * Python: `threading.local`, and `contextvars` for what belongs to one async
 * task.
 *
 * @module
 */

export {
  ThreadLocal,
  type ThreadLocalConstructor,
  type ThreadLocalMethods,
} from "./thread_local.ts";
