// Copyright 2026 the multitask authors. MIT license.
// Items of maps: how they are stopped, spread over the workers and counted.

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { Event, TimeoutError } from "../../ipc/mod.ts";
import { Pool } from "../../pool/mod.ts";
import { bounded, reasonOf } from "../ipc/_waits.ts";
import { poolTest, range, WAYS } from "./_pools.ts";
import * as tasks from "./fixtures/tasks.ts";

/** Far longer than a test takes: whoever ends sooner was not killed. */
const LONG = 60_000;

for (const { name: way, options } of WAYS) {
  const one = { processes: 1, killGrace: LONG, ...options };

  poolTest(
    `An aborted map aborts the signal of its items, ${way}`,
    async () => {
      await using pool = new Pool(one);
      using ready = new Event();
      using seen = new Event();
      const before = await pool.apply(tasks.pid);
      const abort = new AbortController();
      const { signal } = abort;
      const items: [Event, Event][] = [[ready, seen], [ready, seen]];
      const options = { signal, chunksize: 2 };
      const mapped = reasonOf(pool.starmap(tasks.untilAborted, items, options));
      await bounded(ready.wait());
      ready.clear();
      abort.abort(new Error("enough"));
      assertEquals((await mapped as Error).message, "enough");
      await bounded(seen.wait());
      // It went by itself, and the other item never began.
      assertEquals(await bounded(pool.apply(tasks.pid)), before);
      assert(!ready.isSet);
    },
  );

  poolTest(
    `A map whose time is up aborts the signal of its items, ${way}`,
    async () => {
      await using pool = new Pool(one);
      using ready = new Event();
      using seen = new Event();
      await pool.apply(tasks.nothing);
      const error = await reasonOf(
        pool.starmap(tasks.untilAborted, [[ready, seen]], { timeout: 100 }),
      );
      assertInstanceOf(error, TimeoutError);
      await bounded(seen.wait());
    },
  );

  poolTest(`Pool.imap() that is stopped aborts its items, ${way}`, async () => {
    await using pool = new Pool(one);
    using ready = new Event();
    using seen = new Event();
    const results = pool.istarmap(tasks.untilAborted, [[ready, seen]]);
    const next = results.next();
    await bounded(ready.wait());
    await results.return!();
    assertEquals(await next, { done: true, value: undefined });
    await bounded(seen.wait());
  });

  poolTest(
    `A slow run of items in one chunk is shared by the workers, ${way}`,
    async () => {
      await using pool = new Pool({ processes: 2, ...options });
      await pool.map(tasks.busyPid, range(50).map(() => 0));
      const items = [...range(20).map(() => 0), ...range(40).map(() => 25)];
      const pids = await pool.map(tasks.busyPid, items, { chunksize: 60 });
      assertEquals(new Set(pids.slice(20)).size, 2);
    },
  );

  poolTest(
    `Pool.stats() knows the longest item of a batch, ${way}`,
    async () => {
      await using pool = new Pool(one);
      const slow = 60;
      await pool.map(tasks.busy, range(100).map(() => 0));
      const items = range(400).map((i) => i === 205 ? slow : 0);
      await pool.map(tasks.busy, items);
      const { workers, done } = pool.stats();
      const { run, wait } = workers[0]!;
      assertEquals([run.count, done], [500, 500]);
      assert(wait.count >= 500, `${wait.count} have waited`);
      assert(run.max >= slow, `The longest took ${run.max} ms`);
      assert(run.p50 < slow / 2, `Half took ${run.p50} ms and less`);
    },
  );
}

poolTest("Pool.stats() counts items that wait", async () => {
  await using pool = new Pool(1);
  using ready = new Event();
  using go = new Event();
  const all: [Event, Event, number][] = range(10).map((x) => [ready, go, x]);
  const mapped = pool.starmap(tasks.announceAndWait<number>, all, {
    chunksize: 1,
  });
  await bounded(ready.wait());
  const { queued, running } = pool.stats();
  assertEquals([queued, running], [9, 1]);
  go.set();
  assertEquals(await mapped, range(10));
});
