// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { Lease } from "../../distributed/lease.ts";
import type { RemoteQueue } from "../../distributed/remote_queue.ts";
import {
  ConnectionClosedError,
  LeaseLostError,
  QueueEmptyError,
} from "../../ipc/errors.ts";
import { Queue } from "../../ipc/queue.ts";
import {
  assertPending,
  bounded,
  CountedAbort,
  reasonOf,
} from "../ipc/_waits.ts";
import { Cutter } from "./_cutter.ts";
import { Served, Sync, until } from "./_managers.ts";

Deno.test("RemoteQueue.lease() gives an item that is done when it is acknowledged", async () => {
  await using sync = await Sync.start();
  const queue = await sync.client.queue<string>();
  await queue.put("A");
  const lease = await queue.lease({ ttl: 10_000 });
  assertEquals([lease.value, lease.attempt], ["A", 1]);
  assertEquals(await queue.size, 0);
  await lease.extend();
  await lease.ack();
  // Once only.
  for (
    const again of [lease.ack(), lease.fail("no"), lease.extend()]
  ) {
    const error = await reasonOf(again);
    assertInstanceOf(error, LeaseLostError);
    assertEquals(error.fence, lease.fence);
  }
  await assertRejects(() => queue.lease({ timeout: 1 }), QueueEmptyError);
  assertThrows(
    () => new (Lease as unknown as { new (): unknown })(),
    TypeError,
  );
});

Deno.test("RemoteQueue.lease() of an item that was not acknowledged in time goes to another", async () => {
  const tasks = new Queue<{ n: number }>();
  await using served = await Served.start({ getTasks: () => tasks });
  const near: RemoteQueue<{ n: number }> = await (await served.connect())
    .getTasks();
  const far: RemoteQueue<{ n: number }> = await (await served.connect())
    .getTasks();
  await near.put({ n: 1 });
  const first = await near.lease({ ttl: 30 });
  const waiting = far.lease({ ttl: 10_000 });
  await assertPending(waiting);
  const second = await bounded(waiting);
  assertEquals([second.value, second.attempt], [{ n: 1 }, 2]);
  assert(second.fence > first.fence);
  await assertRejects(() => first.ack(), LeaseLostError);
  await second.ack();
});

Deno.test("Lease.fail() has others try, and then it is a dead letter", async () => {
  await using sync = await Sync.start();
  const queue = await sync.client.queue<string>({ maxAttempts: 2 });
  await queue.put("poison");
  await queue.put("good");
  const first = await queue.lease();
  await first.fail(new RangeError("first"));
  const [a, b] = [await queue.lease(), await queue.lease()];
  assertEquals([a.value, a.attempt, b.value, b.attempt], [
    "poison",
    2,
    "good",
    1,
  ]);
  await a.fail(new RangeError("second"));
  await b.ack();
  const [letter, ...rest] = await queue.deadLetters();
  assertEquals(rest, []);
  assertEquals([letter!.value, letter!.attempts], ["poison", 2]);
  assertInstanceOf(letter!.error, RangeError);
  assertEquals(letter!.error.message, "second");
  assertEquals(await queue.retryDeadLetters(), 1);
  assertEquals(await queue.deadLetters(), []);
  const again = await queue.lease({ maxAttempts: 1 });
  assertEquals([again.value, again.attempt], ["poison", 1]);
  await again.fail();
  assertEquals((await queue.deadLetters()).length, 1);
});

Deno.test("RemoteQueue.leases() end when nothing more may come back", async () => {
  await using sync = await Sync.start();
  const queue = await sync.client.queue<number>({ joinable: true });
  for (let n = 0; n < 3; n++) await queue.put(n);
  queue.shutdown();
  const held = await queue.lease({ ttl: 10_000 });
  const seen: [number, number][] = [];
  const loop = (async () => {
    for await (const lease of queue.leases({ ttl: 10_000 })) {
      seen.push([lease.value, lease.attempt]);
      await lease.ack();
    }
  })();
  await until(() => seen.length === 2, "two are done");
  await assertPending(loop);
  await held.fail("back");
  await bounded(loop);
  assertEquals(seen, [[1, 1], [2, 1], [0, 2]]);
  // Acknowledged items are done.
  await bounded(queue.join());
});

Deno.test("RemoteQueue.lease() without a ttl lasts as long as its holder", async () => {
  const tasks = new Queue<string>();
  await using served = await Served.start({ getTasks: () => tasks });
  const holder = await served.connect();
  const near: RemoteQueue<string> = await holder.getTasks();
  const far: RemoteQueue<string> = await (await served.connect()).getTasks();
  await near.put("A");
  const lost = await near.lease();
  const waiting = far.lease();
  await assertPending(waiting);
  const { guests } = await served.manager.status();
  assertEquals(guests.map(({ holds }) => holds), [0, 1, 0]);
  await holder.shutdown();
  const lease = await bounded(waiting);
  assertEquals([lease.value, lease.attempt], ["A", 2]);
  await assertRejects(() => lost.ack(), ConnectionClosedError);
  await lease.ack();
});

Deno.test("RemoteQueue.lease() takes nothing when aborted", async () => {
  await using sync = await Sync.start();
  const queue = await sync.client.queue<number>({ maxAttempts: 1 });
  const abort = new CountedAbort();
  const aborted = queue.lease({ signal: abort.signal });
  await until(
    async () =>
      (await sync.manager.status()).guests.some((one) => one.pending > 0),
    "it waits",
  );
  abort.abort();
  assertEquals(await reasonOf(aborted), abort.reason);
  await queue.put(1);
  const lease = await bounded(queue.lease());
  assertEquals([lease.value, lease.attempt], [1, 1]);
  await lease.ack();
});

Deno.test("RemoteQueue.lease() refuses bad options", async () => {
  await using sync = await Sync.start();
  const queue = await sync.client.queue<number>();
  for (const ttl of [0, -1, NaN, Infinity]) {
    await assertRejects(() => queue.lease({ ttl }), RangeError, '"ttl"');
  }
  await assertRejects(() => queue.lease({ ttl: "1" as never }), TypeError);
  await assertRejects(() => queue.lease({ maxAttempts: 0 }), RangeError);
});

Deno.test("Lease is still good after a cut, within its time", async () => {
  const tasks = new Queue<string>();
  await using served = await Served.start(
    { getTasks: () => tasks },
    { sessionTimeout: 1 },
  );
  using cutter = new Cutter(served.manager.address);
  const client = await served.connect({ address: cutter.address });
  const queue: RemoteQueue<string> = await client.getTasks();
  await queue.put("A");
  const lease = await queue.lease({ ttl: 20_000 });
  const cut = reasonOf(queue.lease());
  await until(
    async () =>
      (await served.manager.status()).guests.some((one) => one.pending > 0),
    "it waits",
  );
  cutter.cut();
  assertInstanceOf(await cut, ConnectionClosedError);
  await until(
    async () => (await served.manager.status()).guests[1]?.name !== undefined,
    "another line is there",
  );
  await bounded(lease.ack());
  assertEquals(await queue.size, 0);
});
