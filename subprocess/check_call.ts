// Copyright 2026 the multitask authors. MIT license.

import type { CommandArgs, RunOptions } from "./_command_options.ts";
import type { Exact } from "./_types.ts";
import type { CallOptions } from "./call.ts";
import { run } from "./run.ts";

/**
 * Runs a command and fails unless its exit code is 0. Python:
 * `subprocess.check_call`.
 *
 * **Cancel safety**: an abort ends the command.
 *
 * @param args The program and its arguments.
 * @param options What it gets and where its outputs go.
 * @returns 0.
 * @throws {CalledProcessError} For another exit code than 0.
 * @throws The errors of {@linkcode run}.
 *
 * @example
 * ```ts
 * import { CalledProcessError, checkCall } from "@multitask/std/subprocess";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * assertEquals(await checkCall(["true"]), 0);
 * await assertRejects(() => checkCall(["false"]), CalledProcessError);
 * ```
 */
export async function checkCall<const O extends CallOptions = CallOptions>(
  args: CommandArgs,
  options?: Exact<O, CallOptions>,
): Promise<0> {
  const all: RunOptions = { ...options as RunOptions, check: true };
  await run(args, all);
  return 0;
}
