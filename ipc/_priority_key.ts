// Copyright 2026 the multitask authors. MIT license.
// Keys of the items of a priority queue: to compare two keys byte by byte is to
// compare the items. Who keeps the queue has no values, only bytes.
//
// A key is a row of elements, each a byte of kind and then what the kind says.
// Every element shows where it ends, so that the first difference of two keys
// is one of values, never of a value and what follows it:
//
// number   By value, whatever the type. The kind holds sign and length, which
//          decide first. Then 2 * whole, high byte first, plus 1 if there is a
//          fraction; that follows as a double, whose bytes are in order if it
//          is not negative. Integers past 2^53 have four bytes of length
//          instead. All bytes of a negative number but the kind are inverted.
// date     Its time, as a number.
// text     UTF-8, which is in the order of code points; a lone surrogate as if
//          it were a character. No byte is above 0xf4: one is added to each,
//          and 0 ends it.
// bytes    As they are. 0 ends them, so that a 0 among them becomes 0 0xff;
//          no kind is 0xff.
// array    Its elements, then 0, which is below all kinds.

import { ByteWriter } from "./_bytes.ts";
import { shown } from "./_options.ts";

/** In this order elements of different kinds come out of a queue. */
const Kind = {
  /** Ends text, bytes and arrays: the shorter one is first. */
  End: 0,
  /** A number of n bytes has the kind `Zero + n`, or `Zero - n`. */
  Zero: 0x10,
  Date: 0x20,
  Text: 0x21,
  Bytes: 0x22,
  Array: 0x23,
} as const;

/** What stands for the length of an integer past 2^53, and of infinity. */
const LONG = 8;
const INFINITE = 9;

/** Follows a 0 that does not end the bytes; more than every kind. */
const ESCAPE = 0xff;

/** Arrays are nested less than this in earnest; a cycle ends here. */
const MAX_DEPTH = 32;

const scratch = new ByteWriter();
const fractionView = new DataView(new ArrayBuffer(8));

/**
 * The key of an item: {@linkcode compareBytes} of two keys says which item
 * comes first. Python: `queue.PriorityQueue`, which compares tuples.
 *
 * An item is something comparable or an array of elements, which count one
 * after the other; `5` counts as `[5]`. Comparable are, in this order if their
 * kinds differ (where Python throws): numbers, bigints and booleans (0 and 1)
 * by value; dates; strings by code point; `Uint8Array`s; arrays that are empty
 * or start with something comparable.
 *
 * The key ends at the first element that is not comparable: what follows does
 * not count. Items with the same key are for the queue to keep in order.
 *
 * The result may share its buffer with others: never transfer that.
 *
 * @throws {TypeError} If the item, or its first element, is not comparable.
 * @throws {RangeError} If it has NaN, an invalid date, or arrays nested more
 * than 32 levels deep.
 */
export function priorityKey(item: unknown): Uint8Array<ArrayBuffer> {
  // A getter in the item may put something itself.
  const out = scratch.pos === 0 ? scratch : new ByteWriter();
  try {
    const whole = Array.isArray(item)
      ? writeElements(out, item, 1)
      : writeElement(out, item, 0);
    if (!whole && out.pos === 0) refuse(item);
    return out.take();
  } finally {
    out.pos = 0;
  }
}

function refuse(item: unknown): never {
  let first = item;
  while (Array.isArray(first)) first = first[0];
  const what = Array.isArray(item) ? "its first element" : "an item";
  throw new TypeError(
    `Cannot put item: ${what} must be a number, bigint, boolean, Date, string, Uint8Array or an array that starts with one, received ${
      shown(first)
    }; put [priority, item]`,
  );
}

/** Writes up to the first element that is not comparable: then `false`. */
function writeElements(
  out: ByteWriter,
  elements: readonly unknown[],
  depth: number,
): boolean {
  if (depth > MAX_DEPTH) {
    throw new RangeError(
      `Cannot put item: its arrays are nested more than ${MAX_DEPTH} levels deep`,
    );
  }
  for (let i = 0; i < elements.length; i++) {
    if (!writeElement(out, elements[i], depth)) return false;
  }
  return true;
}

/** Tells if the element counted as a whole. */
function writeElement(
  out: ByteWriter,
  value: unknown,
  depth: number,
): boolean {
  switch (typeof value) {
    case "number":
      writeNumber(out, value);
      return true;
    case "bigint":
      writeBigInt(out, value);
      return true;
    case "boolean":
      writeNumber(out, value ? 1 : 0);
      return true;
    case "string":
      writeText(out, value);
      return true;
    case "object":
      if (Array.isArray(value)) return writeArray(out, value, depth + 1);
      if (value instanceof Date) writeDate(out, value);
      else if (value instanceof Uint8Array) writeBytes(out, value);
      else return false;
      return true;
    default:
      return false;
  }
}

function writeArray(
  out: ByteWriter,
  elements: readonly unknown[],
  depth: number,
): boolean {
  const start = out.pos;
  out.u8(Kind.Array);
  if (writeElements(out, elements, depth)) {
    out.u8(Kind.End);
    return true;
  }
  // Nothing in it is comparable, so neither is the array.
  if (out.pos === start + 1) out.pos = start;
  return false;
}

function writeNumber(out: ByteWriter, value: number): void {
  const magnitude = Math.abs(value);
  if (magnitude <= Number.MAX_SAFE_INTEGER) {
    const whole = Math.floor(magnitude);
    writeMagnitude(out, whole, magnitude - whole, value < 0);
  } else if (magnitude === Infinity) {
    out.u8(value < 0 ? Kind.Zero - INFINITE : Kind.Zero + INFINITE);
  } else if (Number.isNaN(value)) {
    throw new RangeError("Cannot put item: NaN has no place in an order");
  } else writeLong(out, BigInt(value));
}

function writeMagnitude(
  out: ByteWriter,
  whole: number,
  fraction: number,
  negative: boolean,
): void {
  const inversion = negative ? 0xff : 0;
  let rest = 2 * whole + (fraction > 0 ? 1 : 0);
  const size = byteLength(rest);
  out.u8(negative ? Kind.Zero - size : Kind.Zero + size);
  out.reserve(size);
  const bytes = out.bytes;
  for (let at = out.pos + size - 1; at >= out.pos; at--) {
    // Both the operator and the array take the low bits of a number.
    bytes[at] = rest ^ inversion;
    rest = Math.floor(rest / 256);
  }
  out.pos += size;
  if (fraction > 0) {
    fractionView.setFloat64(0, fraction);
    for (let i = 0; i < 8; i++) out.u8(fractionView.getUint8(i) ^ inversion);
  }
}

function byteLength(value: number): number {
  let size = 0;
  for (let limit = 1; value >= limit; limit *= 256) size++;
  return size;
}

function writeBigInt(out: ByteWriter, value: bigint): void {
  // The same key as that of the number it is equal to.
  const number = Number(value);
  if (Number.isSafeInteger(number)) writeNumber(out, number);
  else writeLong(out, value);
}

/** Writes an integer that is no safe one. */
function writeLong(out: ByteWriter, value: bigint): void {
  const negative = value < 0n;
  const inversion = negative ? 0xff : 0;
  const hex = (negative ? -value : value).toString(16);
  const size = Math.ceil(hex.length / 2);
  const digits = hex.padStart(size * 2, "0");
  out.u8(negative ? Kind.Zero - LONG : Kind.Zero + LONG);
  out.reserve(4 + size);
  for (let shift = 24; shift >= 0; shift -= 8) {
    out.u8((size >>> shift & 0xff) ^ inversion);
  }
  for (let i = 0; i < digits.length; i += 2) {
    out.u8(parseInt(digits.slice(i, i + 2), 16) ^ inversion);
  }
}

function writeDate(out: ByteWriter, value: Date): void {
  const time = value.getTime();
  if (Number.isNaN(time)) {
    throw new RangeError(
      "Cannot put item: an invalid date has no place in an order",
    );
  }
  out.u8(Kind.Date);
  writeNumber(out, time);
}

function writeText(out: ByteWriter, text: string): void {
  out.u8(Kind.Text);
  out.reserve(text.length * 3 + 1);
  const bytes = out.bytes;
  let at = out.pos;
  for (let i = 0; i < text.length; i++) {
    const code = text.codePointAt(i)!;
    if (code < 0x80) {
      bytes[at++] = code + 1;
      continue;
    }
    if (code < 0x800) bytes[at++] = (0xc0 | code >> 6) + 1;
    else {
      if (code < 0x10000) bytes[at++] = (0xe0 | code >> 12) + 1;
      else {
        i++; // Two units of the string.
        bytes[at++] = (0xf0 | code >> 18) + 1;
        bytes[at++] = (0x80 | code >> 12 & 0x3f) + 1;
      }
      bytes[at++] = (0x80 | code >> 6 & 0x3f) + 1;
    }
    bytes[at++] = (0x80 | code & 0x3f) + 1;
  }
  bytes[at++] = Kind.End;
  out.pos = at;
}

function writeBytes(out: ByteWriter, value: Uint8Array): void {
  out.u8(Kind.Bytes);
  out.reserve(value.length + 1);
  for (const byte of value) {
    out.u8(byte);
    if (byte === Kind.End) out.u8(ESCAPE);
  }
  out.u8(Kind.End);
}

/** Below 0 if `a` comes first, 0 if they are equal, else above 0. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return compare(a, 0, a.length, b, 0, b.length);
}

/**
 * Compares two ranges of one array, from `a` up to before `aEnd` and from `b`
 * up to before `bEnd`, as {@linkcode compareBytes} does.
 */
export function compareRanges(
  bytes: Uint8Array,
  a: number,
  aEnd: number,
  b: number,
  bEnd: number,
): number {
  return compare(bytes, a, aEnd, bytes, b, bEnd);
}

function compare(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const aLength = aEnd - aStart;
  const bLength = bEnd - bStart;
  const length = Math.min(aLength, bLength);
  for (let i = 0; i < length; i++) {
    const difference = a[aStart + i]! - b[bStart + i]!;
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}
