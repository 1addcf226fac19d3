// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertGreater,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  Barrier,
  ClosedError,
  Condition,
  Event,
  InvalidStateError,
  Lock,
  Pipe,
  Queue,
  Semaphore,
  SerializationError,
  SharedArray,
  taskRef,
  TaskReferenceError,
  TimeoutError,
  Value,
  wait,
  type Waitable,
} from "../../ipc/mod.ts";
import { liveResources } from "../../ipc/_live.ts";
import { currentThread, enumerate, Thread } from "../../thread/mod.ts";
import type { Target, ThreadOptions } from "../../thread/mod.ts";
import {
  assertPending,
  bounded,
  CountedAbort,
  reasonOf,
} from "../ipc/_waits.ts";
import { capturingStderr, fixture, names, threadTest } from "./_run.ts";
import * as tasks from "./fixtures/tasks.ts";
import byDefault, { arrow as bow } from "./fixtures/tasks.ts";

const HOMES = ["shared", "mapped"] as const;

export function here(x: number): number {
  return x + base;
}
const base = 1000;

/** Runs a task to its end and gives the result. */
async function run<A extends unknown[], R>(
  target: Target<A, R>,
  ...args: NoInfer<A>
): Promise<R> {
  const thread = new Thread<A, R>({ target, args });
  thread.start();
  const result = await bounded(thread.result);
  assertEquals(await thread.join(), true);
  return result;
}

/** A thread that stays until it is told to go. */
function waiting(options: Omit<ThreadOptions, "target" | "args"> = {}) {
  const go = new Event();
  const thread = new Thread({ ...options, target: tasks.waitFor, args: [go] });
  thread.start();
  return { go, thread };
}

// ---- Start and result ----

threadTest("Thread runs its target and gives the result", async () => {
  const thread = new Thread({ target: tasks.add, args: [1, 2] });
  assertEquals(thread.ident, null);
  assertFalse(thread.isAlive());
  assertEquals(thread.start(), undefined);
  const { ident } = thread;
  assertGreater(ident!, 1);
  assert(thread.isAlive());
  assertEquals(await thread.result, 3);
  assertEquals(await thread.join(), true);
  assertFalse(thread.isAlive());
  assertEquals(thread.ident, ident);
  assertEquals(await thread.exited, { reason: "returned", exitCode: 0 });
  assertEquals(await thread.join(), true);
  assertEquals(await thread.join({ timeout: 0 }), true);
});

threadTest("Thread without a target ends at once", async () => {
  const thread = new Thread();
  thread.start();
  assertEquals(await thread.result, undefined);
  assertEquals(await thread.exited, { reason: "returned", exitCode: 0 });
});

threadTest("Thread gets functions however they are named", async () => {
  const url = fixture("tasks.ts").href;
  assertEquals(await run(tasks.arrow, 1), 101);
  assertEquals(await run(bow, 1), 101);
  assertEquals(await run(tasks.later, 1), 102);
  assertEquals(await run(tasks.renamed, 1), 103);
  assertEquals(await run(byDefault, 1), 104);
  assertEquals(await run(here, 1), 1001);
  assertEquals(await run((x: number) => x * 2, 4), 8);
  assertEquals(await run(async (x: number) => await x * 2, 4), 8);
  assertEquals(await run(taskRef<[number], number>(url, "arrow"), 1), 101);
  assertEquals(await run(taskRef<[number], number>(url), 1), 104);
  assertEquals(await run(taskRef<[number], number>(url, "renamed"), 1), 103);
  assertEquals(
    await run(taskRef<[number], number>(import.meta.url, "here"), 1),
    1001,
  );
});

threadTest("Thread refuses functions that cannot be named", async () => {
  for (const target of [Math.max, tasks.add.bind(null), tasks.NotAFunction]) {
    assertThrows(
      () => new Thread({ target: target as () => void }),
      TaskReferenceError,
    );
  }
  const stderr = await capturingStderr(async () => {
    const factor = Math.random();
    const captures = new Thread({ target: () => factor });
    captures.start();
    const reason = await reasonOf(captures.result);
    assertInstanceOf(reason, TaskReferenceError);
    assertStringIncludes(reason.message, '"factor"');
    const alone = new Thread({ target: tasks.box.secret, args: [1] });
    alone.start();
    const missing = await reasonOf(alone.result);
    assertInstanceOf(missing, TaskReferenceError);
    assertStringIncludes(missing.message, '"offset"');
    const unknown = new Thread({
      target: taskRef(fixture("tasks.ts"), "absent"),
    });
    unknown.start();
    assertInstanceOf(await reasonOf(unknown.result), TaskReferenceError);
    for (const thread of [captures, alone, unknown]) {
      assertEquals(await thread.exited, { reason: "threw", exitCode: 1 });
    }
  });
  assertEquals(stderr.match(/^Exception in thread /gm)?.length, 3, stderr);
});

threadTest("Thread carries what structured clone carries", async () => {
  const cycle: Record<string, unknown> = { list: [1n, , "😀"] };
  cycle.self = cycle;
  const value = {
    map: new Map<unknown, unknown>([[new Date(5), new Set([NaN, -0])]]),
    bytes: new Uint8Array([1, 2, 3]),
    pattern: /a+/gi,
    error: new RangeError("carried", { cause: "why" }),
    nothing: undefined,
    cycle,
  };
  assertEquals(await run(tasks.echo, value), value);
});

threadTest("Thread copies its arguments at the start", async () => {
  const list = [1];
  const thread = new Thread({ target: tasks.echo<number[]>, args: [list] });
  list.push(2);
  thread.start();
  list.push(3);
  assertEquals(await thread.result, [1, 2]);
  assertEquals(list, [1, 2, 3]);
  await thread.join();
});

for (const home of HOMES) {
  threadTest(`Thread carries handles both ways (${home})`, async () => {
    const queue = new Queue<unknown>(0, { home });
    const lock = new Lock({ home });
    const value = new Value("i32", 5, { home });
    const array = new SharedArray("f64", [1, 2], { home });
    const event = new Event({ home });
    const semaphore = new Semaphore(2, { home });
    const barrier = new Barrier(2, { home });
    const condition = new Condition(undefined, { home });
    const [left, right] = Pipe<string>({ home });
    const given = { list: [queue, { lock }], value, array, event, semaphore };
    const back = await run(tasks.echo<typeof given & { rest: unknown }>, {
      ...given,
      rest: [barrier, condition],
    });
    await back.value.add(1);
    await (back.list[0] as typeof queue).put("item");
    back.event.set();
    assertEquals(value.value, 6);
    assertEquals(await queue.get(), "item");
    assert(event.isSet);
    assertEquals(await run(tasks.useAll, queue, lock, value, array, left), 7);
    assertEquals(value.value, 7);
    assertEquals(await array.get(0), 8);
    assertEquals(await right.recv(), "from the thread");
    using guard = await lock.acquire();
    assertFalse(guard.abandoned);
    right.close();
  });
}

threadTest(
  "Thread.start() throws for what cannot be sent, and starts nothing",
  async () => {
    const live = liveResources();
    const thread = new Thread({
      target: tasks.echo<unknown>,
      args: [{ list: [1, { cb: () => {} }] }],
    });
    const error = assertThrows(() => thread.start(), SerializationError);
    assertEquals(error.path, "args[0].list[1].cb");
    assertStringIncludes(error.message, "args[0].list[1].cb is a function");
    assertEquals(thread.ident, null);
    assertFalse(thread.isAlive());
    const field = assertThrows(
      () => new tasks.WithFunction().start(),
      SerializationError,
    );
    assertEquals(field.path, "this.inner.call");
    assertEquals(liveResources(), live);
    assertEquals(names(), ["MainThread"]);
    // An object that was sent along is still here.
    const queue = new Queue<number>();
    const bad = new Thread({
      target: tasks.echo<unknown>,
      args: [[queue, Symbol("no")]],
    });
    assertThrows(() => bad.start(), SerializationError);
    await queue.put(1);
    assertEquals(await queue.get(), 1);
  },
);

threadTest("Thread.start() throws the second time", async () => {
  const thread = new Thread({ target: tasks.nothing });
  thread.start();
  const { ident } = thread;
  assertThrows(() => thread.start(), InvalidStateError, "started before");
  await thread.join();
  assertThrows(() => thread.start(), InvalidStateError, "started before");
  assertEquals(thread.ident, ident);
});

Deno.test("Thread checks its options", () => {
  for (const options of [null, 5, "add", true]) {
    assertThrows(() => new Thread(options as never), TypeError);
  }
  const bad: Record<string, unknown[]> = {
    target: [5, "add", {}, null],
    args: ["ab", {}, 5, null],
    name: [5, null, {}],
    daemon: [0, "yes", null],
  };
  for (const [option, values] of Object.entries(bad)) {
    for (const value of values) {
      const options = { target: tasks.nothing, [option]: value };
      const error = assertThrows(
        () => new Thread(options as never),
        TypeError,
      );
      assertStringIncludes(error.message, option);
    }
  }
});

Deno.test("Thread takes only arguments that fit its target", () => {
  // @ts-expect-error the second argument is a number
  new Thread({ target: tasks.add, args: [1, "2"] });
  // @ts-expect-error there are two arguments
  new Thread({ target: tasks.add, args: [1] });
  // @ts-expect-error there are only two arguments
  new Thread({ target: tasks.add, args: [1, 2, 3] });
  const thread = new Thread({ target: tasks.add, args: [1, 2] });
  const typed: Promise<number> = thread.result;
  // @ts-expect-error it is a number
  const wrong: Promise<string> = thread.result;
  // What is awaited is what comes back.
  const later: Promise<number> =
    new Thread({ target: tasks.later, args: [1] }).result;
  const referred: Promise<string> = new Thread({
    target: taskRef<[number], string>(import.meta.url, "here"),
    args: [1],
  }).result;
  // @ts-expect-error the reference takes a number
  new Thread({ target: taskRef<[number], string>("a:b"), args: ["1"] });
  const inline = new Thread({
    target: (a: string, b: boolean) => [a, b] as const,
    args: ["a", true],
  });
  const pair: Promise<readonly [string, boolean]> = inline.result;
  const handle: Thread<[number, number], number> = thread;
  for (const promise of [typed, wrong, later, referred, pair]) {
    assertInstanceOf(promise, Promise);
  }
  assertStrictEquals(handle, thread);
});

// ---- Subclasses ----

threadTest("Thread runs the run() of a subclass with its fields", async () => {
  for (
    const [thread, sum] of [
      [new tasks.Adder(1), 107],
      [new tasks.DeepAdder(1), 152],
    ] as const
  ) {
    thread.start();
    assertEquals(await thread.result, {
      sum,
      base: [true, true, false],
      name: "adder",
      current: "adder",
      // The constructor does not run again.
      constructed: 0,
    });
    await thread.join();
  }
});

threadTest("Thread names the cure for a subclass's #fields", async () => {
  const stderr = await capturingStderr(async () => {
    const thread = new tasks.Private();
    thread.start();
    const reason = await reasonOf(thread.result);
    assertInstanceOf(reason, TaskReferenceError);
    assertStringIncludes(reason.message, '"Private" uses private #fields');
    assertStringIncludes(reason.message, "use ordinary fields");
    assertEquals(await thread.exited, { reason: "threw", exitCode: 1 });
  });
  assertStringIncludes(stderr, "Exception in thread Thread-");
});

class Unexported extends Thread<[], number> {
  override run(): number {
    return 1;
  }
}

threadTest("Thread names the cure for a class not exported", async () => {
  await capturingStderr(async () => {
    const thread = new Unexported();
    thread.start();
    const reason = await reasonOf(thread.result);
    assertInstanceOf(reason, TaskReferenceError);
    assertMatch(reason.message, /class "Unexported".*export it/i);
    await thread.join();
  });
});

Deno.test("Thread takes a target or run(), not both", () => {
  class Both extends Thread {
    override run(): void {}
  }
  assertThrows(
    () => new Both({ target: tasks.nothing as never }),
    TypeError,
    "leave one out",
  );
});

// ---- Names and idents ----

Deno.test("Thread is named by number and target", () => {
  const made = [
    new Thread({ target: tasks.nothing }),
    new Thread(),
    new Thread({ target: () => {} }),
    new Thread({ target: tasks.renamed, args: [1] }),
    new Thread({ target: tasks.nothing, name: "chosen" }),
    new Thread({ target: tasks.nothing, name: "" }),
    new Thread({ target: taskRef(fixture("tasks.ts"), "echo") }),
  ];
  const [first] = made;
  const number = Number(/^Thread-(\d+) \(nothing\)$/.exec(first!.name)![1]);
  assertEquals(made.map(({ name }) => name), [
    `Thread-${number} (nothing)`,
    `Thread-${number + 1}`,
    // That is what the language calls it.
    `Thread-${number + 2} (target)`,
    `Thread-${number + 3} (hidden)`,
    "chosen",
    "",
    `Thread-${number + 4} (echo)`,
  ]);
});

threadTest("Thread has an ident that no other one ever has", async () => {
  const seen = new Set([1]);
  for (let i = 0; i < 5; i++) {
    const thread = new Thread({ target: tasks.portrait });
    thread.start();
    const { ident } = await thread.result;
    assertEquals(thread.ident, ident);
    assertFalse(seen.has(ident));
    seen.add(ident);
    await thread.join();
  }
});

threadTest("Thread.name can change, and is seen by all", async () => {
  const asked = new Queue<string>();
  const told = new Queue<[string, string[]]>();
  const thread = new Thread({ target: tasks.tellNames, args: [asked, told] });
  thread.name = "before";
  thread.start();
  const ask = async () => {
    await asked.put("?");
    return await told.get();
  };
  assertEquals(await ask(), ["before", ["MainThread", "before"]]);
  for (const name of ["after", "befor", "", "ä😀".repeat(10)]) {
    thread.name = name;
    assertEquals(thread.name, name);
    assertEquals(names(), ["MainThread", name]);
    assertEquals(await ask(), [name, ["MainThread", name]]);
  }
  assertThrows(() => thread.name = 5 as never, TypeError);
  await asked.put("");
  await thread.join();
  thread.name = "at last";
  assertEquals(thread.name, "at last");
});

threadTest("Thread may have a very long name", async () => {
  const name = "a😀".repeat(100);
  const thread = new Thread({ target: tasks.portrait, name });
  thread.start();
  const { name: own, names: all } = await thread.result;
  assertEquals(own, name);
  // Others see as much of it as there is room for, and no broken character.
  assertStringIncludes(name, all[1]!);
  assertGreater(all[1]!.length, 50);
  await thread.join();
});

// ---- Who is who ----

threadTest("currentThread(), mainThread() and enumerate() agree", async () => {
  const thread = new Thread({ target: tasks.portrait, name: "sitter" });
  thread.start();
  assertStrictEquals(enumerate()[1], thread as Thread<never, unknown>);
  assertEquals(await thread.result, {
    name: "sitter",
    ident: thread.ident!,
    daemon: false,
    alive: true,
    aborted: false,
    main: ["MainThread", 1, true],
    names: ["MainThread", "sitter"],
    count: 2,
    isMain: false,
  });
  await thread.join();
  assertEquals(names(), ["MainThread"]);
  const current = currentThread();
  assertEquals(
    [current.name, current.ident, current.daemon, current.isAlive()],
    ["MainThread", 1, false, true],
  );
  assertFalse(current.signal.aborted);
});

threadTest("Thread in a thread sees the same threads", async () => {
  const thread = new Thread({
    target: tasks.portraitWithInner,
    name: "outer",
  });
  thread.start();
  const { own, inner, before, after } = await thread.result;
  assertEquals(before, ["MainThread", "outer", "inner"]);
  assertEquals(inner.names, before);
  assertEquals(inner.count, 3);
  assertEquals(inner.main, ["MainThread", 1, true]);
  assertEquals(after, ["MainThread", "outer"]);
  assertEquals(own.names, after);
  assertGreater(inner.ident, own.ident);
  await thread.join();
});

// ---- daemon ----

threadTest("Thread.daemon is that of the thread that makes it", async () => {
  const inherits = async (daemon: boolean) => {
    const thread = new Thread({ target: tasks.daemonsInside, daemon });
    thread.start();
    const [result] = await Promise.all([thread.result, thread.join()]);
    return result;
  };
  assertEquals(new Thread().daemon, false);
  assertEquals(await inherits(false), [false, false, false, true]);
  assertEquals(await inherits(true), [true, true, false, true]);
});

threadTest("Thread.daemon can only change before the start", async () => {
  const thread = new Thread({ target: tasks.portrait });
  assertThrows(() => thread.daemon = "yes" as never, TypeError);
  thread.daemon = true;
  thread.start();
  assertThrows(() => thread.daemon = false, InvalidStateError, "started");
  assertEquals(thread.daemon, true);
  assertEquals((await thread.result).daemon, true);
  await thread.join();
  assertThrows(() => thread.daemon = false, InvalidStateError);
});

// ---- join ----

threadTest("Thread cannot be joined or ended before its start", async () => {
  const thread = new Thread({ target: tasks.nothing });
  await assertRejects(() => thread.join(), InvalidStateError, "not started");
  await assertRejects(() => thread.join({ timeout: 0 }), InvalidStateError);
  await assertRejects(() => wait([thread]), InvalidStateError);
  assertThrows(() => thread.terminate(), InvalidStateError, "not started");
  await thread[Symbol.asyncDispose]();
  assertFalse(thread.isAlive());
  await assertRejects(
    () => thread.result,
    ClosedError,
    "before it was started",
  );
  await assertRejects(() => thread.exited, ClosedError);
});

threadTest(
  "Thread.result and exited reject when the start throws",
  async () => {
    const thread = new Thread({
      target: (value: unknown) => value,
      args: [() => {}],
    });
    const { result, exited } = thread;
    assertThrows(() => thread.start(), SerializationError, "args[0]");
    await assertRejects(() => result, SerializationError);
    await assertRejects(() => exited, SerializationError);
    await assertPending(thread.result);
  },
);

threadTest("Thread.result can be read before the start", async () => {
  const thread = new Thread({ target: tasks.add, args: [1, 2], daemon: true });
  const { result, exited } = thread;
  thread.start();
  assertEquals(await result, 3);
  assertEquals(await exited, { reason: "returned", exitCode: 0 });
});

threadTest("Thread.join() checks its options", async () => {
  await using thread = new Thread({ target: tasks.nothing });
  thread.start();
  for (const timeout of [-1, NaN, Infinity]) {
    await assertRejects(() => thread.join({ timeout }), RangeError);
  }
  for (const timeout of ["1", null]) {
    await assertRejects(
      () => thread.join({ timeout: timeout as unknown as number }),
      TypeError,
    );
  }
  await assertRejects(
    () => thread.join({ signal: {} as AbortSignal }),
    TypeError,
  );
  await assertRejects(() => thread.join(5 as never), TypeError);
});

threadTest("Thread.join() resolves to false when time is over", async () => {
  const { go, thread } = waiting();
  const abort = new CountedAbort();
  assertEquals(await thread.join({ timeout: 0 }), false);
  assertEquals(await thread.join({ timeout: 1, signal: abort.signal }), false);
  assertEquals(abort.listeners, 0);
  assert(thread.isAlive());
  go.set();
  assertEquals(
    await thread.join({ timeout: 20_000, signal: abort.signal }),
    true,
  );
  assertEquals(abort.listeners, 0);
  assertEquals(await thread.result, "went");
});

threadTest("Thread.join() ends with the signal, and only that", async () => {
  const { go, thread } = waiting();
  const before = new CountedAbort();
  before.abort();
  assertStrictEquals(
    await reasonOf(thread.join({ signal: before.signal })),
    before.reason,
  );
  const during = new CountedAbort();
  const joined = reasonOf(thread.join({ signal: during.signal }));
  await assertPending(joined);
  assertEquals(during.listeners, 1);
  during.abort();
  assertStrictEquals(await joined, during.reason);
  assertEquals(during.listeners, 0);
  assert(thread.isAlive());
  const after = new CountedAbort();
  const ended = thread.join({ signal: after.signal });
  go.set();
  assertEquals(await ended, true);
  assertEquals(after.listeners, 0);
  // The end was first.
  after.abort();
  assertStrictEquals(
    await reasonOf(thread.join({ signal: after.signal })),
    after.reason,
  );
});

threadTest("Thread.join() works from several places at once", async () => {
  const { go, thread } = waiting({ name: "joined" });
  const here = [thread.join(), thread.join(), wait([thread])];
  const readies = [new Event(), new Event()];
  const there = readies.map((ready) => {
    const joiner = new Thread({
      target: tasks.joinByName,
      args: ["joined", undefined, ready],
    });
    joiner.start();
    return joiner;
  });
  const gaveUp = new Thread({ target: tasks.joinByName, args: ["joined", 1] });
  gaveUp.start();
  assertEquals(await gaveUp.result, false);
  for (const ready of readies) await ready.wait();
  for (const joiner of there) await assertPending(joiner.result);
  go.set();
  assertEquals(await Promise.all(here), [true, true, [thread]]);
  assertEquals(
    await Promise.all(there.map(({ result }) => result)),
    [true, true],
  );
  await Promise.all([gaveUp, ...there].map((thread) => thread.join()));
});

threadTest("Thread cannot join itself or the main thread", async () => {
  await assertRejects(
    () => currentThread().join(),
    InvalidStateError,
    "current thread",
  );
  const itself = new Thread({
    target: tasks.joinByName,
    args: ["narcissus"],
    name: "narcissus",
  });
  itself.start();
  assertMatch(
    String(await itself.result),
    /^InvalidStateError: .*"narcissus".*current thread/,
  );
  await itself.join();
  assertMatch(
    String(await run(tasks.joinByName, "MainThread")),
    /^InvalidStateError: .*main thread/,
  );
  const joiner = new tasks.Joiner();
  joiner.start();
  const [join, result, exited, start, terminate, name] = await joiner.result;
  for (const told of [join, result, exited, terminate]) {
    assertMatch(told!, /^InvalidStateError: .*the current thread/);
  }
  assertMatch(start!, /^InvalidStateError: .*was started before/);
  assertEquals(name, "joiner");
  await joiner.join();
});

threadTest("wait() includes threads that have ended", async () => {
  const { go, thread } = waiting();
  const set = new Event();
  const quick = new Thread({ target: tasks.nothing });
  quick.start();
  assertEquals(await wait<Waitable>([thread, quick, set]), [quick]);
  set.set();
  assertEquals(await wait<Waitable>([thread, set]), [set]);
  await assertRejects(() => wait([thread], { timeout: 1 }), TimeoutError);
  go.set();
  assertEquals(await wait([thread]), [thread]);
});

threadTest("Thread waits for its own threads, not for timers", async () => {
  assertEquals(await run(tasks.leaveTimers), "done");
  assertEquals(await run(tasks.leaveDaemon), "returned");
  const go = new Event();
  const thread = new Thread({ target: tasks.leaveThread, args: [go] });
  thread.start();
  assertEquals(await thread.result, "returned");
  assert(thread.isAlive());
  assertEquals(names().slice(2), ["left"]);
  go.set();
  assertEquals(await thread.join(), true);
});
