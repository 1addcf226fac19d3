// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import type { EngineTask } from "../../distributed/engine.ts";
import { MemoryEngine } from "../../distributed/memory_engine.ts";
import {
  CancelledError,
  LeaseLostError,
  TimeoutError,
  WorkerLostError,
} from "../../ipc/errors.ts";
import { assertPending, bounded } from "../ipc/_waits.ts";

function task(id: string, options: Partial<EngineTask> = {}): EngineTask {
  return {
    id,
    name: "square",
    calls: [[1]],
    priority: 0,
    timeout: undefined,
    maxAttempts: 2,
    ...options,
  };
}

const WORKER = { name: "w", tasks: ["square"], concurrency: 1 };
const DONE = [{ ok: true as const, value: 1 }];

Deno.test("MemoryEngine gives tasks by priority, and in order", async () => {
  const engine = new MemoryEngine();
  await engine.enqueue("me", [
    task("1"),
    task("2", { priority: 5 }),
    task("3", { name: "other" }),
    task("4"),
  ]);
  // The same task is the same task.
  await engine.enqueue("me", [task("1")]);
  const ids = [];
  for (let i = 0; i < 3; i++) ids.push((await engine.lease(WORKER))!.id);
  assertEquals(ids, ["2", "1", "4"]);
  assertEquals(await engine.lease(WORKER, { timeout: 0 }), undefined);
  await engine.forget("me");
});

Deno.test("MemoryEngine settles each task once, by its fence", async () => {
  const engine = new MemoryEngine();
  await engine.enqueue("me", [task("1")]);
  const first = (await engine.lease(WORKER))!;
  await engine.fail(first.id, first.fence, new Error("again"));
  const second = (await engine.lease({ ...WORKER, name: "v" }))!;
  assert(second.fence > first.fence);
  assertEquals(second.attempt, 2);
  await assertRejects(
    () => engine.complete(first.id, first.fence, DONE),
    LeaseLostError,
  );
  await engine.complete(second.id, second.fence, DONE);
  await assertRejects(
    () => engine.complete(second.id, second.fence, DONE),
    LeaseLostError,
  );
  const { outcomes } = await engine.watch("me", 0);
  assertEquals(outcomes.map(({ id, results }) => [id, results]), [["1", DONE]]);
  // They are kept until somebody has them.
  assertEquals((await engine.watch("me", 0)).outcomes.length, 1);
  const after = await engine.watch("me", outcomes[0]!.sequence, { timeout: 0 });
  assertEquals(after.outcomes, []);
});

Deno.test("MemoryEngine has others try what a lost worker had", async () => {
  const engine = new MemoryEngine();
  await engine.enqueue("me", [task("1")]);
  for (const name of ["a", "b"]) {
    const lease = await engine.lease({ ...WORKER, name });
    assertEquals(lease!.id, "1");
    engine.lose(name, "was lost");
  }
  const { outcomes: [outcome] } = await engine.watch("me", 0);
  const { results } = outcome!;
  assert("error" in results);
  assertInstanceOf(results.error, WorkerLostError);
  assertEquals(results.error.worker, "b");
});

Deno.test("MemoryEngine takes a lease back after its ttl", async () => {
  const engine = new MemoryEngine();
  await engine.enqueue("me", [task("1")]);
  const first = (await engine.lease(WORKER, { ttl: 20 }))!;
  await engine.extend(first.id, first.fence, 30);
  const second = await bounded(engine.lease({ ...WORKER, name: "v" }));
  assertEquals(second!.attempt, 2);
  const [order] = await engine.cancelled("w");
  assertEquals(order, { id: "1", fence: first.fence });
  await engine.forget("me");
});

Deno.test("MemoryEngine ends tasks that take too long, and those given up", async () => {
  const engine = new MemoryEngine();
  await engine.enqueue("me", [
    task("late", { timeout: 10 }),
    task("given up"),
    task("not begun"),
  ]);
  await engine.lease(WORKER);
  await engine.lease(WORKER);
  const orders = engine.cancelled("w");
  assertEquals(await engine.cancel("me", ["given up", "not begun", "?"]), [
    "not begun",
  ]);
  assertEquals((await orders).map(({ id }) => id), ["given up"]);
  const errors = new Map<string, unknown>();
  for (let after = 0; errors.size < 3;) {
    for (const one of (await bounded(engine.watch("me", after))).outcomes) {
      after = one.sequence;
      errors.set(one.id, "error" in one.results && one.results.error);
    }
  }
  assertInstanceOf(errors.get("late"), TimeoutError);
  assertInstanceOf(errors.get("given up"), CancelledError);
  assertInstanceOf(errors.get("not begun"), CancelledError);
});

Deno.test("MemoryEngine ends the wait of a worker that leaves", async () => {
  const engine = new MemoryEngine();
  const waiting = engine.lease(WORKER);
  waiting.catch(() => {});
  await assertPending(waiting);
  await engine.leave("w");
  await assertRejects(() => bounded(waiting), CancelledError);
});

Deno.test("MemoryEngine.lock() has one holder, with a fence that rises", async () => {
  const engine = new MemoryEngine();
  const first = (await engine.lock("a", { ttl: 10_000 }))!;
  assertEquals(await engine.lock("a", { ttl: 1, timeout: 0 }), undefined);
  const waiting = engine.lock("a", { ttl: 20 });
  await assertPending(waiting);
  await first.release();
  const second = (await waiting)!;
  assert(second.fence > first.fence);
  await assertRejects(() => first.extend(10), LeaseLostError);
  // Its time is up.
  const third = (await bounded(engine.lock("a", { ttl: 10_000 })))!;
  assert(third.fence > second.fence);
  await third.release();
});
