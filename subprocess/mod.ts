// Copyright 2026 the multitask authors. MIT license.

/**
 * External commands, with a deadline that holds.
 *
 * ```ts
 * import { run, TimeoutExpired } from "@multitask/std/subprocess";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const { stdout } = await run(["echo", "hello"], {
 *   captureOutput: true,
 *   text: true,
 * });
 * assertEquals(stdout, "hello\n");
 *
 * // `sleep` holds the pipe open when its shell is gone. The call ends all the same.
 * const error = await assertRejects(
 *   () =>
 *     run("echo started; sleep 60; true", {
 *       shell: true,
 *       captureOutput: true,
 *       text: true,
 *       timeout: 200,
 *       killTree: true,
 *     }),
 *   TimeoutExpired,
 * );
 * assertEquals(error.stdout, "started\n");
 * ```
 *
 * | Python | here |
 * | --- | --- |
 * | `run`, `call`, `check_call`, `check_output` | {@linkcode run}, {@linkcode call}, {@linkcode checkCall}, {@linkcode checkOutput} |
 * | `getoutput`, `getstatusoutput` | {@linkcode getOutput}, {@linkcode getStatusOutput}, through a shell |
 * | `Popen` | {@linkcode Popen} |
 * | `PIPE`, `DEVNULL`, `STDOUT` | {@linkcode PIPE}, {@linkcode DEVNULL}, {@linkcode STDOUT} |
 * | `CompletedProcess` | {@linkcode CompletedProcess} |
 * | `CalledProcessError`, `TimeoutExpired` | {@linkcode CalledProcessError}, {@linkcode TimeoutExpired} |
 * | `FileNotFoundError`, `PermissionError` | {@linkcode CommandNotFoundError}, {@linkcode WorkingDirectoryError}, {@linkcode NotExecutableError}, {@linkcode CommandPermissionError} |
 * | | {@linkcode pipeline}, {@linkcode $} |
 *
 * Times are milliseconds. `env` adds to the environment unless `clearEnv` is
 * set. Output is bytes unless `text` or `encoding` is given; then a byte order
 * mark and the ends of lines stay as they are. `lines()` cuts off `\n` and
 * `\r\n`.
 *
 * @module
 */

export { call, type CallOptions } from "./call.ts";
export { checkCall } from "./check_call.ts";
export { checkOutput, type CheckOutputOptions } from "./check_output.ts";
export { CompletedProcess } from "./completed_process.ts";
export { DEVNULL, PIPE, STDOUT } from "./constants.ts";
export {
  CalledProcessError,
  type Captured,
  CommandAbortedError,
  type CommandErrorOptions,
  type CommandFacts,
  CommandNotFoundError,
  CommandPermissionError,
  MaxBufferError,
  NotExecutableError,
  OutputDecodeError,
  RedirectError,
  SubprocessError,
  TimeoutExpired,
  WorkingDirectoryError,
} from "./errors.ts";
export { getOutput } from "./get_output.ts";
export { type GetOutputOptions, getStatusOutput } from "./get_status_output.ts";
export {
  pipeline,
  type PipelineOptions,
  type PipelineResult,
} from "./pipeline.ts";
export { type LinesOptions, Popen, type PopenExit } from "./popen.ts";
export { run } from "./run.ts";
export { $, type CommandTag, type TemplateOptions } from "./template.ts";
export type {
  CommandArgs,
  CommandInput,
  FileTarget,
  OutputPlace,
  OutputTarget,
  OutputWriter,
  PopenOptions,
  RunOptions,
} from "./_command_options.ts";
export type { OverflowMode } from "./_capture.ts";
export type { InputChunk } from "./_feed.ts";
export type { TemplateValue } from "./_template.ts";
export type {
  Exact,
  NoOptions,
  OutputOf,
  StreamOf,
  TargetOutput,
  TextOrBytes,
} from "./_types.ts";
export { InvalidStateError, PermissionNeededError } from "../ipc/errors.ts";
export type { WaitOptions } from "../ipc/_options.ts";
export { type Waitable, waitable } from "../ipc/_waitable.ts";
