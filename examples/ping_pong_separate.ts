// Copyright 2026 the multitask authors. MIT license.

/**
 * Processes share no memory: two of them are to count to 50 together, but each
 * has a `counter` of its own, and so each prints its word 50 times.
 *
 * `ping_pong_queue.ts` does it right.
 *
 * @module
 */

import { Process } from "@multitask/std/process";
import { delay } from "@std/async/delay";
import { readOptions } from "./_options.ts";

let counter = 0;

/** Prints `content` until the counter is at 50; gives the counter. */
export async function subTask(content: string, speed: number): Promise<number> {
  while (counter < 50) {
    Deno.stdout.writeSync(new TextEncoder().encode(content));
    counter += 1;
    await delay(10 / speed);
  }
  return counter;
}

if (import.meta.main) {
  const { speed } = readOptions("Processes share no memory: each counts.");

  const p1 = new Process({ target: subTask, args: ["Ping", speed] });
  p1.start();
  const p2 = new Process({ target: subTask, args: ["Pong", speed] });
  p2.start();
  const [ping, pong] = await Promise.all([p1.result, p2.result]);
  console.log(`\nPing: ${ping}, Pong: ${pong}, in this process: ${counter}`);
}
