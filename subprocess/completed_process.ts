// Copyright 2026 the multitask authors. MIT license.

import { actionFor } from "./_command_options.ts";
import { withLastLine } from "./_failure.ts";
import {
  CalledProcessError,
  type Captured,
  type CommandFacts,
} from "./errors.ts";

/** Makes results; for this module only. */
export let completed: <Out extends Captured, Err extends Captured>(
  facts: CommandFacts & { stdout: Out; stderr: Err },
  shell: boolean,
) => CompletedProcess<Out, Err>;

/**
 * A command that has ended. Python: `subprocess.CompletedProcess`, with more to
 * know.
 *
 * @typeParam Out What its stdout was captured as.
 * @typeParam Err What its stderr was captured as.
 *
 * @example
 * ```ts
 * import { run } from "@multitask/std/subprocess";
 * import { assertEquals } from "@std/assert";
 *
 * const done = await run(["echo", "hello"], { captureOutput: true, text: true });
 * done.checkReturncode();
 * assertEquals(done.stdout, "hello\n");
 * assertEquals(done.returncode, 0);
 * ```
 */
export class CompletedProcess<
  Out extends Captured = Captured,
  Err extends Captured = Captured,
> implements CommandFacts {
  static {
    completed = (facts, shell) => new CompletedProcess(facts, shell);
  }

  /** The program and its arguments. */
  readonly args: readonly string[];
  /** The working directory it was given; `undefined` is this program's own. */
  readonly cwd: string | undefined;
  /** Its process id. */
  readonly pid: number;
  /** The exit code; `-n` for signal `n`. */
  readonly returncode: number;
  /** The signal that ended it, or `null`. */
  readonly signal: string | null;
  /** Its captured stdout; `null` if it went elsewhere. */
  readonly stdout: Out;
  /** Its captured stderr; `null` if it went elsewhere. */
  readonly stderr: Err;
  /** Milliseconds from its start to its exit. */
  readonly duration: number;
  /** Always false: a command whose time is up has no result. */
  readonly timedOut: boolean;
  /** Whether it took SIGKILL to end it. */
  readonly forced: boolean;
  /** Whether somebody else still held an output open when `drain` was over. */
  readonly incomplete: boolean;
  /** Whether output was dropped because of `maxBuffer`. */
  readonly truncated: boolean;
  /** What its signals would have reached. */
  readonly reach: "group" | "command";
  readonly #shell: boolean;

  private constructor(
    facts: CommandFacts & { stdout: Out; stderr: Err },
    shell: boolean,
  ) {
    this.args = Object.freeze([...facts.args]);
    this.cwd = facts.cwd;
    this.pid = facts.pid;
    this.returncode = facts.returncode ?? -1;
    this.signal = facts.signal;
    this.stdout = facts.stdout;
    this.stderr = facts.stderr;
    this.duration = facts.duration;
    this.timedOut = facts.timedOut;
    this.forced = facts.forced;
    this.incomplete = facts.incomplete;
    this.truncated = facts.truncated;
    this.reach = facts.reach;
    this.#shell = shell;
    Object.freeze(this);
  }

  /**
   * Throws unless the exit code is 0.
   *
   * @throws {CalledProcessError} It carries all that is here.
   */
  checkReturncode(): void {
    if (this.returncode === 0) return;
    throw new CalledProcessError(
      withLastLine(
        `Cannot ${actionFor(this.args, this.#shell)}: ${
          this.signal === null
            ? `it ended with exit code ${this.returncode}`
            : `it was ended by ${this.signal}`
        }`,
        this.stderr,
      ),
      { facts: this },
    );
  }
}
