// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertLess,
  assertNotStrictEquals,
  assertThrows,
  fail,
} from "@std/assert";
import {
  compareBytes,
  compareRanges,
  priorityKey,
} from "../../ipc/_priority_key.ts";
import { type Random, seeded } from "./_random.ts";

/** -1, 0 or 1, by the keys. */
function order(a: unknown, b: unknown): number {
  return Math.sign(compareBytes(priorityKey(a), priorityKey(b)));
}

/** Each item comes before all that follow it. */
function assertAscending(items: readonly unknown[]): void {
  items.forEach((a, i) => {
    items.forEach((b, j) => {
      assertEquals(order(a, b), Math.sign(i - j), Deno.inspect([a, b]));
    });
  });
}

function assertSameKey(...items: unknown[]): void {
  for (const item of items) {
    assertEquals(priorityKey(item), priorityKey(items[0]), Deno.inspect(item));
  }
}

Deno.test("priorityKey() orders numbers by value", () => {
  const positive = [
    5e-324,
    2 ** -1022,
    1e-300,
    0.1,
    0.1 + 0.2,
    0.5,
    1 - 2 ** -53,
    1,
    1 + 2 ** -52,
    1.5,
    2,
    126.5,
    127,
    127.5,
    128,
    255,
    256,
    32767,
    32768,
    65535.999,
    65536,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32 + 0.5,
    2 ** 52 - 0.5,
    2 ** 52,
    Number.MAX_SAFE_INTEGER,
    2 ** 53,
    2 ** 53 + 2,
    2 ** 64,
    1e100,
    1.5e300,
    Number.MAX_VALUE,
    Infinity,
  ];
  const negative = positive.map((value) => -value).reverse();
  assertAscending([...negative, 0, ...positive]);
});

Deno.test("priorityKey() orders bigints and numbers together, exactly", () => {
  assertAscending([
    -Infinity,
    -(1n << 4096n),
    -Number.MAX_VALUE,
    -(2n ** 64n),
    -(2n ** 53n) - 1n,
    -(2 ** 53),
    -1n,
    -0.5,
    0n,
    0.5,
    1n,
    2n ** 53n - 1n,
    2 ** 53,
    2n ** 53n + 1n,
    2 ** 53 + 2,
    BigInt(Number.MAX_VALUE) - 1n,
    Number.MAX_VALUE,
    BigInt(Number.MAX_VALUE) + 1n,
    1n << 4096n,
    (1n << 4096n) + 1n,
    Infinity,
  ]);
});

Deno.test("priorityKey() is the same for values that are equal in Python", () => {
  assertSameKey(0, -0, 0n, false, [0], [-0], [false]);
  assertSameKey(1, 1n, true, [true], [1n]);
  assertSameKey(2 ** 53, 2n ** 53n);
  assertSameKey(-(2 ** 70), -(2n ** 70n));
  assertSameKey([[]], [[]]);
});

Deno.test("priorityKey() orders strings by code point", () => {
  assertAscending([
    "",
    "\0",
    "\0\0",
    "\0a",
    "A",
    "Z",
    "a",
    "a\0",
    "aa",
    "b",
    "\x7f",
    "\x80",
    "\u07ff",
    "\u0800",
    "\ud7ff",
    "\ud800", // alone, as in Python
    "\ud800a",
    "\udc00",
    "\udfff",
    "\ue000",
    "\uffff",
    "\u{10000}", // after U+FFFF, though its first unit is 0xd800
    "\u{10000}a",
    "\u{10ffff}",
  ]);
});

Deno.test("priorityKey() orders dates by time", () => {
  assertAscending([
    new Date(-8.64e15),
    new Date(-1),
    new Date(0),
    new Date(1),
    new Date("2026-01-01"),
    new Date(8.64e15),
  ]);
});

Deno.test("priorityKey() orders bytes bytewise", () => {
  assertAscending(
    [[], [0], [0, 0], [0, 1], [0, 0xff], [1], [1, 0], [0xff], [0xff, 0], [
      0xff,
      0xff,
    ]]
      .map((bytes) => new Uint8Array(bytes)),
  );
});

Deno.test("priorityKey() orders arrays element by element, the shorter first", () => {
  assertAscending([
    [],
    [-1, "z"],
    [0],
    [0, 0],
    [0, ""],
    [0, "a", -1],
    [0, "a", 1],
    [0, "a\0"],
    [0, "b"],
    [0, new Uint8Array()],
    [0, new Uint8Array(), 0],
    [0, new Uint8Array([0])],
    [0, []],
    [0, [], 0],
    [0, [-5]],
    [0, [1]],
    [0, [1], 5],
    [0, [1, 0]],
    [0, [[]]],
    [0.5],
    [1],
    [[], 0],
    [[1], 2],
    [[1, 1], 0],
  ]);
});

Deno.test("priorityKey() keeps what follows a number apart from its fraction", () => {
  assertAscending([
    [-6],
    [-5.5],
    [-5.5, -1],
    [-5],
    [-5, -1],
    [-5, [[]]],
    [5],
    [5, -1],
    [5, [[]]],
    [5.5],
    [5.5, 0],
    [6],
  ]);
});

Deno.test("priorityKey() orders different kinds by kind", () => {
  assertAscending([
    Infinity,
    new Date(-8.64e15),
    new Date(8.64e15),
    "",
    "\u{10ffff}",
    new Uint8Array(),
    new Uint8Array([0xff, 0xff]),
    [[]],
  ]);
  assertEquals(order(true, "1"), -1);
  assertEquals(order(5n, new Date(0)), -1);
});

Deno.test("priorityKey() ends at the first element that is not comparable", () => {
  for (const other of [{}, () => {}, Symbol(), null, undefined, /a/, [{}]]) {
    assertSameKey([1], [1, other], [1, other, 2], [1, other, NaN]);
    assertAscending([[1, other], [1, 0]]);
    assertAscending([[1, [2, other], 9], [1, [2], 0]]);
    assertSameKey([1, [2, other], 3], [1, [2, other], 4]);
  }
  // deno-lint-ignore no-sparse-arrays
  assertSameKey([1], [1, , 2]);
  assertSameKey([1], [1, Object(2)]);
});

Deno.test("priorityKey() refuses an item that nothing orders, and says what to do", () => {
  class Job {}
  for (
    const [item, received] of [
      [new Job(), "a Job"],
      [{}, "an object"],
      [null, "null"],
      [undefined, "undefined"],
      [() => {}, "function"],
      [Symbol("s"), "Symbol(s)"],
      [[{}, 1], "an object"],
      [[undefined], "undefined"],
      [[[{}], 1], "an object"],
    ]
  ) {
    const error = assertThrows(() => priorityKey(item), TypeError);
    assert(error.message.startsWith("Cannot put item: "));
    assert(error.message.includes(`received ${received}`), error.message);
    assert(error.message.endsWith("; put [priority, item]"));
  }
});

Deno.test("priorityKey() refuses what has no place in an order", () => {
  for (
    const item of [NaN, [NaN], [1, NaN], [1, [NaN]], new Date(NaN), [
      0,
      new Date(NaN),
    ]]
  ) {
    assertThrows(() => priorityKey(item), RangeError, "no place in an order");
  }
  assertEquals(order(1, 2), -1, "a refused item leaves nothing behind");
});

Deno.test("priorityKey() refuses arrays that are nested too deep, and cycles", () => {
  const nested = (levels: number): unknown => {
    let item: unknown = 1;
    for (let i = 0; i < levels; i++) item = [item];
    return item;
  };
  assertEquals(order(nested(32), nested(32)), 0);
  assertThrows(() => priorityKey(nested(33)), RangeError, "more than 32");
  const cycle: unknown[] = [1];
  cycle.push(cycle, cycle);
  assertThrows(() => priorityKey(cycle), RangeError, "more than 32");
  const ring: unknown[] = [];
  ring.push(ring);
  assertThrows(() => priorityKey(ring), RangeError, "more than 32");
});

Deno.test("priorityKey() stays right when a getter asks for a key", () => {
  const inner = (index: number) => {
    const item = [3, 4, 5];
    Object.defineProperty(item, index, {
      get: () => priorityKey(["other", "key"]).length,
    });
    return item;
  };
  const length = priorityKey(["other", "key"]).length;
  assertSameKey([length, 4, 5], inner(0));
  assertSameKey([3, 4, length], inner(2));
});

Deno.test("priorityKey() gives a result that the next call leaves alone", () => {
  for (const text of ["a", "b".repeat(300), "c".repeat(100_000)]) {
    const first = priorityKey(text);
    const copy = first.slice();
    const second = priorityKey("z".repeat(text.length));
    assertNotStrictEquals(first, second);
    assertEquals(first, copy);
    assertEquals(first.length, text.length + 2);
  }
});

Deno.test("priorityKey() is short for a small number", () => {
  for (const item of [0, 1, 127, -127, [5, {}]]) {
    assertLess(priorityKey(item).length, 3);
  }
});

Deno.test("compareRanges() compares ranges of one array", () => {
  const bytes = new Uint8Array([9, 1, 2, 9, 1, 2, 3, 0]);
  assertEquals(compareRanges(bytes, 1, 3, 4, 6), 0);
  assertEquals(Math.sign(compareRanges(bytes, 1, 3, 4, 7)), -1);
  assertEquals(Math.sign(compareRanges(bytes, 4, 7, 1, 3)), 1);
  assertEquals(Math.sign(compareRanges(bytes, 1, 4, 4, 7)), 1);
  assertEquals(Math.sign(compareRanges(bytes, 7, 8, 0, 1)), -1);
  assertEquals(compareRanges(bytes, 2, 2, 5, 5), 0);
  assertEquals(Math.sign(compareRanges(bytes, 2, 2, 7, 8)), -1);
});

Deno.test("priorityKey() orders any two items as Python's rules do", async () => {
  await seeded((random) => {
    for (let round = 0; round < 50_000; round++) {
      const a = randomItem(random);
      // Mostly items that have much in common.
      const b = random.oneIn(3) ? randomItem(random) : changed(random, a);
      const key = priorityKey(a);
      const other = priorityKey(b);
      const expected = compareItems(a, b);
      const all = new Uint8Array([...key, 7, ...other]);
      const start = key.length + 1;
      const results = [
        compareBytes(key, other),
        compareRanges(all, 0, key.length, start, all.length),
      ];
      for (const result of results) {
        if (Math.sign(result) === expected) continue;
        fail(Deno.inspect([a, b, results, expected], { depth: 9 }));
      }
    }
  });
});

/** Stands for an element that is not comparable. */
const STOP = Object.freeze({});

function randomItem(random: Random): unknown {
  if (random.oneIn(3)) return randomScalar(random);
  const item = randomArray(random, 1);
  return hasFirst(item) ? item : [0, ...item];
}

function randomArray(random: Random, depth: number): unknown[] {
  return Array.from(
    { length: random.below(4) },
    () =>
      random.oneIn(12)
        ? STOP
        : random.oneIn(4) && depth < 4
        ? randomArray(random, depth + 1)
        : randomScalar(random),
  );
}

function randomScalar(random: Random): unknown {
  switch (random.below(8)) {
    case 0:
      return random.below(5) - 2;
    case 1:
      return random.pick([1, -1]) * random.bits() *
        2 ** (random.below(80) - 50);
    case 2: {
      const double = new DataView(random.bytes(8).buffer).getFloat64(0);
      return Number.isNaN(double) ? -Infinity : double;
    }
    case 3: {
      const value = BigInt(random.bits()) ** BigInt(random.below(6)) +
        BigInt(random.below(3));
      return random.oneIn(2) ? value : -value;
    }
    case 4:
      return random.oneIn(2);
    case 5:
      return new Date(random.bits() - 2 ** 31);
    case 6:
      return Array.from(
        { length: random.below(4) },
        () =>
          random.pick(
            ["\0", "a", "\x7f", "é", "\u07ff", "€", "\ud800", "\udc00"]
              .concat("\uffff", "😀"),
          ),
      ).join("");
    default:
      return random.bytes(random.below(4)).map((byte) =>
        random.pick([0, 1, 0xff, byte])
      );
  }
}

/** An item that differs in one place, if at all. */
function changed(random: Random, item: unknown): unknown {
  if (!Array.isArray(item)) {
    if (typeof item === "number" && Number.isSafeInteger(item)) {
      return BigInt(item);
    }
    if (typeof item === "string") return item + random.pick(["", "\0", "a"]);
    return random.oneIn(2) ? [item] : [item, randomScalar(random)];
  }
  const other = item.slice();
  const at = random.below(other.length + 1);
  if (random.oneIn(4)) other.splice(at);
  else if (random.oneIn(3)) other.splice(at, 1, randomScalar(random));
  else if (at < other.length && Array.isArray(other[at])) {
    other[at] = changed(random, other[at]);
  } else other.push(randomScalar(random));
  return hasFirst(other) ? other : item;
}

function hasFirst(item: unknown): boolean {
  return Array.isArray(item)
    ? item.length === 0 || hasFirst(item[0])
    : item !== STOP;
}

/** The rules once more, in terms of values. */
function compareItems(a: unknown, b: unknown): number {
  const result = compareArrays(
    Array.isArray(a) ? a : [a],
    Array.isArray(b) ? b : [b],
    true,
  );
  return result ?? 0;
}

/** `undefined` if both keys end here. */
function compareArrays(
  a: readonly unknown[],
  b: readonly unknown[],
  top: boolean,
): number | undefined {
  for (let i = 0;; i++) {
    const left = rank(a, i, top);
    const right = rank(b, i, top);
    if (left !== right) return left < right ? -1 : 1;
    if (left === Rank.Stop) return undefined;
    if (left === Rank.End) return 0;
    const result = compareScalars(a[i], b[i]);
    if (result !== 0) return result;
  }
}

const Rank = {
  Stop: 0,
  End: 1,
  Number: 2,
  Date: 3,
  Text: 4,
  Bytes: 5,
  Array: 6,
};

function rank(array: readonly unknown[], index: number, top: boolean): number {
  // Nothing tells the end of an item from the end of its key.
  if (index === array.length) return top ? Rank.Stop : Rank.End;
  const value = array[index];
  if (!hasFirst(value)) return Rank.Stop;
  if (typeof value === "string") return Rank.Text;
  if (value instanceof Date) return Rank.Date;
  if (value instanceof Uint8Array) return Rank.Bytes;
  return Array.isArray(value) ? Rank.Array : Rank.Number;
}

/** Compares values of one rank. */
function compareScalars(a: unknown, b: unknown): number | undefined {
  if (Array.isArray(a)) return compareArrays(a, b as unknown[], false);
  if (a instanceof Date) return compareScalars(+a, +(b as Date));
  if (a instanceof Uint8Array) {
    return compareArrays([...a], [...b as Uint8Array], false);
  }
  if (typeof a === "string") {
    const points = (text: string) => [...text].map((c) => c.codePointAt(0)!);
    return compareArrays(points(a), points(b as string), false);
  }
  // JavaScript compares numbers and bigints by value, exactly.
  const [left, right] = [a, b] as [number, number];
  return left < right ? -1 : left > right ? 1 : 0;
}
