// Copyright 2026 the multitask authors. MIT license.
// However a thread ends: whoever waits is told, and nothing stays behind.

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import {
  Event,
  Lock,
  ProcessExitError,
  Queue,
  RemoteError,
  RLock,
  SerializationError,
  taskRef,
  TaskReferenceError,
  Value,
  WorkerLostError,
} from "../../ipc/mod.ts";
import { Process } from "../../process/mod.ts";
import { Thread, type ThreadExit } from "../../thread/mod.ts";
import { bounded, reasonOf } from "../ipc/_waits.ts";
import { isRunning, until } from "../process/_run.ts";
import { capturingStderr, fixture, names, threadTest } from "./_run.ts";
import * as ends from "./fixtures/end_tasks.ts";
import * as tasks from "./fixtures/tasks.ts";

const HOMES = ["shared", "mapped"] as const;

const THREW: ThreadExit = { reason: "threw", exitCode: 1 };
const TERMINATED: ThreadExit = { reason: "terminated", exitCode: 0 };

/** Runs a task that fails: what its result rejects with, and what is printed. */
async function failing<A extends unknown[]>(
  target: ConstructorParameters<typeof Thread<A>>[0] extends infer O
    ? NonNullable<O> extends { target?: infer T } ? NonNullable<T> : never
    : never,
  ...args: A
): Promise<{ reason: unknown; stderr: string; exit: ThreadExit }> {
  const thread = new Thread({ target, args: args as never, name: "it" });
  let reason: unknown;
  let exit: ThreadExit;
  const stderr = await capturingStderr(async () => {
    thread.start();
    reason = await reasonOf(thread.result);
    exit = await bounded(thread.exited);
    assertEquals(await thread.join(), true);
  });
  assertFalse(thread.isAlive());
  return { reason, stderr, exit: exit! };
}

// ---- Errors ----

threadTest("Thread.result rejects with the target's error", async () => {
  const { reason, stderr, exit } = await failing(tasks.failLater);
  assertInstanceOf(reason, TypeError);
  assertEquals(reason.message, "later");
  assertInstanceOf(reason.cause, RemoteError);
  assertEquals(reason.cause.process, "it");
  assertEquals(reason.cause.pid, Deno.pid);
  assertStringIncludes(reason.cause.remoteStack, "failLater");
  assertInstanceOf(reason.cause.cause, RangeError);
  assert(stderr.startsWith("Exception in thread it:\nTypeError: later\n"));
  assertStringIncludes(stderr, "tasks.ts");
  assertEquals(exit, THREW);
});

threadTest(
  "Thread.result rejects with errors of exported classes",
  async () => {
    const { reason, stderr } = await failing(tasks.failByTask);
    assertInstanceOf(reason, tasks.TaskFailure);
    assertEquals([reason.message, reason.task], ["task A failed", "A"]);
    assertStringIncludes(stderr, "TaskFailure: task A failed");
    // A module that is only named is not loaded here.
    const far = await failing(taskRef(fixture("unimported.ts"), "failFar"));
    assertInstanceOf(far.reason, RemoteError);
    assertEquals(far.reason.name, "FarFailure");
    assertEquals((far.reason as Error & { code?: number }).code, 42);
    assertStringIncludes(far.stderr, "FarFailure: far away");
  },
);

threadTest("Thread may throw what is no error", async () => {
  const thrown: unknown[] = [
    undefined,
    null,
    0,
    "text",
    { code: 7, list: [1] },
    [new RangeError("inner")],
    new Map([["a", 1]]),
  ];
  for (const value of thrown) {
    const { reason, stderr, exit } = await failing(tasks.failWith, value);
    assertEquals(reason, value);
    assert(stderr.startsWith("Exception in thread it:\n"), stderr);
    assertEquals(exit, THREW);
  }
  const { reason } = await failing(tasks.failWithBare);
  assertEquals((reason as { code: number }).code, 7);
});

for (
  const [name, target, part] of [
    ["a function", tasks.failWithFunction, "Function"],
    ["a symbol", tasks.failWithSymbol, "Symbol(thrown)"],
    ["an error that cannot be read", tasks.failUnprintably, ""],
    ["an object that cannot be looked at", tasks.failWithProxy, "{}"],
  ] as const
) {
  threadTest(`Thread may throw ${name}`, async () => {
    const { reason, stderr, exit } = await failing(target);
    assertInstanceOf(reason, Error);
    assertStringIncludes(reason.message, part);
    assert(stderr.startsWith("Exception in thread it:\n"), stderr);
    assertEquals(exit, THREW);
  });
}

threadTest("Process may throw an object that cannot be looked at", async () => {
  const process = new Process({
    target: tasks.failWithProxy,
    stderr: "null",
  });
  process.start();
  const reason = await reasonOf(process.result);
  assertInstanceOf(reason, Error);
  assertStringIncludes(reason.message, "{}");
  await process.join();
  assertEquals(process.exitCode, 1);
});

threadTest("Thread fails by what nobody catches", async () => {
  const unhandled = await failing(tasks.failUnhandled);
  assertInstanceOf(unhandled.reason, TypeError);
  assertEquals(unhandled.exit, THREW);
  assertStringIncludes(unhandled.stderr, "nobody listens");
  const timer = await failing(tasks.failInTimer);
  assertInstanceOf(timer.reason, RangeError);
  assertEquals(timer.exit, THREW);
  const twice = await failing(tasks.failTwice);
  assertEquals((twice.reason as Error).message, "the first");
  // Neither of them is lost.
  assertStringIncludes(twice.stderr, "the first");
  assertStringIncludes(twice.stderr, "the second");
});

threadTest("Thread tells of what fails behind its result", async () => {
  const thread = new Thread({ target: tasks.failAfterwards, name: "it" });
  const stderr = await capturingStderr(async () => {
    thread.start();
    assertEquals(await thread.result, "fine");
    await thread.join();
  });
  assertStringIncludes(stderr, "Exception in thread it:\nTypeError: after");
  assertEquals(await thread.exited, { reason: "returned", exitCode: 0 });
});

threadTest("Thread.result rejects for what cannot be sent", async () => {
  const { reason, stderr, exit } = await failing(tasks.returnFunction);
  assertInstanceOf(reason, SerializationError);
  assertEquals(reason.path, "result.list[1]");
  assertStringIncludes(stderr, "result.list[1] is a function");
  assertEquals(exit, THREW);
});

// ---- Modules ----

threadTest("Thread whose module cannot be loaded says so", async () => {
  const missing = taskRef("file:///no/such/module.ts", "task");
  const broken = taskRef("data:text/javascript,export function f( {", "f");
  const throwing = taskRef(fixture("throws_at_import.ts"), "task");
  for (
    const [target, part] of [
      [missing, "file:///no/such/module.ts"],
      [broken, "SyntaxError"],
      [throwing, "not today"],
    ] as const
  ) {
    const { reason, stderr, exit } = await failing(target);
    assertInstanceOf(reason, TaskReferenceError);
    assertStringIncludes(reason.message, "Cannot load the task's module");
    assertStringIncludes(reason.message, part);
    assertStringIncludes(stderr, "Exception in thread it:\nTaskReference");
    assertEquals(exit, THREW);
  }
});

threadTest("Thread may exit while its module is loaded", async () => {
  const target = taskRef(fixture("exits_at_import.ts"), "task");
  const { reason, stderr, exit } = await failing(target);
  assertInstanceOf(reason, WorkerLostError);
  assertEquals(reason.exitCode, 9);
  assertEquals(stderr, "");
  assertEquals(exit, { reason: "exited", exitCode: 9 });
});

// ---- Exits ----

for (
  const [name, target, args, exitCode] of [
    ["Deno.exit()", tasks.exit, [], 0],
    ["Deno.exit(7)", tasks.exit, [7], 7],
    ["process.exit(7)", tasks.exitByProcess, [7], 7],
    ["Deno.exit(4) in a timer", tasks.exitInTimer, [], 4],
    ["self.close()", tasks.closeItself, [], 0],
  ] as const
) {
  threadTest(`Thread ends by ${name}, and nothing else does`, async () => {
    const thread = new Thread({
      target: target as (...args: unknown[]) => unknown,
      args: [...args],
      name: "leaver",
    });
    const stderr = await capturingStderr(async () => {
      thread.start();
      const joined = [thread.join(), thread.join()];
      const reason = await reasonOf(thread.result);
      assertInstanceOf(reason, WorkerLostError);
      assertStringIncludes(reason.message, '"leaver" ended by itself');
      assertEquals(
        [reason.worker, reason.pid, reason.exitCode, reason.signal],
        ["leaver", Deno.pid, exitCode, null],
      );
      assertEquals(await Promise.all(joined), [true, true]);
    });
    assertEquals(await thread.exited, { reason: "exited", exitCode });
    assertEquals(stderr, "");
  });
}

threadTest("Thread is killed by a listener for its end, too", async () => {
  const thread = new Thread({ target: tasks.nothing });
  thread.start();
  thread.exited.then(() => thread.terminate());
  assertEquals(await thread.join(), true);
  assertEquals(await thread.terminate(), true);
});

for (const home of HOMES) {
  threadTest(
    `what a thread has sent before its end is there (${home})`,
    async () => {
      for (
        const target of [
          tasks.putThenExit,
          tasks.putThenClose,
          tasks.putThenReturn,
        ]
      ) {
        const queue = new Queue<number>(0, { home });
        const thread = new Thread({ target, args: [queue, 300] });
        thread.start();
        assertEquals(await thread.join(), true);
        assertEquals(queue.size, 300, target.name);
        for (let i = 0; i < 300; i++) assertEquals(await queue.get(), i);
      }
    },
  );

  threadTest(`locks of ended threads are free (${home})`, async () => {
    const expected = [
      [tasks.releaseThenExit, false],
      [tasks.holdThenExit, true],
      [tasks.holdThenReturn, true],
    ] as const;
    for (const [target, abandoned] of expected) {
      const lock = new Lock({ home });
      const thread = new Thread({ target, args: [lock] });
      thread.start();
      await thread.join();
      using guard = await bounded(lock.acquire());
      assertEquals(guard.abandoned, abandoned, target.name);
    }
    const rlock = new RLock({ home });
    const holder = new Thread({ target: ends.holdRLock, args: [rlock] });
    holder.start();
    await holder.join();
    using guard = await bounded(rlock.acquire());
    assertEquals(guard.abandoned, true);
  });

  threadTest(
    `locks of terminated threads go to who waits (${home})`,
    async () => {
      const lock = new Lock({ home });
      const ready = new Event({ home });
      const holder = new Thread({
        target: tasks.holdAndStay,
        args: [lock, ready],
      });
      holder.start();
      await ready.wait();
      const waiter = new Thread({ target: ends.nextHolder, args: [lock] });
      waiter.start();
      const acquired = lock.acquire();
      assertEquals(await holder.terminate(), true);
      const guard = await bounded(acquired);
      const first = guard.abandoned;
      guard.release();
      // Whoever is the first of the two is told.
      const second = await bounded(waiter.result);
      assertEquals([first, second].toSorted(), [false, true]);
      await waiter.join();
    },
  );

  threadTest(
    `who waits for an ended thread's object is told (${home})`,
    async () => {
      const out = new Queue<[Event, Queue<number>, Lock]>(0, { home });
      const go = new Event({ home });
      const owner = new Thread({
        target: ends.lend,
        args: [out, go, home],
        name: "lender",
      });
      owner.start();
      const [event, queue, lock] = await out.get();
      using _guard = await lock.acquire();
      const waits = [event.wait(), queue.get(), lock.acquire()];
      go.set();
      await owner.join();
      for (const wait of waits) {
        const reason = await reasonOf(wait);
        assertInstanceOf(reason, ProcessExitError);
        assertStringIncludes(reason.message, 'thread "lender"');
      }
      const after = await reasonOf(queue.put(1));
      assertInstanceOf(after, ProcessExitError);
    },
  );
}

// ---- terminate ----

/** Terminates a thread; everything about it has to say so. */
async function assertTerminates(thread: Thread<never, unknown>) {
  const ended = [thread.terminate(), thread.terminate(), thread.join()];
  assertEquals(await bounded(Promise.all(ended)), [true, true, true]);
  assertEquals(await thread.exited, TERMINATED);
  assertFalse(thread.isAlive());
  const reason = await reasonOf(thread.result);
  assertInstanceOf(reason, WorkerLostError);
  assertStringIncludes(reason.message, "was terminated before it gave");
  assertStrictEquals(reason.worker, thread.name);
  assertEquals(await thread.terminate(), true);
}

threadTest("Thread.terminate() ends an await, a timer, a fetch", async () => {
  for (const target of [tasks.announce, tasks.timerForever, ends.listen]) {
    const ready = new Event();
    const thread = new Thread({ target, args: [ready] });
    thread.start();
    await ready.wait();
    await assertTerminates(thread as never);
  }
});

threadTest("Thread.terminate() aborts the signal in the thread", async () => {
  const ready = new Event();
  const told = new Value("i32", 0);
  const thread = new Thread({ target: tasks.tellAbort, args: [ready, told] });
  thread.start();
  await ready.wait();
  await assertTerminates(thread as never);
  assertEquals(told.value, 1);
});

threadTest("Thread.terminate() works before the thread is up", async () => {
  const thread = new Thread({ target: tasks.forever });
  thread.start();
  await assertTerminates(thread as never);
  const later = new Thread({ target: tasks.forever });
  later.start();
  await Promise.resolve();
  await assertTerminates(later as never);
});

threadTest("Thread.terminate() ends the loading of a module", async () => {
  const thread = new Thread({
    target: taskRef(fixture("never_loads.ts"), "task"),
  });
  thread.start();
  assertEquals(await thread.join({ timeout: 200 }), false);
  await assertTerminates(thread as never);
});

threadTest("Thread.terminate() after the end changes nothing", async () => {
  const thread = new Thread({ target: tasks.add, args: [1, 2] });
  thread.start();
  await thread.join();
  assertEquals(await thread.terminate(), true);
  assertEquals(await thread.exited, { reason: "returned", exitCode: 0 });
  assertEquals(await thread.result, 3);
});

for (const home of HOMES) {
  threadTest(`Thread.terminate() wakes blocking waits (${home})`, async () => {
    const queue = new Queue<unknown>(0, { home });
    const full = new Queue<unknown>(1, { home });
    await full.put("in the way");
    const lock = new Lock({ home });
    using _guard = await lock.acquire();
    const waits: ((ready: Event) => Thread<never, unknown>)[] = [
      (ready) =>
        new Thread({ target: tasks.getSync, args: [queue, ready] }) as never,
      (ready) =>
        new Thread({ target: ends.putSync, args: [full, ready] }) as never,
      (ready) =>
        new Thread({ target: tasks.acquireSync, args: [lock, ready] }) as never,
      (ready) =>
        new Thread({ target: tasks.stubborn, args: [queue, ready] }) as never,
    ];
    for (const make of waits) {
      const ready = new Event({ home });
      const thread = make(ready);
      thread.start();
      await ready.wait();
      await assertTerminates(thread);
    }
    // Nobody of them took anything along.
    await queue.put("item");
    assertEquals(await queue.get({ timeout: 0 }), "item");
    assertEquals(full.size, 1);
  });

  threadTest(
    `Thread.terminate() ends threads in threads (${home})`,
    async () => {
      const queue = new Queue<unknown>(0, { home });
      const ready = new Event({ home });
      const thread = new Thread({
        target: tasks.nestedBlocked,
        args: [3, queue, ready],
        name: "depth 3",
      });
      thread.start();
      await ready.wait();
      assertEquals(names().slice(1), [
        "depth 3",
        "depth 2",
        "depth 1",
        "depth 0",
      ]);
      await assertTerminates(thread as never);
      assertEquals(names(), ["MainThread"]);
    },
  );
}

threadTest("Thread.terminate() wakes waits through the hub", async () => {
  const queue = new Queue<unknown>();
  const lock = new Lock();
  using _guard = await lock.acquire();
  const process = new Process({
    target: ends.terminateWaiting,
    args: [queue, lock],
    // What cannot map memory goes through the hub.
    permissions: { read: true },
  });
  process.start();
  assertEquals(await process.result, [
    [true, "terminated", "WorkerLostError"],
    [true, "terminated", "WorkerLostError"],
  ]);
  await process.join();
  await queue.put("item");
  assertEquals(await queue.get({ timeout: 0 }), "item");
});

threadTest("Thread is terminated by the end of its scope", async () => {
  const thread = new Thread({ target: tasks.forever });
  {
    await using scoped = thread;
    scoped.start();
  }
  assertFalse(thread.isAlive());
  assertEquals(await thread.exited, TERMINATED);
  await thread[Symbol.asyncDispose]();
});

// ---- Loops ----

threadTest(
  "Thread.terminate() says when a thread cannot be stopped",
  async () => {
    const word = new Value("i32", 0);
    const ready = new Event();
    const thread = new Thread({
      target: tasks.loopUntil,
      args: [ready, word],
      name: "looper",
    });
    const stderr = await capturingStderr(async () => {
      thread.start();
      await ready.wait();
      const before = reasonOf(thread.join());
      const stopped = [thread.terminate(), thread.terminate()];
      assertEquals(await bounded(Promise.all(stopped)), [false, false]);
      const reason = await reasonOf(thread.result);
      assertInstanceOf(reason, WorkerLostError);
      assertStringIncludes(reason.message, '"looper" was told to stop');
      assertStrictEquals(await before, reason);
      assertStrictEquals(await reasonOf(thread.join()), reason);
      assertStrictEquals(
        await reasonOf(thread.join({ timeout: 20_000 })),
        reason,
      );
      assertEquals(await thread.terminate(), false);
      await thread[Symbol.asyncDispose]();
      // It lives, and nobody says otherwise.
      assert(thread.isAlive());
      assertEquals(names(), ["MainThread", "looper"]);
      // If its loop has an end after all, that is seen.
      word.value = 1;
      assertEquals(await bounded(thread.exited), TERMINATED);
    });
    assertFalse(thread.isAlive());
    assertEquals(await thread.join(), true);
    assertEquals(await thread.terminate(), true);
    assertEquals(stderr.match(/looper/g)?.length, 1, stderr);
  },
);

threadTest("the event loop goes on while a thread is stopped", async () => {
  const word = new Value("i32", 0);
  const ready = new Event();
  const thread = new Thread({ target: tasks.loopUntil, args: [ready, word] });
  await capturingStderr(async () => {
    thread.start();
    await ready.wait();
    let turns = 0;
    let over = false;
    const waits = Promise.allSettled([
      thread.join(),
      thread.terminate(),
      thread.result,
    ]).then(() => over = true);
    while (!over) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      turns++;
    }
    await waits;
    // It took a second: one that blocks would have had one or two.
    assert(turns > 10, `${turns} turns`);
    word.value = 1;
    await bounded(thread.exited);
  });
});

// ---- Processes ----

threadTest("Thread may start processes and await them", async () => {
  const thread = new Thread({ target: ends.awaitProcess, args: [20] });
  thread.start();
  assertEquals(await thread.result, { result: 21, exitCode: 0 });
  await thread.join();
});

threadTest("Thread waits for the processes it has started", async () => {
  const out = new Queue<string>();
  const go = new Event();
  const thread = new Thread({ target: ends.leaveProcess, args: [go, out] });
  thread.start();
  assertEquals(await thread.result, "returned");
  assert(thread.isAlive());
  go.set();
  assertEquals(await thread.join(), true);
  assertEquals(await out.get({ timeout: 0 }), "of the process");
});

for (const how of ["terminate", "exit"] as const) {
  threadTest(`a thread's processes do not survive it (${how})`, async () => {
    const out = new Queue<number>();
    const go = new Event();
    const thread = new Thread({ target: ends.holdProcess, args: [out, go] });
    thread.start();
    const pid = await out.get();
    assert(isRunning(pid));
    if (how === "terminate") assertEquals(await thread.terminate(), true);
    else go.set();
    assertEquals(await thread.join(), true);
    await until(() => !isRunning(pid), `Process ${pid} is left`);
  });
}

threadTest("Thread runs in processes, and knows whose it is", async () => {
  const process = new Process({ target: ends.threadInside, name: "house" });
  process.start();
  assertEquals(await process.result, {
    process: "house",
    pid: process.pid!,
    main: false,
    parent: "MainProcess",
    thread: "Thread-1 (whoAmI)",
    threads: ["MainThread", "Thread-1 (whoAmI)"],
  });
  await process.join();
});

threadTest("fork() in a thread is an error", async () => {
  const thread = new Thread({ target: ends.forkInside });
  thread.start();
  assertStringIncludes(await thread.result, "InvalidStateError: Cannot fork");
  await thread.join();
});
