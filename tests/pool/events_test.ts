// Copyright 2026 the multitask authors. MIT license.
// What a pool tells, and what users have called.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Event } from "../../ipc/mod.ts";
import { Pool, type PoolProgress } from "../../pool/mod.ts";
import { bounded } from "../ipc/_waits.ts";
import { until } from "../process/_run.ts";
import { poolTest, range, runProgram, WAYS } from "./_pools.ts";
import * as tasks from "./fixtures/tasks.ts";

Deno.test("Whatever is called and throws ends no program, and is told once", async () => {
  const { code, stdout, stderr } = await runProgram("callbacks_throw.ts");
  assertEquals(code, 0, stderr);
  assertStringIncludes(stdout, "9");
  for (
    const what of [
      "callback",
      "late callback",
      "errorCallback",
      "map callback",
      "done callback",
      "listener",
    ]
  ) {
    assertEquals(stderr.split(`Error: wrong ${what}\n`).length, 2, what);
  }
  assertStringIncludes(stderr, "Error: wrong onProgress\n");
});

Deno.test("A failure that nobody reads is printed also when somebody listens", async () => {
  const pool = new Pool(1);
  const printed: unknown[] = [];
  const { error } = console;
  console.error = (what) => printed.push(what);
  try {
    const told: unknown[] = [];
    pool.addEventListener("unreaderror", (event) => {
      told.push(event.detail.error);
    });
    const unread = pool.applyAsync(tasks.failOdd, [1]);
    await until(() => unread.ready(), "It is not done");
    pool.close();
    await bounded(pool.join());
    assertEquals([told.length, printed.length], [1, 2]);
    assertEquals(printed[1], told[0]);
  } finally {
    console.error = error;
  }
});

poolTest("Pool checks callbacks and listeners at the call", async () => {
  await using pool = new Pool(1);
  const wrong = 5 as never;
  const calls = [
    () => pool.applyAsync(tasks.nothing, [], { callback: wrong }),
    () => pool.applyAsync(tasks.nothing, [], { errorCallback: wrong }),
    () => pool.mapAsync(tasks.square, [1], { callback: wrong }),
    () => pool.mapAsync(tasks.square, [1], { errorCallback: wrong }),
    () => pool.mapAsync(tasks.square, [1], { onProgress: wrong }),
    () => pool.starmapAsync(tasks.add, [[1, 2]], { onProgress: wrong }),
    () => pool.addEventListener("log", wrong),
  ];
  for (const call of calls) {
    const error = assertThrows(call);
    assertInstanceOf(error, TypeError);
    assertStringIncludes(error.message, "must be a function, received 5");
  }
  assertEquals(pool.stats().queued, 0);
});

for (const { name: way, options } of WAYS) {
  poolTest(
    `What tasks log comes by line, with their names, ${way}`,
    async () => {
      await using pool = new Pool({ processes: 1, ...options });
      const told: unknown[] = [];
      pool.addEventListener("log", ({ detail }) => told.push(detail));
      const result = pool.applyAsync(tasks.say, ["one\ntwo", { three: 3 }]);
      const worker = await bounded(result.get());
      const task = { id: result.id, name: "say" };
      assertEquals(told, [
        { worker, text: "one", task },
        { worker, text: "two { three: 3 }", task },
      ]);
    },
  );

  poolTest(`progress() of items has their index, ${way}`, async () => {
    await using pool = new Pool({ processes: 1, ...options });
    const told: unknown[] = [];
    pool.addEventListener("progress", ({ detail }) => told.push(detail));
    const items: [string][] = [["x"], ["y"]];
    const result = pool.starmapAsync(tasks.say, items, { chunksize: 2 });
    pool.addEventListener("log", () => {});
    await bounded(result.get());
    const task = (index: number) => ({ id: result.id, name: "say", index });
    const worker = "PoolWorker-1";
    assertEquals(told, [
      { worker, value: { part: 1 }, task: task(0) },
      { worker, value: { part: 2 }, task: task(0) },
      { worker, value: { part: 1 }, task: task(1) },
      { worker, value: { part: 2 }, task: task(1) },
    ]);
  });
}

poolTest(
  "onProgress is called at the first result, while an item takes long, and at the end",
  async () => {
    await using pool = new Pool(1);
    using ready = new Event();
    using go = new Event();
    go.set();
    const seen: PoolProgress[] = [];
    const several = Promise.withResolvers<void>();
    const items: [Event, Event, number][] = range(3).map((x) => [ready, go, x]);
    const onProgress = (progress: PoolProgress) => {
      seen.push(progress);
      if (seen.length === 1) go.clear();
      if (seen.length === 4) several.resolve();
    };
    const mapped = pool.starmap(tasks.announceAndWait<number>, items, {
      chunksize: 1,
      onProgress,
    });
    // One that waits is all that happens.
    await bounded(several.promise);
    const still = seen.slice(-2);
    assertEquals(seen[0]!.done, 1);
    assertEquals(still[0]!.done, still[1]!.done);
    assert(still[1]!.rate <= still[0]!.rate, "The time goes on");
    go.set();
    await bounded(mapped);
    assertEquals([seen.at(-1)!.done, seen.at(-1)!.total], [3, 3]);
    assertEquals(seen.filter(({ done }) => done === 3).length, 1);
  },
);

poolTest("onProgress is told what came last before a pause", async () => {
  await using pool = new Pool(1);
  await pool.map(tasks.square, range(100));
  const paused = Promise.withResolvers<void>();
  const mapped = pool.map(tasks.later, [...Array(20).fill(0), 1500], {
    chunksize: 1,
    onProgress: ({ done }) => {
      if (done === 20) paused.resolve();
    },
  });
  await bounded(paused.promise);
  await bounded(mapped);
});
