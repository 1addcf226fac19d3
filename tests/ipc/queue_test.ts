// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { hub } from "../../ipc/_hub.ts";
import type { WaitOptions } from "../../ipc/_options.ts";
import {
  ClosedError,
  InvalidStateError,
  QueueEmptyError,
  QueueFullError,
  QueueShutDownError,
  SerializationError,
} from "../../ipc/errors.ts";
import { Lock } from "../../ipc/lock.ts";
import { Queue } from "../../ipc/queue.ts";
import { type Random, seeded } from "./_random.ts";
import {
  assertPending,
  bounded,
  CountedAbort,
  reasonOf,
  turn,
} from "./_waits.ts";

/** A queue of so many that holds these items. */
async function filled<T>(maxsize: number, ...items: T[]): Promise<Queue<T>> {
  const queue = new Queue<T>(maxsize);
  for (const item of items) await queue.putNowait(item);
  return queue;
}

/** Takes all that is there. */
async function drain<T>(queue: Queue<T>): Promise<T[]> {
  const items: T[] = [];
  while (!queue.empty) items.push(await queue.getNowait());
  return items;
}

// ---- Items ----

Deno.test("Queue.get() gives items in the order of put", async () => {
  using queue = new Queue<number>();
  for (let i = 0; i < 100; i++) await queue.put(i);
  for (let i = 0; i < 100; i++) assertEquals(await queue.get(), i);
});

Deno.test("Queue.get() gives copies of what was put", async () => {
  using queue = new Queue<unknown>();
  const item = { list: [1, new Map([["k", new Date(0)]])], self: {} };
  item.self = item;
  const put = queue.put(item);
  item.list.push(2);
  await put;
  const copy = await queue.get() as typeof item;
  assertNotStrictEquals(copy, item);
  assertStrictEquals(copy.self, copy);
  assertEquals(copy.list, [1, new Map([["k", new Date(0)]])]);
  for (const value of [undefined, null, 0, "", new Error("x")]) {
    await queue.put(value);
    assertEquals(await queue.get(), value);
  }
});

Deno.test("Queue.put() names what cannot be sent, and puts nothing", async () => {
  using queue = new Queue<unknown>();
  const waiting = queue.get();
  const error = await assertRejects(
    () => queue.put({ list: [{ cb: () => {} }] }),
    SerializationError,
  );
  assertEquals(error.path, "item.list[0].cb");
  assertEquals(queue.size, 0);
  await queue.put("good");
  assertEquals(await bounded(waiting), "good");
});

Deno.test("Queue.put() detaches transferred buffers", async () => {
  using queue = new Queue<Uint8Array>();
  const bytes = new Uint8Array([1, 2, 3]);
  await queue.put(bytes, { transfer: [bytes.buffer] });
  assert(bytes.buffer.detached);
  const more = new Uint8Array([4]);
  await queue.putNowait(more, { transfer: [more.buffer] });
  assert(more.buffer.detached);
  assertEquals(await queue.get(), new Uint8Array([1, 2, 3]));
  assertEquals(await queue.get(), new Uint8Array([4]));
});

Deno.test("Queue.put() detaches nothing when it is aborted before", async () => {
  using queue = new Queue<Uint8Array>();
  const bytes = new Uint8Array([1, 2, 3]);
  const signal = AbortSignal.abort("too late");
  const put = queue.put(bytes, { signal, transfer: [bytes.buffer] });
  assertEquals(await reasonOf(put), "too late");
  assertEquals(queue.size, 0);
  assertFalse(bytes.buffer.detached);
});

Deno.test("Queue.put() checks all before it detaches anything", async () => {
  using queue = new Queue<unknown>();
  const bytes = new Uint8Array([1, 2, 3]);
  const transfer = [bytes.buffer];
  for (
    const put of [
      () => queue.put([bytes, () => {}], { transfer }),
      () => queue.put(bytes, { transfer, timeout: -1 }),
      () => queue.put(bytes, { transfer: 5 as unknown as ArrayBuffer[] }),
      () =>
        queue.put(bytes, {
          transfer: [bytes.buffer, {} as unknown as ArrayBuffer],
        }),
    ]
  ) await assertRejects(put);
  assertFalse(bytes.buffer.detached);
  assertEquals(queue.size, 0);
});

// ---- Waiting ----

Deno.test("Queue.get() waits for an item, first come, first served", async () => {
  using queue = new Queue<string>();
  const gets = [queue.get(), queue.get(), queue.get()];
  await assertPending(gets[0]!);
  await queue.put("a");
  await queue.put("b");
  await assertPending(gets[2]!);
  await queue.put("c");
  assertEquals(await bounded(Promise.all(gets)), ["a", "b", "c"]);
  assertEquals(queue.size, 0);
});

Deno.test("Queue.put() waits for room, first come, first served", async () => {
  using queue = await filled(2, 1, 2);
  const puts = [3, 4, 5].map((item) => queue.put(item));
  await assertPending(puts[0]!);
  assertEquals(queue.size, 2);
  assertEquals(await queue.get(), 1);
  await bounded(puts[0]!);
  await assertPending(puts[1]!);
  assertEquals(queue.size, 2);
  for (const item of [2, 3, 4, 5]) {
    assertEquals(await bounded(queue.get()), item);
  }
  await bounded(Promise.all(puts));
});

Deno.test("Queue keeps the order of many waits", async () => {
  using queue = new Queue<number>(1);
  const puts = Array.from({ length: 100 }, (_, i) => queue.put(i));
  const got: number[] = [];
  for (let i = 0; i < 100; i++) got.push(await bounded(queue.get()));
  assertEquals(got, Array.from({ length: 100 }, (_, i) => i));
  await bounded(Promise.all(puts));

  const gets = Array.from({ length: 100 }, () => queue.get());
  for (let i = 0; i < 100; i++) await queue.putNowait(i);
  assertEquals(await bounded(Promise.all(gets)), got);
});

Deno.test("Queue.size, empty and full are exact", async () => {
  using queue = new Queue<number>(2);
  assertEquals(queue.maxsize, 2);
  const state = () => [queue.size, queue.empty, queue.full];
  assertEquals(state(), [0, true, false]);
  await queue.put(1);
  assertEquals(state(), [1, false, false]);
  await queue.put(2);
  assertEquals(state(), [2, false, true]);
  const waiting = queue.put(3);
  assertEquals(state(), [2, false, true]);
  await queue.get();
  assertEquals(state(), [2, false, true]);
  await bounded(waiting);
  assertEquals(await drain(queue), [2, 3]);
  assertEquals(state(), [0, true, false]);
  const get = queue.get();
  assertEquals(state(), [0, true, false]);
  await queue.put(4);
  assertEquals(state(), [0, true, false]);
  await bounded(get);
});

Deno.test("Queue is never full without a maxsize", async () => {
  using queue = new Queue<number>();
  assertEquals(queue.maxsize, 0);
  for (let i = 0; i < 1000; i++) await queue.putNowait(i);
  assertEquals([queue.size, queue.full], [1000, false]);
});

Deno.test("Queue() refuses a maxsize that is no count", () => {
  for (const maxsize of [-1, 0.5, NaN, Infinity]) {
    assertThrows(() => new Queue(maxsize), RangeError, '"maxsize"');
  }
  for (const maxsize of ["1", null, {}, 1n]) {
    assertThrows(
      () => new Queue(maxsize as unknown as number),
      TypeError,
      '"maxsize"',
    );
  }
});

// ---- Options ----

const BAD_OPTIONS: [unknown, typeof TypeError | typeof RangeError][] = [
  [{ timeout: -1 }, RangeError],
  [{ timeout: NaN }, RangeError],
  [{ timeout: Infinity }, RangeError],
  [{ timeout: "5" }, TypeError],
  [{ timeout: null }, TypeError],
  [{ signal: {} }, TypeError],
  [{ signal: null }, TypeError],
  [5, TypeError],
  [null, TypeError],
];

Deno.test("Queue.get() and put() refuse bad options without an effect", async () => {
  using queue = await filled(1, "only");
  for (const [options, type] of BAD_OPTIONS) {
    const bad = options as WaitOptions;
    await assertRejects(() => bounded(queue.get(bad)), type);
    await assertRejects(() => bounded(queue.put("x", bad)), type);
    if (typeof options === "object" && options && "signal" in options) continue;
    assertThrows(() => queue.getSync(bad as { timeout: number }), type);
    assertThrows(() => queue.putSync("x", bad as { timeout: number }), type);
  }
  assertEquals(await drain(queue), ["only"]);
});

Deno.test("Queue.getNowait() rejects when nothing is there", async () => {
  using queue = new Queue<number>();
  const error = await assertRejects(() => queue.getNowait(), QueueEmptyError);
  assertEquals(error.message, "The queue is empty");
  await queue.put(1);
  assertEquals(await queue.getNowait(), 1);
});

Deno.test("Queue.putNowait() rejects with the item when there is no room", async () => {
  using queue = await filled(1, { id: 1 });
  const item = { id: 2 };
  const error = await assertRejects(
    () => queue.putNowait(item),
    QueueFullError,
  );
  assertStrictEquals(error.item, item);
  assertEquals(queue.size, 1);
  await queue.get();
  await queue.putNowait(item);
  assertEquals(await queue.get(), item);
});

Deno.test("Queue.get() takes nothing when its time is over", async () => {
  using queue = new Queue<number>();
  const error = await assertRejects(
    () => bounded(queue.get({ timeout: 1 })),
    QueueEmptyError,
  );
  assertEquals(error.message, "The queue stayed empty for 1 ms");
  await queue.put(1);
  assertEquals(queue.size, 1);
  assertEquals(await queue.get({ timeout: 0 }), 1);
});

Deno.test("Queue.put() puts nothing when its time is over", async () => {
  using queue = await filled(1, 1);
  const item = 2;
  const error = await assertRejects(
    () => bounded(queue.put(item, { timeout: 1 })),
    QueueFullError,
  );
  assertStrictEquals(error.item, item);
  assertEquals(await drain(queue), [1]);
  await turn();
  assertEquals(queue.size, 0);
});

Deno.test("Queue.get() in time leaves no timer behind", async () => {
  using queue = new Queue<number>(1);
  const get = queue.get({ timeout: 1e8 });
  await queue.put(1);
  assertEquals(await bounded(get), 1);
  await queue.put(2);
  const put = queue.put(3, { timeout: 1e8 });
  assertEquals(await queue.get(), 2);
  await bounded(put);
});

Deno.test("Queue.get() waits longer than a timer can", async () => {
  for (const timeout of [2 ** 31, 2 ** 32 + 1, 1e15, Number.MAX_VALUE]) {
    using queue = new Queue<number>();
    const get = queue.get({ timeout });
    await assertPending(get);
    await turn();
    await queue.put(1);
    assertEquals(await bounded(get), 1);
  }
});

// ---- Abort ----

Deno.test("Queue.get() and put() have no effect when aborted before", async () => {
  using queue = await filled(2, 1);
  for (const reason of [new Error("no"), "text", undefined]) {
    const signal = AbortSignal.abort(reason);
    const expected = signal.reason;
    assertStrictEquals(await reasonOf(queue.get({ signal })), expected);
    assertStrictEquals(await reasonOf(queue.put(2, { signal })), expected);
    assertEquals(queue.size, 1);
  }
});

Deno.test("Queue.get() leaves the line when aborted while it waits", async () => {
  using queue = new Queue<number>();
  const abort = new CountedAbort();
  const gets = [queue.get(), queue.get({ signal: abort.signal }), queue.get()];
  assertEquals(abort.listeners, 1);
  abort.abort();
  assertStrictEquals(await reasonOf(gets[1]!), abort.reason);
  assertEquals(abort.listeners, 0);
  await queue.put(1);
  await queue.put(2);
  assertEquals(await bounded(Promise.all([gets[0], gets[2]])), [1, 2]);
});

Deno.test("Queue.put() leaves the line when aborted while it waits", async () => {
  using queue = await filled(1, 1);
  const abort = new CountedAbort();
  const puts = [
    queue.put(2),
    queue.put(3, { signal: abort.signal, timeout: 1e8 }),
    queue.put(4),
  ];
  assertEquals(abort.listeners, 1);
  abort.abort();
  assertStrictEquals(await reasonOf(puts[1]!), abort.reason);
  assertEquals(abort.listeners, 0);
  const got = [await queue.get(), await queue.get(), await queue.get()];
  assertEquals(got, [1, 2, 4]);
  await bounded(Promise.all([puts[0], puts[2]]));
});

Deno.test("Queue.get() keeps its item when aborted after", async () => {
  using queue = new Queue<number>();
  const abort = new CountedAbort();
  const get = queue.get({ signal: abort.signal });
  const put = queue.put(1);
  // The item is on its way; nobody has seen it yet.
  abort.abort();
  assertEquals(await bounded(get), 1);
  await bounded(put);
  assertEquals(queue.size, 0);
});

Deno.test("Queue.put() stays done when aborted after", async () => {
  using queue = new Queue<number>();
  const abort = new CountedAbort();
  const put = queue.put(1, { signal: abort.signal });
  abort.abort();
  await bounded(put);
  assertEquals(await drain(queue), [1]);
});

Deno.test("Queue leaves no abort listener behind, however a wait ends", async () => {
  using queue = new Queue<number>(1);
  const abort = new CountedAbort();
  const { signal } = abort;
  await queue.put(1, { signal });
  assertEquals(await queue.get({ signal }), 1);
  assertEquals(abort.listeners, 0);

  const get = queue.get({ signal });
  await queue.put(2);
  assertEquals(await bounded(get), 2);
  assertEquals(abort.listeners, 0);

  await assertRejects(() => queue.get({ signal, timeout: 0 }), QueueEmptyError);
  await assertRejects(
    () => bounded(queue.get({ signal, timeout: 1 })),
    QueueEmptyError,
  );
  assertEquals(abort.listeners, 0);

  await queue.put(3);
  await assertRejects(
    () => bounded(queue.put(4, { signal, timeout: 1 })),
    QueueFullError,
  );
  const put = queue.put(5, { signal });
  queue.shutdown();
  await assertRejects(() => bounded(put), QueueShutDownError);
  assertEquals(abort.listeners, 0);

  const closed = new Queue<number>();
  const last = closed.get({ signal });
  closed.close();
  await assertRejects(() => bounded(last), ClosedError);
  assertEquals(abort.listeners, 0);
});

// ---- Blocking forms ----

Deno.test("Queue.putSync() and getSync() do not wait when they need not", () => {
  using queue = new Queue<unknown>(1);
  queue.putSync({ a: 1 });
  assertEquals(queue.size, 1);
  assertEquals(queue.getSync(), { a: 1 });
  queue.putSync(2, { timeout: 0 });
  assertEquals(queue.getSync({ timeout: 0 }), 2);
  const error = assertThrows(() => queue.putSync([() => {}]));
  assertInstanceOf(error, SerializationError);
  assertEquals(error.path, "item[0]");
});

Deno.test("Queue.getSync() wakes who waits to put, and the other way round", async () => {
  using queue = await filled(1, 1);
  const put = queue.put(2);
  assertEquals(queue.getSync(), 1);
  assertEquals(queue.getSync(), 2);
  await bounded(put);
  const get = queue.get();
  queue.putSync(3);
  assertEquals(await bounded(get), 3);
});

Deno.test("Queue.getSync() and putSync() give up when their time is over", () => {
  using queue = new Queue<number>(1);
  for (const timeout of [0, 1]) {
    assertThrows(() => queue.getSync({ timeout }), QueueEmptyError);
  }
  queue.putSync(1);
  for (const timeout of [0, 1]) {
    const error = assertThrows(
      () => queue.putSync(2, { timeout }),
      QueueFullError,
    );
    assertEquals(error.item, 2);
  }
  assertEquals(queue.getSync(), 1);
  assertEquals(queue.size, 0);
});

Deno.test("Queue.getSync() and putSync() refuse to wait for ever", async () => {
  using queue = new Queue<number>(1);
  assertThrows(() => queue.getSync(), InvalidStateError);
  queue.putSync(1);
  assertThrows(() => queue.putSync(2), InvalidStateError);
  // Nobody is left in line.
  assertEquals(await drain(queue), [1]);
  await queue.put(3);
  assertEquals(queue.size, 1);
});

// ---- Shutdown, as Python 3.13 has it ----

Deno.test("Queue.shutdown() refuses items and gives those that are there", async () => {
  using queue = await filled(0, 1, 2);
  assertFalse(queue.isShutDown);
  queue.shutdown();
  assert(queue.isShutDown);
  await assertRejects(() => queue.put(3), QueueShutDownError);
  await assertRejects(() => queue.putNowait(3), QueueShutDownError);
  assertThrows(() => queue.putSync(3), QueueShutDownError);
  assertEquals(await queue.get(), 1);
  assertEquals(queue.size, 1);
  assertEquals(await queue.getNowait(), 2);
  await assertRejects(() => queue.get(), QueueShutDownError);
  // Not QueueEmptyError: there will never be one.
  await assertRejects(() => queue.getNowait(), QueueShutDownError);
  await assertRejects(() => queue.get({ timeout: 1 }), QueueShutDownError);
  assertThrows(() => queue.getSync(), QueueShutDownError);
});

Deno.test("Queue.shutdown() beats a full queue", async () => {
  using queue = await filled(1, 1);
  queue.shutdown();
  // Not QueueFullError: there will never be room.
  await assertRejects(() => queue.putNowait(2), QueueShutDownError);
  assertEquals(await queue.get(), 1);
});

Deno.test("Queue.shutdown() ends the waits of getters", async () => {
  using queue = new Queue<number>();
  const gets = [queue.get(), queue.get({ timeout: 1e8 })];
  queue.shutdown();
  for (const get of gets) {
    await assertRejects(() => bounded(get), QueueShutDownError);
  }
});

Deno.test("Queue.shutdown() ends the waits of putters, whose items are not put", async () => {
  using queue = await filled(1, 1);
  const puts = [queue.put(2), queue.put(3)];
  queue.shutdown();
  for (const put of puts) {
    await assertRejects(() => bounded(put), QueueShutDownError);
  }
  assertEquals(await drain(queue), [1]);
});

Deno.test("Queue.shutdown() drops the items when it is immediate", async () => {
  using queue = await filled(2, 1, 2);
  const put = queue.put(3);
  queue.shutdown({ immediate: true });
  assertEquals([queue.size, queue.empty, queue.isShutDown], [0, true, true]);
  await assertRejects(() => bounded(put), QueueShutDownError);
  await assertRejects(() => queue.get(), QueueShutDownError);
});

Deno.test("Queue.shutdown() can be called again, and become immediate", async () => {
  using queue = await filled(0, 1, 2);
  queue.shutdown();
  queue.shutdown();
  assertEquals(await queue.get(), 1);
  queue.shutdown({ immediate: true });
  assertEquals(queue.size, 0);
  queue.shutdown({ immediate: false });
  await assertRejects(() => queue.get(), QueueShutDownError);
});

// ---- Close ----

Deno.test("Queue.close() ends every wait and every later call", async () => {
  const queue = new Queue<number>(1);
  const gets = [queue.get(), queue.get()];
  queue.close();
  for (const get of gets) await assertRejects(() => bounded(get), ClosedError);

  await assertRejects(() => queue.put(1), ClosedError);
  await assertRejects(() => queue.get(), ClosedError);
  assertThrows(() => queue.putSync(1), ClosedError);
  assertThrows(() => queue.getSync(), ClosedError);
  assertThrows(() => queue.size, ClosedError);
  assertThrows(() => queue.empty, ClosedError);
  assertThrows(() => queue.full, ClosedError);
  assertThrows(() => queue.maxsize, ClosedError);
  assertThrows(() => queue.isShutDown, ClosedError);
  assertThrows(() => queue.shutdown(), ClosedError);
});

Deno.test("Queue.close() ends the waits of putters", async () => {
  const queue = await filled(1, 1);
  const puts = [queue.put(2), queue.put(3, { timeout: 1e8 })];
  queue.close();
  for (const put of puts) await assertRejects(() => bounded(put), ClosedError);
});

Deno.test("Queue can be closed and disposed of again and again", async () => {
  const queue = new Queue<number>();
  {
    using _again = queue;
    await using _andAgain = queue;
    await queue.put(1);
  }
  queue.close();
  queue[Symbol.dispose]();
  await queue[Symbol.asyncDispose]();
  await assertRejects(() => queue.get(), ClosedError);
});

Deno.test("Queue is closed by using and await using", async () => {
  let kept: Queue<number>;
  {
    using queue = new Queue<number>();
    kept = queue;
  }
  await assertRejects(() => kept.get(), ClosedError);
  {
    await using queue = new Queue<number>();
    kept = queue;
  }
  await assertRejects(() => kept.get(), ClosedError);
});

// ---- Iteration ----

Deno.test("Queue iteration gives the items until the shutdown", async () => {
  using queue = await filled(0, 1, 2);
  const items: number[] = [];
  const reading = (async () => {
    for await (const item of queue) items.push(item);
  })();
  await turn();
  assertEquals(items, [1, 2]);
  await queue.put(3);
  await turn();
  assertEquals(items, [1, 2, 3]);
  queue.shutdown();
  await bounded(reading);
});

Deno.test("Queue iteration shares the items among all who iterate", async () => {
  using queue = new Queue<number>(3);
  const seen: number[] = [];
  const readers = [1, 2, 3].map(async () => {
    for await (const item of queue) seen.push(item);
  });
  for (let i = 0; i < 50; i++) await bounded(queue.put(i));
  queue.shutdown();
  await bounded(Promise.all(readers));
  assertEquals(
    seen.sort((a, b) => a - b),
    Array.from({ length: 50 }, (_, i) => i),
  );
});

Deno.test("Queue iteration that is left takes no more items", async () => {
  using queue = await filled(0, 1, 2, 3);
  for await (const item of queue) {
    if (item === 2) break;
  }
  assertEquals(await drain(queue), [3]);
});

Deno.test("Queue iteration fails when the queue is closed", async () => {
  const queue = new Queue<number>();
  const reading = (async () => {
    for await (const _ of queue);
  })();
  await turn();
  queue.close();
  await assertRejects(() => bounded(reading), ClosedError);
});

// ---- Handles as items ----

Deno.test("Queue.get() gives an object of this process back itself", async () => {
  using queue = new Queue<unknown>();
  using lock = new Lock();
  using other = new Queue<number>();
  await queue.put({ lock, list: [other, lock], queue });
  await other.put(1);
  const item = await queue.get() as Record<string, unknown>;
  assertStrictEquals(item["lock"], lock);
  assertStrictEquals((item["list"] as unknown[])[0], other);
  assertStrictEquals((item["list"] as unknown[])[1], lock);
  assertStrictEquals(item["queue"], queue);
  assertEquals(await other.get(), 1);
});

Deno.test("Queue.get() gives an object that was closed meanwhile closed", async () => {
  using queue = new Queue<Lock>();
  const lock = new Lock();
  await queue.put(lock);
  lock.close();
  const copy = await queue.get();
  assertInstanceOf(copy, Lock);
  await assertRejects(() => copy.acquire(), ClosedError);
});

Deno.test("Queue forgets what it shared, however an item leaves it", async () => {
  const before = hub.sharedCount;
  const queue = new Queue<unknown>(2);
  const locks = Array.from({ length: 6 }, () => new Lock());
  const [first, second, third, fourth, fifth, sixth] = locks;
  await queue.put(first);
  await queue.get();
  await queue.put([second, second]);
  await queue.put({ third });
  await assertRejects(() => queue.put(fourth, { timeout: 0 }), QueueFullError);
  const abort = new CountedAbort();
  const put = queue.put(fifth, { signal: abort.signal });
  abort.abort();
  assertStrictEquals(await reasonOf(put), abort.reason);
  await assertRejects(() => queue.put([sixth, () => {}]), SerializationError);
  queue.shutdown({ immediate: true });
  await assertRejects(() => queue.put(sixth), QueueShutDownError);
  queue.close();
  for (const lock of locks) lock.close();
  assertEquals(hub.sharedCount, before);
});

// ---- All at once ----

/** Lets others go first, mostly by a few microtasks. */
async function pause(random: Random): Promise<void> {
  if (random.oneIn(30)) return await turn();
  for (let i = random.below(6); i > 0; i--) await Promise.resolve();
}

Deno.test("Queue loses and doubles no item in any mix of calls", async () => {
  await seeded(async (random) => {
    for (const maxsize of [0, 1, 2, 7]) {
      using queue = new Queue<number>(maxsize);
      const accepted: number[] = [];
      const got: number[] = [];
      const failed = (error: unknown) => {
        const expected = error === "abort" || queue.isShutDown ||
          error instanceof QueueEmptyError || error instanceof QueueFullError;
        assert(expected, `${error}`);
      };
      /** Calls with a random limit, and perhaps an abort at any moment. */
      const attempt = async <T>(
        call: (options: WaitOptions) => Promise<T>,
        done: (value: T) => void,
      ) => {
        const controller = new AbortController();
        const options: WaitOptions = {};
        if (random.oneIn(2)) options.signal = controller.signal;
        if (random.oneIn(5)) options.timeout = random.below(3);
        const ended = call(options).then(done, failed);
        if (options.signal && random.oneIn(2)) {
          await pause(random);
          controller.abort("abort");
        }
        await ended;
        if (maxsize > 0) assert(queue.size <= maxsize);
      };
      const produce = async (from: number) => {
        for (let item = from; item < from + 150; item++) {
          await attempt(
            (options) => queue.put(item, options),
            () => accepted.push(item),
          );
          await pause(random);
        }
      };
      const consumers = [1, 2, 3].map(async () => {
        const last = new Map<number, number>();
        while (!queue.isShutDown) {
          await attempt(
            (options) => queue.get(options),
            (item) => {
              // The items of one producer come to one consumer in their order;
              // between consumers the promises' own turns decide.
              const producer = Math.floor(item / 1000);
              assert(item > (last.get(producer) ?? -1));
              last.set(producer, item);
              got.push(item);
            },
          );
          await pause(random);
        }
      });
      await bounded(Promise.all([0, 1000, 2000, 3000].map(produce)));
      while (!queue.empty) await turn();
      queue.shutdown();
      await bounded(Promise.all(consumers));
      const inOrder = (items: number[]) => items.toSorted((a, b) => a - b);
      assertEquals(inOrder(got), inOrder(accepted));
    }
  });
});
