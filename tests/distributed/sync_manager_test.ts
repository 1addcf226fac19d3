// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  BrokenBarrierError,
  ClosedError,
  InvalidStateError,
  LeaseLostError,
} from "../../ipc/errors.ts";
import { wait } from "../../ipc/wait.ts";
import {
  assertPending,
  bounded,
  CountedAbort,
  reasonOf,
} from "../ipc/_waits.ts";
import { Sync, until } from "./_managers.ts";

Deno.test("SyncManager.dict() is a map with the names of Python's dict", async () => {
  await using sync = await Sync.start();
  const dict = await sync.client.dict<string, unknown>({ a: 1 });
  await dict.set("b", [1, { deep: 1 }]);
  assertEquals(await dict.get("a"), 1);
  assertEquals(await dict.get("x"), undefined);
  assertEquals(await dict.get("x", 5), 5);
  const list = await dict.get("b") as unknown[];
  assertThrows(() => list.push(2), TypeError);
  assertEquals(await dict.size, 2);
  assertEquals(await dict.has("a"), true);
  assertEquals(await dict.keys(), ["a", "b"]);
  assertEquals(await dict.values(), [1, [1, { deep: 1 }]]);
  assertEquals(await dict.delete("b"), true);
  assertEquals(await dict.delete("b"), false);
  assertEquals(await dict.setDefault("c", 3), 3);
  assertEquals(await dict.setDefault("c", 4), 3);
  await dict.update(new Map([["__proto__", 1], ["constructor", 2]]));
  assertEquals(await dict.get("__proto__"), 1);
  assertEquals(await Array.fromAsync(dict), [
    ["a", 1],
    ["c", 3],
    ["__proto__", 1],
    ["constructor", 2],
  ]);
  assertEquals(await dict.pop("c"), 3);
  await assertRejects(() => dict.pop("c"), RangeError);
  assertEquals(await dict.pop("c", 9), 9);
  assertEquals(await dict.popItem(), ["constructor", 2]);
  await assertRejects(() => dict.set({} as never, 1), TypeError, "key");
  const copy = await dict.copy();
  copy.set("own", 1);
  await dict.clear();
  await assertRejects(() => dict.popItem(), RangeError);
});

Deno.test("SyncManager.list() is a list with indices from both ends", async () => {
  await using sync = await Sync.start();
  const list = await sync.client.list<number>([1, 2]);
  assertEquals(await list.push(3, 4), 4);
  assertEquals([await list.get(0), await list.get(-1)], [1, 4]);
  await list.set(-1, 5);
  await list.insert(0, 9);
  assertEquals(await list.slice(), [9, 1, 2, 3, 5]);
  assertEquals(await list.slice(1, -1), [1, 2, 3]);
  assertEquals(await list.pop(), 5);
  assertEquals(await list.pop(0), 9);
  await list.remove(2);
  await assertRejects(() => list.remove(7), RangeError);
  assertEquals([await list.indexOf(3), await list.includes(8)], [1, false]);
  await list.push(2, 2);
  await list.sort();
  assertEquals(await Array.fromAsync(list), [1, 2, 2, 3]);
  await list.reverse();
  assertEquals([await list.length, await list.count(2)], [4, 2]);
  await assertRejects(() => list.get(4), RangeError);
  await assertRejects(() => list.get(0.5), TypeError);
  await list.clear();
  await assertRejects(() => list.pop(), RangeError);
});

Deno.test("SyncManager.namespace() has names that are not private", async () => {
  await using sync = await Sync.start();
  const space = await sync.client.namespace({ x: 1, y: "a" });
  await space.set("x", 2);
  assertEquals(await space.get("x"), 2);
  assertEquals(await space.copy(), { x: 2, y: "a" });
  assertEquals(await space.keys(), ["x", "y"]);
  assertEquals([await space.has("y"), await space.delete("y")], [true, true]);
  for (const name of ["_x", "__proto__", "constructor"]) {
    await assertRejects(() => space.set(name as "x", 1), TypeError);
  }
});

Deno.test("SyncManager.lock() has one holder, with a fence that rises", async () => {
  await using sync = await Sync.start();
  const lock = await sync.client.lock();
  const fences: number[] = [];
  let inside = 0;
  const loop = async () => {
    for (let i = 0; i < 25; i++) {
      using guard = await lock.acquire();
      assertEquals(++inside, 1);
      fences.push(guard.fence);
      await sync.manager.status();
      inside--;
    }
  };
  await bounded(Promise.all([loop(), loop(), loop(), loop()]));
  assertEquals(fences.length, 100);
  assert(fences.every((fence, i) => i === 0 || fence > fences[i - 1]!));
  const guard = await lock.acquire();
  assertEquals(await lock.tryAcquire(), null);
  assertEquals(await lock.acquire({ timeout: 1 }), null);
  guard.release();
  guard.release();
  assertEquals(await lock.locked, false);
  // A release of what is not held is told by the next call.
  lock.release();
  await until(
    async () => {
      try {
        await lock.locked;
        return false;
      } catch (error) {
        assertInstanceOf(error, InvalidStateError);
        return true;
      }
    },
    "it is told",
  );
});

Deno.test("SyncManager.lock() passes on when a hold's time is up", async () => {
  await using sync = await Sync.start();
  const lock = await sync.client.lock();
  const first = await lock.acquire({ ttl: 20 });
  const second = await bounded(lock.acquire());
  assert(second.abandoned);
  assert(second.fence > first.fence);
  await assertRejects(() => first.extend(10), LeaseLostError);
  first.release(); // Frees nobody else's hold.
  assertEquals(await lock.locked, true);
  second.release();
  const third = await lock.acquire({ ttl: 20 });
  await third.extend(20_000);
  assertFalse(third.abandoned);
  await assertRejects(() => lock.acquire({ ttl: 0 }), RangeError);
});

Deno.test("SyncManager.lock() leaves the line when aborted", async () => {
  await using sync = await Sync.start();
  const lock = await sync.client.lock();
  const guard = await lock.acquire();
  const abort = new CountedAbort();
  const aborted = lock.acquire({ signal: abort.signal });
  await until(
    async () =>
      (await sync.manager.status()).guests.some((one) => one.pending > 0),
    "it waits",
  );
  abort.abort();
  assertStrictEquals(await reasonOf(aborted), abort.reason);
  assertEquals(abort.listeners, 0);
  guard.release();
  const next = await bounded(lock.acquire());
  assertFalse(next.abandoned);
  next.release();
});

Deno.test("SyncManager.semaphore() counts permits, and has those of the gone back", async () => {
  await using sync = await Sync.start();
  const semaphore = await sync.client.semaphore(2, { bounded: true });
  const first = await semaphore.acquire();
  await semaphore.acquire();
  assertEquals(await semaphore.value, 0);
  assertEquals(await semaphore.tryAcquire(), null);
  first.release();
  assertEquals(await semaphore.value, 1);
  semaphore.release(5);
  await until(
    async () => {
      const error = await semaphore.value.catch((error) => error);
      return error instanceof InvalidStateError;
    },
    "it is told",
  );
  assertThrows(() => semaphore.release(0), RangeError);
  const signal = await sync.client.semaphore(0);
  const waiting = signal.acquire();
  await assertPending(waiting);
  signal.release();
  await bounded(waiting);
});

Deno.test("SyncManager.event() wakes all who wait", async () => {
  await using sync = await Sync.start();
  const event = await sync.client.event();
  assertEquals(await event.isSet, false);
  assertEquals(await event.wait({ timeout: 1 }), false);
  const waiting = [event.wait(), event.wait(), wait([event])];
  await assertPending(waiting[0]!);
  event.set();
  assertEquals(await bounded(Promise.all(waiting)), [true, true, [event]]);
  event.clear();
  assertEquals(await event.isSet, false);
});

Deno.test("SyncManager.condition() gives up the hold while it waits", async () => {
  await using sync = await Sync.start();
  const condition = await sync.client.condition();
  await assertRejects(() => condition.wait(), InvalidStateError);
  assertThrows(() => condition.notify(), InvalidStateError);
  let state = 0;
  const guard = await condition.acquire();
  const before = guard.fence;
  assertEquals(await condition.wait({ timeout: 1 }), false);
  assert(guard.fence > before);
  const waited = condition.waitFor(() => state === 1);
  // While it waits, others hold it.
  const other = await bounded(condition.acquire());
  state = 1;
  condition.notifyAll();
  other.release();
  assertEquals(await bounded(waited), true);
  guard.release();
  const last = await bounded(condition.acquire());
  last.release();
});

Deno.test("SyncManager.barrier() lets all parties go on together", async () => {
  await using sync = await Sync.start();
  const barrier = await sync.client.barrier(2);
  const places = await bounded(
    Promise.all([barrier.wait(), barrier.wait()]),
  );
  assertEquals(places.sort(), [0, 1]);
  assertEquals([await barrier.parties, await barrier.broken], [2, false]);
  const alone = barrier.wait();
  const reason = reasonOf(alone);
  await until(async () => await barrier.waiting === 1, "it waits");
  barrier.abort();
  assertInstanceOf(await reason, BrokenBarrierError);
  assertEquals(await barrier.broken, true);
  barrier.reset();
  await assertRejects(() => barrier.wait({ timeout: 1 }), BrokenBarrierError);
});

Deno.test("SyncManager.value() is counted by four clients exactly", async () => {
  await using sync = await Sync.start();
  const value = await sync.client.value("i32", 0);
  const dict = await sync.client.dict<string, unknown>();
  const lock = await sync.client.lock();
  await dict.set("value", value);
  const count = async () => {
    for (let i = 0; i < 500; i++) await value.add(1);
  };
  await bounded(Promise.all([count(), count(), count(), count()]));
  assertEquals(await value.value, 2000);
  let n = 0;
  await dict.set("n", 0);
  const locked = async () => {
    for (let i = 0; i < 50; i++) {
      using _guard = await lock.acquire();
      n = await dict.get("n") as number;
      await dict.set("n", n + 1);
    }
  };
  await bounded(Promise.all([locked(), locked(), locked(), locked()]));
  assertEquals(await dict.get("n"), 200);
  assertEquals(await dict.add("n", 1), 201);
  assertEquals(await value.compareExchange(2000, 1), 2000);
  const guard = await (await value.lock).acquire();
  guard.release();
  await assertRejects(() => value.set("x" as never), TypeError);
});

Deno.test("SyncManager objects are dropped with their last proxy", async () => {
  await using sync = await Sync.start();
  const dict = await sync.client.dict({ a: 1 });
  dict.close();
  await assertRejects(() => dict.get("a"), ClosedError);
});
