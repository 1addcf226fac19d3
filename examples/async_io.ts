// Copyright 2026 the multitask authors. MIT license.

/**
 * One thread that waits for many: the event-driven model.
 *
 * A server answers each request after a second, as one does that asks a database.
 * A thread that waits for its answer does not stop here, it does something else
 * meanwhile. So 100 requests at the same time take one second, and one thread is
 * enough for all of them, on both sides.
 *
 * @module
 */

import { activeCount } from "@multitask/std/thread";
import { delay } from "@std/async/delay";
import { readOptions } from "./_options.ts";

const REQUESTS = 100;

/** How many requests are made one after the other, for comparison. */
const IN_TURN = 2;

/** Milliseconds that an answer takes. */
const WAIT = 1000;

interface Server {
  readonly url: string;
  /** How many requests waited at the same time, at most. */
  readonly waiting: { most: number };
  close(): Promise<void>;
}

function serve(speed: number): Server {
  const waiting = { now: 0, most: 0 };
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async () => {
      waiting.now += 1;
      waiting.most = Math.max(waiting.most, waiting.now);
      await delay(WAIT / speed);
      waiting.now -= 1;
      return new Response("Hello!");
    },
  );
  const { hostname, port } = server.addr;
  return {
    url: `http://${hostname}:${port}/`,
    waiting,
    close: () => server.shutdown(),
  };
}

/** Asks the server; whether the answer is the right one. */
async function request(url: string): Promise<boolean> {
  const response = await fetch(url);
  return await response.text() === "Hello!";
}

/** Prints what was done, how long it took, and by how many threads. */
async function timed(
  title: string,
  speed: number,
  run: () => Promise<boolean[]>,
): Promise<void> {
  const start = performance.now();
  const answers = await run();
  // Counted in the seconds of the server, which --speed makes shorter.
  const seconds = (performance.now() - start) / 1000 * speed;
  console.log(
    `${title}: ${answers.filter((right) => right).length} answers in ${
      seconds.toFixed(2)
    } s, threads: ${activeCount()}`,
  );
}

if (import.meta.main) {
  const { speed } = readOptions("One thread that waits for 100 requests.");

  const server = serve(speed);
  await timed("One after the other", speed, async () => {
    const answers: boolean[] = [];
    for (let i = 0; i < IN_TURN; i++) answers.push(await request(server.url));
    return answers;
  });
  await timed("All at the same time", speed, () => {
    const urls = Array.from({ length: REQUESTS }, () => server.url);
    return Promise.all(urls.map(request));
  });
  await server.close();
  console.log(`Waiting at the same time: ${server.waiting.most}`);
}
