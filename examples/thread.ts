// Copyright 2026 the multitask authors. MIT license.

/**
 * A function that runs in a thread of its own: `start()` starts it, `join()`
 * waits for its end. The thread that the program begins with is the MainThread.
 *
 * @module
 */

import { currentThread, Thread } from "@multitask/std/thread";
import { delay } from "@std/async/delay";
import { readOptions } from "./_options.ts";

/** What the thread runs: it counts to 5, one a second. */
export async function loop(speed: number): Promise<void> {
  console.log(`thread ${currentThread().name} is running...`);
  let n = 0;
  while (n < 5) {
    n = n + 1;
    console.log(`thread ${currentThread().name} >>> ${n}`);
    await delay(1000 / speed);
  }
  console.log(`thread ${currentThread().name} ended.`);
}

// The thread imports this module too, and must not start a thread of its own.
if (import.meta.main) {
  const { speed } = readOptions("A function that runs in a thread of its own.");

  console.log(`thread ${currentThread().name} is running...`);
  const t = new Thread({ target: loop, args: [speed], name: "LoopThread" });
  t.start();
  await t.join();
  console.log(`thread ${currentThread().name} ended.`);
}
