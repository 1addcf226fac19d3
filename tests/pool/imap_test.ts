// Copyright 2026 the multitask authors. MIT license.
// Pool.imap() and its relatives: what ends them, and what they hold.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStringIncludes,
} from "@std/assert";
import {
  CancelledError,
  Event,
  InvalidStateError,
  TimeoutError,
} from "../../ipc/mod.ts";
import { Pool } from "../../pool/mod.ts";
import { bounded, reasonOf } from "../ipc/_waits.ts";
import { reported } from "../process/_run.ts";
import { poolTest, range, runProgram, WAYS } from "./_pools.ts";
import * as tasks from "./fixtures/tasks.ts";

/** What is held of results of a mebibyte, at most, in MiB. */
const MOST_GROWTH = 100;

poolTest("Pool.istarmap() gives lists of arguments, in order", async () => {
  for (const { options } of WAYS) {
    await using pool = new Pool({ processes: 2, ...options });
    const items = range(100).map((x): [number, number] => [x, 1]);
    const sums = pool.istarmap(tasks.add, items, { chunksize: 7 });
    assertEquals(
      await bounded(Array.fromAsync(sums)),
      range(100).map((x) => x + 1),
    );
  }
});

poolTest(
  "The end of a pool does not wait for an iterator that nobody reads on",
  async () => {
    let results: AsyncIterableIterator<number>;
    await bounded((async () => {
      await using pool = new Pool(1);
      results = pool.imap(tasks.square, range(10_000));
      assertEquals(await results.next(), { done: false, value: 0 });
    })());
    // It is not taken for the end of the results.
    assertInstanceOf(await bounded(reasonOf(results!.next())), CancelledError);
    assertEquals(await results!.next(), { done: true, value: undefined });
  },
);

poolTest("The end of a pool waits for loops that go on", async () => {
  let looped: Promise<number[]>;
  {
    await using pool = new Pool(1);
    looped = Array.fromAsync(pool.imap(tasks.square, range(1000)));
  }
  assertEquals((await bounded(looped)).length, 1000);
});

poolTest("Pool.join() says that results are not read", async () => {
  const pool = new Pool(1);
  const results = pool.imap(tasks.square, range(1000));
  await results.next();
  pool.close();
  const error = await bounded(reasonOf(pool.join()));
  assertInstanceOf(error, InvalidStateError);
  assertStringIncludes(error.message, "nobody reads the results of 1 imap()");
  // The pool goes on.
  assertEquals((await bounded(Array.fromAsync(results))).length, 999);
  await bounded(pool.join());
});

poolTest("An input whose next() gives no object is a TypeError", async () => {
  await using pool = new Pool(1);
  const wrong = {
    [Symbol.iterator]: () => ({ next: () => 5 }),
  } as unknown as Iterable<number>;
  const late = {
    [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(5) }),
  } as unknown as AsyncIterable<number>;
  for (const input of [wrong, late]) {
    const results = pool.imap(tasks.square, input);
    assertInstanceOf(await bounded(reasonOf(results.next())), TypeError);
    const mapped = (async () => await pool.map(tasks.square, input))();
    assertInstanceOf(await bounded(reasonOf(mapped)), TypeError);
  }
});

for (const { name: way, options } of WAYS) {
  poolTest(
    `itemTimeout ends the items that take too long, ${way}`,
    async () => {
      await using pool = new Pool({ processes: 1, killGrace: 50, ...options });
      await pool.apply(tasks.nothing);
      const itemTimeout = 200;
      const results = pool.imap(tasks.later, [0, 60_000, 1], { itemTimeout });
      assertEquals((await bounded(results.next())).value, 0);
      const error = await bounded(reasonOf(results.next()));
      assertInstanceOf(error, TimeoutError);
      assertEquals((error as Error & { index?: number }).index, 1);
      assertEquals((await bounded(results.next())).value, 1);
      assertEquals((await bounded(results.next())).done, true);
      const mapped = pool.map(tasks.later, [0, 60_000, 1], { itemTimeout });
      assertInstanceOf(await bounded(reasonOf(mapped)), TimeoutError);
      assertEquals(await pool.map(tasks.later, [1, 2], { itemTimeout: 1e6 }), [
        1,
        2,
      ]);
    },
  );
}

poolTest("Items of an imap() with a higher priority begin first", async () => {
  await using pool = new Pool(1);
  using ready = new Event();
  using go = new Event();
  const gate = pool.apply(tasks.announceAndWait<number>, [ready, go, 1]);
  await bounded(ready.wait());
  const order: string[] = [];
  const late = pool.imap(tasks.square, [1]).next()
    .then(() => order.push("late"));
  const urgent = pool.imap(tasks.square, [1], { priority: 1 }).next()
    .then(() => order.push("urgent"));
  go.set();
  await bounded(Promise.all([gate, late, urgent]));
  assertEquals(order, ["urgent", "late"]);
});

Deno.test("Large results of Pool.imap() wait within bounds for a slow consumer", async () => {
  const { done, growth } = reported(
    await runProgram("large_results.ts"),
  ) as { done: number; growth: number };
  assertEquals(done, 200);
  assert(growth < MOST_GROWTH, `Memory grew by ${growth} MiB`);
});
