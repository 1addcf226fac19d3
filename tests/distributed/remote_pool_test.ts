// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { Manager } from "../../distributed/manager.ts";
import { MemoryEngine } from "../../distributed/memory_engine.ts";
import { RemotePool } from "../../distributed/remote_pool.ts";
import {
  type RemoteWorker,
  serveWorker,
} from "../../distributed/serve_worker.ts";
import {
  AuthenticationError,
  CancelledError,
  InvalidStateError,
  RemoteError,
  SerializationError,
  TaskReferenceError,
  TimeoutError,
} from "../../ipc/errors.ts";
import { taskContext } from "../../pool/task_context.ts";
import { bounded, reasonOf } from "../ipc/_waits.ts";
import { KEY, untilNothingIsOpen } from "./_managers.ts";
import { fail, slow, square } from "./fixtures/tasks.ts";

const TASKS = {
  square,
  slow,
  fail,
  add: (a: number, b: number) => a + b,
  context: () => {
    const { worker, attempt } = taskContext();
    return { worker, attempt };
  },
  untilAborted: () =>
    new Promise<string>((resolve) => {
      const { signal } = taskContext();
      signal.addEventListener("abort", () => resolve("stopped"));
    }),
  makeFunction: () => () => 1,
};

/** A manager, a worker and a pool within this process. */
class All implements AsyncDisposable {
  readonly manager = new Manager({ authkey: KEY });
  worker!: RemoteWorker;
  pool!: RemotePool<typeof TASKS>;

  static async start(concurrency = 1): Promise<All> {
    const all = new All();
    await all.manager.start();
    const { address } = all.manager;
    all.worker = serveWorker({
      address,
      authkey: KEY,
      tasks: TASKS,
      concurrency,
    });
    all.pool = new RemotePool({ address, authkey: KEY });
    return all;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await bounded(this.pool.terminate());
    await bounded(this.worker.terminate());
    await bounded(this.manager.shutdown());
    await untilNothingIsOpen();
  }
}

Deno.test("RemotePool has the methods of Pool", async () => {
  await using all = await All.start();
  const { pool } = all;
  assertEquals(await bounded(pool.apply("square", [3])), 9);
  assertEquals(await pool.apply(square, [4]), 16);
  const squares = await pool.map(
    "square",
    Array.from({ length: 1000 }, (_, i) => i),
  );
  assertEquals(squares.reduce((a, b) => a + b), 332_833_500);
  assertEquals(await pool.starmap("add", [[1, 2], [3, 4]]), [3, 7]);
  assertEquals(await Array.fromAsync(pool.imap("square", [1, 2, 3])), [
    1,
    4,
    9,
  ]);
  assertEquals(
    (await Array.fromAsync(pool.imapUnordered("square", [1, 2]))).sort(),
    [1, 4],
  );
  assertEquals(await Array.fromAsync(pool.istarmap("add", [[1, 1]])), [2]);
  assertEquals(await pool.map("square", []), []);
  async function* numbers() {
    yield* [1, 2];
  }
  assertEquals(await pool.map("square", numbers()), [1, 4]);
  const result = pool.applyAsync("square", [5]);
  assertEquals(await result.get(), 25);
  assert(result.successful());
  assertEquals(await pool.mapAsync("square", [2]).get(), [4]);
  assertEquals(await pool.starmapAsync("add", [[2, 2]]).get(), [4]);
  const { done, failed, pending, workers } = pool.stats();
  assertEquals([failed, pending, workers.length], [0, 0, 1]);
  assert(done > 1000);
  assertEquals(pool.size, 1);
});

Deno.test("RemotePool.imap() reads endless input as it is needed", async () => {
  await using all = await All.start();
  let read = 0;
  function* endless() {
    try {
      while (true) yield read++;
    } finally {
      read = -read;
    }
  }
  const got = [];
  for await (const value of all.pool.imap("square", endless())) {
    got.push(value);
    if (got.length === 20) break;
  }
  assertEquals(got, Array.from({ length: 20 }, (_, i) => i * i));
  assert(read < 0 && read > -1000, `${read}`);
});

Deno.test("RemotePool tells errors with their worker, index and remote stack", async () => {
  await using all = await All.start();
  const error = await reasonOf(all.pool.apply("fail", ["no"]));
  assertInstanceOf(error, RangeError);
  assertEquals(error.message, "no");
  assertInstanceOf(error.cause, RemoteError);
  assertEquals(error.cause.process, all.worker.name);
  const inMap = await reasonOf(all.pool.map("fail", ["a", "b"]));
  assertEquals((inMap as { index?: number }).index, 0);
  await assertRejects(
    () => all.pool.apply("square", [(() => {}) as never]),
    SerializationError,
    "args[0] is a function",
  );
  await assertRejects(
    () => all.pool.map("square", [1, (() => {}) as never, 3]),
    SerializationError,
  );
  await assertRejects(() => all.pool.apply("makeFunction"), SerializationError);
  assertThrows(() => all.pool.applyAsync("" as never), TypeError);
});

Deno.test("RemotePool fails tasks that no worker knows", async () => {
  await using all = await All.start();
  await all.pool.apply("square", [1]);
  await assertRejects(
    () => bounded(all.pool.apply("unknown" as never)),
    TaskReferenceError,
    '"unknown"',
  );
});

Deno.test("RemotePool stops tasks at their time-out, abort and cancel", async () => {
  await using all = await All.start();
  const { pool } = all;
  await assertRejects(
    () => bounded(pool.apply("untilAborted", [], { timeout: 20 })),
    TimeoutError,
  );
  const abort = new AbortController();
  const aborted = reasonOf(
    pool.apply("untilAborted", [], { signal: abort.signal }),
  );
  abort.abort();
  assertEquals(await aborted, abort.signal.reason);
  const result = pool.applyAsync("slow", [10_000]);
  assert(result.cancel());
  assertInstanceOf(await reasonOf(result.promise), CancelledError);
  const map = pool.mapAsync("slow", [10_000, 10_000]);
  assert(map.cancel());
  assertInstanceOf(await reasonOf(map.promise), CancelledError);
  await assertRejects(
    () => bounded(pool.map("slow", [10_000], { timeout: 10 })),
    TimeoutError,
  );
  // The worker goes on.
  assertEquals(await bounded(pool.apply("square", [2])), 4);
});

Deno.test("RemotePool tasks know their context", async () => {
  await using all = await All.start(2);
  assertEquals(await all.pool.apply("context"), {
    worker: all.worker.name,
    attempt: 1,
  });
});

Deno.test("RemotePool.close() waits for what was submitted", async () => {
  await using all = await All.start();
  const { pool } = all;
  const result = pool.applyAsync("slow", [20]);
  await assertRejects(() => pool.join(), InvalidStateError);
  pool.close();
  assertThrows(() => pool.applyAsync("square", [1]), InvalidStateError);
  await bounded(pool.join());
  assertEquals(await result.get({ timeout: 0 }), 20);
});

Deno.test("RemotePool.terminate() gives up what is not done", async () => {
  await using all = await All.start();
  const reason = reasonOf(all.pool.apply("slow", [10_000]));
  await bounded(all.pool.terminate());
  assertInstanceOf(await reason, CancelledError);
});

Deno.test("RemotePool and workers may be there before their manager", async () => {
  const probe = new Manager({ authkey: KEY });
  await probe.start();
  const { address } = probe;
  await probe.shutdown();
  const worker = serveWorker({ address, authkey: KEY, tasks: TASKS });
  const pool = new RemotePool<typeof TASKS>({
    address,
    authkey: KEY,
    serve: false,
  });
  const result = pool.map("square", [1, 2, 3]);
  const manager = new Manager({ address, authkey: KEY });
  await manager.start();
  assertEquals(await bounded(result), [1, 4, 9]);
  await pool.terminate();
  await worker.close();
  await manager.shutdown();
  await untilNothingIsOpen();
});

Deno.test("RemotePool serves itself where nobody does", async () => {
  const probe = new Manager({ authkey: KEY });
  await probe.start();
  const { address } = probe;
  await probe.shutdown();
  {
    await using pool = new RemotePool<typeof TASKS>({ address, authkey: KEY });
    const worker = serveWorker({ address, authkey: KEY, tasks: TASKS });
    assertEquals(await bounded(pool.map("square", [1, 2])), [1, 4]);
    await worker.close();
  }
  await untilNothingIsOpen();
});

Deno.test("RemotePool works with any engine", async () => {
  const engine = new MemoryEngine();
  const options = { address: "127.0.0.1:1", authkey: KEY };
  const worker = serveWorker({ ...options, tasks: TASKS, engine });
  {
    await using pool = new RemotePool<typeof TASKS>({ ...options, engine });
    assertEquals(await bounded(pool.map("square", [1, 2, 3])), [1, 4, 9]);
  }
  await bounded(worker.close());
  await untilNothingIsOpen();
});

Deno.test("serveWorker() ends when it is refused for good", async () => {
  const manager = new Manager({ authkey: KEY });
  await manager.start();
  const worker = serveWorker({
    address: manager.address,
    authkey: "wrong",
    tasks: TASKS,
  });
  await assertRejects(() => bounded(worker.finished), AuthenticationError);
  await manager.shutdown();
  await untilNothingIsOpen();
});

Deno.test("serveWorker() and RemotePool() refuse bad options", () => {
  const good = { address: "127.0.0.1:1", authkey: KEY, tasks: TASKS };
  for (
    const bad of [
      { tasks: {} },
      { tasks: { a: 1 } },
      { tasks: undefined },
      { name: "" },
      { signal: 5 },
      { address: undefined },
      { authkey: undefined },
    ]
  ) {
    assertThrows(() => serveWorker({ ...good, ...bad } as never), TypeError);
  }
  for (const bad of [{ concurrency: 0 }, { ttl: 0 }, { authkey: "" }]) {
    assertThrows(() => serveWorker({ ...good, ...bad }), RangeError);
  }
  for (
    const bad of [
      { serve: "yes" },
      { onWorkerLost: "cry" },
      { address: undefined },
    ]
  ) {
    assertThrows(() => new RemotePool({ ...good, ...bad } as never), TypeError);
  }
  for (
    const bad of [
      { retries: -1 },
      { taskTimeout: -1 },
      { address: "127.0.0.1:0" },
    ]
  ) {
    assertThrows(() => new RemotePool({ ...good, ...bad }), RangeError);
  }
});
