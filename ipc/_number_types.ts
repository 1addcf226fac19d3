// Copyright 2026 the multitask authors. MIT license.
// The number types of shared values and arrays.

import { shown } from "./_options.ts";

/** The number types of a {@linkcode Value} or {@linkcode SharedArray}. */
export type NumberType =
  | "i8"
  | "u8"
  | "i16"
  | "u16"
  | "i32"
  | "u32"
  | "f32"
  | "f64"
  | "i64"
  | "u64";

/** What a number of a type is here: a bigint where it has 64 bits. */
export type NumberOf<K extends NumberType> = K extends "i64" | "u64" ? bigint
  : number;

/** The typed array of a type. */
export type TypedArrayOf<K extends NumberType> = {
  i8: Int8Array;
  u8: Uint8Array;
  i16: Int16Array;
  u16: Uint16Array;
  i32: Int32Array;
  u32: Uint32Array;
  f32: Float32Array;
  f64: Float64Array;
  i64: BigInt64Array;
  u64: BigUint64Array;
}[K];

const ARRAYS = {
  i8: Int8Array,
  u8: Uint8Array,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  f32: Float32Array,
  f64: Float64Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
} as const;

/** The types, in the order of their numbers in memory. Never change it. */
export const NUMBER_TYPES = Object.keys(ARRAYS) as readonly NumberType[];

/** Throws unless `type` is a number type. */
export function checkType(action: string, type: unknown): void {
  if (typeof type === "string" && Object.hasOwn(ARRAYS, type)) return;
  throw new TypeError(
    `Cannot ${action}: "type" must be one of ${
      NUMBER_TYPES.join(", ")
    }; received ${shown(type)}`,
  );
}

/** Throws unless `value` is a number as the type needs it. */
export function checkNumber(
  action: string,
  type: NumberType,
  value: unknown,
): void {
  const wanted = isBig(type) ? "bigint" : "number";
  const received: string = typeof value;
  if (received === wanted) return;
  throw new TypeError(
    `Cannot ${action}: a ${type} takes a ${wanted}, received ${shown(value)}`,
  );
}

/** Whether numbers of the type are bigints. */
export function isBig(type: NumberType): boolean {
  return type === "i64" || type === "u64";
}

/** Bytes of a number of the type. */
export function sizeOf(type: NumberType): number {
  return ARRAYS[type].BYTES_PER_ELEMENT;
}

/** A typed array over memory. */
export function arrayOver<K extends NumberType>(
  type: K,
  buffer: ArrayBufferLike,
  length: number,
): TypedArrayOf<K> {
  // The table has the class of each type, and all take shared buffers.
  return new ARRAYS[type](
    buffer as ArrayBuffer,
    0,
    length,
  ) as unknown as TypedArrayOf<K>;
}

/** One number of any type, as bits and back: for memory that is shared. */
export class NumberBits<K extends NumberType> {
  readonly #bits = new BigInt64Array(1);
  readonly #number: { [index: number]: number | bigint };

  constructor(type: K) {
    this.#number = arrayOver(type, this.#bits.buffer, 1) as unknown as {
      [index: number]: number | bigint;
    };
  }

  toBits(value: number | bigint): bigint {
    this.#bits[0] = 0n;
    this.#number[0] = value;
    return this.#bits[0]!;
  }

  fromBits(bits: bigint): NumberOf<K> {
    this.#bits[0] = bits;
    return this.#number[0] as NumberOf<K>;
  }
}
