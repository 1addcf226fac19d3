// Copyright 2026 the multitask authors. MIT license.

/**
 * Two workers, of which one is killed in the middle of a task: no result is
 * missing.
 *
 * In Python the task would be lost with the worker that had got it. Here workers
 * lease tasks: what is not acknowledged in time goes to another one.
 *
 * @module
 */

import { Manager, type RemoteQueue } from "@multitask/std/distributed";
import { JoinableQueue, Queue } from "@multitask/std/ipc";
import { Process } from "@multitask/std/process";
import { delay } from "@std/async/delay";
import { readOptions } from "./_options.ts";

const COUNT = 10;

/** After so long a task that was not acknowledged goes to another worker. */
const TTL = 1000;

const tasks = new JoinableQueue<number>();
const results = new Queue<[number, number]>();
const begun = new Queue<string>();

class QueueManager extends Manager {}
QueueManager.register("getTasks", () => tasks);
QueueManager.register("getResults", () => results);
QueueManager.register("getBegun", () => begun);

/** What a worker runs; it could as well be on another machine. */
export async function work(
  name: string,
  tasks: RemoteQueue<number>,
  results: RemoteQueue<[number, number]>,
  begun: RemoteQueue<string>,
  speed: number,
): Promise<void> {
  for await (const lease of tasks.leases({ ttl: TTL })) {
    const n = lease.value;
    console.log(`${name}: run task ${n} (attempt ${lease.attempt})`);
    await begun.put(name);
    await delay(100 / speed);
    await results.put([n, n * n]);
    await lease.ack();
  }
}

if (import.meta.main) {
  const { speed } = readOptions(
    "Kills one of two workers in the middle of a task; nothing is lost.",
  );

  await using manager = new QueueManager({
    authkey: crypto.getRandomValues(new Uint8Array(32)),
  });
  await manager.start();
  const [task, result, sign] = [
    await manager.getTasks(),
    await manager.getResults(),
    await manager.getBegun(),
  ];
  for (let n = 1; n <= COUNT; n++) await task.put(n);

  // The first works so slowly that it never gets done.
  const doomed = new Process({
    target: work,
    args: ["doomed", task, result, sign, 1e-6],
  });
  const other = new Process({
    target: work,
    args: ["other", task, result, sign, speed],
  });
  doomed.start();
  await begun.get();
  // The other one is at work when the first is killed.
  other.start();
  await begun.get();
  doomed.kill();
  await doomed.join();
  console.log("doomed was killed");

  // Every task is acknowledged: then the other one has nothing more to wait for.
  await tasks.join();
  tasks.shutdown();
  await other.join();

  const squares = new Map<number, number>();
  while (squares.size < COUNT) {
    const [n, square] = await results.get({ timeout: 10_000 });
    squares.set(n, square);
  }
  for (const [n, square] of [...squares].sort(([a], [b]) => a - b)) {
    console.log(`${n} * ${n} = ${square}`);
  }
}
