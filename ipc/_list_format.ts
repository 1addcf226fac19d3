// Copyright 2026 the multitask authors. MIT license.
// How a ShareableList lies in shared memory. All numbers are little-endian:
//
// header   magic, version, count of slots
// slots    of each: where its value lies, how many bytes fit there (these two
//          never change), how many are used, and the kind of the value
// values   each at a multiple of eight bytes
//
// Other processes write here, and nothing here takes a lock: who reads while
// another process writes may see half of a value. Callers guard against that.
// Whatever the bytes are, nothing outside of them is read or written.

import { SerializationError } from "./errors.ts";
import { shown } from "./_options.ts";

/** What a slot of a `ShareableList` can hold. */
export type ShareableValue =
  | number
  | bigint
  | boolean
  | string
  | Uint8Array
  | null;

/** How a slot of a `ShareableList` holds its value. */
export type ShareableFormat =
  | "null"
  | "boolean"
  | "int"
  | "bigint"
  | "float"
  | "string"
  | "bytes";

const Kind = {
  Null: 0,
  Boolean: 1,
  Int: 2,
  BigInt: 3,
  Float: 4,
  Text: 5,
  /** Text with lone surrogates, which only UTF-16 keeps. */
  Text16: 6,
  Bytes: 7,
} as const;

/** The names of the kinds. */
const FORMATS: readonly ShareableFormat[] = [
  "null",
  "boolean",
  "int",
  "bigint",
  "float",
  "string",
  "string",
  "bytes",
];

/** "MTSL", the first byte first. */
const MAGIC = 0x4c53544d;
const VERSION = 1;

/** Byte offsets in the header. */
const Header = { Magic: 0, Version: 4, Count: 8, Size: 16 } as const;

/** Byte offsets in a slot. */
const Slot = { Offset: 0, Capacity: 4, Used: 8, Kind: 12, Size: 16 } as const;

/** Each number fits in every slot, and lies at a multiple of its size. */
const UNIT = 8;

/** Offsets take four bytes. */
const MAX_SIZE = 0xffffffff;

const encoder = new TextEncoder();
// Without the option a text loses a byte order mark at its start.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

const scratch = new Uint8Array(UNIT);
const scratchView = new DataView(scratch.buffer);

/**
 * The bytes that a list of these items takes. Each slot gets what its item
 * takes, rounded up to a multiple of 8, and at least 8.
 *
 * @throws {TypeError} If an item is of a type that a slot cannot hold.
 * @throws {RangeError} If a bigint is outside of 64 bits, or the list too big.
 */
export function listSize(items: readonly ShareableValue[]): number {
  let size = Header.Size + items.length * Slot.Size;
  items.forEach((item, index) => size += capacityFor(pack(item, index)));
  if (size > MAX_SIZE) {
    throw new RangeError(
      `Cannot create list: its items take ${size} bytes, at most ${MAX_SIZE} are possible`,
    );
  }
  return size;
}

/**
 * Writes a list. Other processes cannot open it before it is complete.
 *
 * @throws {RangeError} If there are fewer than {@linkcode listSize} bytes.
 */
export function writeList(
  bytes: Uint8Array,
  items: readonly ShareableValue[],
): void {
  const size = listSize(items);
  if (size > bytes.length) {
    throw new RangeError(
      `Cannot create list: its items take ${size} bytes, the memory has ${bytes.length}`,
    );
  }
  const view = viewOf(bytes);
  view.setUint32(Header.Magic, 0, true);
  let offset = Header.Size + items.length * Slot.Size;
  items.forEach((item, index) => {
    const packed = pack(item, index);
    const entry = Header.Size + index * Slot.Size;
    const capacity = capacityFor(packed);
    view.setUint32(entry + Slot.Offset, offset, true);
    view.setUint32(entry + Slot.Capacity, capacity, true);
    store(bytes, view, { entry, offset, capacity }, packed);
    offset += capacity;
  });
  view.setUint32(Header.Count, items.length, true);
  view.setUint32(Header.Version, VERSION, true);
  // Last: it says that the rest is there.
  view.setUint32(Header.Magic, MAGIC, true);
}

/**
 * Checks that there is a list in the bytes and gives its length. The values
 * are checked when they are read: they may change at any time.
 *
 * @throws {SerializationError} If there is none, or it is damaged.
 */
export function openList(bytes: Uint8Array): number {
  const view = viewOf(bytes);
  if (
    view.byteLength < Header.Size ||
    view.getUint32(Header.Magic, true) !== MAGIC
  ) {
    throw new SerializationError(
      "Cannot open list: the memory does not hold a ShareableList",
    );
  }
  const version = view.getUint32(Header.Version, true);
  if (version !== VERSION) {
    throw new SerializationError(
      `Cannot open list: it must have version ${VERSION}, received ${version}`,
    );
  }
  const count = view.getUint32(Header.Count, true);
  let next = Header.Size + count * Slot.Size;
  if (next > view.byteLength) throw damaged("open list", "its length");
  for (let index = 0; index < count; index++) {
    const { offset, capacity } = placeAt(view, index);
    if (offset !== next || capacity < UNIT || capacity % UNIT !== 0) {
      throw damaged("open list", `slot ${index}`);
    }
    next += capacity;
    if (next > view.byteLength) throw damaged("open list", `slot ${index}`);
  }
  return count;
}

/**
 * Reads the value of a slot; bytes are a copy. A negative index counts from
 * the end.
 *
 * @throws {RangeError} If there is no such slot.
 * @throws {SerializationError} If the slot is damaged, or another process is
 * writing to it.
 */
export function readSlot(bytes: Uint8Array, index: number): ShareableValue {
  const view = viewOf(bytes);
  const place = findPlace("get item", view, index);
  const { offset, capacity } = place;
  const used = view.getUint32(place.entry + Slot.Used, true);
  const kind = view.getUint32(place.entry + Slot.Kind, true);
  if (used <= capacity) {
    switch (kind) {
      case Kind.Null:
        return null;
      case Kind.Boolean:
        return view.getUint8(offset) !== 0;
      case Kind.Int: {
        const value = Number(view.getBigInt64(offset, true));
        if (Number.isSafeInteger(value)) return value;
        break;
      }
      case Kind.BigInt:
        return view.getBigInt64(offset, true);
      case Kind.Float:
        return view.getFloat64(offset, true);
      case Kind.Text:
      case Kind.Text16:
      case Kind.Bytes: {
        // A copy first: what other processes change while it is decoded could
        // mislead the decoder.
        const copy = bytes.slice(offset, offset + used);
        if (kind === Kind.Bytes) return copy;
        if (kind === Kind.Text16) {
          if (used % 2 === 0) return decodeText16(copy);
          break;
        }
        try {
          return decoder.decode(copy);
        } catch (error) {
          throw damaged(`get item ${index}`, "its slot", error);
        }
      }
    }
  }
  throw damaged(`get item ${index}`, "its slot");
}

/**
 * Writes the value of a slot, or nothing if it throws. A negative index counts
 * from the end.
 *
 * @throws {RangeError} If there is no such slot, or the value does not fit.
 * @throws {TypeError} If the value is of a type that a slot cannot hold.
 * @throws {SerializationError} If the slot is damaged.
 */
export function writeSlot(
  bytes: Uint8Array,
  index: number,
  value: ShareableValue,
): void {
  const view = viewOf(bytes);
  const place = findPlace("set item", view, index);
  const packed = pack(value, index);
  const size = packed.bytes.length;
  if (size > place.capacity) {
    throw new RangeError(
      `Cannot set item ${index}: ${
        shown(value)
      } takes ${size} bytes, the slot has ${place.capacity}`,
    );
  }
  store(bytes, view, place, packed);
}

/**
 * Names how a slot holds its value. A negative index counts from the end.
 *
 * @throws {RangeError} If there is no such slot.
 * @throws {SerializationError} If the slot is damaged.
 */
export function formatOf(bytes: Uint8Array, index: number): ShareableFormat {
  const view = viewOf(bytes);
  const { entry } = findPlace("read format of item", view, index);
  const format = FORMATS[view.getUint32(entry + Slot.Kind, true)];
  if (format !== undefined) return format;
  throw damaged(`read format of item ${index}`, "its slot");
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function damaged(
  action: string,
  what: string,
  cause?: unknown,
): SerializationError {
  return new SerializationError(
    `Cannot ${action}: ${what} is damaged`,
    cause === undefined ? {} : { cause },
  );
}

/** Where a slot and its value lie. */
interface Place {
  /** The offset of the slot. */
  readonly entry: number;
  /** The offset of its value. */
  readonly offset: number;
  /** The bytes that fit there. */
  readonly capacity: number;
}

/** The slot must lie within the view. */
function placeAt(view: DataView, index: number): Place {
  const entry = Header.Size + index * Slot.Size;
  return {
    entry,
    offset: view.getUint32(entry + Slot.Offset, true),
    capacity: view.getUint32(entry + Slot.Capacity, true),
  };
}

/** Checked each time, since other processes could have changed anything. */
function findPlace(action: string, view: DataView, index: number): Place {
  if (typeof index !== "number") {
    throw new TypeError(
      `Cannot ${action}: "index" must be a number, received ${shown(index)}`,
    );
  }
  const size = view.byteLength;
  const count = size < Header.Size ? 0 : view.getUint32(Header.Count, true);
  const number = index < 0 ? index + count : index;
  if (!Number.isInteger(index)) {
    throw new RangeError(
      `Cannot ${action} ${index}: "index" must be an integer`,
    );
  }
  if (number < 0 || number >= count) {
    throw new RangeError(
      `Cannot ${action} ${index}: the list has ${count} items`,
    );
  }
  if (Header.Size + (number + 1) * Slot.Size <= size) {
    const place = placeAt(view, number);
    const { offset, capacity } = place;
    if (capacity >= UNIT && offset + capacity <= size) return place;
  }
  throw damaged(`${action} ${index}`, "its slot");
}

/** A value as it is stored. */
interface Packed {
  readonly kind: number;
  /** Of a number, they change with the next call of `pack`. */
  readonly bytes: Uint8Array;
}

const NO_BYTES = new Uint8Array();
const FALSE = Uint8Array.of(0);
const TRUE = Uint8Array.of(1);

function pack(value: unknown, index: number): Packed {
  switch (typeof value) {
    case "number":
      // No integer is -0.
      if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
        scratchView.setBigInt64(0, BigInt(value), true);
        return { kind: Kind.Int, bytes: scratch };
      }
      scratchView.setFloat64(0, value, true);
      return { kind: Kind.Float, bytes: scratch };
    case "bigint":
      if (value !== BigInt.asIntN(64, value)) {
        throw new RangeError(
          `Cannot set item ${index}: a bigint must fit in 64 bits, received ${
            shown(value)
          }`,
        );
      }
      scratchView.setBigInt64(0, value, true);
      return { kind: Kind.BigInt, bytes: scratch };
    case "boolean":
      return { kind: Kind.Boolean, bytes: value ? TRUE : FALSE };
    case "string":
      return value.isWellFormed()
        ? { kind: Kind.Text, bytes: encoder.encode(value) }
        : { kind: Kind.Text16, bytes: encodeText16(value) };
  }
  if (value === null) return { kind: Kind.Null, bytes: NO_BYTES };
  if (value instanceof Uint8Array) return { kind: Kind.Bytes, bytes: value };
  throw new TypeError(
    `Cannot set item ${index}: it must be a number, bigint, boolean, string, Uint8Array or null, received ${
      shown(value)
    }`,
  );
}

function capacityFor(packed: Packed): number {
  return Math.max(UNIT, Math.ceil(packed.bytes.length / UNIT) * UNIT);
}

function store(
  bytes: Uint8Array,
  view: DataView,
  place: Place,
  packed: Packed,
): void {
  bytes.set(packed.bytes, place.offset);
  view.setUint32(place.entry + Slot.Used, packed.bytes.length, true);
  view.setUint32(place.entry + Slot.Kind, packed.kind, true);
}

function encodeText16(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 2);
  const view = viewOf(bytes);
  for (let i = 0; i < text.length; i++) {
    view.setUint16(i * 2, text.charCodeAt(i), true);
  }
  return bytes;
}

function decodeText16(bytes: Uint8Array): string {
  const view = viewOf(bytes);
  let text = "";
  for (let i = 0; i < bytes.length; i += 2) {
    text += String.fromCharCode(view.getUint16(i, true));
  }
  return text;
}
