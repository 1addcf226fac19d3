// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  formatOf,
  listSize,
  openList,
  readSlot,
  type ShareableValue,
  writeList,
  writeSlot,
} from "../../ipc/_list_format.ts";
import { SerializationError } from "../../ipc/errors.ts";
import { type Random, seeded } from "./_random.ts";

/** The list in exactly the bytes that it takes, which start anywhere. */
function listOf(...items: ShareableValue[]): Uint8Array {
  const size = listSize(items);
  const bytes = new Uint8Array(size + 32).subarray(3, 3 + size);
  writeList(bytes, items);
  return bytes;
}

function assertSame(actual: ShareableValue, expected: ShareableValue): void {
  if (expected instanceof Uint8Array) assertEquals(actual, expected);
  else assert(Object.is(actual, expected), Deno.inspect([actual, expected]));
}

const VALUES: readonly ShareableValue[] = [
  null,
  true,
  false,
  0,
  -0,
  1,
  -1,
  0.1,
  2 ** 31,
  -(2 ** 32) - 5,
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
  2 ** 53,
  Number.MAX_VALUE,
  5e-324,
  NaN,
  Infinity,
  -Infinity,
  0n,
  5n,
  -(2n ** 63n),
  2n ** 63n - 1n,
  "",
  "Ada",
  "a\0\0",
  "\0",
  "\uFEFFmark",
  "ünï €",
  "😀".repeat(50),
  "\ud83d",
  "a\udc00b\0",
  new Uint8Array(),
  new Uint8Array([0]),
  new Uint8Array([1, 2, 0, 0]),
  new Uint8Array(1000).fill(7),
];

Deno.test("readSlot() gives each value as it was", () => {
  const bytes = listOf(...VALUES);
  assertEquals(openList(bytes), VALUES.length);
  VALUES.forEach((value, i) => assertSame(readSlot(bytes, i), value));
});

Deno.test("writeSlot() puts every small value in the place of any other", () => {
  const bytes = listOf(...VALUES);
  const small = VALUES.filter((value) => listSize([value]) === listSize([0]));
  for (const value of small) {
    for (let i = 0; i < VALUES.length; i++) {
      writeSlot(bytes, i, value);
      assertSame(readSlot(bytes, i), value);
    }
  }
  VALUES.forEach((value, i) => writeSlot(bytes, i, value));
  VALUES.forEach((value, i) => assertSame(readSlot(bytes, i), value));
});

Deno.test("readSlot() and writeSlot() count a negative index from the end", () => {
  const bytes = listOf("a", "b", "c");
  assertEquals(readSlot(bytes, -1), "c");
  assertEquals(readSlot(bytes, -3), "a");
  writeSlot(bytes, -2, 5);
  assertEquals(readSlot(bytes, 1), 5);
  assertEquals(formatOf(bytes, -2), "int");
});

Deno.test("readSlot(), writeSlot() and formatOf() refuse an index that is none", () => {
  const bytes = listOf("a", "b");
  const calls = [
    (index: number) => readSlot(bytes, index),
    (index: number) => writeSlot(bytes, index, "c"),
    (index: number) => formatOf(bytes, index),
  ];
  for (const call of calls) {
    for (const index of [2, -3, 1e9, Infinity]) {
      assertThrows(() => call(index), RangeError, `item ${index}: `);
    }
    assertThrows(() => call(2), RangeError, "the list has 2 items");
    assertThrows(() => call(0.5), RangeError, '"index" must be an integer');
    assertThrows(() => call(NaN), RangeError, '"index" must be an integer');
    assertThrows(
      () => call("0" as unknown as number),
      TypeError,
      '"index" must be a number, received "0"',
    );
  }
  assertThrows(() => readSlot(listOf(), 0), RangeError, "has 0 items");
  assertThrows(() => readSlot(listOf(), -1), RangeError, "has 0 items");
});

Deno.test("readSlot() gives bytes that are a copy", () => {
  const source = new Uint8Array([1, 2, 3]);
  const bytes = listOf(source);
  source[0] = 9;
  const read = readSlot(bytes, 0);
  assertEquals(read, new Uint8Array([1, 2, 3]));
  writeSlot(bytes, 0, new Uint8Array([4]));
  assertEquals(read, new Uint8Array([1, 2, 3]));
  assertNotStrictEquals((read as Uint8Array).buffer, bytes.buffer);
});

Deno.test("a list works in a SharedArrayBuffer", () => {
  const bytes = new Uint8Array(new SharedArrayBuffer(4096));
  writeList(bytes, VALUES.slice(0, 28));
  assertEquals(openList(bytes), 28);
  for (let i = 0; i < 28; i++) assertSame(readSlot(bytes, i), VALUES[i]!);
  const read = readSlot(listOf(bytes.subarray(0, 4)), 0) as Uint8Array;
  assert(read.buffer instanceof ArrayBuffer);
});

Deno.test("writeSlot() refuses a value that does not fit, and changes nothing", () => {
  const bytes = listOf("0123456789", 1, new Uint8Array(3));
  const before = bytes.slice();
  writeSlot(bytes, 0, "x".repeat(16));
  writeSlot(bytes, 0, "0123456789");
  for (
    const [index, value, message] of [
      [
        0,
        "é".repeat(20),
        `Cannot set item 0: "${
          "é".repeat(20)
        }" takes 40 bytes, the slot has 16`,
      ],
      [
        -3,
        new Uint8Array(17),
        "Cannot set item -3: a Uint8Array takes 17 bytes, the slot has 16",
      ],
      [1, "\ud800----", "takes 10 bytes, the slot has 8"],
      [2, "123456789", "takes 9 bytes, the slot has 8"],
    ] as const
  ) {
    const error = assertThrows(() => writeSlot(bytes, index, value));
    assert(error instanceof RangeError);
    assertStringIncludes(error.message, message);
  }
  for (let i = 0; i < 3; i++) {
    assertEquals(readSlot(bytes, i), readSlot(before, i));
  }
});

Deno.test("writeSlot() and writeList() refuse what a slot cannot hold", () => {
  const bytes = listOf("a".repeat(100));
  const others: unknown[] = [undefined, {}, [], Symbol("s"), () => {}];
  others.push(new Date(0), new Float64Array(1), new ArrayBuffer(8));
  for (const value of others) {
    const bad = value as ShareableValue;
    assertThrows(
      () => writeSlot(bytes, 0, bad),
      TypeError,
      "Cannot set item 0",
    );
    assertThrows(() => listSize([1, bad]), TypeError, "Cannot set item 1");
    assertThrows(() => writeList(bytes, [bad]), TypeError, "Cannot set item 0");
  }
  for (const value of [2n ** 63n, -(2n ** 63n) - 1n, 10n ** 30n]) {
    assertThrows(() => writeSlot(bytes, 0, value), RangeError, `${value}n`);
    assertThrows(() => listSize([value]), RangeError, "64 bits");
  }
  assertEquals(readSlot(bytes, 0), "a".repeat(100), "nothing was written");
});

Deno.test("writeList() refuses memory that is too small, and uses no more", () => {
  const items = ["abc", 1, new Uint8Array(20)];
  const size = listSize(items);
  assertThrows(
    () => writeList(new Uint8Array(size - 1), items),
    RangeError,
    `take ${size} bytes, the memory has ${size - 1}`,
  );
  const page = new Uint8Array(4096).fill(0xaa);
  writeList(page.subarray(0, size), items);
  assert(page.subarray(size).every((byte) => byte === 0xaa));
  assertEquals(openList(page), 3, "memory may be rounded up");
});

Deno.test("listSize() gives each slot at least 8 bytes, and a multiple of 8", () => {
  const [none, ...slots] = [[], [null], ["12345678"], ["123456789"]]
    .map((items) => listSize(items));
  assertEquals(slots.map((size) => size - none!), [24, 24, 32]);
  assertEquals(listSize(["ab", 1n]) - none!, 48);
});

Deno.test("formatOf() names how the value is stored", () => {
  const bytes = listOf(
    ...[null, true, 5, -0, 2 ** 53, 5n, "a", "\ud800", new Uint8Array()],
  );
  assertEquals(
    Array.from({ length: 9 }, (_, i) => formatOf(bytes, i)),
    ["null", "boolean", "int", "float", "float", "bigint"]
      .concat(["string", "string", "bytes"]),
  );
});

Deno.test("openList() refuses memory without a list", () => {
  for (const size of [0, 1, 15, 16, 4096]) {
    const bytes = new Uint8Array(size);
    assertThrows(
      () => openList(bytes),
      SerializationError,
      "Cannot open list: the memory does not hold a ShareableList",
    );
    assertThrows(() => readSlot(bytes, 0), RangeError);
  }
});

Deno.test("openList() refuses a list that is damaged", () => {
  const sound = listOf("abc", 1, new Uint8Array(20));
  const u32 = (at: number, value: number) => {
    const bytes = sound.slice();
    new DataView(bytes.buffer).setUint32(at, value, true);
    return bytes;
  };
  for (
    const [bytes, message] of [
      [u32(4, 2), "must have version 1, received 2"],
      [u32(8, 0xffffffff), "its length is damaged"],
      [u32(8, 4), "slot 0 is damaged"],
      [u32(16, 0), "slot 0 is damaged"],
      [u32(32, 0xffffffff), "slot 1 is damaged"],
      [u32(20, 0), "slot 0 is damaged"],
      [u32(20, 0xfffffff8), "slot 0 is damaged"],
      [u32(52, 12), "slot 2 is damaged"],
      [sound.subarray(0, sound.length - 1), "slot 2 is damaged"],
      [sound.subarray(0, 60), "its length is damaged"],
    ] as const
  ) assertThrows(() => openList(bytes), SerializationError, message);
});

Deno.test("readSlot() refuses a value that is damaged", () => {
  const kinds = { int: 2, text: 5, text16: 6 };
  const slot = (kind: number, used: number, bytes: number[]) => {
    const list = listOf(new Uint8Array(8));
    list.set(bytes, list.length - 8);
    const view = new DataView(list.buffer, list.byteOffset);
    view.setUint32(24, used, true);
    view.setUint32(28, kind, true);
    return list;
  };
  for (
    const bytes of [
      slot(8, 8, []),
      slot(0xffffffff, 8, []),
      slot(kinds.text, 9, []),
      slot(kinds.text, 0xffffffff, []),
      slot(kinds.text, 2, [0xc3, 0x28]),
      slot(kinds.text16, 3, []),
      slot(kinds.int, 8, [0, 0, 0, 0, 0, 0, 0, 0x7f]),
    ]
  ) {
    assertEquals(openList(bytes), 1);
    assertThrows(
      () => readSlot(bytes, 0),
      SerializationError,
      "Cannot get item 0: its slot is damaged",
    );
    writeSlot(bytes, 0, 5);
    assertEquals(readSlot(bytes, 0), 5);
  }
  assertThrows(() => formatOf(slot(8, 8, []), 0), SerializationError);
});

Deno.test("a list of garbage is refused, and nothing outside of it is touched", async () => {
  await seeded((random) => {
    const margin = 64;
    for (let round = 0; round < 5000; round++) {
      const sound = listOf(...randomItems(random));
      const memory = new Uint8Array(sound.length + 2 * margin).fill(0xaa);
      const bytes = memory.subarray(margin, margin + sound.length);
      bytes.set(sound);
      // The table is where offsets can go wrong.
      const reach = random.oneIn(2) ? bytes.length : Math.min(80, bytes.length);
      for (let n = 1 + random.below(6); n > 0; n--) {
        bytes[random.below(reach)] = random.pick([
          0,
          1,
          8,
          0xff,
          random.bits(),
        ]);
      }
      for (
        const call of [
          () => openList(bytes),
          () => readSlot(bytes, random.below(5)),
          () => formatOf(bytes, random.below(5)),
          () => writeSlot(bytes, random.below(5), randomValue(random)),
        ]
      ) {
        try {
          call();
        } catch (error) {
          const expected = error instanceof SerializationError ||
            error instanceof RangeError && /^Cannot /.test(error.message);
          if (!expected) throw error;
        }
      }
      assert(memory.subarray(0, margin).every((byte) => byte === 0xaa));
      assert(memory.subarray(-margin).every((byte) => byte === 0xaa));
    }
  });
});

Deno.test("a list does as an array does, whatever is done to it", async () => {
  await seeded((random) => {
    for (let round = 0; round < 300; round++) {
      const model = randomItems(random);
      const rooms = model.map((value) => listSize([value]));
      const bytes = listOf(...model);
      for (let step = 0; step < 50 && model.length > 0; step++) {
        const at = random.below(model.length);
        const value = randomValue(random);
        const index = random.oneIn(2) ? at : at - model.length;
        if (listSize([value]) <= rooms[at]!) {
          writeSlot(bytes, index, value);
          model[at] = value;
        } else {
          assertThrows(() => writeSlot(bytes, index, value), RangeError);
        }
        model.forEach((item, i) => assertSame(readSlot(bytes, i), item));
      }
      assertEquals(openList(bytes), model.length);
    }
  });
});

function randomItems(random: Random): ShareableValue[] {
  return Array.from({ length: random.below(6) }, () => randomValue(random));
}

function randomValue(random: Random): ShareableValue {
  switch (random.below(7)) {
    case 0:
      return random.pick(VALUES);
    case 1:
      return random.bits() * 2 ** (random.below(60) - 30);
    case 2:
      return BigInt.asIntN(64, BigInt(random.bits()) ** 2n);
    case 3:
      return random.bytes(random.below(40));
    case 4:
      return "\ud800" + "a\0".repeat(random.below(8));
    case 5:
      return "é€😀\0".repeat(random.below(4));
    default:
      return random.oneIn(2) ? null : random.oneIn(2);
  }
}
