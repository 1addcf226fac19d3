// Copyright 2026 the multitask authors. MIT license.
// Values on their way between a manager and its guests: bytes, and references to
// shared objects in them.

import type { ByteReader, ByteWriter } from "../ipc/_bytes.ts";
import { decode, encode } from "../ipc/_codec.ts";
import type { ErrorClassLookup } from "../ipc/_error_codec.ts";
import { readRefs, type Ref, writeRefs } from "./_wire.ts";

/** A value as it crosses. */
export interface Packed {
  readonly bytes: Uint8Array;
  readonly refs: readonly Ref[];
}

const NO_REFS: readonly Ref[] = [];

/** Whether an object crosses as a reference, and as which. */
export interface Sharer {
  isShared(object: object): boolean;
  refOf(object: object): Ref;
}

/**
 * Encodes a value. What is lent is only valid until the next call.
 *
 * @throws {SerializationError} If it cannot be sent; names the path.
 * @throws {RangeError} If it is longer than the other side takes.
 */
export function pack(
  value: unknown,
  root: string,
  sharer: Sharer,
  { limit = Infinity, lend = false }: { limit?: number; lend?: boolean } = {},
): Packed {
  const { bytes, handles } = encode(value, {
    root,
    foreign: true,
    lend,
    isShared: (object) => sharer.isShared(object),
  });
  if (bytes.length > limit) {
    throw new RangeError(
      `Cannot send ${root}: they take ${bytes.length} bytes, the other side accepts ${limit} ("maxMessage")`,
    );
  }
  if (handles.length === 0) return { bytes, refs: NO_REFS };
  return { bytes, refs: handles.map((object) => sharer.refOf(object)) };
}

/** Writes a packed value: the rest of a frame. */
export function writePacked(out: ByteWriter, { bytes, refs }: Packed): void {
  writeRefs(out, refs);
  out.raw(bytes);
}

/** Reads a packed value: a view that is valid during the frame. */
export function readPacked(input: ByteReader): Packed {
  const refs = readRefs(input);
  return { refs, bytes: input.rest() };
}

/** How values are decoded. */
export interface UnpackOptions {
  /** Gives the object that stands for a reference. */
  readonly object: (ref: Ref) => unknown;
  readonly errorClass?: ErrorClassLookup | undefined;
  readonly maxValues: number;
}

/**
 * Decodes a value.
 *
 * @throws {SerializationError} If that cannot be done.
 */
export function unpack(
  { bytes, refs }: Packed,
  { object, errorClass, maxValues }: UnpackOptions,
): unknown {
  return decode(bytes, {
    foreign: true,
    maxValues,
    errorClass,
    handle: (index) => {
      const ref = refs[index];
      if (ref === undefined) throw new RangeError("bad reference");
      return object(ref);
    },
  });
}
