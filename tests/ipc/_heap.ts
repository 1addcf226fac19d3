// Copyright 2026 the multitask authors. MIT license.
// What is in use of an arena's heap.

import { assert, assertEquals } from "@std/assert";
import {
  AgentPhase,
  AgentWord,
  ArenaWord,
  BlockWord,
  objectAt,
  rowAt,
  wordsOf,
} from "../../ipc/_arena.ts";

/** There are no more size classes. */
const CLASSES = 128;

/**
 * How many blocks are in use; checks the lists of those that are free. `start`
 * is the first word of the heap.
 */
export function liveBlocks(
  words: Int32Array,
  start = objectAt(words[ArenaWord.MaxObjects]! + 1),
): number {
  const blocks = new Map<number, number>();
  const bump = words[ArenaWord.Bump]!;
  let block = start;
  while (block < bump) {
    const sizeClass = words[block + BlockWord.Class]!;
    assert(sizeClass >= 0 && sizeClass < CLASSES, "a block without a class");
    blocks.set(block, sizeClass);
    block += wordsOf(sizeClass);
  }
  assertEquals(block, bump, "the end of the heap");
  const free = new Set<number>();
  for (let sizeClass = 0; sizeClass < CLASSES; sizeClass++) {
    for (
      let block = words[ArenaWord.Free + sizeClass]!;
      block !== 0;
      block = words[block + BlockWord.Next]!
    ) {
      assertEquals(blocks.get(block), sizeClass, "a free block");
      assert(!free.has(block), "a block is free twice");
      free.add(block);
    }
  }
  return blocks.size - free.size;
}

/** How many of them hold the waiters of those who live. */
export function nodeBlocks(words: Int32Array): number {
  let count = 0;
  for (let i = 0; i < words[ArenaWord.AgentRows]!; i++) {
    const row = rowAt(i);
    if ((words[row + AgentWord.State]! & 3) !== AgentPhase.Live) continue;
    for (
      let block = words[row + AgentWord.Nodes]!;
      block !== 0;
      block = words[block]!
    ) count++;
  }
  return count;
}
