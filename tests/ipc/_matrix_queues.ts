// Copyright 2026 the multitask authors. MIT license.
// How queues and pipes behave, over every home and way.

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
  ClosedError,
  type Connection,
  ConnectionClosedError,
  InvalidStateError,
  JoinableQueue,
  LifoQueue,
  Lock,
  Pipe,
  PriorityQueue,
  Queue,
  QueueEmptyError,
  QueueFullError,
  QueueShutDownError,
  SimpleQueue,
  TimeoutError,
} from "../../ipc/mod.ts";
import { isPattern, pattern } from "./fixtures/matrix_side.ts";
import {
  abortable,
  anyOf,
  BAD_WAITS,
  blocking,
  elsewhere,
  onlyAsync,
  REASON,
  type Running,
  suite,
  type World,
} from "./_matrix.ts";
import { lined, until, waitersOf } from "./_waiters.ts";
import { assertPending, bounded, reasonOf } from "./_waits.ts";

/** What all queues are tested with: a number, and something. */
type Item = [number, unknown];

type AnyQueue = Queue<Item>;

interface Kind {
  readonly name:
    | "Queue"
    | "JoinableQueue"
    | "SimpleQueue"
    | "LifoQueue"
    | "PriorityQueue";
  make(world: World, maxsize?: number): AnyQueue;
  /** In which order numbers leave that came in this one. */
  order(numbers: number[]): number[];
}

const KINDS: readonly Kind[] = [
  {
    name: "Queue",
    make: ({ home }, maxsize) => new Queue(maxsize, { home }),
    order: (numbers) => numbers,
  },
  {
    name: "JoinableQueue",
    make: ({ home }, maxsize) => new JoinableQueue(maxsize, { home }),
    order: (numbers) => numbers,
  },
  {
    name: "SimpleQueue",
    make: ({ home }) => new SimpleQueue({ home }),
    order: (numbers) => numbers,
  },
  {
    name: "LifoQueue",
    make: ({ home }, maxsize) => new LifoQueue(maxsize, { home }),
    order: (numbers) => numbers.toReversed(),
  },
  {
    name: "PriorityQueue",
    make: ({ home }, maxsize) => new PriorityQueue(maxsize, { home }),
    order: (numbers) => numbers.toSorted((a, b) => a - b),
  },
];

/** What a queue says of itself, here and there. */
async function states(world: World, queue: AnyQueue): Promise<unknown[][]> {
  const names = ["size", "empty", "full", "maxsize", "isShutDown"] as const;
  const ours = names.map((name) => queue[name]);
  const theirs = [];
  for (const name of names) theirs.push(await world.other.get(queue, name));
  return [ours, theirs];
}

/** The border of what is copied under a guard, and some others. */
const SIZES = [0, 1, 900, 1023, 1024, 1025, 2047, 2048, 100 * 1024, 3 << 20];

/** The same for classes that only differ in their order. */
const FEW_SIZES = [0, 1024, 100 * 1024];

for (const kind of KINDS) {
  const { name } = kind;
  const sizes = name === "Queue" ? SIZES : FEW_SIZES;
  // It never waits to put.
  const limited = () => name === "SimpleQueue" && "it has no limit";

  suite(name, (add) => {
    add(`${name} carries items both ways, in its order`, async (world) => {
      using queue = kind.make(world);
      await world.record(queue);
      const numbers = [3, 1, 4, 2, 5];
      for (const number of numbers) await queue.put([number, "ours"]);
      for (const number of kind.order(numbers)) {
        assertEquals(await world.does(queue, "get"), [number, "ours"]);
      }
      for (const number of numbers) {
        await world.does(queue, "put", [number, "theirs"]);
      }
      for (const number of kind.order(numbers)) {
        assertEquals(await queue.get(), [number, "theirs"]);
      }
      for (const number of numbers) {
        if (number % 2) await queue.put([number, null]);
        else await world.does(queue, "put", [number, undefined]);
      }
      for (const number of kind.order(numbers)) {
        const item = [number, number % 2 ? null : undefined];
        assertEquals(
          number % 2 ? await world.does(queue, "get") : await queue.get(),
          item,
        );
      }
      assertEquals(queue.size, 0);
    });

    add(`${name} tells its size exactly, on both sides`, async (world) => {
      const limit = name === "SimpleQueue" ? 0 : 2;
      using queue = kind.make(world, limit);
      const both = (state: unknown[]) => [state, state];
      const isFull = limit > 0;
      assertEquals(
        await states(world, queue),
        both([0, true, false, limit, false]),
      );
      await queue.put([1, 1]);
      assertEquals(
        await states(world, queue),
        both([1, false, false, limit, false]),
      );
      await world.does(queue, "put", [2, 2]);
      assertEquals(
        await states(world, queue),
        both([2, false, isFull, limit, false]),
      );
      await world.does(queue, "get");
      queue.shutdown();
      assertEquals(
        await states(world, queue),
        both([1, false, false, limit, true]),
      );
      await queue.get();
      assertEquals(
        await states(world, queue),
        both([0, true, false, limit, true]),
      );
    });

    add(
      `${name}.get() serves waiters of both sides in their order`,
      blocking,
      async (world) => {
        using queue = kind.make(world);
        const first = queue.get();
        const second = await world.waits(queue, "get");
        await lined(queue, 2);
        const third = queue.get();
        const fourth = world.isSync
          ? undefined
          : await world.waits(queue, "get", { timeout: 1e8 });
        await lined(queue, world.isSync ? 3 : 4);
        await queue.put([9, 0]);
        assertEquals(await bounded(first), [9, 0]);
        await assertPending(third);
        await queue.put([8, 0]);
        assertEquals(await bounded(second.result), [8, 0]);
        await assertPending(third);
        await world.does(queue, "put", [7, 0]);
        assertEquals(await bounded(third), [7, 0]);
        if (fourth !== undefined) {
          await queue.put([6, 0]);
          assertEquals(await bounded(fourth.result), [6, 0]);
        }
        assertEquals([queue.size, waitersOf(queue)], [0, 0]);
      },
    );

    add(
      `${name}.put() waits for room, in order`,
      anyOf(limited, blocking),
      async (world) => {
        using queue = kind.make(world, 1);
        await queue.put([9, 0]);
        const first = await world.waits(queue, "put", [8, 0]);
        await lined(queue, 1);
        const second = queue.put([7, 0]);
        await lined(queue, 2);
        assertEquals([queue.size, queue.full], [1, true]);
        assertEquals(await queue.get(), [9, 0]);
        await bounded(first.result);
        await assertPending(second);
        assertEquals(queue.size, 1);
        assertEquals(await world.does(queue, "get"), [8, 0]);
        await bounded(second);
        assertEquals(await world.does(queue, "get"), [7, 0]);
        assertEquals([queue.size, waitersOf(queue)], [0, 0]);
      },
    );

    add(`${name}.get() and put() keep their time`, async (world) => {
      using queue = kind.make(world, 1);
      for (const timeout of [0, 1, 5]) {
        await assertRejects(
          () => world.does(queue, "get", { timeout }),
          QueueEmptyError,
        );
      }
      await assertRejects(
        () => world.other.call(queue, "getNowait"),
        QueueEmptyError,
      );
      await world.other.call(queue, "putNowait", [1, "first"]);
      if (name !== "SimpleQueue") {
        const item = [2, "refused"];
        const refused = [
          () => world.does(queue, "put", item, { timeout: 0 }),
          () => world.does(queue, "put", item, { timeout: 5 }),
          () => world.other.call(queue, "putNowait", item),
        ];
        for (const put of refused) {
          const error = await assertRejects(put, QueueFullError);
          assertEquals(error.item, item);
        }
        assertEquals([queue.size, waitersOf(queue)], [1, 0]);
      }
      assertEquals(await world.does(queue, "get", { timeout: 0 }), [
        1,
        "first",
      ]);
      await world.does(queue, "put", [3, ""], { timeout: 0 });
      assertEquals(await queue.getNowait(), [3, ""]);
      assertEquals([queue.size, waitersOf(queue)], [0, 0]);
    });

    add(
      `${name}.get() that is aborted takes nothing`,
      abortable,
      async (world) => {
        using queue = kind.make(world);
        await queue.put([1, "kept"]);
        const before = world.does(queue, "get", { signal: "aborted" });
        assertEquals(await reasonOf(before), REASON);
        assertEquals(queue.size, 1);
        await queue.get();
        const waiting = await world.waits(queue, "get", {
          signal: "abortable",
        });
        await lined(queue, 1);
        const behind = queue.get();
        await world.other.abort(waiting);
        assertEquals(await reasonOf(waiting.result), REASON);
        await lined(queue, 1);
        await queue.put([2, "next"]);
        assertEquals(await bounded(behind), [2, "next"]);
      },
    );

    add(
      `${name}.put() that is aborted leaves nothing`,
      anyOf(limited, abortable),
      async (world) => {
        using queue = kind.make(world, 1);
        const before = world.does(queue, "put", [0, ""], { signal: "aborted" });
        assertEquals(await reasonOf(before), REASON);
        assertEquals(queue.size, 0);
        await queue.put([1, "first"]);
        const waiting = await world.waits(queue, "put", [2, "aborted"], {
          signal: "abortable",
        });
        await lined(queue, 1);
        const behind = queue.put([3, "next"]);
        await world.other.abort(waiting);
        assertEquals(await reasonOf(waiting.result), REASON);
        await lined(queue, 1);
        assertEquals(await queue.get(), [1, "first"]);
        await bounded(behind);
        assertEquals(await queue.get(), [3, "next"]);
        assertEquals(queue.size, 0);
      },
    );

    add(
      `${name}.get() and put() refuse bad options, change nothing`,
      async (world) => {
        using queue = kind.make(world);
        await queue.put([1, "kept"]);
        for (const [options, type] of BAD_WAITS) {
          await assertRejects(() => world.does(queue, "get", options), type);
          const item = [2, "refused"];
          await assertRejects(
            () => world.does(queue, "put", item, options),
            type,
          );
        }
        assertEquals([queue.size, waitersOf(queue)], [1, 0]);
        if (name === "SimpleQueue") return;
        for (const maxsize of [-1, 1.5, NaN, Infinity]) {
          assertThrows(() => kind.make(world, maxsize), RangeError);
        }
        const text = "1" as unknown as number;
        assertThrows(() => kind.make(world, text), TypeError);
      },
    );

    add(
      `${name}.shutdown() lets gets drain it, and ends the rest`,
      async (world) => {
        using queue = kind.make(world, 2);
        const numbers = [1, 2];
        for (const number of numbers) await queue.put([number, ""]);
        const putters = name === "SimpleQueue" || world.blocksHere ? [] : [
          queue.put([3, ""]),
          (await world.waits(queue, "put", [4, ""]))
            .result,
        ];
        await lined(queue, putters.length);
        const refused = putters.map((put) =>
          assertRejects(() => bounded(put), QueueShutDownError)
        );
        queue.shutdown();
        queue.shutdown({ immediate: false });
        await Promise.all(refused);
        await assertRejects(
          () => world.does(queue, "put", [5, ""]),
          QueueShutDownError,
        );
        await assertRejects(() => queue.put([5, ""]), QueueShutDownError);
        await assertRejects(
          () => world.other.call(queue, "putNowait", [5, ""]),
          QueueShutDownError,
        );
        for (const number of kind.order(numbers)) {
          assertEquals(await world.does(queue, "get"), [number, ""]);
        }
        for (const options of [undefined, { timeout: 0 }, { timeout: 5 }]) {
          await assertRejects(
            () => world.does(queue, "get", options),
            QueueShutDownError,
          );
        }
        await assertRejects(() => queue.getNowait(), QueueShutDownError);
      },
    );

    add(
      `${name}.shutdown() by either side ends gets that wait`,
      blocking,
      async (world) => {
        for (const isOurs of [true, false]) {
          using queue = kind.make(world);
          const theirs = isOurs || !world.isSync
            ? await world.waits(queue, "get")
            : undefined;
          if (theirs) await lined(queue, 1);
          const ours = assertRejects(() => queue.get(), QueueShutDownError);
          if (isOurs) queue.shutdown();
          else await world.other.call(queue, "shutdown", { immediate: false });
          await bounded(ours);
          if (theirs) {
            await assertRejects(
              () => bounded(theirs.result),
              QueueShutDownError,
            );
          }
          assert(queue.isShutDown);
          assertEquals(waitersOf(queue), 0);
        }
      },
    );

    add(
      `${name}.shutdown({ immediate: true }) drops the items`,
      async (world) => {
        for (const isOurs of [true, false]) {
          using queue = kind.make(world, 2);
          await queue.put([1, ""]);
          await world.does(queue, "put", [2, ""]);
          const waits: Promise<unknown>[] = [];
          if (name !== "SimpleQueue") {
            waits.push(
              assertRejects(() => queue.put([3, ""]), QueueShutDownError),
            );
          }
          if (isOurs) queue.shutdown({ immediate: true });
          else await world.other.call(queue, "shutdown", { immediate: true });
          await bounded(Promise.all(waits));
          assertEquals(queue.size, 0);
          await assertRejects(
            () => world.does(queue, "get"),
            QueueShutDownError,
          );
          await assertRejects(
            () => world.does(queue, "put", [4, ""]),
            QueueShutDownError,
          );
          assertEquals(await world.other.get(queue, "isShutDown"), true);
        }
        // A second one can drop what the first one left.
        using queue = kind.make(world);
        await queue.put([1, ""]);
        queue.shutdown();
        await world.other.call(queue, "shutdown", { immediate: true });
        assertEquals(queue.size, 0);
      },
    );

    add(
      `${name} can be iterated until it is shut down`,
      onlyAsync,
      async (world) => {
        using queue = kind.make(world);
        const theirs = await world.other.beginScript("iterate", queue);
        await lined(queue, 1);
        const numbers = [3, 2, 1];
        for (const number of numbers) {
          await queue.put([number, ""]);
          // One after the other, so that no kind can set them right.
          await until(() => queue.size === 0, () => "An item is left");
        }
        queue.shutdown();
        assertEquals(
          await bounded(theirs.result),
          numbers.map((number) => [number, ""]),
        );
        assertEquals(await world.other.script("iterate", queue), []);
        using other = kind.make(world);
        for (const number of numbers) {
          await world.does(other, "put", [number, ""]);
        }
        await world.other.call(other, "shutdown");
        const items: number[] = [];
        for await (const [number] of other) {
          items.push(number);
        }
        assertEquals(items, kind.order(numbers));
      },
    );

    add(`${name} carries items of every size`, async (world) => {
      using queue = kind.make(world);
      for (const [number, size] of sizes.entries()) {
        await queue.put([number, pattern(size, number)]);
        const found = await world.other.script(
          "checkBytes",
          queue,
          world.isSync,
        );
        assertEquals(found, [size, true]);
        const [back, bytes] = await bounded(queue.get()) as [
          number,
          Uint8Array,
        ];
        assertEquals([back, bytes.length], [number, size]);
        assert(isPattern(bytes, number));
      }
      assertEquals(queue.size, 0);
    });

    add(
      `${name} carries items of every size to who waits`,
      blocking,
      async (world) => {
        using queue = kind.make(world);
        for (const [number, size] of sizes.entries()) {
          const waiting = await world.other.beginScript(
            "checkBytes",
            queue,
            world.isSync,
          );
          await lined(queue, 1);
          await queue.put([number, pattern(size, number)]);
          assertEquals(await bounded(waiting.result), [size, true]);
          await bounded(queue.get());
        }
      },
    );

    add(`${name} carries shared objects in its items`, async (world) => {
      using queue = kind.make(world);
      using lock = new Lock({ home: world.home });
      await queue.put([1, lock]);
      assertEquals(
        await world.other.script("useLockInside", queue, world.isSync),
        [true, false],
      );
      assertFalse(lock.locked);
      await world.does(queue, "put", [2, lock]);
      const [, same] = await queue.get();
      assertStrictEquals(same, lock);
      // What nobody gets is given back.
      await queue.put([3, lock]);
      queue.shutdown({ immediate: true });
      assertEquals(
        await lock.tryAcquire().then((guard) => guard !== null),
        true,
      );
    });

    add(
      `${name}.close() by its owner ends whoever waits, and every later call`,
      blocking,
      async (world) => {
        const queue = kind.make(world, 1);
        const ours = assertRejects(() => queue.get(), ClosedError);
        const theirs = await world.waits(queue, "get");
        await lined(queue, 2);
        queue.close();
        queue.close();
        await bounded(ours);
        await assertRejects(() => bounded(theirs.result), ClosedError);
        const full = kind.make(world, 1);
        await full.put([1, ""]);
        if (name !== "SimpleQueue") {
          const putter = await world.waits(full, "put", [2, ""]);
          await lined(full, 1);
          full.close();
          await assertRejects(() => bounded(putter.result), ClosedError);
        } else full.close();
        for (const gone of [queue, full]) {
          await assertRejects(() => world.does(gone, "get"), ClosedError);
          await assertRejects(
            () => world.does(gone, "put", [1, ""]),
            ClosedError,
          );
          await assertRejects(() => world.other.get(gone, "size"), ClosedError);
          await assertRejects(() => gone.get(), ClosedError);
          await assertRejects(() => gone.put([1, ""]), ClosedError);
          assertThrows(() => gone.size, ClosedError);
          assertThrows(() => gone.shutdown(), ClosedError);
        }
      },
    );

    add(
      `${name}.close() by a user closes it there only`,
      elsewhere,
      async (world) => {
        using queue = kind.make(world);
        await world.does(queue, "put", [1, "theirs"]);
        await world.other.call(queue, "close");
        await queue.put([2, "ours"]);
        assertEquals(queue.size, 2);
        assertEquals(
          await world.does(queue, "get"),
          name === "LifoQueue" ? [2, "ours"] : [1, "theirs"],
        );
      },
    );
  });
}

suite("PriorityQueue", (add) => {
  add(
    "PriorityQueue gives equal items in the order in which they came",
    async (world) => {
      using queue = new PriorityQueue<[number, unknown]>(0, {
        home: world.home,
      });
      const items: [number, unknown][] = [];
      for (let i = 0; i < 20; i++) {
        const item: [number, unknown] = [i % 3, { place: i }];
        items.push(item);
        if (i % 2) await queue.put(item);
        else await world.does(queue, "put", item);
      }
      items.sort(([a], [b]) => a - b); // A stable one.
      for (const [i, item] of items.entries()) {
        const got = i % 2 ? await world.does(queue, "get") : await queue.get();
        assertEquals(got, item);
      }
    },
  );

  add("PriorityQueue refuses items that have no order", async (world) => {
    using queue = new PriorityQueue<unknown>(0, { home: world.home });
    for (const item of [{}, null, [{}], new Map()]) {
      await assertRejects(() => world.does(queue, "put", item), TypeError);
      await assertRejects(() => queue.put(item), TypeError);
    }
    assertEquals(queue.size, 0);
  });
});

suite("JoinableQueue", (add) => {
  add(
    "JoinableQueue.join() waits until every item is done",
    blocking,
    async (world) => {
      using queue = new JoinableQueue<number>(0, { home: world.home });
      await world.does(queue, "join");
      await queue.put(1);
      await world.does(queue, "put", 2);
      const ours = queue.join();
      const theirs = await world.waits(queue, "join");
      await lined(queue, 2);
      await queue.get();
      await queue.get();
      queue.taskDone();
      await assertPending(ours);
      assertEquals(waitersOf(queue), 2);
      if (world.isSync) queue.taskDone();
      else await world.other.call(queue, "taskDone");
      await bounded(Promise.all([ours, theirs.result]));
      await world.does(queue, "join", { timeout: 0 });
      await queue.put(3);
      const again = queue.join();
      await world.does(queue, "get");
      await world.other.call(queue, "taskDone");
      await bounded(again);
    },
  );

  add(
    "JoinableQueue.taskDone() too often is an error, changes nothing",
    async (world) => {
      using queue = new JoinableQueue<number>(0, { home: world.home });
      const refused = async () => {
        assertThrows(() => queue.taskDone(), InvalidStateError);
        const done = world.other.call(queue, "taskDone");
        if (world.isByHub) {
          await done;
          await assertRejects(
            () => world.does(queue, "join"),
            InvalidStateError,
          );
        } else await assertRejects(() => done, InvalidStateError);
      };
      await refused();
      await queue.put(1);
      await queue.get();
      await world.other.call(queue, "taskDone");
      await refused();
      await queue.put(2);
      await assertRejects(
        () => world.does(queue, "join", { timeout: 0 }),
        TimeoutError,
      );
    },
  );

  add("JoinableQueue.join() gives up when its time is over", async (world) => {
    using queue = new JoinableQueue<number>(0, { home: world.home });
    await queue.put(1);
    for (const timeout of [0, 1, 5]) {
      await assertRejects(
        () => world.does(queue, "join", { timeout }),
        TimeoutError,
      );
    }
    for (const [options, type] of BAD_WAITS) {
      await assertRejects(() => world.does(queue, "join", options), type);
    }
    assertEquals(waitersOf(queue), 0);
    if (world.isSync) return;
    const before = world.does(queue, "join", { signal: "aborted" });
    assertEquals(await reasonOf(before), REASON);
    const waiting = await world.waits(queue, "join", { signal: "abortable" });
    await lined(queue, 1);
    await world.other.abort(waiting);
    assertEquals(await reasonOf(waiting.result), REASON);
    await lined(queue, 0);
  });

  add(
    "JoinableQueue.shutdown() counts dropped items as done",
    blocking,
    async (world) => {
      using queue = new JoinableQueue<number>(0, { home: world.home });
      for (const item of [1, 2, 3]) await queue.put(item);
      const theirs = await world.waits(queue, "join");
      await lined(queue, 1);
      await queue.get();
      queue.shutdown({ immediate: true });
      // The one that was got is still to be done.
      assertEquals(waitersOf(queue), 1);
      queue.taskDone();
      await bounded(theirs.result);
      assertThrows(() => queue.taskDone(), InvalidStateError);
    },
  );

  add("JoinableQueue does not count items that were not put", async (world) => {
    using queue = new JoinableQueue<number>(1, { home: world.home });
    await queue.put(1);
    await assertRejects(
      () => world.does(queue, "put", 2, { timeout: 5 }),
      QueueFullError,
    );
    await queue.get();
    queue.taskDone();
    await world.does(queue, "join");
    assertThrows(() => queue.taskDone(), InvalidStateError);
  });

  add("JoinableQueue.close() ends joins that wait", blocking, async (world) => {
    const queue = new JoinableQueue<number>(0, { home: world.home });
    await queue.put(1);
    const theirs = await world.waits(queue, "join");
    await lined(queue, 1);
    const ours = assertRejects(() => queue.join(), ClosedError);
    queue.close();
    await bounded(ours);
    await assertRejects(() => bounded(theirs.result), ClosedError);
    await assertRejects(() => world.does(queue, "join"), ClosedError);
    assertThrows(() => queue.taskDone(), ClosedError);
  });
});

// ---- Pipe ----

class Ends<T = unknown> implements Disposable {
  readonly mine: Connection<T>;
  readonly yours: Connection<T>;

  constructor({ home }: World) {
    [this.mine, this.yours] = Pipe<T>({ home });
  }

  [Symbol.dispose](): void {
    this.mine.close();
    this.yours.close();
  }
}

suite("Pipe", (add) => {
  add("Pipe carries messages both ways, in order", async (world) => {
    using ends = new Ends(world);
    const { mine, yours } = ends;
    await world.record(yours);
    for (let i = 0; i < 5; i++) await mine.send({ number: i });
    for (let i = 0; i < 5; i++) {
      assertEquals(await world.other.call(yours, "recv"), { number: i });
    }
    for (let i = 0; i < 5; i++) await world.other.call(yours, "send", i);
    for (let i = 0; i < 5; i++) assertEquals(await bounded(mine.recv()), i);
    for (const message of [undefined, null, false, "", 0]) {
      await mine.send(message);
      assertEquals(await world.other.call(yours, "recv"), message);
    }
  });

  add(
    "Connection.recv() waits for the other side, both ways",
    async (world) => {
      using ends = new Ends(world);
      const { mine, yours } = ends;
      const theirs: Running[] = [];
      for (let i = 0; i < 3; i++) {
        theirs.push(await world.other.begin(yours, "recv"));
      }
      await lined(mine, 3);
      for (let i = 0; i < 3; i++) await mine.send(i);
      for (const [i, { result }] of theirs.entries()) {
        assertEquals(await bounded(result), i);
      }
      const ours = [mine.recv(), mine.recv({ timeout: 1e8 })];
      for (let i = 0; i < 2; i++) await world.other.call(yours, "send", i);
      assertEquals(await bounded(Promise.all(ours)), [0, 1]);
      assertEquals(waitersOf(mine), 0);
    },
  );

  add("Connection.poll() tells whether something is there", async (world) => {
    using ends = new Ends(world);
    const { mine, yours } = ends;
    for (const options of [undefined, { timeout: 0 }, { timeout: 5 }]) {
      assertEquals(await world.other.call(yours, "poll", options), false);
    }
    const polling = await world.other.begin(yours, "poll", { timeout: 1e8 });
    await lined(mine, 1);
    await mine.send("there");
    assertEquals(await bounded(polling.result), true);
    assertEquals(await world.other.call(yours, "poll"), true);
    assertEquals(await world.other.call(yours, "recv"), "there");
    assertEquals(await world.other.call(yours, "poll"), false);
    mine.close();
    assertEquals(await world.other.call(yours, "poll"), true);
  });

  add(
    "Connection.recv() gives up in time, and when it is aborted",
    async (world) => {
      using ends = new Ends(world);
      const { mine, yours } = ends;
      for (const timeout of [0, 1, 5]) {
        await assertRejects(
          () => world.other.call(yours, "recv", { timeout }),
          TimeoutError,
        );
      }
      const before = world.other.call(yours, "recv", { signal: "aborted" });
      assertEquals(await reasonOf(before), REASON);
      const waiting = await world.other.begin(yours, "recv", {
        signal: "abortable",
      });
      await lined(mine, 1);
      const behind = await world.other.begin(yours, "recv");
      await lined(mine, 2);
      await world.other.abort(waiting);
      assertEquals(await reasonOf(waiting.result), REASON);
      await lined(mine, 1);
      await mine.send("next");
      assertEquals(await bounded(behind.result), "next");
      for (const [options, type] of BAD_WAITS) {
        for (const method of ["recv", "recvBytes", "poll"]) {
          await assertRejects(
            () => world.other.call(yours, method, options),
            type,
          );
        }
        await assertRejects(
          () => world.other.call(yours, "send", "refused", options),
          type,
        );
      }
      assertEquals(await mine.poll(), false);
      assertEquals(waitersOf(mine), 0);
    },
  );

  add("Connection.send() waits while too much is unread", async (world) => {
    using ends = new Ends<Uint8Array>(world);
    const { mine, yours } = ends;
    const [count, size] = [40, 64 * 1024];
    const sending = await world.other.beginScript(
      "sendMany",
      yours,
      count,
      size,
    );
    await until(() => waitersOf(mine) > 0, () => "Everything was sent at once");
    await assertPending(sending.result);
    for (let i = 0; i < count; i++) {
      const message = await bounded(mine.recv());
      assertEquals([message.length, message[0], message.at(-1)], [size, i, i]);
    }
    await bounded(sending.result);
    assertEquals(waitersOf(mine), 0);
  });

  add(
    "Connection.send() gives up in time, and when it is aborted",
    async (world) => {
      using ends = new Ends<Uint8Array>(world);
      const { mine, yours } = ends;
      const full = new Uint8Array(1 << 20);
      await world.other.call(yours, "send", full, { timeout: 1e8 });
      const small = new Uint8Array(1);
      for (const timeout of [0, 5]) {
        await assertRejects(
          () => world.other.call(yours, "send", small, { timeout }),
          TimeoutError,
        );
      }
      const before = world.other.call(yours, "send", small, {
        signal: "aborted",
      });
      assertEquals(await reasonOf(before), REASON);
      const waiting = await world.other.begin(yours, "send", small, {
        signal: "abortable",
      });
      await lined(mine, 1);
      await world.other.abort(waiting);
      assertEquals(await reasonOf(waiting.result), REASON);
      await lined(mine, 0);
      assertEquals((await mine.recv()).length, full.length);
      assertEquals(await mine.poll(), false);
    },
  );

  add("Connection.recvBytes() leaves what it refuses unread", async (world) => {
    using ends = new Ends(world);
    const { mine, yours } = ends;
    await mine.sendBytes(new Uint8Array([0, 1, 255]));
    await assertRejects(
      () => world.other.call(yours, "recvBytes", { maxLength: 2 }),
      RangeError,
    );
    assertEquals(
      await world.other.call(yours, "recvBytes", { maxLength: 3 }),
      new Uint8Array([0, 1, 255]),
    );
    await mine.send("a value");
    await mine.send("another");
    await assertRejects(() => world.other.call(yours, "recvBytes"), TypeError);
    assertEquals(await world.other.call(yours, "recv"), "a value");
    assertEquals(await world.other.call(yours, "recv"), "another");
    await world.other.call(yours, "sendBytes", new Uint8Array(0));
    assertEquals(await bounded(mine.recvBytes()), new Uint8Array(0));
    await assertRejects(
      () => world.other.call(yours, "sendBytes", [1, 2]),
      TypeError,
    );
    for (const maxLength of [-1, 1.5, NaN]) {
      await assertRejects(
        () => world.other.call(yours, "recvBytes", { maxLength }),
        RangeError,
      );
    }
  });

  add("Pipe carries messages of every size", async (world) => {
    using ends = new Ends<[number, Uint8Array]>(world);
    const { mine, yours } = ends;
    for (const [number, size] of SIZES.entries()) {
      await bounded(mine.send([number, pattern(size, number)]));
      const there = await world.other.call<[number, Uint8Array]>(yours, "recv");
      assertEquals([there[0], there[1].length], [number, size]);
      assert(isPattern(there[1], number));
      await world.other.call(yours, "send", there);
      const [back, same] = await bounded(mine.recv());
      assertEquals([back, same.length], [number, size]);
      assert(isPattern(same, number));
    }
  });

  add("Pipe carries shared objects in its messages", async (world) => {
    using ends = new Ends<[number, Lock]>(world);
    using lock = new Lock({ home: world.home });
    const { mine, yours } = ends;
    await mine.send([1, lock]);
    assertEquals(await world.other.script("useLockReceived", yours), true);
    await until(() => !lock.locked, () => "The lock is still held");
    await world.other.call(yours, "send", [2, lock]);
    assertStrictEquals((await bounded(mine.recv()))[1], lock);
  });

  add("Pipe({ duplex: false }) goes one way", async (world) => {
    const [receiver, sender] = Pipe<string>({
      duplex: false,
      home: world.home,
    });
    using _receiver = receiver;
    using _sender = sender;
    await world.other.call(sender, "send", "this way");
    assertEquals(await bounded(receiver.recv()), "this way");
    await assertRejects(
      () => world.other.call(sender, "recv"),
      ConnectionClosedError,
    );
    await assertRejects(() => receiver.send("x"), ConnectionClosedError);
  });

  add(
    "Connection.close() lets the other side read to the end",
    async (world) => {
      using ends = new Ends(world);
      const { mine, yours } = ends;
      await mine.send("last");
      mine.close();
      mine.close();
      assert(mine.closed);
      assertEquals(await world.other.call(yours, "recv"), "last");
      for (let i = 0; i < 2; i++) {
        await assertRejects(
          () => world.other.call(yours, "recv"),
          ConnectionClosedError,
        );
      }
      await assertRejects(() => mine.recv(), ConnectionClosedError);
      await assertRejects(() => mine.send("x"), ConnectionClosedError);
      assertFalse(await world.other.get(yours, "closed"));
      await assertRejects(
        () => world.other.call(yours, "send", "x", { timeout: 1e8 }),
        ConnectionClosedError,
      );
    },
  );

  add(
    "Connection.close() ends the other side's recv(), both ways",
    async (world) => {
      using ends = new Ends(world);
      const theirs = await world.other.begin(ends.yours, "recv");
      await lined(ends.mine, 1);
      ends.mine.close();
      await assertRejects(() => bounded(theirs.result), ConnectionClosedError);

      using others = new Ends(world);
      const { mine, yours } = others;
      await world.other.call(yours, "send", "last words", { timeout: 1e8 });
      const [first, second] = [mine.recv(), reasonOf(mine.recv())];
      await world.other.call(yours, "close");
      await world.other.call(yours, "close");
      assertEquals(await bounded(first), "last words");
      assertInstanceOf(await second, ConnectionClosedError);
      await assertRejects(() => mine.send("x"), ConnectionClosedError);
    },
  );
});
