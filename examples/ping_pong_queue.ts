// Copyright 2026 the multitask authors. MIT license.

/**
 * Two processes count to 50 together: the counter goes from one to the other
 * through a queue, and whoever has it may print.
 *
 * @module
 */

import { Queue, wait } from "@multitask/std/ipc";
import { Process } from "@multitask/std/process";
import { delay } from "@std/async/delay";
import { readOptions } from "./_options.ts";

/** Prints `content` until the counter is at 50; gives how often it did. */
export async function subTask(
  content: string,
  queue: Queue<number>,
  speed: number,
): Promise<number> {
  let printed = 0;
  let counter = await queue.get();
  while (counter < 50) {
    Deno.stdout.writeSync(new TextEncoder().encode(content));
    printed += 1;
    counter += 1;
    await queue.put(counter);
    await delay(10 / speed);
    counter = await queue.get();
  }
  return printed;
}

if (import.meta.main) {
  const { speed } = readOptions("Two processes count to 50 together.");

  const queue = new Queue<number>();
  await queue.put(0);
  const p1 = new Process({ target: subTask, args: ["Ping", queue, speed] });
  p1.start();
  const p2 = new Process({ target: subTask, args: ["Pong", queue, speed] });
  p2.start();
  // One of them takes the 50 and ends; the other one waits for a counter.
  await wait([p1, p2]);
  await queue.put(50);
  const [ping, pong] = await Promise.all([p1.result, p2.result]);
  console.log(`\nPing: ${ping}, Pong: ${pong}, together: ${ping + pong}`);
}
