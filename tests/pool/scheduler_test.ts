// Copyright 2026 the multitask authors. MIT license.

import { assert, assertEquals, assertFalse, assertRejects } from "@std/assert";
import { hub } from "../../ipc/_hub.ts";
import {
  BrokenPoolError,
  CancelledError,
  WorkerLostError,
} from "../../ipc/errors.ts";
import { FunctionTable } from "../../pool/_functions.ts";
import { ListSource } from "../../pool/_map_source.ts";
import { Scheduler, type SchedulerOptions } from "../../pool/_scheduler.ts";
import { Task, type TaskOutcome } from "../../pool/_task.ts";
import { until } from "../process/_run.ts";
import { FakeWorker } from "./_fake_worker.ts";

/** What the tasks call; nobody does so here. */
export function work(x: number): number {
  return x;
}

const table = new FunctionTable();
const fn = table.entry("test", work);
const other = new FunctionTable().entry("test", work);

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A scheduler over fakes. */
class World implements AsyncDisposable {
  readonly workers: FakeWorker[] = [];
  readonly scheduler: Scheduler;

  constructor(
    options: Partial<SchedulerOptions> = {},
    { isNear = true } = {},
  ) {
    this.scheduler = new Scheduler({
      size: 2,
      killGrace: 1000,
      startTimeout: 60_000,
      start: (id, events) => {
        const worker = new FakeWorker(id, events, isNear);
        this.workers.push(worker);
        return worker;
      },
      ...options,
    });
  }

  static async started(
    options: Partial<SchedulerOptions> = {},
    near?: { isNear: boolean },
  ): Promise<World> {
    await Promise.all([fn.ready, other.ready]);
    fn.estimate = other.estimate = undefined;
    const world = new World(options, near);
    for (const worker of world.workers) worker.ready();
    return world;
  }

  submit(x: number, { priority = 0, entry = fn } = {}): {
    task: Task;
    outcome: Promise<TaskOutcome>;
    isSettled(): boolean;
  } {
    const { promise, resolve } = Promise.withResolvers<TaskOutcome>();
    const task = new Task(
      this.scheduler,
      { resolve },
      ({ resolve }: { resolve: (outcome: TaskOutcome) => void }, outcome) =>
        resolve(outcome),
      entry,
      hub.pack([x]),
      undefined,
      priority,
      undefined,
      false,
    );
    this.scheduler.add(task);
    return {
      task,
      outcome: promise,
      isSettled: () => task.state === "settled",
    };
  }

  /** The arguments that each worker has been given so far. */
  get given(): unknown[][] {
    return this.workers.map(({ batches }) => batches.flatMap((b) => b.args));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = this.scheduler.terminate(0);
    for (const worker of this.workers) {
      if (![...this.scheduler.workers].some((w) => w.handle === worker)) {
        continue;
      }
      worker.die("SIGTERM", -15);
    }
    await ended;
  }
}

for (const isNear of [true, false]) {
  const where = isNear ? "near" : "far";

  Deno.test(`Scheduler gives tasks to ${where} workers in order, one each while they are unknown`, async () => {
    await using world = await World.started({}, { isNear });
    for (let x = 0; x < 4; x++) world.submit(x);
    await turn();
    assertEquals(world.given, [[0], [1]]);
    world.workers[1]!.doAll(world.workers[1]!.batches[0]!, 50);
    await turn();
    assertEquals(world.given, [[0], [1, 2]]);
  });

  Deno.test(`Scheduler keeps ${where} workers awake only while they have work`, async () => {
    await using world = await World.started({}, { isNear });
    assertEquals(world.workers.map(({ awake }) => awake), [false, false]);
    const { outcome } = world.submit(1);
    await turn();
    assertEquals(world.workers.map(({ awake }) => awake), [true, false]);
    world.workers[0]!.doAll(world.workers[0]!.batches[0]!);
    assertEquals(await outcome, { ok: true, value: 1 });
    assertEquals(world.workers.map(({ awake }) => awake), [false, false]);
  });
}

Deno.test("Scheduler gives short tasks in batches, and one batch ahead", async () => {
  await using world = await World.started();
  fn.estimate = 0.1;
  for (let x = 0; x < 100; x++) world.submit(x);
  await turn();
  const sizes = world.workers.map(({ batches }) =>
    batches.map(({ args }) => args.length)
  );
  assertEquals(sizes, [[10, 10], [10, 10]]);
});

Deno.test("Scheduler gives far workers one task at a time, however short", async () => {
  await using world = await World.started({}, { isNear: false });
  fn.estimate = 0.001;
  for (let x = 0; x < 10; x++) world.submit(x);
  await turn();
  assertEquals(world.given, [[0], [1]]);
});

Deno.test("Scheduler begins tasks of a higher priority first", async () => {
  await using world = await World.started({ size: 1 });
  world.submit(0);
  await turn();
  world.submit(1);
  world.submit(2, { priority: 1 });
  world.submit(3, { priority: 1 });
  const [worker] = world.workers;
  for (let i = 0; i < 4; i++) {
    worker!.doAll(worker!.batches.at(-1)!, 50);
    await turn();
  }
  assertEquals(world.given, [[0, 2, 3, 1]]);
});

Deno.test("Scheduler fails the task that a dead worker was at, and no other", async () => {
  await using world = await World.started();
  fn.estimate = 0.1;
  const tasks = Array.from({ length: 20 }, (_, x) => world.submit(x));
  await turn();
  const [first, second] = world.workers;
  const [batch] = first!.batches;
  assertEquals(first!.begin(batch!), 0);
  first!.stage(batch!, 0, "staged");
  assertEquals(first!.begin(batch!), 1);
  first!.die();
  // What it had finished counts, what it had not begun goes on.
  assertEquals(await tasks[0]!.outcome, { ok: true, value: "staged" });
  const lost = await tasks[1]!.outcome;
  assert(!lost.ok && lost.error instanceof WorkerLostError);
  assertEquals(
    [lost.error.worker, lost.error.signal, lost.error.stderr],
    ["Fake-1", "SIGKILL", "last words\n"],
  );
  world.workers[2]?.ready();
  for (let round = 0; round < 20; round++) {
    for (const worker of [second!, world.workers[2]!]) {
      for (const batch of worker?.batches.splice(0) ?? []) worker.doAll(batch);
    }
    await turn();
    world.workers[2]?.ready();
  }
  for (const [x, { outcome }] of tasks.entries()) {
    if (x > 1) assertEquals(await outcome, { ok: true, value: x });
  }
});

Deno.test("Scheduler runs a task again where a lost worker is to be retried", async () => {
  await using world = await World.started({
    size: 1,
    onWorkerLost: "retry",
    retries: 1,
  });
  const { outcome, task } = world.submit(7);
  await turn();
  for (const attempt of [1, 2]) {
    assertEquals(task.attempt, attempt);
    const worker = world.workers.at(-1)!;
    worker.begin(worker.batches[0]!);
    worker.die();
    world.workers.at(-1)!.ready();
    await turn();
  }
  const lost = await outcome;
  assert(!lost.ok && lost.error instanceof WorkerLostError);
});

Deno.test("Scheduler takes back what a slow task holds back", async () => {
  await using world = await World.started();
  fn.estimate = 0.1;
  const tasks = Array.from({ length: 20 }, (_, x) => world.submit(x));
  await turn();
  const [slow, quick] = world.workers;
  for (const batch of slow!.batches) slow!.begin(batch);
  const held = new Set(slow!.batches.map(({ args }) => args[0]));
  // A millisecond and more pass: it is told by the clock alone.
  const end = performance.now() + 10_000;
  while (tasks.filter((one) => !one.isSettled()).length > held.size) {
    assert(performance.now() < end, "they are held back");
    for (const batch of quick!.batches.splice(0)) quick!.doAll(batch, 0.1);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  for (const [x, one] of tasks.entries()) {
    assertEquals(one.isSettled(), !held.has(x));
  }
});

Deno.test("Scheduler takes back the one task that waits behind a slow one", async () => {
  await using world = await World.started();
  // So they are known to be short, and one is sent ahead.
  fn.estimate = 0.6;
  const tasks = [1, 2, 3, 4].map((x) => world.submit(x));
  await turn();
  // A batch of one each, and one behind it.
  assertEquals(world.given, [[1, 3], [2, 4]]);
  const [busy, quick] = world.workers as [FakeWorker, FakeWorker];
  busy.begin(busy.batches[0]!); // And never ends.
  for (const batch of quick.batches.splice(0)) quick.doAll(batch);
  await until(
    () => quick.batches.some(({ args }) => args[0] === 3),
    "It waits for the slow one",
  );
  quick.doAll(quick.batches[0]!);
  assertEquals(await tasks[2]!.outcome, { ok: true, value: 3 });
  assertFalse(tasks[0]!.isSettled());
});

Deno.test("Scheduler.cancel() takes back what has not begun", async () => {
  await using world = await World.started({ size: 1 });
  fn.estimate = 0.1;
  const tasks = Array.from({ length: 6 }, (_, x) => world.submit(x));
  await turn();
  const [worker] = world.workers;
  assertEquals(worker!.begin(worker!.batches[0]!), 0);
  assertFalse(tasks[0]!.task.cancel(), "It runs");
  assert(tasks[1]!.task.cancel());
  assert(tasks[5]!.task.cancel());
  const outcome = await tasks[1]!.outcome;
  assert(!outcome.ok && outcome.error instanceof CancelledError);
  worker!.done(worker!.batches[0]!, { 0: 0 });
  await turn();
  for (let round = 0; round < 10; round++) {
    for (const batch of worker!.batches.splice(0)) worker!.doAll(batch);
    await turn();
  }
  for (const x of [0, 2, 3, 4]) {
    assertEquals(await tasks[x]!.outcome, { ok: true, value: x });
  }
});

Deno.test("Scheduler.close() ends the workers when all is done", async () => {
  const world = await World.started();
  const { outcome } = world.submit(1);
  await turn();
  world.scheduler.close();
  await turn();
  assertFalse(world.workers[0]!.hasExit);
  world.workers[0]!.doAll(world.workers[0]!.batches[0]!);
  await outcome;
  await turn();
  assertEquals(world.workers.map(({ hasExit }) => hasExit), [true, true]);
  for (const worker of world.workers) worker.die(null, 0);
  await world.scheduler.ended;
  assertEquals(world.scheduler.state, "ended");
});

Deno.test("Scheduler breaks when the initializer fails, and starts nobody again", async () => {
  await using world = new World();
  const { outcome } = world.submit(1);
  world.workers[0]!.initFailed(new RangeError("no database"));
  const failed = await outcome;
  assert(!failed.ok && failed.error instanceof BrokenPoolError);
  assert((failed.error.cause as Error) instanceof RangeError);
  assert(failed.error.message.includes("no database"));
  for (const worker of [...world.workers]) {
    assert(worker.isKilled);
    worker.die();
  }
  await turn();
  assertEquals(world.workers.length, 2);
  assertEquals(world.scheduler.state, "broken");
  await world.scheduler.ended;
});

Deno.test("Scheduler breaks when no worker gets ready", async () => {
  await fn.ready;
  const world = new World({ size: 1 });
  const { outcome } = world.submit(1);
  await turn();
  for (let i = 0; i < 3; i++) {
    world.workers.at(-1)!.die(null, 1);
    await turn();
  }
  const failed = await outcome;
  assert(!failed.ok && failed.error instanceof BrokenPoolError);
  assertEquals(world.workers.length, 3);
});

Deno.test("Scheduler replaces a worker that has had enough tasks", async () => {
  await using world = await World.started({ size: 1, maxTasksPerWorker: 2 });
  const tasks = Array.from({ length: 5 }, (_, x) => world.submit(x));
  await turn();
  for (let round = 0; round < 10; round++) {
    for (const worker of world.workers) {
      for (const batch of worker.batches.splice(0)) worker.doAll(batch);
      if (worker.hasExit) {
        worker.hasExit = false;
        worker.die(null, 0);
        world.workers.at(-1)!.ready();
      }
    }
    await turn();
  }
  for (const { outcome } of tasks) assert((await outcome).ok);
  assertEquals(world.workers.length >= 3, true);
});

Deno.test("Scheduler settles everything when it is terminated", async () => {
  const world = await World.started();
  const tasks = Array.from({ length: 10 }, (_, x) => world.submit(x));
  await turn();
  await world[Symbol.asyncDispose]();
  for (const { outcome } of tasks) {
    const { ok, error } = await outcome as { ok: false; error: unknown };
    assert(!ok && error instanceof CancelledError);
  }
});

Deno.test("Scheduler names the item that a dead worker was at", async () => {
  await using world = await World.started({ size: 1 });
  fn.estimate = 0.1;
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const source = new ListSource(
    { fn, isSpread: false, chunksize: 5, priority: 0 },
    [0, 1, 2, 3, 4],
    (outcome) => outcome.ok ? resolve(outcome.value) : reject(outcome.error),
    { isDurable: false, abandoned: () => {} },
  );
  world.scheduler.add(source);
  await turn();
  const [worker] = world.workers;
  for (let i = 0; i < 4; i++) worker!.begin(worker!.batches[0]!);
  worker!.die();
  await turn();
  world.workers[1]!.ready();
  await turn();
  world.workers[1]!.doAll(world.workers[1]!.batches[0]!);
  const error = await assertRejects(() => promise, WorkerLostError);
  assertEquals((error as unknown as { index: number }).index, 3);
});

Deno.test("Scheduler runs a task so often again as is allowed", async () => {
  await using world = await World.started({
    size: 1,
    onWorkerLost: "retry",
    retries: 3,
  });
  const { outcome, task } = world.submit(7);
  await turn();
  for (const attempt of [1, 2, 3]) {
    assertEquals(task.attempt, attempt);
    const worker = world.workers.at(-1)!;
    worker.begin(worker.batches[0]!);
    worker.die();
    world.workers.at(-1)!.ready();
    await turn();
  }
  assertEquals(task.attempt, 4);
  const worker = world.workers.at(-1)!;
  worker.doAll(worker.batches[0]!);
  assertEquals(await outcome, { ok: true, value: 7 });
  assertEquals(world.scheduler.counts.lost, 3);
});

/** Starts workers, except that some tries fail. */
class Unsteady {
  readonly workers: FakeWorker[] = [];
  tries = 0;
  fails: (tries: number) => boolean = () => false;

  readonly start = (
    ...[id, events]: Parameters<SchedulerOptions["start"]>
  ): FakeWorker => {
    if (this.fails(++this.tries)) throw new Error("too many open files");
    const worker = new FakeWorker(id, events, true);
    this.workers.push(worker);
    return worker;
  };
}

Deno.test("Scheduler tries again to start a worker, while it is wanted", async () => {
  await fn.ready;
  fn.estimate = undefined;
  const unsteady = new Unsteady();
  await using world = new World({ size: 1, start: unsteady.start });
  const [first] = unsteady.workers;
  first!.ready();
  unsteady.fails = (tries) => tries < 4;
  const { outcome } = world.submit(1);
  await turn();
  first!.begin(first!.batches[0]!);
  first!.die();
  assertFalse((await outcome).ok, "It was at it");
  const again = world.submit(2);
  await until(() => unsteady.workers.length === 2, "None is started");
  assertEquals(unsteady.tries, 4);
  const second = unsteady.workers[1]!;
  second.ready();
  await turn();
  second.doAll(second.batches[0]!);
  assertEquals(await again.outcome, { ok: true, value: 2 });
  second.die();
});

Deno.test("Scheduler breaks when no worker can be started for long", async () => {
  await fn.ready;
  fn.estimate = undefined;
  const unsteady = new Unsteady();
  await using world = new World({ size: 1, start: unsteady.start });
  unsteady.workers[0]!.ready();
  unsteady.fails = () => true;
  unsteady.workers[0]!.die();
  const failed = await world.submit(1).outcome;
  assert(!failed.ok && failed.error instanceof BrokenPoolError);
  assert(failed.error.message.includes("too many open files"));
});

Deno.test("Scheduler tells once when one worker cannot be replaced, and goes on", async () => {
  await fn.ready;
  fn.estimate = undefined;
  const unsteady = new Unsteady();
  const told: unknown[] = [];
  const hopeless = Promise.withResolvers<void>();
  await using world = new World({
    start: unsteady.start,
    events: {
      cannotStart(error) {
        told.push(error);
        hopeless.resolve();
      },
    },
  });
  const [first, second] = unsteady.workers;
  first!.ready();
  second!.ready();
  unsteady.fails = () => true;
  first!.die();
  const [one, two] = [world.submit(1), world.submit(2)];
  await hopeless.promise;
  assertEquals(told.length, 1);
  for (const { outcome } of [one, two]) {
    second!.doAll(second!.batches.pop()!);
    assert((await outcome).ok);
    await turn();
  }
  second!.die();
});

Deno.test("Scheduler hands out what a far worker gives back", async () => {
  await using world = await World.started({}, { isNear: false });
  fn.estimate = 0.1;
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const source = new ListSource(
    { fn, isSpread: false, chunksize: 6, priority: 0 },
    [0, 1, 2, 3, 4, 5],
    (outcome) => outcome.ok ? resolve(outcome.value) : reject(outcome.error),
    { isDurable: false, abandoned: () => {} },
  );
  world.scheduler.add(source);
  await turn();
  const [first, second] = world.workers;
  const [batch] = first!.batches;
  first!.done(batch!, { 0: 0, 1: 1 }, { last: true, begun: 2, ms: 50 });
  await turn();
  // They take long: each gets one of them.
  assertEquals(world.given, [[0, 1, 2, 3, 4, 5, 2], [3]]);
  for (let round = 0; round < 6; round++) {
    for (const worker of [first!, second!]) {
      for (const one of worker.batches.splice(0)) {
        if (one !== batch) worker.doAll(one, 0.1);
      }
    }
    await turn();
  }
  assertEquals(await promise, [0, 1, 2, 3, 4, 5]);
});

Deno.test("Scheduler tells a worker which items are not wanted any more", async () => {
  for (const isNear of [true, false]) {
    await using world = await World.started({ size: 1 }, { isNear });
    const source: ListSource = new ListSource(
      { fn, isSpread: false, chunksize: 3, priority: 0 },
      [0, 1, 2],
      () => {},
      { isDurable: false, abandoned: () => world.scheduler.abandon(source) },
    );
    world.scheduler.add(source);
    await turn();
    const [worker] = world.workers;
    source.finish({ ok: false, error: new Error("enough") });
    assertEquals(worker!.dropped, [worker!.batches[0]!.id]);
    worker!.done(worker!.batches[0]!, {}, { last: true, begun: 0 });
  }
});
