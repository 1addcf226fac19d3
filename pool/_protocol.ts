// Copyright 2026 the multitask authors. MIT license.
// What a pool and its workers say to each other. Each message is a packet: a
// kind, then what belongs to it; values in it are packed by themselves, so that
// one that cannot be decoded hurts only its own task. The references of all
// values are the packet's, in order.
//
//   pool -> worker   Init (once, first)   Define (a function, before its use)
//                    Calls, Items (a batch)   Cancel (a task)
//                    Drop (a batch of items)   Exit
//   worker -> pool   Ready | InitFailed   Results (of a batch, several times)
//                    Run (values of items that follow each other)
//                    Started (where the pool counts its time)   Log   Progress
//
// A batch is done when Results say so, also when all of it was taken back. They
// say how many of it had begun, too: what is left was dropped, or given back by
// a worker from which nobody can take it.

import type { ByteReader, ByteWriter } from "../ipc/_bytes.ts";
import { NO_REFS, type Packet, type Ref } from "../ipc/_packet.ts";

/** Messages to a worker. */
export const ToWorker = {
  Init: 1,
  Define: 2,
  Calls: 3,
  Items: 4,
  Cancel: 5,
  Exit: 6,
  Drop: 7,
} as const;

/** Messages to the pool. */
export const ToPool = {
  Ready: 1,
  InitFailed: 2,
  Results: 3,
  Started: 4,
  Log: 5,
  Progress: 6,
  Run: 7,
} as const;

/** Flags of a batch of items. */
export const ItemsFlag = {
  /** An item is a list of arguments. */
  Spread: 1,
  /** What is done has to be known one by one. */
  Durable: 2,
  /** Its start is told. */
  Timed: 4,
} as const;

/** Flags of a call. */
export const CallFlag = {
  /** Its start is told. */
  Timed: 1,
} as const;

/** How one of a batch ended. */
export const Outcome = { Value: 0, Error: 1 } as const;

/** Writes a value's packet with its length, and adds its references. */
export function writeValue(
  out: ByteWriter,
  packet: Packet,
  refs: Ref[],
): void {
  out.varint(packet.refs.length);
  out.varint(packet.bytes.length);
  out.raw(packet.bytes);
  if (packet.refs.length > 0) refs.push(...packet.refs);
}

/** Reads values in order, each with its own references. */
export class ValueReader {
  readonly #refs: readonly Ref[];
  #next = 0;

  constructor(refs: readonly Ref[]) {
    this.#refs = refs;
  }

  /** The next value's packet. Its bytes are a view. */
  read(input: ByteReader): Packet {
    const count = input.varint();
    const bytes = input.raw(input.varint());
    if (count === 0) return { bytes, refs: NO_REFS };
    const refs = this.#refs.slice(this.#next, this.#next += count);
    return { bytes, refs };
  }
}

/** When tasks that ran one after the other did so, in milliseconds. */
export interface RunTimes {
  /** When the first began, since the epoch. */
  start: number;
  /** How long they took together. */
  spent: number;
  /** How long the longest took. */
  longest: number;
}

/** Writes times. */
export function writeTimes(out: ByteWriter, times: RunTimes): void {
  out.f64(times.start);
  out.f64(times.spent);
  out.f64(times.longest);
}

/** Reads times. */
export function readTimes(input: ByteReader): RunTimes {
  return { start: input.f64(), spent: input.f64(), longest: input.f64() };
}

/** The time since the epoch of a moment of this program's clock. */
export function sinceEpoch(moment: number): number {
  return performance.timeOrigin + moment;
}
