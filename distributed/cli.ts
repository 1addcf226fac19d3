// Copyright 2026 the multitask authors. MIT license.

/**
 * A command for managers and workers:
 *
 * ```sh
 * deno run -A jsr:@multitask/std/distributed/cli manager --address=127.0.0.1:5000
 * ```
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { fileUrl } from "../ipc/_task.ts";
import type { ManagerStatus } from "./_server.ts";
import { Manager, type ManagerOptions } from "./manager.ts";
import { serveWorker, type WorkerTasks } from "./serve_worker.ts";
import { SyncManager } from "./sync_manager.ts";

const HELP = `Serves a manager, works for one, or tells how it is.

Usage: deno run -A distributed/cli.ts <command> [options]

  manager  serve objects and tasks until Ctrl-C
  worker   run tasks for the pools of a manager until Ctrl-C
  status   tell how a manager is

  --address=<host:port>  where the manager is (default: 127.0.0.1:5000)
  --unix=<path>          the same, for a Unix socket
  --key-file=<path>      the file of the key; without it the environment variable
                         MULTITASK_AUTHKEY has the key
  --ca=<path>            root certificates to accept (TLS)
  --cert=<path>          the certificate of this side (TLS)
  --cert-key=<path>      its private key (TLS)
  --insecure             serve other machines without TLS
  --tasks=<module>       worker: the module whose exported functions are the tasks
  --concurrency=<n>      worker: how many tasks at the same time (default: 1)
  --name=<name>          worker: what it is called
  --json                 status: print it as JSON
  --help                 show this text

Ctrl-C ends it when what runs is done; pressed again, at once.`;

const DEFAULT_ADDRESS = "127.0.0.1:5000";

/** How often progress is shown on a terminal, in milliseconds. */
const PROGRESS_INTERVAL = 1000;

/** How long `status` waits for the manager, in milliseconds. */
const STATUS_BOUND = 10_000;

/** What the command line may say. */
const STRINGS = [
  "address",
  "unix",
  "key-file",
  "ca",
  "cert",
  "cert-key",
  "tasks",
  "concurrency",
  "name",
] as const;

type Flags = Partial<Record<(typeof STRINGS)[number], string>> & {
  insecure: boolean;
  json: boolean;
};

const COMMANDS: Readonly<Record<string, (flags: Flags) => Promise<void>>> = {
  manager: serve,
  worker: work,
  status: tell,
};

if (import.meta.main) await main();

async function main(): Promise<void> {
  const { help, _, ...flags } = parseArgs(Deno.args, {
    boolean: ["help", "insecure", "json"],
    string: [...STRINGS],
    unknown: (arg) =>
      arg.startsWith("-") ? refuse(`Unknown option: ${arg}`) : true,
  });
  if (help) return console.log(HELP);
  const [name, tooMany] = _.map(String);
  if (tooMany !== undefined) refuse(`Unknown argument: ${tooMany}`);
  const command = name !== undefined && Object.hasOwn(COMMANDS, name)
    ? COMMANDS[name]
    : undefined;
  if (command === undefined) {
    refuse(
      name === undefined ? "A command is missing" : `No such command: ${name}`,
    );
  }
  try {
    // The parser gives these names only.
    await command(flags as Flags);
  } catch (error) {
    console.error(
      error instanceof Error ? `${error.name}: ${error.message}` : error,
    );
    Deno.exit(1);
  }
}

async function serve(flags: Flags): Promise<void> {
  const manager = new SyncManager(await optionsOf(flags));
  await manager.start();
  const { address } = manager;
  console.log(
    `Serving at ${
      "path" in address ? address.path : `${address.hostname}:${address.port}`
    }`,
  );
  const stopProgress = showProgress(async () => {
    const { guests, refused } = await manager.status();
    const count = Object.values(refused).reduce((sum, one) => sum + one, 0);
    return `${guests.length - 1} guests, ${count} refused`;
  });
  const stop = onInterrupt();
  await manager.serveForever({ signal: stop.signal });
  stopProgress();
  stop.done();
  console.log("Manager ended");
}

async function work(flags: Flags): Promise<void> {
  if (flags.tasks === undefined) refuse("--tasks is missing");
  const concurrency = Number(flags.concurrency ?? 1);
  const options = await optionsOf(flags);
  const tasks = await tasksOf(flags.tasks);
  const stop = onInterrupt();
  const worker = serveWorker({
    ...options,
    tasks,
    concurrency,
    signal: stop.signal,
    ...(flags.name === undefined ? {} : { name: flags.name }),
  });
  console.log(`Worker ${worker.name}: ${Object.keys(tasks).join(", ")}`);
  const stopProgress = showProgress(() => {
    const { running, done } = worker.stats();
    return Promise.resolve(`${running} tasks run, ${done} are done`);
  });
  try {
    await worker.finished;
  } finally {
    stopProgress();
    stop.done();
  }
  console.log(`Worker ended: ${worker.stats().done} tasks done`);
}

async function tell(flags: Flags): Promise<void> {
  await using manager = new Manager(await optionsOf(flags));
  await manager.connect({ timeout: STATUS_BOUND });
  const status = await manager.status();
  console.log(flags.json ? JSON.stringify(status, null, 2) : textOf(status));
}

function textOf(status: ManagerStatus): string {
  const { uptime, guests, strangers, admitted, refused, objects } = status;
  const refusals = Object.entries(refused)
    .map(([what, count]) => `${what} ${count}`).join(", ");
  const lines = guests.map((guest) =>
    `  ${guest.name} (pid ${guest.pid}, ${guest.address}): ${guest.calls} calls, ${guest.pending} wait, ${guest.holds} holds${
      guest.connected ? "" : ", away"
    }`
  );
  return [
    `Up ${
      (uptime / 1000).toFixed(0)
    } s, ${objects} objects, ${admitted} admitted, ${strangers} at the door`,
    `Refused: ${refusals}`,
    `Guests: ${guests.length}`,
    ...lines,
  ].join("\n");
}

/** The exported functions of a module. */
async function tasksOf(path: string): Promise<WorkerTasks> {
  const url = fileUrl(path) || new URL(path, fileUrl(`${Deno.cwd()}/`)).href;
  const module: Record<string, unknown> = await import(url);
  const tasks: Record<string, (...args: unknown[]) => unknown> = {};
  for (const [name, value] of Object.entries(module)) {
    if (typeof value === "function") {
      tasks[name] = value as (...args: unknown[]) => unknown;
    }
  }
  return tasks;
}

async function optionsOf(flags: Flags): Promise<ManagerOptions> {
  const { ca, cert, "cert-key": key, insecure } = flags;
  const tls = {
    ...(ca === undefined ? {} : { caCerts: [await Deno.readTextFile(ca)] }),
    ...(cert === undefined ? {} : { cert: await Deno.readTextFile(cert) }),
    ...(key === undefined ? {} : { key: await Deno.readTextFile(key) }),
  };
  return {
    address: flags.unix === undefined
      ? flags.address ?? DEFAULT_ADDRESS
      : { path: flags.unix },
    authkey: await keyOf(flags),
    insecure,
    ...(Object.keys(tls).length > 0 ? { tls } : {}),
  };
}

/** The key, which no list of processes shows. */
async function keyOf(flags: Flags): Promise<string> {
  const path = flags["key-file"];
  const key = path === undefined
    ? Deno.env.get("MULTITASK_AUTHKEY")
    : (await Deno.readTextFile(path)).trim();
  if (!key) refuse("A key is missing: give --key-file, or MULTITASK_AUTHKEY");
  return key;
}

/** One line that changes, on a terminal; elsewhere nothing. */
function showProgress(text: () => Promise<string>): () => void {
  if (!Deno.stderr.isTerminal()) return () => {};
  const write = (line: string) =>
    Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${line}`));
  const timer = setInterval(async () => {
    try {
      write(await text());
    } catch {
      // It is about to end.
    }
  }, PROGRESS_INTERVAL);
  return () => {
    clearInterval(timer);
    write("");
  };
}

/** The first Ctrl-C asks to end, the second ends. */
function onInterrupt(): { signal: AbortSignal; done: () => void } {
  const stop = new AbortController();
  const onSignal = () => {
    if (stop.signal.aborted) Deno.exit(130);
    console.error("Ending when what runs is done; Ctrl-C again ends at once");
    stop.abort();
  };
  const signals = Deno.build.os === "windows"
    ? ["SIGINT"] as const
    : ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, onSignal);
  return {
    signal: stop.signal,
    done: () => {
      for (const signal of signals) Deno.removeSignalListener(signal, onSignal);
    },
  };
}

function refuse(message: string): never {
  console.error(`${message}; see --help`);
  Deno.exit(2);
}
