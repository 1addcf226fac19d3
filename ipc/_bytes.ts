// Copyright 2026 the multitask authors. MIT license.
// A growing byte writer and a bounds-checked byte reader: the primitives under
// the codec and the frame headers. Numbers are little-endian, lengths are
// LEB128 varints of up to 2^53.

import { SerializationError } from "./errors.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Up to this many characters a loop beats the text encoder. */
const SHORT_TEXT = 48;

/** A byte buffer that grows as it is written. */
export class ByteWriter {
  bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  pos = 0;

  constructor(capacity = 256) {
    this.bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.bytes.buffer);
  }

  /** Makes room for `size` more bytes. */
  reserve(size: number): void {
    const needed = this.pos + size;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.pos));
    this.bytes = grown;
    this.#view = new DataView(grown.buffer);
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

  /** A length and the text as UTF-8; the caller has seen to lone surrogates. */
  text(text: string): void {
    const length = text.length;
    if (length <= SHORT_TEXT) {
      this.reserve(length + 1);
      const start = this.pos;
      const bytes = this.bytes;
      let at = start + 1;
      let i = 0;
      for (; i < length; i++) {
        const code = text.charCodeAt(i);
        if (code > 0x7f) break;
        bytes[at++] = code;
      }
      if (i === length) {
        bytes[start] = length;
        this.pos = at;
        return;
      }
    }
    // Three bytes a character is the most UTF-8 needs; the length goes first,
    // so long text is measured by encoding it once into place.
    if (length < 0x2000) {
      this.reserve(length * 3 + 2);
      const { written } = encoder.encodeInto(
        text,
        this.bytes.subarray(this.pos + 2),
      );
      this.bytes[this.pos] = (written & 0x7f) | 0x80;
      this.bytes[this.pos + 1] = written >> 7;
      if (written >> 7 < 0x80) {
        this.pos += written + 2;
        return;
      }
    }
    const encoded = encoder.encode(text);
    this.varint(encoded.length);
    this.raw(encoded);
  }

  /** Hands over what was written; the writer starts anew. */
  take(): Uint8Array<ArrayBuffer> {
    let taken;
    if (this.pos > 0x10000) {
      taken = this.bytes.subarray(0, this.pos);
      this.bytes = new Uint8Array(256);
      this.#view = new DataView(this.bytes.buffer);
    } else {
      taken = this.bytes.slice(0, this.pos);
    }
    this.pos = 0;
    return taken;
  }
}

/** Reads what a {@linkcode ByteWriter} wrote; throws on short input. */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  pos: number;

  constructor(bytes: Uint8Array, pos = 0) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.pos = pos;
  }

  #need(size: number): number {
    const at = this.pos;
    if (size > this.bytes.length - at) {
      throw new SerializationError(
        `Cannot decode: ${size} bytes are announced at ${at}, ${
          this.bytes.length - at
        } are there`,
      );
    }
    this.pos = at + size;
    return at;
  }

  u8(): number {
    const value = this.bytes[this.pos];
    if (value === undefined) this.#need(1);
    this.pos++;
    return value!;
  }

  u32(): number {
    return this.#view.getUint32(this.#need(4), true);
  }

  i32(): number {
    return this.#view.getInt32(this.#need(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#need(8), true);
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
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
    const at = this.#need(size);
    const bytes = this.bytes;
    if (size <= 24) {
      let text = "";
      let i = at;
      const end = at + size;
      for (; i < end; i++) {
        const code = bytes[i]!;
        if (code > 0x7f) break;
        text += String.fromCharCode(code);
      }
      if (i === end) return text;
    }
    return decoder.decode(bytes.subarray(at, at + size));
  }
}
