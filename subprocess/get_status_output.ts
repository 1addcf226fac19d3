// Copyright 2026 the multitask authors. MIT license.

import { checkBare, type RunOptions } from "./_command_options.ts";
import { PIPE, STDOUT } from "./constants.ts";
import { run } from "./run.ts";

/** Options of {@linkcode getOutput} and {@linkcode getStatusOutput}. */
export type GetOutputOptions = Omit<
  RunOptions,
  "captureOutput" | "check" | "stdout" | "stderr" | "shell" | "text"
>;

/**
 * Runs a line of the shell and gives its exit code and all that it wrote, with
 * stdout and stderr in their order and one final newline cut off. Python:
 * `subprocess.getstatusoutput`.
 *
 * **Cancel safety**: an abort ends the command.
 *
 * @param command What the shell is to do. Values in it are read by the shell:
 * where they come from elsewhere, use {@linkcode run} or {@linkcode $}.
 * @param options What it gets.
 * @returns The exit code and the output.
 * @throws The errors of {@linkcode run}.
 *
 * @example
 * ```ts
 * import { getStatusOutput } from "@multitask/std/subprocess";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await getStatusOutput("echo a; echo b >&2; exit 2"), [2, "a\nb"]);
 * ```
 */
export async function getStatusOutput(
  command: string,
  options?: GetOutputOptions,
): Promise<[number, string]> {
  checkBare("get output", options, [
    "stdout",
    "stderr",
    "captureOutput",
    "check",
    "shell",
    "text",
  ]);
  const { returncode, stdout } = await run(command, {
    ...options as RunOptions,
    shell: true,
    stdout: PIPE,
    stderr: STDOUT,
    text: true,
  });
  return [returncode, (stdout as string).replace(/\n$/, "")];
}
