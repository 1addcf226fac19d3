// Copyright 2026 the multitask authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { Event, WorkerLostError } from "../../ipc/mod.ts";
import { Pool } from "../../pool/mod.ts";
import { bounded, reasonOf } from "../ipc/_waits.ts";
import { poolTest, range, WAYS } from "./_pools.ts";
import * as deadly from "./fixtures/deadly.ts";
import * as tasks from "./fixtures/tasks.ts";

/** How far the clocks of two programs may be apart, in milliseconds. */
const APART = 5;

interface Entry {
  readonly name: string;
  readonly ph: string;
  readonly ts: number;
  readonly dur: number;
  readonly args: { tasks: number; outcome?: string };
}

/** What a pool has noted: times in milliseconds since the epoch. */
async function entriesOf(pool: Pool): Promise<Entry[]> {
  const path = await Deno.makeTempFile();
  try {
    await pool.trace(path);
    const { traceEvents, otherData } = JSON.parse(
      await Deno.readTextFile(path),
    ) as { traceEvents: Entry[]; otherData: { begin: number } };
    return traceEvents.filter(({ ph }) => ph === "X").map((entry) => ({
      ...entry,
      ts: otherData.begin + entry.ts / 1000,
      dur: entry.dur / 1000,
    }));
  } finally {
    await Deno.remove(path);
  }
}

for (const { name: way, options } of WAYS) {
  const one = { processes: 1, trace: true, killGrace: 50, ...options };

  poolTest(
    `Pool.trace() has the times of the tasks themselves, ${way}`,
    async () => {
      await using pool = new Pool(one);
      // Its module is there then.
      await pool.apply(tasks.nothing);
      const own: [number, number][] = [
        await pool.apply(tasks.ownTimes, [30]),
        ...await pool.map(tasks.ownTimes, [40, 50], { chunksize: 1 }),
      ];
      const [, ...entries] = await entriesOf(pool);
      assertEquals(entries.map(({ name }) => name), Array(3).fill("ownTimes"));
      let last = 0;
      for (const [i, [start, end]] of own.entries()) {
        const { ts, dur } = entries[i]!;
        // It is around the task, and not around the one before.
        assert(last - APART <= ts && ts <= start + APART, `Entry ${i} begins`);
        assert(end - APART <= ts + dur, `Entry ${i} ends`);
        last = end;
      }
    },
  );

  poolTest(`Pool.trace() counts every item once, ${way}`, async () => {
    await using pool = new Pool(one);
    await pool.map(tasks.square, range(1000));
    const entries = await entriesOf(pool);
    const count = entries.reduce((sum, { args }) => sum + args.tasks, 0);
    assertEquals(count, 1000);
  });

  poolTest(
    `Pool.trace() has tasks that were lost, given up and too slow, ${way}`,
    async () => {
      await using pool = new Pool(one);
      using ready = new Event();
      const timeout = 100;
      await reasonOf(pool.apply(tasks.forever, [], { timeout }));
      const abort = new AbortController();
      const { signal } = abort;
      const aborted = reasonOf(
        pool.apply(tasks.announceAndLoop, [ready], { signal }),
      );
      await bounded(ready.wait());
      abort.abort();
      await aborted;
      assert(await reasonOf(pool.apply(deadly.die)) instanceof WorkerLostError);
      const entries = await entriesOf(pool);
      assertEquals(
        entries.map(({ name, args }) => [name, args.outcome]),
        [
          ["forever", "timed out"],
          ["announceAndLoop", "aborted"],
          ["die", "lost"],
        ],
      );
      assert(entries[0]!.dur >= timeout - APART);
    },
  );
}
