// Copyright 2026 the multitask authors. MIT license.
// The records of a priority queue: a binary heap of them in a block of shared
// memory, the lowest first. A step changes as many words as the heap has
// levels, so that the undo log always has room.

import type { Agent } from "./_agent.ts";
import { compareRanges } from "./_priority_key.ts";
import { bytesAt, RecordWord } from "./_records.ts";

/** Words of the owner of a heap. */
export const HeapWord = { Block: 0, Size: 1, Words: 2 } as const;

/** Records in the first block. */
const FIRST_CAPACITY = 28;

/** Bytes of the length that goes before the key in a record. */
export const KEY_LENGTH_BYTES = 4;

/** Whether record `a` goes before record `b`. */
function goesBefore(agent: Agent, a: number, b: number): boolean {
  const { int32, words: { bytes } } = agent;
  const atA = bytesAt(a);
  const atB = bytesAt(b);
  const keyA = atA + KEY_LENGTH_BYTES;
  const keyB = atB + KEY_LENGTH_BYTES;
  const order = compareRanges(
    bytes,
    keyA,
    keyA + int32[atA >>> 2]!,
    keyB,
    keyB + int32[atB >>> 2]!,
  );
  if (order !== 0) return order < 0;
  // Numbers wrap around; the difference tells who came first all the same.
  return (int32[a + RecordWord.Number]! - int32[b + RecordWord.Number]! | 0) <
    0;
}

/** Adds a record. Within an entry. */
export function pushHeap(agent: Agent, heap: number, record: number): void {
  const { int32 } = agent;
  const size = int32[heap + HeapWord.Size]!;
  const block = roomFor(agent, heap, size);
  let at = size;
  while (at > 0) {
    const parent = at - 1 >>> 1;
    const above = int32[block + parent]!;
    if (!goesBefore(agent, record, above)) break;
    agent.set(block + at, above);
    at = parent;
  }
  agent.set(block + at, record);
  agent.set(heap + HeapWord.Size, size + 1);
}

/** The block, with room for one more than `size`. */
function roomFor(agent: Agent, heap: number, size: number): number {
  const { int32 } = agent;
  const block = int32[heap + HeapWord.Block]!;
  if (block !== 0 && size < agent.capacityOf(block)) return block;
  const larger = agent.allocate(block === 0 ? FIRST_CAPACITY : size * 2);
  if (block !== 0) {
    int32.copyWithin(larger, block, block + size);
    agent.free(block);
  }
  agent.set(heap + HeapWord.Block, larger);
  return larger;
}

/** Takes the first record. Within an entry; there is one. */
export function popHeap(agent: Agent, heap: number): number {
  const block = agent.int32[heap + HeapWord.Block]!;
  const first = agent.int32[block]!;
  removeAt(agent, heap, 0);
  return first;
}

/** Takes a record from where it is. Within an entry. */
export function removeAt(agent: Agent, heap: number, index: number): void {
  const { int32 } = agent;
  const block = int32[heap + HeapWord.Block]!;
  const size = int32[heap + HeapWord.Size]! - 1;
  agent.set(heap + HeapWord.Size, size);
  if (index === size) return;
  const moved = int32[block + size]!;
  let at = index;
  // Up, if it goes before those above; else down.
  while (at > 0) {
    const parent = at - 1 >>> 1;
    const above = int32[block + parent]!;
    if (!goesBefore(agent, moved, above)) break;
    agent.set(block + at, above);
    at = parent;
  }
  while (true) {
    let child = 2 * at + 1;
    if (child >= size) break;
    if (
      child + 1 < size &&
      goesBefore(agent, int32[block + child + 1]!, int32[block + child]!)
    ) child++;
    const below = int32[block + child]!;
    if (!goesBefore(agent, below, moved)) break;
    agent.set(block + at, below);
    at = child;
  }
  agent.set(block + at, moved);
}

/** The records, in no order. */
export function* heapRecords(agent: Agent, heap: number): Generator<number> {
  const { int32 } = agent;
  const block = int32[heap + HeapWord.Block]!;
  const size = int32[heap + HeapWord.Size]!;
  for (let i = 0; i < size; i++) yield int32[block + i]!;
}

/** Gives the block back; the records are no longer there. Within an entry. */
export function freeHeap(agent: Agent, heap: number): void {
  const block = agent.int32[heap + HeapWord.Block]!;
  if (block !== 0) agent.free(block);
  agent.set(heap + HeapWord.Block, 0);
  agent.set(heap + HeapWord.Size, 0);
}
