// Copyright 2026 the multitask authors. MIT license.

// The start of a thread to its first message, against a bare worker that posts
// one; and round trips between two threads, against bare postMessage.

import { Pipe, Queue } from "../ipc/mod.ts";
import { Thread } from "../thread/mod.ts";
import {
  measure,
  medianOf,
  MILLISECONDS,
  PER_SECOND,
  printGoal,
  printTable,
  readFlags,
  selfTimedFlagsHelp,
} from "./_measure.ts";
import { echoPipe, echoQueues } from "./fixtures/thread_echo.ts";
import { giveOne } from "./fixtures/first_message.ts";

const ROUNDS = 21;

/** Round trips of one sample. */
const TRIPS = 5000;

const HELP =
  `Compares the start of a thread to its result with that of a bare worker to its
first message ("ratio" is the time divided by the worker's), and round trips per
second between two threads with bare postMessage ("ratio" 2.00 is twice as many).

Usage: deno run -A bench/thread_bench.ts [flags]

${selfTimedFlagsHelp(ROUNDS)}`;

const BARE = "bare postMessage";
const QUEUES = "two queues, shared";

if (import.meta.main) {
  const options = readFlags(HELP);
  const starts = await measure([
    { name: "bare worker", time: firstMessage },
    { name: "Thread, result", time: firstResult },
    { name: "Thread, start to join", time: startToJoin },
  ], { rounds: ROUNDS, progress: "thread starts", ...options });
  printTable("start to first message", starts, MILLISECONDS);
  const trips = await measure([
    { name: BARE, time: postMessages },
    { name: QUEUES, time: () => queues("shared") },
    { name: "two queues, mapped", time: () => queues("mapped") },
    { name: "a pipe", time: pipe },
  ], { rounds: ROUNDS, progress: "round trips", ...options });
  printTable("round trips between two threads", trips, PER_SECOND);
  const ratio = medianOf(trips, BARE)! / medianOf(trips, QUEUES)!;
  printGoal(
    "queues of threads at least as fast as bare postMessage",
    ratio.toFixed(2),
    ratio >= 1,
  );
}

/** Of a worker whose module is one line. */
async function firstMessage(): Promise<number> {
  const start = performance.now();
  const worker = new Worker(
    new URL("./fixtures/hello_worker.ts", import.meta.url),
    { type: "module" },
  );
  await new Promise((resolve) => worker.onmessage = resolve);
  const elapsed = performance.now() - start;
  worker.terminate();
  return elapsed * 1000;
}

async function firstResult(): Promise<number> {
  const thread = new Thread({ target: giveOne });
  const start = performance.now();
  thread.start();
  await thread.result;
  const elapsed = performance.now() - start;
  await thread.join();
  return elapsed * 1000;
}

async function startToJoin(): Promise<number> {
  const thread = new Thread({ target: giveOne });
  const start = performance.now();
  thread.start();
  await thread.join();
  return (performance.now() - start) * 1000;
}

/** Microseconds of one round trip, after the first. */
async function timed(trip: (i: number) => Promise<unknown>): Promise<number> {
  await trip(0);
  const start = performance.now();
  for (let i = 1; i < TRIPS; i++) await trip(i);
  return (performance.now() - start) * 1000 / (TRIPS - 1);
}

async function postMessages(): Promise<number> {
  const worker = new Worker(
    new URL("./fixtures/echo_worker.ts", import.meta.url),
    { type: "module" },
  );
  let answered: () => void;
  worker.onmessage = () => answered();
  const micros = await timed((i) =>
    new Promise<void>((resolve) => {
      answered = resolve;
      worker.postMessage(i);
    })
  );
  worker.terminate();
  return micros;
}

async function queues(home: "shared" | "mapped"): Promise<number> {
  using there = new Queue<number>(0, { home });
  using back = new Queue<number>(0, { home });
  const thread = new Thread({ target: echoQueues, args: [there, back, TRIPS] });
  thread.start();
  const micros = await timed(async (i) => {
    await there.put(i);
    await back.get();
  });
  await thread.join();
  return micros;
}

async function pipe(): Promise<number> {
  const [here, there] = Pipe<number>({ home: "shared" });
  const thread = new Thread({ target: echoPipe, args: [there, TRIPS] });
  thread.start();
  const micros = await timed(async (i) => {
    await here.send(i);
    await here.recv();
  });
  await thread.join();
  here.close();
  return micros;
}
