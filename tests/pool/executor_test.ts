// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  CancelledError,
  Event,
  InvalidStateError,
  TimeoutError,
  wait,
  WorkerLostError,
} from "../../ipc/mod.ts";
import {
  asCompleted,
  type Future,
  ProcessPoolExecutor,
  waitFutures,
} from "../../pool/mod.ts";
import { bounded, reasonOf } from "../ipc/_waits.ts";
import { until } from "../process/_run.ts";
import { poolTest, range } from "./_pools.ts";
import * as deadly from "./fixtures/deadly.ts";
import * as tasks from "./fixtures/tasks.ts";

function executorOf(maxWorkers = 1): ProcessPoolExecutor {
  return new ProcessPoolExecutor({ maxWorkers, killGrace: 100 });
}

/** An executor of one worker, which is busy until `go` is set. */
async function busyExecutor() {
  const executor = executorOf();
  const ready = new Event();
  const go = new Event();
  const running = executor.submit(
    tasks.announceAndWait<string>,
    ready,
    go,
    "x",
  );
  await bounded(ready.wait());
  return {
    executor,
    go,
    running,
    async [Symbol.asyncDispose]() {
      go.set();
      await executor[Symbol.asyncDispose]();
      ready.close();
      go.close();
    },
  };
}

// ---- Future ----

poolTest("A Future is pending, running, finished in turn", async () => {
  await using busy = await busyExecutor();
  const { executor, running, go } = busy;
  const pending = executor.submit(tasks.square, 3);
  assertEquals(
    [pending, running].map((one) => [one.running(), one.done()]),
    [[false, false], [true, false]],
  );
  go.set();
  assertEquals(await bounded(running.result()), "x");
  assertEquals(await bounded(pending.result()), 9);
  assertEquals(
    [pending, running].map((one) => [
      one.running(),
      one.done(),
      one.cancelled(),
      one.cancel(),
    ]),
    Array(2).fill([false, true, false, false]),
  );
  assertEquals(await pending.exception(), null);
  assertStrictEquals(pending.promise, pending.promise);
});

poolTest("Future.cancel() takes back what has not begun, only", async () => {
  await using busy = await busyExecutor();
  const { executor, running, go } = busy;
  const pending = executor.submit(tasks.square, 3);
  const seen: boolean[] = [];
  pending.addDoneCallback((one) => seen.push(one.cancelled()));
  assertFalse(running.cancel());
  assertFalse(running.cancelled());
  assert(pending.cancel());
  assert(pending.cancel(), "It is so already");
  assertEquals(
    [pending.cancelled(), pending.done(), pending.running()],
    [true, true, false],
  );
  assertEquals(seen, [true]);
  await assertRejects(() => pending.result(), CancelledError);
  await assertRejects(() => pending.exception(), CancelledError);
  go.set();
  assertEquals(await bounded(running.result()), "x");
});

poolTest(
  "A Future whose executor was terminated is not cancelled",
  async () => {
    await using busy = await busyExecutor();
    const { executor, running } = busy;
    const pending = executor.submit(tasks.square, 3);
    await bounded(executor.terminateWorkers());
    for (const one of [running, pending]) {
      assertEquals([one.done(), one.cancelled(), one.cancel()], [
        true,
        false,
        false,
      ]);
      const error = await one.exception();
      assertInstanceOf(error, CancelledError);
      assertStringIncludes(error.message, "executor was terminated");
    }
  },
);

poolTest("A task that throws a CancelledError is not cancelled", async () => {
  await using executor = executorOf();
  const future = executor.submit(tasks.failWith, new CancelledError("own"));
  assertInstanceOf(await bounded(future.exception()), CancelledError);
  assertFalse(future.cancelled());
});

poolTest("A Future has the error of its call", async () => {
  await using executor = executorOf();
  const failed = executor.submit(tasks.failOdd, 1);
  const error = await bounded(failed.exception());
  assertInstanceOf(error, RangeError);
  assertStrictEquals(await reasonOf(failed.result()), error);
  const lost = executor.submit(deadly.die);
  assertInstanceOf(await bounded(lost.exception()), WorkerLostError);
  assertEquals(await bounded(executor.submit(tasks.square, 2).result()), 4);
});

poolTest("Future.result() and exception() wait within bounds", async () => {
  await using busy = await busyExecutor();
  const { running } = busy;
  await assertRejects(() => running.result({ timeout: 0 }), TimeoutError);
  await assertRejects(() => running.exception({ timeout: 1 }), TimeoutError);
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => running.result({ signal }), Error, "enough");
  await assertRejects(() => running.result({ timeout: -1 }), RangeError);
  assertFalse(running.done());
});

poolTest("Callbacks of a Future are called in order, once each", async () => {
  await using busy = await busyExecutor();
  const { executor, running, go } = busy;
  const called: string[] = [];
  executor.addEventListener("callbackerror", (event) => {
    event.preventDefault();
    called.push(String((event.detail.error as Error).message));
  });
  running.addDoneCallback((one) => called.push(`first ${one.done()}`));
  running.addDoneCallback(() => {
    throw new Error("wrong");
  });
  running.addDoneCallback(() => called.push("third"));
  go.set();
  await bounded(running.result());
  running.addDoneCallback(() => called.push("late"));
  assertEquals(called, ["first true", "wrong", "third", "late"]);
  assertThrows(() => running.addDoneCallback(5 as never), TypeError);
});

poolTest("wait() takes Futures", async () => {
  await using busy = await busyExecutor();
  const { executor, running, go } = busy;
  const cancelled = executor.submit(tasks.square, 1);
  cancelled.cancel();
  assertEquals(await bounded(wait([running, cancelled])), [cancelled]);
  go.set();
  assertEquals(await bounded(wait([running])), [running]);
});

poolTest("A failed Future that nobody reads is told, once", async () => {
  const told: string[] = [];
  const executor = executorOf();
  executor.addEventListener("unreaderror", (event) => {
    event.preventDefault();
    told.push((event.detail.error as Error).message);
  });
  const read = executor.submit(tasks.failAt, 1, 1);
  const unread = executor.submit(tasks.failAt, 2, 2);
  unread.addDoneCallback(() => {});
  await bounded(read.exception());
  await bounded(waitFutures([read, unread]));
  await bounded(executor.shutdown());
  assertEquals(told, ["2 is bad"]);
  await reasonOf(unread.result());
});

// ---- waitFutures and asCompleted ----

poolTest("waitFutures() waits for what returnWhen says", async () => {
  await using busy = await busyExecutor();
  const { executor, running, go } = busy;
  const cancelled = executor.submit(tasks.square, 1);
  const failing = executor.submit(tasks.failOdd, 1);
  const last = executor.submit(tasks.square, 2);
  const all = [running, cancelled, failing, last] as Future<unknown>[];
  cancelled.cancel();
  const first = await bounded(
    waitFutures(all, { returnWhen: "FIRST_COMPLETED" }),
  );
  assertEquals([...first.done], [cancelled]);
  assertEquals(first.notDone.size, 3);
  const late = await waitFutures(all, { timeout: 1 });
  assertEquals([...late.done], [cancelled]);
  const exception = waitFutures(all, { returnWhen: "FIRST_EXCEPTION" });
  go.set();
  const { done } = await bounded(exception);
  assert(done.has(failing) && done.has(running));
  const everything = await bounded(waitFutures(all));
  assertEquals([everything.done.size, everything.notDone.size], [4, 0]);
  await failing.exception();
});

poolTest("waitFutures() gives up when it is aborted, and checks", async () => {
  await using busy = await busyExecutor();
  const { running } = busy;
  const abort = new AbortController();
  const waiting = reasonOf(waitFutures([running], { signal: abort.signal }));
  abort.abort(new Error("enough"));
  assertEquals((await bounded(waiting) as Error).message, "enough");
  const none = await waitFutures([]);
  assertEquals([none.done.size, none.notDone.size], [0, 0]);
  await assertRejects(() => waitFutures([5 as never]), TypeError);
  await assertRejects(() => waitFutures(5 as never), TypeError);
  await assertRejects(
    () => waitFutures([running], { returnWhen: "NEVER" as never }),
    TypeError,
  );
});

poolTest("asCompleted() gives Futures as they are done", async () => {
  await using busy = await busyExecutor();
  const { executor, running, go } = busy;
  const cancelled = executor.submit(tasks.square, 1);
  cancelled.cancel();
  const last = executor.submit(tasks.square, 2);
  const all = [last, running, cancelled] as Future<unknown>[];
  const seen: unknown[] = [];
  await bounded((async () => {
    for await (const one of asCompleted(all)) {
      seen.push(one);
      if (one === cancelled) go.set();
    }
  })());
  assertEquals(seen, [cancelled, running, last]);
});

poolTest(
  "asCompleted() ends at its timeout and checks at the call",
  async () => {
    await using busy = await busyExecutor();
    const { running } = busy;
    const iterator = asCompleted([running], { timeout: 1 });
    const error = await reasonOf(iterator.next());
    assertInstanceOf(error, TimeoutError);
    assertStringIncludes(error.message, "1 of 1");
    assertThrows(() => asCompleted([5 as never]), TypeError);
    assertThrows(() => asCompleted(5 as never), TypeError);
    assertThrows(() => asCompleted([running], { timeout: -1 }), RangeError);
  },
);

// ---- The executor ----

poolTest(
  "ProcessPoolExecutor starts workers when they are needed",
  async () => {
    await using executor = executorOf(4);
    const started: string[] = [];
    executor.addEventListener(
      "workerstart",
      ({ detail }) => void started.push(detail.worker),
    );
    assertEquals(executor.stats().workers.length, 0);
    assertEquals(await bounded(executor.submit(tasks.square, 3).result()), 9);
    assertEquals(started, ["PoolWorker-1"]);
    assertEquals(executor.stats().done, 1);
  },
);

poolTest("ProcessPoolExecutor.map() takes iterables side by side", async () => {
  await using executor = executorOf();
  const sums = executor.map(tasks.add, [1, 2, 3], new Set([10, 20]), {
    chunksize: 2,
  });
  assertEquals(await bounded(Array.fromAsync(sums)), [11, 22]);
  const squares = executor.map(tasks.square, [1, 2], { chunksize: 1 });
  assertEquals(await bounded(Array.fromAsync(squares)), [1, 4]);
  assertThrows(() => executor.map(tasks.square, 5 as never), TypeError);
  assertThrows(() => executor.map(tasks.add, [1], 5 as never, {}), TypeError);
  assertThrows(
    () => executor.map(tasks.square, [1], { chunksize: 0 }),
    RangeError,
  );
});

poolTest(
  "ProcessPoolExecutor.with() gives its options to all calls",
  async () => {
    await using executor = executorOf();
    await bounded(executor.submit(tasks.nothing).result());
    const hasty = executor.with({ timeout: 100 });
    assertInstanceOf(hasty, ProcessPoolExecutor);
    assertInstanceOf(
      await bounded(hasty.submit(tasks.forever).exception()),
      TimeoutError,
    );
    const error = await bounded(
      reasonOf(Array.fromAsync(hasty.map(tasks.later, [0, 60_000]))),
    );
    assertInstanceOf(error, TimeoutError);
    const abort = new AbortController();
    const abortable = executor.with({ signal: abort.signal });
    const mapped = abortable.map(tasks.later, [60_000]).next();
    abort.abort(new Error("enough"));
    assertEquals((await bounded(reasonOf(mapped)) as Error).message, "enough");
    // It is the same executor.
    assertEquals(await bounded(executor.submit(tasks.square, 3).result()), 9);
    assertThrows(() => executor.with({ timeout: -1 }), RangeError);
    assertThrows(() => executor.with({ signal: 5 as never }), TypeError);
    assertThrows(() => executor.with({ priority: "high" as never }), TypeError);
    const moving = executor.with({ transfer: [new ArrayBuffer(1)] });
    assertThrows(() => moving.map(tasks.square, [1]), TypeError, "transfer");
  },
);

poolTest("ProcessPoolExecutor.with() begins what is urgent first", async () => {
  await using busy = await busyExecutor();
  const { executor, go } = busy;
  const order: string[] = [];
  const late = executor.submit(tasks.square, 1);
  late.addDoneCallback(() => order.push("late"));
  const urgent = executor.with({ priority: 1 }).map(tasks.square, [2]).next()
    .then(() => order.push("urgent"));
  go.set();
  await bounded(Promise.all([late.result(), urgent]));
  assertEquals(order, ["urgent", "late"]);
});

poolTest("ProcessPoolExecutor.shutdown() waits until all is done", async () => {
  const executor = executorOf();
  const futures = range(10).map((x) => executor.submit(tasks.square, x));
  await bounded(executor.shutdown());
  assert(futures.every((one) => one.done()));
  const error = assertThrows(
    () => executor.submit(tasks.square, 1),
    InvalidStateError,
  );
  assertStringIncludes(error.message, "executor is shut down");
  await bounded(executor.shutdown());
});

poolTest("ProcessPoolExecutor.shutdown() need not wait", async () => {
  await using busy = await busyExecutor();
  const { executor, running, go } = busy;
  await bounded(executor.shutdown({ wait: false }));
  assertFalse(running.done());
  assertThrows(() => executor.map(tasks.square, [1]), InvalidStateError);
  go.set();
  assertEquals(await bounded(running.result()), "x");
});

poolTest(
  "ProcessPoolExecutor.shutdown() can cancel what has not begun",
  async () => {
    await using busy = await busyExecutor();
    const { executor, running, go } = busy;
    const pending = range(5).map((x) => executor.submit(tasks.square, x));
    const next = reasonOf(executor.map(tasks.square, [1, 2]).next());
    const unread = executor.map(tasks.square, range(1000));
    const ended = executor.shutdown({ cancelFutures: true });
    assert(pending.every((one) => one.cancelled()));
    assertInstanceOf(await bounded(next), CancelledError);
    assertInstanceOf(await bounded(reasonOf(unread.next())), CancelledError);
    go.set();
    await bounded(ended);
    assertEquals(await running.result(), "x");
  },
);

poolTest(
  "ProcessPoolExecutor checks its options, and speaks of itself",
  async () => {
    const names = [{ maxWorkers: 0 }, { retries: -1 }, { taskTimeout: -1 }];
    for (const options of names) {
      const error = assertThrows(() => new ProcessPoolExecutor(options));
      assertInstanceOf(error, RangeError);
      const [name] = Object.keys(options);
      assertStringIncludes(error.message, `Cannot create executor: "${name}"`);
    }
    for (const options of [null, 5, { trace: "x" }, { initargs: 5 }]) {
      const error = assertThrows(() =>
        new ProcessPoolExecutor(options as never)
      );
      assertInstanceOf(error, TypeError);
      assertStringIncludes(error.message, "Cannot create executor: ");
    }
    await using executor = executorOf();
    await assertRejects(
      () => executor.shutdown({ wait: 5 as never }),
      TypeError,
      '"wait"',
    );
    const error = await reasonOf(executor.trace("unused"));
    assertInstanceOf(error, InvalidStateError);
    assertStringIncludes(error.message, "create the executor");
  },
);

poolTest("ProcessPoolExecutor.trace() writes what ran", async () => {
  await using executor = new ProcessPoolExecutor({
    maxWorkers: 1,
    trace: true,
  });
  await bounded(executor.submit(tasks.square, 3).result());
  const path = await Deno.makeTempFile();
  await executor.trace(path);
  const written = await Deno.readTextFile(path);
  await Deno.remove(path);
  assertStringIncludes(written, '"name":"square"');
});

poolTest("Futures that were given up free their worker", async () => {
  await using executor = executorOf();
  const abort = new AbortController();
  const futures = range(3).map(() =>
    executor.with({ signal: abort.signal }).submit(tasks.forever)
  );
  await until(() => futures[0]!.running(), "It does not run");
  abort.abort(new Error("enough"));
  for (const one of futures) {
    assertEquals((await bounded(one.exception()) as Error).message, "enough");
    assertFalse(one.cancelled());
  }
  assertEquals(await bounded(executor.submit(tasks.square, 3).result()), 9);
});
