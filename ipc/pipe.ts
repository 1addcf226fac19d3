// Copyright 2026 the multitask authors. MIT license.

import { homes } from "./_homes.ts";
import { PipeCore } from "./_pipe_core.ts";
import { PipeEnd } from "./_pipe_end.ts";
import type { SharedOptions } from "./_shared.ts";
import { type Connection, makeConnection } from "./connection.ts";

/** Options of {@linkcode Pipe}. */
export interface PipeOptions extends SharedOptions {
  /**
   * Whether both ends send and receive. Otherwise the first end only receives
   * and the second only sends.
   *
   * @default {true}
   */
  duplex?: boolean;
}

/**
 * Makes a pipe and gives its two ends. Pass one of them to another process.
 *
 * Python: `multiprocessing.Pipe`. The pipe lives in the process that makes it.
 *
 * @typeParam T The messages.
 *
 * @example
 * ```ts
 * import { Pipe } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const [left, right] = Pipe<string>();
 * await left.send("hello");
 * assertEquals(await right.recv(), "hello");
 * left.close();
 * right.close();
 * ```
 */
export function Pipe<T = unknown>(
  options: PipeOptions = {},
): [Connection<T>, Connection<T>] {
  const core = new PipeCore(
    { agent: homes.agentFor("create pipe", options.home) },
    options.duplex ?? true,
  );
  return [
    makeConnection<T>(new PipeEnd({ core, part: 0 })),
    makeConnection<T>(new PipeEnd({ core, part: 1 })),
  ];
}
