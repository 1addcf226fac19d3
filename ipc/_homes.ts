// Copyright 2026 the multitask authors. MIT license.
// The two homes of shared objects, and which of them is within reach.
//
//   shared   a SharedArrayBuffer for each process: reached by its threads
//   mapped   one arena for the whole tree of processes, made by its root and
//            mapped by every process that has the whole of --allow-ffi (Linux)
//
// An object's home is fixed when it is made. Whoever cannot reach its memory
// goes through the hub. Everybody who reaches the mapped arena is trusted with
// all of it: foreign functions can read and write any memory anyhow.

import { Agent, ArenaFullError } from "./_agent.ts";
import { isArena, layOut } from "./_arena.ts";
import { type Ended, type HomesOfProcess, hub } from "./_hub.ts";
import {
  attachBlock,
  closeDescriptor,
  createBlock,
  hasEnded,
  MappedWords,
  mappingObstacle,
} from "./_mapped_words.ts";
import { readObituary, writeObituary } from "./_obituaries.ts";
import { childrenOf, familyOf, markDead, recover } from "./_recovery.ts";
import { startTimer } from "./_timer.ts";
import { SharedWords, type Words } from "./_words.ts";
import { PermissionNeededError } from "./errors.ts";

/**
 * Where a shared object lives: in memory of its process, which its threads
 * reach, or in memory that is mapped by every process of the program that has
 * `--allow-ffi` (Linux). Others reach both through the owner.
 */
export type Home = "shared" | "mapped";

/** Where an object lies in its home. */
export interface Place {
  readonly home: Home;
  readonly at: number;
  readonly generation: number;
}

/** What lets a process join the mapped arena. */
export interface Invitation {
  readonly pid: number;
  readonly fd: number;
  readonly size: number;
  /** Who invites: the process that has started this one. */
  readonly from: number;
}

/** The place in the tree of the process that has no parent. */
const ROOT = "0";

const MAPPED_SIZE = 2 ** 32 - 2 ** 16;

/** Address space only: memory is taken when it is used. Tried in this order. */
const SHARED_SIZES = [2 ** 30, 2 ** 28, 2 ** 26];

/** Between two looks after the children of a process that blocks, in ms. */
const SLICE = 50;

/** The same where there are none: a wake-up that was lost would end here. */
const LONG_SLICE = 1000;

/** While somebody else clears up, in milliseconds. */
const RETRY = 5;

/** How long processes below a dead one may take to follow it. */
const FOLLOW_BOUND = 10_000;

/** The process that a place in the tree belongs to: threads end with ".tN". */
function processOf(path: string): string {
  return path.replace(/(\.t\d+)+$/, "");
}

class Homes implements HomesOfProcess {
  /** Throws where this thread shall stop. */
  checkStopped: () => void = () => {};
  /** Loads every class of objects, for those that somebody else has left. */
  loadClasses: () => Promise<unknown> = () => Promise.resolve();
  #invitation: Invitation | undefined;
  /** `null` when it was tried in vain. */
  #mapped: Agent | null | undefined;
  #shared: { agent: Agent; words: SharedWords } | undefined;

  invite(): Invitation | undefined {
    if (this.mapped === undefined) return undefined;
    return { ...this.#invitation!, from: Deno.pid };
  }

  /** The seat in the mapped arena, where that can be reached. */
  get mapped(): Agent | undefined {
    if (this.#mapped === undefined) this.#mapped = this.#openMapped() ?? null;
    return this.#mapped ?? undefined;
  }

  #openMapped(): Agent | undefined {
    if (mappingObstacle() !== undefined) return undefined;
    let words: Words;
    try {
      if (hub.invitation !== undefined) {
        this.#invitation = hub.invitation;
        const { pid, fd, size } = hub.invitation;
        const block = attachBlock(pid, fd, size);
        closeDescriptor(block.fd);
        words = new MappedWords(block);
        if (!isArena(words)) return undefined;
      } else if (hub.path === ROOT) {
        const block = createBlock(MAPPED_SIZE);
        words = new MappedWords(block);
        layOut(words);
        this.#invitation = {
          pid: Deno.pid,
          fd: block.fd,
          size: MAPPED_SIZE,
          from: 0,
        };
      } else return undefined;
      return new Agent(words, {
        pid: Deno.pid,
        parentPid: this.#invitation.from,
        path: hub.path,
        sleepHolds: true,
        ring: (path) => hub.ring(path),
        isShared: () => hub.hasNeighbours,
        checkStopped: () => this.checkStopped(),
        recover: (agent) => void recover(agent, isDead),
        // A process that does not block sees its children die by itself.
        get slice() {
          return hub.hasChildren ? SLICE : LONG_SLICE;
        },
        recoverChildren: (agent) => {
          if (hub.hasChildren) recover(agent, isDeadChild);
        },
      });
    } catch {
      // No /proc, no room, too many: the hub goes everywhere.
      return undefined;
    }
  }

  /** The seat from which an object of others is reached, if there is one. */
  reach(place: Place, owner: string): Agent | undefined {
    if (place.home === "mapped") return this.mapped;
    return processOf(owner) === processOf(hub.path) ? this.shared : undefined;
  }

  /** The seat in this process's own arena. */
  get shared(): Agent {
    return this.#openShared().agent;
  }

  /** The memory of this process's own arena, for its threads. */
  get sharedBuffer(): SharedArrayBuffer {
    return this.#openShared().words.buffer;
  }

  /** In a thread: the arena of its process. */
  joinShared(buffer: SharedArrayBuffer): void {
    this.#seatShared(new SharedWords(buffer));
  }

  #openShared(): { agent: Agent; words: SharedWords } {
    if (this.#shared !== undefined) return this.#shared;
    const words = new SharedWords(allocateShared());
    layOut(words);
    return this.#seatShared(words);
  }

  #seatShared(words: SharedWords): { agent: Agent; words: SharedWords } {
    const agent = new Agent(words, {
      pid: Deno.pid,
      parentPid: 0,
      path: hub.path,
      sleepHolds: false,
      ring: (path) => hub.ring(path),
      isShared: () => this.onBlock.size > 0,
      checkStopped: () => this.checkStopped(),
      recover: (agent) => void recover(agent, () => false),
      slice: LONG_SLICE,
      recoverChildren() {},
    });
    return this.#shared = { agent, words };
  }

  /** The seat in the home that was asked for, or the best there is. */
  agentFor(action: string, home: Home | undefined): Agent {
    if (home === "shared") return this.shared;
    if (home !== undefined && home !== "mapped") {
      throw new TypeError(
        `Cannot ${action}: "home" must be "shared" or "mapped", received ${home}`,
      );
    }
    const { mapped } = this;
    if (mapped !== undefined) return mapped;
    if (home === undefined) return this.shared;
    const obstacle = mappingObstacle();
    if (obstacle === "permission") {
      throw new PermissionNeededError(
        `Cannot ${action} in mapped memory: add --allow-ffi, or leave "home" out`,
        { flag: "--allow-ffi" },
      );
    }
    throw new Deno.errors.NotSupported(
      `Cannot ${action} in mapped memory: ${
        obstacle === "platform"
          ? "that is for Linux only"
          : "it cannot be reached from this process"
      }; leave "home" out`,
    );
  }

  /** Which of the homes an agent sits in. */
  homeOf(agent: Agent): Home {
    return agent === this.#mapped ? "mapped" : "shared";
  }

  /** Processes, or threads, have come or gone: they may serve who waits. */
  neighboursChanged(): void {
    this.#mapped?.surroundingsChanged();
    this.#shared?.agent.surroundingsChanged();
  }

  async processEnded(ended: Ended): Promise<void> {
    // Whoever was invited, was so through this process.
    if (this.#invitation === undefined) return;
    const { mapped } = this;
    if (mapped === undefined) return;
    // Those that it had started follow it, by themselves: first all are noted,
    // since nobody is told of an end before.
    for (const pid of familyOf(mapped, ended.pid)) {
      writeObituary(mapped, pid, ended);
    }
    await this.#bury(mapped, ended.pid);
  }

  async #bury(mapped: Agent, pid: number): Promise<void> {
    const orphans = childrenOf(mapped, pid);
    markDead(mapped, { pid });
    await this.#clearUp(mapped);
    await Promise.all(orphans.map((orphan) => this.#follow(mapped, orphan)));
  }

  async #follow(mapped: Agent, pid: number): Promise<void> {
    const bound = performance.now() + FOLLOW_BOUND;
    while (!hasEnded(pid)) {
      if (performance.now() > bound) return;
      await pause();
    }
    await this.#bury(mapped, pid);
  }

  /** Somebody says that there is something in the mailbox. */
  rung(): void {
    this.#mapped?.drain();
    this.#shared?.agent.drain();
  }

  /** Has a thread of this process look up from what it waits for. */
  ringThread(path: string): void {
    for (const agent of [this.#mapped, this.#shared?.agent]) {
      agent?.ringThread(path);
    }
  }

  /** A thread of this process has ended, and with it those that it started. */
  async threadEnded(path: string, ended: Ended): Promise<void> {
    const agents = [this.#mapped, this.#shared?.agent];
    for (const agent of agents) {
      if (!agent) continue;
      writeObituary(agent, Deno.pid, ended);
      markDead(agent, { pid: Deno.pid, path });
      await this.#clearUp(agent);
    }
    this.neighboursChanged();
    const { mapped } = this;
    if (mapped === undefined) return;
    // What it had started follows it, by itself.
    const orphans = childrenOf(mapped, Deno.pid, path);
    for (const pid of orphans) writeObituary(mapped, pid, ended);
    await Promise.all(orphans.map((orphan) => this.#follow(mapped, orphan)));
  }

  readonly #blocks = new Map<string, SharedArrayBuffer>();
  /** Tells a thread beside this one of a block; one for each of them. */
  readonly onBlock = new Set<
    (key: string, buffer: SharedArrayBuffer | undefined) => void
  >();

  /**
   * Take what other threads have told, for a thread that blocks and has not
   * heard of a block yet.
   */
  readonly blockSources = new Set<() => void>();

  /** A block in the shared home: the threads of this process get it. */
  addBlock(place: Place, buffer: SharedArrayBuffer): void {
    this.setBlock(keyOf(place), buffer);
  }

  removeBlock(place: Place): void {
    if (this.#blocks.has(keyOf(place))) this.setBlock(keyOf(place), undefined);
  }

  /** Takes a block, or that it is gone, over from another thread. */
  setBlock(
    key: string,
    buffer: SharedArrayBuffer | undefined,
    from?: unknown,
  ): void {
    if (buffer === undefined) this.#blocks.delete(key);
    else this.#blocks.set(key, buffer);
    for (const tell of this.onBlock) if (tell !== from) tell(key, buffer);
  }

  /** The blocks there are. */
  get blocks(): ReadonlyMap<string, SharedArrayBuffer> {
    return this.#blocks;
  }

  /** The block at a place, if this thread knows it. */
  blockAt(place: Place): SharedArrayBuffer | undefined {
    const known = this.#blocks.get(keyOf(place));
    if (known !== undefined) return known;
    this.takeBlocks();
    const told = this.#blocks.get(keyOf(place));
    if (told !== undefined || processOf(hub.path) === hub.path) return told;
    // Another thread has made it: the one that has started this one passes on
    // what it was told before it answers.
    hub.syncPort?.exchange(hub.syncRequest(0));
    this.takeBlocks();
    return this.#blocks.get(keyOf(place));
  }

  /** Takes what other threads have told of blocks. */
  takeBlocks(): void {
    for (const take of this.blockSources) take();
  }

  async #clearUp(agent: Agent): Promise<void> {
    const bound = performance.now() + FOLLOW_BOUND;
    let isLoaded = false;
    // Whose end nobody has noted is somebody else's to clear up.
    const isNoted = (pid: number) => readObituary(agent, pid) !== undefined;
    const mayBury = (pid: number, parentPid: number) =>
      agent === this.#mapped && (isNoted(pid) || isNoted(parentPid)) &&
      isDead(pid);
    while (recover(agent, mayBury) === "later") {
      if (performance.now() > bound) return;
      if (isLoaded) await pause();
      else await this.loadClasses();
      isLoaded = true;
    }
  }
}

function keyOf({ at, generation }: Place): string {
  return `${at}#${generation}`;
}

function isDeadChild(pid: number, parentPid: number): boolean {
  // Those of a dead child have nobody else.
  return (parentPid === Deno.pid || hasEnded(parentPid)) && isDead(pid);
}

function isDead(pid: number): boolean {
  return pid !== Deno.pid && hasEnded(pid);
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    startTimer(resolve, RETRY, { unref: true });
  });
}

function allocateShared(): SharedArrayBuffer {
  for (const size of SHARED_SIZES) {
    try {
      return new SharedArrayBuffer(size);
    } catch {
      // Less address space than usual.
    }
  }
  throw new ArenaFullError(
    "Cannot create shared memory: there is no address space for it",
  );
}

/** The homes as this thread sees them. */
export const homes: Homes = new Homes();

hub.homes = homes;
