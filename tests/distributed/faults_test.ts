// Copyright 2026 the multitask authors. MIT license.
// Processes that are killed, stopped and cut off.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import type { TcpAddress } from "../../ipc/_address.ts";
import { ConnectionClosedError, WorkerLostError } from "../../ipc/errors.ts";
import { Lock } from "../../ipc/lock.ts";
import { Queue } from "../../ipc/queue.ts";
import { Value } from "../../ipc/value.ts";
import { Manager, type ManagerOptions } from "../../distributed/manager.ts";
import { RemotePool } from "../../distributed/remote_pool.ts";
import type { RemoteQueue } from "../../distributed/remote_queue.ts";
import { bounded, reasonOf } from "../ipc/_waits.ts";
import { KEY, Served, until } from "./_managers.ts";
import { Side } from "./_side.ts";
import type * as tasks from "./fixtures/tasks.ts";

function portOf({ manager }: { manager: Manager }): string {
  const { hostname, port } = manager.address as TcpAddress;
  return `${hostname}:${port}`;
}

async function serveQueues(options: ManagerOptions = {}): Promise<{
  served: Served;
  queue: RemoteQueue<number>;
}> {
  const tasks = new Queue<number>();
  const results = new Queue<number>();
  const served = await Served.start({
    getTasks: () => tasks,
    getResults: () => results,
  }, options);
  return { served, queue: await served.manager.getTasks() };
}

Deno.test("an item goes to another when the worker with its lease is killed", async () => {
  const { served, queue } = await serveQueues({ sessionTimeout: 50 });
  await using _served = served;
  await queue.put(7);
  await using worker = new Side("holder", portOf(served));
  assertEquals(await bounded(worker.line("leased")), "7");
  worker.kill("SIGKILL");
  const lease = await bounded(queue.lease());
  assertEquals([lease.value, lease.attempt], [7, 2]);
  await lease.ack();
});

Deno.test("an item goes to another when the worker with its lease is stopped", async () => {
  const { served, queue } = await serveQueues({
    heartbeatInterval: 50,
    heartbeatTimeout: 300,
    sessionTimeout: 50,
  });
  await using _served = served;
  // By its time, and by its silence. (What a worker says of its own interval
  // counts, too: three times that.)
  for (const ttl of [["200"], []]) {
    await queue.put(7);
    await using worker = new Side("holder", portOf(served), ttl);
    assertEquals(await bounded(worker.line("leased")), "7");
    worker.kill("SIGSTOP");
    const lease = await bounded(queue.lease());
    assertEquals([lease.value, lease.attempt], [7, 2]);
    await lease.ack();
  }
});

Deno.test("three workers make 1000 squares, and one of them is killed", async () => {
  const { served, queue } = await serveQueues();
  await using _served = served;
  const results: RemoteQueue<number> = await served.manager.getResults();
  await using stack = new AsyncDisposableStack();
  const workers = [1, 2, 3].map(() =>
    stack.use(new Side("squarer", portOf(served)))
  );
  for (const worker of workers) await bounded(worker.line("ready"));
  for (let n = 0; n < 1000; n++) await queue.put(n);
  const squares = new Set<number>();
  while (squares.size < 500) squares.add(await bounded(results.get()));
  workers[0]!.kill("SIGKILL");
  while (squares.size < 1000) squares.add(await bounded(results.get()));
  assertEquals([...squares].reduce((a, b) => a + b), 332_833_500);
  queue.shutdown();
  for (const worker of workers.slice(1)) await bounded(worker.line("done"));
});

Deno.test("a lock of eight processes never has two holders, and its fences rise", async () => {
  const lock = new Lock();
  const state = new Map<string, number>();
  const fences: number[] = [];
  const count = new Value("i32", 0);
  await using served = await Served.start({
    getLock: () => lock,
    getState: () => state,
    getFences: () => fences,
    getCount: () => count,
  });
  await using stack = new AsyncDisposableStack();
  const sides = Array.from(
    { length: 8 },
    () => stack.use(new Side("locker", portOf(served), ["25"])),
  );
  for (const side of sides) await bounded(side.line("done"));
  assertEquals([fences.length, count.value], [200, 200]);
  assert(fences.every((fence, i) => i === 0 || fence > fences[i - 1]!));
});

Deno.test("RemotePool maps by workers in other processes, and one is killed", async () => {
  await using served = await Served.start({}, { sessionTimeout: 50 });
  const address = portOf(served);
  await using stack = new AsyncDisposableStack();
  const workers = [1, 2, 3].map(() => stack.use(new Side("worker", address)));
  for (const worker of workers) await bounded(worker.line("ready"));
  const pool = new RemotePool<typeof tasks>({ address, authkey: KEY });
  await using _pool = pool;
  await until(
    async () => (await pool.apply("square", [2])) === 4 && pool.size >= 3,
    "all are there",
  );
  let done = 0;
  const mapping = pool.map(
    "square",
    Array.from({ length: 1000 }, (_, i) => i),
    {
      chunksize: 5,
      onProgress: (progress) => done = progress.done,
    },
  );
  const slow = pool.map("slow", [300, 300, 300]);
  await until(() => done > 0, "it has begun");
  workers[0]!.kill("SIGKILL");
  const squares = await bounded(mapping);
  assertEquals(squares.reduce((a, b) => a + b), 332_833_500);
  assertEquals(await bounded(slow), [300, 300, 300]);
});

Deno.test("a task that kills every worker fails, and nothing else does", async () => {
  await using served = await Served.start({}, { sessionTimeout: 20 });
  const address = portOf(served);
  await using stack = new AsyncDisposableStack();
  // Whoever starts workers starts new ones.
  const workers = Array.from(
    { length: 4 },
    () => stack.use(new Side("worker", address)),
  );
  for (const worker of workers) await bounded(worker.line("ready"));
  await using pool = new RemotePool<typeof tasks>({ address, authkey: KEY });
  const poison = reasonOf(pool.apply("die"));
  assertInstanceOf(await poison, WorkerLostError);
  assertEquals(pool.stats().lost, 1);
  assertEquals(await bounded(pool.apply("square", [3])), 9);
});

Deno.test("a worker that computes for long is not taken for gone", async () => {
  await using served = await Served.start({}, {
    heartbeatInterval: 100,
    heartbeatTimeout: 300,
    sessionTimeout: 100,
  });
  const address = portOf(served);
  // The default interval of the worker makes the manager wait 7.5 s, so that
  // the longest silence is that of its thread.
  await using worker = new Side("worker", address);
  await bounded(worker.line("ready"));
  await using pool = new RemotePool<typeof tasks>({ address, authkey: KEY });
  assertEquals(await bounded(pool.apply("busy", [9000])), 9000);
  assertEquals(pool.stats().lost, 0);
});

Deno.test("clients of a master that is killed get an error, and those that stay a new master", async () => {
  const probe = new Manager({ authkey: KEY });
  await probe.start();
  const address = portOf({ manager: probe });
  await probe.shutdown();
  await using stack = new AsyncDisposableStack();
  const first = stack.use(new Side("master", address));
  await bounded(first.line("ready"));
  const waiter = stack.use(new Side("waiter", address));
  await bounded(waiter.line("waiting"));
  class Client extends Manager {}
  Client.register("getTasks");
  const client = new Client({ address, authkey: KEY });
  stack.defer(() => client.shutdown());
  await client.connect();
  const queue: RemoteQueue<number> = await client.getTasks();
  const waiting = reasonOf(queue.get());
  first.kill("SIGKILL");
  assertInstanceOf(await waiting, ConnectionClosedError);
  // Nobody there for a second: that is the second error.
  for (let i = 0; i < 2; i++) {
    assertEquals(await bounded(waiter.line("ended")), "ConnectionClosedError");
  }
  assertEquals((await bounded(waiter.status)).code, 0);
  const second = stack.use(new Side("master", address));
  await bounded(second.line("ready"));
  await bounded(queue.put(1));
  assertEquals(await bounded(queue.get()), 1);
});

Deno.test("clients of a master that is stopped get an error", async () => {
  const probe = new Manager({ authkey: KEY });
  await probe.start();
  const address = portOf({ manager: probe });
  await probe.shutdown();
  await using master = new Side("master", address);
  await bounded(master.line("ready"));
  await using waiter = new Side("waiter", address);
  await bounded(waiter.line("waiting"));
  master.kill("SIGSTOP");
  for (let i = 0; i < 2; i++) {
    const ended = await bounded(waiter.line("ended"));
    assert(/^(ConnectionClosed|Timeout)Error$/.test(ended), ended);
  }
});

Deno.test("a worker needs no permission but that for its master", async () => {
  const { served, queue } = await serveQueues();
  await using _served = served;
  const address = portOf(served);
  const flags = [`--allow-net=${address}`];
  await using squarer = new Side("squarer", address, [], { flags });
  await bounded(squarer.line("ready"));
  await queue.put(3);
  const results: RemoteQueue<number> = await served.manager.getResults();
  assertEquals(await bounded(results.get()), 9);
  const repository = new URL("../../", import.meta.url).pathname;
  await using worker = new Side("worker", address, [], {
    flags: [...flags, `--allow-read=${repository}`],
  });
  await bounded(worker.line("ready"));
  // Also without the permission to read itself.
  await using other = new Side("worker", address, [], { flags });
  await bounded(other.line("ready"));
  await using pool = new RemotePool<typeof tasks>({ address, authkey: KEY });
  assertEquals(await bounded(pool.apply("square", [4])), 16);
  await until(
    async () => (await pool.apply("square", [2])) === 4 && pool.size === 2,
    "both are there",
  );
});

Deno.test("a pool, a master and workers as programs of their own", async () => {
  const probe = new Manager({ authkey: KEY });
  await probe.start();
  const address = portOf({ manager: probe });
  await probe.shutdown();
  await using stack = new AsyncDisposableStack();
  // Workers are there before the master.
  const workers = [1, 2, 3].map(() => stack.use(new Side("worker", address)));
  for (const worker of workers) await bounded(worker.line("ready"));
  const master = stack.use(new Side("master", address));
  await bounded(master.line("ready"));
  const pool = stack.use(new Side("squares", address));
  assertEquals(await bounded(pool.line("sum")), "332833500");
  assertEquals((await bounded(pool.status)).code, 0);
});

// ---- Networks ----

function ip(...args: string[]): boolean {
  try {
    return new Deno.Command("ip", { args, stdout: "null", stderr: "null" })
      .outputSync().success;
  } catch {
    return false;
  }
}

/** Two namespaces with a cable between them; `undefined` where that is not to be had. */
function cable():
  | { near: string; far: string; remove: () => void }
  | undefined {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return undefined;
  const [near, far] = ["a", "b"].map((side) => `mt-${Deno.pid}-${side}`) as [
    string,
    string,
  ];
  const remove = () => {
    ip("netns", "del", near);
    ip("netns", "del", far);
  };
  const isMade = ip("netns", "add", near) && ip("netns", "add", far) &&
    ip(
      "-n",
      near,
      "link",
      "add",
      "va",
      "type",
      "veth",
      "peer",
      "name",
      "vb",
      "netns",
      far,
    ) &&
    ip("-n", near, "addr", "add", "10.213.7.1/24", "dev", "va") &&
    ip("-n", far, "addr", "add", "10.213.7.2/24", "dev", "vb") &&
    ip("-n", near, "link", "set", "va", "up") &&
    ip("-n", far, "link", "set", "vb", "up") &&
    ip("-n", near, "link", "set", "lo", "up");
  if (isMade) return { near, far, remove };
  remove();
  return undefined;
}

Deno.test("a worker that is cut off the network loses its lease", async () => {
  const wire = cable();
  if (wire === undefined) {
    console.log("not run: no network namespaces can be made here");
    return;
  }
  try {
    const address = "10.213.7.1:5000";
    await using stack = new AsyncDisposableStack();
    const master = stack.use(
      new Side("master", address, [], { namespace: wire.near }),
    );
    await bounded(master.line("ready"));
    // The master's own side has the second worker.
    const far = stack.use(
      new Side("waiter", address, [], { namespace: wire.far }),
    );
    await bounded(far.line("waiting"));
    // The cable is pulled: nobody is told.
    assert(ip("-n", wire.near, "link", "set", "va", "down"));
    for (let i = 0; i < 2; i++) {
      const ended = await bounded(far.line("ended"));
      assert(/^(ConnectionClosed|Timeout)Error$/.test(ended), ended);
    }
    assert(ip("-n", wire.near, "link", "set", "va", "up"));
    const again = stack.use(
      new Side("waiter", address, [], { namespace: wire.far }),
    );
    await bounded(again.line("waiting"));
    // One way only: what the master says gets lost on its way.
    assert(
      ip("-n", wire.near, "route", "add", "blackhole", "10.213.7.2/32"),
    );
    for (let i = 0; i < 2; i++) {
      const ended = await bounded(again.line("ended"));
      assert(/^(ConnectionClosed|Timeout)Error$/.test(ended), ended);
    }
  } finally {
    wire.remove();
  }
});

Deno.test("Manager refuses to be reached by others unprotected", async () => {
  const open = new Manager({ address: "0.0.0.0:0", authkey: KEY });
  await assertRejects(() => open.start(), TypeError, "insecure");
});
