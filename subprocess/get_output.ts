// Copyright 2026 the multitask authors. MIT license.

import { type GetOutputOptions, getStatusOutput } from "./get_status_output.ts";

/**
 * Runs a line of the shell and gives all that it wrote, with stdout and stderr
 * in their order and one final newline cut off. Python: `subprocess.getoutput`.
 *
 * **Cancel safety**: an abort ends the command.
 *
 * @param command What the shell is to do.
 * @param options What it gets.
 * @returns The output.
 * @throws The errors of {@linkcode run}; another exit code than 0 is none.
 *
 * @example
 * ```ts
 * import { getOutput } from "@multitask/std/subprocess";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await getOutput("echo $((6 * 7))"), "42");
 * ```
 */
export async function getOutput(
  command: string,
  options?: GetOutputOptions,
): Promise<string> {
  const [, output] = await getStatusOutput(command, options);
  return output;
}
