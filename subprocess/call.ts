// Copyright 2026 the multitask authors. MIT license.

import type { CommandArgs, RunOptions } from "./_command_options.ts";
import type { Exact } from "./_types.ts";
import { run } from "./run.ts";

/** Options of {@linkcode call} and {@linkcode checkCall}. */
export type CallOptions = Omit<RunOptions, "captureOutput" | "check">;

/**
 * Runs a command and gives its exit code, `-n` for signal `n`. Python:
 * `subprocess.call`.
 *
 * **Cancel safety**: an abort ends the command.
 *
 * @param args The program and its arguments.
 * @param options What it gets and where its outputs go.
 * @returns The exit code.
 * @throws The errors of {@linkcode run}.
 *
 * @example
 * ```ts
 * import { call } from "@multitask/std/subprocess";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await call(["sh", "-c", "exit 3"]), 3);
 * ```
 */
export async function call<const O extends CallOptions = CallOptions>(
  args: CommandArgs,
  options?: Exact<O, CallOptions>,
): Promise<number> {
  const { returncode } = await run(args, options as RunOptions);
  return returncode;
}
