// Copyright 2026 the multitask authors. MIT license.

/**
 * As many threads as cores, all of them busy. Python's threads take turns, since
 * its interpreter has one lock for all of them (the GIL): 100 threads on 100
 * cores use 1. These have no such lock, and each uses a core of its own.
 *
 * One thread does a piece of work. Then each of several does as much, at the same
 * time.
 *
 * @module
 */

import { Barrier } from "@multitask/std/ipc";
import { cpuCount } from "@multitask/std/process";
import { Thread } from "@multitask/std/thread";
import { cpuUsage } from "node:process";
import { readOptions } from "./_options.ts";

/** Steps of a piece of work: less than a second. */
const STEPS = 300_000_000;

/** A loop without a pause. Gives the number at which it arrives. */
function loop(): number {
  let x = 0;
  for (let step = 0; step < STEPS; step++) {
    x = (Math.imul(x, 1664525) + 1013904223) | 0;
  }
  return x;
}

/** What a thread runs. */
export async function work(ready: Barrier): Promise<number> {
  // The start of the threads is not what is compared.
  await ready.wait();
  return loop();
}

/** What so many threads took for a piece of work each. */
interface Measurement {
  readonly seconds: number;
  /** How many cores were busy, on average. */
  readonly cores: number;
  readonly results: number[];
}

async function measure(threads: number): Promise<Measurement> {
  const ready = new Barrier(threads + 1);
  const running = Array.from({ length: threads }, () => {
    const t = new Thread({ target: work, args: [ready] });
    t.start();
    return t;
  });
  await ready.wait();
  const start = performance.now();
  const before = cpuUsage();
  const results = await Promise.all(running.map((t) => t.result));
  const seconds = (performance.now() - start) / 1000;
  // Of all threads of this process, in microseconds.
  const { user, system } = cpuUsage(before);
  return { seconds, cores: (user + system) / 1e6 / seconds, results };
}

/** Measures, and prints it. */
async function report(threads: number): Promise<Measurement> {
  const measurement = await measure(threads);
  const { seconds, cores } = measurement;
  const [name, work] = threads === 1
    ? ["1 thread", "1 piece of work"]
    : [`${threads} threads`, `${threads} pieces of work`];
  console.log(
    `${name}: ${work} in ${seconds.toFixed(2)} s, CPU ${
      (cores * 100).toFixed(0)
    }%`,
  );
  return measurement;
}

if (import.meta.main) {
  readOptions("As many threads as cores, all of them busy.");

  const cores = cpuCount();
  const one = await report(1);
  const all = await report(cores);
  // Each loop arrives where the first one did.
  const done = all.results.filter((x) => x === one.results[0]).length;
  const ratio = done * one.seconds / all.seconds;
  console.log(
    `Speed-up by ${cores} ${cores === 1 ? "core" : "cores"}: ${
      ratio.toFixed(2)
    }`,
  );
}
