// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { ByteReader, ByteWriter } from "../../ipc/_bytes.ts";
import { SerializationError } from "../../ipc/errors.ts";
import { seeded } from "./_random.ts";

function written(write: (out: ByteWriter) => void): Uint8Array {
  const out = new ByteWriter(1);
  write(out);
  return out.take();
}

Deno.test("ByteWriter writes numbers with the low byte first", () => {
  const bytes = written((out) => {
    out.u8(0xfe);
    out.u32(0x01020304);
    out.i32(-2);
    out.f64(1);
  });
  assertEquals(
    [...bytes],
    // deno-fmt-ignore
    [0xfe, 4, 3, 2, 1, 0xfe, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
  );
});

Deno.test("ByteReader reads numbers back", () => {
  const doubles = [0, -0, 1.5, NaN, Infinity, -Infinity, 5e-324, 1e308];
  const bytes = written((out) => {
    out.u8(255);
    out.u32(0xffffffff);
    out.i32(-0x80000000);
    for (const value of doubles) out.f64(value);
  });
  const input = new ByteReader(bytes);
  assertEquals(input.u8(), 255);
  assertEquals(input.u32(), 0xffffffff);
  assertEquals(input.i32(), -0x80000000);
  for (const value of doubles) assert(Object.is(input.f64(), value));
  assertEquals(input.pos, bytes.length);
});

Deno.test("ByteReader.varint() reads every length up to 2^53 - 1", () => {
  const values = [0, 1, 127, 128];
  for (let bits = 8; bits <= 53; bits++) {
    values.push(2 ** bits - 1);
    if (bits < 53) values.push(2 ** bits, 2 ** bits + 1);
  }
  const input = new ByteReader(written((out) => {
    for (const value of values) out.varint(value);
  }));
  for (const value of values) assertEquals(input.varint(), value);
});

Deno.test("ByteReader.varint() rejects what is no safe integer", () => {
  for (
    const bytes of [
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
      [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
    ]
  ) {
    const input = new ByteReader(new Uint8Array(bytes));
    assertThrows(() => input.varint(), SerializationError);
  }
});

Deno.test("ByteReader throws where bytes are missing", () => {
  const short = () => new ByteReader(new Uint8Array([3]));
  for (
    const read of [
      (input: ByteReader) => input.u32(),
      (input: ByteReader) => input.i32(),
      (input: ByteReader) => input.f64(),
      (input: ByteReader) => input.raw(2),
      (input: ByteReader) => input.text(),
    ]
  ) assertThrows(() => read(short()), SerializationError);
  const empty = new ByteReader(new Uint8Array(0));
  assertThrows(() => empty.u8(), SerializationError);
  assertThrows(() => empty.varint(), SerializationError);
  assertEquals(empty.raw(0).length, 0);
});

Deno.test("ByteReader stays within a view of a larger buffer", () => {
  const buffer = new Uint8Array([9, 1, 2, 3, 4, 9, 9, 9, 9]);
  const input = new ByteReader(buffer.subarray(1, 5));
  assertEquals(input.u32(), 0x04030201);
  assertThrows(() => input.u8(), SerializationError);
  assertThrows(() => input.u32(), SerializationError);
});

Deno.test("ByteReader.raw() and rest() give views, not copies", () => {
  const bytes = new Uint8Array([1, 2, 3, 4]);
  const input = new ByteReader(bytes, 1);
  const middle = input.raw(2);
  const rest = input.rest();
  assertEquals([...middle], [2, 3]);
  assertEquals([...rest], [4]);
  assertStrictEquals(middle.buffer, bytes.buffer);
  assertStrictEquals(rest.buffer, bytes.buffer);
  assertEquals(input.rest().length, 0);
});

Deno.test("ByteReader.text() gives the text that was written, whatever its length", () => {
  const lengths = [0, 1, 23, 24, 25, 47, 48, 49, 127, 128, 129];
  for (const edge of [0x2000, 0x4000, 0x5556, 0x10000]) {
    lengths.push(edge - 1, edge, edge + 1);
  }
  for (const length of lengths) {
    for (const unit of ["a", "\0", "é", "€", "😀", "a€"]) {
      const text = unit.repeat(length).slice(0, length);
      // Only whole characters: lone surrogates have a way of their own.
      if (!text.isWellFormed()) continue;
      const input = new ByteReader(written((out) => out.text(text)));
      assert(input.text() === text, `${length} times ${unit}`);
      assertEquals(input.rest().length, 0);
    }
  }
});

Deno.test("ByteReader.text() reads text that turns non-ASCII at any place", () => {
  for (let length = 0; length < 60; length++) {
    const text = "x".repeat(length) + "ü" + "y".repeat(10);
    const input = new ByteReader(written((out) => out.text(text)));
    assertEquals(input.text(), text);
  }
});

Deno.test("ByteReader.text() keeps a byte order mark", () => {
  for (const text of ["\uFEFF", "\uFEFFabc", `\uFEFF${"x".repeat(100)}`]) {
    const input = new ByteReader(written((out) => out.text(text)));
    assertEquals(input.text().length, text.length);
  }
});

Deno.test("ByteWriter.take() starts anew and leaves what was taken alone", () => {
  const out = new ByteWriter(4);
  for (const size of [3, 0x10000, 0x10001, 5]) {
    out.raw(new Uint8Array(size).fill(1));
    const taken = out.take();
    assertEquals(out.pos, 0);
    out.raw(new Uint8Array(size).fill(2));
    assertNotStrictEquals(out.bytes.buffer, taken.buffer);
    assertEquals(taken.length, size);
    assert(taken.every((byte) => byte === 1));
    out.take();
  }
});

Deno.test("ByteReader reads any row of values that ByteWriter wrote", async () => {
  await seeded((random) => {
    for (let round = 0; round < 200; round++) {
      const out = new ByteWriter(random.below(8) + 1);
      const reads: ((input: ByteReader) => void)[] = [];
      const count = random.below(50);
      for (let i = 0; i < count; i++) {
        switch (random.below(6)) {
          case 0: {
            const value = random.below(256);
            out.u8(value);
            reads.push((input) => assertEquals(input.u8(), value));
            break;
          }
          case 1: {
            const value = random.bits();
            out.u32(value);
            reads.push((input) => assertEquals(input.u32(), value));
            break;
          }
          case 2: {
            const value = random.bits() | 0;
            out.i32(value);
            reads.push((input) => assertEquals(input.i32(), value));
            break;
          }
          case 3: {
            const value = Math.floor(random.bits() * 2 ** random.below(22));
            out.varint(value);
            reads.push((input) => assertEquals(input.varint(), value));
            break;
          }
          case 4: {
            const value = random.bytes(random.below(300));
            out.raw(value);
            reads.push((input) => assertEquals(input.raw(value.length), value));
            break;
          }
          default: {
            const value = random.pick(["a", "ß", "漢", "😀"])
              .repeat(random.below(200));
            out.text(value);
            reads.push((input) => assertEquals(input.text(), value));
          }
        }
      }
      const input = new ByteReader(out.take());
      for (const read of reads) read(input);
      assertEquals(input.rest().length, 0);
    }
  });
});
