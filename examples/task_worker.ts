// Copyright 2026 the multitask authors. MIT license.

/**
 * A worker for `task_master.ts`: gets numbers from one queue on the network and
 * puts their squares into another one.
 *
 * It needs no permission but that for the address of its master:
 * `--allow-net=127.0.0.1:5000`.
 *
 * @module
 */

import { Manager } from "@multitask/std/distributed";
import { QueueEmptyError } from "@multitask/std/ipc";
import { delay } from "@std/async/delay";
import { retry } from "@std/async/retry";
import { readOptions } from "./_options.ts";

const COUNT = 10;

class QueueManager extends Manager {}

// What the names stand for, the master knows.
QueueManager.register("getTaskQueue");
QueueManager.register("getResultQueue");

if (import.meta.main) {
  const { argument: port = "5000", speed } = readOptions(
    "Squares the numbers of a queue that task_master.ts shares.",
    "port",
  );

  // The machine on which task_master.ts runs.
  const server = "127.0.0.1";
  console.log(`Connect to server ${server}...`);
  // Port and key have to be those of the master.
  const manager = new QueueManager({
    address: { hostname: server, port: Number(port) },
    authkey: "abc",
  });
  // The master may be about to start.
  await retry(() => manager.connect(), { minTimeout: 100 });
  const task = await manager.getTaskQueue();
  const result = await manager.getResultQueue();
  for (let i = 0; i < COUNT; i++) {
    try {
      const n: number = await task.get({ timeout: 1000 });
      console.log(`run task ${n} * ${n}...`);
      await delay(1000 / speed);
      await result.put(`${n} * ${n} = ${n * n}`);
    } catch (error) {
      if (!(error instanceof QueueEmptyError)) throw error;
      console.log("task queue is empty.");
    }
  }
  await manager.shutdown();
  console.log("worker exit.");
}
