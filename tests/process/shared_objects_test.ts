// Copyright 2026 the multitask authors. MIT license.
// Objects of one process, used by others: everything goes through the hub.

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  ClosedError,
  type Connection,
  ConnectionClosedError,
  Event,
  InvalidStateError,
  Lock,
  Pipe,
  Queue,
  QueueEmptyError,
  QueueFullError,
  QueueShutDownError,
  wait,
  type Waitable,
} from "../../ipc/mod.ts";
import { Process, type ProcessBaseOptions } from "../../process/mod.ts";
import { assertPending, reasonOf } from "../ipc/_waits.ts";
import { processTest, textOf } from "./_run.ts";
import * as shared from "./fixtures/shared_tasks.ts";

/** A started process. */
function start<A extends unknown[], R>(
  target: (...args: A) => R | Promise<R>,
  args: NoInfer<A>,
  options: ProcessBaseOptions = {},
): Process<A, R> {
  const process = new Process<A, R>({ target, args, ...options });
  process.start();
  return process;
}

/** Runs a task to its end, which has to be good. */
async function done<A extends unknown[], R>(
  process: Process<A, R>,
): Promise<R> {
  const result = await process.result;
  await process.join();
  assertEquals(process.exitCode, 0);
  return result;
}

/**
 * The two ways of a blocking request: over a socket by a thread of its own, and
 * over an inherited descriptor.
 */
const WAYS = [
  ["a socket", "inherit"],
  ["a descriptor", { read: true }],
] as const;

/** `count` numbers from 0. */
function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

// ---- Where queues can be ----

processTest(
  "Queue in the args is the same queue in the child, in order",
  async () => {
    const there = new Queue<number>();
    const back = new Queue<number>();
    const process = start(shared.passOn<number>, [there, back, 100]);
    const items = numbers(100);
    await Promise.all(items.map((item) => there.put(item)));
    assertEquals(await shared.getSome(back, 100), items);
    await done(process);
    assertEquals([there.size, back.size], [0, 0]);
  },
);

processTest(
  "Queue keeps the order of puts that were not awaited one by one",
  async () => {
    const queue = new Queue<number>();
    const items = numbers(300);
    await done(start(shared.putTogether<number>, [queue, items]));
    assertEquals(queue.size, 300);
    assertEquals(await shared.getSome(queue, 300), items);
  },
);

processTest(
  "Queue, Lock, Event and Connection can stand anywhere in the args",
  async () => {
    const queue = new Queue<string>();
    const locks = new Set([new Lock(), new Lock()]);
    const event = new Event();
    const [mine, end] = Pipe<string>();
    const same = await done(start(shared.useNested, [{
      list: [queue, { again: queue }],
      map: new Map([["queue", queue]]),
      locks,
      event: { deep: event },
      end,
    }]));
    assert(same, "One queue is one object there");
    assertEquals(await queue.get(), "from the list");
    assertEquals(await queue.get(), "from the map");
    assertEquals(await mine.recv(), "from the connection");
    assert(event.isSet);
    for (const lock of locks) assertFalse(lock.locked);
  },
);

processTest("Queue can be sent through another queue", async () => {
  const queues = new Queue<Queue<string>>();
  const queue = new Queue<string>();
  const process = start(shared.useSent, [queues]);
  await queues.put(queue);
  assertEquals(await queue.get(), "to the queue that was sent");
  await done(process);
  // It comes back as the object it is.
  await queues.put(queue);
  assertStrictEquals(await queues.get(), queue);
});

processTest(
  "Queue that a child made serves its parent and a sibling",
  async () => {
    const up = new Queue<Queue<string>>();
    const end = new Event();
    const owner = start(shared.makeQueue, [up, end]);
    const queue = await up.get();
    await queue.put("parent");
    const sibling = start(shared.putAll<string>, [queue, ["sibling"]]);
    assertEquals(await done(sibling), 1);
    end.set();
    assertEquals(await done(owner), ["parent", "sibling"]);
  },
);

processTest(
  "Queue goes through the processes between its owner and its user",
  async () => {
    const there = new Queue<string>();
    const back = new Queue<string>();
    const grandchild = start(shared.between<string>, [there, back, 2]);
    await there.put("a");
    await there.put("b");
    assertEquals(await shared.getSome(back, 2), ["a", "b"]);
    await done(grandchild);

    // Owned by a grandchild, used by a grandchild of another child.
    const up = new Queue<Queue<string>>();
    const end = new Event();
    const owner = start(shared.makeBelow, [up, end]);
    const queue = await up.get();
    const user = start(shared.putBelow, [queue, "cousin"]);
    await queue.put("grandparent");
    await done(user);
    end.set();
    const items = await done(owner);
    assertEquals(items.sort(), ["cousin", "grandparent"]);
  },
);

processTest(
  "Queue keeps the items of a child that has been killed",
  async () => {
    const queue = new Queue<string>();
    const put = new Event();
    const process = start(shared.putAndWait, [queue, put]);
    await put.wait();
    process.kill();
    await process.join();
    assertEquals(process.exitCode, -9);
    assertEquals(queue.size, 1);
    assertEquals(await queue.get({ timeout: 0 }), "from the dead");
  },
);

// ---- Waiting, limits, ends ----

processTest("Queue makes a child wait while it is full", async () => {
  const queue = new Queue<number>(2);
  const reports = new Queue<number>();
  const process = start(shared.putAndReport, [queue, reports, 5]);
  assertEquals(await shared.getSome(reports, 2), [0, 1]);
  assertEquals([queue.size, queue.full], [2, true]);
  // The child waits in its third put, whenever that arrives.
  const third = reports.get();
  await assertPending(third);
  assertEquals(queue.size, 2);
  assertEquals(await queue.get(), 0);
  assertEquals(await third, 2);
  assertEquals(await shared.getSome(queue, 4), [1, 2, 3, 4]);
  assertEquals(await done(process), "all");
});

processTest(
  "Queue tells a child that it is full, and gives the item back",
  async () => {
    const queue = new Queue<string>(3);
    const found = await done(start(shared.putNowaitUntilFull, [queue]));
    assertEquals(found, { accepted: 3, item: "item 3", full: true });
    assertEquals(queue.size, 3);
  },
);

processTest(
  "Queue serves those who wait in different processes in their order",
  async () => {
    const queue = new Queue<number>();
    const waiting = new Queue<string>();
    const processes = [];
    for (const name of ["first", "second", "third"]) {
      processes.push(start(shared.getAfter, [queue, waiting, name]));
      assertEquals(await waiting.get(), name);
    }
    for (const number of [1, 2, 3]) await queue.put(number);
    const found = await Promise.all(processes.map(done));
    assertEquals(found, [["first", 1], ["second", 2], ["third", 3]]);
  },
);

processTest(
  "Queue in a child can be iterated until it is shut down",
  async () => {
    const queue = new Queue<number>();
    const waiting = start(shared.collect<number>, [queue]);
    for (const item of numbers(3)) await queue.put(item);
    queue.shutdown();
    assertEquals(await done(waiting), [0, 1, 2]);
    await assertRejects(() => queue.put(3), QueueShutDownError);
    const late = start(shared.collect<number>, [queue]);
    assertEquals(await done(late), []);
  },
);

processTest("Queue.shutdown() in a child holds for all", async () => {
  const queue = new Queue<string>();
  await queue.put("dropped");
  const waiting = reasonOf(new Queue<string>().get({ timeout: 1 }));
  await done(start(shared.shutDown, [queue, true]));
  assert(queue.isShutDown);
  assertEquals(queue.size, 0);
  assertInstanceOf(await reasonOf(queue.get()), QueueShutDownError);
  assertInstanceOf(await waiting, QueueEmptyError);

  const kept = new Queue<string>();
  await kept.put("kept");
  await done(start(shared.shutDown, [kept, false]));
  assertEquals(await shared.collect(kept), ["kept"]);
});

for (const timeout of [0, 20]) {
  processTest(
    `Queue, Lock and Event in a child keep a time of ${timeout} ms`,
    async () => {
      const full = new Queue<string>(1);
      await full.put("full");
      const taken = new Lock();
      using _guard = await taken.acquire();
      const found = await done(start(shared.timeouts, [
        new Queue<string>(),
        full,
        taken,
        new Event(),
        timeout,
      ]));
      const expected = ["QueueEmptyError", "QueueFullError", null, false];
      assertEquals(found, [...expected, ...expected]);
      assertEquals(full.size, 1);
    },
  );
}

processTest(
  "Queue, Lock and Event in a child are left when the wait is aborted",
  async () => {
    const empty = new Queue<string>();
    const full = new Queue<string>(1);
    await full.put("full");
    const taken = new Lock();
    const guard = await taken.acquire();
    const unset = new Event();
    const args = [empty, full, taken, unset] as const;
    const found = await done(start(shared.aborts, [...args]));
    assertEquals(found, [
      ...Array(4).fill("before"),
      ...Array(4).fill("during"),
    ]);
    // Nobody stands in line any more.
    await empty.put("kept");
    assertEquals(await empty.getNowait(), "kept");
    assertEquals(await full.getNowait(), "full");
    assertEquals(full.size, 0);
    guard.release();
    assertFalse(taken.locked);
  },
);

processTest(
  "Queue.close() in its owner ends whoever waits in a child",
  async () => {
    const queue = new Queue<string>();
    const lock = new Lock();
    const event = new Event();
    const ready = new Queue<string>();
    await lock.acquire();
    const process = start(shared.waitForAll, [queue, lock, event, ready]);
    assertEquals(await ready.get(), "waiting");
    queue.close();
    lock.close();
    event.close();
    assertEquals(await done(process), Array(3).fill("ClosedError"));
    for (
      const use of [
        () => queue.put("x"),
        () => queue.get(),
        () => lock.acquire(),
        () => event.wait(),
      ]
    ) await assertRejects(async () => await use(), ClosedError);
    assertThrows(() => queue.size, ClosedError);
  },
);

processTest("Queue.close() in a child closes it there only", async () => {
  const queue = new Queue<string>();
  const found = await done(start(shared.closeHere, [queue]));
  assertEquals(found, ["ClosedError", "ClosedError"]);
  assertEquals(await queue.get(), "before");
  await queue.put("after");
  assertEquals(queue.size, 1);
});

// ---- Blocking ----

for (const [way, permissions] of WAYS) {
  processTest(
    `Queue.getSync() and putSync() in a child work over ${way}`,
    async () => {
      const there = new Queue<number>();
      const back = new Queue<number>(3);
      const process = start(shared.blockOnQueue, [there, back], {
        permissions,
      });
      // Some are there before it asks, some come while it sits there.
      const items = numbers(100);
      const putting = shared.putAll(there, items);
      const got = await shared.getSome(back, 100);
      assertEquals(got, items.map((item) => item * 2));
      assertEquals(await putting, 100);
      assertEquals(await done(process), 4950);
    },
  );

  processTest(`Queue keeps the order of both forms over ${way}`, async () => {
    const queue = new Queue<string>();
    await done(start(shared.mixForms, [queue], { permissions }));
    assertEquals(await shared.getSome(queue, 5), ["a", "b", "c", "d", "e"]);
  });

  processTest(`Event.waitSync() and getSync() wait over ${way}`, async () => {
    const ready = new Event();
    const go = new Event();
    const queue = new Queue<string>();
    const process = start(shared.blockUntil, [ready, go, queue], {
      permissions,
    });
    await ready.wait();
    assertEquals(await process.join({ timeout: 0 }), false);
    go.set();
    await queue.put("there");
    assertEquals(await done(process), ["true", "there"]);
    assertEquals(await queue.get(), "back");
  });

  processTest(
    `Queue, Lock and Event tell their state over ${way}`,
    async () => {
      const queue = new Queue<unknown>(2);
      const lock = new Lock();
      const event = new Event();
      const args = [queue, lock, event] as const;
      const look = () => done(start(shared.look, [...args], { permissions }));
      assertEquals(await look(), [0, true, false, 2, false, false, false]);
      await queue.put(1);
      await queue.put(2);
      using _guard = await lock.acquire();
      event.set();
      queue.shutdown();
      assertEquals(await look(), [2, false, true, 2, true, true, true]);
    },
  );

  processTest(
    `Queue.getSync() carries more than a buffer holds over ${way}`,
    async () => {
      const queue = new Queue<Uint8Array>();
      const bytes = new Uint8Array(3_000_000).map((_, index) => index * 31);
      await queue.put(bytes);
      const process = start(shared.bigSync, [queue], { permissions });
      assertEquals(await done(process), bytes.length);
      const back = await queue.get();
      assert(back.every((byte, index) => byte === bytes[index]));
    },
  );

  processTest(`Lock.acquireSync() excludes others over ${way}`, async () => {
    const lock = new Lock();
    const register = new Queue<number>(1);
    await register.put(0);
    const adders = [
      start(shared.addUnderSync, [lock, register, 20], { permissions }),
      start(shared.addUnderSync, [lock, register, 20], { permissions }),
    ];
    await shared.addUnder(lock, register, 20);
    for (const adder of adders) await done(adder);
    assertEquals(await register.get(), 60);
  });
}

processTest(
  "Queue.getSync() in the owner never waits for what cannot come",
  async () => {
    const queue = new Queue<string>(1);
    const error = assertThrows(() => queue.getSync(), InvalidStateError);
    assertStringIncludes(error.message, "Cannot block");
    assertThrows(() => queue.getSync({ timeout: 0 }), QueueEmptyError);
    assertThrows(() => queue.getSync({ timeout: 5 }), QueueEmptyError);
    queue.putSync("a");
    assertThrows(() => queue.putSync("b"), InvalidStateError);
    assertThrows(() => queue.putSync("b", { timeout: 5 }), QueueFullError);
    assertEquals([queue.size, queue.getSync(), queue.size], [1, "a", 0]);

    const lock = new Lock();
    const guard = lock.acquireSync();
    assertThrows(() => lock.acquireSync(), InvalidStateError);
    assertEquals(lock.acquireSync({ timeout: 5 }), null);
    guard.release();
    const event = new Event();
    assertThrows(() => event.waitSync(), InvalidStateError);
    assertEquals(event.waitSync({ timeout: 5 }), false);
    event.set();
    assertEquals(event.waitSync(), true);
    // None of them stands in line.
    await queue.put("c");
    assertEquals(queue.size, 1);
    assertFalse(lock.locked);
  },
);

processTest(
  "Queue of a process below cannot be waited for in a blocking way",
  async () => {
    const up = new Queue<Queue<string>>();
    const end = new Event();
    const owner = start(shared.makeQueue, [up, end]);
    const queue = await up.get();
    for (
      const use of [
        () => queue.getSync(),
        () => queue.getSync({ timeout: 0 }),
        () => queue.putSync("x"),
        () => queue.size,
        () => queue.isShutDown,
      ]
    ) {
      const error = assertThrows(use, InvalidStateError);
      assertStringIncludes(error.message, "a process below this one");
    }
    await queue.put("1");
    await queue.put("2");
    end.set();
    assertEquals(await done(owner), ["1", "2"]);

    const found = await done(start(shared.askBelow, []));
    const refused = Array(3).fill("InvalidStateError");
    assertEquals(found, [...refused, ["1", "2"]]);
  },
);

// ---- Locks ----

processTest("Lock excludes the processes that share it", async () => {
  const lock = new Lock();
  const register = new Queue<number>(1);
  await register.put(0);
  const adders = [1, 2].map(() => start(shared.addUnder, [lock, register, 30]));
  await shared.addUnder(lock, register, 30);
  for (const adder of adders) await done(adder);
  assertEquals(await register.get(), 90);
  assertFalse(lock.locked);
});

processTest(
  "Lock whose holder was killed goes to the next, who is told",
  async () => {
    const lock = new Lock();
    const held = new Event();
    const holder = start(shared.hold, [lock, held]);
    await held.wait();
    assert(lock.locked);
    const waiting = new Event();
    const sibling = start(shared.waitForLock, [lock, waiting]);
    await waiting.wait();
    const next = lock.acquire();
    holder.kill();
    assertEquals(await done(sibling), true);
    const guard = await next;
    assertFalse(guard.abandoned, "The one before gave it back");
    guard.release();
    await holder.join();
    assertFalse(lock.locked);
  },
);

processTest(
  "Lock is freed when the holder's parent is killed with it",
  async () => {
    // Closed, since what the dead one had sent on is waited for, for a while.
    using lock = new Lock();
    using held = new Event();
    const middle = start(shared.holdBelow, [lock, held]);
    await held.wait();
    const next = lock.acquire();
    await assertPending(next);
    middle.kill();
    using guard = await next;
    assert(guard.abandoned);
    await middle.join();
  },
);

processTest(
  "Lock is freed when its holder ends without giving it back",
  async () => {
    const lock = new Lock();
    assertEquals(await done(start(shared.holdAndReturn, [lock])), false);
    assertEquals(await done(start(shared.holdAndReturn, [lock])), true);
    const guard = await lock.acquire();
    assert(guard.abandoned);
    guard.release();
    const again = await lock.acquire();
    assertFalse(again.abandoned);
    again.release();
  },
);

processTest(
  "Lock is not freed by guards that have outlived their hold",
  async () => {
    const lock = new Lock();
    const process = start(shared.staleGuards, [lock]);
    assertEquals(await done(process), [true, false]);
  },
);

processTest(
  "Lock that nobody holds tells a child of a release at its next call",
  async () => {
    const lock = new Lock({ home: "shared" });
    const process = start(shared.releaseFree, [lock]);
    assertEquals(await done(process), ["InvalidStateError", "later"]);
    assertThrows(() => lock.release(), InvalidStateError);
  },
);

processTest(
  "Lock that nobody holds tells a child of a release at its end",
  async () => {
    const process = start(shared.releaseFreeLast, [
      new Lock({ home: "shared" }),
    ], {
      stderr: "piped",
    });
    const stderr = await textOf(process.stderr);
    await process.join();
    assertEquals(process.exitCode, 1);
    assertStringIncludes(stderr, `Process ${process.name}:\n`);
    assertStringIncludes(stderr, "InvalidStateError");
  },
);

// ---- Events and pipes ----

processTest("Event wakes all who wait in other processes", async () => {
  const event = new Event();
  const ready = new Queue<string>();
  const waiting = ["a", "b"].map((name) =>
    start(shared.waitAndTell, [event, ready, name])
  );
  await shared.getSome(ready, 2);
  event.set();
  for (const process of waiting) assertEquals(await done(process), true);
  event.clear();
  assertFalse(event.isSet);
  await done(start(shared.setAndClear, [event, 3]));
  assert(event.isSet);
});

processTest("Pipe carries messages between processes both ways", async () => {
  const [mine, yours] = Pipe<number>();
  const process = start(shared.pingPong, [yours, 50]);
  let ball = 0;
  for (let round = 0; round < 50; round++) {
    await mine.send(ball + 1);
    ball = await mine.recv();
  }
  assertEquals(ball, 100);
  assertEquals(await done(process), 50);
});

processTest(
  "Pipe ends when the process that has its other end ends",
  async () => {
    const [mine, yours] = Pipe<string>();
    await done(start(shared.sendAndEnd, [yours]));
    assertEquals(await mine.recv(), "last words");
    await assertRejects(() => mine.recv(), ConnectionClosedError);
    await assertRejects(() => mine.send("x"), ConnectionClosedError);

    const [left, right] = Pipe<unknown>();
    const reader = start(shared.readToEnd, [right]);
    await left.send({ a: 1 });
    await left.send(null);
    left.close();
    const messages = await done(reader);
    assertEquals(messages, [{ a: 1 }, null, "ConnectionClosedError"]);
  },
);

processTest(
  "Pipe carries bytes, and wait() tells when they are there",
  async () => {
    const [mine, yours] = Pipe();
    const process = start(shared.echoBytes, [yours]);
    const bytes = new Uint8Array([0, 1, 255]);
    assertEquals(await mine.poll(), false);
    await mine.sendBytes(bytes);
    assertEquals(await wait<Waitable>([mine]), [mine]);
    assertEquals(await mine.poll(), true);
    assertEquals(await mine.recvBytes(), bytes);
    assertEquals(await done(process), 3);
  },
);

processTest("Pipe that a child made serves its parent", async () => {
  const ends = new Queue<Connection<string>>();
  const process = start(shared.makePipe, [ends]);
  const end = await ends.get();
  assertEquals(await end.recv(), "hello");
  await end.send("and back");
  assertEquals(await done(process), "and back");
  await assertRejects(() => end.recv());
});
