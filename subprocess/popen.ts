// Copyright 2026 the multitask authors. MIT license.

import { checkWait, shown, type WaitOptions } from "../ipc/_options.ts";
import { type Waitable, waitable } from "../ipc/_waitable.ts";
import { waitBounded } from "../ipc/_wait_bounded.ts";
import { InvalidStateError } from "../ipc/errors.ts";
import { Command, type OutputName } from "./_command.ts";
import {
  checkInput,
  type CommandArgs,
  type CommandInput,
  planCommand,
  type PopenOptions,
  type RunOptions,
} from "./_command_options.ts";
import { denoPlatform } from "./_deno_platform.ts";
import { failureOf, withLastLine } from "./_failure.ts";
import { LineReader } from "./_line_reader.ts";
import { decodeAll, decodeSoFar, UndecodableError } from "./_text.ts";
import type { Exact, OutputOf, StreamOf } from "./_types.ts";
import {
  type Captured,
  CommandAbortedError,
  type CommandFacts,
  OutputDecodeError,
  TimeoutExpired,
} from "./errors.ts";

/** How a {@linkcode Popen} ended. */
export interface PopenExit {
  /** The exit code; `-n` for signal `n`; `null` if even SIGKILL had no effect. */
  readonly returncode: number | null;
  /** The signal that ended it, or `null`. */
  readonly signal: string | null;
}

/** Options of {@linkcode Popen.lines} and {@linkcode Popen.lineBatches}. */
export interface LinesOptions {
  /**
   * Which output.
   *
   * @default {"stdout"}
   */
  stream?: "stdout" | "stderr";
}

/** What this module knows of a `Popen`. */
export let commandOf: (popen: Popen) => Command;

/** All that is known of a command at its end; throws if it has failed. */
export let conclude: (popen: Popen) => CommandFacts;

/**
 * A command that runs. Python: `subprocess.Popen`.
 *
 * The constructor starts it, and throws when that is not possible. Options that
 * Python does not have, or has elsewhere: `timeout` and `signal` end the command
 * itself (those of `wait` and `communicate` only end the wait); `killTree`,
 * `killGrace`, `drain`, `maxBuffer`; several targets for an output.
 *
 * Whoever reads stdout and stderr one after the other, or none of them, makes a
 * command wait that writes much: `communicate()` serves all pipes at the same
 * time.
 *
 * **Ends with this program**, however that ends, unless it is `detached`: see
 * `isGuarded`. A command that runs keeps the program alive.
 *
 * **Disposal**: `await using` closes its pipes, waits for `killGrace`, then ends
 * it.
 *
 * @typeParam O Its options, from which the types of its streams follow.
 *
 * @example
 * ```ts
 * import { PIPE, Popen } from "@multitask/std/subprocess";
 * import { assertEquals } from "@std/assert";
 *
 * const sort = new Popen(["sort"], { stdin: PIPE, stdout: PIPE, text: true });
 * const [output] = await sort.communicate("b\na\n", { timeout: 10_000 });
 * assertEquals(output, "a\nb\n");
 * assertEquals(sort.returncode, 0);
 * ```
 */
export class Popen<const O extends PopenOptions = PopenOptions>
  implements Waitable, AsyncDisposable {
  static {
    commandOf = (popen) => popen.#command;
    conclude = (popen) => popen.#conclude();
  }

  readonly #command: Command;
  #hasCommunicated = false;
  readonly #decoded = new Map<OutputName, string>();

  /**
   * Starts a command.
   *
   * @param args The program and its arguments.
   * @param options What it gets and where its outputs go.
   * @throws {TypeError} If an argument or an option has a wrong type.
   * @throws {RangeError} If an option is out of range.
   * @throws {CommandNotFoundError} If there is no such program.
   * @throws {WorkingDirectoryError} If `cwd` is no directory.
   * @throws {NotExecutableError} If the program may not be executed.
   * @throws {CommandPermissionError} If Deno may not run it; names the flag.
   * @throws {CommandAbortedError} If `signal` is aborted already.
   */
  constructor(args: CommandArgs, options?: Exact<O, PopenOptions>) {
    const plan = planCommand(args, options as RunOptions | undefined);
    if (plan.signal?.aborted) {
      const facts = plan.spec;
      throw new CommandAbortedError(
        `Cannot ${plan.spec.action}: it was aborted before its start`,
        { cause: plan.signal.reason, facts },
      );
    }
    this.#command = new Command(plan, denoPlatform);
  }

  /** The program and its arguments. */
  get args(): readonly string[] {
    return this.#command.plan.spec.args;
  }

  /** Its process id. */
  get pid(): number {
    return this.#command.pid;
  }

  /** The exit code; `-n` for signal `n`; `null` while it runs. */
  get returncode(): number | null {
    return this.#command.exit?.returncode ?? null;
  }

  /** The signal that ended it, or `null`. */
  get signal(): string | null {
    return this.#command.exit?.signal ?? null;
  }

  /** Resolves when it has ended; never rejects. */
  get exited(): Promise<PopenExit> {
    return this.#command.exited.then((exit) =>
      exit ?? { returncode: null, signal: null }
    );
  }

  /** What is written here is its input; `null` without `stdin: PIPE`. */
  get stdin(): StreamOf<O, "stdin", WritableStream<Uint8Array<ArrayBuffer>>> {
    const { plan, started } = this.#command;
    return (plan.input === undefined ? started.stdin : null) as never;
  }

  /** What it writes; `null` without `stdout: PIPE`. */
  get stdout(): StreamOf<O, "stdout", ReadableStream<Uint8Array<ArrayBuffer>>> {
    return this.#stream("stdout") as never;
  }

  /** Its error output; `null` without `stderr: PIPE`. */
  get stderr(): StreamOf<O, "stderr", ReadableStream<Uint8Array<ArrayBuffer>>> {
    return this.#stream("stderr") as never;
  }

  #stream(
    name: OutputName,
  ): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    const { plan, started } = this.#command;
    return plan[name].length === 1 && plan[name][0] === "piped"
      ? started[name]
      : null;
  }

  /**
   * Whom its signals reach: `"group"` is the command with its descendants. With
   * `killTree` it is `"command"` where a permission is missing: signals to a
   * group need `--allow-run` as a whole, or with `sh` or `kill` in its list.
   */
  get reach(): "group" | "command" {
    return this.#command.started.reach;
  }

  /**
   * Whether it ends with this program, however that ends: SIGTERM, and SIGKILL a
   * second later. It needs `sh` among what may be run; without it only
   * `Deno.exit` and uncaught errors end it.
   */
  get isGuarded(): boolean {
    return this.#command.started.isGuarded;
  }

  /** The exit code, or `null` while it runs. Python: same name. */
  poll(): number | null {
    return this.returncode;
  }

  /**
   * Waits for the end of the command.
   *
   * Python: same name. What is in its pipes is not read; with much output use
   * {@linkcode Popen.communicate}.
   *
   * **Cancel safety**: only the wait ends; the command goes on.
   *
   * @returns The exit code.
   * @throws {TimeoutExpired} If it does not end in time, or its own time is up.
   * @throws {CommandAbortedError} If its own signal was aborted.
   */
  async wait(options?: WaitOptions): Promise<number> {
    const wait = checkWait("wait for a command", options);
    await this.#bounded(this.#ended(), wait);
    return this.#conclude().returncode ?? -1;
  }

  async #ended(): Promise<void> {
    await this.#command.exited;
    // An ending goes on until its group is empty.
    if (this.#command.cause !== undefined) await this.#command.done();
    else await this.#command.started.release();
  }

  async #bounded(end: Promise<void>, wait: WaitOptions): Promise<void> {
    await waitBounded(end, wait, () => {
      const { plan } = this.#command;
      const facts = this.#facts("so far");
      return new TimeoutExpired(
        withLastLine(
          `Cannot wait longer for the end: ${
            plan.spec.action.slice(4)
          } has not ended after ${wait.timeout} ms`,
          facts.stderr,
        ),
        { facts: { ...facts, timedOut: true }, timeout: wait.timeout ?? 0 },
      );
    });
  }

  /**
   * Writes its input, reads all its outputs, and waits for its end.
   *
   * Python: same name. After a {@linkcode TimeoutExpired} it can be called again,
   * without an input, and nothing is lost. That the command does not read all of
   * its input is no error.
   *
   * **Cancel safety**: only the wait ends; the command goes on, and so do
   * writing and reading.
   *
   * @param input What to write to stdin, which is closed then. Needs
   * `stdin: PIPE`.
   * @returns What it wrote to stdout and stderr; `null` where that is no pipe.
   * @throws {TimeoutExpired} If it does not end in time, or its own time is up.
   * @throws {CommandAbortedError} If its own signal was aborted.
   * @throws {MaxBufferError} If it wrote more than `maxBuffer`.
   * @throws {OutputDecodeError} If it wrote what is no text.
   * @throws {InvalidStateError} If an input is given twice, or somebody else
   * reads an output.
   */
  async communicate(
    input?: CommandInput | null,
    options?: WaitOptions,
  ): Promise<[OutputOf<O, "stdout">, OutputOf<O, "stderr">]> {
    const action = "communicate with a command";
    const wait = checkWait(action, options);
    const command = this.#command;
    const stdin = command.plan.input === undefined
      ? command.started.stdin
      : null;
    if (input !== undefined && input !== null) {
      checkInput(action, input);
      if (stdin === null) {
        throw new InvalidStateError(`Cannot ${action}: its stdin is no pipe`);
      }
      if (this.#hasCommunicated) {
        throw new InvalidStateError(
          `Cannot ${action}: an input can be given the first time only`,
        );
      }
    }
    if (!this.#hasCommunicated) {
      for (const name of ["stdout", "stderr"] as const) {
        if (this.#stream(name)?.locked) {
          throw new InvalidStateError(
            `Cannot ${action}: somebody else reads its ${name}`,
          );
        }
      }
      if (stdin?.locked && input !== undefined && input !== null) {
        throw new InvalidStateError(
          `Cannot ${action}: somebody else writes its stdin`,
        );
      }
      this.#hasCommunicated = true;
      if (stdin !== null && !stdin.locked) command.feed(input ?? []);
      command.capture("stdout");
      command.capture("stderr");
    }
    await this.#bounded(command.done(), wait);
    const { stdout, stderr } = this.#conclude();
    return [stdout, stderr] as never;
  }

  /** Throws if it has failed by itself; gives all that is known. */
  #conclude(): CommandFacts {
    const { cause, plan } = this.#command;
    if (cause !== undefined && cause.kind !== "dispose") {
      throw failureOf(cause, plan, this.#facts("so far"));
    }
    return this.#facts("all");
  }

  #facts(extent: "all" | "so far"): CommandFacts {
    const { facts } = this.#command;
    const stdout = this.#captured("stdout", extent);
    const stderr = this.#captured("stderr", extent);
    return { ...facts, stdout, stderr };
  }

  #captured(name: OutputName, extent: "all" | "so far"): Captured {
    const bytes = this.#command.captured(name);
    const { text, spec } = this.#command.plan;
    if (bytes === null || text === undefined) return bytes;
    // What was cut off may end, or begin, within a character.
    const { incomplete, truncated } = this.#command.facts;
    if (extent === "so far" || incomplete || truncated) {
      return decodeSoFar(bytes, text);
    }
    const known = this.#decoded.get(name);
    if (known !== undefined) return known;
    try {
      const decoded = decodeAll(bytes, text);
      this.#decoded.set(name, decoded);
      return decoded;
    } catch (error) {
      if (!(error instanceof UndecodableError)) throw error;
      const facts = this.#facts("so far");
      throw new OutputDecodeError(
        withLastLine(
          `Cannot ${spec.action}: its ${name} is no text in ${text.encoding} at byte ${error.offset}`,
          facts.stderr,
        ),
        {
          cause: error.cause,
          facts,
          stream: name,
          offset: error.offset,
          encoding: text.encoding,
        },
      );
    }
  }

  /**
   * Sends a signal; nothing happens once it has ended. Python: `send_signal`.
   * With `killTree` it goes to all of its group.
   *
   * @throws {TypeError} If there is no such signal.
   */
  sendSignal(signal: Deno.Signal | number): void {
    if (typeof signal !== "string" && typeof signal !== "number") {
      throw new TypeError(
        `Cannot send signal: "signal" must be a name or a number, received ${
          shown(signal)
        }`,
      );
    }
    if (this.#command.exit !== undefined) return;
    this.#command.started.signalAll(signal);
  }

  /** Asks it to end: SIGTERM. Python: same name. */
  terminate(): void {
    this.sendSignal("SIGTERM");
  }

  /** Ends it: SIGKILL. Python: same name. */
  kill(): void {
    this.sendSignal("SIGKILL");
  }

  /**
   * Its output line by line, without the ends of lines (`\n` or `\r\n`).
   *
   * To leave the loop closes the pipe, and a command that writes on ends by
   * SIGPIPE. When its own `timeout` or `signal` has ended it, the loop throws
   * the same errors as `communicate`. {@linkcode Popen.lineBatches} is quicker.
   *
   * @throws {InvalidStateError} If the output is no pipe, or somebody reads it.
   */
  lines(options: LinesOptions = {}): AsyncIterableIterator<string> {
    const batches = this.lineBatches(options);
    let lines: readonly string[] = [];
    let at = 0;
    const next = async (): Promise<IteratorResult<string, undefined>> => {
      while (at >= lines.length) {
        const { value, done } = await batches.next();
        if (done) return { value: undefined, done };
        lines = value;
        at = 0;
      }
      return { value: lines[at++]!, done: false };
    };
    return {
      next,
      return: async () => {
        await batches.return?.();
        return { value: undefined, done: true };
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /**
   * Its output line by line, all that has arrived at a time.
   *
   * @throws {InvalidStateError} If the output is no pipe, or somebody reads it.
   *
   * @example
   * ```ts
   * import { PIPE, Popen } from "@multitask/std/subprocess";
   * import { assertEquals } from "@std/assert";
   *
   * const seq = new Popen(["seq", "100000"], { stdout: PIPE });
   * let sum = 0;
   * for await (const lines of seq.lineBatches()) {
   *   for (const line of lines) sum += Number(line);
   * }
   * assertEquals(sum, 5_000_050_000);
   * assertEquals(await seq.wait(), 0);
   * ```
   */
  lineBatches(options: LinesOptions = {}): AsyncIterableIterator<string[]> {
    const { stream: name = "stdout" } = options;
    const action = `read the lines of ${name}`;
    if (name !== "stdout" && name !== "stderr") {
      throw new TypeError(
        `Cannot read lines: "stream" must be "stdout" or "stderr", received ${
          shown(name)
        }`,
      );
    }
    const stream = this.#stream(name);
    if (stream === null) {
      throw new InvalidStateError(`Cannot ${action}: it is no pipe`);
    }
    if (stream.locked) {
      throw new InvalidStateError(`Cannot ${action}: somebody else reads it`);
    }
    const command = this.#command;
    const { lineText, maxBuffer = Infinity } = command.plan;
    const reader = new LineReader(stream, lineText, maxBuffer, {
      overflow: () => command.end({ kind: "overflow", stream: name }),
      failed: (error) => command.end({ kind: "redirect", error }),
    });
    command.addReading(reader);
    const next = async (): Promise<IteratorResult<string[], undefined>> => {
      const value = await this.#lines(reader, name);
      return value === undefined ? { value, done: true } : {
        value,
        done: false,
      };
    };
    return {
      next,
      return: () => {
        reader.stop();
        return Promise.resolve({ value: undefined, done: true });
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  async #lines(
    reader: LineReader,
    name: OutputName,
  ): Promise<string[] | undefined> {
    const command = this.#command;
    let lines: string[] | undefined;
    try {
      lines = await reader.next();
    } catch (error) {
      if (!(error instanceof UndecodableError)) throw error;
      const { encoding } = command.plan.lineText;
      throw new OutputDecodeError(
        `Cannot read the lines of ${name}: it is no text in ${encoding} at byte ${error.offset}`,
        {
          cause: error.cause,
          facts: command.facts,
          stream: name,
          offset: error.offset,
          encoding,
        },
      );
    }
    if (lines === undefined && command.cause !== undefined) {
      await command.done();
      this.#conclude();
    }
    return lines;
  }

  /** The lines of its stdout. */
  [Symbol.asyncIterator](): AsyncIterableIterator<string> {
    return this.lines();
  }

  /** Ready when the command has ended. */
  async [waitable](_signal: AbortSignal): Promise<void> {
    await this.#command.exited;
  }

  /** Closes its pipes, waits for `killGrace`, then ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const command = this.#command;
    const { stdin, stdout, stderr } = command.started;
    if (stdin !== null && !stdin.locked && !command.isFed) {
      stdin.close().catch(() => {});
    }
    for (const stream of [stdout, stderr]) {
      if (stream !== null && !stream.locked) stream.cancel().catch(() => {});
    }
    try {
      await waitBounded(
        command.exited,
        { timeout: command.plan.killGrace },
        () => new TimeoutExpired("It has not ended by itself"),
      );
    } catch {
      command.end({ kind: "dispose" });
    }
    await command.done();
  }
}
