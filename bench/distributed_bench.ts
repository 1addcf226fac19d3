// Copyright 2026 the multitask authors. MIT license.

// Managers: calls of a proxy one by one and 64 at a time, tasks to a worker and
// back, connecting, and four clients at once.

import { RemotePool, serveWorker } from "../distributed/mod.ts";
import {
  type Absence,
  measure,
  medianOf,
  PER_SECOND,
  printRatio,
  printTable,
  readFlags,
  type SelfTimed,
  selfTimedFlagsHelp,
} from "./_measure.ts";
import { Peer } from "./_peer.ts";
import { pythonContender, PythonPeer } from "./_python.ts";
import { connected, KEY } from "./fixtures/manager_side.ts";

const ROUNDS = 11;

const HELP =
  `Compares managers, ours and Python's BaseManager, over loopback TCP
with a key: the server is a process of its own, on both sides. "ratio" is to the
first row.

Usage: deno run -A bench/distributed_bench.ts [flags]

${selfTimedFlagsHelp(ROUNDS)}`;

/** Calls of a sample, one by one. */
const CALLS = 2000;

/** Calls in flight. */
const WIDTH = 64;

/** Calls of a sample, so many at a time. */
const WIDE_CALLS = 16_000;

/** Tasks of a sample. */
const TASKS = 1000;

/** Items of a map. */
const ITEMS = 20_000;

/** Connections of a sample. Those of Python take 44 ms each. */
const CONNECTIONS = 5;

const CLIENTS = 4;

/** Calls of each client in a sample. */
const CLIENT_CALLS = 1000;

const OURS = "Manager";
const PYTHON = "Python BaseManager";

/** What no call can be quicker than that waits for its answer. */
const BARE = "bare Unix socket of Deno";

/**
 * Processes that each send a few bytes to one that sends them back, and wait for
 * them, over Unix sockets without files (Linux): the least that calls can be.
 */
class BareClients implements AsyncDisposable {
  readonly #peers: readonly Peer[];

  private constructor(peers: readonly Peer[]) {
    this.#peers = peers;
  }

  static async start(count: number): Promise<BareClients> {
    if (Deno.build.os !== "linux") return new BareClients([]);
    const echo = await start("echo");
    const clients = [];
    for (let i = 0; i < count; i++) {
      clients.push(await start("bounce", Number(echo.greeting)));
    }
    return new BareClients([...clients, echo]);
  }

  /** So many at once, each so often; `runs` is what that stands for. */
  contender(count: number, each: number, runs: number): SelfTimed | Absence {
    if (this.#peers.length === 0) {
      return { name: BARE, absent: "skipped: for Linux only" };
    }
    const clients = this.#peers.slice(0, count);
    return timed(
      BARE,
      runs,
      () => Promise.all(clients.map((client) => client.time(`${each}`))),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#peers) await peer[Symbol.asyncDispose]();
  }
}

if (import.meta.main) {
  const flags = readFlags(HELP);
  const options = { rounds: ROUNDS, ...flags };
  await using python = await PythonPeer.start("python_managers.py");
  await using server = await start("serve");
  const port = Number(server.greeting);
  await using manager = await connected(port);
  const tasks = await manager.getTaskQueue();
  await using bare = await BareClients.start(CLIENTS);

  {
    const title = "calls of a proxy, one by one";
    const rows = await measure([
      pythonContender(PYTHON, python, `calls ${CALLS}`, CALLS),
      timed(OURS, CALLS, async () => {
        for (let i = 0; i < CALLS; i++) await tasks.size;
      }),
      bare.contender(1, CALLS, CALLS),
    ], { progress: title, ...options });
    printTable(`calls per second: ${title}`, rows, PER_SECOND);
    printRatio(rows, OURS, PYTHON, 1.2);
  }

  {
    const title = `calls of a proxy, ${WIDTH} in flight`;
    const alone = `${PYTHON}, one by one`;
    const threads = `${PYTHON}, ${WIDTH} threads`;
    const rows = await measure([
      pythonContender(alone, python, `calls ${CALLS}`, CALLS),
      pythonContender(threads, python, `threads ${WIDTH} ${CALLS}`, CALLS),
      timed(OURS, WIDE_CALLS, async () => {
        for (let i = 0; i < WIDE_CALLS; i += WIDTH) {
          await Promise.all(Array.from({ length: WIDTH }, () => tasks.size));
        }
      }),
    ], { progress: title, ...options });
    printTable(`calls per second: ${title}`, rows, PER_SECOND);
    const best = medianOf(rows, alone)! < medianOf(rows, threads)!
      ? alone
      : threads;
    printRatio(rows, OURS, best, 4);
  }

  {
    const title = "tasks to a worker and back";
    await using _worker = await start("work", port);
    const results = await manager.getResultQueue();
    const { address } = manager;
    await using pool = new RemotePool({ address, authkey: KEY });
    const square = (n: number) => n * n;
    await using _server = serveWorker({
      address,
      authkey: KEY,
      tasks: { square },
    });
    const items = Array.from({ length: ITEMS }, (_, i) => i);
    const rows = await measure([
      pythonContender(PYTHON, python, `tasks ${TASKS}`, TASKS),
      timed(OURS, TASKS, async () => {
        for (let n = 0; n < TASKS; n++) await tasks.put(n);
        for (let n = 0; n < TASKS; n++) await results.get();
      }),
      timed(`${OURS}, not awaited one by one`, TASKS, async () => {
        const puts = [];
        for (let n = 0; n < TASKS; n++) puts.push(tasks.put(n));
        const gets = [];
        for (let n = 0; n < TASKS; n++) gets.push(results.get());
        await Promise.all([...puts, ...gets]);
      }),
      timed("RemotePool.map", ITEMS, () => pool.map(square, items)),
      // Each task is put and got twice: two sides make two calls for each.
      bare.contender(2, 2 * TASKS, TASKS),
    ], { progress: title, ...options });
    printTable(`tasks per second: ${title}`, rows, PER_SECOND);
    printRatio(rows, OURS, PYTHON, 2);
    printRatio(rows, `${OURS}, not awaited one by one`, PYTHON, 2);
    printRatio(rows, "RemotePool.map", PYTHON, 2);
  }

  {
    const title = "connecting and authenticating";
    const rows = await measure([
      pythonContender(PYTHON, python, `connect ${CONNECTIONS}`, CONNECTIONS),
      {
        name: OURS,
        time: async () => {
          const managers = [];
          const begin = performance.now();
          for (let i = 0; i < CONNECTIONS; i++) {
            managers.push(await connected(port));
          }
          const took = performance.now() - begin;
          await Promise.all(managers.map((manager) => manager.shutdown()));
          return took * 1000 / CONNECTIONS;
        },
      },
    ], { progress: title, ...options });
    printTable(title, rows);
    printRatio(rows, OURS, PYTHON, 10);
  }

  {
    const title = `calls of ${CLIENTS} clients at once`;
    const all = CLIENTS * CLIENT_CALLS;
    await using stack = new AsyncDisposableStack();
    const clients: Peer[] = [];
    for (let i = 0; i < CLIENTS; i++) {
      clients.push(stack.use(await start("call", port)));
    }
    const rows = await measure([
      pythonContender(
        PYTHON,
        python,
        `clients ${CLIENTS} ${CLIENT_CALLS}`,
        all,
      ),
      ...[1, WIDTH].map((width) =>
        timed(
          width === 1 ? OURS : `${OURS}, ${width} in flight`,
          all,
          () =>
            Promise.all(
              clients.map((one) => one.time(`${CLIENT_CALLS} ${width}`)),
            ),
        )
      ),
      bare.contender(CLIENTS, CLIENT_CALLS, all),
    ], { progress: title, ...options });
    printTable(`calls per second: ${title}`, rows, PER_SECOND);
    printRatio(rows, OURS, PYTHON, 3);
    printRatio(rows, `${OURS}, ${WIDTH} in flight`, PYTHON, 3);
  }
  await manager.shutdown();
}

/** Starts a process that serves, works or calls. */
async function start(role: string, port = 0): Promise<Peer> {
  const program = new URL("./fixtures/manager_side.ts", import.meta.url);
  const peer = await Peer.start(Deno.execPath(), [
    "run",
    "--no-lock",
    "--no-check",
    "--allow-all",
    program.href,
    role,
    String(port),
  ]);
  if (peer === undefined) throw new Error(`The ${role} process says nothing`);
  return peer;
}

/** A contender that is timed here. */
function timed(
  name: string,
  runs: number,
  work: () => Promise<unknown>,
): SelfTimed {
  return {
    name,
    time: async () => {
      const start = performance.now();
      await work();
      return (performance.now() - start) * 1000 / runs;
    },
  };
}
