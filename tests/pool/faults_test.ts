// Copyright 2026 the multitask authors. MIT license.
// What becomes of tasks, pools and programs when something breaks.

import {
  assert,
  assertEquals,
  assertFalse,
  assertGreater,
  assertInstanceOf,
  assertLessOrEqual,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  BrokenPoolError,
  CancelledError,
  Event,
  InvalidStateError,
  RemoteError,
  SerializationError,
  taskRef,
  TaskReferenceError,
  TimeoutError,
  WorkerLostError,
} from "../../ipc/mod.ts";
import type { PoolOptions, TaskPool } from "../../pool/mod.ts";
import { bounded, reasonOf } from "../ipc/_waits.ts";
import { isRunning, reported, shown, until } from "../process/_run.ts";
import { range, runProgram, suiteOf } from "./_pools.ts";
import * as deadly from "./fixtures/deadly.ts";
import * as nested from "./fixtures/nested.ts";
import * as tasks from "./fixtures/tasks.ts";

const { kind: workers, Pool, poolTest, processTest, programTest, WAYS } =
  suiteOf(
    import.meta.url,
  );

const MIB = 2 ** 20;

/** Set it to have the long versions run. */
const IS_LONG = Deno.env.get("TEST_LONG") === "1";

type Indexed = Error & { index?: number };

/** How many descriptors this process has open, where that can be seen. */
function openFiles(): number | undefined {
  if (Deno.build.os !== "linux") return undefined;
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

/** All tasks, those of them that fail told by their place. */
async function settled<T>(
  promises: readonly Promise<T>[],
): Promise<{ values: T[]; errors: [index: number, error: unknown][] }> {
  const results = await bounded(Promise.allSettled(promises));
  const values: T[] = [];
  const errors: [number, unknown][] = [];
  results.forEach((result, i) => {
    if (result.status === "fulfilled") values.push(result.value);
    else errors.push([i, result.reason]);
  });
  return { values, errors };
}

/** The first results of an imap, which is let go of then. */
async function taken<T>(
  results: AsyncIterableIterator<T>,
  count: number,
): Promise<{ values: T[]; errors: [index: number, error: unknown][] }> {
  const { values, errors } = await settled(
    range(count).map(() => results.next()),
  );
  await results.return!();
  return { values: values.map(({ value }) => value), errors };
}

/** A path that is not there yet, in a directory that goes with the test. */
async function withFile(
  test: (file: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "pool_test_" });
  try {
    await test(`${directory}/file`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** How many tasks have been started: each has left a line. */
function linesOf(file: string): number {
  return Deno.readTextFileSync(file).trimEnd().split("\n").length;
}

// ---- A task takes its worker with it ----

interface Death {
  readonly what: string;
  readonly options?: PoolOptions;
  readonly submit: (pool: TaskPool) => Promise<unknown>;
  readonly exitCode?: number;
  readonly signal?: string;
  readonly stderr?: string;
}

const DEATHS: readonly Death[] = [
  {
    what: "is killed with its worker",
    submit: (pool) => pool.apply(deadly.die),
    exitCode: -9,
    signal: "SIGKILL",
  },
  {
    what: "exits its worker",
    submit: (pool) => pool.apply(deadly.exit, [5]),
    exitCode: 5,
  },
  {
    what: "exits its worker with code 0",
    submit: (pool) => pool.apply(deadly.exit, [0]),
    exitCode: 0,
  },
  {
    what: "exhausts its memory",
    options: { memoryLimit: 64 * MIB },
    submit: (pool) => pool.apply(deadly.exhaust),
    stderr: "heap",
  },
];

for (const { name, options } of WAYS) {
  for (const { what, submit, ...death } of DEATHS) {
    // Threads can neither be killed nor limited.
    const isOfProcesses = death.signal !== undefined ||
      death.options !== undefined;
    (isOfProcesses ? processTest : poolTest)(
      `A task that ${what} fails alone, ${name}: Python hangs`,
      async () => {
        await using pool = new Pool({
          processes: 2,
          ...options,
          ...death.options,
        });
        const before = range(30).map((x) => pool.apply(tasks.square, [x]));
        const lost = reasonOf(submit(pool));
        const after = range(30).map((x) => pool.apply(tasks.squareLater, [x]));
        const error = await lost;
        assertInstanceOf(error, WorkerLostError);
        assertStringIncludes(error.message, error.worker);
        assertGreater(error.pid, 0);
        if (workers === "process") assertFalse(isRunning(error.pid));
        if (death.exitCode !== undefined) {
          assertEquals(error.exitCode, death.exitCode);
          assertEquals(error.signal, death.signal ?? null);
        }
        assertStringIncludes(error.stderr, death.stderr ?? "");
        const { values, errors } = await settled([...before, ...after]);
        assertEquals(errors, []);
        assertEquals(values.length, 60);
        // The pool heals.
        const again = range(30).map((x) => pool.apply(tasks.square, [x]));
        assertEquals((await settled(again)).errors, []);
        const { done, failed, lost: count } = pool.stats();
        assertEquals([done, failed, count], [90, 1, 1]);
      },
    );
  }

  processTest(
    `A task that loops for ever fails when its time is up, ${name}: Python hangs`,
    async () => {
      await using pool = new Pool({ processes: 2, killGrace: 50, ...options });
      const looping = reasonOf(
        pool.apply(deadly.loop, [], { timeout: 100 }),
      );
      const others = range(30).map((x) => pool.apply(tasks.squareLater, [x]));
      assertInstanceOf(await looping, TimeoutError);
      assertEquals((await settled(others)).errors, []);
      const again = range(30).map((x) => pool.apply(tasks.square, [x]));
      assertEquals((await settled(again)).errors, []);
      await until(() => pool.stats().running === 0, "It still runs");
    },
  );

  poolTest(
    `A task that ends its worker in a burst is lost alone, ${name}: Python hangs`,
    async () => {
      await using pool = new Pool({ processes: 2, ...options });
      // So it is known to be short: it comes in the middle of a batch.
      await pool.map(deadly.dieAt7, new Array(50).fill(1));
      const { values, errors } = await settled(
        range(300).map((x) => pool.apply(deadly.dieAt7, [x])),
      );
      assertEquals(errors.map(([i]) => i), [7]);
      assertInstanceOf(errors[0]![1], WorkerLostError);
      assertEquals(
        values,
        range(300).filter((x) => x !== 7).map((x) => x * 10),
      );
      assertEquals(pool.stats().lost, 1);
    },
  );

  poolTest(
    `An item that ends its worker is lost alone, ${name}: Python hangs`,
    async () => {
      await using pool = new Pool({ processes: 2, ...options });
      for (const task of [deadly.dieAt150, deadly.dieAt7Later]) {
        const bad = task === deadly.dieAt150 ? 150 : 7;
        // So they are known to be short.
        await pool.map(task, new Array(50).fill(1));
        for (const chunksize of [undefined, 20]) {
          const { lost } = pool.stats();
          const results = pool.imap(task, range(300), {
            buffer: 300,
            ...(chunksize === undefined ? {} : { chunksize }),
          });
          const { values, errors } = await taken(results, 300);
          assertEquals(errors.map(([i]) => i), [bad]);
          const error = errors[0]![1];
          assertInstanceOf(error, WorkerLostError);
          assertEquals((error as Indexed).index, bad);
          assertEquals(
            values,
            range(300).filter((x) => x !== bad).map((x) => x * 10),
          );
          assertEquals(pool.stats().lost - lost, 1);
        }
      }
    },
  );

  poolTest(
    `Pool.map() rejects with the item whose worker ended, all others done, ${name}: Python hangs`,
    async () => {
      await using pool = new Pool({ processes: 2, ...options });
      const error = await reasonOf(pool.map(deadly.dieAt150, range(300)));
      assertInstanceOf(error, WorkerLostError);
      const { index } = error as Indexed;
      // Of items that went together by messages the first one is named.
      if (options.permissions === undefined) assertEquals(index, 150);
      else assert(index! <= 150);
      const { done, lost, queued, running } = pool.stats();
      assertGreater(lost, 0);
      assertEquals([done + lost, queued, running], [300, 0, 0]);
    },
  );

  poolTest(
    `Results that do not fit into a socket are there when the next item ends its worker, ${name}`,
    async () => {
      await using pool = new Pool({ processes: 1, ...options });
      await pool.map(deadly.largeOrDieAt7, [0, 1]);
      const results = pool.imap(deadly.largeOrDieAt7, range(10), {
        chunksize: 10,
        buffer: 10,
      });
      const { values, errors } = await taken(results, 10);
      assertEquals(errors.map(([i]) => i), [7]);
      assertEquals(
        values.map((value) => [value.length, value[0]]),
        [0, 1, 2, 3, 4, 5, 6, 8, 9].map((x) => [MIB, x]),
      );
    },
  );

  processTest(
    `A worker that dies with a large argument on its way hurts nobody, ${name}: Python hangs`,
    async () => {
      await using pool = new Pool({ processes: 2, ...options });
      const pids = pool.stats().workers.map(({ pid }) => pid);
      await Promise.all(
        range(20).map(() => pool.apply(tasks.squareLater, [1])),
      );
      const large = new Uint8Array(64 * MIB);
      const sending = range(2).map(() =>
        pool.apply((bytes: Uint8Array) => bytes.length, [large])
      );
      const results = settled(sending);
      await Promise.resolve();
      for (const pid of pids) Deno.kill(pid, "SIGKILL");
      const { values, errors } = await results;
      // What had not begun may run elsewhere.
      for (const value of values) assertEquals(value, large.length);
      for (const [, error] of errors) assertInstanceOf(error, WorkerLostError);
      assertEquals(await bounded(pool.apply(tasks.square, [3])), 9);
    },
  );

  processTest(
    `A worker that dies with a large result on its way loses no more, ${name}: Python hangs`,
    async () => {
      await using pool = new Pool({ processes: 2, ...options });
      const size = 32 * MIB;
      for (const delay of [0, 2, 20]) {
        const ready = new Event();
        const result = pool.applyAsync(deadly.announceLarge, [ready, size]);
        await bounded(ready.wait());
        // This thread reads nothing meanwhile.
        tasks.busy(delay);
        const killed = pool.stats().workers.map(({ pid }) => pid);
        for (const pid of killed) Deno.kill(pid, "SIGKILL");
        const { values, errors } = await settled([result.get()]);
        for (const value of values) {
          assertEquals([value.length, value.at(-1)], [size, 7]);
        }
        for (const [, error] of errors) {
          assertInstanceOf(error, WorkerLostError);
          assertEquals(error.signal, "SIGKILL");
        }
        await until(
          () => !pool.stats().workers.some(({ pid }) => killed.includes(pid)),
          "Their end is not known",
        );
        const others = range(20).map((x) => pool.apply(tasks.squareLater, [x]));
        assertEquals((await settled(others)).errors, []);
      }
    },
  );

  // ---- Nobody is held back ----

  for (const kind of ["busy", "idle"] as const) {
    const task = kind === "busy" ? deadly.tinyOrBusy : deadly.tinyOrIdle;
    poolTest(
      `A slow task holds no other back, its thread ${kind}, ${name}`,
      async () => {
        await withFile(async (file) => {
          await using pool = new Pool({ processes: 2, ...options });
          const learn = range(300).map(() => pool.apply(task, ["", 0]));
          assertEquals((await settled(learn)).errors, []);
          // It ends once all others are done.
          const most = 8000;
          const promises = range(1000).map((i) =>
            pool.apply(task, [i === 300 ? file : "", most])
          );
          const [slow] = promises.splice(300, 1);
          const { values, errors } = await settled(promises);
          assertEquals(errors, []);
          assertEquals(values.length, 999);
          await Deno.writeTextFile(file, "");
          assert(await bounded(slow!), "The others waited for the slow one");
        });
      },
    );
  }

  poolTest(`A slow item holds no other back, ${name}`, async () => {
    await withFile(async (file) => {
      await using pool = new Pool({ processes: 2, ...options });
      const most = 8000;
      const tiny = (): [string, number] => ["", most];
      await pool.map(deadly.tinyOrBusyItem, range(1000).map(tiny));
      const items = range(1000).map(tiny);
      items[300] = [file, most];
      let done = 0;
      const written = Promise.withResolvers<void>();
      for await (
        const result of pool.imapUnordered(deadly.tinyOrBusyItem, items, {
          buffer: 1000,
        })
      ) {
        assert(result, "The others waited for the slow one");
        if (++done === 999) {
          await Deno.writeTextFile(file, "");
          written.resolve();
        }
      }
      await bounded(written.promise);
      assertEquals(done, 1000);
    });
  });

  // ---- Again ----

  poolTest(
    `Pool with onWorkerLost: "retry" runs a lost task again, ${name}`,
    async () => {
      await withFile(async (file) => {
        await using pool = new Pool({
          processes: 2,
          onWorkerLost: "retry",
          ...options,
        });
        assertEquals(await bounded(pool.apply(deadly.dieOnce, [file])), 2);
        await Deno.remove(file);
        const items = range(20).map((x): [string, number] => [file, x]);
        assertEquals(
          await bounded(pool.starmap(deadly.dieOnceOf, items)),
          range(20).map((x) => x * 10),
        );
        assertInstanceOf(
          await reasonOf(pool.apply(deadly.die)),
          WorkerLostError,
        );
        const error = await reasonOf(pool.map(deadly.dieAt7, range(20)));
        assertInstanceOf(error, WorkerLostError);
        assertEquals((error as Indexed).index, 7);
        assertEquals(await pool.apply(tasks.square, [3]), 9);
      });
    },
  );

  processTest(
    `Pool gives a task that runs again its shared objects again, ${name}`,
    async () => {
      await using pool = new Pool({
        processes: 1,
        onWorkerLost: "retry",
        ...options,
      });
      const [ready, go] = [new Event(), new Event()];
      const result = pool.applyAsync(tasks.announceAndWait<string>, [
        ready,
        go,
        "again",
      ]);
      await bounded(ready.wait());
      ready.clear();
      Deno.kill(pool.stats().workers[0]!.pid, "SIGKILL");
      await bounded(ready.wait());
      go.set();
      assertEquals(await bounded(result.get()), "again");
    },
  );
}

processTest(
  "WorkerLostError has the last lines of its worker's stderr",
  async () => {
    await using pool = new Pool(1);
    const { writeSync } = Deno.stderr;
    let passedOn = "";
    Deno.stderr.writeSync = (bytes) => {
      passedOn += new TextDecoder().decode(bytes);
      return bytes.length;
    };
    let error: unknown;
    try {
      error = await reasonOf(pool.apply(deadly.complainAndExit, [100]));
    } finally {
      Deno.stderr.writeSync = writeSync;
    }
    assertInstanceOf(error, WorkerLostError);
    assertEquals(error.exitCode, 3);
    const lines = error.stderr.trimEnd().split("\n");
    assertEquals(lines.at(-1), "complaint 100");
    assertLessOrEqual(lines.length, 20);
    assertStringIncludes(error.message, "complaint 100");
    assertStringIncludes(passedOn, "complaint 1\n");
  },
);

processTest("Workers that die with nothing to do are replaced", async () => {
  for (const { options } of WAYS) {
    await using pool = new Pool({ processes: 2, ...options });
    await Promise.all(range(20).map(() => pool.apply(tasks.squareLater, [1])));
    for (const { pid } of pool.stats().workers) Deno.kill(pid, "SIGKILL");
    // They may be given tasks before their end is known.
    const { errors } = await settled(
      range(20).map((x) => pool.apply(tasks.square, [x])),
    );
    for (const [, error] of errors) assertInstanceOf(error, WorkerLostError);
    assertEquals(
      (await settled(range(20).map((x) => pool.apply(tasks.square, [x]))))
        .errors,
      [],
    );
  }
});

// ---- What cannot be sent ----

poolTest("An argument that cannot be sent is named, at once", async () => {
  await using pool = new Pool(1);
  const bad = { list: [1, { cb: () => {} }] };
  const error = assertThrows(
    () => pool.applyAsync(tasks.echo<unknown>, [bad]),
    SerializationError,
  );
  assertEquals(error.path, "args[0].list[1].cb");
  assertInstanceOf(
    await reasonOf(pool.apply(tasks.echo<unknown>, [bad])),
    SerializationError,
  );
  assertEquals(pool.stats().queued, 0);
  assertEquals(await pool.apply(tasks.add, [1, 2]), 3);
});

for (const { name, options } of WAYS) {
  poolTest(
    `An item that cannot be sent fails alone, with its path, ${name}: Python hangs`,
    async () => {
      await using pool = new Pool({ processes: 2, ...options });
      for (const chunksize of [1, 4, 20]) {
        const items: unknown[] = range(20);
        items[7] = { deep: [() => {}] };
        items[8] = Symbol("no");
        const results = pool.imap(tasks.echo<unknown>, items, {
          chunksize,
          buffer: 20,
        });
        const { values, errors } = await taken(results, 20);
        assertEquals(errors.map(([i]) => i), [7, 8]);
        const [first, second] = errors.map(([, error]) => error);
        assertInstanceOf(first, SerializationError);
        assertEquals((first as Indexed).index, 7);
        assertEquals(first.path, "items[7].deep[0]");
        assertInstanceOf(second, SerializationError);
        assertEquals(second.path, "items[8]");
        assertEquals(
          values,
          range(20).filter((x) => x !== 7 && x !== 8),
        );
        const { failed } = pool.stats();
        assertEquals(failed % 2, 0);
      }
      const error = await reasonOf(
        pool.map(tasks.echo<unknown>, [1, () => {}, 2]),
      );
      assertInstanceOf(error, SerializationError);
      assertEquals((error as Indexed).index, 1);
      assertEquals(pool.stats().failed, 7);
    },
  );

  poolTest(
    `A result that cannot be sent is named, ${name}: Python's pool hides it`,
    async () => {
      await using pool = new Pool({ processes: 2, ...options });
      const error = await reasonOf(pool.apply(tasks.resultWithFunction));
      assertInstanceOf(error, SerializationError);
      assertEquals(error.path, "result.list[1]");
      const results = pool.imap(tasks.badResultAt3, range(10), {
        chunksize: 5,
      });
      const { values, errors } = await taken(results, 10);
      assertEquals(errors.map(([i]) => i), [3]);
      assertEquals(
        (errors[0]![1] as SerializationError).path,
        "result.deep.cb",
      );
      assertEquals(values.length, 9);
    },
  );

  poolTest(
    `An error that cannot be rebuilt arrives all the same, ${name}: Python hangs`,
    async () => {
      await using pool = new Pool({ processes: 1, ...options });
      const hidden = await reasonOf(pool.apply(tasks.failHidden));
      assertInstanceOf(hidden, RemoteError);
      assertEquals(hidden.name, "HiddenFailure");
      assertEquals(hidden.message, "nobody knows me");
      const withFunction = await reasonOf(pool.apply(tasks.failWithFunction));
      assertInstanceOf(withFunction, Error);
      assertStringIncludes(withFunction.message, "with a function");
      assertInstanceOf(
        await reasonOf(pool.apply(tasks.failUnreadable)),
        Error,
      );
      assertEquals(
        await reasonOf(pool.apply(() => Promise.reject(undefined))),
        undefined,
      );
      const error = await reasonOf(
        pool.apply(() => {
          throw () => {};
        }),
      );
      assertInstanceOf(error, Error);
      // All of them by the same worker.
      assertEquals(pool.stats().workers[0]!.name, "PoolWorker-1");
      assertEquals(await pool.apply(tasks.add, [1, 2]), 3);
    },
  );
}

// ---- What does not load ----

poolTest("A task whose module does not load fails alone", async () => {
  for (const { options } of WAYS) {
    await using pool = new Pool({ processes: 2, ...options });
    const broken = taskRef<[number], number>(
      import.meta.resolve("./fixtures/throws_at_import.ts"),
      "task",
    );
    const absent = taskRef<[number], number>(
      import.meta.resolve("./fixtures/not_there.ts"),
      "task",
    );
    const unnamed = taskRef<[number], number>(
      import.meta.resolve("./fixtures/tasks.ts"),
      "not there",
    );
    const others = range(20).map((x) => pool.apply(tasks.square, [x]));
    const error = await reasonOf(pool.apply(broken, [1]));
    assertInstanceOf(error, Error);
    assertStringIncludes(
      `${error.message} ${(error.cause as Error | undefined)?.message}`,
      "this module does not load",
    );
    assertInstanceOf(await reasonOf(pool.map(broken, range(10))), Error);
    const missing = await reasonOf(pool.apply(absent, [1]));
    assertInstanceOf(missing, Error);
    assertStringIncludes(missing.message, "not_there.ts");
    assertInstanceOf(
      await reasonOf(pool.apply(unnamed, [1])),
      TaskReferenceError,
    );
    assertEquals((await settled(others)).errors, []);
    assertEquals(await pool.map(tasks.square, [3]), [9]);
  }
});

// ---- Initializers ----

poolTest(
  "An initializer that throws breaks the pool at once: Python respawns for ever",
  async () => {
    await withFile(async (file) => {
      await using pool = new Pool({
        processes: 2,
        initializer: tasks.failToInit,
        initargs: [file],
      });
      const single = pool.apply(tasks.add, [1, 2]);
      const mapped = pool.map(tasks.square, range(100));
      const lazy = pool.imap(tasks.square, range(100)).next();
      const reasons = [single, mapped, lazy].map((one) => reasonOf(one));
      for (const error of await Promise.all(reasons)) {
        assertInstanceOf(error, BrokenPoolError);
        assertStringIncludes(error.message, "no init");
        assertInstanceOf(error.cause, RangeError);
        assertInstanceOf(error.cause.cause, RemoteError);
      }
      assertThrows(() => pool.applyAsync(tasks.nothing), BrokenPoolError);
      assertThrows(() => pool.mapAsync(tasks.square, [1]), BrokenPoolError);
      await assertRejects(() => pool.apply(tasks.nothing), BrokenPoolError);
      await bounded(pool.join());
      pool.close();
      await bounded(pool.join());
      await bounded(pool.terminate());
      assertLessOrEqual(linesOf(file), 2);
      assertEquals(pool.stats().workers, []);
    });
  },
);

poolTest(
  "An initializer that ends its worker breaks the pool: Python respawns for ever",
  async () => {
    await withFile(async (file) => {
      await using pool = new Pool({
        processes: 2,
        initializer: tasks.exitInInit,
        initargs: [file],
      });
      const error = await reasonOf(pool.apply(tasks.add, [1, 2]));
      assertInstanceOf(error, BrokenPoolError);
      assertInstanceOf(error.cause, WorkerLostError);
      assertEquals(error.cause.exitCode, 9);
      await bounded(pool.join());
      assertLessOrEqual(linesOf(file), 5);
    });
  },
);

poolTest(
  "An initializer whose module does not load breaks the pool",
  async () => {
    await using pool = new Pool({
      processes: 2,
      initializer: taskRef(
        import.meta.resolve("./fixtures/throws_at_import.ts"),
        "task",
      ),
    });
    const error = await reasonOf(pool.apply(tasks.add, [1, 2]));
    assertInstanceOf(error, BrokenPoolError);
    assertStringIncludes(error.message, "this module does not load");
  },
);

poolTest(
  "Arguments of the initializer that cannot be sent start nothing",
  async () => {
    const error = assertThrows(
      () =>
        new Pool({ initializer: tasks.echo<unknown>, initargs: [() => {}] }),
      SerializationError,
    );
    assertEquals(error.path, "initargs[0]");
    await Promise.resolve();
  },
);

// ---- Many workers, early ends ----

processTest(
  "Pool with maxTasksPerChild: 1 works a long backlog off after an early close(): Python hangs",
  async () => {
    const count = IS_LONG ? 1000 : 40;
    const pool = new Pool({ processes: 2, maxTasksPerChild: 1 });
    const pids = range(count).map(() => pool.apply(tasks.pid));
    pool.close();
    const joined = pool.join();
    const seen = new Set(await Promise.all(pids));
    assertEquals(seen.size, count);
    await bounded(joined);
    assertEquals(pool.stats().done, count);
  },
  IS_LONG ? 300_000 : undefined,
);

poolTest(
  "Pool.terminate() with 10 000 tasks queued ends at once: Python hangs",
  async () => {
    for (const { options } of WAYS) {
      const pool = new Pool({ processes: 2, ...options });
      const [ready, go] = [new Event(), new Event()];
      const gates = range(2).map(() =>
        pool.applyAsync(tasks.announceAndWait<number>, [ready, go, 1])
      );
      const results = range(10_000).map((x) =>
        pool.applyAsync(tasks.square, [x])
      );
      const mapped = pool.mapAsync(tasks.square, range(10_000));
      await bounded(ready.wait());
      await bounded(pool.terminate());
      for (const result of [...gates, ...results, mapped]) {
        assert(result.ready());
        assertInstanceOf(await reasonOf(result.get()), CancelledError);
      }
      assertEquals(pool.stats().workers, []);
    }
  },
);

processTest(
  "Pool.terminate() ends workers that do not listen: Python hangs",
  async () => {
    const pool = new Pool(2);
    const ready = new Event();
    const looping = pool.applyAsync(tasks.announceAndLoop, [ready]);
    await bounded(ready.wait());
    const pids = pool.stats().workers.map(({ pid }) => pid);
    await bounded(pool.terminate());
    for (const pid of pids) assertFalse(isRunning(pid));
    assertInstanceOf(await reasonOf(looping.get()), CancelledError);
  },
);

poolTest(
  "Pool.terminate() ends a pool that closes, and one that starts",
  async () => {
    const closing = new Pool(2);
    const late = closing.applyAsync(tasks.forever);
    closing.close();
    const joined = closing.join();
    await bounded(closing.terminate());
    await bounded(joined);
    assertInstanceOf(await reasonOf(late.get()), CancelledError);
    const starting = new Pool(2);
    await bounded(starting.terminate());
    await assertRejects(() => starting.apply(tasks.nothing), InvalidStateError);
    const unused = new Pool(2);
    unused.close();
    await bounded(unused.join());
  },
);

poolTest(
  "A worker that dies while the pool closes hinders nobody: Python hangs",
  async () => {
    for (const { options } of WAYS) {
      const pool = new Pool({ processes: 2, ...options });
      const results = settled(
        range(50).map((x) => pool.apply(deadly.dieAt7, [x])),
      );
      pool.close();
      await bounded(pool.join());
      const { values, errors } = await results;
      assertEquals([values.length, errors.length], [49, 1]);
    }
  },
);

poolTest("Pool.join() before close() is an error", async () => {
  await using pool = new Pool(1);
  await assertRejects(
    () => pool.join(),
    InvalidStateError,
    "call close() or terminate() first",
  );
  await assertRejects(() => pool.join({ timeout: 5 }), InvalidStateError);
  assertEquals(await pool.apply(tasks.add, [1, 2]), 3);
});

poolTest(
  "Pool.join() does not wait for who reads results that are there",
  async () => {
    for (const { options } of WAYS) {
      const pool = new Pool({ processes: 2, ...options });
      const results = pool.imap(tasks.square, range(10), { buffer: 20 });
      assertEquals((await bounded(results.next())).value, 0);
      pool.close();
      await pool.join({ timeout: 5000 });
      const rest = await bounded(Array.fromAsync(results));
      assertEquals(rest, range(10).slice(1).map((x) => x * x));
    }
  },
);

poolTest("A chunk size of 0 is an error: Python hangs", async () => {
  await using pool = new Pool(1);
  const options = { chunksize: 0 };
  await assertRejects(
    () => pool.map(tasks.square, [1], options),
    RangeError,
    '"chunksize" must be an integer >= 1, received 0',
  );
  assertThrows(() => pool.imap(tasks.square, [1], options), RangeError);
});

// ---- Programs ----

programTest(
  "A program that forgets to close its pool still ends: Python hangs",
  async () => {
    const used = await runProgram("forgets_to_close.ts");
    assertEquals(used.code, 0, shown(used));
    assertEquals(used.stdout, "[ 1, 4, 9 ]\n3\n");
    const unused = await runProgram("leaves_idle_workers.ts");
    assertEquals(unused.code, 0, shown(unused));
    assertEquals(unused.stdout, "unused\n");
    const failing = await runProgram("throws_with_tasks.ts");
    assertEquals(failing.code, 1, shown(failing));
    assertStringIncludes(failing.stderr, "Error: enough");
  },
);

programTest("Pool needs no more than to run and to read", async () => {
  for (
    const { flags, ffi } of [
      { flags: ["-A"], ffi: "granted" },
      { flags: ["--allow-read", "--allow-run", "--allow-env"], ffi: "prompt" },
    ]
  ) {
    const result = await runProgram("all_kinds.ts", { flags });
    assertEquals(
      reported(result),
      {
        ffi,
        workersFfi: ffi === "granted",
        sum: 3,
        map: 199 ** 2,
        inOrder: 199 ** 2,
        unordered: 199 ** 2,
        failed: ["RangeError", "7 is bad", 7],
        killed: [[7, true]],
      },
      shown(result),
    );
  }
});

// ---- Nested pools ----

poolTest("Pools can be nested: Python refuses", async () => {
  await using pool = new Pool(2);
  const squares = await bounded(
    Promise.all([3, 4].map((upTo) => pool.apply(nested.squares, [upTo]))),
  );
  assertEquals(squares, [[0, 1, 4], [0, 1, 4, 9]]);
  assertEquals(await bounded(pool.apply(nested.depth, [2])), 2);
  // The same place starts pools in each of them.
  assertEquals(await bounded(nested.depth(2)), 2);
});

programTest("Nested pools end with the one at the top", async () => {
  const ended = await runProgram("nested_program.ts");
  assertEquals(ended.code, 0, shown(ended));
  assertEquals(ended.stdout, "true\n");
  const left = await runProgram("nested_program.ts", { args: ["exit"] });
  assertEquals(left.code, 0, shown(left));
});

processTest("Nested pools end with the worker that made them", async () => {
  await using pool = new Pool({ processes: 1, killGrace: 0 });
  const [ready, go] = [new Event(), new Event()];
  const abort = new AbortController();
  const result = pool.applyAsync(nested.busyBelow, [ready, go], {
    signal: abort.signal,
  });
  await bounded(ready.wait());
  const [{ pid } = { pid: 0 }] = pool.stats().workers;
  const below = childrenOf(pid);
  assertEquals(below.length, 2);
  abort.abort();
  assertInstanceOf(await reasonOf(result.get()), DOMException);
  await until(
    () => !below.some((pid) => isRunning(pid)),
    "Workers below it are left",
  );
  assertEquals(await bounded(pool.apply(tasks.square, [3])), 9);
});

/** The children of a process that run the tasks. */
function childrenOf(pid: number): number[] {
  const all = [...Deno.readDirSync(`/proc/${pid}/task`)]
    .map(({ name }) => `/proc/${pid}/task/${name}/children`)
    .flatMap((file) => Deno.readTextFileSync(file).trim().split(" "));
  return all.filter((text) => text !== "").map(Number);
}

// ---- Churn ----

poolTest(
  "Pools that are made, used and closed leave nothing in the long run",
  async () => {
    let open: number | undefined;
    const rounds = IS_LONG ? 1000 : 20;
    for (let i = 0; i < rounds; i++) {
      const { options } = WAYS[i % WAYS.length]!;
      const pool = new Pool({ processes: 2, ...options });
      assertEquals(await bounded(pool.apply(tasks.square, [i])), i * i);
      if (i % 4 < 3) {
        pool.close();
        await bounded(pool.join());
      } else await bounded(pool.terminate());
      // What is made once is there by then.
      if (i === 3) open = openFiles();
    }
    // A thread's go a moment after it: there may be fewer, and never more.
    if (open !== undefined) {
      await until(() => openFiles()! <= open!, "Files are left open");
    }
  },
  IS_LONG ? 1_200_000 : undefined,
);
