// Copyright 2026 the multitask authors. MIT license.
// The options of all functions that run commands, and their checks.

import { checkNonNegative, checkWait, shown } from "../ipc/_options.ts";
import type { OverflowMode } from "./_capture.ts";
import type { InputChunk } from "./_feed.ts";
import type { CommandSpec } from "./_platform.ts";
import { decoderFor, type TextMode } from "./_text.ts";

/** A program and its arguments; with `shell` a command line. */
export type CommandArgs = string | URL | readonly (string | URL)[];

/** A file that an output goes to. */
export interface FileTarget {
  /** Where it is. */
  readonly path: string | URL;
  /**
   * Whether to write at its end instead of emptying it first.
   *
   * @default {false}
   */
  readonly append?: boolean;
}

/** What bytes can be written to, such as an open `Deno.FsFile`. */
export interface OutputWriter {
  /** Writes some of the bytes; resolves to how many. */
  write(chunk: Uint8Array): Promise<number>;
}

/** One place where an output goes. */
export type OutputPlace =
  | "inherit"
  | "piped"
  | "null"
  | URL
  | FileTarget
  | WritableStream<Uint8Array<ArrayBuffer>>
  | OutputWriter;

/**
 * Where an output goes: to this program's own (`"inherit"`), into a pipe
 * (`PIPE`), nowhere (`DEVNULL`), into a file (a URL, `{ path, append }`, an open
 * `Deno.FsFile`), into a stream (which stays open); or to several of them at
 * once, as an array.
 */
export type OutputTarget = OutputPlace | readonly OutputPlace[];

/** What can be a command's input. */
export type CommandInput =
  | InputChunk
  | URL
  | { readonly path: string | URL }
  | { readonly readable: ReadableStream<Uint8Array> }
  | { readonly stdout: ReadableStream<Uint8Array> | InputChunk | null }
  | AsyncIterable<InputChunk>
  | Iterable<InputChunk>;

/** Options of {@linkcode Popen} and of all that is made with it. */
export interface PopenOptions {
  /**
   * Where its input comes from: this program's own, a pipe (`PIPE`), nothing
   * (`DEVNULL`), or what {@linkcode RunOptions.input} can be: `first.stdout`.
   *
   * @default {"inherit"}
   */
  stdin?:
    | "inherit"
    | "piped"
    | "null"
    | Exclude<CommandInput, string>;
  /**
   * Where its stdout goes.
   *
   * @default {"inherit"}
   */
  stdout?: OutputTarget;
  /**
   * Where its stderr goes; `STDOUT` is where stdout goes, in one pipe.
   *
   * @default {"inherit"}
   */
  stderr?: OutputTarget | "stdout";
  /**
   * Whether captured output is text, in UTF-8 if `encoding` says nothing else.
   *
   * @default {false}
   */
  text?: boolean;
  /** The encoding of the outputs, a label of the Encoding standard; makes them text. */
  encoding?: string;
  /**
   * What becomes of bytes that fit no character: an error that says where, or
   * U+FFFD in their place.
   *
   * @default {"strict"}
   */
  errors?: "strict" | "replace";
  /** Its working directory. The default is this program's own. */
  cwd?: string | URL;
  /**
   * Environment variables to add to this program's own; `undefined` leaves one
   * out.
   *
   * @default {{}}
   */
  env?: Readonly<Record<string, string | undefined>>;
  /**
   * Whether its environment is `env` alone.
   *
   * @default {false}
   */
  clearEnv?: boolean;
  /**
   * Whether the command is a line for the shell; more elements of an array are
   * its `$0`, `$1` and so on.
   *
   * @default {false}
   */
  shell?: boolean;
  /**
   * How long it may take, in milliseconds; then it is ended: SIGTERM, SIGKILL
   * after `killGrace`, and `drain` later it is done with in any case.
   *
   * @default {undefined} as long as it likes
   */
  timeout?: number;
  /** Ends the command as `timeout` does when it is aborted. */
  signal?: AbortSignal;
  /**
   * How long a command that is to end has after SIGTERM, in milliseconds.
   *
   * @default {5000}
   */
  killGrace?: number;
  /**
   * Whether signals go to all of the command's group: it gets one of its own,
   * and a session, so that Ctrl-C does not reach it. Descendants that make a
   * session of their own (`setsid`) escape. Without the permission for it
   * `reach` is `"command"`.
   *
   * @default {false}
   */
  killTree?: boolean;
  /**
   * How long, in milliseconds, outputs are read on that somebody else holds
   * open, once the command itself has ended.
   *
   * @default {1000} for a command that was ended; without a limit for one that
   * has ended by itself, as long as `timeout` allows
   */
  drain?: number;
  /**
   * The most that is captured of an output, in bytes; for `lines()` the longest
   * line.
   *
   * @default {undefined} no limit
   */
  maxBuffer?: number;
  /**
   * What happens beyond `maxBuffer`: the command is ended and the call fails,
   * the rest is dropped, or only the end is kept.
   *
   * @default {"fail"}
   */
  overflow?: OverflowMode;
  /**
   * Whether the command may outlive this program, which then does not wait for
   * it.
   *
   * @default {false}
   */
  detached?: boolean;
}

/** Options of {@linkcode run}. */
export interface RunOptions extends PopenOptions {
  /**
   * What to write to its stdin: text, bytes, a file (a URL or `{ path }`), a
   * stream, an iterable of chunks, or what another command wrote (a `Popen`, a
   * `CompletedProcess`).
   *
   * That it is not read is no error. A descendant that keeps stdin open and does
   * not read holds up the write, and with it the end of the program, but not the
   * call.
   */
  input?: CommandInput;
  /**
   * Whether `stdout` and `stderr` are captured, as with `PIPE` for both.
   *
   * @default {false}
   */
  captureOutput?: boolean;
  /**
   * Whether another exit code than 0 is an error.
   *
   * @default {false}
   */
  check?: boolean;
}

/** The checked options of a command. */
export interface CommandPlan {
  readonly spec: CommandSpec;
  readonly input: CommandInput | undefined;
  readonly stdout: readonly OutputPlace[];
  readonly stderr: readonly OutputPlace[];
  readonly text: TextMode | undefined;
  /** How to decode where text is wanted in any case. */
  readonly lineText: TextMode;
  readonly timeout: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly killGrace: number;
  readonly drain: number | undefined;
  readonly maxBuffer: number | undefined;
  readonly overflow: OverflowMode;
}

/** Milliseconds between SIGTERM and SIGKILL, if nothing else is said. */
export const KILL_GRACE = 5000;

/** Milliseconds for outputs that others hold open once the command was ended. */
export const DRAIN = 1000;

const BOOLEANS = [
  "text",
  "clearEnv",
  "shell",
  "killTree",
  "detached",
  "captureOutput",
  "check",
] as const;

const OVERFLOW_MODES: readonly unknown[] = ["fail", "truncate", "tail"];
const ERROR_MODES: readonly unknown[] = ["strict", "replace"];
const PLACES: readonly unknown[] = ["inherit", "piped", "null"];

/** A command as it is told in messages. */
export function actionFor(args: readonly string[], shell: boolean): string {
  const name = shell ? args[0]! : args.map(quoted).join(" ");
  return `run ${name.length > 100 ? `${name.slice(0, 100)}…` : name}`;
}

function quoted(arg: string): string {
  return /^[\w@%+=:,./-]+$/.test(arg)
    ? arg
    : `'${arg.replaceAll("'", `'\\''`)}'`;
}

/** Checks a command and its options; nothing has happened yet. */
export function planCommand(
  command: CommandArgs,
  options: RunOptions = {},
): CommandPlan {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot run command: the options must be an object, received ${
        shown(options)
      }`,
    );
  }
  const args = checkArgs(command);
  const { shell = false, killTree = false, detached = false } = options;
  const action = actionFor(args, shell === true);
  for (const name of BOOLEANS) {
    const value = options[name];
    if (value !== undefined && typeof value !== "boolean") {
      throw wrong(action, name, "true or false", value);
    }
  }
  checkWait(action, options);
  for (const name of ["killGrace", "drain", "maxBuffer"] as const) {
    if (options[name] !== undefined) {
      checkNonNegative(action, name, options[name]);
    }
  }
  const { overflow = "fail", errors = "strict" } = options;
  if (!OVERFLOW_MODES.includes(overflow)) {
    throw wrong(action, "overflow", '"fail", "truncate" or "tail"', overflow);
  }
  if (!ERROR_MODES.includes(errors)) {
    throw wrong(action, "errors", '"strict" or "replace"', errors);
  }
  const lineText = checkEncoding(action, options.encoding, errors);
  const isText = options.text ?? options.encoding !== undefined;
  const stdout = checkOutput(action, "stdout", options);
  const merge = options.stderr === "stdout";
  const stderr = merge ? [] : checkOutput(action, "stderr", options);
  const { mode, input } = checkStdin(action, options);
  return {
    spec: {
      args,
      cwd: checkCwd(action, options.cwd),
      env: checkEnv(action, options.env),
      clearEnv: options.clearEnv ?? false,
      shell,
      stdin: mode,
      stdout: spawnMode(stdout),
      stderr: merge ? "null" : spawnMode(stderr),
      merge,
      killTree,
      detached,
      action,
    },
    input,
    stdout,
    stderr,
    text: isText ? lineText : undefined,
    lineText,
    timeout: options.timeout,
    signal: options.signal,
    killGrace: options.killGrace ?? KILL_GRACE,
    drain: options.drain,
    maxBuffer: options.maxBuffer,
    overflow,
  };
}

function wrong(
  action: string,
  name: string,
  what: string,
  value: unknown,
): TypeError {
  return new TypeError(
    `Cannot ${action}: "${name}" must be ${what}, received ${shown(value)}`,
  );
}

function checkArgs(command: CommandArgs): readonly [string, ...string[]] {
  const list = typeof command === "string" || command instanceof URL
    ? [command]
    : command;
  if (!Array.isArray(list)) {
    throw wrong("run command", "args", "a string or an array", command);
  }
  const args = list.map((arg: unknown, i) => {
    const text = arg instanceof URL ? pathOf(arg) : arg;
    if (typeof text !== "string") {
      throw wrong("run command", `args[${i}]`, "a string", arg);
    }
    if (text.includes("\0") || !text.isWellFormed()) {
      throw wrong(
        "run command",
        `args[${i}]`,
        "without NUL and lone surrogates",
        arg,
      );
    }
    return text;
  });
  const [program] = args;
  if (program === undefined || program === "") {
    throw wrong("run command", "args", "a command", command);
  }
  return args as [string, ...string[]];
}

function pathOf(url: URL): string {
  if (url.protocol !== "file:") {
    throw new TypeError(
      `Cannot run command: a URL must be one of a file, received "${url.href}"`,
    );
  }
  const path = decodeURIComponent(url.pathname);
  return Deno.build.os === "windows" ? path.slice(1) : path;
}

function checkCwd(action: string, cwd: unknown): string | undefined {
  if (cwd instanceof URL) return pathOf(cwd);
  if (cwd !== undefined && (typeof cwd !== "string" || cwd === "")) {
    throw wrong(action, "cwd", "a path or a URL", cwd);
  }
  return cwd;
}

function checkEnv(
  action: string,
  env: unknown = {},
): Readonly<Record<string, string | undefined>> {
  if (typeof env !== "object" || env === null) {
    throw wrong(action, "env", "an object", env);
  }
  for (const [name, value] of Object.entries(env)) {
    if (name === "" || /[=\0]/.test(name)) {
      throw wrong(action, "env", 'without "=" and NUL in names', name);
    }
    if (
      value !== undefined &&
      (typeof value !== "string" || value.includes("\0"))
    ) throw wrong(action, `env.${name}`, "a string without NUL", value);
  }
  return { ...env };
}

function checkEncoding(
  action: string,
  encoding: unknown = "utf-8",
  errors: "strict" | "replace",
): TextMode {
  if (typeof encoding !== "string") {
    throw wrong(action, "encoding", "a string", encoding);
  }
  const mode: TextMode = { encoding, errors };
  try {
    decoderFor(mode);
  } catch (cause) {
    throw new RangeError(
      `Cannot ${action}: "encoding" must be a label of the Encoding standard, received ${
        shown(encoding)
      }`,
      { cause },
    );
  }
  return mode;
}

function checkOutput(
  action: string,
  name: "stdout" | "stderr",
  options: RunOptions,
): readonly OutputPlace[] {
  const target = options[name];
  if (options.captureOutput) {
    if (target !== undefined) {
      throw new TypeError(
        `Cannot ${action}: "captureOutput" and "${name}" exclude each other`,
      );
    }
    return ["piped"];
  }
  const places: readonly unknown[] = Array.isArray(target)
    ? target
    : [target ?? "inherit"];
  for (const place of places) {
    if (!isPlace(place)) {
      throw wrong(
        action,
        name,
        'PIPE, DEVNULL, "inherit", a file or a stream',
        place,
      );
    }
  }
  return places as readonly OutputPlace[];
}

function isPlace(place: unknown): boolean {
  if (PLACES.includes(place)) return true;
  if (typeof place !== "object" || place === null) return false;
  return place instanceof URL || place instanceof WritableStream ||
    "path" in place || "write" in place;
}

/** What the platform is to do; all that it cannot do goes through a pipe. */
function spawnMode(
  places: readonly OutputPlace[],
): "inherit" | "null" | "piped" {
  const [place] = places.filter((place) => place !== "null");
  if (place === undefined) return "null";
  const isOne = places.filter((place) => place !== "null").length === 1;
  return isOne && place === "inherit" ? "inherit" : "piped";
}

function checkStdin(
  action: string,
  { input, stdin = "inherit" }: RunOptions,
): { mode: CommandSpec["stdin"]; input: CommandInput | undefined } {
  if (input !== undefined) {
    if (stdin !== "inherit" && stdin !== "piped") {
      throw new TypeError(
        `Cannot ${action}: "input" and "stdin" exclude each other`,
      );
    }
    checkInput(action, input);
    return { mode: "piped", input };
  }
  if (stdin === "inherit" || stdin === "piped" || stdin === "null") {
    return { mode: stdin as CommandSpec["stdin"], input: undefined };
  }
  if (typeof stdin === "string" || !isInput(stdin)) {
    throw wrong(
      action,
      "stdin",
      'PIPE, DEVNULL, "inherit", a file or a stream',
      stdin,
    );
  }
  return { mode: "piped", input: stdin };
}

/** Throws unless it can be a command's input. */
export function checkInput(action: string, input: unknown): void {
  if (isInput(input)) return;
  throw wrong(action, "input", "text, bytes, a file or a stream", input);
}

function isInput(input: unknown): boolean {
  if (typeof input === "string") return true;
  if (typeof input !== "object" || input === null) return false;
  return input instanceof URL || input instanceof ArrayBuffer ||
    Symbol.iterator in input || Symbol.asyncIterator in input ||
    "path" in input || "readable" in input || "stdout" in input;
}

/** Refuses options that a function sets itself. */
export function checkBare(
  action: string,
  options: unknown,
  names: readonly string[],
): void {
  if (typeof options !== "object" || options === null) return;
  for (const name of names) {
    if ((options as Record<string, unknown>)[name] !== undefined) {
      throw new TypeError(`Cannot ${action}: "${name}" cannot be given here`);
    }
  }
}
