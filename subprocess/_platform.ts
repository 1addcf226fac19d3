// Copyright 2026 the multitask authors. MIT license.
// What this module needs of a platform. `_deno_platform.ts` and `_warden.ts` are
// the only files here that call Deno; everything else can be tried with fakes.

/** How a command ended. */
export interface CommandExit {
  /** The exit code; `-n` for signal `n`. */
  readonly returncode: number;
  /** The signal that ended it, or `null`. */
  readonly signal: string | null;
}

/** What a command is started with. */
export interface CommandSpec {
  readonly args: readonly [string, ...string[]];
  readonly cwd: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clearEnv: boolean;
  /** Whether `args` is a command line for the shell and its parameters. */
  readonly shell: boolean;
  readonly stdin: "inherit" | "null" | "piped";
  readonly stdout: "inherit" | "null" | "piped";
  readonly stderr: "inherit" | "null" | "piped";
  /** Whether stderr goes where stdout goes. */
  readonly merge: boolean;
  /** Whether it gets a group of its own, and signals go to all of it. */
  readonly killTree: boolean;
  /** Whether it may outlive this program. */
  readonly detached: boolean;
  /** What fails, for error messages. */
  readonly action: string;
}

/** The name or the number of a signal. */
export type SignalName = string | number;

/** A command that was started. */
export interface StartedCommand {
  readonly pid: number;
  /** Never rejects. */
  readonly exited: Promise<CommandExit>;
  readonly stdin: WritableStream<Uint8Array<ArrayBuffer>> | null;
  readonly stdout: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  readonly stderr: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  /** Whom {@linkcode StartedCommand.signalAll} reaches. */
  readonly reach: "group" | "command";
  /** Sends to the command alone; nothing happens once it has ended. */
  signal(signal: SignalName): void;
  /** Sends to its whole group where that is possible, else to the command. */
  signalAll(signal: SignalName): void;
  /** Whether a member of its group is left; `undefined` where nobody can tell. */
  groupAlive(): boolean | undefined;
  /** Whether it ends with this program, however that ends. */
  readonly isGuarded: boolean;
  /** It is done with; nobody needs to watch over it any more. */
  release(): Promise<void>;
  ref(): void;
  unref(): void;
}

/** A file that is written at its end. */
export interface OutputFile {
  write(chunk: Uint8Array): Promise<void>;
  close(): void;
}

/** What starts commands. */
export interface Platform {
  /** Throws at once when the command cannot be started. */
  spawn(spec: CommandSpec): StartedCommand;
  openRead(path: string | URL): ReadableStream<Uint8Array<ArrayBuffer>>;
  openWrite(path: string | URL, append: boolean): OutputFile;
  /** Writes to an output of this program. */
  write(to: "stdout" | "stderr", chunk: Uint8Array): Promise<void>;
}
