// Copyright 2026 the multitask authors. MIT license.

/**
 * The master of distributed work: shares two queues on the network, puts tasks
 * into one and reads results from the other. `task_worker.ts` does the work, on
 * this machine or on another one. `deno task examples task_master` runs both.
 *
 * @module
 */

import { Manager } from "@multitask/std/distributed";
import { Queue } from "@multitask/std/ipc";
import { readOptions } from "./_options.ts";

const COUNT = 10;

/** How long a worker may take to come and to send a result. */
const PATIENCE = 10_000;

// Sends tasks.
const taskQueue = new Queue<number>();
// Receives results.
const resultQueue = new Queue<string>();

class QueueManager extends Manager {}

// Both queues are shared, by a name each.
QueueManager.register("getTaskQueue", () => taskQueue);
QueueManager.register("getResultQueue", () => resultQueue);

if (import.meta.main) {
  const { argument: port = "5000" } = readOptions(
    "Shares a queue of tasks and one of results, and waits for a worker.",
    "port",
  );

  // "" is this machine alone. For others it would be "0.0.0.0", with tls.
  const manager = new QueueManager({
    address: { hostname: "", port: Number(port) },
    authkey: "abc",
  });
  await manager.start();
  // The queues as they are reached over the network.
  const task = await manager.getTaskQueue();
  const result = await manager.getResultQueue();
  for (let i = 0; i < COUNT; i++) {
    const n = Math.floor(Math.random() * 10_000);
    console.log(`Put task ${n}...`);
    await task.put(n);
  }
  console.log("Try get results...");
  for (let i = 0; i < COUNT; i++) {
    const r = await result.get({ timeout: PATIENCE });
    console.log(`Result: ${r}`);
  }
  await manager.shutdown();
  console.log("master exit.");
}
