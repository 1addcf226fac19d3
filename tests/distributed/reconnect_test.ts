// Copyright 2026 the multitask authors. MIT license.
// Lines that break, go silent, and are slow.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import { Manager } from "../../distributed/manager.ts";
import type { RemoteQueue } from "../../distributed/remote_queue.ts";
import { SyncManager } from "../../distributed/sync_manager.ts";
import { ClosedError, ConnectionClosedError } from "../../ipc/errors.ts";
import { Lock } from "../../ipc/lock.ts";
import { Queue } from "../../ipc/queue.ts";
import { bounded, reasonOf } from "../ipc/_waits.ts";
import { Cutter, type Direction } from "./_cutter.ts";
import { KEY, managerOf, Served, until } from "./_managers.ts";

Deno.test("Manager calls fail when their line breaks, and are not said again", async () => {
  let begun = 0;
  const hang = Promise.withResolvers<void>();
  await using served = await Served.start({
    getQueue: () => new Queue(),
    hang: async () => {
      begun++;
      await hang.promise;
    },
  });
  using cutter = new Cutter(served.manager.address);
  const client = await served.connect({ address: cutter.address });
  const calls = [client.hang(), client.hang()].map((call) => reasonOf(call));
  await until(() => begun === 2, "they have begun");
  cutter.cut();
  for (const call of calls) {
    const error = await call;
    assertInstanceOf(error, ConnectionClosedError);
    assert(error.message.includes("whether it was done is not known"));
  }
  // The next calls go over another line, in order.
  const queue: RemoteQueue<number> = await bounded(client.getQueue());
  await queue.put(1);
  assertEquals(await queue.get(), 1);
  assertEquals(begun, 2);
  hang.resolve();
});

Deno.test("Manager calls that are made without a line wait for one", async () => {
  const queue = new Queue<number>();
  await using served = await Served.start({ getQueue: () => queue });
  using cutter = new Cutter(served.manager.address);
  const client = await served.connect({ address: cutter.address });
  const far: RemoteQueue<number> = await client.getQueue();
  cutter.cut({ stayCut: true });
  await reasonOf(far.size); // It finds out.
  const calls = [far.put(1), far.put(2), far.get()];
  const limited = reasonOf(far.get({ timeout: 20 }));
  assertInstanceOf(await limited, ConnectionClosedError);
  const given = new AbortController();
  const aborted = reasonOf(far.get({ signal: given.signal }));
  given.abort();
  assertEquals(await aborted, given.signal.reason);
  cutter.mend();
  await bounded(Promise.all(calls));
  assertEquals(await calls[2], 1);
});

Deno.test("Manager calls fail when no line comes in time", async () => {
  await using served = await Served.start({ getQueue: () => new Queue() });
  using cutter = new Cutter(served.manager.address);
  const client = await served.connect({
    address: cutter.address,
    reconnectTimeout: 50,
  });
  const far = await client.getQueue();
  cutter.cut({ stayCut: true });
  await reasonOf(far.size);
  for (let i = 0; i < 2; i++) {
    const error = await reasonOf(far.size);
    assertInstanceOf(error, ConnectionClosedError);
    assert(error.message.includes("no connection to"), error.message);
  }
  cutter.mend();
  assertEquals(await bounded(far.size), 0);
});

for (const direction of ["there", "back"] as Direction[]) {
  Deno.test(`Manager notices that nothing gets ${direction}, on both sides`, async () => {
    const lock = new Lock();
    const heartbeat = { heartbeatInterval: 20, heartbeatTimeout: 100 };
    await using served = await Served.start(
      { getLock: () => lock, getQueue: () => new Queue() },
      { ...heartbeat, sessionTimeout: 50 },
    );
    using cutter = new Cutter(served.manager.address);
    const client = await served.connect({
      address: cutter.address,
      ...heartbeat,
      reconnectTimeout: 200,
    });
    const far = await client.getLock();
    const queue = await client.getQueue();
    const waiting = reasonOf(queue.get());
    const held = await far.acquire();
    assert(lock.locked);
    cutter.hold(direction);
    // The one waits in vain, and the other has its lock back.
    assertInstanceOf(await waiting, ConnectionClosedError);
    await until(() => !lock.locked, "the lock is free");
    held.release();
  });
}

Deno.test("Manager holds of a guest are kept while it comes back", async () => {
  const lock = new Lock();
  await using served = await Served.start({ getLock: () => lock });
  using cutter = new Cutter(served.manager.address);
  const client = await served.connect({ address: cutter.address });
  const far = await client.getLock();
  const guard = await far.acquire();
  cutter.cut();
  await reasonOf(far.locked);
  assertEquals(await bounded(far.locked), true);
  await guard.extend(20_000);
  guard.release();
  assertEquals(await far.locked, false);
});

Deno.test("Manager that takes another's place has the same names", async () => {
  const type = managerOf({ getQueue: () => new Queue<number>() });
  const first = new type({ authkey: KEY });
  await first.start();
  const { address } = first;
  const client = new type({ address, authkey: KEY });
  await client.connect();
  const queue: RemoteQueue<number> = await client.getQueue();
  await queue.put(1);
  // As if it were killed: nobody says goodbye.
  using cutter = new Cutter(address);
  const other = new SyncManager({ address: cutter.address, authkey: KEY });
  await other.connect().catch(() => {});
  await first.shutdown();
  await assertRejects(() => queue.size, ConnectionClosedError, "shut down");
  await client.shutdown();
  await other.shutdown();
});

Deno.test("Manager proxies are got again from a manager that was restarted", async () => {
  const type = class extends SyncManager {};
  type.register("getQueue", () => new Queue<number>());
  let manager = new type({ authkey: KEY });
  await manager.start();
  using cutter = new Cutter(manager.address);
  const client = new type({ address: cutter.address, authkey: KEY });
  await client.connect();
  const queue: RemoteQueue<number> = await client.getQueue();
  const dict = await client.dict({ a: 1 });
  await queue.put(1);
  cutter.cut({ stayCut: true });
  await reasonOf(queue.size);
  const { address } = manager;
  await manager.shutdown();
  manager = new type({ authkey: KEY, address });
  await manager.start();
  cutter.mend();
  // The queue is that of the new one; the dict was lost.
  assertEquals(await bounded(queue.size), 0);
  await queue.put(2);
  assertEquals(await queue.get(), 2);
  await assertRejects(() => dict.get("a"), ClosedError, "lost");
  await client.shutdown();
  await manager.shutdown();
});

Deno.test("Manager works over a slow and uneven line", async () => {
  const queue = new Queue<number>();
  await using served = await Served.start({ getQueue: () => queue });
  using cutter = new Cutter(served.manager.address);
  let turn = 0;
  // 100 ms, and one in twenty takes as long as a packet that is sent again.
  cutter.delay = () => ++turn % 20 === 0 ? 300 : 100;
  const client = await served.connect({ address: cutter.address });
  const far: RemoteQueue<number> = await client.getQueue();
  const puts = Array.from({ length: 200 }, (_, i) => far.put(i));
  await bounded(Promise.all(puts));
  const gets = Array.from({ length: 200 }, () => far.get());
  const got = await bounded(Promise.all(gets));
  assertEquals(got, Array.from({ length: 200 }, (_, i) => i));
  await assertRejects(() => far.get({ timeout: 50 }));
});

Deno.test("Manager of a wrong key is not tried again", async () => {
  const first = new Manager({ authkey: KEY });
  await first.start();
  using cutter = new Cutter(first.address);
  const client = new Manager({ address: cutter.address, authkey: KEY });
  await client.connect();
  cutter.cut({ stayCut: true });
  await reasonOf(client.status());
  const { address } = first;
  await first.shutdown();
  const second = new Manager({ address, authkey: "another" });
  await second.start();
  cutter.mend();
  const error = await reasonOf(client.status());
  assertInstanceOf(error, Error);
  assertEquals(error.name, "AuthenticationError");
  await client.shutdown();
  await second.shutdown();
});
