// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { ClosedError, SerializationError } from "../../ipc/errors.ts";
import { ShareableList } from "../../ipc/shareable_list.ts";
import { SharedMemory } from "../../ipc/shared_memory.ts";
import { taskRef } from "../../ipc/task_ref.ts";
import { Process } from "../../process/mod.ts";
import { bounded } from "./_waits.ts";

/** Takes the name away at the end of a test, however it ends. */
function unlinked(shm: SharedMemory): Disposable {
  return { [Symbol.dispose]: () => shm.unlink() };
}

Deno.test("ShareableList holds values of every type", () => {
  const items = ["Ada", 36, -0.5, 2n ** 62n, true, null, new Uint8Array([0])];
  using list = new ShareableList(items);
  using _ = unlinked(list.shm);

  assertEquals(list.length, 7);
  assertEquals(list.toArray(), items);
  assertEquals([...list], items);
  items.forEach((item, i) => assertEquals(list.get(i), item));
  assertEquals(
    items.map((_, i) => list.format(i)),
    ["string", "int", "float", "bigint", "boolean", "null", "bytes"],
  );
});

Deno.test("ShareableList.set() may change the type of a slot", () => {
  using list = new ShareableList<string | number | null>(["one", 2, null]);
  using _ = unlinked(list.shm);

  list.set(0, 1);
  list.set(1, "two");
  list.set(-1, 2.5);
  assertEquals(list.toArray(), [1, "two", 2.5]);
  assertEquals(list.get(-3), 1);
});

Deno.test("ShareableList.set() refuses what does not fit or is no value", () => {
  using list = new ShareableList<string>(["short"]);
  using _ = unlinked(list.shm);

  assertThrows(
    () => list.set(0, "longer than that"),
    RangeError,
    'Cannot set item 0: "longer than that" takes 16 bytes, the slot has 8',
  );
  assertThrows(() => list.set(1, ""), RangeError, "the list has 1 items");
  assertThrows(() => list.get(-2), RangeError, "the list has 1 items");
  assertThrows(() => list.format(1), RangeError, "the list has 1 items");
  assertThrows(() => list.set(0, {} as string), TypeError, "an object");
  assertEquals(list.toArray(), ["short"]);
});

Deno.test("ShareableList opened by name is the same list", () => {
  using list = new ShareableList<string | number>(["a", 1]);
  using _ = unlinked(list.shm);
  using same = new ShareableList<string | number>({ name: list.shm.name });

  assertEquals(same.length, 2);
  same.set(0, "b");
  assertEquals(list.get(0), "b");
  list.set(1, 0.5);
  assertEquals(same.toArray(), ["b", 0.5]);

  same.close();
  assertEquals(list.get(0), "b");
});

Deno.test("ShareableList takes the name it is given", () => {
  const name = `list_test_${Deno.pid}`;
  using list = new ShareableList([1], { name });
  using _ = unlinked(list.shm);

  assertEquals(list.shm.name, name);
  assertThrows(() => new ShareableList([2], { name }));
  assertEquals(list.toArray(), [1], "the first one is as it was");
});

Deno.test("ShareableList takes items from any iterable", () => {
  using list = new ShareableList(new Set(["a", "b"]));
  using _ = unlinked(list.shm);
  using text = new ShareableList("ab");
  using __ = unlinked(text.shm);
  using empty = new ShareableList([]);
  using ___ = unlinked(empty.shm);

  assertEquals(list.toArray(), ["a", "b"]);
  assertEquals(text.toArray(), ["a", "b"]);
  assertEquals(empty.toArray(), []);
  assertEquals(empty.length, 0);
  assertThrows(() => empty.get(0), RangeError, "the list has 0 items");
});

Deno.test("ShareableList.count() and index() find equal values", () => {
  using list = new ShareableList(
    [1, 1n, true, NaN, "a", 1, null, new Uint8Array([1]), 0],
  );
  using _ = unlinked(list.shm);

  assertEquals(list.count(1), 2);
  assertEquals(list.count(1n), 1);
  assertEquals(list.count(NaN), 1);
  assertEquals(list.count(-0), 1);
  assertEquals(list.count(new Uint8Array([1])), 1);
  assertEquals(list.count(new Uint8Array([1, 2])), 0);
  assertEquals(list.count("b"), 0);

  assertEquals(list.index(true), 2);
  assertEquals(list.index(NaN), 3);
  assertEquals(list.index(null), 6);
  assertEquals(list.index(new Uint8Array([1])), 7);
  assertEquals(list.indexOf("a"), 4);
  assertEquals(list.indexOf("b"), -1);
  assertThrows(
    () => list.index("b"),
    RangeError,
    'Cannot find index: "b" is not in the list',
  );
});

Deno.test("ShareableList refuses arguments that are neither items nor a name", () => {
  for (const bad of [undefined, null, 5, true, () => {}]) {
    assertThrows(
      () => new ShareableList(bad as unknown as string[]),
      TypeError,
      "the first argument must be items or options",
    );
  }
  for (const name of [undefined, null, 5]) {
    assertThrows(
      () => new ShareableList({ name: name as unknown as string }),
      TypeError,
      `"name" must be a string, received ${name}`,
    );
  }
});

Deno.test("ShareableList that cannot be made leaves no memory behind", () => {
  const name = `list_test_bad_${Deno.pid}`;
  for (const item of [undefined, {}, 2n ** 64n]) {
    assertThrows(() => new ShareableList([item as string], { name }));
  }
  using list = new ShareableList([1], { name });
  using _ = unlinked(list.shm);
  assertEquals(list.toArray(), [1]);
});

Deno.test("ShareableList refuses memory that holds no list", () => {
  using memory = new SharedMemory({ create: true, size: 100 });
  using _ = unlinked(memory);
  const { name } = memory;
  assertThrows(() => new ShareableList({ name }), SerializationError);

  memory.buf.fill(0xff);
  assertThrows(() => new ShareableList({ name }), SerializationError);
});

Deno.test("ShareableList throws once it is closed, but knows its length", () => {
  const list = new ShareableList(["a"]);
  using _ = unlinked(list.shm);
  {
    using disposed = list;
    assertEquals(disposed.get(0), "a");
  }
  list.close(); // Nothing happens.

  assertEquals(list.length, 1);
  assert(list.shm.closed);
  for (
    const call of [
      () => list.get(0),
      () => list.set(0, "b"),
      () => list.format(0),
      () => list.count("a"),
      () => list.index("a"),
      () => list.toArray(),
    ]
  ) assertThrows(call, ClosedError);
});

Deno.test("ShareableList.unlink() takes the name away, the list stays", () => {
  using list = new ShareableList(["a"]);
  const { name } = list.shm;
  list.unlink();

  const error = assertThrows(() => new ShareableList({ name }), Error);
  assertStringIncludes(error.message, name);
  assertEquals(list.get(0), "a");
});

const FIXTURE = import.meta.resolve("./fixtures/list_answer.ts");

Deno.test("ShareableList works in another process", async () => {
  using list = new ShareableList<string | number>(["ping", 0]);
  using _ = unlinked(list.shm);
  for (const way of ["name", "value"] as const) {
    list.set(0, "ping");
    await using child = new Process({
      target: taskRef<[unknown], void>(FIXTURE, "answer"),
      args: [way === "name" ? list.shm.name : list],
    });
    child.start();
    await bounded(child.result);
    assertEquals(list.toArray(), ["pong", 41.5]);
  }
});
