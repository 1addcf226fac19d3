// Copyright 2026 the multitask authors. MIT license.
// Messages that cross each other, and what was sent but never arrived.

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Lock, Pipe, Queue, QueueFullError } from "../../ipc/mod.ts";
import { Process } from "../../process/mod.ts";
import { processTest } from "./_run.ts";
import * as crossing from "./fixtures/crossing_tasks.ts";

async function done<A extends unknown[], R>(
  process: Process<A, R>,
): Promise<R> {
  process.start();
  const result = await process.result;
  await process.join();
  return result;
}

processTest("Queue.get() many at once gives each its own item", async () => {
  using queue = new Queue<string>();
  const count = 2000;
  for (let i = 0; i < count; i++) await queue.put(crossing.itemOf(i));
  const process = new Process({
    target: crossing.getAtOnce,
    args: [queue, count],
  });
  assertEquals(await done(process), []);
});

processTest("Queue.get() that is given up is forgotten", async () => {
  using queue = new Queue<number>();
  const process = new Process({ target: crossing.giveUp, args: [queue, 50] });
  assertEquals(await done(process), false);
});

processTest("LockGuard.release() works after the lock's close()", async () => {
  using lock = new Lock();
  const process = new Process({
    target: crossing.closeThenRelease,
    args: [lock],
  });
  process.start();
  // It ends only when it has let go: the guard is not abandoned.
  await process.join();
  using guard = await lock.acquire();
  assertEquals(guard.abandoned, false);
});

processTest("Connection is still here when it could not be sent", async () => {
  const [here, there] = Pipe<string>();
  const nowhere = new Process({
    target: crossing.echo,
    args: [there],
    cwd: "/no/such/directory",
  });
  assertThrows(() => nowhere.start());
  using full = new Queue<unknown>(1);
  await full.put("in the way");
  await assertRejects(() => full.putNowait(there), QueueFullError);
  const process = new Process({ target: crossing.echo, args: [there] });
  process.start();
  await here.send("hello");
  assertEquals(await here.recv(), "hello");
  await process.join();
  here.close();
});

processTest("Process.prewarm() in a child does not hold it", async () => {
  const process = new Process({ target: crossing.prewarmThenReturn });
  assertEquals(await done(process), "returned");
});
