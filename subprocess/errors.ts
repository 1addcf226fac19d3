// Copyright 2026 the multitask authors. MIT license.

/**
 * What can go wrong with an external command, each in a class of its own.
 *
 * @module
 */

import { PermissionNeededError } from "../ipc/errors.ts";

/** What an output was captured as: bytes, text, or nothing at all. */
export type Captured = string | Uint8Array<ArrayBuffer> | null;

/** What is known of a command, whether it ended well or not. */
export interface CommandFacts {
  /** The program and its arguments. */
  readonly args: readonly string[];
  /** The working directory it was given; `undefined` is this program's own. */
  readonly cwd: string | undefined;
  /** Its process id, or -1 when it was never started. */
  readonly pid: number;
  /** The exit code; `-n` for signal `n`; `null` where it has not ended. */
  readonly returncode: number | null;
  /** The signal that ended it, or `null`. */
  readonly signal: string | null;
  /** Its captured stdout so far, or `null`. */
  readonly stdout: Captured;
  /** Its captured stderr so far, or `null`. */
  readonly stderr: Captured;
  /** Milliseconds from its start until it was done with. */
  readonly duration: number;
  /** Whether its time was up. */
  readonly timedOut: boolean;
  /** Whether it took SIGKILL to end it. */
  readonly forced: boolean;
  /** Whether somebody still held an output open when reading was given up. */
  readonly incomplete: boolean;
  /** Whether output was dropped because of `maxBuffer`. */
  readonly truncated: boolean;
  /**
   * What its signals reach: `"group"` with descendants, `"command"` alone. With
   * `killTree` the latter says that a permission is missing.
   */
  readonly reach: "group" | "command";
}

/** Fills what is not known of a command that never ran. */
export function commandFacts(
  facts: Partial<CommandFacts> & Pick<CommandFacts, "args">,
): CommandFacts {
  return {
    args: [...facts.args],
    cwd: facts.cwd,
    pid: facts.pid ?? -1,
    returncode: facts.returncode ?? null,
    signal: facts.signal ?? null,
    stdout: facts.stdout ?? null,
    stderr: facts.stderr ?? null,
    duration: facts.duration ?? 0,
    timedOut: facts.timedOut ?? false,
    forced: facts.forced ?? false,
    incomplete: facts.incomplete ?? false,
    truncated: facts.truncated ?? false,
    reach: facts.reach ?? "command",
  };
}

/** Options of the errors of this module. */
export interface CommandErrorOptions extends ErrorOptions {
  /** What is known of the command. */
  facts?: Partial<CommandFacts>;
}

/**
 * A command failed; the class says how. Python: `subprocess.SubprocessError`.
 *
 * @example
 * ```ts
 * import { run, SubprocessError } from "@multitask/std/subprocess";
 * import { assertInstanceOf, assertRejects } from "@std/assert";
 *
 * const error = await assertRejects(() => run(["no-such-program"]));
 * assertInstanceOf(error, SubprocessError);
 * ```
 */
export class SubprocessError extends Error implements CommandFacts {
  static {
    this.prototype.name = "SubprocessError";
  }

  /** The program and its arguments. */
  readonly args: readonly string[];
  /** The working directory it was given; `undefined` is this program's own. */
  readonly cwd: string | undefined;
  /** Its process id, or -1 when it was never started. */
  readonly pid: number;
  /** The exit code; `-n` for signal `n`; `null` where it has not ended. */
  readonly returncode: number | null;
  /** The signal that ended it, or `null`. */
  readonly signal: string | null;
  /** Its captured stdout so far, or `null`. */
  readonly stdout: Captured;
  /** Its captured stderr so far, or `null`. */
  readonly stderr: Captured;
  /** Milliseconds from its start until it was done with. */
  readonly duration: number;
  /** Whether its time was up. */
  readonly timedOut: boolean;
  /** Whether it took SIGKILL to end it. */
  readonly forced: boolean;
  /** Whether somebody still held an output open when reading was given up. */
  readonly incomplete: boolean;
  /** Whether output was dropped because of `maxBuffer`. */
  readonly truncated: boolean;
  /** What its signals reached. */
  readonly reach: "group" | "command";

  /** Creates the error from what is known of the command. */
  constructor(message: string, options: CommandErrorOptions = {}) {
    super(message, options);
    const facts = commandFacts({ args: [], ...options.facts });
    this.args = facts.args;
    this.cwd = facts.cwd;
    this.pid = facts.pid;
    this.returncode = facts.returncode;
    this.signal = facts.signal;
    this.stdout = facts.stdout;
    this.stderr = facts.stderr;
    this.duration = facts.duration;
    this.timedOut = facts.timedOut;
    this.forced = facts.forced;
    this.incomplete = facts.incomplete;
    this.truncated = facts.truncated;
    this.reach = facts.reach;
  }
}

/** A command ended with another exit code than 0. Python: same name. */
export class CalledProcessError extends SubprocessError {
  static {
    this.prototype.name = "CalledProcessError";
  }
}

/**
 * A command, or the wait for it, took too long. Python: same name.
 *
 * From {@linkcode run} and its kin, and where a `Popen` has a `timeout` of its
 * own, the command has been ended. From `wait` and `communicate` with a
 * `timeout` it lives on, and `returncode` is `null`.
 */
export class TimeoutExpired extends SubprocessError {
  static {
    this.prototype.name = "TimeoutExpired";
  }

  /** The time it had, in milliseconds. */
  readonly timeout: number;

  /** Creates the error; `timeout` is the time there was. */
  constructor(
    message: string,
    options: CommandErrorOptions & { timeout?: number } = {},
  ) {
    super(message, options);
    this.timeout = options.timeout ?? 0;
  }
}

/** A command was ended because its `signal` was aborted; `cause` is the reason. */
export class CommandAbortedError extends SubprocessError {
  static {
    this.prototype.name = "CommandAbortedError";
  }
}

/** There is no such program. Python: `FileNotFoundError`. */
export class CommandNotFoundError extends SubprocessError {
  static {
    this.prototype.name = "CommandNotFoundError";
  }
}

/** The working directory is not there, or is none. Python: `FileNotFoundError`. */
export class WorkingDirectoryError extends SubprocessError {
  static {
    this.prototype.name = "WorkingDirectoryError";
  }
}

/** The program may not be executed. Python: `PermissionError`. */
export class NotExecutableError extends SubprocessError {
  static {
    this.prototype.name = "NotExecutableError";
  }
}

/** A command wrote more than `maxBuffer`, and was ended. */
export class MaxBufferError extends SubprocessError {
  static {
    this.prototype.name = "MaxBufferError";
  }

  /** Which output it was. */
  readonly stream: "stdout" | "stderr";

  /** Creates the error; `stream` names the output. */
  constructor(
    message: string,
    options: CommandErrorOptions & { stream?: "stdout" | "stderr" } = {},
  ) {
    super(message, options);
    this.stream = options.stream ?? "stdout";
  }
}

/** An output is no text in the encoding that was asked for. Python: `UnicodeDecodeError`. */
export class OutputDecodeError extends SubprocessError {
  static {
    this.prototype.name = "OutputDecodeError";
  }

  /** Which output it was. */
  readonly stream: "stdout" | "stderr";
  /** Where the first byte stands that fits no character, from 0. */
  readonly offset: number;
  /** The encoding. */
  readonly encoding: string;

  /** Creates the error; `offset` is where the text breaks. */
  constructor(
    message: string,
    options: CommandErrorOptions & {
      stream?: "stdout" | "stderr";
      offset?: number;
      encoding?: string;
    } = {},
  ) {
    super(message, options);
    this.stream = options.stream ?? "stdout";
    this.offset = options.offset ?? 0;
    this.encoding = options.encoding ?? "utf-8";
  }
}

/** What a command should get or give could not be read or written; see `cause`. */
export class RedirectError extends SubprocessError {
  static {
    this.prototype.name = "RedirectError";
  }
}

/** Deno may not run the command; `flag` is what to add. */
export class CommandPermissionError extends PermissionNeededError {
  static {
    this.prototype.name = "CommandPermissionError";
  }

  /** The program and its arguments. */
  readonly args: readonly string[];
  /** The working directory it was given; `undefined` is this program's own. */
  readonly cwd: string | undefined;

  /** Creates the error; `flag` is what the user has to add. */
  constructor(
    message: string,
    options: CommandErrorOptions & { flag?: string } = {},
  ) {
    super(message, options);
    this.args = options.facts?.args ?? [];
    this.cwd = options.facts?.cwd;
  }
}
