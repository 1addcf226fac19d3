// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import type { WaitOptions } from "../../ipc/_options.ts";
import { ClosedError, InvalidStateError } from "../../ipc/errors.ts";
import { Event } from "../../ipc/event.ts";
import { Queue } from "../../ipc/queue.ts";
import { seeded } from "./_random.ts";
import {
  assertPending,
  bounded,
  CountedAbort,
  reasonOf,
  turn,
} from "./_waits.ts";

Deno.test("Event.isSet follows set and clear", () => {
  using event = new Event();
  assertFalse(event.isSet);
  event.clear();
  assertFalse(event.isSet);
  event.set();
  event.set();
  assert(event.isSet);
  event.clear();
  assertFalse(event.isSet);
});

Deno.test("Event.wait() waits until the event is set", async () => {
  using event = new Event();
  const wait = event.wait();
  await assertPending(wait);
  event.set();
  assertEquals(await bounded(wait), true);
  // Set it stays.
  assertEquals(await bounded(event.wait()), true);
  assertEquals(await event.wait({ timeout: 0 }), true);
});

Deno.test("Event.set() wakes all who wait, first come, first served", async () => {
  using event = new Event();
  const log: number[] = [];
  const waits = Array.from(
    { length: 50 },
    (_, i) => event.wait().then(() => log.push(i)),
  );
  event.set();
  await bounded(Promise.all(waits));
  assertEquals(log, Array.from({ length: 50 }, (_, i) => i));
});

Deno.test("Event.set() wakes who waits, also when it is cleared at once", async () => {
  using event = new Event();
  const waits = [event.wait(), event.wait()];
  event.set();
  event.clear();
  const later = event.wait();
  assertEquals(await bounded(Promise.all(waits)), [true, true]);
  await assertPending(later);
  event.set();
  assertEquals(await bounded(later), true);
});

Deno.test("Event.wait() gives false when its time is over", async () => {
  using event = new Event();
  assertEquals(await event.wait({ timeout: 0 }), false);
  const other = event.wait();
  assertEquals(await bounded(event.wait({ timeout: 1 })), false);
  await assertPending(other);
  event.set();
  assertEquals(await bounded(other), true);
});

Deno.test("Event.wait() in time leaves no timer behind", async () => {
  using event = new Event();
  const wait = event.wait({ timeout: 1e8 });
  event.set();
  assertEquals(await bounded(wait), true);
  assertEquals(await event.wait({ timeout: 1e8 }), true);
});

Deno.test("Event.wait() waits longer than a timer can", async () => {
  using event = new Event();
  const wait = event.wait({ timeout: 2 ** 31 });
  await assertPending(wait);
  await turn();
  event.set();
  assertEquals(await bounded(wait), true);
});

Deno.test("Event.wait() refuses bad options", async () => {
  using event = new Event();
  const cases: [unknown, typeof TypeError | typeof RangeError][] = [
    [{ timeout: -1 }, RangeError],
    [{ timeout: NaN }, RangeError],
    [{ timeout: Infinity }, RangeError],
    [{ timeout: "5" }, TypeError],
    [5, TypeError],
    [null, TypeError],
  ];
  for (const set of [false, true]) {
    if (set) event.set();
    for (const [options, type] of cases) {
      const bad = options as WaitOptions;
      await assertRejects(() => bounded(event.wait(bad)), type);
      assertThrows(() => event.waitSync(options as { timeout: number }), type);
    }
  }
  await assertRejects(
    () => event.wait({ signal: {} } as unknown as WaitOptions),
    TypeError,
  );
});

Deno.test("Event.wait() rejects when aborted before, even if it is set", async () => {
  using event = new Event();
  for (const set of [false, true]) {
    if (set) event.set();
    const signal = AbortSignal.abort("too late");
    assertEquals(await reasonOf(event.wait({ signal })), "too late");
  }
});

Deno.test("Event.wait() rejects when aborted while it waits", async () => {
  using event = new Event();
  const abort = new CountedAbort();
  const wait = event.wait({ signal: abort.signal });
  const timed = event.wait({ signal: abort.signal, timeout: 1e8 });
  const other = event.wait();
  assertEquals(abort.listeners, 2);
  abort.abort();
  assertStrictEquals(await reasonOf(wait), abort.reason);
  assertStrictEquals(await reasonOf(timed), abort.reason);
  assertEquals(abort.listeners, 0);
  await assertPending(other);
  event.set();
  assertEquals(await bounded(other), true);
});

Deno.test("Event.wait() stays true when aborted after", async () => {
  using event = new Event();
  const abort = new CountedAbort();
  const wait = event.wait({ signal: abort.signal });
  event.set();
  abort.abort();
  assertEquals(await bounded(wait), true);
});

Deno.test("Event.wait() leaves no abort listener behind, however it ends", async () => {
  const event = new Event();
  const abort = new CountedAbort();
  const { signal } = abort;
  assertFalse(await event.wait({ signal, timeout: 0 }));
  assertFalse(await bounded(event.wait({ signal, timeout: 1 })));
  assertEquals(abort.listeners, 0);
  const wait = event.wait({ signal });
  event.set();
  await bounded(wait);
  await event.wait({ signal });
  assertEquals(abort.listeners, 0);
  event.clear();
  const last = event.wait({ signal });
  event.close();
  await assertRejects(() => bounded(last), ClosedError);
  assertEquals(abort.listeners, 0);
});

Deno.test("Event.waitSync() does not block a thread for ever", () => {
  using event = new Event();
  assertEquals(event.waitSync({ timeout: 0 }), false);
  assertEquals(event.waitSync({ timeout: 1 }), false);
  assertThrows(() => event.waitSync(), InvalidStateError);
  event.set();
  assertEquals(event.waitSync(), true);
  assertEquals(event.waitSync({ timeout: 0 }), true);
});

Deno.test("Event.close() ends every wait and every later call", async () => {
  const event = new Event();
  const waits = [event.wait(), event.wait({ timeout: 1e8 })];
  event.close();
  for (const wait of waits) {
    await assertRejects(() => bounded(wait), ClosedError);
  }
  await assertRejects(() => event.wait(), ClosedError);
  assertThrows(() => event.waitSync(), ClosedError);
  assertThrows(() => event.set(), ClosedError);
  assertThrows(() => event.clear(), ClosedError);
  assertThrows(() => event.isSet, ClosedError);
});

Deno.test("Event can be closed and disposed of again and again", () => {
  const event = new Event();
  {
    using _again = event;
    event.close();
  }
  event.close();
  assertThrows(() => event.set(), ClosedError);
});

Deno.test("Event crosses as itself within its process", async () => {
  using queue = new Queue<Event>();
  using event = new Event();
  await queue.put(event);
  const same = await queue.get();
  assertStrictEquals(same, event);
  const wait = event.wait();
  same.set();
  assertEquals(await bounded(wait), true);
});

Deno.test("Event wakes whom it must in any mix of calls", async () => {
  await seeded(async (random) => {
    using event = new Event();
    let isSet = false;
    /** Waits that nothing has ended yet, and how each must end. */
    const open = new Set<{ ends: (how: unknown) => void; abort: () => void }>();
    const ended: Promise<void>[] = [];
    for (let step = 0; step < 1500; step++) {
      switch (random.below(isSet ? 6 : 12)) {
        case 0:
          event.set();
          isSet = true;
          for (const wait of open) wait.ends(true);
          open.clear();
          break;
        case 1:
          event.clear();
          isSet = false;
          break;
        case 2: {
          const wait = open.size > 0 ? random.pick([...open]) : undefined;
          if (wait === undefined) break;
          wait.abort();
          wait.ends("abort");
          open.delete(wait);
          break;
        }
        case 3:
          await turn();
          break;
        case 4:
          ended.push(
            event.wait({ timeout: 0 }).then(
              ((expected) => (actual) => assertEquals(actual, expected))(isSet),
            ),
          );
          break;
        default: {
          const controller = new AbortController();
          const { promise, resolve } = Promise.withResolvers<unknown>();
          const wait = {
            ends: resolve,
            abort: () => controller.abort("abort"),
          };
          if (isSet) resolve(true);
          else open.add(wait);
          const actual = event.wait({ signal: controller.signal })
            .catch((reason) => reason);
          ended.push(
            Promise.all([actual, promise]).then(([a, b]) => assertEquals(a, b)),
          );
        }
      }
      assertEquals(event.isSet, isSet);
    }
    event.set();
    for (const wait of open) wait.ends(true);
    await bounded(Promise.all(ended));
  });
});
