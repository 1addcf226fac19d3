// Copyright 2026 the multitask authors. MIT license.
// An arena: the memory in which shared objects live, in either home, and how it
// is laid out. Whoever shares it has a seat in it (see _agent.ts).
//
//   header      constants of the arena, its guards, free lists
//   agents      a row for each thread that has joined: who it is, its mailbox,
//               what it holds at the moment
//   logs        an undo log for each of them
//   obituaries  how processes have ended, for those who ask for their objects
//   objects     a fixed number of words each: type, guard, lists of waiters,
//               then what the type needs. A slot is only ever reused for
//               another object, so that a guard word stays a guard word
//   heap        blocks for everything that varies in size
//
// All positions are indices of 32-bit words. What is written here is only
// changed by agents, under a guard, with an undo log (_agent.ts says how).

import type { Words } from "./_words.ts";

/** Words of an arena's header. */
export const ArenaWord = {
  Magic: 0,
  /** Words in all. */
  Size: 1,
  /** How many object slots there can be. */
  MaxObjects: 2,
  /** Guards the heap, the object slots and the rows of agents. */
  Guard: 3,
  /** Held by who clears up after the dead. */
  Reaper: 4,
  /** The first word of the heap that was never used. */
  Bump: 5,
  /** How many object slots were ever used. */
  Objects: 6,
  /** The first free object slot, 0 for none. */
  FreeObject: 7,
  /** Slots whose owner has ended: only reused when there are no others. */
  Orphan: 8,
  /** How many notes on ends were written. */
  Obituaries: 11,
  /** The highest row of agents ever used, plus one. */
  AgentRows: 9,
  /** The first block of the list of names. */
  Names: 10,
  /** Free blocks by size class, 128 words. */
  Free: 64,
} as const;

/** Words of an agent's row. */
export const AgentWord = {
  /** Generation and phase, see `AgentPhase`. */
  State: 0,
  Pid: 1,
  /** The pid of the process that started this one's. */
  ParentPid: 2,
  /** The last waiter that was served, which names the one before it. */
  Mailbox: 3,
  /** How it is to be told of something in the mailbox, see `Parked`. */
  Parked: 4,
  /** 1 when it has to look at all its waiters: somebody died. */
  Sweep: 5,
  /** How many entries its undo log has. */
  Logged: 6,
  /** The guards it holds, or is about to take. */
  Held: 7,
  /** How many `Held` words there are. */
  HeldMax: 3,
  /** The first block of its waiters. */
  Nodes: 10,
  /** An object and a record of it that are in its hands. */
  HandObject: 11,
  HandRecord: 12,
  HandKind: 13,
  /** Bytes of its place in the tree of processes, which follows. */
  PathLength: 14,
  Path: 15,
  PathMax: 16,
  /** Of the object whose record is in its hands. */
  HandGeneration: 31,
} as const;

/** How an agent is to be told of something in its mailbox. */
export const Parked = {
  /** It looks by itself. */
  Awake: 0,
  /** It sleeps on the word. */
  Asleep: 1,
  /** It must not sleep, which would keep its program alive: send a message. */
  Ring: 2,
} as const;

/** What an agent's row stands for. */
export const AgentPhase = { Free: 0, Live: 1, Dead: 2 } as const;

/**
 * Words of every object's slot. What changes with each operation stands close
 * together, from `Guard` on: processors pass memory on in lines of 16 words.
 */
export const ObjectWord = {
  /** The number of its class; 0 is a free slot. */
  Type: 0,
  Generation: 1,
  Flags: 2,
  /** The agent that owns it: the object ends with it. */
  Owner: 3,
  /** The process of the owner: how it ended is told to others. */
  OwnerPid: 4,
  /** In a free slot, the next one. */
  NextFree: 5,
  /**
   * Changed without the guard, also by a handle that has outlived its object:
   * in a slot of another type their values are such that this never happens.
   */
  LockState: 6,
  Permits: 7,
  Guard: 16,
  /** From here on, what the type needs. */
  Own: 17,
  /** Four lists of waiters. */
  Lists: 48,
} as const;

/** What stands for the state of a lock where there is none. */
export const NO_LOCK = -1;

/** Bits of an object's flags. */
export const ObjectFlag = {
  /** It was closed by its owner, or nobody held it any more. */
  Closed: 1,
  /** Its owner has ended. */
  Orphaned: 2,
} as const;

/** Words of a note on how a process has ended. */
export const ObituaryWord = {
  Pid: 0,
  ExitCode: 1,
  /** Bytes of the signal's name, or -1; it follows the name. */
  Signal: 2,
  /** Bytes of the process's name. */
  Name: 3,
  Text: 4,
  Words: 32,
} as const;

/** How many are kept; older ones are written over. */
export const OBITUARIES = 256;

/** Words of a list of waiters. */
export const ListWord = { Head: 0, Tail: 1, Count: 2, Words: 4 } as const;

/** Words of a waiter, a node in one of the lists. */
export const NodeWord = {
  Next: 0,
  Prev: 1,
  Agent: 2,
  State: 3,
  /** What it asks for; then what it was given. */
  Value: 4,
  /** How much of it, where that matters. */
  Amount: 5,
  Object: 6,
  List: 7,
  /** Of the object: its slot may be another one's by now. */
  Generation: 8,
  Words: 9,
} as const;

/** Waiters in a block of them; with its header it takes 512 words. */
export const NODES_PER_BLOCK = 56;

/** States of a waiter. */
export const NodeState = {
  Free: 0,
  Waiting: 1,
  /** Its turn has come; `Value` says with what. */
  Granted: 2,
  /** It waits in vain; `Value` says why. */
  Failed: 3,
  /** It knows, or has given up: only its memory is not free yet. */
  Done: 4,
} as const;

/** Words of a block of the heap before its contents. */
export const BlockWord = {
  /** The size class. */
  Class: 0,
  /** In a free block, and in lists of blocks, the next one. */
  Next: 1,
  Words: 4,
} as const;

/** How many threads can share an arena. */
export const MAX_AGENTS = 1024;

/** Words of a row. */
export const AGENT_WORDS = 32;

/** The most words one transaction changes. */
export const MAX_LOGGED = 500;

const AGENTS = 256;
const LOGS = AGENTS + MAX_AGENTS * AGENT_WORDS;
const LOG_WORDS = 2 * MAX_LOGGED + 24;
const NOTES = LOGS + MAX_AGENTS * LOG_WORDS;
const OBJECTS = NOTES + OBITUARIES * ObituaryWord.Words;

/** Words of an object's slot. */
export const OBJECT_WORDS = 64;

/** How many lists of waiters an object has. */
export const LISTS = 4;

const MAGIC = 0x6d746b31;
/** Of all words, this part is for object slots. */
const OBJECT_SHARE = 16;

/** Bits of an agent's name: its row, then its generation. */
const ROW_BITS = 10;
const GENERATION_MASK = 0x3ffff;

/** The part of a guard or lock word that names an agent. */
export const AGENT_MASK = 0x0fffffff;

/** The name of an agent: never 0. */
export function agentName(row: number, generation: number): number {
  return (generation & GENERATION_MASK) << ROW_BITS | row;
}

/** The row of the agent with this name. */
export function rowOf(name: number): number {
  return name & (MAX_AGENTS - 1);
}

/** The first word of a row. */
export function rowAt(row: number): number {
  return AGENTS + row * AGENT_WORDS;
}

/** The first word of a row's undo log. */
export function logAt(row: number): number {
  return LOGS + row * LOG_WORDS;
}

/** The first word of an object's slot; slots count from 1. */
export function objectAt(slot: number): number {
  return OBJECTS + (slot - 1) * OBJECT_WORDS;
}

/** The first word of a note on an end. */
export function obituaryAt(index: number): number {
  return NOTES + index % OBITUARIES * ObituaryWord.Words;
}

/** The generation that follows; never 0. */
export function nextGeneration(generation: number): number {
  return (generation + 1 & GENERATION_MASK) || 1;
}

/** An agent's place in the tree of processes. */
export function pathOf({ words, row }: AgentRow): string {
  const start = (row + AgentWord.Path) * 4;
  const length = words.load(row + AgentWord.PathLength);
  return new TextDecoder().decode(words.bytes.slice(start, start + length));
}

/** Notes an agent's place in the tree of processes. */
export function setPath({ words, row }: AgentRow, path: string): void {
  const bytes = pathBytes(path);
  words.store(row + AgentWord.PathLength, bytes.length);
  words.bytes.set(bytes, (row + AgentWord.Path) * 4);
}

/** A row, by its first word. */
interface AgentRow {
  readonly words: Words;
  readonly row: number;
}

/** What there is room for. */
function pathBytes(path: string): Uint8Array {
  return new TextEncoder().encode(path).subarray(0, AgentWord.PathMax * 4);
}

/**
 * The rows of a process, or of one of its threads and those that it has
 * started.
 */
export function rowsOf(
  words: Words,
  { pid, path }: { pid: number; path?: string },
): number[] {
  const wanted = path && new TextDecoder().decode(pathBytes(path));
  const found: number[] = [];
  const rows = words.load(ArenaWord.AgentRows);
  for (let i = 0; i < rows; i++) {
    const row = rowAt(i);
    if (words.load(row + AgentWord.Pid) !== pid) continue;
    if (wanted !== undefined) {
      const place = pathOf({ words, row });
      if (place !== wanted && !place.startsWith(`${wanted}.`)) continue;
    }
    found.push(row);
  }
  return found;
}

/** Sets an arena up in memory that is all zeros. */
export function layOut(words: Words): void {
  const { int32 } = words;
  const size = int32.length;
  const slots = Math.floor(size / OBJECT_SHARE / OBJECT_WORDS);
  int32[ArenaWord.Size] = size;
  int32[ArenaWord.MaxObjects] = slots;
  int32[ArenaWord.Bump] = OBJECTS + slots * OBJECT_WORDS;
  words.store(ArenaWord.Magic, MAGIC);
}

/** Whether memory of somebody else's is an arena as ours are. */
export function isArena(words: Words): boolean {
  return words.load(ArenaWord.Magic) === MAGIC &&
    words.int32[ArenaWord.Size] === words.int32.length;
}

// ---- Size classes: four for each power of two, as jemalloc has them ----

const SMALLEST = 4; // log2 of the words of the smallest block, 64 bytes.

/** The class of blocks that hold so many words, their header included. */
export function classOf(words: number): number {
  if (words <= 1 << SMALLEST) return 0;
  const power = 31 - Math.clz32(words - 1);
  const quarter = 2 ** (power - 2);
  const step = Math.ceil((words - 2 ** power) / quarter);
  return (power - SMALLEST) * 4 + step;
}

/** How many words a block of a class has. */
export function wordsOf(sizeClass: number): number {
  const power = SMALLEST + (sizeClass >> 2);
  return 2 ** power + (sizeClass & 3) * 2 ** (power - 2);
}
