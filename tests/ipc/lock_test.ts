// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertExists,
  assertFalse,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import type { WaitOptions } from "../../ipc/_options.ts";
import { ClosedError, InvalidStateError } from "../../ipc/errors.ts";
import { Lock, type LockGuard } from "../../ipc/lock.ts";
import { Queue } from "../../ipc/queue.ts";
import { type Random, seeded } from "./_random.ts";
import {
  assertPending,
  bounded,
  CountedAbort,
  reasonOf,
  turn,
} from "./_waits.ts";

// ---- Holding ----

Deno.test("Lock.acquire() takes a lock that nobody holds", async () => {
  using lock = new Lock();
  assertFalse(lock.locked);
  const guard = await lock.acquire();
  assert(lock.locked);
  assertFalse(guard.abandoned);
  guard.release();
  assertFalse(lock.locked);
});

Deno.test("Lock is released by using", async () => {
  using lock = new Lock();
  {
    using _guard = await lock.acquire();
    assert(lock.locked);
  }
  assertFalse(lock.locked);
});

Deno.test("Lock.acquire() waits in line, first come, first served", async () => {
  using lock = new Lock();
  const log: number[] = [];
  const first = await lock.acquire();
  const waits = [1, 2, 3].map(async (name) => {
    using _guard = await lock.acquire();
    log.push(name);
    await turn();
    log.push(-name);
  });
  await assertPending(waits[0]!);
  first.release();
  await bounded(Promise.all(waits));
  assertEquals(log, [1, -1, 2, -2, 3, -3]);
  assertFalse(lock.locked);
});

Deno.test("Lock.acquire() cannot barge in while others wait", async () => {
  using lock = new Lock();
  const guard = await lock.acquire();
  const waiting = lock.acquire();
  guard.release();
  // It is the waiter's now, though that has not run yet.
  assert(lock.locked);
  assertEquals(await lock.tryAcquire(), null);
  (await bounded(waiting)).release();
  assertFalse(lock.locked);
});

Deno.test("Lock.tryAcquire() gives a guard or null, and does not wait", async () => {
  using lock = new Lock();
  const guard = await lock.tryAcquire();
  assertExists(guard);
  assertEquals(await lock.tryAcquire(), null);
  assertEquals(await lock.acquire({ timeout: 0 }), null);
  guard.release();
  const again = await lock.tryAcquire();
  assertExists(again);
  again.release();
});

// ---- Guards ----

Deno.test("LockGuard.release() frees nobody else's hold when called twice", async () => {
  using lock = new Lock();
  const first = await lock.acquire();
  first.release();
  first.release();
  assertFalse(lock.locked);
  const second = await lock.acquire();
  first.release();
  first[Symbol.dispose]();
  assert(lock.locked);
  const waiting = lock.acquire();
  first.release();
  await assertPending(waiting);
  second.release();
  (await bounded(waiting)).release();
});

Deno.test("LockGuard.release() frees nobody else's hold after lock.release()", async () => {
  using lock = new Lock();
  const stale = await lock.acquire();
  lock.release();
  const fresh = await lock.acquire();
  stale.release();
  assert(lock.locked);
  fresh.release();
  assertFalse(lock.locked);
});

Deno.test("LockGuard.release() after lock.release() leaves the heir alone", async () => {
  using lock = new Lock();
  const stale = await lock.acquire();
  const heir = lock.acquire();
  const last = lock.acquire();
  lock.release();
  stale.release();
  const guard = await bounded(heir);
  await assertPending(last);
  guard.release();
  (await bounded(last)).release();
});

Deno.test("Lock.release() frees a lock, whoever holds it", async () => {
  using lock = new Lock();
  await lock.acquire();
  lock.release();
  assertFalse(lock.locked);
  assertThrows(
    () => lock.release(),
    InvalidStateError,
    "Cannot release a lock that is not held",
  );
  assertExists(await lock.tryAcquire());
});

// ---- Options ----

Deno.test("Lock.acquire() refuses bad options and takes nothing", async () => {
  using lock = new Lock();
  const cases: [unknown, typeof TypeError | typeof RangeError][] = [
    [{ timeout: -1 }, RangeError],
    [{ timeout: NaN }, RangeError],
    [{ timeout: Infinity }, RangeError],
    [{ timeout: "5" }, TypeError],
    [5, TypeError],
    [null, TypeError],
  ];
  for (const [options, type] of cases) {
    const bad = options as { timeout: number };
    await assertRejects(() => bounded(lock.acquire(bad)), type);
    assertThrows(() => lock.acquireSync(bad), type);
    assertFalse(lock.locked);
  }
  await assertRejects(
    () => lock.acquire({ signal: {} } as unknown as WaitOptions),
    TypeError,
  );
  assertFalse(lock.locked);
});

Deno.test("Lock.acquire() gives null and leaves the line when its time is over", async () => {
  using lock = new Lock();
  const guard = await lock.acquire();
  const late = lock.acquire({ timeout: 1 });
  const patient = lock.acquire();
  assertEquals(await bounded(late), null);
  await assertPending(patient);
  guard.release();
  (await bounded(patient)).release();
  assertFalse(lock.locked);
});

Deno.test("Lock.acquire() in time leaves no timer behind", async () => {
  using lock = new Lock();
  const guard = await lock.acquire({ timeout: 1e8 });
  assertExists(guard);
  const waiting = lock.acquire({ timeout: 1e8 });
  guard.release();
  assertExists(await bounded(waiting));
});

Deno.test("Lock.acquire() waits longer than a timer can", async () => {
  using lock = new Lock();
  const guard = await lock.acquire();
  const waiting = lock.acquire({ timeout: 2 ** 31 });
  await assertPending(waiting);
  await turn();
  guard.release();
  assertExists(await bounded(waiting));
});

// ---- Abort ----

Deno.test("Lock.acquire() takes nothing when aborted before", async () => {
  using lock = new Lock();
  for (const reason of [new Error("no"), "text", undefined]) {
    const signal = AbortSignal.abort(reason);
    const acquired = lock.acquire({ signal });
    assertStrictEquals(await reasonOf(acquired), signal.reason);
    assertFalse(lock.locked);
  }
});

Deno.test("Lock.acquire() leaves the line when aborted while it waits", async () => {
  using lock = new Lock();
  const abort = new CountedAbort();
  const guard = await lock.acquire();
  const waits = [
    lock.acquire({ signal: abort.signal }),
    lock.acquire({ signal: abort.signal, timeout: 1e8 }),
    lock.acquire(),
  ];
  assertEquals(abort.listeners, 2);
  abort.abort();
  assertStrictEquals(await reasonOf(waits[0]!), abort.reason);
  assertStrictEquals(await reasonOf(waits[1]!), abort.reason);
  assertEquals(abort.listeners, 0);
  guard.release();
  (await bounded(waits[2]!))!.release();
  assertFalse(lock.locked);
});

Deno.test("Lock.acquire() keeps the lock when aborted after", async () => {
  using lock = new Lock();
  const abort = new CountedAbort();
  const guard = await lock.acquire({ signal: abort.signal });
  const waiting = lock.acquire({ signal: abort.signal });
  guard.release();
  // The lock is handed over; the waiter has not run yet.
  abort.abort();
  const heir = await bounded(waiting);
  assert(lock.locked);
  heir.release();
  assertFalse(lock.locked);
});

Deno.test("Lock.acquire() leaves no abort listener behind, however it ends", async () => {
  const lock = new Lock();
  const abort = new CountedAbort();
  const { signal } = abort;
  const guard = await lock.acquire({ signal });
  assertEquals(abort.listeners, 0);
  assertEquals(await lock.acquire({ signal, timeout: 0 }), null);
  assertEquals(await bounded(lock.acquire({ signal, timeout: 1 })), null);
  assertEquals(abort.listeners, 0);
  const waiting = lock.acquire({ signal });
  assertEquals(abort.listeners, 1);
  guard.release();
  await bounded(waiting);
  assertEquals(abort.listeners, 0);
  const last = lock.acquire({ signal });
  lock.close();
  await assertRejects(() => bounded(last), ClosedError);
  assertEquals(abort.listeners, 0);
});

// ---- Blocking form ----

Deno.test("Lock.acquireSync() takes a free lock", () => {
  using lock = new Lock();
  for (const options of [undefined, { timeout: 0 }, { timeout: 5 }]) {
    const guard: LockGuard | null = options === undefined
      ? lock.acquireSync()
      : lock.acquireSync(options);
    assertExists(guard);
    assert(lock.locked);
    guard.release();
    assertFalse(lock.locked);
  }
});

Deno.test("Lock.acquireSync() gives null when its time is over", () => {
  using lock = new Lock();
  using _guard = lock.acquireSync();
  assertEquals(lock.acquireSync({ timeout: 0 }), null);
  assertEquals(lock.acquireSync({ timeout: 1 }), null);
});

Deno.test("Lock.acquireSync() refuses to wait for ever", async () => {
  using lock = new Lock();
  const guard = lock.acquireSync();
  assertThrows(() => lock.acquireSync(), InvalidStateError);
  guard.release();
  // Nobody is left in line to get it.
  assertFalse(lock.locked);
  assertExists(await lock.tryAcquire());
});

// ---- Close ----

Deno.test("Lock.close() ends every wait and every later call", async () => {
  const lock = new Lock();
  const guard = await lock.acquire();
  const waits = [lock.acquire(), lock.acquire({ timeout: 1e8 })];
  lock.close();
  for (const wait of waits) {
    await assertRejects(() => bounded(wait), ClosedError);
  }
  await assertRejects(() => lock.acquire(), ClosedError);
  await assertRejects(() => lock.tryAcquire(), ClosedError);
  assertThrows(() => lock.acquireSync(), ClosedError);
  assertThrows(() => lock.release(), ClosedError);
  assertThrows(() => lock.locked, ClosedError);
  // A guard may outlive its lock.
  guard.release();
});

Deno.test("Lock can be closed and disposed of again and again", async () => {
  const lock = new Lock();
  {
    using _again = lock;
    using _guard = await lock.acquire();
    lock.close();
  }
  lock.close();
  await assertRejects(() => lock.acquire(), ClosedError);
});

Deno.test("Lock crosses as itself within its process", async () => {
  using queue = new Queue<Lock>();
  using lock = new Lock();
  await queue.put(lock);
  const guard = await lock.acquire();
  const same = await queue.get();
  assertStrictEquals(same, lock);
  assertInstanceOf(same, Lock);
  guard.release();
});

// ---- All at once ----

async function pause(random: Random): Promise<void> {
  if (random.oneIn(40)) return await turn();
  for (let i = random.below(5); i > 0; i--) await Promise.resolve();
}

Deno.test("Lock has one holder at a time, in order, in any mix of calls", async () => {
  await seeded(async (random) => {
    using lock = new Lock();
    let holders = 0;
    let asked = 0;
    const order: number[] = [];
    const ask = async (): Promise<LockGuard | null> => {
      const controller = new AbortController();
      const options: WaitOptions = {};
      if (random.oneIn(3)) options.signal = controller.signal;
      if (random.oneIn(4)) options.timeout = random.below(2);
      const number = asked++;
      const acquired = lock.acquire(options).then((guard) => {
        if (guard !== null) order.push(number);
        return guard;
      }, (error) => {
        assertEquals(error, "abort");
        return null;
      });
      if (options.signal && random.oneIn(2)) {
        await pause(random);
        controller.abort("abort");
      }
      return await acquired;
    };
    const workers = Array.from({ length: 8 }, async () => {
      const stale: LockGuard[] = [];
      for (let i = 0; i < 60; i++) {
        const guard = await ask();
        if (guard === null) continue;
        assertEquals(++holders, 1);
        await pause(random);
        if (stale.length > 0) random.pick(stale).release();
        assert(lock.locked);
        await pause(random);
        holders--;
        if (random.oneIn(2)) guard.release();
        else lock.release();
        stale.push(guard);
        await pause(random);
      }
    });
    await bounded(Promise.all(workers));
    assertFalse(lock.locked);
    assertEquals(order, order.toSorted((a, b) => a - b));
    assert(order.length > 100);
  });
});
