// Copyright 2026 the multitask authors. MIT license.
// The tests of pools of processes, with threads of another process; and what only
// both together are.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotEquals,
} from "@std/assert";
import "./awkward_test.ts?hybrid";
import "./faults_test.ts?hybrid";
import "./pool_test.ts?hybrid";
import { Event, TimeoutError, WorkerLostError } from "../../ipc/mod.ts";
import { HybridPool } from "../../pool/mod.ts";
import { bounded, reasonOf } from "../ipc/_waits.ts";
import { isRunning, until } from "../process/_run.ts";
import { poolTest, range } from "./_pools.ts";
import * as deadly from "./fixtures/deadly.ts";
import * as tasks from "./fixtures/tasks.ts";

poolTest("HybridPool has its threads in so many processes", async () => {
  await using pool = new HybridPool({ processes: 2, threads: 2 });
  assertEquals(pool.size, 4);
  const [ready, go] = [new Event(), new Event()];
  const all = range(4).map((x) =>
    pool.applyAsync(tasks.announceAndWait<number>, [ready, go, x])
  );
  await until(() => pool.stats().running === 4, "Not all of them run");
  go.set();
  assertEquals(
    await bounded(Promise.all(all.map((one) => one.get()))),
    range(4),
  );
  const pids = new Set(pool.stats().workers.map(({ pid }) => pid));
  assertEquals(pids.size, 2);
  assert(!pids.has(Deno.pid));
});

poolTest(
  "A process of a HybridPool takes along its own tasks only",
  async () => {
    await using pool = new HybridPool({ processes: 2, threads: 2 });
    const [ready, go] = [new Event(), new Event()];
    const all = range(4).map((x) =>
      pool.applyAsync(tasks.announceAndWait<number>, [ready, go, x])
    );
    await until(() => pool.stats().running === 4, "Not all of them run");
    const [first] = pool.stats().workers;
    Deno.kill(first!.pid, "SIGKILL");
    await until(() => pool.stats().lost === 2, "Nothing was lost");
    go.set();
    const results = await bounded(
      Promise.allSettled(all.map((one) => one.get())),
    );
    const lost = results.filter((one) => one.status === "rejected");
    assertEquals(lost.length, 2);
    for (const { reason } of lost) {
      assertInstanceOf(reason, WorkerLostError);
      assertEquals([reason.pid, reason.signal], [first!.pid, "SIGKILL"]);
    }
    // It heals.
    assertEquals(
      await bounded(
        Promise.all(range(20).map((x) => pool.apply(tasks.square, [x]))),
      ),
      range(20).map((x) => x * x),
    );
  },
);

poolTest("A loop in a HybridPool ends with its process", async () => {
  await using pool = new HybridPool({
    processes: 1,
    threads: 2,
    killGrace: 50,
  });
  const before = await pool.apply(tasks.pid);
  const looping = pool.apply(deadly.loop, [], { timeout: 100 });
  assertInstanceOf(await reasonOf(looping), TimeoutError);
  await until(() => !isRunning(before), "The process goes on");
  assertNotEquals(await bounded(pool.apply(tasks.pid)), before);
});
