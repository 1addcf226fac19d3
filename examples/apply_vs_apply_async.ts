// Copyright 2026 the multitask authors. MIT license.

/**
 * Three tasks of 3 seconds each in a pool of 3 processes, three times:
 *
 * 1. `apply`, awaited: one task after the other, 9 seconds.
 * 2. `applyAsync` without `join`: the main program is over at once.
 * 3. `applyAsync` with `close` and `join`: all tasks at the same time, 3 seconds.
 *
 * @module
 */

import { Pool } from "@multitask/std/pool";
import { delay } from "@std/async/delay";
import { readOptions } from "./_options.ts";

/** Says something at its begin and its end. */
export async function say(msg: number, speed: number): Promise<void> {
  console.log(`msg: ${msg}`);
  await delay(3000 / speed);
  console.log("end");
}

async function withApply(speed: number): Promise<void> {
  await using pool = new Pool(3);
  console.log("开始执行三个子进程");
  for (let i = 0; i < 3; i++) {
    await pool.apply(say, [i, speed]);
  }
}

function withoutJoin(speed: number): Pool {
  const pool = new Pool(3);
  console.log("开始执行三个子进程");
  for (let i = 0; i < 3; i++) {
    pool.applyAsync(say, [i, speed]);
  }
  return pool;
}

async function withJoin(speed: number): Promise<void> {
  const pool = new Pool(3);
  console.log("开始执行三个子进程");
  for (let i = 0; i < 3; i++) {
    pool.applyAsync(say, [i, speed]);
  }
  // close() has to come before join().
  pool.close();
  await pool.join();
}

/** Runs one of the three and says how long it took; gives what it gives. */
async function timed<T>(title: string, run: () => T): Promise<Awaited<T>> {
  console.log(`== ${title} ==`);
  console.log("开始执行主进程");
  const start = performance.now();
  const result = await run();
  const seconds = (performance.now() - start) / 1000;
  console.log(`主进程结束 耗时 ${seconds.toFixed(2)} 秒`);
  return result;
}

if (import.meta.main) {
  const { speed } = readOptions("The difference of apply and applyAsync.");

  await timed("apply", () => withApply(speed));
  const pool = await timed("applyAsync", () => withoutJoin(speed));
  // Python's program ends here, and takes along the tasks, which have not even
  // begun. A program of this library would stay until they are done.
  await pool.terminate();
  await timed("applyAsync, close, join", () => withJoin(speed));
}
