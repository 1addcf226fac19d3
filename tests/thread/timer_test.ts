// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { InvalidStateError, Queue, wait } from "../../ipc/mod.ts";
import { setExcepthook, Thread, Timer } from "../../thread/mod.ts";
import { assertPending, CountedAbort, reasonOf } from "../ipc/_waits.ts";
import { capturingStderr, threadTest } from "./_run.ts";
import { leaveTimer } from "./fixtures/timer_tasks.ts";

/** So long that it never comes to it. */
const NEVER = 1e15;

threadTest("Timer calls its function once, with its arguments", async () => {
  const calls: unknown[] = [];
  const timer = new Timer(
    1,
    (...args: [string, number]) => {
      calls.push(args);
      return "of no use";
    },
    ["a", 1],
  );
  assertFalse(timer.isAlive());
  timer.start();
  assert(timer.isAlive());
  assertEquals(calls, []);
  assertEquals(await timer.join(), true);
  assertFalse(timer.isAlive());
  assertEquals(calls, [["a", 1]]);
  assertEquals(await timer.join(), true);
  assertFalse(timer.cancel());
});

threadTest("Timer with no time at all runs in a later turn", async () => {
  let called = false;
  const timer = new Timer(0, () => called = true);
  timer.start();
  await Promise.resolve();
  assertFalse(called);
  await timer.join();
  assert(called);
});

threadTest("Timer.cancel() has the function not be called", async () => {
  let called = false;
  const timer = new Timer(1, () => called = true);
  timer.start();
  const joined = timer.join();
  assertEquals(timer.cancel(), true);
  assertFalse(timer.isAlive());
  assertEquals(timer.cancel(), false);
  assertEquals(await joined, true);
  const behind = new Timer(1, () => {});
  behind.start();
  await behind.join();
  assertFalse(called);
});

threadTest("Timer.cancel() before the start prevents that", async () => {
  const timer = new Timer(1, () => {});
  assertEquals(timer.cancel(), true);
  assertThrows(() => timer.start(), InvalidStateError, "cancelled");
  assertEquals(await timer.join(), true);
});

threadTest("Timer is alive until its function has settled", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const timer = new Timer(0, () => {
    begun.resolve();
    return promise;
  });
  timer.start();
  await begun.promise;
  assert(timer.isAlive());
  assertFalse(timer.cancel());
  const joined = timer.join();
  await assertPending(joined);
  assertEquals(await timer.join({ timeout: 0 }), false);
  resolve();
  assertEquals(await joined, true);
  assertFalse(timer.isAlive());
});

threadTest("Timer.start() throws the second time", async () => {
  const timer = new Timer(0, () => {});
  timer.start();
  assertThrows(() => timer.start(), InvalidStateError, "started");
  await timer.join();
  assertThrows(() => timer.start(), InvalidStateError, "started");
});

threadTest("Timer.join() is bounded, and leaves no listener", async () => {
  const timer = new Timer(NEVER, () => {});
  await assertRejects(() => timer.join(), InvalidStateError, "not started");
  timer.start();
  const abort = new CountedAbort();
  const { signal } = abort;
  assertEquals(await timer.join({ timeout: 1, signal }), false);
  assertEquals(abort.listeners, 0);
  const joined = reasonOf(timer.join({ signal }));
  await assertPending(joined);
  assertEquals(abort.listeners, 1);
  abort.abort();
  assertStrictEquals(await joined, abort.reason);
  assertEquals(abort.listeners, 0);
  await assertRejects(() => timer.join({ timeout: -1 }), RangeError);
  await assertRejects(() => timer.join({ timeout: "1" as never }), TypeError);
  assert(timer.isAlive());
  timer.cancel();
});

threadTest("Timer may take longer than the runtime's timers", async () => {
  // They would be over at once.
  for (const ms of [2 ** 31, 2 ** 32 + 1, NEVER]) {
    const timer = new Timer(ms, () => {});
    timer.start();
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert(timer.isAlive());
    assert(timer.cancel());
  }
});

threadTest("Timer is cancelled by the end of its scope", async () => {
  let called = false;
  const timer = new Timer(NEVER, () => called = true);
  {
    using scoped = timer;
    scoped.start();
  }
  assertFalse(timer.isAlive());
  timer[Symbol.dispose]();
  assertEquals(await timer.join(), true);
  assertFalse(called);
});

threadTest("wait() includes timers that are done", async () => {
  const late = new Timer(NEVER, () => {});
  const soon = new Timer(1, () => {});
  late.start();
  soon.start();
  assertEquals(await wait<Timer>([late, soon]), [soon]);
  late.cancel();
  assertEquals((await wait<Timer>([late, soon])).length, 2);
});

threadTest("Timer tells of errors as a thread does", async () => {
  const fail = () => {
    throw new RangeError("too late");
  };
  const reject = () => Promise.reject(new TypeError("rejected"));
  const stderr = await capturingStderr(async () => {
    for (const fn of [fail, reject]) {
      const timer = new Timer(0, fn);
      timer.start();
      assertEquals(await timer.join(), true);
      assertFalse(timer.isAlive());
    }
  });
  assertStringIncludes(
    stderr,
    "Exception in thread Timer (fail):\nRangeError: too late\n",
  );
  assertStringIncludes(
    stderr,
    "Exception in thread Timer (reject):\nTypeError: rejected\n",
  );
  const seen: unknown[] = [];
  const before = setExcepthook(({ name, ident, error }) =>
    seen.push(name, ident, (error as Error).message)
  );
  const timer = new Timer(0, fail, [], { name: "mine" });
  timer.start();
  await timer.join();
  setExcepthook(before);
  assertEquals(seen, ["mine", 1, "too late"]);
});

Deno.test("Timer checks its arguments", () => {
  const fn = () => {};
  for (const ms of [-1, NaN, Infinity]) {
    assertThrows(() => new Timer(ms, fn), RangeError, '"ms"');
  }
  for (const ms of ["1", null, undefined, 1n]) {
    assertThrows(() => new Timer(ms as never, fn), TypeError, '"ms"');
  }
  for (const bad of ["fn", null, undefined, {}]) {
    assertThrows(() => new Timer(1, bad as never), TypeError, '"fn"');
  }
  for (const bad of ["args", null, {}]) {
    assertThrows(() => new Timer(1, fn, bad as never), TypeError, '"args"');
  }
  for (const bad of [null, "name", 5]) {
    assertThrows(() => new Timer(1, fn, [], bad as never), TypeError);
  }
  for (const [option, value] of [["name", 5], ["daemon", "yes"]] as const) {
    assertThrows(
      () => new Timer(1, fn, [], { [option]: value }),
      TypeError,
      `"${option}"`,
    );
  }
  assertEquals(new Timer(1, fn).name, "Timer (fn)");
  assertEquals(new Timer(1, fn, [], { name: "mine" }).name, "mine");
});

Deno.test("Timer takes only arguments that fit its function", () => {
  const add = (a: number, b: string) => a + b;
  new Timer(1, add, [1, "2"]);
  new Timer(1, () => {});
  new Timer(1, () => {}, [], { daemon: true });
  // @ts-expect-error the second argument is a text
  new Timer(1, add, [1, 2]);
  // @ts-expect-error there are two arguments
  new Timer(1, add, [1]);
  // @ts-expect-error there are two arguments
  new Timer(1, add);
  new Timer(1, (optional?: number) => optional);
});

threadTest("Timer holds its thread, unless it is a daemon", async () => {
  const out = new Queue<string>();
  for (const daemon of [false, true]) {
    const thread = new Thread({ target: leaveTimer, args: [out, daemon] });
    thread.start();
    assertEquals(await thread.result, "returned");
    assertEquals(await thread.join(), true);
    assertEquals(out.size, daemon ? 0 : 1);
    if (!daemon) assertEquals(await out.get(), "of the timer");
  }
});
