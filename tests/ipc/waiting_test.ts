// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { Line, type Waiter, waitFor } from "../../ipc/_waiting.ts";
import { assertPending, bounded, CountedAbort, reasonOf } from "./_waits.ts";

/** A wait that the test ends; counts how often it is given up. */
class Manual {
  waiter: Waiter<string> | undefined;
  entered = 0;
  left = 0;

  readonly enter = (waiter: Waiter<string>) => {
    this.waiter = waiter;
    this.entered++;
    return () => this.left++;
  };
}

Deno.test("waitFor() ends as the waiter is told, and only once", async () => {
  const abort = new CountedAbort();
  const { signal } = abort;
  const manual = new Manual();
  const told = waitFor({ signal, timeout: 1e8 }, manual.enter);
  await assertPending(told);
  manual.waiter!.resolve("first");
  manual.waiter!.resolve("second");
  manual.waiter!.reject(new Error("late"));
  abort.abort();
  assertEquals(await bounded(told), "first");
  assertEquals(abort.listeners, 0);

  const failed = waitFor({ timeout: 1e8 }, manual.enter);
  const error = new Error("failed");
  manual.waiter!.reject(error);
  assertStrictEquals(await reasonOf(failed), error);
  assertEquals([manual.entered, manual.left], [2, 0]);
});

Deno.test("waitFor() can be told before it waits", async () => {
  const told = await bounded(waitFor<number>({ timeout: 0 }, (waiter) => {
    waiter.resolve(1);
    return () => {};
  }));
  assertEquals(told, 1);
});

Deno.test("waitFor() can be aborted by what it begins", async () => {
  const abort = new CountedAbort();
  const manual = new Manual();
  const reason = await reasonOf(
    waitFor({ signal: abort.signal, timeout: 0 }, (waiter) => {
      abort.abort();
      return manual.enter(waiter);
    }),
  );
  assertStrictEquals(reason, abort.signal.reason);
  assertEquals([manual.left, abort.listeners], [1, 0]);
});

Deno.test("waitFor() gives up when its time is over or it is aborted", async () => {
  const manual = new Manual();
  for (const timeout of [0, 1]) {
    assertEquals(await bounded(waitFor({ timeout }, manual.enter)), undefined);
  }
  assertEquals([manual.entered, manual.left], [2, 2]);
  const abort = new CountedAbort();
  const aborted = waitFor({ signal: abort.signal }, manual.enter);
  assertEquals(abort.listeners, 1);
  abort.abort();
  assertStrictEquals(await reasonOf(aborted), abort.reason);
  assertEquals(abort.listeners, 0);
  assertEquals([manual.entered, manual.left], [3, 3]);
  // Aborted before: it does not begin to wait.
  assertStrictEquals(
    await reasonOf(waitFor({ signal: abort.signal }, manual.enter)),
    abort.reason,
  );
  assertEquals(manual.entered, 3);
});

Deno.test("Line serves who waits in order, without those who have left", async () => {
  const line = new Line<string>();
  assertFalse(line.serve("nobody"));
  const abort = new CountedAbort();
  const first = line.wait({});
  const left = line.wait({ signal: abort.signal });
  const late = line.wait({ timeout: 1 });
  const second = line.wait({ timeout: 1e8 });
  abort.abort();
  assertStrictEquals(await reasonOf(left), abort.reason);
  assertEquals(await bounded(late), undefined);
  assert(line.serve("a"));
  assert(line.serve("b"));
  assertFalse(line.serve("c"));
  assertEquals(await bounded(Promise.all([first, second])), ["a", "b"]);
});

Deno.test("Line ends all waits at once", async () => {
  const line = new Line<string>();
  const served = [line.wait({}), line.wait({})];
  line.serveAll("all");
  assertEquals(await bounded(Promise.all(served)), ["all", "all"]);
  const failed = [line.wait({}), line.wait({ timeout: 1e8 })];
  const waits = failed.map((wait) => assertRejects(() => wait, Error, "over"));
  line.failAll(() => new Error("over"));
  await bounded(Promise.all(waits));
  assertFalse(line.serve("nobody"));
});
