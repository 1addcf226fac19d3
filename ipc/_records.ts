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
  /** The segment that is being filled, how far, and with how many. */
  Segment: 0,
  Used: 1,
  Made: 2,
  Words: 3,
} as const;

/** The owner of records whose owner is gone: no segment of theirs is filled. */
export const NO_RECORDS = 0;

/** In the amount of a waiter: what it is granted is a record. */
export const IS_RECORD = -1;

/**
 * Words of a segment before its records: how many of them are gone, which only
 * those who take them change, and, once it is not being filled any more, how
 * many there were.
 */
const GONE = 0;
const MADE = 1;
/** It is being filled. */
const NOT_YET = -1;
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
  let made = int32[records + RecordsWord.Made]!;
  if (segment === 0 || used + words > SEGMENT_WORDS) {
    if (segment !== 0) agent.set(segment + MADE, made);
    segment = agent.allocate(SEGMENT_WORDS);
    int32[segment + GONE] = 0;
    int32[segment + MADE] = NOT_YET;
    agent.set(records + RecordsWord.Segment, segment);
    used = SEGMENT_START;
    made = 0;
  }
  agent.set(records + RecordsWord.Used, used + words);
  agent.set(records + RecordsWord.Made, made + 1);
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
  const gone = int32[segment + GONE]! + 1;
  const isFilling = segment === int32[records + RecordsWord.Segment];
  const made = isFilling
    ? int32[records + RecordsWord.Made]!
    : int32[segment + MADE]!;
  if (gone !== made) return agent.set(segment + GONE, gone);
  if (isFilling) {
    agent.set(segment + GONE, 0);
    agent.set(records + RecordsWord.Used, SEGMENT_START);
    agent.set(records + RecordsWord.Made, 0);
  } else agent.free(segment);
}

/**
 * Gives the segment that is being filled back; one that still has a record in
 * somebody's hands goes with that. Within an entry.
 */
export function freeSegment(agent: Agent, records: number): void {
  const segment = agent.int32[records + RecordsWord.Segment]!;
  if (segment === 0) return;
  const made = agent.int32[records + RecordsWord.Made]!;
  agent.set(records + RecordsWord.Segment, 0);
  agent.set(segment + MADE, made);
  if (agent.int32[segment + GONE] === made) agent.free(segment);
}

/** The first byte of a record. */
export function bytesAt(record: number): number {
  return (record + RecordWord.Words) * Int32Array.BYTES_PER_ELEMENT;
}
