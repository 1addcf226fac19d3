// Copyright 2026 the multitask authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { Event } from "../../ipc/mod.ts";
import { WorkQueue } from "../../pool/_work_queue.ts";
import { onAbort } from "../../pool/_abort_listeners.ts";
import { Pool } from "../../pool/mod.ts";
import { bounded } from "../ipc/_waits.ts";
import { poolTest, range } from "./_pools.ts";
import * as tasks from "./fixtures/tasks.ts";

interface Work {
  readonly priority: number;
  readonly number: number;
  isWanted: boolean;
}

function queueOf(): WorkQueue<Work> {
  return new WorkQueue<Work>(({ isWanted }) => isWanted);
}

function workOf(number: number, priority = 0): Work {
  return { number, priority, isWanted: true };
}

function drained(queue: WorkQueue<Work>): number[] {
  const numbers: number[] = [];
  for (let first; (first = queue.first) !== undefined;) {
    numbers.push(first.shift()!.number);
  }
  return numbers;
}

Deno.test("WorkQueue gives the highest priority first, in order among equals", () => {
  const queue = queueOf();
  // All remainders come, in an order that is no order.
  const priorities = range(1000).map((i) => (i * 7919) % 101 - 50);
  priorities.forEach((priority, i) => queue.push(workOf(i, priority)));
  const expected = range(1000).sort((a, b) =>
    priorities[b]! - priorities[a]! || a - b
  );
  assertEquals(drained(queue), expected);
  assert(queue.isEmpty);
});

Deno.test("WorkQueue.unshift() goes before its equals only", () => {
  const queue = queueOf();
  queue.push(workOf(1, 1));
  queue.push(workOf(2, 0));
  queue.unshift(workOf(3, 0));
  assertEquals(drained(queue), [1, 3, 2]);
});

Deno.test("WorkQueue lets go of what is not wanted any more", () => {
  const queue = queueOf();
  const all = range(1000).map((i) => workOf(i));
  for (const work of all) queue.push(work);
  for (const work of all) {
    if (work.number % 10 === 0) continue;
    work.isWanted = false;
    queue.left(work);
  }
  const left = [...queue];
  assert(left.length < 300, `${left.length} are left`);
  assertEquals(
    left.filter(({ isWanted }) => isWanted).map(({ number }) => number),
    range(100).map((i) => i * 10),
  );
});

Deno.test("onAbort() has one listener for all, and none when all are gone", () => {
  const abort = new AbortController();
  const { signal } = abort;
  let added = 0;
  let removed = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => {
    added++;
    addEventListener.apply(signal, args as never);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    removed++;
    removeEventListener.apply(signal, args as never);
  };
  const told: number[] = [];
  const stops = range(100).map((i) => onAbort(signal, () => told.push(i)));
  for (const stop of stops) stop();
  stops[0]!();
  assertEquals([added, removed], [1, 1]);
  const [first] = range(3).map((i) => onAbort(signal, () => told.push(i)));
  first!();
  abort.abort();
  assertEquals([told, added], [[1, 2], 2]);
});

/** So many tasks wait behind one that runs. */
async function whileBusy(
  test: (pool: Pool) => Promise<void> | void,
): Promise<void> {
  await using pool = new Pool(1);
  using ready = new Event();
  using go = new Event();
  const gate = pool.apply(tasks.announceAndWait<number>, [ready, go, 1]);
  await bounded(ready.wait());
  try {
    await test(pool);
  } finally {
    go.set();
    await bounded(gate);
  }
}

poolTest(
  "Pool.stats() does not count cancelled tasks as queued",
  () =>
    whileBusy((pool) => {
      const results = range(10).map((x) => pool.applyAsync(tasks.square, [x]));
      assertEquals(pool.stats().queued, 10);
      for (const one of results.slice(0, 7)) assert(one.cancel());
      assertEquals(pool.stats().queued, 3);
    }),
);

poolTest("20 000 tasks share a signal", () =>
  whileBusy(async (pool) => {
    const abort = new AbortController();
    const { signal } = abort;
    const results = range(20_000).map((x) =>
      pool.applyAsync(tasks.square, [x], { signal })
    );
    abort.abort(new Error("enough"));
    const all = await bounded(
      Promise.allSettled(results.map((one) => one.get())),
    );
    assert(all.every(({ status }) => status === "rejected"));
    assertEquals(pool.stats().queued, 0);
  }));

poolTest("20 000 tasks may each have a priority of their own", async () => {
  await using pool = new Pool(2);
  const results = range(20_000).map((x) =>
    pool.applyAsync(tasks.square, [x], { priority: x })
  );
  const values = await bounded(Promise.all(results.map((one) => one.get())));
  assert(values.every((value, x) => value === x * x));
});
