// Copyright 2026 the multitask authors. MIT license.
// The platform's side of a command: starting it, its signals, and what the
// runtime's errors mean.
//
// Of several outputs in one pipe only a shell can make the order exact:
// `exec 2>&1` before it becomes the program. A group is made by the runtime
// (`detached`), which gives the command a session of its own. Signals to a group
// need the whole of --allow-run; else the warden sends them, or `kill`.

import { resourceClosed, resourceOpened } from "../ipc/_live.ts";
import { shown } from "../ipc/_options.ts";
import type {
  CommandExit,
  CommandSpec,
  OutputFile,
  Platform,
  SignalName,
  StartedCommand,
} from "./_platform.ts";
import { writeAll } from "./_write_all.ts";
import { mayWatch, watchOver } from "./_warden.ts";
import {
  CommandNotFoundError,
  CommandPermissionError,
  NotExecutableError,
  SubprocessError,
  WorkingDirectoryError,
} from "./errors.ts";

const isWindows = Deno.build.os === "windows";

/** The platform that commands really run on. */
export const denoPlatform: Platform = {
  spawn,
  openRead: (path) => openFile(path, { read: true }).readable,
  openWrite,
  write,
};

// ---- starting ----

/** Commands that live and shall not outlive this program. */
const owned = new Set<StartedCommand>();
let isHooked = false;

/** `Deno.exit` leaves children alone; where there is no warden this ends them. */
function hookEnd(): void {
  if (isHooked) return;
  isHooked = true;
  globalThis.addEventListener("unload", () => {
    for (const command of owned) command.signalAll("SIGKILL");
  });
}

function spawn(spec: CommandSpec): StartedCommand {
  const [program, ...args] = commandLine(spec);
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args,
      ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
      ...environment(spec),
      stdin: spec.stdin,
      stdout: spec.stdout,
      stderr: spec.stderr,
      detached: spec.killTree || spec.detached,
    }).spawn();
  } catch (error) {
    throw startError(error, spec, program);
  }
  return started(child, spec);
}

function commandLine(spec: CommandSpec): readonly [string, ...string[]] {
  const { args, shell, merge } = spec;
  if (shell && isWindows) return ["cmd", "/d", "/s", "/c", ...args];
  if (shell) {
    const [line, ...parameters] = args;
    return ["sh", "-c", merge ? `exec 2>&1\n${line}` : line, ...parameters];
  }
  if (!merge) return args;
  if (isWindows) {
    throw new SubprocessError(
      `Cannot ${spec.action}: stderr: STDOUT needs a POSIX shell`,
      { facts: spec },
    );
  }
  // The shell would say on the outputs of the command that it is not there.
  if (lookUp(spec) === false) throw notFound(spec, undefined);
  return ["sh", "-c", 'exec "$@" 2>&1', "sh", ...args];
}

function environment({ env, clearEnv }: CommandSpec): Deno.CommandOptions {
  const entries = Object.entries(env);
  const given: Record<string, string> = {};
  for (const [name, value] of entries) {
    if (value !== undefined) given[name] = value;
  }
  if (clearEnv || entries.every(([, value]) => value !== undefined)) {
    return { env: given, clearEnv };
  }
  // The runtime can only add: to leave one out, name all the others.
  const all = Deno.env.toObject();
  for (const [name] of entries) delete all[name];
  return { env: { ...all, ...given }, clearEnv: true };
}

function started(child: Deno.ChildProcess, spec: CommandSpec): StartedCommand {
  const { pid } = child;
  const isGroup = spec.killTree && !isWindows;
  const guard = spec.detached ? undefined : watchOver(isGroup ? -pid : pid);
  const sendToGroup = isGroup ? groupSender(pid, guard?.signal) : undefined;
  let hasEnded = false;
  const signal = (name: SignalName) => {
    if (hasEnded) return;
    try {
      child.kill(name as Deno.Signal);
    } catch (error) {
      // It has just ended by itself, which is told in a later turn.
      if (!isGone(error)) throw error;
    }
  };
  let released: Promise<void> | undefined;
  const release = async () => {
    await Promise.all(killers.get(pid) ?? []);
    killers.delete(pid);
    await guard?.release();
    owned.delete(command);
    resourceClosed(command);
  };
  const command: StartedCommand = {
    pid,
    exited: exitOf(child.status).then((exit) => {
      hasEnded = true;
      return exit;
    }),
    stdin: spec.stdin === "piped" ? child.stdin : null,
    stdout: spec.stdout === "piped" ? child.stdout : null,
    stderr: spec.stderr === "piped" ? child.stderr : null,
    reach: sendToGroup === undefined ? "command" : "group",
    isGuarded: guard?.isGuarded ?? false,
    signal,
    signalAll: (name) => {
      if (sendToGroup === undefined) return signal(name);
      sendToGroup(name);
    },
    groupAlive: () => {
      if (!isGroup) return false;
      if (!mayKill()) return undefined;
      try {
        Deno.kill(-pid, 0 as unknown as Deno.Signal);
        return true;
      } catch {
        return false;
      }
    },
    release: () => released ??= release(),
    ref: () => child.ref(),
    unref: () => child.unref(),
  };
  if (!spec.detached) {
    hookEnd();
    owned.add(command);
    resourceOpened(command, `command ${pid} (${spec.args[0]})`);
  } else {
    child.unref();
  }
  return command;
}

/** The runtime has no name for real-time signals, and says so by throwing. */
function exitOf(status: Promise<Deno.CommandStatus>): Promise<CommandExit> {
  return status.then(
    ({ code, signal }) =>
      signal === null
        ? { returncode: code, signal }
        : { returncode: 128 - code, signal },
    (error: unknown) => {
      const number = /signal:? (\d+)/i.exec(String(error))?.[1];
      return number === undefined
        ? { returncode: -1, signal: null }
        : { returncode: -Number(number), signal: `SIG${number}` };
    },
  );
}

// ---- signals ----

/** Programs that send signals at this moment, by the group they are for. */
const killers = new Map<number, Promise<unknown>[]>();

function mayKill(): boolean {
  return Deno.permissions.querySync({ name: "run" }).state === "granted";
}

/** How to signal a group, if there is a way. */
function groupSender(
  pid: number,
  byWarden: ((name: string) => void) | undefined,
): ((signal: SignalName) => void) | undefined {
  if (mayKill()) {
    return (signal) => {
      try {
        Deno.kill(-pid, signal as Deno.Signal);
      } catch (error) {
        if (!isGone(error)) throw error;
      }
    };
  }
  if (byWarden !== undefined && mayWatch()) {
    return (signal) => byWarden(shellName(signal));
  }
  const command = { name: "run", command: "kill" } as const;
  if (Deno.permissions.querySync(command).state !== "granted") return undefined;
  return (signal) => {
    const { status } = new Deno.Command("kill", {
      args: ["-s", shellName(signal), "--", `-${pid}`],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    killers.set(pid, [...killers.get(pid) ?? [], status]);
  };
}

function shellName(signal: SignalName): string {
  return String(signal).replace(/^SIG/, "");
}

function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound ||
    (error instanceof TypeError && /already terminated/.test(error.message)) ||
    /ESRCH/.test(String(error));
}

// ---- errors ----

function startError(
  error: unknown,
  spec: CommandSpec,
  program: string,
): unknown {
  const { action } = spec;
  const options = { cause: error, facts: spec };
  if (error instanceof Deno.errors.NotCapable) {
    if (/\benv access\b/.test(error.message)) {
      return new CommandPermissionError(
        `Cannot ${action}: to leave a variable out of its environment, add --allow-env`,
        { ...options, flag: "--allow-env" },
      );
    }
    const library = /\b(LD_\w+|DYLD_\w+)/.exec(error.message)?.[1];
    const flag = library === undefined
      ? `--allow-run=${program}`
      : "--allow-run";
    return new CommandPermissionError(
      library === undefined
        ? `Cannot ${action}: add ${flag}`
        : `Cannot ${action}: with ${library} in its environment it needs the whole of ${flag}`,
      { ...options, flag },
    );
  }
  if (
    error instanceof Deno.errors.NotFound ||
    error instanceof Deno.errors.PermissionDenied ||
    error instanceof Deno.errors.NotADirectory
  ) {
    const directory = directoryProblem(spec, error);
    if (directory !== undefined) {
      return new WorkingDirectoryError(
        `Cannot ${action}: the working directory ${
          shown(spec.cwd)
        } ${directory}`,
        options,
      );
    }
    if (error instanceof Deno.errors.NotFound) return notFound(spec, error);
    return new NotExecutableError(
      `Cannot ${action}: ${shown(program)} may not be executed`,
      options,
    );
  }
  const message = error instanceof Error ? error.message : String(error);
  return new SubprocessError(`Cannot ${action}: ${message}`, options);
}

/** The runtime blames the program for a bad working directory. */
function directoryProblem(
  { cwd }: CommandSpec,
  error: Error,
): string | undefined {
  if (cwd === undefined) return undefined;
  try {
    return Deno.statSync(cwd).isDirectory ? undefined : "is no directory";
  } catch (problem) {
    if (problem instanceof Deno.errors.NotFound) return "does not exist";
    if (problem instanceof Deno.errors.PermissionDenied) {
      return "may not be entered";
    }
    // Without --allow-read of it there are only the words of the runtime.
    if (/No such cwd/i.test(error.message)) return "does not exist";
    if (/cwd is not a directory/i.test(error.message)) return "is no directory";
    return undefined;
  }
}

function notFound(spec: CommandSpec, cause: unknown): CommandNotFoundError {
  const program = spec.shell ? "sh" : spec.args[0];
  const isPath = program.includes("/");
  const why = isPath && isThere(program)
    ? "the interpreter that its first line names is not there"
    : isPath
    ? "there is no such file"
    : /\s/.test(program)
    ? "there is no such program; pass its arguments as an array, or a command line with shell: true"
    : "there is no such program in PATH";
  return new CommandNotFoundError(`Cannot ${spec.action}: ${why}`, {
    ...(cause === undefined ? {} : { cause }),
    facts: spec,
  });
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Whether the program is there; `undefined` where that cannot be told. */
function lookUp({ args, cwd, env }: CommandSpec): boolean | undefined {
  const [program] = args;
  try {
    if (program.includes("/")) {
      Deno.statSync(
        program.startsWith("/") || cwd === undefined
          ? program
          : `${cwd}/${program}`,
      );
      return true;
    }
    const path = env.PATH ?? Deno.env.get("PATH") ?? "/usr/bin:/bin";
    return path.split(":").some((folder) => isThere(`${folder}/${program}`));
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? false : undefined;
  }
}

// ---- files ----

function openFile(
  path: string | URL,
  options: Deno.OpenOptions,
): Deno.FsFile {
  try {
    return Deno.openSync(path, options);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    const flag = `--allow-${options.read ? "read" : "write"}=${
      path instanceof URL ? decodeURIComponent(path.pathname) : path
    }`;
    throw new CommandPermissionError(
      `Cannot open the file for a command: add ${flag}`,
      { cause: error, flag },
    );
  }
}

function openWrite(path: string | URL, append: boolean): OutputFile {
  const file = openFile(path, {
    write: true,
    create: true,
    append,
    truncate: !append,
  });
  return {
    write: (chunk) => writeAll(file, chunk),
    close: () => file.close(),
  };
}

function write(to: "stdout" | "stderr", chunk: Uint8Array): Promise<void> {
  return writeAll(Deno[to], chunk);
}
