// Copyright 2026 the multitask authors. MIT license.

/**
 * A web server of several processes, as Apache was first: all of them serve one
 * port, and the parent only watches over them. When one crashes, the others serve
 * on, and the parent starts another one in its place.
 *
 * A client makes requests here, and one of them crashes the process that gets it.
 *
 * @module
 */

import { type Connection, Event, Pipe, wait } from "@multitask/std/ipc";
import { getpid, Process } from "@multitask/std/process";
import { readOptions } from "./_options.ts";
import {
  listen,
  openSharedPort,
  type SharedPort,
  sharingOf,
} from "./_shared_port.ts";

const PROCESSES = 3;

/** How many requests the client makes at a time. */
const REQUESTS = 60;

/** What each process runs: the server; gives how many requests it answered. */
export async function serve(
  port: number,
  ready: Connection<number>,
  stop: Event,
): Promise<number> {
  let answered = 0;
  const server = await listen(port, (path) => {
    // As the system does with a process that writes to memory of others.
    if (path === "/crash") Deno.kill(getpid(), "SIGKILL");
    answered += 1;
    return `${getpid()}`;
  });
  await ready.send(server.port);
  await stop.wait();
  await server.close();
  return answered;
}

type ServerProcess = Process<[number, Connection<number>, Event], number>;

/** Starts a process; resolves when it can be asked. */
async function start(shared: SharedPort, stop: Event): Promise<ServerProcess> {
  const [ready, childEnd] = Pipe<number>();
  const p = new Process({ target: serve, args: [shared.own, childEnd, stop] });
  p.start();
  // If it ends before, this end says so.
  const port = await ready.recv();
  ready.close();
  shared.add(port);
  p.exited.then(() => shared.remove(port));
  return p;
}

/** What the parent does: it replaces each process that crashes. */
async function watch(
  processes: ServerProcess[],
  shared: SharedPort,
  stop: Event,
  onReplaced: () => void,
): Promise<void> {
  while (true) {
    await wait([...processes, stop]);
    if (stop.isSet) return;
    const dead = processes.findIndex((p) => !p.isAlive());
    const { pid, exitCode } = processes[dead]!;
    console.log(`Process ${pid} crashed (exit code ${exitCode}).`);
    const p = await start(shared, stop);
    processes[dead] = p;
    console.log(`Process ${p.pid} serves in its place.`);
    onReplaced();
  }
}

/** Makes requests, one after the other; gives who has answered how many. */
async function ask(
  url: string,
  requests: number,
): Promise<Map<string, number>> {
  const answers = new Map<string, number>();
  for (let i = 0; i < requests; i++) {
    const pid = await (await fetch(url)).text();
    answers.set(pid, (answers.get(pid) ?? 0) + 1);
  }
  return answers;
}

function print(title: string, answers: ReadonlyMap<string, number>): void {
  const parts = [...answers].sort().map(([pid, count]) => `${count} by ${pid}`);
  const sum = [...answers.values()].reduce((a, b) => a + b, 0);
  console.log(`${title}: ${sum} answers, ${parts.join(", ")}`);
}

/** Makes the request that crashes a process. */
async function crash(url: string): Promise<void> {
  try {
    await (await fetch(`${url}/crash`)).text();
  } catch {
    console.log("The client lost its connection.");
  }
}

if (import.meta.main) {
  const { argument } = readOptions(
    "A server of several processes, of which one crashes.",
    "kernel|parent",
  );
  const sharing = sharingOf(argument);

  console.log(`Parent process ${getpid()}.`);
  const stop = new Event();
  await using shared = openSharedPort(sharing);
  // The first one may choose the port, which the others join.
  const processes = [await start(shared, stop)];
  processes.push(
    ...await Promise.all(
      Array.from({ length: PROCESSES - 1 }, () => start(shared, stop)),
    ),
  );
  console.log(
    `Processes ${
      processes.map((p) => p.pid).join(", ")
    } serve one port, shared by the ${sharing}.`,
  );
  const replaced = Promise.withResolvers<void>();
  const watching = watch(processes, shared, stop, replaced.resolve);

  print("Before the crash", await ask(shared.url, REQUESTS));
  const before = [...processes];
  await crash(shared.url);
  // What the kernel gives to a process that is about to end is lost with it: a
  // client of another machine would make such a request again.
  await wait(before);
  print("After the crash", await ask(shared.url, REQUESTS));
  // Watching ends before only if it fails.
  await Promise.race([replaced.promise, watching]);
  print("After the replacement", await ask(shared.url, REQUESTS));

  stop.set();
  await watching;
  for (const p of processes) {
    console.log(`Process ${p.pid} ends, after ${await p.result} answers.`);
    await p.join();
  }
}
