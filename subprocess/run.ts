// Copyright 2026 the multitask authors. MIT license.

import type {
  CommandArgs,
  PopenOptions,
  RunOptions,
} from "./_command_options.ts";
import type { Exact, NoOptions, OutputOf } from "./_types.ts";
import { completed, type CompletedProcess } from "./completed_process.ts";
import { commandOf, conclude, Popen } from "./popen.ts";

/**
 * Runs a command and waits for its end. Python: `subprocess.run`.
 *
 * With a `timeout` (or `signal`) the call ends at most `killGrace` plus `drain`
 * later, whatever the command and its descendants do: the command gets SIGTERM,
 * then SIGKILL, and what others hold open is read no longer than `drain`.
 *
 * **Cancel safety**: an abort ends the command; the error carries what it wrote
 * so far.
 *
 * @typeParam O The options, from which the types of the result follow.
 * @param args The program and its arguments; no shell is in between.
 * @param options What it gets and where its outputs go.
 * @returns How it ended, and what was captured.
 * @throws {CalledProcessError} With `check`, for another exit code than 0.
 * @throws {TimeoutExpired} If it took longer than `timeout`.
 * @throws {CommandAbortedError} If `signal` was aborted; `cause` is the reason.
 * @throws {MaxBufferError} If it wrote more than `maxBuffer`.
 * @throws {OutputDecodeError} If what it wrote is no text.
 * @throws {CommandNotFoundError} If there is no such program.
 * @throws {WorkingDirectoryError} If `cwd` is no directory.
 * @throws {NotExecutableError} If the program may not be executed.
 * @throws {CommandPermissionError} If Deno may not run it; names the flag.
 *
 * @example
 * ```ts
 * import { run } from "@multitask/std/subprocess";
 * import { assertEquals } from "@std/assert";
 *
 * const { stdout } = await run(["sort"], {
 *   input: "b\na\n",
 *   captureOutput: true,
 *   text: true,
 *   timeout: 10_000,
 * });
 * assertEquals(stdout, "a\nb\n");
 * ```
 */
export async function run<const O extends RunOptions = NoOptions>(
  args: CommandArgs,
  options?: Exact<O, RunOptions>,
): Promise<CompletedProcess<OutputOf<O, "stdout">, OutputOf<O, "stderr">>> {
  // A Popen takes what only `run` has, but does not say so.
  const popen = new Popen<PopenOptions>(args, options as PopenOptions);
  await popen.communicate();
  const result = completed(
    conclude(popen),
    commandOf(popen).plan.spec.shell,
  );
  if ((options as RunOptions | undefined)?.check) result.checkReturncode();
  return result as never;
}
