// Copyright 2026 the multitask authors. MIT license.
// A value on its way between processes: its bytes, and the handles in it.

import type { ByteReader, ByteWriter } from "./_bytes.ts";
import { kept } from "./_channel.ts";
import type { Home, Place } from "./_homes.ts";

/** A reference to a shared object, as it crosses. */
export interface Ref {
  readonly type: number;
  readonly owner: string;
  readonly id: number;
  /** Which part of the object is meant: an end of a pipe. */
  readonly part: number;
  readonly lease: string;
  /** Where it lies, for those who reach its memory. */
  readonly place?: Place;
}

/** A value on its way: bytes, and leases for the handles in it. */
export interface Packet {
  readonly bytes: Uint8Array;
  readonly refs: readonly Ref[];
}

/** No handles. */
export const NO_REFS: readonly Ref[] = [];
/** No value. */
export const NO_PACKET: Packet = { bytes: new Uint8Array(0), refs: NO_REFS };

/** Writes a packet: the rest of a frame. */
export function writePacket(out: ByteWriter, packet: Packet): void {
  writeRefs(out, packet.refs);
  out.raw(packet.bytes);
}

/** Writes the handles of a packet. */
export function writeRefs(out: ByteWriter, refs: readonly Ref[]): void {
  out.varint(refs.length);
  for (const ref of refs) writeRef(out, ref);
}

function writeRef(out: ByteWriter, ref: Ref): void {
  out.u8(ref.type);
  out.text(ref.owner);
  out.varint(ref.id);
  out.u8(ref.part);
  out.text(ref.lease);
  out.u8(ref.place === undefined ? 0 : PLACES.indexOf(ref.place.home) + 1);
  if (ref.place === undefined) return;
  out.varint(ref.place.at);
  out.varint(ref.place.generation);
}

/** Homes in the order of their numbers in messages. */
const PLACES: readonly Home[] = ["shared", "mapped"];

function readRef(input: ByteReader): Ref {
  const ref = {
    type: input.u8(),
    owner: input.text(),
    id: input.varint(),
    part: input.u8(),
    lease: input.text(),
  };
  const home = PLACES[input.u8() - 1];
  if (home === undefined) return ref;
  const place = { home, at: input.varint(), generation: input.varint() };
  return { ...ref, place };
}

/** Reads the handles of a packet. */
export function readRefs(input: ByteReader): readonly Ref[] {
  const count = input.varint();
  if (count === 0) return NO_REFS;
  const refs: Ref[] = [];
  for (let i = 0; i < count; i++) refs.push(readRef(input));
  return refs;
}

/** Reads a packet; its bytes are a view that is valid during the frame. */
export function readPacket(input: ByteReader): Packet {
  const refs = readRefs(input);
  return { bytes: input.rest(), refs };
}

/** Makes a packet safe to keep after the frame it came in. */
export function keepPacket(packet: Packet): Packet {
  return { bytes: kept(packet.bytes), refs: packet.refs };
}
