// Copyright 2026 the multitask authors. MIT license.

/**
 * A pool of 4 processes and 5 tasks: tasks 0 to 3 begin at once, task 4 waits
 * until one of the processes is free.
 *
 * @module
 */

import { Pool } from "@multitask/std/pool";
import { getpid } from "@multitask/std/process";
import { delay } from "@std/async/delay";
import { readOptions } from "./_options.ts";

/** Takes up to 3 seconds. */
export async function longTimeTask(name: number, speed: number): Promise<void> {
  console.log(`Run task ${name} (${getpid()})...`);
  const start = performance.now();
  await delay(Math.random() * 3000 / speed);
  // Counted in the seconds of the task, which --speed makes shorter.
  const seconds = (performance.now() - start) / 1000 * speed;
  console.log(`Task ${name} runs ${seconds.toFixed(2)} seconds.`);
}

if (import.meta.main) {
  const { speed } = readOptions("A pool of 4 processes and 5 tasks.");

  console.log(`Parent process ${getpid()}.`);
  const p = new Pool(4);
  for (let i = 0; i < 5; i++) {
    p.applyAsync(longTimeTask, [i, speed]);
  }
  console.log("Waiting for all subprocesses done...");
  p.close();
  await p.join();
  console.log("All subprocesses done.");
}
