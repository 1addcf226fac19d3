// Copyright 2026 the multitask authors. MIT license.
// Values to bytes and back: everything the structured clone algorithm carries
// (cycles and shared references included) plus our own handles anywhere in it.
//
// Why a codec of our own: the value set is (clone + handles - class instances,
// with the path of a bad field), which no package offers, so each would need a
// second walk before it; and child processes would have to resolve the package
// before their first message. bench/codec_bench.ts has the figures.
//
// One byte of tag, then the value. Objects, in the order in which they are met,
// get reference numbers; the decoder counts alike. Property names are numbered
// per message too, so that a list of records names each field once.
//
// Properties whose keys are symbols are left out, as in a structured clone:
// looking for them takes a tenth of the time that a small message takes.

import { ByteReader, ByteWriter } from "./_bytes.ts";
import {
  type ErrorClassLookup,
  errorParts,
  errorShell,
  fillError,
} from "./_error_codec.ts";
import { SerializationError } from "./errors.ts";
import { messageOf } from "./_inspected.ts";
import { shown } from "./_options.ts";

/** The method that makes an object a handle: it crosses as a reference. */
export const handle: unique symbol = Symbol("multitask.handle");

/** An object that crosses as a reference to something that stays at home. */
export interface Handle {
  readonly [handle]: true;
}

/** The method by which an object tells what it is made of. */
export const parts: unique symbol = Symbol("multitask.parts");

/** An object that crosses as its parts, handles among them. */
export interface Composite {
  /** The number of its class, and what it is made anew from. */
  readonly [parts]: readonly [number, ...unknown[]];
}

const composites = new Map<number, (parts: readonly unknown[]) => object>();

/** Makes a class known whose objects cross as their parts. */
export function registerComposite(
  number: number,
  make: (parts: readonly unknown[]) => object,
): void {
  composites.set(number, make);
}

/**
 * Bytes of a value and, in order of their numbers, the handles in it. Small
 * messages share a buffer: never transfer it.
 */
export interface Encoded {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly handles: readonly Handle[];
}

const Tag = {
  Undefined: 0,
  Null: 1,
  True: 2,
  False: 3,
  Int32: 4,
  Float64: 5,
  BigInt: 6,
  Text: 7,
  Text16: 8,
  Object: 9,
  Array: 10,
  SparseArray: 11,
  Map: 12,
  Set: 13,
  Date: 14,
  RegExp: 15,
  ArrayBuffer: 16,
  View: 17,
  Boxed: 18,
  Error: 19,
  Ref: 20,
  Handle: 21,
  Composite: 22,
  /** Lists of numbers alone: of integers of 8 and of 32 bits, and of others. */
  Int8s: 23,
  Int32s: 24,
  Float64s: 25,
  /** From here on: a small integer, 0 to 127, in the tag itself. */
  SmallInt: 0x80,
} as const;

/**
 * Deeper nesting could overflow the stack of the other side: unoptimised code
 * takes about a kilobyte a level, and the value may arrive deep in a call.
 */
const MAX_DEPTH = 500;

type ViewConstructor = {
  readonly prototype: ArrayBufferView;
  new (
    buffer: ArrayBuffer,
    byteOffset: number,
    length?: number,
  ): ArrayBufferView;
};

const VIEWS: readonly ViewConstructor[] = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
  Float16Array,
];

const VIEW_KINDS = new Map<unknown, number>(
  VIEWS.map((type, index) => [type.prototype, index]),
);

/** So many things are found faster in a list than in a map. */
const FEW = 16;

/**
 * Numbers things in the order in which they are met. A map comes into play only
 * when there are many: making one costs more than encoding a small message.
 */
class Numbering<T> {
  count = 0;
  #things: (T | undefined)[] = new Array(FEW).fill(undefined);
  #numbers: Map<T, number> | undefined;
  /** The number that is tried first: fields come in the same order again. */
  #next = 0;

  /** The number of the thing, or -1 if it is new: then it gets the next one. */
  meet(thing: T): number {
    let number = this.#next;
    if (number >= this.count || this.#things[number] !== thing) {
      number = this.#find(thing);
    }
    if (number >= 0) this.#next = number + 1;
    else {
      this.#things[this.count++] = thing;
      this.#next = this.count;
    }
    return number;
  }

  /** As `meet`, but without keeping what is new in the list. */
  #find(thing: T): number {
    const { count } = this;
    const things = this.#things;
    if (count <= FEW) {
      for (let i = 0; i < count; i++) if (things[i] === thing) return i;
      return -1;
    }
    let numbers = this.#numbers;
    if (numbers === undefined) {
      numbers = this.#numbers = new Map();
      for (let i = 0; i < count; i++) numbers.set(things[i]!, i);
    }
    const known = numbers.get(thing);
    if (known !== undefined) return known;
    numbers.set(thing, count);
    return -1;
  }

  /** Forgets the things from this number on. */
  forget(from: number): void {
    if (this.count > FEW && from <= FEW) {
      this.#things = this.#things.slice(0, FEW);
      this.#numbers = undefined;
      this.count = FEW;
    }
    for (let i = from; i < this.count; i++) {
      this.#numbers?.delete(this.#things[i]!);
      this.#things[i] = undefined;
    }
    this.count = from;
    this.#next = 0;
  }
}

const NO_HANDLES: readonly Handle[] = Object.freeze([]);

/** Thrown inside the walk; the path is found afterwards, off the hot path. */
class Unsendable {
  constructor(readonly value: unknown, readonly why: string) {}
}

class Encoder {
  readonly #out = new ByteWriter(1024);
  readonly #objects = new Numbering<object>();
  readonly #keys = new Numbering<string>();
  #handles: Handle[] | undefined;
  #depth = 0;
  #foreign = false;
  #isKnown: EncodeOptions["isKnown"];
  #isShared: EncodeOptions["isShared"];
  busy = false;

  encode(
    value: unknown,
    { foreign = false, lend = false, isKnown, isShared, isList }: EncodeOptions,
  ): Encoded {
    this.busy = true;
    this.#foreign = foreign;
    this.#isKnown = isKnown;
    this.#isShared = isShared;
    try {
      if (isList) this.#list(value as readonly unknown[]);
      else this.#value(value);
      const handles = this.#handles ?? NO_HANDLES;
      const bytes = lend ? this.#out.lend() : this.#out.take();
      return { bytes, handles };
    } finally {
      this.#out.pos = 0;
      this.#objects.forget(0);
      this.#keys.forget(0);
      this.#handles = undefined;
      this.#depth = 0;
      this.busy = false;
    }
  }

  #value(value: unknown): void {
    const out = this.#out;
    switch (typeof value) {
      case "number":
        return this.#number(value);
      case "string":
        return this.#text(value);
      case "boolean":
        return out.u8(value ? Tag.True : Tag.False);
      case "undefined":
        return out.u8(Tag.Undefined);
      case "bigint":
        out.u8(Tag.BigInt);
        return out.text(value.toString(16));
      case "object":
        if (value === null) return out.u8(Tag.Null);
        return this.#object(value);
      case "function":
        throw new Unsendable(value, "is a function");
      default:
        throw new Unsendable(value, "is a symbol");
    }
  }

  #number(value: number): void {
    const out = this.#out;
    if (value === (value | 0) && !Object.is(value, -0)) {
      if (value >= 0 && value < 0x80) return out.u8(Tag.SmallInt | value);
      out.u8(Tag.Int32);
      return out.i32(value);
    }
    out.u8(Tag.Float64);
    out.f64(value);
  }

  #text(value: string): void {
    const out = this.#out;
    out.u8(Tag.Text);
    if (out.shortAscii(value)) return;
    if (value.isWellFormed()) return out.utf8(value);
    // Only UTF-16 keeps a lone surrogate.
    out.pos--;
    out.u8(Tag.Text16);
    out.varint(value.length);
    out.reserve(value.length * 2);
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      out.u8(code & 0xff);
      out.u8(code >> 8);
    }
  }

  /** Numbers the object; true when it was met before (and is written). */
  #seen(value: object): boolean {
    const known = this.#objects.meet(value);
    if (known < 0) return false;
    this.#out.u8(Tag.Ref);
    this.#out.varint(known);
    return true;
  }

  #object(value: object): void {
    if (this.#seen(value)) return;
    if (++this.#depth > MAX_DEPTH) {
      throw new Unsendable(
        value,
        `is nested more than ${MAX_DEPTH} levels deep`,
      );
    }
    const prototype = Object.getPrototypeOf(value);
    if (Array.isArray(value)) this.#array(value);
    else if (prototype === Object.prototype || prototype === null) {
      this.#plain(value as Record<string, unknown>);
    } else this.#special(value, prototype);
    this.#depth--;
  }

  #array(value: unknown[]): void {
    const out = this.#out;
    const length = value.length;
    const keys = Object.keys(value);
    // Indices come first: with as many keys as items, and the last index the
    // last key, there are neither holes nor fields.
    if (
      keys.length === length &&
      (length === 0 || keys[length - 1] === String(length - 1))
    ) {
      return this.#items(value);
    }
    // Holes and extra fields survive, as in a structured clone.
    out.u8(Tag.SparseArray);
    out.varint(length);
    this.#fields(value as unknown as Record<string, unknown>, keys);
  }

  #items(value: readonly unknown[]): void {
    const out = this.#out;
    out.u8(Tag.Array);
    out.varint(value.length);
    for (let i = 0; i < value.length; i++) this.#value(value[i]);
  }

  /**
   * A list that this package has made: it has neither holes nor fields, so that
   * nobody has to look for them, which takes longer than all the rest.
   */
  #list(value: readonly unknown[]): void {
    this.#objects.meet(value);
    this.#depth++;
    const tag = numbersTag(value);
    if (tag === undefined) return this.#items(value);
    const out = this.#out;
    out.u8(tag);
    out.varint(value.length);
    // All of them are: see there.
    const numbers = value as readonly number[];
    if (tag === Tag.Int8s) out.i8s(numbers);
    else if (tag === Tag.Int32s) out.i32s(numbers);
    else out.f64s(numbers);
  }

  #plain(value: Record<string, unknown>): void {
    this.#out.u8(Tag.Object);
    this.#fields(value, Object.keys(value));
  }

  #fields(value: Record<string, unknown>, keys: string[]): void {
    this.#out.varint(keys.length);
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      this.#key(key);
      this.#value(value[key]);
    }
  }

  #key(key: string): void {
    const known = this.#keys.meet(key);
    this.#out.varint(known + 1);
    if (known < 0) this.#text(key);
  }

  #handle(value: Handle): void {
    const handles = this.#handles ??= [];
    this.#out.u8(Tag.Handle);
    this.#out.varint(handles.length);
    handles.push(value);
  }

  #special(value: object, prototype: unknown): void {
    const out = this.#out;
    if (this.#isShared?.(value)) return this.#handle(value as Handle);
    if (this.#foreign && (handle in value || parts in value)) {
      throw new Unsendable(
        value,
        `is ${
          shown(value)
        }, which is shared within one program; share objects with other programs by a Manager`,
      );
    }
    if (handle in value) {
      if (this.#isKnown?.(value as Handle) === false) {
        throw new Unsendable(
          value,
          `is ${shown(value)} that only looks like a shared object`,
        );
      }
      return this.#handle(value as Handle);
    }
    if (parts in value) {
      let number: number;
      let rest: unknown[];
      try {
        [number, ...rest] = (value as Composite)[parts];
      } catch {
        throw new Unsendable(
          value,
          `is ${shown(value)} that only looks like a shared object`,
        );
      }
      out.u8(Tag.Composite);
      out.u8(number);
      out.varint(rest.length);
      for (const part of rest) this.#value(part);
      return;
    }
    switch (prototype) {
      case Map.prototype: {
        const map = value as Map<unknown, unknown>;
        out.u8(Tag.Map);
        const entries = [...map];
        out.varint(entries.length);
        for (const [key, item] of entries) {
          this.#value(key);
          this.#value(item);
        }
        return;
      }
      case Set.prototype: {
        const items = [...value as Set<unknown>];
        out.u8(Tag.Set);
        out.varint(items.length);
        for (const item of items) this.#value(item);
        return;
      }
      case Date.prototype:
        out.u8(Tag.Date);
        return out.f64((value as Date).getTime());
      case RegExp.prototype:
        out.u8(Tag.RegExp);
        this.#text((value as RegExp).source);
        return this.#text((value as RegExp).flags);
      case ArrayBuffer.prototype:
        return this.#buffer(value as ArrayBuffer);
      case Boolean.prototype:
      case Number.prototype:
      case String.prototype:
      case BigInt.prototype:
        out.u8(Tag.Boxed);
        return this.#value(value.valueOf());
    }
    const view = VIEW_KINDS.get(prototype);
    if (view !== undefined) return this.#view(value as ArrayBufferView, view);
    if (value instanceof Error) return this.#error(value);
    if (value instanceof SharedArrayBuffer) {
      throw new Unsendable(
        value,
        "is a SharedArrayBuffer, which cannot leave its process",
      );
    }
    throw new Unsendable(
      value,
      `is ${
        shown(value)
      }: a class instance would arrive without its class; send a plain object instead`,
    );
  }

  #buffer(value: ArrayBuffer): void {
    if (value.detached) throw new Unsendable(value, "is a detached buffer");
    const out = this.#out;
    out.u8(Tag.ArrayBuffer);
    out.varint(value.resizable ? value.maxByteLength + 1 : 0);
    out.varint(value.byteLength);
    out.raw(new Uint8Array(value));
  }

  #view(value: ArrayBufferView, kind: number): void {
    const out = this.#out;
    if (!(value.buffer instanceof ArrayBuffer)) {
      throw new Unsendable(
        value,
        "is a view of shared memory, which cannot leave its process",
      );
    }
    if (value.buffer.detached) {
      throw new Unsendable(value, "is a view of a detached buffer");
    }
    out.u8(Tag.View);
    out.u8(kind);
    // As in a structured clone: the buffer goes whole, however small the part
    // of it that the view shows, and views of one buffer stay so.
    const element =
      (value as unknown as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ??
        1;
    // A view to the end of a buffer that can grow most likely grows with it.
    const follows = value.buffer.resizable &&
      value.byteOffset + value.byteLength === value.buffer.byteLength;
    out.varint(value.byteOffset);
    out.varint(follows ? 0 : value.byteLength / element + 1);
    if (!this.#seen(value.buffer)) this.#buffer(value.buffer);
  }

  #error(value: Error): void {
    const out = this.#out;
    const parts = errorParts(value);
    out.u8(Tag.Error);
    this.#text(parts.className);
    this.#value(parts.name);
    this.#text(parts.message);
    this.#value(parts.stack);
    out.u8(parts.hasCause ? 1 : 0);
    if (parts.hasCause) this.#lenient(parts.cause);
    out.varint(parts.errors === undefined ? 0 : parts.errors.length + 1);
    for (const error of parts.errors ?? []) this.#lenient(error);
    out.varint(parts.fields.length);
    for (const [key, field] of parts.fields) {
      this.#key(key);
      this.#lenient(field);
    }
  }

  /** An error gets across even if something it carries cannot. */
  #lenient(value: unknown): void {
    const out = this.#out;
    const pos = out.pos;
    const depth = this.#depth;
    const objects = this.#objects.count;
    const keys = this.#keys.count;
    const handles = this.#handles?.length ?? 0;
    try {
      this.#value(value);
    } catch {
      out.pos = pos;
      this.#depth = depth;
      this.#objects.forget(objects);
      this.#keys.forget(keys);
      if (this.#handles !== undefined) this.#handles.length = handles;
      this.#text(`[${shown(value)}]`);
    }
  }
}

/** How a list of numbers alone is written; `undefined` for any other. */
function numbersTag(values: readonly unknown[]): number | undefined {
  const { length } = values;
  let bits = 0;
  let i = 0;
  for (; i < length; i++) {
    const value = values[i];
    if (typeof value !== "number") return undefined;
    if (value !== (value | 0) || Object.is(value, -0)) break;
    bits |= value ^ value >> 31;
  }
  if (i === length) return bits < 0x80 ? Tag.Int8s : Tag.Int32s;
  for (; i < length; i++) {
    if (typeof values[i] !== "number") return undefined;
  }
  return Tag.Float64s;
}

/** The encoder of everybody, but for one message inside another. */
const sharedEncoder = new Encoder();

/** What `encode` is told beside the value. */
export interface EncodeOptions {
  /** What the value is called in an error's path, for example `args`. */
  root?: string;
  /** Buffers to detach once the value is encoded. */
  transfer?: readonly ArrayBuffer[] | undefined;
  /** Whether it is for another program: objects of this one stay here. */
  foreign?: boolean;
  /**
   * What goes to other programs as a reference: it is among the handles, and how
   * it is named there is the caller's affair.
   */
  isShared?: (object: object) => boolean;
  /** Tells handles from what only looks like one. */
  isKnown?: (object: Handle) => boolean;
  /** Whether the bytes are only needed until the next call. */
  lend?: boolean;
  /** Whether it is a list that has nothing but its items, none left out. */
  isList?: boolean;
}

/**
 * Encodes a value. Nothing has happened yet when this throws
 * `SerializationError`: handles are collected, not leased.
 */
export function encode(value: unknown, options: EncodeOptions = {}): Encoded {
  // A getter in the value may send something itself.
  const encoder = sharedEncoder.busy ? new Encoder() : sharedEncoder;
  checkTransfer(options.transfer);
  let encoded: Encoded;
  try {
    encoded = encoder.encode(value, options);
  } catch (error) {
    const root = options.root ?? "value";
    if (error instanceof Unsendable) {
      const path = findPath(value, error.value, root);
      throw new SerializationError(`Cannot send: ${path} ${error.why}`, {
        path,
      });
    }
    throw new SerializationError(
      `Cannot send ${root}: reading it failed: ${messageOf(error)}`,
      { path: root, cause: error },
    );
  }
  // Transfer between processes is a copy that takes the original away.
  if (options.transfer !== undefined) {
    for (const buffer of new Set(options.transfer)) buffer.transfer(0);
  }
  return encoded;
}

/** Checks before anything is taken away. */
function checkTransfer(transfer: readonly ArrayBuffer[] | undefined): void {
  transfer?.forEach((buffer, index) => {
    if (buffer instanceof ArrayBuffer && !buffer.detached) return;
    const path = `transfer[${index}]`;
    throw new SerializationError(
      `Cannot send: ${path} must be an ArrayBuffer that is not detached, received ${
        shown(buffer)
      }`,
      { path },
    );
  });
}

/** Where `bad` stands in `root`: a plain walk, for the error message only. */
function findPath(root: unknown, bad: unknown, name: string): string {
  const visited = new Set<object>();
  const stack: [unknown, string][] = [[root, name]];
  while (stack.length > 0) {
    const [value, path] = stack.pop()!;
    if (Object.is(value, bad)) return path;
    if (
      typeof value !== "object" || value === null || visited.has(value) ||
      handle in value || parts in value || value instanceof Error
    ) continue;
    visited.add(value);
    const next: [unknown, string][] = [];
    if (value instanceof Map) {
      for (const [key, item] of value) {
        next.push([key, `${path}.key(${shown(key)})`]);
        next.push([item, `${path}.get(${shown(key)})`]);
      }
    } else if (value instanceof Set) {
      let index = 0;
      for (const item of value) next.push([item, `${path}.values[${index++}]`]);
    } else if (ArrayBuffer.isView(value)) {
      next.push([value.buffer, `${path}.buffer`]);
    } else {
      for (const key of Object.keys(value)) {
        let item: unknown;
        try {
          item = (value as Record<string, unknown>)[key];
        } catch {
          continue;
        }
        next.push([
          item,
          Array.isArray(value)
            ? `${path}[${key}]`
            : /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key)
            ? `${path}.${key}`
            : `${path}[${JSON.stringify(key)}]`,
        ]);
      }
    }
    // Depth first, in order.
    stack.push(...next.reverse());
  }
  return name;
}

/** How a decoder fills in what bytes alone cannot say. */
export interface DecodeOptions {
  /** Gives the object for handle number `index`. */
  handle?: (index: number) => unknown;
  /** Finds an error class that is neither built in nor ours. */
  errorClass?: ErrorClassLookup | undefined;
  /** Whether it comes from another program, which makes no objects here. */
  foreign?: boolean;
  /**
   * How many items and fields there may be in all: a few bytes are as many of
   * them, which take more memory here.
   *
   * @default {Infinity}
   */
  maxValues?: number;
}

const NO_BYTES = new ByteReader(new Uint8Array());
const NO_OPTIONS: DecodeOptions = Object.freeze({});

class Decoder {
  #in = NO_BYTES;
  #options = NO_OPTIONS;
  #refs: unknown[] = [];
  #keys: string[] = [];
  #depth = 0;
  /** How many items and fields may still come. */
  #left = Infinity;
  busy = false;

  decode(bytes: Uint8Array, options: DecodeOptions): unknown {
    this.busy = true;
    try {
      const input = this.#in = new ByteReader(bytes);
      this.#options = options;
      this.#left = options.maxValues ?? Infinity;
      const value = this.value();
      if (input.pos !== bytes.length) {
        throw new SerializationError("Cannot decode: bytes are left over");
      }
      return value;
    } catch (error) {
      if (error instanceof SerializationError) throw error;
      // A pattern, a number or a length that the engine refuses.
      throw new SerializationError(
        `Cannot decode: ${error instanceof Error ? error.message : error}`,
        { cause: error },
      );
    } finally {
      this.#in = NO_BYTES;
      this.#options = NO_OPTIONS;
      if (this.#refs.length > 0) this.#refs = [];
      if (this.#keys.length > 0) this.#keys = [];
      this.#depth = 0;
      this.busy = false;
    }
  }

  value(): unknown {
    const input = this.#in;
    const tag = input.u8();
    if (tag >= Tag.SmallInt) return tag & 0x7f;
    switch (tag) {
      case Tag.Undefined:
        return undefined;
      case Tag.Null:
        return null;
      case Tag.True:
        return true;
      case Tag.False:
        return false;
      case Tag.Int32:
        return input.i32();
      case Tag.Float64:
        return input.f64();
      case Tag.BigInt: {
        const text = input.text();
        if (!/^-?[0-9a-f]+$/.test(text)) this.#corrupt("bigint");
        return text.startsWith("-")
          ? -BigInt(`0x${text.slice(1)}`)
          : BigInt(`0x${text}`);
      }
      case Tag.Text:
        return input.text();
      case Tag.Text16:
        return this.#text16();
      case Tag.Ref: {
        const ref = input.varint();
        if (ref >= this.#refs.length) this.#corrupt("reference");
        return this.#refs[ref];
      }
    }
    if (++this.#depth > MAX_DEPTH) this.#corrupt("nesting");
    const value = this.#object(tag);
    this.#depth--;
    return value;
  }

  #corrupt(what: string): never {
    throw new SerializationError(`Cannot decode: bad ${what}`);
  }

  #text16(): string {
    const bytes = this.#in.raw(this.#in.varint() * 2);
    let text = "";
    for (let i = 0; i < bytes.length; i += 2) {
      text += String.fromCharCode(bytes[i]! | bytes[i + 1]! << 8);
    }
    return text;
  }

  #string(): string {
    const value = this.value();
    if (typeof value !== "string") this.#corrupt("text");
    return value;
  }

  #keep<T>(value: T): T {
    this.#refs.push(value);
    return value;
  }

  /** A count of items that take at least a byte each. */
  #count(): number {
    const count = this.#in.varint();
    if (count > this.#in.bytes.length - this.#in.pos) this.#corrupt("count");
    this.#left -= count;
    if (this.#left < 0) {
      throw new SerializationError(
        `Cannot decode: it has more than ${this.#options.maxValues} items and fields`,
      );
    }
    return count;
  }

  #object(tag: number): unknown {
    const input = this.#in;
    switch (tag) {
      case Tag.Object:
        return this.#fields(this.#keep({} as Record<string, unknown>));
      case Tag.Array: {
        const count = this.#count();
        const array = this.#keep([] as unknown[]);
        for (let i = 0; i < count; i++) array.push(this.value());
        return array;
      }
      case Tag.Int8s:
        return this.#keep(input.i8s(this.#count()));
      case Tag.Int32s:
        return this.#keep(input.i32s(this.#count()));
      case Tag.Float64s:
        return this.#keep(input.f64s(this.#count()));
      case Tag.SparseArray: {
        const length = input.varint();
        if (length > 0xffffffff) this.#corrupt("length");
        const array = this.#keep([] as unknown[]);
        // Past this length an array is a dictionary, and stays one: a length
        // alone, which takes few bytes, then takes no memory.
        array.length = 0xffffffff;
        array.length = length;
        this.#fields(array as unknown as Record<string, unknown>);
        return array;
      }
      case Tag.Map: {
        const map = this.#keep(new Map<unknown, unknown>());
        for (let i = this.#count(); i > 0; i--) {
          const key = this.value();
          map.set(key, this.value());
        }
        return map;
      }
      case Tag.Set: {
        const set = this.#keep(new Set<unknown>());
        for (let i = this.#count(); i > 0; i--) set.add(this.value());
        return set;
      }
      case Tag.Date:
        return this.#keep(new Date(input.f64()));
      case Tag.RegExp: {
        const at = this.#refs.length;
        this.#refs.push(undefined);
        return this.#refs[at] = new RegExp(this.#string(), this.#string());
      }
      case Tag.ArrayBuffer:
        return this.#keep(this.#buffer());
      case Tag.View:
        return this.#view();
      case Tag.Boxed: {
        const at = this.#refs.length;
        this.#refs.push(undefined);
        return this.#refs[at] = Object(this.value());
      }
      case Tag.Error:
        return this.#error();
      case Tag.Composite: {
        if (this.#options.foreign) this.#corrupt("object");
        const at = this.#refs.length;
        this.#refs.push(undefined);
        const make = composites.get(input.u8());
        if (make === undefined) {
          throw new SerializationError(
            "Cannot decode: an object of a class that is not known here; import the module that defines it",
          );
        }
        const list: unknown[] = [];
        for (let i = this.#count(); i > 0; i--) list.push(this.value());
        return this.#refs[at] = make(list);
      }
      case Tag.Handle: {
        const index = input.varint();
        if (this.#options.handle === undefined) this.#corrupt("handle");
        return this.#keep(this.#options.handle(index));
      }
      default:
        return this.#corrupt("tag");
    }
  }

  #fields(target: Record<string, unknown>): unknown {
    for (let i = this.#count(); i > 0; i--) {
      const key = this.#key();
      const value = this.value();
      if (key === "__proto__") {
        Object.defineProperty(target, key, {
          value,
          writable: true,
          enumerable: true,
          configurable: true,
        });
      } else target[key] = value;
    }
    return target;
  }

  #key(): string {
    const number = this.#in.varint();
    if (number === 0) {
      const key = this.#newKey();
      this.#keys.push(key);
      return key;
    }
    return this.#keys[number - 1] ?? this.#corrupt("key");
  }

  #newKey(): string {
    switch (this.#in.u8()) {
      case Tag.Text:
        return this.#in.name();
      case Tag.Text16:
        return this.#text16();
      default:
        return this.#corrupt("key");
    }
  }

  #buffer(): ArrayBuffer {
    const input = this.#in;
    const max = input.varint();
    const size = input.varint();
    const bytes = input.raw(size);
    if (max === 0) {
      return bytes.slice().buffer as ArrayBuffer;
    }
    if (max - 1 < size) this.#corrupt("buffer");
    const buffer = new ArrayBuffer(size, { maxByteLength: max - 1 });
    new Uint8Array(buffer).set(bytes);
    return buffer;
  }

  #view(): unknown {
    const input = this.#in;
    const at = this.#refs.length;
    this.#refs.push(undefined);
    const type = VIEWS[input.u8()];
    const offset = input.varint();
    const length = input.varint();
    // The buffer is no level of its own.
    this.#depth--;
    const buffer = this.value();
    this.#depth++;
    if (type === undefined || !(buffer instanceof ArrayBuffer)) {
      this.#corrupt("view");
    }
    try {
      return this.#refs[at] = length === 0
        ? new type(buffer, offset)
        : new type(buffer, offset, length - 1);
    } catch {
      return this.#corrupt("view");
    }
  }

  #error(): unknown {
    const input = this.#in;
    const at = this.#refs.length;
    this.#refs.push(undefined);
    const className = this.#string();
    const name = this.value();
    const message = this.#string();
    const stack = this.value();
    const error = errorShell(
      className,
      typeof name === "string" ? name : undefined,
      message,
      this.#options.errorClass,
    );
    this.#refs[at] = error;
    const hasCause = input.u8() === 1;
    const cause = hasCause ? this.value() : undefined;
    const count = this.#count();
    let errors: unknown[] | undefined;
    if (count > 0) {
      errors = [];
      for (let i = 1; i < count; i++) errors.push(this.value());
    }
    const fields: [string, unknown][] = [];
    for (let i = this.#count(); i > 0; i--) {
      fields.push([this.#key(), this.value()]);
    }
    fillError(error, {
      stack: typeof stack === "string" ? stack : undefined,
      errors,
      hasCause,
      cause,
      fields,
    });
    return error;
  }
}

/** The decoder of everybody, but for one message inside another. */
const sharedDecoder = new Decoder();

/** Decodes what {@linkcode encode} wrote; `SerializationError` on bad bytes. */
export function decode(
  bytes: Uint8Array,
  options: DecodeOptions = NO_OPTIONS,
): unknown {
  // An error class may be found, or a handle made, by decoding something.
  const decoder = sharedDecoder.busy ? new Decoder() : sharedDecoder;
  return decoder.decode(bytes, options);
}
