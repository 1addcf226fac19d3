// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import type { WaitOptions } from "../../ipc/_options.ts";
import { type Waitable, waitable } from "../../ipc/_waitable.ts";
import {
  ClosedError,
  ConnectionClosedError,
  TimeoutError,
} from "../../ipc/errors.ts";
import { Event } from "../../ipc/event.ts";
import { Pipe } from "../../ipc/pipe.ts";
import { wait } from "../../ipc/wait.ts";
import { seeded } from "./_random.ts";
import {
  assertPending,
  bounded,
  CountedAbort,
  reasonOf,
  turn,
} from "./_waits.ts";

/** A waitable that is ready when the test says so. */
class Manual implements Waitable {
  readonly #ready = Promise.withResolvers<void>();
  /** Watches that were not told to stop. */
  watching = 0;

  become(): void {
    this.#ready.resolve();
  }

  fail(error: Error): void {
    this.#ready.reject(error);
  }

  [waitable](signal: AbortSignal): Promise<void> {
    this.watching++;
    signal.addEventListener("abort", () => this.watching--);
    return this.#ready.promise;
  }
}

Deno.test("wait() gives all that are ready, in the order given", async () => {
  using first = new Event();
  using second = new Event();
  using third = new Event();
  third.set();
  first.set();
  assertEquals(await bounded(wait([first, second, third])), [first, third]);
  assertEquals(await bounded(wait([third, second, first])), [third, first]);
  assertEquals(await bounded(wait(new Set([third]))), [third]);
});

Deno.test("wait() waits until one is ready", async () => {
  using first = new Event();
  using second = new Event();
  const waiting = wait([first, second]);
  await assertPending(waiting);
  second.set();
  assertEquals(await bounded(waiting), [second]);
});

Deno.test("wait() gives those that become ready at the same moment", async () => {
  const [a, b, c] = [new Manual(), new Manual(), new Manual()];
  const waiting = wait([a, b, c]);
  c.become();
  a.become();
  assertEquals(await bounded(waiting), [a, c]);
});

Deno.test("wait() takes nothing from a connection", async () => {
  const [left, right] = Pipe<string>();
  using event = new Event();
  const waiting = wait([right, event]);
  await assertPending(waiting);
  await left.send("hello");
  assertEquals(await bounded(waiting), [right]);
  assertEquals(await bounded(wait([right, event])), [right]);
  assertEquals(await right.recv(), "hello");
  const last = wait([right]);
  await assertPending(last);
  left.close();
  assertEquals(await bounded(last), [right]);
  right.close();
});

Deno.test("wait() gives a connection whose other end is closed", async () => {
  const [left, right] = Pipe();
  const waiting = wait([right]);
  left.close();
  assertEquals(await bounded(waiting), [right]);
  assertEquals(await bounded(wait([right])), [right]);
  right.close();
  await assertRejects(() => bounded(wait([right])), ConnectionClosedError);
});

Deno.test("wait() rejects when none is ready in time", async () => {
  using event = new Event();
  for (const timeout of [0, 1]) {
    const error = await assertRejects(
      () => bounded(wait([event], { timeout })),
      TimeoutError,
    );
    assert(error.message.includes(`${timeout} ms`));
  }
  await assertRejects(() => bounded(wait([], { timeout: 1 })), TimeoutError);
});

Deno.test("wait() finds what is ready, also without any time", async () => {
  using event = new Event();
  using other = new Event();
  event.set();
  for (let i = 0; i < 10; i++) {
    assertEquals(
      await bounded(wait([other, event], { timeout: 0 })),
      [event],
    );
  }
});

Deno.test("wait() in time leaves no timer behind", async () => {
  using event = new Event();
  const waiting = wait([event], { timeout: 1e8 });
  event.set();
  assertEquals(await bounded(waiting), [event]);
});

Deno.test("wait() leaves no timer behind when aborted as one gets ready", async () => {
  const ready = new Manual();
  const abort = new CountedAbort();
  const waiting = wait([ready], { signal: abort.signal });
  ready.become();
  await Promise.resolve();
  await Promise.resolve();
  abort.abort();
  assertStrictEquals(await reasonOf(waiting), abort.reason);
});

Deno.test("wait() waits longer than a timer can", async () => {
  using event = new Event();
  const waiting = wait([event], { timeout: 2 ** 31 });
  await assertPending(waiting);
  await turn();
  event.set();
  assertEquals(await bounded(waiting), [event]);
});

Deno.test("wait() stops watching, however it ends", async () => {
  const [ready, idle] = [new Manual(), new Manual()];
  const watching = () => ready.watching + idle.watching;
  await assertRejects(
    () => bounded(wait([ready, idle], { timeout: 1 })),
    TimeoutError,
  );
  assertEquals(watching(), 0);
  const abort = new CountedAbort();
  const aborted = wait([ready, idle], { signal: abort.signal });
  assertEquals(watching(), 2);
  abort.abort();
  await reasonOf(aborted);
  assertEquals(watching(), 0);
  ready.become();
  await bounded(wait([ready, idle]));
  assertEquals(watching(), 0);
  idle.fail(new Error("broken"));
  await assertRejects(() => bounded(wait([idle])), Error, "broken");
  assertEquals(watching(), 0);
});

Deno.test("wait() rejects with the signal's reason, before and while it waits", async () => {
  using event = new Event();
  event.set();
  for (const reason of [new Error("no"), "text", undefined]) {
    const signal = AbortSignal.abort(reason);
    assertStrictEquals(
      await reasonOf(wait([event], { signal })),
      signal.reason,
    );
  }
  event.clear();
  const abort = new CountedAbort();
  const waiting = wait([event], { signal: abort.signal });
  assertEquals(abort.listeners, 1);
  abort.abort();
  assertStrictEquals(await reasonOf(waiting), abort.reason);
  assertEquals(abort.listeners, 0);
});

Deno.test("wait() leaves no abort listener behind, however it ends", async () => {
  const event = new Event();
  const abort = new CountedAbort();
  const { signal } = abort;
  await assertRejects(
    () => bounded(wait([event], { signal, timeout: 1 })),
    TimeoutError,
  );
  assertEquals(abort.listeners, 0);
  const waiting = wait([event], { signal });
  event.set();
  await bounded(waiting);
  assertEquals(abort.listeners, 0);
  event.clear();
  const last = wait([event], { signal });
  event.close();
  await assertRejects(() => bounded(last), ClosedError);
  assertEquals(abort.listeners, 0);
});

Deno.test("wait() takes nothing from an event that is set after an abort", async () => {
  using event = new Event();
  const abort = new CountedAbort();
  const waiting = wait([event], { signal: abort.signal });
  const other = event.wait();
  abort.abort();
  await reasonOf(waiting);
  event.set();
  assertEquals(await bounded(other), true);
});

Deno.test("wait() rejects when an object fails", async () => {
  const [good, bad] = [new Manual(), new Manual()];
  const waiting = wait([good, bad]);
  const error = new Error("broken");
  bad.fail(error);
  assertStrictEquals(await reasonOf(waiting), error);
  assertEquals(good.watching, 0);

  const throws: Waitable = {
    [waitable]() {
      throw error;
    },
  };
  assertStrictEquals(await reasonOf(wait([good, throws])), error);
  assertEquals(good.watching, 0);
});

Deno.test("wait() refuses bad options and objects before it watches any", async () => {
  const good = new Manual();
  for (const timeout of [-1, NaN, Infinity]) {
    await assertRejects(() => bounded(wait([good], { timeout })), RangeError);
  }
  for (const options of [5, null, { timeout: "1" }, { signal: {} }]) {
    await assertRejects(
      () => bounded(wait([good], options as unknown as WaitOptions)),
      TypeError,
    );
  }
  for (const bad of [null, undefined, 1, {}, Promise.resolve()]) {
    await assertRejects(
      () => bounded(wait([good, bad as unknown as Waitable])),
      TypeError,
      "Cannot wait for",
    );
  }
  await assertRejects(
    () => bounded(wait(good as unknown as Waitable[])),
    TypeError,
  );
  assertEquals(good.watching, 0);
});

Deno.test("wait() gives what is ready in any mix of calls", async () => {
  await seeded(async (random) => {
    for (let round = 0; round < 60; round++) {
      const events = Array.from(
        { length: 1 + random.below(30) },
        () => new Event(),
      );
      const before = events.filter((event) => {
        if (random.oneIn(8)) event.set();
        return event.isSet;
      });
      const waiting = wait(events);
      if (before.length > 0) {
        assertEquals(await bounded(waiting), before);
      } else {
        if (random.oneIn(2)) await assertPending(waiting);
        const chosen = events.filter((_, i) => i === 0 || random.oneIn(5));
        for (const event of chosen.toReversed()) event.set();
        assertEquals(await bounded(waiting), chosen);
      }
      for (const event of events) {
        event.close();
      }
    }
  });
});
