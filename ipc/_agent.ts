// Copyright 2026 the multitask authors. MIT license.
// A thread's seat in an arena: how it changes shared memory, and how it waits.
//
// Transactions. Memory is changed by `set`, between `enter(guard)` and
// `commit()`. `set` first notes the old word in this agent's undo log, so that
// an operation either happens as a whole or not at all, wherever its process is
// killed:
//   - the note (index, old word) is written before the count, the count before
//     the word itself; the engine keeps the order of a thread's own stores, and
//     whoever looks does so after the thread has ended;
//   - the commit is one store: the count becomes 0. Guards are given back after
//     it. A guard is written to the row before it is taken;
//   - who finds a guard held by a dead agent puts the old words back, newest
//     first, and then frees its guards (see _recovery.ts). Until then nobody
//     else can have touched them: they are under that guard.
// Order of guards: an object's, then the arena's. Never two objects' at once.
// New memory that nothing refers to yet is written without a note.
//
// Waiting. A waiter is a node in one of an object's lists. Whoever serves it,
// under the guard, marks it Granted or Failed; after the commit the node goes
// to the mailbox of its agent, and the agent is woken if it sleeps. States:
//
//   Free -> Waiting -> Granted | Failed -> (mailbox) -> Free
//              \-> Free (gave up)    \-> Done (gave up, or told by a sweep)
//                                         -> (mailbox) -> Free
//
// No wake-up is lost: the sleeper sets Parked, then the kernel looks whether
// the mailbox is empty; the server pushes to the mailbox, then looks at Parked.
// A server that dies between commit and push is made good by Sweep: after every
// death all agents look at all their waiters. There is one sleep per agent,
// whatever the number of its waiters.

import {
  AGENT_MASK,
  AGENT_WORDS,
  agentName,
  AgentPhase,
  AgentWord,
  ArenaWord,
  BlockWord,
  classOf,
  ListWord,
  logAt,
  MAX_AGENTS,
  MAX_LOGGED,
  nextGeneration,
  NO_LOCK,
  NODES_PER_BLOCK,
  NodeState,
  NodeWord,
  OBJECT_WORDS,
  objectAt,
  ObjectFlag,
  ObjectWord,
  Parked,
  pathOf,
  rowAt,
  rowOf,
  rowsOf,
  setPath,
  wordsOf,
} from "./_arena.ts";
import { faultPoint } from "./_fault_point.ts";
import { startTimer } from "./_timer.ts";
import type { Words } from "./_words.ts";

/** Whoever waits in a list, as its own thread knows it. One is called, once. */
export interface Waiter {
  /**
   * Its turn has come. Until this returns the node counts as granted, unless
   * it is marked Done: whoever dies here has not taken it.
   */
  granted(value: number, node: number): void;
  /** It waits in vain; the code says why. */
  failed(code: number): void;
}

/** What an agent needs of its surroundings. */
export interface Surroundings {
  readonly pid: number;
  readonly parentPid: number;
  /** Its place in the tree of processes. */
  readonly path: string;
  /** Whether a sleep keeps the program alive. */
  readonly sleepHolds: boolean;
  /**
   * Whether anybody else may change the arena, now or later: only then the
   * program is kept alive by its waiters.
   */
  isShared(): boolean;
  /** Throws where this thread shall stop: a blocking wait ends then. */
  checkStopped(): void;
  /** Sends a message to the process with this place: look at the mailbox. */
  ring(path: string): void;
  /** Looks after all processes that may have died. */
  recover(agent: Agent): void;
  /** How long a blocking wait sleeps before it looks after its own children. */
  readonly slice: number;
  /** Looks after those that only this thread could see dying. */
  recoverChildren(agent: Agent): void;
}

/** Words of a free slot that a new object does not write over at once. */
const KEPT: ReadonlySet<number> = new Set([
  ObjectWord.Flags,
  ObjectWord.Guard,
  ObjectWord.NextFree,
]);

/** Somebody waits for the guard. */
const CONTENDED = AGENT_MASK + 1;

/**
 * The longest pause between two looks at a guard before sleeping, in calls of
 * some 0.1 µs. A critical section takes a fraction of that, but who has just
 * left one often enters the next at once.
 */
const MAX_PAUSES = 128;

/** How long a wait for a guard sleeps before it looks after the dead, in ms. */
const SLICE = 50;

/** In a mailbox: nothing is there, but wake up. */
const RING = 1;

/** How long an agent that was woken quickly before looks before it sleeps. */
const MAX_LOOK_MICROS = 40;

/** Looks between two looks at the clock. */
const LOOKS = 20;

/** A sleep this short, in milliseconds, was not worth it. */
const QUICK = 0.2;

/** Wakes all who sleep on a word: a thread may do so twice. */
const EVERYBODY = 0x7fffffff;

/** The memory of an arena is used up. */
export class ArenaFullError extends Error {
  override name = "ArenaFullError";
}

/** See the file comment. */
export class Agent {
  readonly words: Words;
  /** The words, plainly. */
  readonly int32: Int32Array;
  /** Its name, which no other agent of the arena ever has at the same time. */
  readonly name: number;
  readonly #surroundings: Surroundings;
  readonly #row: number;
  readonly #log: number;
  readonly #logged: number;
  /** Guards held, the object's first. */
  #held = 0;
  readonly #waiters = new Map<number, Waiter>();
  /** Those that this thread itself waits for: the program goes on for them. */
  readonly #own = new Set<number>();
  /** Set while an operation is done for somebody else. */
  serving = false;
  #stopLooking: (() => void) | undefined;
  readonly #freeNodes: number[] = [];
  /** Nodes served in the transaction that is under way. */
  readonly #served: number[] = [];
  /** How many of them were served before the last checkpoint. */
  #standing = 0;
  /** Blocks given back since the last checkpoint. */
  readonly #freed: number[] = [];
  /** Whether `#park` runs, and whether it sleeps at the moment. */
  #parking = false;
  #asleep = false;
  #unparking = false;
  #lookMicros = MAX_LOOK_MICROS;

  constructor(words: Words, surroundings: Surroundings) {
    this.words = words;
    this.int32 = words.int32;
    this.#surroundings = surroundings;
    const { row, name } = this.#join();
    this.name = name;
    this.#row = rowAt(row);
    this.#log = logAt(row);
    this.#logged = this.#row + AgentWord.Logged;
  }

  #join(): { row: number; name: number } {
    const { words } = this;
    const { pid, parentPid } = this.#surroundings;
    for (let row = 0; row < MAX_AGENTS; row++) {
      const at = rowAt(row);
      // Whoever dies from here on is known by its pid.
      if (words.compareExchange(at + AgentWord.Pid, 0, pid) !== 0) continue;
      const generation = nextGeneration(
        words.load(at + AgentWord.State) >>> 2,
      );
      for (let word = 2; word < AGENT_WORDS; word++) words.store(at + word, 0);
      words.store(at + AgentWord.ParentPid, parentPid);
      setPath({ words, row: at }, this.#surroundings.path);
      while (true) {
        const rows = words.load(ArenaWord.AgentRows);
        if (
          rows > row ||
          words.compareExchange(ArenaWord.AgentRows, rows, row + 1) === rows
        ) break;
      }
      words.store(
        at + AgentWord.State,
        generation << 2 | AgentPhase.Live,
      );
      return { row, name: agentName(row, generation) };
    }
    throw new ArenaFullError(
      `Cannot share memory: ${MAX_AGENTS} threads share it already`,
    );
  }

  /** Whether no other agent has a seat here. */
  get isAlone(): boolean {
    const { words } = this;
    for (let i = words.load(ArenaWord.AgentRows) - 1; i >= 0; i--) {
      const row = rowAt(i);
      if (
        row !== this.#row &&
        (words.load(row + AgentWord.State) & 3) === AgentPhase.Live
      ) return false;
    }
    return true;
  }

  /** Whether a sleep that does not block is under way. */
  get isAsleep(): boolean {
    return this.#asleep;
  }

  /** Whether it is in the middle of a transaction. */
  get isBusy(): boolean {
    return this.#held > 0;
  }

  // ---- Transactions ----

  /** Takes a guard; held until `commit` or `rollBack`. */
  enter(guard: number): void {
    faultPoint?.();
    const { int32, name } = this;
    int32[this.#row + AgentWord.Held + this.#held++] = guard;
    faultPoint?.();
    if (Atomics.compareExchange(int32, guard, 0, name) !== 0) {
      this.#enterContended(guard);
    }
    faultPoint?.();
  }

  /** The three-state futex mutex (Drepper, "Futexes Are Tricky"). */
  #enterContended(guard: number): void {
    const { words, name } = this;
    let mark = 0;
    let pauses = 1;
    while (true) {
      const state = words.load(guard);
      if (state === 0) {
        if (words.compareExchange(guard, 0, name | mark) === 0) return;
      } else if (pauses <= MAX_PAUSES) {
        // Each look takes the word from whoever is at work: ever fewer of them.
        for (let i = 0; i < pauses; i++) Atomics.pause();
        pauses *= 2;
      } else {
        if (
          (state & CONTENDED) === 0 &&
          words.compareExchange(guard, state, state | CONTENDED) !== state
        ) continue;
        mark = CONTENDED;
        if (words.wait(guard, state | CONTENDED, SLICE) === "timed-out") {
          this.#surroundings.recover(this);
        }
      }
    }
  }

  /** Takes the arena's guard too, unless it is held already. */
  enterArena(): void {
    const { int32 } = this;
    const last = this.#row + AgentWord.Held + this.#held - 1;
    if (this.#held > 0 && int32[last] === ArenaWord.Guard) return;
    this.enter(ArenaWord.Guard);
  }

  /** Changes a word, so that it can be changed back. */
  set(index: number, value: number): void {
    faultPoint?.();
    const { int32 } = this;
    const count = int32[this.#logged]!;
    if (count >= MAX_LOGGED) throw new RangeError("The undo log is full");
    const entry = this.#log + 2 * count;
    int32[entry] = index;
    int32[entry + 1] = int32[index]!;
    int32[this.#logged] = count + 1;
    faultPoint?.();
    int32[index] = value;
  }

  /** The changes stand; gives the guards back and tells whoever was served. */
  commit(): void {
    faultPoint?.();
    this.int32[this.#logged] = 0;
    this.#freed.length = 0;
    this.#standing = 0;
    if (this.#served.length === 0) return this.#leave();
    const served = this.#served.splice(0);
    this.#deliver(served);
    this.#leave();
    this.#tell(served);
  }

  /**
   * The changes so far stand, and the guards are kept: for operations that take
   * many steps, each of which leaves the object sane.
   */
  checkpoint(): void {
    faultPoint?.();
    this.int32[this.#logged] = 0;
    this.#standing = this.#served.length;
    this.#freed.length = 0;
  }

  /** Undoes the changes and gives the guards back. */
  rollBack(): void {
    const { int32 } = this;
    for (let count = int32[this.#logged]!; count > 0; count--) {
      const entry = this.#log + 2 * (count - 1);
      int32[int32[entry]!] = int32[entry + 1]!;
    }
    this.#served.length = this.#standing;
    this.commit();
  }

  #leave(): void {
    const { int32 } = this;
    for (; this.#held > 0; this.#held--) {
      faultPoint?.();
      const at = this.#row + AgentWord.Held + this.#held - 1;
      const guard = int32[at]!;
      const state = Atomics.exchange(int32, guard, 0);
      if ((state & CONTENDED) !== 0) {
        faultPoint?.();
        this.words.notify(guard, 1);
      }
      int32[at] = 0;
    }
  }

  // ---- The heap ----

  /** Takes a block; gives the first word of its contents. Within an entry. */
  allocate(words: number): number {
    this.enterArena();
    const { int32 } = this;
    const sizeClass = classOf(words + BlockWord.Words);
    const free = ArenaWord.Free + sizeClass;
    let block = int32[free]!;
    // What this transaction has given back may have to be as it was.
    if (block !== 0 && !this.#freed.includes(block)) {
      this.set(free, int32[block + BlockWord.Next]!);
    } else {
      block = int32[ArenaWord.Bump]!;
      const end = block + wordsOf(sizeClass);
      if (end > int32[ArenaWord.Size]!) {
        throw new ArenaFullError(
          `Cannot get ${words * 4} bytes: the shared memory of ${
            int32[ArenaWord.Size]! * 4
          } bytes is used up; take items out of queues, or give them a maxsize`,
        );
      }
      this.set(ArenaWord.Bump, end);
      int32[block + BlockWord.Class] = sizeClass;
    }
    return block + BlockWord.Words;
  }

  /** Gives a block back. Within an entry. */
  free(contents: number): void {
    this.enterArena();
    const { int32 } = this;
    const block = contents - BlockWord.Words;
    const free = ArenaWord.Free + int32[block + BlockWord.Class]!;
    // Nobody else refers to a block that is given back, but who undoes it.
    this.set(block + BlockWord.Next, int32[free]!);
    this.set(free, block);
    this.#freed.push(block);
  }

  /** How many words a block can hold. */
  capacityOf(contents: number): number {
    return wordsOf(this.int32[contents - BlockWord.Words + BlockWord.Class]!) -
      BlockWord.Words;
  }

  // ---- Objects ----

  /** Takes an object's slot; the type makes it live. */
  createObject(type: number, setUp: (at: number) => void): number {
    const { int32 } = this;
    return this.#within(ArenaWord.Guard, () => {
      const free = int32[ArenaWord.FreeObject]!;
      let at: number;
      if (free !== 0) {
        at = free;
        this.set(ArenaWord.FreeObject, int32[at + ObjectWord.NextFree]!);
      } else {
        const used = int32[ArenaWord.Objects]!;
        const orphan = int32[ArenaWord.Orphan]!;
        if (used < int32[ArenaWord.MaxObjects]!) {
          at = objectAt(used + 1);
          this.set(ArenaWord.Objects, used + 1);
        } else if (orphan !== 0) {
          at = orphan;
          this.set(ArenaWord.Orphan, int32[at + ObjectWord.NextFree]!);
        } else {
          throw new ArenaFullError(
            `Cannot share another object: there are ${used}; close some`,
          );
        }
      }
      const generation = nextGeneration(int32[at + ObjectWord.Generation]!);
      for (let word = ObjectWord.Flags; word < OBJECT_WORDS; word++) {
        // Others may take the guard, and an undo needs the others.
        if (KEPT.has(word)) continue;
        int32[at + word] = 0;
      }
      this.set(at + ObjectWord.Flags, 0);
      this.set(at + ObjectWord.Generation, generation);
      int32[at + ObjectWord.Owner] = this.name;
      int32[at + ObjectWord.OwnerPid] = this.#surroundings.pid;
      int32[at + ObjectWord.LockState] = NO_LOCK;
      setUp(at);
      this.set(at + ObjectWord.Type, type);
      return at;
    });
  }

  /** Gives an object's slot back. Within an entry of its guard. */
  freeObject(at: number): void {
    this.enterArena();
    const { int32 } = this;
    this.set(at + ObjectWord.Type, 0);
    this.set(at + ObjectWord.LockState, NO_LOCK);
    this.set(at + ObjectWord.Permits, 0);
    this.set(
      at + ObjectWord.Generation,
      nextGeneration(int32[at + ObjectWord.Generation]!),
    );
    this.set(at + ObjectWord.NextFree, int32[ArenaWord.FreeObject]!);
    this.set(ArenaWord.FreeObject, at);
  }

  /**
   * The owner of an object has ended. Whoever still knows the object is told
   * so as long as its slot can be spared. Within an entry of its guard.
   */
  orphanObject(at: number): void {
    this.enterArena();
    const { int32 } = this;
    this.set(at + ObjectWord.Flags, ObjectFlag.Orphaned);
    this.set(at + ObjectWord.NextFree, int32[ArenaWord.Orphan]!);
    this.set(ArenaWord.Orphan, at);
  }

  /** Whether an object of the type is at a place. */
  isObject(at: number, type: number): boolean {
    const first = objectAt(1);
    const end = objectAt(this.words.load(ArenaWord.Objects) + 1);
    return at >= first && at < end && (at - first) % OBJECT_WORDS === 0 &&
      this.int32[at + ObjectWord.Type] === type;
  }

  /** The slots that were ever used. */
  *objects(): Generator<number> {
    const count = this.words.load(ArenaWord.Objects);
    for (let slot = 1; slot <= count; slot++) yield objectAt(slot);
  }

  #within<T>(guard: number, change: () => T): T {
    this.enter(guard);
    try {
      const result = change();
      this.commit();
      return result;
    } catch (error) {
      this.rollBack();
      throw error;
    }
  }

  /** Runs a change as one transaction. */
  transact<T>(guard: number, change: () => T): T {
    return this.#within(guard, change);
  }

  // ---- Waiting ----

  /** Sees that a node is there; before an entry, for `wait` within it. */
  reserveNode(): void {
    if (this.#freeNodes.length > 0) return;
    const { int32 } = this;
    const nodes = this.#within(ArenaWord.Guard, () => {
      const block = this.allocate(
        ListWord.Words + NODES_PER_BLOCK * NodeWord.Words,
      );
      int32.fill(
        0,
        block,
        block + ListWord.Words + NODES_PER_BLOCK * NodeWord.Words,
      );
      int32[block] = int32[this.#row + AgentWord.Nodes]!;
      this.set(this.#row + AgentWord.Nodes, block);
      return block + ListWord.Words;
    });
    for (let i = NODES_PER_BLOCK - 1; i >= 0; i--) {
      this.#freeNodes.push(nodes + i * NodeWord.Words);
    }
  }

  /** Lines up at the end of a list. Within an entry, after `reserveNode`. */
  wait(
    object: number,
    list: number,
    waiter: Waiter,
    value = 0,
    amount = 0,
  ): number {
    const { int32 } = this;
    const node = this.#freeNodes.pop()!;
    const tail = int32[list + ListWord.Tail]!;
    int32[node + NodeWord.Next] = 0;
    int32[node + NodeWord.Prev] = tail;
    int32[node + NodeWord.Agent] = this.name;
    int32[node + NodeWord.Value] = value;
    int32[node + NodeWord.Amount] = amount;
    int32[node + NodeWord.Object] = object;
    int32[node + NodeWord.List] = list;
    int32[node + NodeWord.Generation] = int32[object + ObjectWord.Generation]!;
    this.set(node + NodeWord.State, NodeState.Waiting);
    if (tail === 0) this.set(list + ListWord.Head, node);
    else this.set(tail + NodeWord.Next, node);
    this.set(list + ListWord.Tail, node);
    this.set(list + ListWord.Count, int32[list + ListWord.Count]! + 1);
    this.#waiters.set(node, waiter);
    if (!this.serving) this.#own.add(node);
    if (!this.#parking) this.#park();
    return node;
  }

  /** Takes a node out of its list. Within an entry. */
  unlink(node: number): void {
    const { int32 } = this;
    const list = int32[node + NodeWord.List]!;
    const next = int32[node + NodeWord.Next]!;
    const prev = int32[node + NodeWord.Prev]!;
    this.set(prev === 0 ? list + ListWord.Head : prev + NodeWord.Next, next);
    this.set(next === 0 ? list + ListWord.Tail : next + NodeWord.Prev, prev);
    this.set(list + ListWord.Count, int32[list + ListWord.Count]! - 1);
  }

  /** Serves a waiter: its turn, or its failure. Within an entry. */
  serve(
    node: number,
    state: typeof NodeState.Granted | typeof NodeState.Failed,
    value: number,
  ): void {
    this.unlink(node);
    this.set(node + NodeWord.Value, value);
    this.set(node + NodeWord.State, state);
    this.#served.push(node);
  }

  /**
   * Puts those who were served into the mailboxes of their agents: still under
   * the guard, so that whoever clears up after a dead one knows, once it had
   * the guard, that nobody will touch the dead one's nodes any more.
   */
  #deliver(served: readonly number[]): void {
    const { int32, words, name } = this;
    for (const node of served) {
      const agent = int32[node + NodeWord.Agent]!;
      if (agent === name) continue;
      faultPoint?.();
      const mailbox = rowAt(rowOf(agent)) + AgentWord.Mailbox;
      let last: number;
      do {
        last = words.load(mailbox);
        int32[node + NodeWord.Next] = last;
      } while (words.compareExchange(mailbox, last, node) !== last);
      this.#rows.add(rowAt(rowOf(agent)));
    }
  }

  readonly #rows = new Set<number>();

  /** Wakes those who were served, and calls those of this thread. */
  #tell(served: readonly number[]): void {
    const { int32, name } = this;
    for (const row of this.#rows) {
      faultPoint?.();
      this.#wake(row);
    }
    this.#rows.clear();
    for (const node of served) {
      // One of another thread may be anything by now, but never ours.
      if (int32[node + NodeWord.Agent] === name && this.#waiters.has(node)) {
        this.#conclude(node);
      }
    }
  }

  /** A waiter of ours was served, and its node is nowhere but here. */
  #conclude(node: number): void {
    const { int32 } = this;
    const state = int32[node + NodeWord.State]!;
    const waiter = this.#waiters.get(node);
    this.#forget(node);
    this.#call(waiter, state, node);
    this.words.store(node + NodeWord.State, NodeState.Free);
    this.#freeNodes.push(node);
  }

  #forget(node: number): void {
    this.#waiters.delete(node);
    this.#own.delete(node);
    if (this.#waiters.size === 0) this.#stopLooking?.();
    if (!this.#isSleepy) this.#unpark();
  }

  /** Whether there is somebody to sleep for. */
  get #isSleepy(): boolean {
    const waiters = this.#surroundings.sleepHolds ? this.#own : this.#waiters;
    return waiters.size > 0 && this.#surroundings.isShared();
  }

  #call(waiter: Waiter | undefined, state: number, node: number): void {
    if (waiter === undefined) return;
    const value = this.int32[node + NodeWord.Value]!;
    if (state === NodeState.Granted) waiter.granted(value, node);
    else if (state === NodeState.Failed) waiter.failed(value);
  }

  /**
   * Gives a wait up. Within an entry; says what had become of it: `undefined`
   * when it was still waiting, else the value that it was granted, to be given
   * back.
   */
  giveUp(node: number): { granted: number } | undefined {
    const { int32 } = this;
    this.#forget(node);
    const state = int32[node + NodeWord.State];
    if (state === NodeState.Waiting) {
      this.unlink(node);
      this.set(node + NodeWord.State, NodeState.Free);
      this.#freeNodes.push(node);
      return undefined;
    }
    // Its node is on the way to our mailbox.
    this.set(node + NodeWord.State, NodeState.Done);
    return state === NodeState.Granted
      ? { granted: int32[node + NodeWord.Value]! }
      : undefined;
  }

  /** Notes what is in this agent's hands, or that nothing is. Within an entry. */
  hold(kind: number, object: number, record: number): void {
    this.set(this.#row + AgentWord.HandObject, object);
    this.set(this.#row + AgentWord.HandRecord, record);
    this.set(
      this.#row + AgentWord.HandGeneration,
      object === 0 ? 0 : this.int32[object + ObjectWord.Generation]!,
    );
    this.set(this.#row + AgentWord.HandKind, kind);
  }

  /** Takes what is in the mailbox, in the order in which it came. */
  drain(): void {
    this.#empty();
    const { words } = this;
    const row = this.#row;
    if (words.load(row + AgentWord.Sweep) === 1) {
      words.store(row + AgentWord.Sweep, 0);
      this.#sweep();
    }
  }

  #empty(): void {
    const { int32, words } = this;
    const mailbox = this.#row + AgentWord.Mailbox;
    let node = words.load(mailbox) === 0 ? 0 : words.exchange(mailbox, 0);
    let first = 0;
    while (node > RING) {
      const next = int32[node + NodeWord.Next]!;
      int32[node + NodeWord.Next] = first;
      first = node;
      node = next;
    }
    while (first !== 0) {
      const next = int32[first + NodeWord.Next]!;
      this.#conclude(first);
      first = next;
    }
  }

  /** Finds waiters of ours that were served by somebody who died then. */
  #sweep(): void {
    const { int32, words } = this;
    const isServed = (node: number) => {
      const state = words.load(node + NodeWord.State);
      return state === NodeState.Granted || state === NodeState.Failed;
    };
    const served = [...this.#waiters.keys()].filter(isServed);
    if (served.length === 0) return;
    // Who serves puts them into the mailbox before it leaves the guard: what is
    // not there then never comes. It may also have been undone: its turn had not
    // come.
    const guards = new Set(
      served.map((node) => int32[node + NodeWord.Object]! + ObjectWord.Guard),
    );
    for (const guard of guards) {
      this.enter(guard);
      this.commit();
    }
    this.#empty();
    for (const node of served) {
      if (this.#waiters.has(node) && isServed(node)) this.#conclude(node);
    }
  }

  #wake(row: number): void {
    const { words } = this;
    const how = words.load(row + AgentWord.Parked);
    if (how === Parked.Asleep) words.notify(row + AgentWord.Mailbox, EVERYBODY);
    else if (how === Parked.Ring) {
      this.#surroundings.ring(pathOf({ words, row }));
    }
  }

  /** Has all agents look at their mailboxes and at all of their waiters. */
  ringAll(): void {
    const { words } = this;
    const rows = words.load(ArenaWord.AgentRows);
    for (let i = 0; i < rows; i++) {
      const row = rowAt(i);
      if ((words.load(row + AgentWord.State) & 3) !== AgentPhase.Live) continue;
      words.store(row + AgentWord.Sweep, 1);
      this.#ring(row);
    }
  }

  /** Has one thread of this process look up. */
  ringThread(path: string): void {
    const rows = rowsOf(this.words, { pid: this.#surroundings.pid, path });
    for (const row of rows) this.#ring(row);
  }

  #ring(row: number): void {
    this.words.compareExchange(row + AgentWord.Mailbox, 0, RING);
    this.#wake(row);
  }

  /** Whether there is a sleep that should not be, or none that should be. */
  surroundingsChanged(): void {
    if (this.#parking) this.#ring(this.#row);
    else if (this.#waiters.size > 0) this.#park();
  }

  /** Sleeps, without blocking, while there are waiters. */
  async #park(): Promise<void> {
    const { words } = this;
    const mailbox = this.#row + AgentWord.Mailbox;
    const parked = this.#row + AgentWord.Parked;
    this.#parking = true;
    this.#stopLooking?.();
    try {
      // Whoever starts to wait in this turn may be served in it.
      await undefined;
      while (this.#isSleepy) {
        if (words.load(mailbox) === 0) this.#look(mailbox);
        if (words.load(mailbox) === 0) {
          const start = performance.now();
          words.store(parked, Parked.Asleep);
          this.#asleep = true;
          await words.waitAsync(mailbox, 0);
          this.#asleep = false;
          words.store(parked, Parked.Awake);
          if (
            performance.now() - start < QUICK && words.load(mailbox) > RING
          ) {
            this.#lookMicros = MAX_LOOK_MICROS;
          }
        }
        this.drain();
        // Whoever was served goes first: it may be the one that is answered next.
        if (this.#isSleepy) await immediate();
      }
    } finally {
      this.#parking = false;
    }
    if (this.#waiters.size > 0 && this.#surroundings.isShared()) {
      this.#listen();
    }
  }

  /**
   * Only others wait through this thread, and the program must not go on for
   * them: whoever serves them sends a message. It may be late, if it comes from
   * a process that blocks: so there is a look from time to time, too.
   */
  #listen(): void {
    const { words } = this;
    const parked = this.#row + AgentWord.Parked;
    words.store(parked, Parked.Ring);
    const look = () => {
      this.drain();
      if (this.#waiters.size === 0 || this.#parking) this.#stopLooking?.();
    };
    const again = () => {
      const stop = startTimer(
        () => {
          again();
          look();
        },
        SLICE,
        { unref: true },
      );
      this.#stopLooking = () => {
        stop();
        this.#stopLooking = undefined;
        words.store(parked, Parked.Awake);
      };
    };
    if (this.#stopLooking === undefined) again();
    look(); // Somebody may have looked before the word was there.
  }

  /**
   * Looks at the mailbox for a moment: a sleep and a wake-up take longer than
   * most answers. It looks less and less where that does not help, so that an
   * idle waiter costs nothing, and never so long that a timer would notice.
   */
  #look(mailbox: number): void {
    if (this.#lookMicros < 1) return;
    const end = performance.now() + this.#lookMicros / 1000;
    do {
      for (let i = 0; i < LOOKS; i++) {
        if (this.words.load(mailbox) === 0) continue;
        this.#lookMicros = MAX_LOOK_MICROS;
        return;
      }
    } while (performance.now() < end);
    this.#lookMicros /= 2;
  }

  /**
   * Nobody waits any more: the sleep would only keep the program alive. In the
   * next turn, since most who wait do so again at once.
   */
  #unpark(): void {
    if (!this.#asleep || this.#unparking) return;
    this.#unparking = true;
    setImmediate(() => {
      this.#unparking = false;
      if (this.#asleep && !this.#isSleepy) this.#ring(this.#row);
    });
  }

  /**
   * Blocks until `isOver`, at most `timeout` milliseconds. "alone": nobody is
   * left who could end it.
   */
  block(isOver: () => boolean, timeout = Infinity): "over" | "late" | "alone" {
    const { words } = this;
    const mailbox = this.#row + AgentWord.Mailbox;
    const parked = this.#row + AgentWord.Parked;
    const start = performance.now();
    const before = words.load(parked);
    let look = MAX_LOOK_MICROS / 1000;
    while (true) {
      this.drain();
      if (isOver()) return "over";
      this.#surroundings.checkStopped();
      const now = performance.now();
      const left = start + timeout - now;
      if (left <= 0) return "late";
      if (this.isAlone && timeout === Infinity) return "alone";
      if (look > 0) {
        // As above, but nothing else can be done meanwhile.
        const end = now + look;
        while (words.load(mailbox) === 0 && performance.now() < end);
        look = 0;
        if (words.load(mailbox) !== 0) continue;
      }
      words.store(parked, Parked.Asleep);
      const ended = words.wait(
        mailbox,
        0,
        Math.min(left, this.#surroundings.slice),
      );
      words.store(parked, this.#asleep ? Parked.Asleep : before);
      if (ended === "timed-out") this.#surroundings.recoverChildren(this);
    }
  }
}

/** Resolves when all that is due now has run. */
function immediate(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
