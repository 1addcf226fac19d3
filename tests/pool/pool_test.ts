// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  CancelledError,
  Event,
  InvalidStateError,
  Queue,
  RemoteError,
  SerializationError,
  taskRef,
  TaskReferenceError,
  TimeoutError,
  wait,
} from "../../ipc/mod.ts";
import {
  type AsyncResult,
  type PoolProgress,
  taskContext,
} from "../../pool/mod.ts";
import { cpuCount } from "../../process/mod.ts";
import { bounded, CountedAbort, reasonOf } from "../ipc/_waits.ts";
import { isRunning, until } from "../process/_run.ts";
import { range, suiteOf } from "./_pools.ts";
import * as deadly from "./fixtures/deadly.ts";
import * as tasks from "./fixtures/tasks.ts";

const { kind, Pool, poolTest, processTest, programTest, WAYS } = suiteOf(
  import.meta.url,
);

/** The reason of a throw or of a rejection. */
function reasonWhen(act: () => unknown): Promise<unknown> {
  return reasonOf((async () => await act())());
}

// ---- One task ----

for (const { name, options } of WAYS) {
  poolTest(
    `Pool.apply() gives what the function returns, ${name}`,
    async () => {
      await using pool = new Pool({ processes: 2, ...options });
      assertEquals(pool.size, 2);
      assertEquals(await pool.apply(tasks.add, [1, 2]), 3);
      assertEquals(await pool.apply(tasks.squareLater, [7]), 49);
      assertEquals(await pool.apply(tasks.nothing), undefined);
      assertEquals(await pool.apply(tasks.pid) === Deno.pid, kind === "thread");
      assertEquals(
        await pool.apply(tasks.grantedFfi),
        options.permissions === undefined,
      );
      assertEquals(
        await pool.apply((a: number, b: number) => a * b, [6, 7]),
        42,
      );
      const ref = taskRef<[number, number], number>(
        import.meta.resolve("./fixtures/tasks.ts"),
        "add",
      );
      assertEquals(await pool.apply(ref, [3, 4]), 7);
    },
  );

  poolTest(`Pool.map() keeps the order of the items, ${name}`, async () => {
    await using pool = new Pool({ processes: 2, ...options });
    const numbers = range(500);
    const squares = numbers.map((x) => x * x);
    assertEquals(await pool.map(tasks.square, numbers), squares);
    assertEquals(await pool.map(tasks.squareLater, numbers), squares);
    for (const chunksize of [1, 7, 500, 10_000]) {
      assertEquals(
        await pool.map(tasks.square, numbers, { chunksize }),
        squares,
      );
    }
    assertEquals(await pool.map(tasks.square, []), []);
    assertEquals(await pool.map(tasks.square, new Set([3, 2])), [9, 4]);
    async function* later() {
      for (const x of [1, 2, 3]) yield await Promise.resolve(x);
    }
    assertEquals(await pool.map(tasks.square, later()), [1, 4, 9]);
  });

  poolTest(
    `Pool.imap() keeps the order and imapUnordered() the multiset, ${name}`,
    async () => {
      await using pool = new Pool({ processes: 2, ...options });
      const numbers = range(500).map((x) => x % 100);
      const squares = numbers.map((x) => x * x);
      for (const chunksize of [undefined, 1, 30]) {
        const given = chunksize === undefined ? {} : { chunksize };
        assertEquals(
          await bounded(
            Array.fromAsync(pool.imap(tasks.square, numbers, given)),
          ),
          squares,
        );
        const unordered = await bounded(
          Array.fromAsync(pool.imapUnordered(tasks.square, numbers, given)),
        );
        assertEquals(
          unordered.toSorted((a, b) => a - b),
          squares.toSorted((a, b) => a - b),
        );
      }
      assertEquals(await Array.fromAsync(pool.imap(tasks.square, [])), []);
    },
  );

  poolTest(`Pool runs a burst of calls in order, ${name}`, async () => {
    await using pool = new Pool({ processes: 1, ...options });
    const order: number[] = [];
    const results = range(2000).map((x) =>
      pool.applyAsync(tasks.square, [x], { callback: (y) => order.push(y) })
    );
    const values = await bounded(Promise.all(results.map((one) => one.get())));
    assertEquals(values, range(2000).map((x) => x * x));
    assertEquals(order, values);
  });
}

poolTest(
  "Pool.map() and Pool.imap() take the letters of a string",
  async () => {
    await using pool = new Pool(1);
    assertEquals(
      await bounded(Array.fromAsync(pool.imap(tasks.echo<string>, "abc"))),
      ["a", "b", "c"],
    );
    assertEquals(
      await pool.map(tasks.echo<string>, "abc"),
      ["a", "b", "c"],
    );
  },
);

processTest(
  "Pool with no permissions runs its tasks all the same",
  async () => {
    await using pool = new Pool({ processes: 2, permissions: "none" });
    assertEquals(await pool.apply(tasks.add, [1, 2]), 3);
    assertEquals(await pool.map(tasks.square, [1, 2, 3]), [1, 4, 9]);
    const error = await reasonOf(pool.map(tasks.failAt7, range(20)));
    assertInstanceOf(error, RangeError);
    assertEquals(
      await pool.apply(() =>
        Deno.permissions.querySync({ name: "read" }).state
      ),
      "prompt",
    );
  },
);

poolTest("Pool has as many workers as there are processors", async () => {
  await using pool = new Pool();
  assertEquals(pool.size, cpuCount());
  assertEquals(pool.stats().workers.length, cpuCount());
});

poolTest("Pool.apply() carries what structured clone carries", async () => {
  await using pool = new Pool(1);
  const cycle: Record<string, unknown> = { list: [1n, , "😀"] };
  cycle.self = cycle;
  const value = {
    map: new Map<unknown, unknown>([[new Date(5), new Set([NaN, -0])]]),
    bytes: new Uint8Array([1, 2, 3]),
    pattern: /a+/gi,
    nothing: undefined,
    cycle,
  };
  assertEquals(await pool.apply(tasks.echo<unknown>, [value]), value);
  assertEquals(await pool.map(tasks.echo<unknown>, [value]), [value]);
});

poolTest("Pool.apply() carries shared objects both ways", async () => {
  await using pool = new Pool(2);
  const queue = new Queue<number>();
  await bounded(
    pool.starmap(
      tasks.putAll,
      range(20).map((i) =>
        [queue, i] as [
          Queue<number>,
          number,
        ]
      ),
    ),
  );
  const got = new Set<number>();
  for (let i = 0; i < 20; i++) got.add(await bounded(queue.get()));
  assertEquals(got.size, 20);
  const back = await pool.apply(tasks.echo<Queue<number>>, [queue]);
  await back.put(5);
  assertEquals(await bounded(queue.get()), 5);
  queue.close();
});

poolTest("Pool.apply() moves buffers of transfer", async () => {
  for (const { options } of WAYS) {
    await using pool = new Pool({ processes: 1, ...options });
    const { buffer } = new Uint8Array([1, 2, 3]);
    const result = pool.apply(tasks.echo<ArrayBuffer>, [buffer], {
      transfer: [buffer],
    });
    assertEquals(buffer.byteLength, 0);
    assertEquals(new Uint8Array(await result), new Uint8Array([1, 2, 3]));
  }
});

poolTest(
  "Pool.apply() moves no buffer when it cannot send the rest",
  async () => {
    await using pool = new Pool(1);
    const { buffer } = new Uint8Array([1, 2, 3]);
    const transfer = [buffer];
    const args: [unknown] = [[buffer, () => {}]];
    assertThrows(
      () => pool.applyAsync(tasks.echo<unknown>, args, { transfer }),
      SerializationError,
    );
    assertEquals(buffer.byteLength, 3);
    assertThrows(
      () => pool.applyAsync(tasks.nothing, [], { transfer: [5] as never }),
      TypeError,
    );
    const moved = structuredClone(buffer, { transfer });
    assertThrows(() =>
      pool.applyAsync(tasks.echo<unknown>, [buffer], { transfer })
    );
    assertEquals(moved.byteLength, 3);
  },
);

poolTest("A task whose buffers were moved runs again with them", async () => {
  const directory = await Deno.makeTempDir();
  {
    await using pool = new Pool({ processes: 1, onWorkerLost: "retry" });
    const { buffer } = new Uint8Array([1, 2, 3]);
    const value = await pool.apply(deadly.dieOnceWith, [
      `${directory}/first`,
      buffer,
    ], { transfer: [buffer] });
    // What was packed is sent again.
    assertEquals(value, 3);
  }
  await Deno.remove(directory, { recursive: true });
});

poolTest("Pool.apply() takes and gives megabytes", async () => {
  for (const { options } of WAYS) {
    await using pool = new Pool({ processes: 2, ...options });
    const large = new Uint8Array(4 * 2 ** 20).map((_, i) => i * 7);
    const results = await bounded(Promise.all(
      range(6).map(() => pool.apply(tasks.echo<Uint8Array>, [large])),
    ));
    for (const result of results) assertEquals(result, large);
    const mapped = await pool.map(tasks.echo<Uint8Array>, [large, large]);
    assertEquals(mapped, [large, large]);
  }
});

poolTest("Pool.apply() rejects with the error of its function", async () => {
  for (const { options } of WAYS) {
    await using pool = new Pool({ processes: 1, ...options });
    const error = await reasonOf(pool.apply(tasks.failOdd, [3]));
    assertInstanceOf(error, RangeError);
    assertEquals(error.message, "3 is odd");
    assertInstanceOf(error.cause, RemoteError);
    assertEquals(error.cause.process, "PoolWorker-1");
    assertEquals(error.cause.pid, await pool.apply(tasks.pid));
    assertStringIncludes(error.cause.remoteStack, "failOdd");
    const own = await reasonOf(pool.apply(tasks.failAs, ["x"]));
    assertInstanceOf(own, tasks.TaskFailure);
    assertEquals(own.message, "task x failed");
    assertEquals(own.task, "x");
    assertEquals(await reasonOf(pool.apply(tasks.failWith, ["text"])), "text");
    assertEquals(await pool.apply(tasks.add, [1, 2]), 3);
  }
});

// ---- AsyncResult ----

poolTest("AsyncResult tells how far its task is", async () => {
  await using pool = new Pool(1);
  const go = new Event();
  const result = pool.applyAsync(tasks.waitFor<string>, [go, "went"]);
  assertFalse(result.ready());
  assertThrows(() => result.successful(), InvalidStateError, "not done");
  await assertRejects(() => result.get({ timeout: 1 }), TimeoutError);
  await assertRejects(() => result.wait({ timeout: 0 }), TimeoutError);
  const abort = new CountedAbort();
  const waiting = reasonOf(result.get({ signal: abort.signal }));
  await Promise.resolve();
  abort.abort();
  assertStrictEquals(await waiting, abort.reason);
  assertEquals(abort.listeners, 0);
  assertStrictEquals(
    await reasonOf(result.get({ signal: abort.signal })),
    abort.reason,
  );
  go.set();
  assertEquals(await bounded(result.get()), "went");
  assertEquals(await result.get({ timeout: 0 }), "went");
  assertStrictEquals(result.promise, result.promise);
  assert(result.ready());
  assert(result.successful());
  const failing = pool.applyAsync(tasks.failOdd, [1]);
  await bounded(failing.wait());
  assertFalse(failing.successful());
  assertInstanceOf(await reasonOf(failing.get()), RangeError);
  assertFalse("then" in failing);
});

poolTest("AsyncResult is something to wait() for", async () => {
  await using pool = new Pool(2);
  const go = new Event();
  const slow = pool.applyAsync(tasks.waitFor<number>, [go, 1]);
  const quick = pool.applyAsync(tasks.add, [1, 1]);
  const failing = pool.applyAsync(tasks.failOdd, [1]);
  const first = await bounded(wait([slow, quick]));
  assertEquals(first.length, 1);
  assertStrictEquals(first[0], quick);
  assertEquals((await bounded(wait([failing]))).length, 1);
  assertInstanceOf(await reasonOf(failing.get()), RangeError);
  go.set();
  assertEquals(await bounded(slow.get()), 1);
});

poolTest(
  "Pool.applyAsync() calls back with the value or the error",
  async () => {
    await using pool = new Pool(1);
    const told: unknown[] = [];
    const good = pool.applyAsync(tasks.add, [1, 2], {
      callback: (sum) => told.push(sum),
      errorCallback: () => told.push("never"),
    });
    const bad = pool.applyAsync(tasks.failOdd, [1], {
      callback: () => told.push("never"),
      errorCallback: (error) => told.push((error as Error).message),
    });
    await bounded(Promise.all([good.wait(), bad.wait()]));
    assertEquals(told, [3, "1 is odd"]);
    const all = pool.mapAsync(tasks.square, [1, 2], {
      callback: (values) => told.push(values),
    });
    const some = pool.starmapAsync(tasks.failAt, [[1, 1]], {
      errorCallback: (error) => told.push((error as Error).message),
    });
    await bounded(Promise.all([all.wait(), some.wait()]));
    assertEquals(told.slice(2), [[1, 4], "1 is bad"]);
  },
);

poolTest(
  "A callback that throws is reported, and hurts nobody: Python's pool hangs",
  async () => {
    await using pool = new Pool(1);
    const reported: unknown[] = [];
    pool.addEventListener("callbackerror", (event) => {
      event.preventDefault();
      reported.push(event.detail.error);
    });
    const wrong = new Error("wrong callback");
    const results = range(5).map((x) =>
      pool.applyAsync(tasks.square, [x], {
        callback: () => {
          if (x === 1) throw wrong;
        },
      })
    );
    assertEquals(
      await bounded(Promise.all(results.map((one) => one.get()))),
      [0, 1, 4, 9, 16],
    );
    assertEquals(reported, [wrong]);
  },
);

// ---- Many items ----

poolTest("Pool.starmap() calls with each list of arguments", async () => {
  await using pool = new Pool(2);
  const pairs = range(100).map((x): [number, number] => [x, 1]);
  assertEquals(
    await pool.starmap(tasks.add, pairs),
    range(100).map((x) => x + 1),
  );
  assertEquals(
    await pool.starmapAsync(tasks.add, pairs, { chunksize: 3 }).get(),
    range(100).map((x) => x + 1),
  );
});

poolTest(
  "Pool.map() rejects with the first error once all items have run",
  async () => {
    for (const { options } of WAYS) {
      await using pool = new Pool({ processes: 2, ...options });
      const error = await reasonOf(pool.map(tasks.failOdd, range(50)));
      assertInstanceOf(error, RangeError);
      assertEquals(error.message, "1 is odd");
      assertEquals((error as RangeError & { index?: number }).index, 1);
      const { done, failed, queued, running } = pool.stats();
      assertEquals([done, failed, queued, running], [25, 25, 0, 0]);
      const chunks = await reasonOf(
        pool.map(tasks.failAt7, range(50), { chunksize: 10 }),
      );
      assertEquals((chunks as { index?: number }).index, 7);
    }
  },
);

poolTest(
  "Pool.map() tells how far it is, at last that all is done",
  async () => {
    await using pool = new Pool(2);
    const told: PoolProgress[] = [];
    await pool.map(tasks.square, range(1000), {
      onProgress: (progress) => told.push(progress),
    });
    const last = told.at(-1)!;
    assertEquals([last.done, last.total, last.eta], [1000, 1000, 0]);
    assertGreater(last.rate, 0);
    for (let i = 1; i < told.length; i++) {
      assertGreaterOrEqual(told[i]!.done, told[i - 1]!.done);
    }
  },
);

poolTest(
  "Pool.mapAsync() is given up by signal, timeout and cancel()",
  async () => {
    for (const { options } of WAYS) {
      await using pool = new Pool({ processes: 1, ...options });
      const [ready, go] = [new Event(), new Event()];
      const gate = pool.applyAsync(tasks.announceAndWait<number>, [
        ready,
        go,
        1,
      ]);
      await bounded(ready.wait());
      const abort = new CountedAbort();
      const aborted = pool.mapAsync(tasks.square, range(50), {
        signal: abort.signal,
      });
      abort.abort();
      assertStrictEquals(await reasonOf(aborted.get()), abort.reason);
      assertEquals(abort.listeners, 0);
      const late = pool.mapAsync(tasks.square, range(50), { timeout: 1 });
      assertInstanceOf(await reasonOf(late.get()), TimeoutError);
      const cancelled = pool.mapAsync(tasks.square, range(50));
      assert(cancelled.cancel());
      assertInstanceOf(await reasonOf(cancelled.get()), CancelledError);
      assertFalse(cancelled.cancel());
      go.set();
      assertEquals(await bounded(gate.get()), 1);
      // None of them has run.
      assertEquals(pool.stats().done, 1);
      assertEquals(await pool.map(tasks.square, [3]), [9]);
      assertStrictEquals(
        await reasonWhen(() =>
          pool.map(tasks.square, [1], { signal: abort.signal })
        ),
        abort.reason,
      );
    }
  },
);

poolTest("Pool.map() rejects with the error of its input", async () => {
  await using pool = new Pool(1);
  const wrong = new Error("no more");
  function* failing() {
    yield 1;
    throw wrong;
  }
  async function* failingLater() {
    yield await Promise.resolve(1);
    throw wrong;
  }
  assertStrictEquals(
    await reasonWhen(() => pool.map(tasks.square, failing())),
    wrong,
  );
  assertStrictEquals(
    await reasonWhen(() => pool.map(tasks.square, failingLater())),
    wrong,
  );
  assertEquals(await pool.apply(tasks.square, [2]), 4);
});

// ---- imap ----

poolTest("Pool.imap() gives an error at its place and goes on", async () => {
  for (const { options } of WAYS) {
    await using pool = new Pool({ processes: 2, ...options });
    for (const chunksize of [1, 4, 100]) {
      const results = pool.imap(tasks.failAt7, range(20), { chunksize });
      const given: unknown[] = [];
      for (let i = 0; i < 20; i++) {
        const next = results.next();
        if (i !== 7) given.push((await bounded(next)).value);
        else {
          const error = await reasonOf(next);
          assertInstanceOf(error, RangeError);
          assertEquals((error as RangeError & { index?: number }).index, 7);
        }
      }
      assertEquals(given, range(20).filter((x) => x !== 7));
      assertEquals((await bounded(results.next())).done, true);
      assertEquals((await bounded(results.next())).done, true);
    }
  }
});

poolTest(
  "Pool.imap() reads an endless input as it is consumed: Python hangs",
  async () => {
    for (const { options } of WAYS) {
      await using pool = new Pool({ processes: 2, ...options });
      let read = 0;
      let isEnded = false;
      const endless = function* () {
        try {
          while (true) yield read++;
        } finally {
          isEnded = true;
        }
      };
      const taken: number[] = [];
      for await (
        const one of pool.imap(tasks.square, endless(), { buffer: 10 })
      ) {
        taken.push(one);
        assertLessOrEqual(read, taken.length + 10);
        if (taken.length === 200) break;
      }
      assertEquals(taken, range(200).map((x) => x * x));
      assert(isEnded);
      const before = read;
      assertEquals(await pool.apply(tasks.square, [3]), 9);
      assertEquals(read, before);
    }
  },
);

poolTest("Pool.imapUnordered() reads an endless async input", async () => {
  await using pool = new Pool(2);
  let isEnded = false;
  async function* endless() {
    try {
      for (let i = 0;; i++) yield await Promise.resolve(i);
    } finally {
      isEnded = true;
    }
  }
  const taken = new Set<number>();
  for await (const one of pool.imapUnordered(tasks.square, endless())) {
    taken.add(one);
    if (taken.size === 300) break;
  }
  assertEquals(taken.size, 300);
  await until(() => isEnded, "The input goes on");
});

poolTest("Pool.imap() stops reading while nobody consumes", async () => {
  await using pool = new Pool(2);
  let read = 0;
  function* endless() {
    while (true) yield read++;
  }
  const results = pool.imap(tasks.square, endless(), { buffer: 6 });
  assertEquals((await bounded(results.next())).value, 0);
  await until(() => {
    const { done, running, queued } = pool.stats();
    return done === read && running === 0 && queued === 0;
  }, "It does not come to rest");
  assertLessOrEqual(read, 7);
  assertEquals((await results.return!()).done, true);
  assertEquals((await results.next()).done, true);
});

poolTest(
  "Pool.imap() gives the results before the error of its input",
  async () => {
    await using pool = new Pool(2);
    const wrong = new Error("no more");
    function* failing() {
      yield* [1, 2, 3];
      throw wrong;
    }
    const given: number[] = [];
    const reason = await reasonOf((async () => {
      for await (const one of pool.imap(tasks.square, failing())) {
        given.push(one);
      }
    })());
    assertStrictEquals(reason, wrong);
    assertEquals(given, [1, 4, 9]);
  },
);

poolTest("Pool.imap() ends with its signal", async () => {
  await using pool = new Pool(1);
  const [ready, go] = [new Event(), new Event()];
  const abort = new CountedAbort();
  let isEnded = false;
  function* gated(): Generator<[Event, Event, number]> {
    try {
      while (true) yield [ready, go, 1];
    } finally {
      isEnded = true;
    }
  }
  const results = pool.imap(
    (item: [Event, Event, number]) => {
      item[0].set();
      return item[1].wait();
    },
    gated(),
    { signal: abort.signal, buffer: 2 },
  );
  const next = reasonOf(results.next());
  await bounded(ready.wait());
  abort.abort();
  assertStrictEquals(await next, abort.reason);
  assert(isEnded);
  assertEquals(abort.listeners, 0);
  assertEquals((await results.next()).done, true);
  go.set();
  assertStrictEquals(
    await reasonWhen(() =>
      pool.imap(tasks.square, [1], { signal: abort.signal }).next()
    ),
    abort.reason,
  );
  assertEquals(await pool.apply(tasks.square, [2]), 4);
});

poolTest("Pool.close() lets an imap that is being read go on", async () => {
  await using pool = new Pool(2);
  const results = pool.imap(tasks.square, range(300), { buffer: 4 });
  assertEquals((await bounded(results.next())).value, 0);
  pool.close();
  const rest = await bounded(Array.fromAsync(results));
  assertEquals(rest, range(300).slice(1).map((x) => x * x));
  await bounded(pool.join());
});

// ---- Giving up ----

poolTest(
  "Pool.applyAsync() with a signal aborted before runs nothing",
  async () => {
    await using pool = new Pool(1);
    const abort = new CountedAbort();
    abort.abort();
    assertStrictEquals(
      await reasonWhen(() =>
        pool.applyAsync(tasks.nothing, [], { signal: abort.signal })
      ),
      abort.reason,
    );
    assertStrictEquals(
      await reasonOf(pool.apply(tasks.nothing, [], { signal: abort.signal })),
      abort.reason,
    );
    assertEquals(abort.listeners, 0);
    assertEquals(pool.stats().queued, 0);
  },
);

for (const { name, options } of WAYS) {
  poolTest(
    `A task that waits is aborted or cancelled, ${name}`,
    async () => {
      await using pool = new Pool({ processes: 1, ...options });
      const [ready, go] = [new Event(), new Event()];
      const gate = pool.applyAsync(tasks.announceAndWait<number>, [
        ready,
        go,
        1,
      ]);
      await bounded(ready.wait());
      const abort = new CountedAbort();
      const queue = new Queue<number>();
      const aborted = pool.applyAsync(tasks.putAll, [queue, 1], {
        signal: abort.signal,
      });
      const cancelled = pool.applyAsync(tasks.putAll, [queue, 2]);
      const kept = pool.applyAsync(tasks.putAll, [queue, 3]);
      abort.abort();
      assertStrictEquals(await reasonOf(aborted.get()), abort.reason);
      assertEquals(abort.listeners, 0);
      assert(cancelled.cancel());
      assertInstanceOf(await reasonOf(cancelled.get()), CancelledError);
      assertFalse(cancelled.cancel());
      assertFalse(gate.cancel());
      assertEquals(pool.stats().queued, 1);
      go.set();
      await bounded(Promise.all([gate.get(), kept.get()]));
      assertEquals(await bounded(queue.get()), 3);
      assertEquals(queue.size, 0);
      queue.close();
    },
  );

  poolTest(
    `A task that runs is asked to stop, and keeps its worker, ${name}`,
    async () => {
      await using pool = new Pool({
        processes: 1,
        killGrace: 20_000,
        ...options,
      });
      const [ready, seen] = [new Event(), new Event()];
      const before = await pool.apply(tasks.pid);
      const abort = new CountedAbort();
      const aborted = pool.applyAsync(tasks.untilAborted, [ready, seen], {
        signal: abort.signal,
      });
      await bounded(ready.wait());
      abort.abort();
      assertStrictEquals(await reasonOf(aborted.get()), abort.reason);
      await bounded(seen.wait());
      assertEquals(abort.listeners, 0);
      ready.clear();
      seen.clear();
      const late = pool.applyAsync(tasks.untilAborted, [ready, seen], {
        timeout: 50,
      });
      const reason = await reasonOf(late.get());
      assertInstanceOf(reason, TimeoutError);
      assertStringIncludes(reason.message, "untilAborted");
      await bounded(seen.wait());
      assertEquals(await bounded(pool.apply(tasks.pid)), before);
      const { failed, done, lost } = pool.stats();
      assertEquals({ failed, done, lost }, { failed: 2, done: 2, lost: 0 });
    },
  );

  processTest(`A task that does not stop is ended, ${name}`, async () => {
    await using pool = new Pool({ processes: 1, killGrace: 50, ...options });
    const ready = new Event();
    const before = await pool.apply(tasks.pid);
    const abort = new CountedAbort();
    const aborted = pool.applyAsync(tasks.announceAndLoop, [ready], {
      signal: abort.signal,
    });
    await bounded(ready.wait());
    const behind = pool.applyAsync(tasks.pid);
    abort.abort();
    assertStrictEquals(await reasonOf(aborted.get()), abort.reason);
    assertNotEquals(await bounded(behind.get()), before);
    assertFalse(isRunning(before));
  });
}

poolTest("A task's timeout counts from its start", async () => {
  await using pool = new Pool(1);
  const [ready, go] = [new Event(), new Event()];
  const gate = pool.applyAsync(tasks.announceAndWait<number>, [ready, go, 1]);
  await bounded(ready.wait());
  const patient = pool.applyAsync(tasks.add, [1, 2], { timeout: 1000 });
  await assertRejects(() => patient.wait({ timeout: 1100 }), TimeoutError);
  go.set();
  assertEquals(await bounded(gate.get()), 1);
  assertEquals(await bounded(patient.get()), 3);
});

poolTest(
  "Pool has a timeout for all tasks, and a task its own",
  async () => {
    await using pool = new Pool({
      processes: 1,
      taskTimeout: 50,
      killGrace: 20_000,
    });
    const [ready, seen] = [new Event(), new Event()];
    assertInstanceOf(
      await reasonOf(pool.apply(tasks.untilAborted, [ready, seen])),
      TimeoutError,
    );
    assertEquals(
      await pool.apply(tasks.busy, [100], { timeout: 20_000 }),
      100,
    );
  },
);

// ---- Order ----

poolTest("Tasks with a higher priority begin first", async () => {
  for (const { options } of WAYS) {
    await using pool = new Pool({ processes: 1, ...options });
    const [ready, go] = [new Event(), new Event()];
    const gate = pool.applyAsync(tasks.announceAndWait<number>, [ready, go, 1]);
    await bounded(ready.wait());
    const order: string[] = [];
    const results: AsyncResult[] = [];
    for (const priority of [0, 5, -1, 5, 0, 2.5]) {
      const label = `${priority}.${results.length}`;
      results.push(pool.applyAsync(tasks.echo<string>, [label], {
        priority,
        callback: (label) => order.push(label),
      }));
    }
    results.push(pool.mapAsync(tasks.echo<string>, ["map"], {
      priority: 3,
      callback: (labels) => order.push(...labels),
    }));
    go.set();
    await bounded(Promise.all([gate, ...results].map((one) => one.get())));
    assertEquals(order, ["5.1", "5.3", "map", "2.5.5", "0.0", "0.4", "-1.2"]);
  }
});

// ---- What is told ----

poolTest(
  "taskContext() tells a task of its worker and attempt",
  async () => {
    await using pool = new Pool(1);
    const pid = await pool.apply(tasks.pid);
    const known = { worker: "PoolWorker-1", workerId: 1, attempt: 1 };
    assertEquals(await pool.apply(tasks.context), {
      ...known,
      aborted: false,
      pid,
    });
    const [ofItem] = await pool.map(tasks.contextOfItem, [1]);
    assertEquals(ofItem, { ...known, aborted: false, pid });
    assertThrows(() => taskContext(), InvalidStateError, "no task of a pool");
  },
);

poolTest("What a task logs and tells comes before its result", async () => {
  for (const { options } of WAYS) {
    await using pool = new Pool({ processes: 1, ...options });
    const told: unknown[] = [];
    pool.addEventListener("log", ({ detail }) => told.push(detail));
    pool.addEventListener("progress", ({ detail }) => told.push(detail));
    const said = pool.applyAsync(tasks.say, ["one\ntwo", { three: 3 }]);
    const worker = await said.get();
    const task = { id: said.id, name: "say" };
    assertEquals(told, [
      { worker, text: "one", task },
      { worker, text: "two { three: 3 }", task },
      { worker, value: { part: 1 }, task },
      { worker, value: { part: 2 }, task },
    ]);
  }
});

poolTest("What a task logs is printed by line with its worker", async () => {
  await using pool = new Pool(1);
  const printed: unknown[] = [];
  const { log } = console;
  console.log = (line) => printed.push(line);
  try {
    const listener = () => {};
    pool.addEventListener("log", listener);
    await pool.apply(tasks.say, ["heard"]);
    pool.removeEventListener("log", listener);
    await pool.apply(tasks.say, ["one\ntwo", 3]);
  } finally {
    console.log = log;
  }
  assertEquals(printed, ["[PoolWorker-1] one", "[PoolWorker-1] two 3"]);
});

poolTest("Pool tells of each start and end of a worker", async () => {
  const started: string[] = [];
  const ended: unknown[] = [];
  let first: string;
  let pid: number | undefined;
  {
    await using pool = new Pool({ processes: 1, maxTasksPerChild: 1 });
    pool.addEventListener("workerstart", ({ detail }) => {
      started.push(detail.worker);
    });
    pool.addEventListener("workerend", ({ detail }) => ended.push(detail));
    pid = pool.stats().workers[0]?.pid;
    first = await pool.apply(tasks.place);
    assertNotEquals(await bounded(pool.apply(tasks.place)), first);
  }
  assertEquals(started, ["PoolWorker-2"]);
  assertEquals(ended.length, 2);
  assertEquals(ended[0], {
    worker: "PoolWorker-1",
    pid,
    exitCode: 0,
    signal: null,
  });
});

poolTest("Pool tells failures that nobody has read at its end", async () => {
  const told: unknown[] = [];
  {
    await using pool = new Pool(1);
    pool.addEventListener("unreaderror", ({ detail }) => {
      told.push((detail.error as Error).message);
    });
    const read = pool.applyAsync(tasks.failAt, [1, 1]);
    const unread = pool.applyAsync(tasks.failAt, [2, 2]);
    pool.applyAsync(tasks.failAt, [3, 3], { errorCallback: () => {} });
    assertInstanceOf(await reasonOf(read.get()), RangeError);
    await until(() => unread.ready(), "It is not done");
  }
  assertEquals(told, ["2 is bad"]);
});

poolTest("Pool.stats() counts tasks and measures them", async () => {
  for (const { options } of WAYS) {
    await using pool = new Pool({ processes: 1, ...options });
    await pool.map(tasks.square, range(100));
    await reasonOf(pool.apply(tasks.failOdd, [1]));
    const [ready, go] = [new Event(), new Event()];
    const gate = pool.applyAsync(tasks.announceAndWait<number>, [ready, go, 1]);
    await bounded(ready.wait());
    const waiting = range(3).map(() => pool.applyAsync(tasks.nothing));
    const { workers, ...counts } = pool.stats();
    assertEquals(counts, {
      queued: 3,
      running: 1,
      done: 100,
      failed: 1,
      lost: 0,
    });
    assertEquals(workers.length, 1);
    const { name, pid, run, wait } = workers[0]!;
    assertEquals(name, "PoolWorker-1");
    assertEquals(run.count, 101);
    assert(isRunning(pid));
    for (const { p50, p90, p99, max } of [run, wait]) {
      assert(0 <= p50 && p50 <= p90 && p90 <= p99 && p99 <= max);
    }
    go.set();
    await bounded(Promise.all([gate, ...waiting].map((one) => one.wait())));
    const { done, queued, running } = pool.stats();
    assertEquals({ done, queued, running }, {
      done: 104,
      queued: 0,
      running: 0,
    });
  }
});

poolTest("Pool.trace() writes what has run as Chrome's trace", async () => {
  await using pool = new Pool({ processes: 2, trace: true });
  await pool.map(tasks.square, range(100));
  await pool.apply(tasks.busy, [20]);
  const file = await Deno.makeTempFile();
  try {
    await pool.trace(file);
    const { traceEvents } = JSON.parse(await Deno.readTextFile(file));
    const runs = traceEvents.filter(({ ph }: { ph: string }) => ph === "X");
    let count = 0;
    for (const { name, ts, dur, tid, args } of runs) {
      assertMatch(name, /^(square|busy)$/);
      assertGreaterOrEqual(ts, 0);
      assertGreater(dur, 0);
      assertGreater(tid, 0);
      count += args.tasks;
    }
    assertEquals(count, 101);
    const busy = runs.find(({ name }: { name: string }) => name === "busy");
    assertGreaterOrEqual(busy.dur, 19_000);
    const names = traceEvents.filter(({ ph }: { ph: string }) => ph === "M");
    assertMatch(names[0].args.name, /^PoolWorker-\d$/);
  } finally {
    await Deno.remove(file);
  }
  await using untraced = new Pool(1);
  await assertRejects(() => untraced.trace(file), InvalidStateError, "trace");
});

// ---- Workers ----

poolTest("Pool runs the initializer in each worker first", async () => {
  for (const { options } of WAYS) {
    await using pool = new Pool({
      processes: 2,
      initializer: tasks.setState,
      initargs: ["set"],
      maxTasksPerChild: 2,
      ...options,
    });
    const states = await bounded(pool.map(tasks.getStateOf, range(10)));
    assertEquals(new Set(states), new Set(["set"]));
    assertEquals(await pool.apply(tasks.getState), "set");
  }
});

poolTest(
  "Pool gives the initializer's shared objects to each worker",
  async () => {
    for (const { options } of WAYS) {
      const go = new Event();
      await using pool = new Pool({
        processes: 2,
        initializer: tasks.setStateWhen,
        initargs: [go, "went"],
        maxTasksPerChild: 1,
        ...options,
      });
      const results = range(6).map(() => pool.applyAsync(tasks.getState));
      go.set();
      assertEquals(
        await bounded(Promise.all(results.map((one) => one.get()))),
        new Array(6).fill("went"),
      );
    }
  },
);

poolTest("Pool replaces a worker after maxTasksPerChild tasks", async () => {
  for (const { options } of WAYS) {
    await using pool = new Pool({
      processes: 2,
      maxTasksPerChild: 3,
      ...options,
    });
    const places = await bounded(
      Promise.all(range(20).map(() => pool.apply(tasks.place))),
    );
    const counts = new Map<string, number>();
    for (const place of places) counts.set(place, (counts.get(place) ?? 0) + 1);
    for (const count of counts.values()) assertLessOrEqual(count, 3);
  }
});

// ---- The end ----

poolTest("Pool.close() refuses more and lets all tasks end", async () => {
  const pool = new Pool(2);
  const results = range(50).map((x) => pool.applyAsync(tasks.squareLater, [x]));
  const mapped = pool.mapAsync(tasks.square, range(50));
  const workers = pool.stats().workers.map(({ pid }) => pid);
  pool.close();
  pool.close();
  for (
    const submit of [
      () => pool.applyAsync(tasks.nothing),
      () => pool.mapAsync(tasks.square, [1]),
      () => pool.starmapAsync(tasks.add, [[1, 2]]),
      () => pool.imap(tasks.square, [1]),
      () => pool.imapUnordered(tasks.square, [1]),
    ]
  ) assertThrows(submit, InvalidStateError, "the pool is closed");
  await assertRejects(() => pool.apply(tasks.nothing), InvalidStateError);
  await bounded(pool.join());
  await bounded(pool.join({ timeout: 0 }));
  for (const [x, result] of results.entries()) {
    assert(result.ready());
    assertEquals(await result.get(), x * x);
  }
  assertEquals(await mapped.get(), range(50).map((x) => x * x));
  if (kind !== "thread") {
    for (const pid of workers) assertFalse(isRunning(pid));
  }
  assertEquals(pool.stats().workers, []);
  await pool.terminate();
});

poolTest("Pool.join() waits no longer than it may", async () => {
  await using pool = new Pool(1);
  const go = new Event();
  const result = pool.applyAsync(tasks.waitFor<number>, [go, 1]);
  pool.close();
  await assertRejects(() => pool.join({ timeout: 1 }), TimeoutError);
  const abort = new CountedAbort();
  const joining = reasonOf(pool.join({ signal: abort.signal }));
  abort.abort();
  assertStrictEquals(await joining, abort.reason);
  assertEquals(abort.listeners, 0);
  go.set();
  await bounded(pool.join());
  assertEquals(await result.get(), 1);
});

poolTest("Pool.terminate() fails whatever is not done", async () => {
  for (const { options } of WAYS) {
    const pool = new Pool({ processes: 2, ...options });
    const [ready, go] = [new Event(), new Event()];
    const running = pool.applyAsync(tasks.announceAndWait<number>, [
      ready,
      go,
      1,
    ]);
    const waiting = pool.mapAsync(tasks.square, range(10));
    const lazy = pool.imap((go: Event) => go.wait(), [go, go, go]);
    const next = reasonOf(lazy.next());
    await bounded(ready.wait());
    const failing = [running, waiting].map((one) =>
      // The second may have been quick.
      (one as AsyncResult).promise.then(() => undefined, (reason) => reason)
    );
    await bounded(Promise.all([pool.terminate(), pool.terminate()]));
    assertInstanceOf(await failing[0], CancelledError);
    const reason = await bounded(failing[1]!);
    if (reason !== undefined) assertInstanceOf(reason, CancelledError);
    assertInstanceOf(await next, CancelledError);
    assertThrows(() => pool.applyAsync(tasks.nothing), InvalidStateError);
    await bounded(pool.join());
    assertEquals(pool.stats().workers, []);
  }
});

poolTest(
  "Pool's disposal waits, and terminates what takes too long",
  async () => {
    let late: AsyncResult;
    let quick: AsyncResult<number>;
    {
      await using pool = new Pool({ processes: 1, disposeTimeout: 300 });
      // Its start takes of the time what the machine wants.
      await pool.apply(tasks.nothing);
      quick = pool.applyAsync(tasks.add, [1, 2]);
      late = pool.applyAsync(tasks.forever);
    }
    assertEquals(await quick.get(), 3);
    assertInstanceOf(await reasonOf(late.get()), CancelledError);
  },
);

// ---- Bad options ----

programTest("Pool checks its options before it starts anything", async () => {
  const bad: [unknown, string][] = [
    [0, '"processes"'],
    [1.5, '"processes"'],
    [{ processes: -1 }, '"processes"'],
    [{ processes: "2" }, '"processes"'],
    [{ maxTasksPerChild: 0 }, '"maxTasksPerChild"'],
    [{ retries: -1 }, '"retries"'],
    [{ memoryLimit: 10 }, '"memoryLimit"'],
    [{ taskTimeout: -1 }, '"taskTimeout"'],
    [{ killGrace: NaN }, '"killGrace"'],
    [{ disposeTimeout: "1" }, '"disposeTimeout"'],
    [{ initargs: 1 }, '"initargs"'],
    [{ onWorkerLost: "ignore" }, '"onWorkerLost"'],
    [{ permissions: "some" }, "permissions"],
  ];
  for (const [options, named] of bad) {
    const error = assertThrows(() => new Pool(options as number), Error);
    assertStringIncludes(error.message, "Cannot create pool: ");
    assertStringIncludes(error.message, named);
  }
  assertThrows(
    () => new Pool({ initializer: Math.max }),
    TaskReferenceError,
  );
  await Promise.resolve();
});

poolTest("Pool checks the options of tasks and maps", async () => {
  await using pool = new Pool(1);
  // deno-lint-ignore no-explicit-any -- what the types forbid
  const given = (options: unknown) => options as any;
  for (
    const options of [
      { timeout: -1 },
      { priority: NaN },
      { priority: "1" },
      { transfer: 1 },
    ]
  ) {
    const [option] = Object.keys(options);
    assertStringIncludes(
      assertThrows(
        () => pool.applyAsync(tasks.nothing, [], given(options)),
        Error,
      ).message,
      `"${option}"`,
    );
  }
  assertThrows(
    () => pool.applyAsync(tasks.nothing, given(5)),
    TypeError,
    '"args" must be an array',
  );
  assertThrows(() => pool.applyAsync(given(5)), TypeError);
  assertThrows(() => pool.applyAsync(Math.max), TaskReferenceError);
  assertThrows(
    () => pool.applyAsync(tasks.add.bind(null, 1), [1]),
    TaskReferenceError,
  );
  for (const chunksize of [0, -1, 1.5, NaN, "2"]) {
    const options = given({ chunksize });
    for (
      const submit of [
        () => pool.mapAsync(tasks.square, [1], options),
        () => pool.starmapAsync(tasks.add, [[1, 2]], options),
        () => pool.imap(tasks.square, [1], options),
        () => pool.imapUnordered(tasks.square, [1], options),
      ]
    ) assertThrows(submit, Error, '"chunksize" must be');
    await assertRejects(
      () => pool.map(tasks.square, [1], options),
      Error,
      '"chunksize"',
    );
  }
  assertThrows(
    () => pool.imap(tasks.square, [1], { buffer: 0 }),
    RangeError,
    '"buffer"',
  );
  for (const items of [5, null, undefined, {}]) {
    assertThrows(
      () => pool.mapAsync(tasks.square, given(items)),
      TypeError,
      "must be iterable",
    );
    assertThrows(() => pool.imap(tasks.square, given(items)), TypeError);
  }
  assertEquals(pool.stats().queued, 0);
  assertEquals(await pool.apply(tasks.add, [1, 2]), 3);
});
