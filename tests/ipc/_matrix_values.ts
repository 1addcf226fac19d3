// Copyright 2026 the multitask authors. MIT license.
// How shared numbers and memory behave, over every home and way.

import {
  assert,
  assertEquals,
  assertFalse,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  ClosedError,
  type NumberType,
  PermissionNeededError,
  type RLock,
  ShareableList,
  SharedArray,
  SharedMemory,
  Value,
} from "../../ipc/mod.ts";
import type { KeptGuard } from "./fixtures/matrix_side.ts";
import {
  elsewhere,
  onlyAsync,
  onlySync,
  suite,
  type World,
} from "./_matrix.ts";
import { bounded } from "./_waits.ts";

/** For each type a number, one to add, and what that makes: it wraps around. */
const NUMBERS: readonly (readonly [
  NumberType,
  number | bigint,
  number | bigint,
  number | bigint,
])[] = [
  ["i8", 127, 1, -128],
  ["u8", 255, 2, 1],
  ["i16", -32768, -1, 32767],
  ["u16", 65535, 1, 0],
  ["i32", 2 ** 31 - 1, 1, -(2 ** 31)],
  ["u32", 0, -1, 2 ** 32 - 1],
  ["f32", 0.5, 0.25, 0.75],
  ["f64", 0.1, 0.2, 0.1 + 0.2],
  ["i64", 2n ** 63n - 1n, 1n, -(2n ** 63n)],
  ["u64", 0n, -1n, 2n ** 64n - 1n],
];

// ---- Value ----

suite("Value", (add) => {
  add("Value.add() gives the old number and wraps around", async (world) => {
    for (const [type, start, amount, result] of NUMBERS) {
      using value = new Value(type, start, { home: world.home });
      await world.record(value);
      assertEquals(await world.does(value, "add", amount), start);
      assertEquals(value.value, result);
      assertEquals(await world.other.get(value, "value"), result);
      assertEquals(await value.add(amount), result);
      assertEquals(await world.other.call(value, "get"), await value.get());
    }
  });

  add("Value.compareExchange() gives the old number", async (world) => {
    for (const [type, start, , next] of NUMBERS) {
      using value = new Value(type, start, { home: world.home });
      assertEquals(
        await world.does(value, "compareExchange", next, start),
        start,
      );
      assertEquals(value.value, start);
      assertEquals(
        await world.does(value, "compareExchange", start, next),
        start,
      );
      assertEquals(value.value, next);
      assertEquals(await value.compareExchange(next, start), next);
      assertEquals(await world.other.get(value, "value"), start);
    }
  });

  add(
    "Value.value and set() store numbers as their type has them",
    async (world) => {
      for (const [type, start, , next] of NUMBERS) {
        using value = new Value(type, start, { home: world.home });
        await world.other.set(value, "value", next);
        assertEquals(value.value, next);
        value.value = start;
        assertEquals(await world.other.get(value, "value"), start);
        await world.other.call(value, "set", next);
        assertEquals(await value.get(), next);
        await value.set(start);
        assertEquals(await world.other.call(value, "get"), start);
      }
      using value = new Value("u8", 0, { home: world.home });
      await world.other.set(value, "value", -1);
      assertEquals(value.value, 255);
      await world.other.call(value, "set", 256.7);
      assertEquals(value.value, 0);
      using float = new Value("f64", 0, { home: world.home });
      for (const number of [NaN, Infinity, -0, 1e-320]) {
        await world.other.call(float, "set", number);
        assert(Object.is(float.value, number));
        assert(Object.is(await world.other.get(float, "value"), number));
      }
      // As it is stored, NaN is what it is.
      float.value = NaN;
      await world.does(float, "compareExchange", NaN, 1);
      assertEquals(float.value, 1);
    },
  );

  add(
    "Value refuses numbers of another kind, and keeps its own",
    async (world) => {
      using small = new Value("i32", 1, { home: world.home });
      using big = new Value("u64", 1n, { home: world.home });
      for (const bad of [1n, "1", null, undefined, {}]) {
        await assertRejects(() => world.does(small, "add", bad), TypeError);
        await assertRejects(
          () => world.does(small, "compareExchange", 1, bad),
          TypeError,
        );
        await assertRejects(
          () => world.does(small, "compareExchange", bad, 2),
          TypeError,
        );
        await assertRejects(
          () => world.other.call(small, "set", bad),
          TypeError,
        );
        await assertRejects(
          () => world.other.set(small, "value", bad),
          TypeError,
        );
      }
      for (const bad of [1, "1", null, undefined, {}]) {
        await assertRejects(() => world.does(big, "add", bad), TypeError);
        await assertRejects(() => world.other.call(big, "set", bad), TypeError);
        await assertRejects(
          () => world.other.set(big, "value", bad),
          TypeError,
        );
      }
      assertEquals([small.value, big.value], [1, 1n]);
      const { home } = world;
      for (const type of ["i33", "", "toString", 5]) {
        assertThrows(() => new Value(type as "i32", 1, { home }), TypeError);
      }
      assertThrows(() => new Value("i64", 1 as unknown as bigint), TypeError);
      assertThrows(() => new Value("i32", 1n as unknown as number), TypeError);
    },
  );

  add("Value.add() loses nothing when both sides add", async (world) => {
    const times = 20_000;
    using value = new Value("i32", 0, { home: world.home });
    const theirs = await world.other.beginScript(
      "addMany",
      value,
      times,
      world.isSync,
    );
    for (let i = 0; i < times; i++) await value.add(1);
    await bounded(theirs.result);
    assertEquals(value.value, 2 * times);
  });

  add("Value.lock is one lock for both sides", async (world) => {
    using value = new Value("i32", 0, { home: world.home });
    const theirs = await world.other.get<RLock>(value, "lock");
    assertStrictEquals(theirs, value.lock);
    const guard = await world.does<KeptGuard>(value.lock, "acquire");
    assert(value.lock.locked);
    assertEquals(await value.lock.tryAcquire(), null);
    await world.other.call(guard, "release");
    assertFalse(value.lock.locked);
  });

  add("Value.close() by its owner ends it for all", async (world) => {
    const value = new Value("i32", 0, { home: world.home });
    await world.does(value, "add", 1);
    value.close();
    value.close();
    await assertRejects(() => world.does(value, "add", 1), ClosedError);
    await assertRejects(
      () => world.does(value, "compareExchange", 1, 2),
      ClosedError,
    );
    await assertRejects(() => world.other.get(value, "value"), ClosedError);
    await assertRejects(() => world.other.call(value, "get"), ClosedError);
    await assertRejects(() => world.other.call(value, "set", 1), ClosedError);
    await assertRejects(() => value.add(1), ClosedError);
    assertThrows(() => value.addSync(1), ClosedError);
    assertThrows(() => value.value, ClosedError);
    assertThrows(() => value.value = 1, ClosedError);
  });

  add(
    "Value.close() by a user closes it there only",
    elsewhere,
    async (world) => {
      using value = new Value("i32", 0, { home: world.home });
      await world.does(value, "add", 1);
      await world.other.call(value, "close");
      assertEquals(await value.add(1), 1);
      assertEquals(await world.does(value, "add", 1), 2);
    },
  );
});

// ---- SharedArray ----

/** What a use of memory out of reach gets. */
async function assertOutOfReach(use: () => Promise<unknown>): Promise<void> {
  const error = await assertRejects(use, PermissionNeededError);
  assertEquals(error.flag, "--allow-ffi");
}

suite("SharedArray", (add) => {
  add("SharedArray.get() and set() go everywhere", onlyAsync, async (world) => {
    for (const [type, start, , next] of NUMBERS) {
      using array = new SharedArray(type, [start, next], { home: world.home });
      await world.record(array);
      assertEquals(await world.other.get(array, "length"), 2);
      assertEquals(await world.other.call(array, "get", 0), start);
      assertEquals(await world.other.call(array, "get", 1), next);
      await world.other.call(array, "set", 0, next);
      assertEquals(await array.get(0), next);
      assertEquals(array.view[0], next);
      await array.set(1, start);
      assertEquals(await world.other.call(array, "get", 1), start);
    }
  });

  add(
    "SharedArray refuses what it has not, and keeps what it has",
    onlyAsync,
    async (world) => {
      const { home, other } = world;
      using array = new SharedArray("i16", [1, 2], { home });
      using big = new SharedArray("i64", [1n], { home });
      for (const index of [-1, 2, 1.5, NaN, Infinity, "0", null, 0n]) {
        await assertRejects(() => other.call(array, "get", index), RangeError);
        await assertRejects(
          () => other.call(array, "set", index, 5),
          RangeError,
        );
      }
      for (const value of [1n, "1", null, undefined]) {
        await assertRejects(
          () => other.call(array, "set", 0, value),
          TypeError,
        );
      }
      await assertRejects(() => other.call(big, "set", 0, 1), TypeError);
      assertEquals([...array.view, ...big.view], [1, 2, 1n]);
      for (const length of [-1, 1.5, NaN, Infinity]) {
        assertThrows(() => new SharedArray("i8", length, { home }), RangeError);
      }
      assertThrows(
        () => new SharedArray("i9" as "i8", 1, { home }),
        TypeError,
      );
      assertThrows(
        () => new SharedArray("i8", ["1"] as unknown as number[], { home }),
        TypeError,
      );
      using empty = new SharedArray("f64", 0, { home });
      assertEquals(await other.get(empty, "length"), 0);
      assertEquals(empty.view.length, 0);
      await assertRejects(() => other.call(empty, "get", 0), RangeError);
    },
  );

  add(
    "SharedArray.view is the same memory on both sides",
    onlySync,
    async (world) => {
      for (const [type, start, , next] of NUMBERS) {
        using array = new SharedArray(type, [start, start], {
          home: world.home,
        });
        await world.record(array);
        const view = array.view as { [index: number]: number | bigint };
        const use = (index: number, value: number | bigint) =>
          world.other.script("useView", array, index, value);
        if (world.isByHub) {
          await assertOutOfReach(() => use(0, next));
          continue;
        }
        assertEquals(await use(0, next), [start, 2]);
        assertEquals(view[0], next);
        view[1] = next;
        assertEquals(await use(1, start), [next, 2]);
        assertEquals(view[1], start);
        assertEquals(await array.get(1), start);
      }
    },
  );

  add("SharedArray.view is empty after close()", onlySync, async (world) => {
    using array = new SharedArray("i32", [1, 2, 3], { home: world.home });
    const { view } = array;
    // Memory of a thread cannot be taken away.
    const left = world.home === "mapped" ? 0 : 3;
    if (world.isByHub) {
      await assertOutOfReach(() => world.other.script("closeView", array));
    } else {
      assertEquals(await world.other.script("closeView", array), [
        left,
        "ClosedError",
        undefined,
      ]);
    }
    if (!world.isHere) {
      assertEquals([...view], [1, 2, 3]);
      array.close();
    }
    array.close();
    assertEquals(view.length, left);
    assertThrows(() => array.view, ClosedError);
    await assertRejects(() => array.get(0), ClosedError);
    await assertRejects(() => array.set(0, 1), ClosedError);
  });

  add(
    "SharedArray.close() by its owner leaves it to others",
    elsewhere,
    async (world) => {
      const array = new SharedArray("i32", [1, 2], { home: world.home });
      // It has to be known there: who has nothing keeps nothing.
      const other = new SharedArrayHolder(world, array);
      assertEquals(await other.get(0), 1);
      array.close();
      assertEquals(await other.get(1), 2);
      await other.close();
    },
  );

  add(
    "SharedArray.lock is one lock for both sides",
    onlyAsync,
    async (world) => {
      using array = new SharedArray("i32", 1, { home: world.home });
      const theirs = await world.other.get<RLock>(array, "lock");
      assertStrictEquals(theirs, array.lock);
      const guard = await world.does<KeptGuard>(array.lock, "acquire");
      assert(array.lock.locked);
      await world.other.call(guard, "release");
    },
  );
});

/** An array that the other side keeps. */
class SharedArrayHolder {
  readonly #world: World;
  readonly #kept: Promise<{ readonly kept: number }>;

  constructor(world: World, array: SharedArray<"i32">) {
    this.#world = world;
    this.#kept = world.other.script("keep", array);
  }

  async get(index: number): Promise<unknown> {
    const { other, isSync, isByHub } = this.#world;
    if (!isSync || isByHub) {
      return await other.call(await this.#kept, "get", index);
    }
    return (await other.script<unknown[]>(
      "useView",
      await this.#kept,
      index,
      0,
    ))[0];
  }

  async close(): Promise<void> {
    await this.#world.other.call(await this.#kept, "close");
  }
}

// ---- SharedMemory ----

suite("SharedMemory", (add) => {
  add("SharedMemory that is passed is the same memory", async (world) => {
    const { home, other } = world;
    using memory = new SharedMemory({ create: true, size: 5000, home });
    await world.record(memory);
    const fill = (at: number, byte: number) =>
      other.script("fillBytes", memory, at, byte);
    memory.buf[0] = 42;
    if (world.isByHub) {
      await assertOutOfReach(() => fill(0, 43));
      await assertOutOfReach(() => other.get(memory, "size"));
      assertEquals(await other.get(memory, "name"), memory.name);
    } else {
      assertEquals(await fill(0, 43), 42);
      assertEquals(await fill(4999, 44), 0);
      assertEquals([memory.buf[0], memory.buf[4999]], [43, 44]);
      assertEquals(await other.get(memory, "size"), 5000);
      assertEquals(await other.get(memory, "name"), memory.name);
    }
    memory.unlink();
  });

  add("SharedMemory is found by its name", async (world) => {
    const { home, other } = world;
    const name = `matrix-${crypto.randomUUID()}-ä`;
    using memory = new SharedMemory({ name, create: true, size: 16, home });
    memory.buf[3] = 42;
    const open = () => other.script("openByName", name, 3, 43);
    if (world.isByHub) {
      const error = await assertRejects(open, Error);
      assertEquals(error.name, "NotFound");
    } else {
      assertEquals(await open(), [16, name, 42]);
      assertEquals(memory.buf[3], 43);
    }
    using same = new SharedMemory({ name });
    assertEquals(same.buf[3], world.isByHub ? 42 : 43);
    assertThrows(
      () => new SharedMemory({ name, create: true, size: 1, home }),
      Deno.errors.AlreadyExists,
    );
    memory.unlink();
    memory.unlink();
    const gone = await assertRejects(open, Error);
    assertEquals(gone.name, "NotFound");
    assertThrows(() => new SharedMemory({ name }), Deno.errors.NotFound);
    // Who has it keeps it.
    same.buf[4] = 45;
    assertEquals(memory.buf[4], 45);
  });

  add(
    "SharedMemory stays under its name when its maker closes it",
    async (world) => {
      const { home, other } = world;
      const memory = new SharedMemory({ create: true, size: 4, home });
      const { name } = memory;
      memory.buf[0] = 42;
      memory.close();
      if (!world.isByHub) {
        assertEquals(await other.script("openByName", name, 0, 43), [
          4,
          name,
          42,
        ]);
      }
      {
        using again = new SharedMemory({ name });
        assertEquals(again.buf[0], world.isByHub ? 42 : 43);
        again.unlink();
        assertEquals(again.buf[0], world.isByHub ? 42 : 43);
      }
      assertThrows(() => new SharedMemory({ name }), Deno.errors.NotFound);
    },
  );

  add("SharedMemory.close() takes the way to it", async (world) => {
    const { home, other } = world;
    using memory = new SharedMemory({ create: true, size: 8, home });
    memory.unlink();
    const { buf } = memory;
    buf[0] = 42;
    const left = home === "mapped" ? 0 : 8;
    if (world.isByHub) {
      await assertOutOfReach(() => other.script("closeMemory", memory));
    } else {
      assertEquals(await other.script("closeMemory", memory), [
        left,
        "ClosedError",
        true,
      ]);
    }
    if (!world.isHere) {
      assertEquals([buf.length, buf[0], memory.closed], [8, 42, false]);
      memory.close();
    }
    memory.close();
    assertEquals([buf.length, memory.closed], [left, true]);
    assertThrows(() => memory.buf, ClosedError);
    assertThrows(() => memory.size, ClosedError);
  });

  add("SharedMemory() refuses bad options and makes nothing", (world) => {
    const { home } = world;
    for (const size of [0, -1, 1.5, NaN]) {
      assertThrows(
        () => new SharedMemory({ create: true, size, home }),
        RangeError,
      );
    }
    assertThrows(() => new SharedMemory({ create: true, home }), TypeError);
    assertThrows(() => new SharedMemory({ home }), TypeError);
    const name = 5 as unknown as string;
    assertThrows(() => new SharedMemory({ name, home }), TypeError);
    assertThrows(
      () => new SharedMemory({ name: "ä".repeat(128), home }),
      RangeError,
    );
    return Promise.resolve();
  });
});

// ---- ShareableList ----

suite("ShareableList", (add) => {
  add("ShareableList is the same list on both sides", async (world) => {
    const { home, other } = world;
    const values = ["text", 1.5, 7, 7n, true, null, new Uint8Array([1, 2])];
    using list = new ShareableList<string | number | null>(
      values as string[],
      { home },
    );
    await world.record(list);
    if (world.isByHub) {
      for (const method of ["get", "set", "toArray"]) {
        await assertOutOfReach(() => other.call(list, method, 0, 1));
      }
      await assertOutOfReach(() => other.get(list, "length"));
    } else {
      assertEquals(await other.script("items", list), [7, values]);
      await other.call(list, "set", 1, null);
      await other.call(list, "set", -2, 2.5);
      await other.call(list, "set", 0, "äb");
      assertEquals(list.toArray().slice(0, 2), ["äb", null]);
      assertEquals(list.get(5), 2.5);
      list.set(0, "cd");
      assertEquals(await other.call(list, "get", 0), "cd");
      await assertRejects(() => other.call(list, "get", 7), RangeError);
      await assertRejects(
        () => other.call(list, "set", 0, "much too long for it"),
        RangeError,
      );
      assertEquals(await other.call(list, "get", 0), "cd");
    }
    list.unlink();
  });

  add("ShareableList.close() takes the way to it", async (world) => {
    const { home, other } = world;
    using list = new ShareableList<number>([1, 2], { home });
    if (!world.isHere) {
      await other.call(list, "close");
      assertEquals(list.toArray(), [1, 2]);
    }
    list.unlink();
    list.close();
    list.close();
    assertThrows(() => list.get(0), ClosedError);
    assertThrows(() => list.set(0, 1), ClosedError);
    assertEquals(list.length, 2);
  });
});
