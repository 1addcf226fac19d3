// Copyright 2026 the multitask authors. MIT license.
// Programs in a process of their own, with a hard deadline, and what they may
// not leave behind: processes, temporary directories, live resources.

import { assertEquals, AssertionError } from "@std/assert";
import { deadline } from "@std/async";
import { homes } from "../../ipc/_homes.ts";
import { liveResources } from "../../ipc/_live.ts";
import { activeChildren } from "../../process/mod.ts";

/** Far more than a program takes, even on a busy machine. */
const PROGRAM_BOUND = 20_000;

/** The same for a test, which may run a program. */
const TEST_BOUND = 40_000;

/** How long the last processes of a program may take to go. */
const GONE_PATIENCE = 10_000;

const isLinux = Deno.build.os === "linux";

/** How a program is run. */
export interface RunOptions {
  /** The permissions and other flags. */
  flags?: readonly string[];
  /** The arguments. */
  args?: readonly string[];
  /** Environment variables to add. */
  env?: Readonly<Record<string, string>>;
  /** Milliseconds before the program is killed and the test fails. */
  timeout?: number;
  /** Called with the process id of the program once it is there. */
  onStart?: (pid: number) => void;
}

/** How a program ended, and what it wrote. */
export interface RunResult {
  readonly pid: number;
  readonly code: number;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The URL of a fixture. */
export function fixture(name: string): string {
  return new URL(`./fixtures/${name}`, import.meta.url).href;
}

/** The path of a fixture. */
export function fixturePath(name: string): string {
  return decodeURIComponent(new URL(fixture(name)).pathname);
}

/**
 * Runs a fixture under just these flags, waits for its end, and fails if it
 * takes too long or leaves a process or a temporary directory behind.
 */
export function runFixture(
  name: string,
  options?: RunOptions,
): Promise<RunResult> {
  return runProgram(new URL(fixture(name)), options);
}

/** The same for the fixture of another suite. */
export function runProgram(
  url: URL,
  { flags = ["-A"], args = [], ...options }: RunOptions = {},
): Promise<RunResult> {
  return runDeno([
    "run",
    "--quiet",
    "--no-prompt",
    "--no-check",
    ...flags,
    decodeURIComponent(url.pathname),
    ...args,
  ], options);
}

/** The same for any command of Deno. */
export async function runDeno(
  args: readonly string[],
  { env = {}, timeout = PROGRAM_BOUND, onStart }: Omit<
    RunOptions,
    "flags" | "args"
  > = {},
): Promise<RunResult> {
  const temp = await Deno.makeTempDir({ prefix: "process_test_" });
  // In a session of its own: whoever belongs to the program can be told.
  const [command, ...before] = isLinux
    ? ["/usr/bin/setsid", Deno.execPath()]
    : [Deno.execPath()];
  const child = new Deno.Command(command!, {
    args: [...before, ...args],
    env: { NO_COLOR: "1", TMPDIR: temp, ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  onStart?.(child.pid);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    killSession(child.pid);
  }, timeout);
  const { code, signal, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const result: RunResult = {
    pid: child.pid,
    code,
    signal,
    stdout: new TextDecoder().decode(stdout),
    stderr: new TextDecoder().decode(stderr),
  };
  try {
    if (late) throw new AssertionError(`Not over in ${timeout} ms`);
    await assertSessionGone(child.pid);
    assertEquals(namesIn(temp), [], "A temporary file is left");
  } catch (error) {
    throw new AssertionError(
      `${(error as Error).message}\n${args.join(" ")}\n${shown(result)}`,
    );
  } finally {
    await Deno.remove(temp, { recursive: true });
  }
  return result;
}

/** The whole result, for the message of a failed assertion. */
export function shown({ code, signal, stdout, stderr }: RunResult): string {
  return `exit code ${code}, signal ${signal}\n--- stdout\n${stdout}\n--- stderr\n${stderr}`;
}

/** Fails unless the program ended well; gives the JSON it wrote last. */
export function reported(result: RunResult): unknown {
  assertEquals(result.code, 0, shown(result));
  try {
    return JSON.parse(result.stdout.trimEnd().split("\n").at(-1)!);
  } catch {
    throw new AssertionError(`No report\n${shown(result)}`);
  }
}

function namesIn(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name);
}

interface ProcessState {
  readonly pid: number;
  readonly state: string;
  readonly session: number;
}

function stateOf(pid: number): ProcessState | undefined {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // The name of the program, in brackets, may hold anything.
    const [state, _parent, _group, session] = stat
      .slice(stat.lastIndexOf(")") + 2).split(" ");
    return { pid, state: state!, session: Number(session) };
  } catch {
    return undefined; // It has ended meanwhile.
  }
}

function sessionMembers(session: number): number[] {
  if (!isLinux) return [];
  return namesIn("/proc").filter((name) => /^\d+$/.test(name))
    .map((name) => stateOf(Number(name)))
    .filter((found) => found?.session === session && found.state !== "Z")
    .map((found) => found!.pid);
}

function killSession(session: number): void {
  for (const pid of new Set([session, ...sessionMembers(session)])) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}

async function assertSessionGone(session: number): Promise<void> {
  try {
    await until(
      () => sessionMembers(session).length === 0,
      "Processes are left",
    );
  } catch (error) {
    killSession(session);
    throw error;
  }
}

/** Whether a process runs; a zombie does not. */
export function isRunning(pid: number): boolean {
  if (!isLinux) {
    try {
      Deno.kill(pid, "SIGCONT");
      return true;
    } catch {
      return false;
    }
  }
  const found = stateOf(pid);
  return found !== undefined && found.state !== "Z";
}

/** Waits until what only the kernel knows has become true. */
export async function until(
  condition: () => boolean,
  otherwise: string,
): Promise<void> {
  const end = performance.now() + GONE_PATIENCE;
  while (!condition()) {
    if (performance.now() > end) throw new AssertionError(otherwise);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Fails if this package holds anything open here. */
export async function assertNothingLive(): Promise<void> {
  // Whoever is told of a process's end may be told before all is closed.
  await new Promise((resolve) => setTimeout(resolve, 0));
  // A sleep that nobody needs any more ends in a moment.
  await until(() => homes.mapped?.isAsleep !== true, "This thread sleeps on");
  assertEquals(liveResources(), []);
}

/** A test that starts processes: bounded, and nothing is left afterwards. */
export function processTest(name: string, test: () => Promise<void>): void {
  Deno.test(name, async () => {
    try {
      await deadline(test(), TEST_BOUND);
    } catch (error) {
      // The tests behind it shall not suffer from this one.
      for (const child of activeChildren()) {
        child.kill();
        await child.join({ timeout: GONE_PATIENCE });
      }
      throw error;
    }
    await assertNothingLive();
  });
}

/** All of a stream, as text. */
export function textOf(stream: ReadableStream<Uint8Array> | null) {
  return new Response(stream as BodyInit | null).text();
}
