// Copyright 2026 the multitask authors. MIT license.
// Runs a program of a test in a session of its own, so that everything that
// descends from it can be found, whatever becomes of its parents. The program
// has a deadline and a directory of its own for temporary files; when it has
// ended, nothing of it may be left.

import { AssertionError } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);

/** Far more than any program here takes, even on a busy machine. */
const DEADLINE = 40_000;

/** How long descendants may take to follow a program into its end. */
const LEFTOVER_BOUND = 10_000;

/** Between two looks at the processes of the machine. */
const LOOK_INTERVAL = 10;

/** Options of {@linkcode Program}. */
export interface ProgramOptions {
  /** Flags of `deno run`. The default is `-A`. */
  flags?: readonly string[];
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
}

/** How a program ended, and what it printed. */
export interface Ended {
  readonly code: number;
  readonly signal: string | null;
  readonly lines: readonly string[];
  readonly stderr: string;
}

/** A fixture that runs as a program. */
export class Program implements AsyncDisposable {
  /** Its directory for temporary files. */
  readonly temp: string = Deno.makeTempDirSync({ prefix: "fault-" });
  readonly lines: string[] = [];
  stderr = "";
  readonly #name: string;
  readonly #process: Deno.ChildProcess;
  readonly #outputs: Promise<unknown>;
  #status: Deno.CommandStatus | undefined;
  #late = false;
  #change = Promise.withResolvers<void>();

  /** Starts `fixtures/<name>.ts`. */
  constructor(name: string, options: ProgramOptions = {}) {
    const fixture = new URL(`./fixtures/${name}.ts`, import.meta.url);
    this.#name = name;
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-check",
        "--no-prompt",
        `--config=${new URL("deno.json", ROOT).pathname}`,
        ...options.flags ?? ["-A"],
        fixture.pathname,
        ...options.args ?? [],
      ],
      env: { NO_COLOR: "1", TMPDIR: this.temp, ...options.env },
      detached: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#outputs = Promise.all([
      this.#read(this.#process.stdout, (text) => this.#print(text)),
      this.#read(this.#process.stderr, (text) => this.stderr += text),
    ]);
    const deadline = setTimeout(() => {
      this.#late = true;
      this.#killAll();
    }, DEADLINE);
    this.#process.status.then((status) => {
      clearTimeout(deadline);
      this.#status = status;
      this.#changed();
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  async #read(
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
    take: (text: string) => void,
  ): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      take(text);
      this.#changed();
    }
    this.#changed();
  }

  #partial = "";

  #print(text: string): void {
    const lines = (this.#partial + text).split("\n");
    this.#partial = lines.pop()!;
    this.lines.push(...lines);
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  /** Waits for a line that starts with `start`, and gives its rest. */
  async line(start: string): Promise<string> {
    while (true) {
      const line = this.lines.find((line) => line.startsWith(start));
      if (line !== undefined) return line.slice(start.length).trim();
      if (this.#status !== undefined) {
        throw this.#failure(`ended and did not print "${start}"`);
      }
      await this.#change.promise;
    }
  }

  /** Waits for a line that starts with `label`: the rest of it is JSON. */
  async report<T>(label: string): Promise<T> {
    // What the fixture prints is what its test asks for.
    return JSON.parse(await this.line(`${label} `)) as T;
  }

  /** Waits for the end, of all its descendants too; nothing may be left. */
  async end(): Promise<Ended> {
    await this.#process.status;
    if (this.#late) throw this.#failure(`was killed after ${DEADLINE} ms`);
    await this.#assertAlone();
    await this.#outputs;
    const { code, signal } = this.#status!;
    const left = [...Deno.readDirSync(this.temp)].map(({ name }) => name);
    if (left.length > 0) throw this.#failure(`left files behind: ${left}`);
    return { code, signal, lines: this.lines, stderr: this.stderr };
  }

  /** Waits for the end, which has to be a normal one. */
  async success(): Promise<Ended> {
    const ended = await this.end();
    if (ended.code !== 0) throw this.#failure("failed");
    return ended;
  }

  async #assertAlone(): Promise<void> {
    try {
      await until(() => this.descendants().length === 0, "");
    } catch {
      const alive = this.descendants()
        .map((pid) => `${pid} ${commandLine(pid)}`);
      throw this.#failure(`left processes behind: ${alive.join("; ")}`);
    }
  }

  /** The processes that descend from it and live. */
  descendants(): number[] {
    return processes()
      .filter(({ pid, session, state }) =>
        session === this.pid && pid !== this.pid && !DEAD.has(state)
      )
      .map(({ pid }) => pid);
  }

  /** Sends a signal to the program alone. */
  kill(signal: Deno.Signal): void {
    Deno.kill(this.pid, signal);
  }

  /** What Ctrl-C does: everybody in the terminal's foreground gets SIGINT. */
  pressCtrlC(): void {
    Deno.kill(-this.pid, "SIGINT");
  }

  #killAll(): void {
    for (const pid of [this.pid, ...this.descendants()]) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // It has just ended by itself.
      }
    }
  }

  #failure(what: string): AssertionError {
    const { code, signal } = this.#status ?? {};
    const how = signal ? `, ${signal}` : code !== undefined ? `, ${code}` : "";
    return new AssertionError(
      `Program ${this.#name} ${what}${how}\n--- stdout\n${
        this.lines.join("\n")
      }\n--- stderr\n${this.stderr}`,
    );
  }

  /** Ends what is left of it. */
  async [Symbol.asyncDispose](): Promise<void> {
    // Killed ones may have just started others.
    do this.#killAll(); while (this.descendants().length > 0);
    await this.#process.status;
    await this.#outputs;
    Deno.removeSync(this.temp, { recursive: true });
  }
}

/** States of a process that has ended: where nobody reaps, it stays like that. */
const DEAD: ReadonlySet<string> = new Set(["Z", "X"]);

interface ProcessEntry {
  pid: number;
  state: string;
  session: number;
}

/** All processes of the machine. */
function processes(): ProcessEntry[] {
  const found: ProcessEntry[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      // pid (name) state ppid pgrp session; the name may contain anything.
      const [state, , , session] = stat.slice(stat.lastIndexOf(")") + 2)
        .split(" ");
      found.push({
        pid: Number(name),
        state: state!,
        session: Number(session),
      });
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

function commandLine(pid: number): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`)
      .replaceAll("\0", " ");
  } catch {
    return "";
  }
}

/** Waits for what only the kernel knows, but not for ever. */
export async function until(
  condition: () => boolean,
  otherwise: string,
): Promise<void> {
  const bound = performance.now() + LEFTOVER_BOUND;
  while (!condition()) {
    if (performance.now() > bound) throw new AssertionError(otherwise);
    await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL));
  }
}

/** Whether a process lives. */
export function lives(pid: number): boolean {
  return processes().some((entry) =>
    entry.pid === pid && !DEAD.has(entry.state)
  );
}
