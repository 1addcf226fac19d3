// Copyright 2026 the multitask authors. MIT license.
// Each command's stdout is copied to the next one's stdin, in this process.
//
//   one ends           its input is closed, and the one before it gets SIGPIPE,
//                      as if it had written once more; if it goes on, it is
//                      ended killGrace later
//   a deadline, ...    whatever ends one of them ends all of them
//   one cannot start   those before it are ended, and waited for
//
// A command that was stopped because nobody reads on has not failed.

import { shown } from "../ipc/_options.ts";
import { startTimer } from "../ipc/_timer.ts";
import type { Command } from "./_command.ts";
import {
  type CommandArgs,
  planCommand,
  type PopenOptions,
  type RunOptions,
} from "./_command_options.ts";
import type { Exact, NoOptions, OutputOf } from "./_types.ts";
import { completed, type CompletedProcess } from "./completed_process.ts";
import { PIPE } from "./constants.ts";
import type { Captured } from "./errors.ts";
import { commandOf, conclude, Popen } from "./popen.ts";

/** Options of {@linkcode pipeline}. */
export interface PipelineOptions
  extends Omit<RunOptions, "shell" | "detached"> {
  /**
   * Whether another exit code than 0 of any command is an error, not just, with
   * `check`, of the last.
   *
   * @default {false}
   */
  strict?: boolean;
}

/**
 * How the commands of a {@linkcode pipeline} ended.
 *
 * @typeParam Out What the stdout of the last was captured as.
 * @typeParam Err What their stderr were captured as.
 */
export interface PipelineResult<
  Out extends Captured = Captured,
  Err extends Captured = Captured,
> {
  /** All commands, in their order. Only the last has a stdout. */
  readonly commands: readonly CompletedProcess<Out | null, Err>[];
  /** Their exit codes. */
  readonly returncodes: readonly number[];
  /** Which of them were stopped because nobody read on: no failure. */
  readonly stopped: readonly boolean[];
  /** The exit code of the last. */
  readonly returncode: number;
  /** The captured stdout of the last. */
  readonly stdout: Out;
  /** Milliseconds from the first start to the last exit. */
  readonly duration: number;
}

/**
 * Runs commands at the same time, each of which reads what the one before it
 * writes. The options are the last argument. Python has no such function.
 *
 * `input` and `stdin` are for the first, `stdout` is of the last, all else
 * concerns each of them. The deadline holds for the whole. The data goes through
 * this process, at about half the speed of a pipe between the two.
 *
 * **Cancel safety**: an abort ends all commands.
 *
 * @param commands The commands, as arrays.
 * @returns How each of them ended.
 * @throws {CalledProcessError} With `strict` for the first that failed, with
 * `check` for the last.
 * @throws The errors of {@linkcode run}, for any of them.
 *
 * @example
 * ```ts
 * import { pipeline } from "@multitask/std/subprocess";
 * import { assertEquals } from "@std/assert";
 *
 * const { stdout, returncodes } = await pipeline(
 *   ["printf", "b\na\nb\n"],
 *   ["sort"],
 *   ["uniq"],
 *   { captureOutput: true, text: true, strict: true },
 * );
 * assertEquals(stdout, "a\nb\n");
 * assertEquals(returncodes, [0, 0, 0]);
 * ```
 */
export function pipeline(
  ...commands: readonly CommandArgs[]
): Promise<PipelineResult<null, null>>;
/**
 * The same with options.
 *
 * @typeParam O The options, from which the types of the result follow.
 * @param commands The commands, and the options behind them.
 */
export function pipeline<const O extends PipelineOptions = NoOptions>(
  ...commands: readonly [...CommandArgs[], Exact<O, PipelineOptions>]
): Promise<PipelineResult<OutputOf<O, "stdout">, OutputOf<O, "stderr">>>;
export async function pipeline(
  ...given: readonly (CommandArgs | PipelineOptions)[]
): Promise<PipelineResult> {
  const last = given.at(-1);
  const options = isOptions(last) ? last : {};
  const commands = (isOptions(last) ? given.slice(0, -1) : given) as readonly (
    CommandArgs
  )[];
  check(commands, options);
  const startedAt = performance.now();
  const popens = await startAll(commands, options);
  const all = popens.map(commandOf);
  const stops = linkAll(all, options.killGrace);
  try {
    await Promise.all(all.map((command) => command.done()));
  } finally {
    stops.dispose();
  }
  return results(popens, stops.stopped, options, startedAt);
}

function isOptions(value: unknown): value is PipelineOptions {
  return typeof value === "object" && value !== null &&
    !Array.isArray(value) && !(value instanceof URL);
}

function check(
  commands: readonly CommandArgs[],
  { strict, ...options }: PipelineOptions,
): void {
  if (commands.length === 0) {
    throw new TypeError("Cannot run pipeline: there must be a command");
  }
  if (strict !== undefined && typeof strict !== "boolean") {
    throw new TypeError(
      `Cannot run pipeline: "strict" must be true or false, received ${
        shown(strict)
      }`,
    );
  }
  // Nothing is started if one of them is wrong.
  for (const args of commands) planCommand(args, options);
}

/** Starts them from the first to the last; all or none of them. */
async function startAll(
  commands: readonly CommandArgs[],
  {
    strict: _strict,
    check: _check,
    input,
    stdin,
    stdout,
    captureOutput,
    ...shared
  }: PipelineOptions,
): Promise<Popen[]> {
  const popens: Popen[] = [];
  try {
    for (const [i, args] of commands.entries()) {
      const isLast = i === commands.length - 1;
      const before = popens[i - 1];
      const options: RunOptions = {
        ...shared,
        ...captureOutput ? { stderr: PIPE } : {},
        ...before !== undefined ? { stdin: before.stdout! } : {
          ...stdin === undefined ? {} : { stdin },
          ...input === undefined ? {} : { input },
        },
        ...!isLast || captureOutput
          ? { stdout: PIPE }
          : stdout === undefined
          ? {}
          : { stdout },
      };
      const popen = new Popen<PopenOptions>(args, options as PopenOptions);
      popens.push(popen);
      const command = commandOf(popen);
      command.capture("stderr");
      if (isLast) command.capture("stdout");
      // A pipe that was asked for as stdin has nobody to write to it here.
      if (command.started.stdin !== null && !command.isFed) command.feed([]);
    }
  } catch (error) {
    const started = popens.map(commandOf);
    for (const command of started) command.end({ kind: "dispose" });
    await popens.at(-1)?.stdout?.cancel().catch(() => {});
    await Promise.all(started.map((command) => command.done()));
    throw error;
  }
  return popens;
}

/** Has the end of one command concern the others. */
function linkAll(
  commands: readonly Command[],
  killGrace: number | undefined,
): { stopped: boolean[]; dispose(): void } {
  const stopped = commands.map(() => false);
  const stopTimers: (() => void)[] = [];
  for (const [i, command] of commands.entries()) {
    command.told.then((cause) => {
      if (cause.kind === "dispose") return;
      for (const other of commands) other.end({ kind: "dispose" });
    });
    const before = commands[i - 1];
    if (before === undefined) continue;
    command.exited.then(() => {
      if (before.exit !== undefined || command.isInputOver) return;
      stopped[i - 1] = true;
      before.started.signalAll("SIGPIPE");
      stopTimers.push(
        startTimer(
          () => before.end({ kind: "dispose" }),
          killGrace ?? before.plan.killGrace,
        ),
      );
    });
  }
  return {
    stopped,
    dispose: () => {
      for (const stopTimer of stopTimers) stopTimer();
    },
  };
}

function results(
  popens: readonly Popen[],
  stopped: readonly boolean[],
  { strict, check }: PipelineOptions,
  startedAt: number,
): PipelineResult {
  // Whoever was ended because of another has no error of its own.
  const commands = popens.map((popen) => completed(conclude(popen), false));
  const returncodes = commands.map(({ returncode }) => returncode);
  const last = commands.at(-1)!;
  if (strict) {
    for (const [i, command] of commands.entries()) {
      if (!stopped[i] && !isBrokenPipe(command, i, commands)) {
        command.checkReturncode();
      }
    }
  }
  if (check) last.checkReturncode();
  return {
    commands,
    returncodes,
    stopped: stopped.map((is, i) =>
      is || isBrokenPipe(commands[i]!, i, commands)
    ),
    returncode: last.returncode,
    stdout: last.stdout,
    duration: performance.now() - startedAt,
  };
}

/** Whether it ended by SIGPIPE before it could be told that nobody reads on. */
function isBrokenPipe(
  { signal }: CompletedProcess,
  i: number,
  commands: readonly unknown[],
): boolean {
  return signal === "SIGPIPE" && i < commands.length - 1;
}
