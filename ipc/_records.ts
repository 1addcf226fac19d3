// Copyright 2026 the multitask authors. MIT license.
// The memory of a queue's items: records. Small ones stand one after the other
// in segments, so that most puts and gets take no memory from the heap; a
// segment is used anew when nothing in it is left. Large ones have a block of
// their own.

import type { Agent } from "./_agent.ts";

/** Words of a record before its bytes. */
export const RecordWord = {
  /** The next record of the queue. */
  Link: 0,
  /** The number of the item, in the order in which they came. */
  Number: 1,
  /** Bytes of the value. */
  Length: 2,
  /** Bytes of the handles in it, which follow the value. */
  Refs: 3,
  /** The segment it stands in; 0 if it has a block of its own. */
  Segment: 4,
  Words: 5,
} as const;

/** Words of the owner of records. */
export const RecordsWord = {
  /** The segment that is being filled, and how far. */
  Segment: 0,
  Used: 1,
  Words: 2,
} as const;

/** Words of a segment before its records: how many of them live. */
const LIVE = 0;
const SEGMENT_START = 4;
const SEGMENT_WORDS = 4096 - SEGMENT_START;

/** Larger records have a block of their own. */
const MAX_SMALL_WORDS = 256;

/** How many words a record with so many bytes takes. */
function wordsFor(bytes: number): number {
  return RecordWord.Words + (bytes + 3 >>> 2);
}

/** Whether so many bytes are better copied outside of the guard. */
export function isLarge(bytes: number): boolean {
  return wordsFor(bytes) > MAX_SMALL_WORDS;
}

/** Takes memory for a record. Within an entry. */
export function allocateRecord(
  agent: Agent,
  records: number,
  bytes: number,
  alone = false,
): number {
  const { int32 } = agent;
  const words = wordsFor(bytes);
  if (alone || words > MAX_SMALL_WORDS) {
    const record = agent.allocate(words);
    int32[record + RecordWord.Segment] = 0;
    return record;
  }
  let segment = int32[records + RecordsWord.Segment]!;
  let used = int32[records + RecordsWord.Used]!;
  if (segment === 0 || used + words > SEGMENT_WORDS) {
    if (segment === 0 || int32[segment + LIVE] !== 0) {
      segment = agent.allocate(SEGMENT_WORDS);
      int32[segment + LIVE] = 0;
      agent.set(records + RecordsWord.Segment, segment);
    }
    used = SEGMENT_START;
  }
  agent.set(records + RecordsWord.Used, used + words);
  agent.set(segment + LIVE, int32[segment + LIVE]! + 1);
  const record = segment + used;
  int32[record + RecordWord.Segment] = segment;
  return record;
}

/** Gives the memory of a record back. Within an entry. */
export function freeRecord(
  agent: Agent,
  records: number,
  record: number,
): void {
  const { int32 } = agent;
  const segment = int32[record + RecordWord.Segment]!;
  if (segment === 0) return agent.free(record);
  const live = int32[segment + LIVE]! - 1;
  agent.set(segment + LIVE, live);
  if (live > 0) return;
  if (segment === int32[records + RecordsWord.Segment]) {
    agent.set(records + RecordsWord.Used, SEGMENT_START);
  } else agent.free(segment);
}

/**
 * Gives the segment that is being filled back; one that still has a record in
 * somebody's hands goes with that. Within an entry.
 */
export function freeSegment(agent: Agent, records: number): void {
  const segment = agent.int32[records + RecordsWord.Segment]!;
  if (segment === 0) return;
  agent.set(records + RecordsWord.Segment, 0);
  if (agent.int32[segment + LIVE] === 0) agent.free(segment);
}

/** The first byte of a record. */
export function bytesAt(record: number): number {
  return (record + RecordWord.Words) * Int32Array.BYTES_PER_ELEMENT;
}
