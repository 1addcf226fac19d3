// Copyright 2026 the multitask authors. MIT license.

import {
  checkBare,
  type CommandArgs,
  type RunOptions,
} from "./_command_options.ts";
import type { Exact, NoOptions, TextOrBytes } from "./_types.ts";
import { PIPE } from "./constants.ts";
import { run } from "./run.ts";

/** Options of {@linkcode checkOutput}. */
export type CheckOutputOptions = Omit<
  RunOptions,
  "captureOutput" | "check" | "stdout"
>;

/**
 * Runs a command, fails unless its exit code is 0, and gives its stdout.
 * Python: `subprocess.check_output`.
 *
 * **Cancel safety**: an abort ends the command.
 *
 * @typeParam O The options: whether the output is text.
 * @param args The program and its arguments.
 * @param options What it gets. Its stderr can go along: `stderr: STDOUT`.
 * @returns What it wrote to stdout.
 * @throws {CalledProcessError} For another exit code than 0.
 * @throws The errors of {@linkcode run}.
 *
 * @example
 * ```ts
 * import { checkOutput } from "@multitask/std/subprocess";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await checkOutput(["echo", "hi"], { text: true }), "hi\n");
 * ```
 */
export async function checkOutput<
  const O extends CheckOutputOptions = NoOptions,
>(
  args: CommandArgs,
  options?: Exact<O, CheckOutputOptions>,
): Promise<TextOrBytes<O>> {
  checkBare("check output", options, ["stdout", "captureOutput", "check"]);
  const all: RunOptions = {
    ...options as RunOptions,
    stdout: PIPE,
    check: true,
  };
  const { stdout } = await run(args, all);
  return stdout as TextOrBytes<O>;
}
