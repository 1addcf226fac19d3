// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertMatch,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { defineManager } from "../../distributed/define_manager.ts";
import { Manager, type ManagerOptions } from "../../distributed/manager.ts";
import type { RemoteQueue } from "../../distributed/remote_queue.ts";
import {
  AuthenticationError,
  ClosedError,
  ConnectionClosedError,
  InvalidStateError,
  QueueEmptyError,
  QueueFullError,
  QueueShutDownError,
  RemoteError,
  SerializationError,
  TimeoutError,
} from "../../ipc/errors.ts";
import { Lock } from "../../ipc/lock.ts";
import { Queue } from "../../ipc/queue.ts";
import {
  assertPending,
  bounded,
  CountedAbort,
  reasonOf,
  turn,
} from "../ipc/_waits.ts";
import { KEY, managerOf, Served, until } from "./_managers.ts";

class Counter {
  count = 0;
  _secret = 1;

  increment(by = 1): number {
    return this.count += by;
  }

  get total(): number {
    return this.count;
  }

  // deno-lint-ignore require-await -- that is what is tested.
  async later(value: unknown): Promise<unknown> {
    return value;
  }

  fail(): never {
    throw new RangeError("no", { cause: 1 });
  }

  custom(): never {
    throw new CounterError("of a class");
  }

  makeFunction(): () => void {
    return () => {};
  }

  makeInstance(): unknown {
    return { deep: [new Counter()] };
  }

  child(): Counter {
    return new Counter();
  }

  _private(): number {
    return 1;
  }

  toJSON(): string {
    return "no";
  }
}

class CounterError extends Error {
  code = 7;
}

// ---- Names ----

Deno.test("Manager registers names that give proxies on both sides", async () => {
  const queue = new Queue<number>();
  await using served = await Served.start({ getQueue: () => queue });
  const client = await served.connect();
  const near: RemoteQueue<number> = await served.manager.getQueue();
  const far: RemoteQueue<number> = await client.getQueue();
  await near.put(1);
  await far.put(2);
  await queue.put(3);
  assertEquals(await far.size, 3);
  assertEquals([await near.get(), await queue.get(), await far.get()], [
    1,
    2,
    3,
  ]);
  // The same object has the same proxy.
  assertStrictEquals(await client.getQueue(), far);
});

Deno.test("Manager.register() takes names that nothing else has", () => {
  class Own extends Manager {}
  class Other extends Manager {}
  Own.register("getIt", () => 1);
  Own.register("getIt", () => 2);
  assert("getIt" in Own.prototype);
  assertFalse("getIt" in Other.prototype);
  for (
    const name of [
      "",
      "_private",
      "#x",
      "then",
      "toJSON",
      "constructor",
      "__proto__",
      "hasOwnProperty",
      "start",
      "connect",
      "address",
      5,
      undefined,
    ]
  ) {
    assertThrows(
      () => Own.register(name as string, () => 1),
      TypeError,
      'Cannot register: "name" must ',
    );
  }
  assertThrows(
    () => Own.register("name", 5 as never),
    TypeError,
    '"callable" must be a function',
  );
  assertThrows(
    () => Own.register("name", () => 1, { exposed: ["_x"] }),
    TypeError,
    '"exposed" must be a list of names',
  );
  assertThrows(
    () => Own.register("name", () => 1, { maxAttempts: 0 }),
    RangeError,
    '"maxAttempts" must be',
  );
});

Deno.test("Manager names give data as copies, take arguments, and may be async", async () => {
  await using served = await Served.start({
    config: () => ({ list: [1, { deep: true }] }),
    add: (a: number, b: number) => a + b,
    later: (queue: Queue) => Promise.resolve(queue instanceof Queue),
    queue: () => new Queue(),
    nothing: () => undefined,
  });
  const client = await served.connect();
  const config = await client.config();
  assertEquals(config, { list: [1, { deep: true }] });
  assertThrows(() => config.list.push(1), TypeError);
  assertThrows(() => config.list[1].deep = false, TypeError);
  assertEquals(await client.add(1, 2), 3);
  assertEquals(await client.nothing(), undefined);
  // A proxy that comes home is the object itself.
  assertEquals(await client.later(await client.queue()), true);
});

Deno.test("Manager refuses names that only this side has registered", async () => {
  await using served = await Served.start();
  class Client extends Manager {}
  Client.register("unknown");
  await using client = new Client({
    address: served.manager.address,
    authkey: KEY,
  });
  await client.connect();
  await assertRejects(
    () => client.unknown(),
    TypeError,
    'Cannot call "unknown"',
  );
  const { refused } = await client.status();
  assertEquals(refused.call, 1);
});

// ---- Proxies ----

Deno.test("Manager proxies have public methods and getters, and nothing else", async () => {
  const counter = new Counter();
  await using served = await Served.start({ getCounter: () => counter });
  const client = await served.connect();
  const proxy = await client.getCounter();
  assertEquals(await proxy.increment(), 1);
  assertEquals(await proxy.increment(2), 3);
  assertEquals(await proxy.total, 3);
  assertEquals(await proxy.later(null), null);
  for (
    const name of [
      "then",
      "toJSON",
      "_private",
      "_secret",
      "count",
      Symbol.iterator,
      Symbol.toPrimitive,
    ]
  ) {
    assertEquals(proxy[name], undefined, String(name));
  }
  // An awaited proxy does not hang, nor does one in a resolved promise.
  assertStrictEquals(await bounded(Promise.resolve(proxy)), proxy);
  assertEquals(JSON.stringify({ proxy }), '{"proxy":{}}');
  assertThrows(() => new proxy.constructor(), TypeError, "Cannot construct");
});

Deno.test("Manager proxies have what is exposed, and share what is to be shared", async () => {
  const counter = new Counter();
  class Own extends Manager {}
  Own.register("getCounter", () => counter, {
    exposed: ["child", "count"],
    shared: ["child"],
  });
  await using manager = new Own({ authkey: KEY });
  await manager.start();
  const proxy = await manager.getCounter();
  assertEquals(proxy.increment, undefined);
  assertEquals(await proxy.count, 0);
  const child = await proxy.child();
  assertEquals(await child.increment(5), 5);
  assertEquals(await child.total, 5);
  assertEquals(counter.count, 0);
});

Deno.test("Manager calls carry whatever structured clone carries", async () => {
  await using served = await Served.start({ echo: () => new Counter() });
  const client = await served.connect();
  const proxy = await client.echo();
  const values: unknown[] = [
    123456789012345678901234567890n,
    new Uint8Array([1, 2, 255]),
    new Map<unknown, unknown>([["a", new Set([1])], [2, undefined]]),
    NaN,
    -0,
    "x".repeat(5_000_000),
    "\ud800 and \u{1f600}",
    new Date(0),
    JSON.parse('{"__proto__": {"polluted": 1}, "constructor": 2}'),
    [1, , 3],
  ];
  for (const value of values) {
    const back = await bounded(proxy.later(value));
    assertEquals(back, value);
    assert(Object.is(back, value) || typeof value === "object");
  }
  assertEquals(({} as { polluted?: unknown }).polluted, undefined);
});

Deno.test("Manager results are copies, which cannot be changed", async () => {
  await using served = await Served.start({ echo: () => new Counter() });
  const proxy = await (await served.connect()).echo();
  const map = await proxy.later(new Map([["a", [1]]]));
  assertThrows(() => map.set("b", 1), TypeError, "Cannot set: this is a copy");
  assertThrows(() => map.clear(), TypeError);
  assertThrows(() => map.get("a").push(2), TypeError);
  const set = await proxy.later(new Set([1]));
  assertThrows(() => set.add(2), TypeError);
});

Deno.test("Manager errors keep class, message, fields and the remote stack", async () => {
  await using served = await Served.start(
    { getCounter: () => new Counter() },
    { errorClasses: [CounterError] },
  );
  const client = await served.connect({ errorClasses: [CounterError] });
  const plain = await served.connect();
  const error = await reasonOf((await client.getCounter()).fail());
  assertInstanceOf(error, RangeError);
  assertEquals(error.message, "no");
  const { cause } = error;
  assertInstanceOf(cause, RemoteError);
  assertEquals([cause.process, cause.pid], ["MainProcess", Deno.pid]);
  assertMatch(cause.remoteStack, /manager_test\.ts/);
  const own = await reasonOf((await client.getCounter()).custom());
  assertInstanceOf(own, CounterError);
  assertEquals(own.code, 7);
  const unknown = await reasonOf((await plain.getCounter()).custom());
  assertInstanceOf(unknown, RemoteError);
  assertEquals([unknown.name, unknown.message], ["CounterError", "of a class"]);
});

Deno.test("Manager calls refuse what cannot be sent, both ways", async () => {
  await using served = await Served.start({ getCounter: () => new Counter() });
  const proxy = await (await served.connect()).getCounter();
  for (
    const [value, path] of [
      [() => {}, "args[0]"],
      [{ a: [new Counter()] }, "args[0].a[0]"],
      [{ lock: new Lock() }, "args[0].lock"],
      [Symbol(), "args[0]"],
    ] as const
  ) {
    const error = await reasonOf(proxy.later(value));
    assertInstanceOf(error, SerializationError);
    assertEquals(error.path, path);
  }
  await assertRejects(() => proxy.makeFunction(), SerializationError, "result");
  await assertRejects(
    () => proxy.makeInstance(),
    SerializationError,
    "result.deep[0]",
  );
  assertEquals(await proxy.increment(), 1);
});

Deno.test("Manager proxies can be passed through queues and to other guests", async () => {
  const counter = new Counter();
  const queue = new Queue<unknown>();
  await using served = await Served.start({
    getCounter: () => counter,
    getQueue: () => queue,
  });
  const [first, second] = [await served.connect(), await served.connect()];
  await (await first.getQueue()).put({ it: await first.getCounter() });
  const { it } = await (await second.getQueue()).get();
  assertEquals(await it.increment(), 1);
  assertEquals(counter.count, 1);
  // A proxy of one manager means nothing to another.
  await using other = await Served.start({ getQueue: () => new Queue() });
  const far = await (await other.connect()).getQueue();
  await assertRejects(() => far.put([it]), SerializationError);
});

Deno.test("Manager calls are pipelined: one that waits holds up nobody", async () => {
  const queue = new Queue<number>();
  await using served = await Served.start({
    getQueue: () => queue,
    getCounter: () => new Counter(),
  });
  const client = await served.connect();
  const far: RemoteQueue<number> = await client.getQueue();
  const waiting = [far.get(), far.get()];
  const counter = await client.getCounter();
  const calls = await bounded(
    Promise.all(Array.from({ length: 1000 }, () => counter.increment())),
  );
  assertEquals(calls, Array.from({ length: 1000 }, (_, i) => i + 1));
  await assertPending(waiting[0]!);
  await far.put(1);
  await far.put(2);
  assertEquals(await bounded(Promise.all(waiting)), [1, 2]);
});

// ---- Queues ----

Deno.test("RemoteQueue has the errors of Queue", async () => {
  const queue = new Queue<number>(1);
  await using served = await Served.start({ getQueue: () => queue });
  const far: RemoteQueue<number> = await (await served.connect()).getQueue();
  await assertRejects(() => far.get({ timeout: 1 }), QueueEmptyError);
  await assertRejects(() => far.getNowait(), QueueEmptyError);
  await far.put(1);
  const full = await reasonOf(far.put(2, { timeout: 1 }));
  assertInstanceOf(full, QueueFullError);
  assertEquals(full.item, 2);
  assertEquals([await far.full, await far.empty, await far.maxsize], [
    true,
    false,
    1,
  ]);
  const put = far.put(3);
  assertEquals(await far.get(), 1);
  await bounded(put);
  far.shutdown();
  assertEquals(await far.isShutDown, true);
  await assertRejects(() => far.put(4), QueueShutDownError);
  assertEquals(await Array.fromAsync(far), [3]);
  for (const options of [{ timeout: -1 }, { timeout: NaN }]) {
    await assertRejects(() => far.get(options), RangeError, "timeout");
  }
  await assertRejects(() => far.get({ timeout: "1" as never }), TypeError);
  await assertRejects(() => far.join(), InvalidStateError, "JoinableQueue");
});

Deno.test("RemoteQueue.get() takes nothing when aborted", async () => {
  const queue = new Queue<number>();
  await using served = await Served.start({ getQueue: () => queue });
  const far: RemoteQueue<number> = await (await served.connect()).getQueue();
  const abort = new CountedAbort();
  const aborted = far.get({ signal: abort.signal });
  await until(
    async () =>
      (await served.manager.status()).guests.some((one) => one.pending > 0),
    "the call waits",
  );
  assertEquals(abort.listeners, 1);
  abort.abort();
  assertStrictEquals(await reasonOf(aborted), abort.reason);
  assertEquals(abort.listeners, 0);
  assertStrictEquals(
    await reasonOf(far.get({ signal: abort.signal })),
    abort.reason,
  );
  // An item that was on its way goes back to the front.
  for (let i = 0; i < 20; i++) {
    const late = new AbortController();
    const got = far.get({ signal: late.signal }).catch(() => undefined);
    await queue.put(i);
    for (let j = 0; j < i % 5; j++) await turn();
    late.abort();
    const value = await bounded(got) ?? await bounded(far.get());
    assertEquals(value, i);
  }
});

Deno.test("RemoteQueue waiters are served first come, first served", async () => {
  const queue = new Queue<number>();
  await using served = await Served.start({ getQueue: () => queue });
  const queues: RemoteQueue<number>[] = [];
  for (let i = 0; i < 3; i++) {
    queues.push(await (await served.connect()).getQueue());
  }
  const order: number[] = [];
  const gets = [];
  for (const [i, one] of queues.entries()) {
    gets.push(one.get().then((value) => order.push(i * 10 + value)));
    await until(
      async () =>
        (await served.manager.status()).guests
          .reduce((sum, { pending }) => sum + pending, 0) === i + 1,
      "it waits",
    );
  }
  for (const n of [0, 1, 2]) await queue.put(n);
  await bounded(Promise.all(gets));
  assertEquals(order.sort(), [0, 11, 22]);
});

// ---- Connections ----

Deno.test("Manager.connect() refuses a wrong key, and whoever is no manager", async () => {
  await using served = await Served.start();
  const { address } = served.manager;
  for (const authkey of ["wrong", `${KEY} `, KEY.slice(1), "x"]) {
    const client = new Manager({ address, authkey });
    await assertRejects(() => client.connect(), AuthenticationError, "authkey");
    await client.shutdown();
  }
  assertEquals((await served.manager.status()).refused.authentication, 4);
  assertThrows(() => new Manager({ address, authkey: "" }), RangeError);
  const nobody = new Manager({ address: "127.0.0.1:1", authkey: KEY });
  await assertRejects(
    () => nobody.connect(),
    Deno.errors.ConnectionRefused,
  );
  // It may be tried again.
  await assertRejects(() => nobody.connect(), Deno.errors.ConnectionRefused);
  await nobody.shutdown();
});

Deno.test("Manager() refuses bad options", async () => {
  const cases: [ManagerOptions, typeof TypeError | typeof RangeError][] = [
    [5 as never, TypeError],
    [{}, TypeError],
    [{ authkey: 5 as never }, TypeError],
    [{ authkey: KEY, address: "nowhere" }, TypeError],
    [{ authkey: KEY, heartbeatInterval: 0 }, RangeError],
    [{ authkey: KEY, heartbeatTimeout: -1 }, RangeError],
    [{ authkey: KEY, sessionTimeout: NaN }, RangeError],
    [{ authkey: KEY, reconnectTimeout: "1" as never }, TypeError],
    [{ authkey: KEY, maxValues: 0 }, RangeError],
    [{ authkey: KEY, maxUnauthenticated: 0.5 }, RangeError],
    [{ authkey: KEY, errorClasses: [5] as never }, TypeError],
  ];
  for (const [options, type] of cases) {
    assertThrows(() => new Manager(options), type, "Cannot create manager");
  }
  // An address that others reach.
  for (const address of ["0.0.0.0:0", "[::]:0"]) {
    const open = new Manager({ address, authkey: KEY });
    await assertRejects(
      () => open.start(),
      TypeError,
      "leads over the network",
    );
  }
  await using insecure = new Manager({
    address: "0.0.0.0:0",
    authkey: KEY,
    insecure: true,
  });
  await insecure.start();
});

Deno.test("Manager knows its states", async () => {
  const type = managerOf({ name: () => 1 });
  const manager = new type({ authkey: KEY });
  await assertRejects(() => manager.name(), InvalidStateError, "start()");
  const starting = manager.start();
  assert((manager.address as { port: number }).port > 0);
  // Calls are good from the start on.
  assertEquals(await manager.name(), 1);
  await starting;
  await assertRejects(() => manager.start(), InvalidStateError, "serves");
  await assertRejects(() => manager.connect(), InvalidStateError, "serves");
  const [one, two] = [manager.shutdown(), manager.shutdown()];
  assertStrictEquals(one, two);
  await bounded(one);
  await assertRejects(() => manager.name(), ConnectionClosedError);
  await assertRejects(() => manager.start(), InvalidStateError, "shut down");
  await bounded(manager[Symbol.asyncDispose]());
});

Deno.test("Manager.serveForever() goes on until it is shut down or aborted", async () => {
  const manager = new Manager({ authkey: KEY });
  const serving = manager.serveForever();
  await assertPending(serving);
  await manager.shutdown();
  await bounded(serving);
  const abort = new AbortController();
  const other = new Manager({ authkey: KEY });
  const aborted = other.serveForever({ signal: abort.signal });
  await turn();
  abort.abort();
  await bounded(aborted);
  await assertRejects(() => other.status(), ConnectionClosedError);
});

Deno.test("Manager.shutdown() ends the calls of its guests", async () => {
  const queue = new Queue<number>();
  await using served = await Served.start({ getQueue: () => queue });
  const client = await served.connect();
  const far: RemoteQueue<number> = await client.getQueue();
  const near: RemoteQueue<number> = await served.manager.getQueue();
  const waiting = [far.get(), near.get()];
  const reasons = waiting.map((one) => reasonOf(one));
  await assertPending(waiting[0]!);
  await bounded(served.manager.shutdown());
  for (const reason of reasons) {
    assertInstanceOf(await reason, ConnectionClosedError);
  }
  await assertRejects(() => far.size, ConnectionClosedError, "shut down");
});

Deno.test("Manager.shutdown() of a client leaves the manager as it is", async () => {
  const queue = new Queue<number>();
  await using served = await Served.start({ getQueue: () => queue });
  const client = await served.connect();
  const far: RemoteQueue<number> = await client.getQueue();
  const waiting = far.get();
  const reason = reasonOf(waiting);
  await assertPending(waiting);
  await bounded(client.shutdown());
  assertInstanceOf(await reason, ConnectionClosedError);
  await until(
    async () => (await served.manager.status()).guests.length === 1,
    "the guest is gone",
  );
  // What nobody waits for any more is taken by nobody.
  await queue.put(1);
  assertEquals(await queue.get({ timeout: 1000 }), 1);
});

Deno.test("Manager works over a Unix socket", async () => {
  const directory = await Deno.makeTempDir();
  {
    const path = `${directory}/manager`;
    await using served = await Served.start(
      { getCounter: () => new Counter() },
      { address: { path } },
    );
    const client = await served.connect();
    assertEquals(await (await client.getCounter()).increment(), 1);
  }
  await Deno.remove(directory);
});

Deno.test("Manager.status() tells of guests and objects", async () => {
  await using served = await Served.start({ getQueue: () => new Queue() });
  const client = await served.connect();
  const queue = await client.getQueue();
  const status = await client.status();
  assertEquals(status.address, served.manager.address);
  assertEquals(status.objects, 1);
  assertEquals(status.admitted, 1);
  assertEquals(status.guests.length, 2);
  const [, guest] = status.guests;
  assertEquals([guest!.name, guest!.pid, guest!.connected], [
    "MainProcess",
    Deno.pid,
    true,
  ]);
  assertFalse(Deno.inspect(status).includes(KEY));
  // What nobody has a proxy of is forgotten.
  queue.close();
  await assertRejects(() => queue.size, ClosedError);
  await until(
    async () => (await client.status()).objects === 0,
    "the object is dropped",
  );
});

// ---- defineManager ----

Deno.test("defineManager() gives typed managers, also of names unknown here", async () => {
  const counter = new Counter();
  const queue = new Queue<{ n: number }>();
  const Master = defineManager({
    getCounter: () => counter,
    getQueue: () => queue,
    add: (a: number, b: number) => a + b,
  });
  await using master = new Master({ authkey: KEY });
  await master.start();
  const Worker = defineManager<typeof Master>();
  await using worker = new Worker({ address: master.address, authkey: KEY });
  await worker.connect();
  const total: number = await worker.add(1, 2);
  assertEquals(total, 3);
  const proxy = await worker.getCounter();
  const count: number = await proxy.increment();
  assertEquals(count, 1);
  const far = await worker.getQueue();
  await far.put({ n: 1 });
  assertEquals((await queue.get()).n, 1);
  assertEquals((worker as { then?: unknown }).then, undefined);
  assertStrictEquals(await Promise.resolve(worker), worker);
  assertNotStrictEquals(Master, Worker);
  assertThrows(() => defineManager({ start: () => 1 }), TypeError);
  assertThrows(() => defineManager(5 as never), TypeError);
});

Deno.test("Manager.connect() gives up in time", async () => {
  // Somebody who accepts and says nothing.
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = silent.addr;
  const client = new Manager({
    address: { hostname: "127.0.0.1", port },
    authkey: KEY,
  });
  await assertRejects(
    () => client.connect({ timeout: 20 }),
    TimeoutError,
    "within 20 ms",
  );
  await client.shutdown();
  (await silent.accept()).close();
});
