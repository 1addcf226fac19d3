// Copyright 2026 the multitask authors. MIT license.
// A growing byte writer and a bounds-checked byte reader: the primitives under
// the codec and the frame headers. Numbers are little-endian, lengths are
// LEB128 varints of up to 2^53.

import { SerializationError } from "./errors.ts";

const encoder = new TextEncoder();
// Without this option a text loses a byte order mark at its start.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Up to this many characters a loop beats the text encoder and decoder, whose
 * calls cost more than their work. Below 0x80: the length takes one byte.
 */
const SHORT_TEXT = 32;

/** Room for what follows a big piece, so that it is not moved once more. */
const SLACK = 1024;

// A buffer of its own costs more than encoding a small message (0.5 µs). So
// small results are cut from one slab after the other. The price: a small
// result that is kept for long keeps its slab, so slabs are small, too.
const SLAB_SIZE = 2048;
const SLAB_PIECE = 256;
let slab = new Uint8Array(SLAB_SIZE);
let slabPos = 0;

/** Copies the first `size` bytes, at most `SLAB_PIECE`, into the slab. */
function cutFromSlab(
  bytes: Uint8Array,
  size: number,
): Uint8Array<ArrayBuffer> {
  // The length is 0 if somebody has transferred the buffer.
  if (size > slab.length - slabPos) {
    slab = new Uint8Array(SLAB_SIZE);
    slabPos = 0;
  }
  const start = slabPos;
  for (let i = 0; i < size; i++) slab[start + i] = bytes[i]!;
  slabPos += size;
  return slab.subarray(start, slabPos);
}

/** A copy to keep; a small one shares its buffer, so never transfer that. */
export function copied(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.length <= SLAB_PIECE
    ? cutFromSlab(bytes, bytes.length)
    : new Uint8Array(bytes);
}

/** A byte buffer that grows as it is written. */
export class ByteWriter {
  bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #lent: Uint8Array<ArrayBuffer>[] = [];
  pos = 0;

  constructor(capacity = 256) {
    this.bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.bytes.buffer);
  }

  /** Makes room for `size` more bytes. */
  reserve(size: number): void {
    const needed = this.pos + size;
    if (needed > this.bytes.length) this.#grow(needed);
  }

  #grow(needed: number): void {
    const grown = new Uint8Array(
      Math.max(needed + SLACK, this.bytes.length * 2),
    );
    grown.set(this.bytes.subarray(0, this.pos));
    this.bytes = grown;
    this.#view = new DataView(grown.buffer);
    this.#lent = [];
  }

  u8(value: number): void {
    this.reserve(1);
    this.bytes[this.pos++] = value;
  }

  u32(value: number): void {
    this.reserve(4);
    this.#view.setUint32(this.pos, value, true);
    this.pos += 4;
  }

  i32(value: number): void {
    this.reserve(4);
    this.#view.setInt32(this.pos, value, true);
    this.pos += 4;
  }

  f64(value: number): void {
    this.reserve(8);
    this.#view.setFloat64(this.pos, value, true);
    this.pos += 8;
  }

  /** Integers from -128 to 127, a byte each. */
  i8s(values: readonly number[]): void {
    this.reserve(values.length);
    const bytes = this.bytes;
    let at = this.pos;
    for (let i = 0; i < values.length; i++) bytes[at++] = values[i]!;
    this.pos = at;
  }

  /** The same as so many calls of `i32`. */
  i32s(values: readonly number[]): void {
    this.reserve(values.length * 4);
    const view = this.#view;
    let at = this.pos;
    for (let i = 0; i < values.length; i++, at += 4) {
      view.setInt32(at, values[i]!, true);
    }
    this.pos = at;
  }

  /** The same as so many calls of `f64`. */
  f64s(values: readonly number[]): void {
    this.reserve(values.length * 8);
    const view = this.#view;
    let at = this.pos;
    for (let i = 0; i < values.length; i++, at += 8) {
      view.setFloat64(at, values[i]!, true);
    }
    this.pos = at;
  }

  varint(value: number): void {
    this.reserve(8);
    while (value > 0x7f) {
      this.bytes[this.pos++] = (value % 128) | 0x80;
      value = Math.floor(value / 128);
    }
    this.bytes[this.pos++] = value;
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.pos);
    this.pos += bytes.length;
  }

  /** A length and the text as UTF-8; a lone surrogate becomes U+FFFD. */
  text(text: string): void {
    if (!this.shortAscii(text)) this.utf8(text);
  }

  /** Writes what `text` would if that is short ASCII; tells if it is. */
  shortAscii(text: string): boolean {
    const length = text.length;
    if (length > SHORT_TEXT) return false;
    this.reserve(length + 1);
    const bytes = this.bytes;
    const start = this.pos + 1;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) return false;
      bytes[start + i] = code;
    }
    bytes[start - 1] = length;
    this.pos = start + length;
    return true;
  }

  /** Writes what `text` would, the way that suits long text. */
  utf8(text: string): void {
    // The length goes first but is known last: it gets the room that it takes
    // at most (UTF-8 needs at most three bytes for a character).
    const most = text.length * 3;
    const width = most < 0x80 ? 1 : most < 0x4000 ? 2 : most < 0x200000 ? 3 : 5;
    this.reserve(width + text.length);
    const start = this.pos;
    let at = start + width;
    // As if all were ASCII; if not, what is left over gets the room it needs.
    const { read, written } = encoder.encodeInto(text, this.bytes.subarray(at));
    at += written;
    if (read < text.length) {
      const rest = text.slice(read);
      this.pos = at;
      this.reserve(rest.length * 3);
      at += encoder.encodeInto(rest, this.bytes.subarray(at)).written;
    }
    let size = at - start - width;
    for (let i = start; i < start + width - 1; i++) {
      this.bytes[i] = (size & 0x7f) | 0x80;
      size >>>= 7;
    }
    this.bytes[start + width - 1] = size;
    this.pos = at;
  }

  /**
   * Hands over what was written; the writer starts anew. The result may be
   * part of a buffer that other results share: never transfer that.
   */
  take(): Uint8Array<ArrayBuffer> {
    const size = this.pos;
    this.pos = 0;
    if (size <= SLAB_PIECE) return cutFromSlab(this.bytes, size);
    // Nor is a buffer that is much larger given away with it.
    if (size <= 0x10000 || size * 2 < this.bytes.length) {
      return this.bytes.slice(0, size);
    }
    const taken = this.bytes.subarray(0, size);
    this.bytes = new Uint8Array(256);
    this.#view = new DataView(this.bytes.buffer);
    this.#lent = [];
    return taken;
  }

  /**
   * Lends what was written, without a copy: until the next write. The writer
   * starts anew, in the same memory unless that is a lot.
   */
  lend(): Uint8Array<ArrayBuffer> {
    const size = this.pos;
    if (size > LENT_MAX) return this.take();
    this.pos = 0;
    if (size > LENT_VIEWS) return this.bytes.subarray(0, size);
    return this.#lent[size] ??= this.bytes.subarray(0, size);
  }
}

/** More memory than this a writer does not keep for its next message. */
const LENT_MAX = 1 << 21;

/** Views of so many bytes and less are made once. */
const LENT_VIEWS = 128;

/** Up to this many bytes, a DataView costs more than what it saves. */
const FEW_BYTES = 256;
const scratch = new Uint8Array(8);
const scratchView = new DataView(scratch.buffer);

/** For each length of a short text, an array for its character codes. */
const CODES: readonly number[][] = Array.from(
  { length: SHORT_TEXT + 1 },
  (_, length) => new Array<number>(length).fill(0),
);

// Property names come again and again. They are looked up by their bytes in a
// table of fixed size, where the latest name takes the place of an older one.
const MAX_NAME = 24;
const NAMES: string[] = new Array<string>(512).fill("");

/** Reads what a {@linkcode ByteWriter} wrote; throws on short input. */
export class ByteReader {
  readonly bytes: Uint8Array;
  #view: DataView | undefined;
  pos: number;

  constructor(bytes: Uint8Array, pos = 0) {
    this.bytes = bytes;
    this.pos = pos;
  }

  #need(size: number): number {
    const at = this.pos;
    if (size > this.bytes.length - at) this.#short(size);
    this.pos = at + size;
    return at;
  }

  #short(size: number): never {
    throw new SerializationError(
      `Cannot decode: ${size} bytes are announced at ${this.pos}, ${
        this.bytes.length - this.pos
      } are there`,
    );
  }

  u8(): number {
    const at = this.#need(1);
    return this.bytes[at]!;
  }

  u32(): number {
    return this.i32() >>> 0;
  }

  i32(): number {
    const at = this.#need(4);
    const bytes = this.bytes;
    return bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 |
      bytes[at + 3]! << 24;
  }

  f64(): number {
    const at = this.#need(8);
    const bytes = this.bytes;
    if (bytes.length > FEW_BYTES) {
      this.#view ??= new DataView(
        bytes.buffer,
        bytes.byteOffset,
        bytes.length,
      );
      return this.#view.getFloat64(at, true);
    }
    for (let i = 0; i < 8; i++) scratch[i] = bytes[at + i]!;
    return scratchView.getFloat64(0, true);
  }

  /** What `i8s` wrote. */
  i8s(count: number): number[] {
    const at = this.#need(count);
    const bytes = this.bytes;
    const values: number[] = [];
    for (let i = 0; i < count; i++) values.push(bytes[at + i]! << 24 >> 24);
    return values;
  }

  /** What `i32s` wrote. */
  i32s(count: number): number[] {
    const view = this.#numbers(count, 4);
    const values: number[] = [];
    for (let i = 0; i < count; i++) values.push(view.getInt32(i * 4, true));
    return values;
  }

  /** What `f64s` wrote. */
  f64s(count: number): number[] {
    const view = this.#numbers(count, 8);
    const values: number[] = [];
    for (let i = 0; i < count; i++) values.push(view.getFloat64(i * 8, true));
    return values;
  }

  #numbers(count: number, size: number): DataView {
    const at = this.#need(count * size);
    const { buffer, byteOffset } = this.bytes;
    return new DataView(buffer, byteOffset + at, count * size);
  }

  varint(): number {
    const first = this.u8();
    return first < 0x80 ? first : this.#longVarint(first);
  }

  #longVarint(first: number): number {
    let value = first & 0x7f;
    let scale = 128;
    for (let i = 1; i < 8; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value <= Number.MAX_SAFE_INTEGER) return value;
        break;
      }
      scale *= 128;
    }
    throw new SerializationError("Cannot decode: a length is out of range");
  }

  /** A view of the next `size` bytes, not a copy. */
  raw(size: number): Uint8Array {
    const at = this.#need(size);
    return this.bytes.subarray(at, at + size);
  }

  /** The bytes that are left, as a view. */
  rest(): Uint8Array {
    return this.raw(this.bytes.length - this.pos);
  }

  text(): string {
    const size = this.varint();
    return this.#utf8(this.#need(size), size);
  }

  /** What `text` reads, for text that is likely to come again. */
  name(): string {
    const size = this.varint();
    const at = this.#need(size);
    if (size > MAX_NAME) return this.#utf8(at, size);
    const bytes = this.bytes;
    let hash = size;
    for (let i = at; i < at + size; i++) hash = (hash * 31 + bytes[i]!) | 0;
    const slot = hash & (NAMES.length - 1);
    const known = NAMES[slot]!;
    if (known.length === size) {
      let i = 0;
      while (i < size && known.charCodeAt(i) === bytes[at + i]) i++;
      if (i === size) return known;
    }
    const name = this.#utf8(at, size);
    // Characters are compared with bytes, so only ASCII is found again.
    return NAMES[slot] = name;
  }

  #utf8(at: number, size: number): string {
    const bytes = this.bytes;
    if (size <= SHORT_TEXT) {
      const codes = CODES[size]!;
      let all = 0;
      for (let i = 0; i < size; i++) {
        const code = bytes[at + i]!;
        codes[i] = code;
        all |= code;
      }
      if (all < 0x80) return String.fromCharCode.apply(null, codes);
    }
    return decoder.decode(bytes.subarray(at, at + size));
  }
}
