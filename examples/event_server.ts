// Copyright 2026 the multitask authors. MIT license.

/**
 * A web server as Nginx is one: an event loop for each core, and no more. All of
 * them serve one port, and each has many requests under way at the same time,
 * since a request that waits, here as if for a database, needs no thread.
 *
 * A client makes 200 requests at the same time here.
 *
 * @module
 */

import { type Connection, Event, Pipe } from "@multitask/std/ipc";
import { cpuCount } from "@multitask/std/process";
import { currentThread, Thread } from "@multitask/std/thread";
import { delay } from "@std/async/delay";
import { readOptions } from "./_options.ts";
import {
  listen,
  openSharedPort,
  type SharedPort,
  sharingOf,
} from "./_shared_port.ts";

/** How many requests the client makes at the same time. */
const REQUESTS = 200;

/** Milliseconds that the answer to a request takes. */
const WAIT = 1000;

/** What an event loop has done. */
export interface LoopStats {
  readonly answered: number;
  /** How many requests were under way at the same time, at most. */
  readonly most: number;
}

/** What each thread runs: the server. */
export async function serve(
  port: number,
  ready: Connection<number>,
  stop: Event,
  speed: number,
): Promise<LoopStats> {
  let underWay = 0;
  let most = 0;
  let answered = 0;
  const server = await listen(port, async () => {
    underWay += 1;
    most = Math.max(most, underWay);
    await delay(WAIT / speed);
    underWay -= 1;
    answered += 1;
    return `Hello from ${currentThread().name}`;
  });
  await ready.send(server.port);
  await stop.wait();
  await server.close();
  return { answered, most };
}

type ServerThread = Thread<
  [number, Connection<number>, Event, number],
  LoopStats
>;

/** Starts a thread; resolves when it can be asked. */
async function start(
  number: number,
  shared: SharedPort,
  stop: Event,
  speed: number,
): Promise<ServerThread> {
  const [ready, threadEnd] = Pipe<number>();
  const t = new Thread({
    target: serve,
    args: [shared.own, threadEnd, stop, speed],
    name: `EventLoop-${number}`,
  });
  t.start();
  const port = await ready.recv();
  ready.close();
  shared.add(port);
  return t;
}

/** Makes a request; gives the answer. */
async function request(url: string): Promise<string> {
  return await (await fetch(url)).text();
}

if (import.meta.main) {
  const { speed, argument } = readOptions(
    "A server with an event loop for each core.",
    "kernel|parent",
  );
  const sharing = sharingOf(argument);

  const stop = new Event();
  await using shared = openSharedPort(sharing);
  const threads: ServerThread[] = [];
  for (let i = 1; i <= cpuCount(); i++) {
    // The first one may choose the port, which the others join.
    threads.push(await start(i, shared, stop, speed));
  }
  console.log(
    `${threads.length} event loops serve one port, shared by the ${sharing}.`,
  );

  const begin = performance.now();
  const answers = await Promise.all(
    Array.from({ length: REQUESTS }, () => request(shared.url)),
  );
  // Counted in the seconds of the requests, which --speed makes shorter.
  const seconds = (performance.now() - begin) / 1000 * speed;
  console.log(
    `${answers.length} requests of ${WAIT / 1000} s each: ${
      seconds.toFixed(2)
    } s`,
  );

  stop.set();
  for (const t of threads) {
    const { answered, most } = await t.result;
    console.log(
      `${t.name}: ${answered} answers, at most ${most} requests under way`,
    );
    await t.join();
  }
}
