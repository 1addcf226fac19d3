// Copyright 2026 the multitask authors. MIT license.
// Callers that do what nobody expects in the middle of it all.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStringIncludes,
} from "@std/assert";
import {
  BrokenPoolError,
  CancelledError,
  Event,
  Queue,
  taskRef,
  TimeoutError,
  WorkerLostError,
} from "../../ipc/mod.ts";
import { bounded, reasonOf } from "../ipc/_waits.ts";
import type { TaskPool } from "../../pool/mod.ts";
import { range, runProgram, suiteOf } from "./_pools.ts";
import * as deadly from "./fixtures/deadly.ts";
import * as tasks from "./fixtures/tasks.ts";

const { Pool, poolTest, programTest } = suiteOf(import.meta.url);

async function* hanging(): AsyncGenerator<number> {
  await new Promise(() => {});
  yield 1;
}

function* endless(): Generator<number> {
  for (let i = 0;; i++) yield i;
}

/** So the pool knows that they are short. */
async function learn(pool: TaskPool): Promise<void> {
  for (const x of range(50)) await pool.apply(tasks.square, [x]);
}

poolTest("A callback of a pool may read a shared queue", async () => {
  await using pool = new Pool(1);
  using queue = new Queue<string>();
  for (const _ of range(200)) await queue.put("Z".repeat(300));
  await queue.getNowait();
  await learn(pool);
  const results = range(1000).map((x) =>
    pool.applyAsync(tasks.square, [x], {
      callback: () => {
        if (x % 10 === 0) queue.getNowait();
      },
    })
  );
  const values = await bounded(Promise.all(results.map((one) => one.get())));
  assertEquals(values, range(1000).map((x) => x * x));
});

poolTest(
  "Pool.terminate() from a callback settles what a dead worker had",
  async () => {
    const pool = new Pool(1);
    await learn(pool);
    const ended: Promise<void>[] = [];
    const results = range(200).map((x) =>
      pool.applyAsync(x === 5 ? deadly.die : tasks.nothing, [], {
        errorCallback: () => void ended.push(pool.terminate()),
      })
    );
    await bounded(Promise.allSettled(results.map((one) => one.get())));
    assert(results.every((one) => one.ready()));
    await bounded(Promise.all(ended));
  },
);

poolTest("A pool that is broken starts no worker again", async () => {
  const directory = await Deno.makeTempDir();
  using atWork = new Event();
  using never = new Event();
  const pool = new Pool({
    processes: 2,
    initializer: deadly.failInSecond,
    initargs: [directory, atWork],
  });
  let started = 0;
  pool.addEventListener("workerstart", () => started++);
  const item: [Event, Event, number] = [atWork, never, 1];
  const error = await reasonOf(
    pool.starmap(tasks.announceAndWait<number>, new Array(60).fill(item), {
      chunksize: 30,
    }),
  );
  assertInstanceOf(error, BrokenPoolError);
  assertStringIncludes(error.message, "the second one");
  await bounded(pool.join());
  assertEquals([started, pool.stats().workers.length], [0, 0]);
  await Deno.remove(directory, { recursive: true });
});

poolTest(
  "A pool whose workers end before their first task breaks",
  async () => {
    const pool = new Pool({ processes: 1, initializer: deadly.exitSoon });
    const error = await reasonOf(pool.apply(tasks.square, [1]));
    assert(
      error instanceof BrokenPoolError || error instanceof WorkerLostError,
    );
    await pool.terminate();
  },
);

poolTest("A pool whose initializer hangs breaks", async () => {
  const pool = new Pool({
    processes: 1,
    initializer: tasks.forever,
    startTimeout: 200,
  });
  const error = await reasonOf(pool.apply(tasks.square, [1]));
  assertInstanceOf(error, BrokenPoolError);
  await pool.terminate();
});

poolTest("A task's time runs while its module is loaded", async () => {
  await using pool = new Pool({ processes: 1, killGrace: 50 });
  const module = `data:text/javascript,${
    encodeURIComponent("await new Promise(() => {}); export function run() {}")
  }`;
  const error = await reasonOf(
    pool.apply(taskRef<[], void>(module, "run"), [], { timeout: 300 }),
  );
  assertInstanceOf(error, TimeoutError);
  assertEquals(await bounded(pool.apply(tasks.square, [3])), 9);
});

for (const [what, items] of [["endless", endless()], ["long", range(1e5)]]) {
  poolTest(
    `A loop over Pool.imap() that an error has ended holds no pool up, ${what} input`,
    async () => {
      const pool = new Pool(2);
      const error = await reasonOf((async () => {
        for await (
          const _ of pool.imap(tasks.failAt7, items as Iterable<number>)
        );
      })());
      assertInstanceOf(error, RangeError);
      pool.close();
      await bounded(pool.join());
    },
  );
}

poolTest(
  "Pool.terminate() settles maps whose input gives nothing",
  async () => {
    const pool = new Pool(1);
    const mapped = reasonOf(pool.map(tasks.square, hanging()));
    const next = reasonOf(pool.imap(tasks.square, hanging()).next());
    await bounded(pool.terminate());
    assertInstanceOf(await bounded(mapped), CancelledError);
    assertInstanceOf(await bounded(next), CancelledError);
  },
);

poolTest("Pool.imap() that is aborted between two steps throws", async () => {
  await using pool = new Pool(1);
  const abort = new AbortController();
  let count = 0;
  const reason = new Error("enough");
  const thrown = await reasonOf((async () => {
    const { signal } = abort;
    for await (const _ of pool.imap(tasks.square, range(100), { signal })) {
      if (++count === 3) abort.abort(reason);
    }
  })());
  assertEquals([thrown, count], [reason, 3]);
});

poolTest("Pool.imapUnordered() gives nothing after return()", async () => {
  await using pool = new Pool(1);
  const results = pool.imapUnordered(tasks.square, [1, 2, 3, 4]);
  await results.next();
  await pool.apply(tasks.square, [1]);
  await results.return!();
  assertEquals(await results.next(), { done: true, value: undefined });
});

poolTest("A task that runs again has all of its time again", async () => {
  const directory = await Deno.makeTempDir();
  await using pool = new Pool({ processes: 1, onWorkerLost: "retry" });
  await learn(pool);
  const result = await bounded(
    pool.apply(deadly.dieFirstAfter, [`${directory}/first`, 1200], {
      timeout: 2000,
    }),
  );
  assertEquals(result, 2);
  await Deno.remove(directory, { recursive: true });
});

poolTest("A map that is given up does not go on", async () => {
  await using pool = new Pool({ processes: 1, killGrace: 50 });
  await learn(pool);
  const options = { chunksize: 1000, timeout: 200 };
  const items = new Array(1000).fill(100);
  const error = await reasonOf(pool.map(tasks.later, items, options));
  assertInstanceOf(error, TimeoutError);
  // Else this would wait for a hundred seconds.
  assertEquals(await bounded(pool.apply(tasks.square, [3])), 9);
});

poolTest(
  "Pool.removeEventListener() leaves other listeners alone",
  async () => {
    const pool = new Pool(1);
    let ended = 0;
    const listener = () => ended++;
    pool.addEventListener("workerend", listener);
    pool.addEventListener("workerend", listener);
    pool.removeEventListener("workerend", () => {});
    await pool.terminate();
    assertEquals(ended, 1);
  },
);

programTest(
  "A failure that nobody reads is told at the end of a program that never ends its pool",
  async () => {
    const { code, stderr } = await runProgram("leaves_failure.ts");
    assertEquals(code, 0);
    assertStringIncludes(stderr, "nobody has read its result");
    assertStringIncludes(stderr, "RangeError");
  },
);
