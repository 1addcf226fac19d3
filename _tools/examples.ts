// Copyright 2026 the multitask authors. MIT license.

// Runs the example programs one after another.

import { parseArgs } from "@std/cli/parse-args";
import { ROOT } from "./_deno.ts";

/** The names of the examples, in the order to read them, and their titles. */
export const EXAMPLES: Readonly<Record<string, string>> = {
  fork: "A call that returns twice",
  process: "A function in a process of its own",
  download_processes: "Two downloads at the same time",
  queue: "A queue between a writer and a reader",
  pipe: "A conversation over a pipe",
  ping_pong_separate: "Processes share no memory: 50 each",
  ping_pong_queue: "A counter that goes through a queue: 50 in all",
  pool: "A pool of 4 processes and 5 tasks",
  apply_vs_apply_async: "One after the other, or all at the same time",
  progress: "A progress bar while a tree of files is hashed",
  mandelbrot: "A picture by all cores, and by one",
  thread: "A function in a thread of its own",
  lock: "A balance that two threads change, without a lock and with one",
  multicore: "As many busy threads as cores, and no GIL",
  thread_local: "A global object that each thread has for itself",
  download_threads: "Two downloads in threads: a function, and a class",
  async_io: "One thread that waits for 100 requests",
  mixed_mode: "Several processes, each with several threads",
  prefork_server: "A server of several processes, of which one crashes",
  event_server: "A server with an event loop for each core",
  subprocess_call: "A command and its exit code",
  subprocess_communicate: "Three lines for an interactive program",
  task_master: "Tasks and results over the network: the master",
  task_worker: "Tasks and results over the network: the worker",
  lost_worker: "One of two workers is killed, and no result is missing",
};

/** Those that run at the same time as another one, as programs of their own. */
const PARTNERS: Readonly<Record<string, string>> = {
  task_worker: "task_master",
};

/** The port that both use, where it is free. */
const PORT = 5000;

/** How long one example may take, in milliseconds. */
const DEADLINE = 60_000;

const HELP = `Runs the examples one after another; fails if one of them fails.

Usage: deno task examples [names] [options]

${
  Object.entries(EXAMPLES)
    .map(([name, title]) => `  ${name.padEnd(22)}${title}`).join("\n")
}

  --speed=<n>  make all sleeps n times shorter (default: 5)
  --help       show this text`;

if (import.meta.main) {
  const { help, speed, _ } = parseArgs(Deno.args, {
    boolean: ["help"],
    string: ["speed"],
    default: { speed: "5" },
    unknown: (arg) => {
      // Names are no options.
      if (!arg.startsWith("-")) return true;
      refuse(`Unknown option: ${arg}`);
    },
  });
  if (help) {
    console.log(HELP);
  } else {
    Deno.exit(await main(_.map(fileName), speed));
  }
}

async function main(selected: string[], speed: string): Promise<number> {
  for (const name of selected) {
    if (!Object.hasOwn(EXAMPLES, name)) refuse(`No such example: ${name}`);
  }
  const wanted = selected.length > 0 ? selected : Object.keys(EXAMPLES);
  const names = [...new Set(wanted.map((name) => PARTNERS[name] ?? name))];
  const start = performance.now();
  const failures: string[] = [];
  for (const name of names) {
    console.log(`== ${name}.ts: ${EXAMPLES[name]} ==`);
    const failure = await runAll(name, speed);
    if (failure !== null) {
      failures.push(`${name} (${failure})`);
      console.error(`${name} failed: ${failure}`);
    }
    console.log();
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const count = `${names.length} ${
    names.length === 1 ? "example" : "examples"
  }`;
  if (failures.length === 0) {
    console.log(`Ran ${count} in ${seconds} s`);
    return 0;
  }
  console.log(
    `Ran ${count} in ${seconds} s, ${failures.length} failed: ${
      failures.join(", ")
    }`,
  );
  return 1;
}

/** Runs an example, and its partners beside it. */
async function runAll(name: string, speed: string): Promise<string | null> {
  const partners = Object.keys(PARTNERS).filter((one) =>
    PARTNERS[one] === name
  );
  if (partners.length === 0) return await run(name, [`--speed=${speed}`]);
  const args = [String(freePort(PORT)), `--speed=${speed}`];
  const failures = await Promise.all(
    [name, ...partners].map(async (one) => {
      const failure = await run(one, args);
      return failure === null ? null : `${one}: ${failure}`;
    }),
  );
  return failures.find((failure) => failure !== null) ?? null;
}

/** The port, or another one if it is taken. */
function freePort(port: number): number {
  for (const wanted of [port, 0]) {
    try {
      using listener = Deno.listen({ hostname: "127.0.0.1", port: wanted });
      return listener.addr.port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Error("No port is free");
}

/** Runs one example on this terminal; gives what went wrong, or `null`. */
async function run(name: string, args: string[]): Promise<string | null> {
  const program = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", `examples/${name}.ts`, ...args],
    cwd: ROOT,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  let late = false;
  const deadline = setTimeout(() => {
    late = true;
    try {
      // Its children end when it does.
      program.kill("SIGKILL");
    } catch {
      // It has just ended by itself.
    }
  }, DEADLINE);
  const { code, signal } = await program.status;
  clearTimeout(deadline);
  if (late) return `killed after ${DEADLINE / 1000} s`;
  if (signal !== null) return `ended by ${signal}`;
  return code === 0 ? null : `exit code ${code}`;
}

/** The name of an example that may be given as a path. */
function fileName(argument: string | number): string {
  return String(argument).replace(/^(.*\/)?examples\//, "").replace(
    /\.ts$/,
    "",
  );
}

function refuse(message: string): never {
  console.error(`${message}; see --help`);
  Deno.exit(2);
}
