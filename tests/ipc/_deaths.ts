// Copyright 2026 the multitask authors. MIT license.
// Processes that are killed between any two steps, in one thread.
//
// Several agents sit in one arena. Each has a view of the memory that counts
// its changes, and that stops it before one of them: from there on nothing that
// it does reaches the memory any more, also not what runs while the exception
// unwinds. So every state in which a death can leave the memory is met, exactly
// once: two deaths between the same changes look the same to everybody else.
//
// What a mortal asks for is answered when it looks at its mailbox: `settle` has
// all who live do so. Nobody sleeps.

import { assert, assertEquals, AssertionError } from "@std/assert";
import { Agent } from "../../ipc/_agent.ts";
import {
  AgentPhase,
  AgentWord,
  ArenaWord,
  isArena,
  layOut,
  LISTS,
  ListWord,
  logAt,
  NodeState,
  NodeWord,
  objectAt,
  ObjectFlag,
  ObjectWord,
  rowAt,
  rowOf,
} from "../../ipc/_arena.ts";
import { type Core, type CorePlace, listOf } from "../../ipc/_core.ts";
import { hub } from "../../ipc/_hub.ts";
import type { Packet } from "../../ipc/_packet.ts";
import { recover } from "../../ipc/_recovery.ts";
import { Status } from "../../ipc/_shared_object.ts";
import { Words, type WordWait } from "../../ipc/_words.ts";
import { liveBlocks, nodeBlocks } from "./_heap.ts";
import type { Random } from "./_random.ts";

/** What stops a process that has been killed. Never to be caught by it. */
export class Death extends Error {
  override name = "Death";
}

/** Somebody would have to wait for a guard that a living one holds. */
export class Blocked extends Error {
  override name = "Blocked";
}

/** How often one may look at a guard before it counts as never free. */
const PATIENCE = 50;

/** The changes of one process, and when it dies. */
class Life {
  isOver = false;
  /** Changes so far. */
  steps = 0;
  /** It dies before this one. */
  last = Infinity;
  /** Called before each change. */
  between: ((step: number) => void) | undefined;

  /** Before a change. */
  step(): void {
    this.check();
    this.steps++;
    this.between?.(this.steps);
    if (this.steps < this.last) return;
    this.isOver = true;
    throw new Death();
  }

  check(): void {
    if (this.isOver) throw new Death();
  }
}

interface View {
  readonly raw: Int32Array;
  readonly life: Life;
}

const views = new WeakMap<object, View>();

/** Up to where memory may be other than at first; also what was undone. */
let used = Infinity;

/** A view of words that counts changes. */
function viewOf(raw: Int32Array, life: Life): Int32Array {
  const methods: Record<string, unknown> = {
    fill(...args: Parameters<Int32Array["fill"]>) {
      life.step();
      return raw.fill(...args);
    },
    copyWithin(...args: Parameters<Int32Array["copyWithin"]>) {
      life.step();
      return raw.copyWithin(...args);
    },
  };
  const view = new Proxy(raw, {
    get: (_, key) => methods[key as string] ?? Reflect.get(raw, key, raw),
    set(_, key, value: number) {
      const index = Number(key);
      if (!(index >= 0 && index < raw.length)) {
        throw new AssertionError(`Changed word ${String(key)}`);
      }
      if (raw[index] !== (value | 0)) life.step();
      else life.check();
      if (index === ArenaWord.Bump) used = Math.max(used, value);
      raw[index] = value;
      return true;
    },
  });
  views.set(view, { raw, life });
  return view;
}

type Change = "store" | "exchange" | "add" | "compareExchange";

// The engine works on the words themselves, by `Atomics`, so that has to know
// the views. This is the only thread of the test that does so.
for (const name of ["load"] as const) {
  const real = Atomics[name] as (array: unknown, index: number) => number;
  Object.assign(Atomics, {
    [name]: (array: object, index: number) =>
      real(views.get(array)?.raw ?? array, index),
  });
}
for (
  const name of ["store", "exchange", "add", "compareExchange"] as Change[]
) {
  const real = Atomics[name] as (array: unknown, ...args: number[]) => number;
  Object.assign(Atomics, {
    [name]: (array: object, ...args: number[]) => {
      const view = views.get(array);
      if (view === undefined) return real(array, ...args);
      const { raw, life } = view;
      const [index, first, second] = args as [number, number, number];
      const old = raw[index]!;
      const changed = name === "compareExchange"
        ? old === first && old !== second
        : name === "add"
        ? first !== 0
        : old !== first;
      if (changed) life.step();
      else life.check();
      return real(raw, ...args);
    },
  });
}

/** Words as a mortal sees them. */
class MortalWords extends Words {
  readonly #life: Life;
  #looks = 0;

  constructor(buffer: SharedArrayBuffer, life: Life) {
    super(buffer);
    this.#life = life;
    (this as { int32: Int32Array }).int32 = viewOf(this.int32, life);
  }

  /** Nobody else runs, so whatever it waits for does not come by itself. */
  override wait(): WordWait {
    this.#life.check();
    if (this.#looks++ > PATIENCE) throw new Blocked();
    return "timed-out";
  }

  override waitAsync(): Promise<void> {
    return new Promise(() => {});
  }

  override notify(): void {
    this.#life.check();
  }

  calm(): void {
    this.#looks = 0;
  }
}

/** Whatever an operation has become. */
export class Call {
  status: number | undefined;
  number = 0;
  packet: Packet | undefined;
  isWithdrawn = false;
  #withdraw: (() => void) | undefined;
  readonly who: Mortal;
  readonly what: string;

  constructor(
    who: Mortal,
    core: Core,
    code: number,
    { number = 0, packet }: { number?: number; packet?: Packet } = {},
  ) {
    this.who = who;
    this.what = `${core.constructor.name} ${code}`;
    who.calls.push(this);
    who.words.calm();
    try {
      this.#withdraw = core.perform(
        { code, caller: hub.path, part: 0, number, packet },
        (status, number, packet) =>
          Object.assign(this, { status, number, packet }),
      );
    } catch (error) {
      if (error instanceof Death || error instanceof Blocked) throw error;
      this.status = Status.Failed;
      this.packet = hub.packError(error);
    }
  }

  /** Gives up, as at a time-out. */
  withdraw(): void {
    if (this.status !== undefined) return;
    this.isWithdrawn = true;
    this.#withdraw!();
  }

  get isPending(): boolean {
    return this.status === undefined && !this.isWithdrawn;
  }

  get isDone(): boolean {
    return this.status === Status.Done;
  }

  /** What it failed with. */
  get error(): Error | undefined {
    return this.status === Status.Failed
      ? hub.unpack(this.packet!) as Error
      : undefined;
  }

  /** The number it gave. It has to be done. */
  get result(): number {
    if (!this.isDone) {
      throw new AssertionError(
        `${this.what} is not done: ${this.error ?? "it waits"}`,
      );
    }
    return this.number;
  }
}

/** A process of the simulation. */
export class Mortal {
  readonly pid: number;
  readonly life = new Life();
  readonly words: MortalWords;
  readonly agent: Agent;
  readonly calls: Call[] = [];

  /** `last`: the change of its birth before which it dies. */
  constructor(world: World, pid: number, last = Infinity) {
    this.pid = pid;
    this.life.last = last;
    world.mortals.push(this);
    this.words = new MortalWords(world.buffer, this.life);
    this.agent = new Agent(this.words, {
      pid,
      parentPid: 0,
      path: `0.${pid}`,
      sleepHolds: true,
      // So it never sleeps: see `settle`.
      isShared: () => false,
      ring: () => {},
      checkStopped: () => {},
      recover: (agent) => void recover(agent, world.isDead),
      slice: 50,
      recoverChildren: (agent) => void recover(agent, world.isDead),
    });
  }

  /** Asks for an operation. */
  call(
    core: Core,
    code: number,
    options?: { number?: number; packet?: Packet },
  ): Call {
    return new Call(this, core, code, options);
  }

  /** Does something, and dies before change number `last` of it. */
  doUntil(last: number, something: () => void): void {
    const { life } = this;
    life.steps = 0;
    life.last = last;
    try {
      something();
    } catch (error) {
      if (!(error instanceof Death)) throw error;
    }
    life.isOver = true;
  }
}

/** Words of all arenas here. */
const SIZE = 2 ** 21;

/** What is in memory that was used before: looks like somebody who waits. */
const RUBBISH = NodeState.Waiting;

const buffer = new SharedArrayBuffer(SIZE * Int32Array.BYTES_PER_ELEMENT);

/**
 * A new arena, and those who share it. One at a time. They all begin with the
 * same words: whether something is a change depends on what was there.
 */
export class World {
  readonly buffer: SharedArrayBuffer = buffer;
  readonly raw: Int32Array = new Int32Array(buffer);
  readonly mortals: Mortal[] = [];
  readonly objects: { core: Core; owner: Mortal }[] = [];
  /** Who looks at its mailbox only when the scenario says so. */
  victim: Mortal | undefined;
  readonly #heap: number;
  #nextPid = 100;

  constructor() {
    const { raw } = this;
    const rows = raw[ArenaWord.AgentRows]! + 1;
    raw.fill(0, logAt(0), logAt(rows));
    raw.fill(0, objectAt(1), objectAt(raw[ArenaWord.Objects]! + 2));
    raw.fill(0, 0, rowAt(rows));
    const words = new MortalWords(buffer, new Life());
    layOut(words);
    assert(isArena(words));
    this.#heap = raw[ArenaWord.Bump]!;
    raw.fill(RUBBISH, this.#heap, Math.min(used, raw.length));
    used = this.#heap;
  }

  /** Whether the process with this number is dead. */
  readonly isDead = (pid: number): boolean => {
    const mortal = this.mortals.find((mortal) => mortal.pid === pid);
    return mortal === undefined || mortal.life.isOver;
  };

  /** Somebody new. */
  born(): Mortal {
    return new Mortal(this, this.#nextPid++);
  }

  /** Somebody who dies while it joins, if that takes so many changes. */
  stillborn(last: number): boolean {
    try {
      new Mortal(this, this.#nextPid++, last).life.isOver = true;
      return false;
    } catch (error) {
      if (!(error instanceof Death)) throw error;
      return true;
    }
  }

  /** Kills somebody who is at nothing. */
  kill(mortal: Mortal): void {
    mortal.life.isOver = true;
  }

  /** Who is not dead. */
  get living(): Mortal[] {
    return this.mortals.filter(({ life }) => !life.isOver);
  }

  /** Notes an object, so that it is closed in the end. */
  owns<T extends Core>(owner: Mortal, core: T): T {
    this.objects.push({ core, owner });
    return core;
  }

  /** Clears up after the dead. */
  recover(by: Mortal): void {
    by.words.calm();
    const outcome = recover(by.agent, this.isDead);
    if (outcome === "later") throw new AssertionError("Not all was recovered");
  }

  /** Has everybody but the victim look at the mailbox, until all are empty. */
  settle(): void {
    let isQuiet: boolean;
    do {
      isQuiet = true;
      for (const mortal of this.living) {
        if (mortal === this.victim) continue;
        const row = rowAt(rowOf(mortal.agent.name));
        const isEmpty = this.raw[row + AgentWord.Mailbox] === 0 &&
          this.raw[row + AgentWord.Sweep] === 0;
        if (isEmpty) continue;
        isQuiet = false;
        mortal.words.calm();
        mortal.agent.drain();
      }
    } while (!isQuiet);
  }

  // ---- What has to hold when all dead are gone and nobody is at work ----

  /** Guards, logs, rows, lists, and the memory's own lists. */
  assertSane(): void {
    const { raw } = this;
    assertEquals(raw[ArenaWord.Guard], 0, "the arena's guard");
    assertEquals(raw[ArenaWord.Reaper], 0, "the reaper");
    const names = new Set(this.living.map(({ agent }) => agent.name));
    for (let i = 0; i < raw[ArenaWord.AgentRows]!; i++) {
      const row = rowAt(i);
      const isLive = this.living.some(({ agent }) => rowOf(agent.name) === i);
      const phase = raw[row + AgentWord.State]! & 3;
      assertEquals(phase, isLive ? AgentPhase.Live : AgentPhase.Free);
      assertEquals(raw[row + AgentWord.Logged], 0, "an undo log");
      for (let held = 0; held < AgentWord.HeldMax; held++) {
        assertEquals(raw[row + AgentWord.Held + held], 0, "a guard in a row");
      }
      assertEquals(raw[row + AgentWord.HandKind], 0, "something in hands");
      if (!isLive) {
        assertEquals(raw[row + AgentWord.Pid], 0, "a dead one's number");
        assertEquals(raw[row + AgentWord.Nodes], 0, "a dead one's waiters");
      }
    }
    for (let slot = 1; slot <= raw[ArenaWord.Objects]!; slot++) {
      this.#assertObject(objectAt(slot), names);
    }
    this.#slots();
    this.liveBlocks();
  }

  #assertObject(at: number, names: ReadonlySet<number>): void {
    const { raw } = this;
    assertEquals(raw[at + ObjectWord.Guard], 0, "an object's guard");
    if (raw[at + ObjectWord.Type] === 0) return;
    const isOrphan = raw[at + ObjectWord.Flags] === ObjectFlag.Orphaned;
    for (let index = 0; index < LISTS; index++) {
      const list = listOf(at, index);
      let before = 0;
      let count = 0;
      for (
        let node = raw[list + ListWord.Head]!;
        node !== 0;
        node = raw[node + NodeWord.Next]!
      ) {
        assertEquals(raw[node + NodeWord.Prev], before, "a waiter's place");
        assertEquals(raw[node + NodeWord.State], NodeState.Waiting);
        assertEquals(raw[node + NodeWord.Object], at);
        assertEquals(raw[node + NodeWord.List], list);
        assert(names.has(raw[node + NodeWord.Agent]!), "a dead one is in line");
        before = node;
        count++;
        assert(count < 1000, "a list has no end");
      }
      assertEquals(raw[list + ListWord.Tail], before, "a list's last");
      assertEquals(raw[list + ListWord.Count], count, "a list's count");
      if (isOrphan) assertEquals(count, 0, "somebody waits for an orphan");
    }
  }

  /** How many object slots are in use; checks the lists of the others. */
  #slots(): { live: number; orphans: number } {
    const { raw } = this;
    const used = raw[ArenaWord.Objects]!;
    const seen = new Set<number>();
    const follow = (first: number) => {
      let count = 0;
      for (
        let at = raw[first]!;
        at !== 0;
        at = raw[at + ObjectWord.NextFree]!
      ) {
        assert(!seen.has(at), "an object's slot is free twice");
        seen.add(at);
        count++;
      }
      return count;
    };
    const free = follow(ArenaWord.FreeObject);
    const orphans = follow(ArenaWord.Orphan);
    let typed = 0;
    for (let slot = 1; slot <= used; slot++) {
      const at = objectAt(slot);
      const isFree = raw[at + ObjectWord.Type] === 0;
      if (isFree) assert(seen.has(at), "an object's slot is lost");
      else if (raw[at + ObjectWord.Flags] === ObjectFlag.Orphaned) {
        assert(seen.has(at), "an orphan's slot is lost");
      } else typed++;
    }
    assertEquals(used - free - orphans, typed, "object slots");
    return { live: typed, orphans };
  }

  /** How many blocks of the heap are in use; checks the free ones. */
  liveBlocks(): number {
    return liveBlocks(this.raw, this.#heap);
  }

  /** Blocks of waiters of those who live. */
  nodeBlocks(): number {
    return nodeBlocks(this.raw);
  }

  /** Closes all objects: nobody waits any more, and all memory is free. */
  close(): void {
    for (const { core, owner } of this.objects) {
      if (owner.life.isOver) continue;
      owner.words.calm();
      core.destroy(new Error("closed"));
    }
    this.settle();
    this.assertSane();
    for (const { calls } of this.living) {
      for (const call of calls) {
        assert(!call.isPending, `${call.what} waits for what is closed`);
      }
    }
    assertEquals(this.#slots().live, 0, "objects that are left");
    assertEquals(this.liveBlocks(), this.nodeBlocks(), "blocks that are left");
  }
}

/** Views of an object: the owner's and, on demand, those of others. */
export function shared<T extends Core>(
  world: World,
  owner: Mortal,
  make: (place: CorePlace) => T,
): (who: Mortal) => T {
  const first = world.owns(owner, make({ agent: owner.agent }));
  const views = new Map([[owner, first]]);
  return (who) => {
    let view = views.get(who);
    if (view === undefined) {
      view = make({ agent: who.agent, place: first.place });
      views.set(who, view);
    }
    return view;
  };
}

/** Something that a process is killed in the midst of. */
export interface Scenario<T> {
  /** Sets everything up; `owner` may be the victim. */
  arrange(cast: Cast): T;
  /** What the victim does. */
  act(state: T, cast: Cast): void;
  /** What others do in the midst of it, or before anybody clears up after it. */
  meanwhile?(state: T, cast: Cast): void;
  /**
   * What others find. Says whether the operation counts as done, where that
   * makes a difference: then it is not at first, and is from one step on.
   */
  find(state: T, cast: Cast): boolean | void;
}

/** Who takes part. */
export interface Cast {
  readonly world: World;
  readonly owner: Mortal;
  readonly victim: Mortal;
  readonly ann: Mortal;
  readonly bob: Mortal;
  readonly cleo: Mortal;
  /** Those who clear up. */
  readonly first: Mortal;
  readonly second: Mortal;
}

function castOf(world: World, isOwner: boolean): Cast {
  const victim = world.victim = world.born();
  const owner = isOwner ? victim : world.born();
  const [ann, bob, cleo, first, second] = [1, 2, 3, 4, 5].map(() =>
    world.born()
  ) as [Mortal, Mortal, Mortal, Mortal, Mortal];
  return { world, owner, victim, ann, bob, cleo, first, second };
}

interface Run {
  world: World;
  cast: Cast;
  /** Whether the victim died before it was done. */
  isCut: boolean;
}

/** How often, on average, a recovery is killed for each death. */
const SECOND_DEATHS = 2;

/** One death in so many is followed by a look of all. */
const RUNG = 3;

/** Whether everything is tried, or a random part of it. */
const isThorough = Deno.env.get("TEST_STEPS") === "all";

/** What a failure says of its case. */
function told(error: unknown, where: string): never {
  const text = error instanceof Error ? error.stack : String(error);
  throw new AssertionError(`${where}: ${text}`, { cause: error });
}

/** Kills the victim at every step, and those who clear up after it too. */
export class Deaths<T> {
  readonly #scenario: Scenario<T>;
  readonly #random: Random;

  constructor(scenario: Scenario<T>, random: Random) {
    this.#scenario = scenario;
    this.#random = random;
  }

  #die<R>(
    step: number,
    isOwner: boolean,
    then: (state: T, run: Run) => R,
  ): R {
    const world = new World();
    const cast = castOf(world, isOwner);
    const { victim } = cast;
    const state = this.#scenario.arrange(cast);
    victim.doUntil(step, () => this.#scenario.act(state, cast));
    const isCut = victim.life.steps >= step;
    return then(state, { world, cast, isCut });
  }

  /** What the others find. */
  #found(state: T, { world, cast }: Run): boolean | void {
    world.settle();
    world.assertSane();
    const found = this.#scenario.find(state, cast);
    world.close();
    return found;
  }

  /** One death at every step; gives what was found after each. */
  once(): (boolean | void)[] {
    const found: (boolean | void)[] = [];
    let isCut = true;
    for (let step = 1; isCut; step++) {
      try {
        this.#die(step, false, (state, run) => {
          isCut = run.isCut;
          run.world.recover(run.cast.first);
          found.push(this.#found(state, run));
        });
      } catch (error) {
        told(error, `Death at step ${step}`);
      }
    }
    const turn = found.indexOf(true);
    if (found.some((done) => done !== undefined)) {
      const isOnce = turn > 0 && found.lastIndexOf(false) === turn - 1 &&
        found[0] === false;
      assert(isOnce, `It is not done at one step: ${found}`);
    }
    return found;
  }

  /** Others are at work in the midst of it, and then it dies. */
  amid(): void {
    const { meanwhile } = this.#scenario;
    if (meanwhile === undefined) return;
    for (let pause = 1; this.#pauseAt(pause, meanwhile); pause++);
  }

  /** False when the operation has fewer steps. */
  #pauseAt(
    pause: number,
    meanwhile: (state: T, cast: Cast) => void,
  ): boolean {
    for (let step = pause;; step++) {
      const world = new World();
      const cast = castOf(world, false);
      const { life } = cast.victim;
      let isBlocked = false;
      try {
        const state = this.#scenario.arrange(cast);
        life.between = (now) => {
          if (now !== pause) return;
          try {
            meanwhile(state, cast);
          } catch (error) {
            if (!(error instanceof Blocked)) throw error;
            isBlocked = true;
          }
        };
        cast.victim.doUntil(step, () => this.#scenario.act(state, cast));
        const { steps } = life;
        if (steps < pause) return false;
        // They would have waited for the guard: that is no other case.
        if (isBlocked) return true;
        const isCut = steps >= step;
        world.recover(cast.first);
        this.#found(state, { world, cast, isCut });
        if (!isCut) return true;
      } catch (error) {
        told(error, `Others at work at step ${pause}, death at step ${step}`);
      }
    }
  }

  /** Others are at work before anybody clears up. */
  busy(): void {
    const { meanwhile } = this.#scenario;
    if (meanwhile === undefined) return;
    let isCut = true;
    for (let step = 1; isCut; step++) {
      try {
        this.#die(step, false, (state, run) => {
          isCut = run.isCut;
          meanwhile(state, run.cast);
          run.world.recover(run.cast.first);
          this.#found(state, run);
        });
      } catch (error) {
        told(error, `Others at work after a death at step ${step}`);
      }
    }
  }

  /** All look at their waiters, after another death, before anybody clears up. */
  rung(expected: (boolean | void)[]): void {
    for (let step = 1; step <= expected.length; step++) {
      if (!isThorough && !this.#random.oneIn(RUNG)) continue;
      try {
        this.#die(step, false, (state, run) => {
          const { world, cast } = run;
          cast.second.agent.ringAll();
          world.settle();
          world.recover(cast.first);
          assertEquals(this.#found(state, run), expected[step - 1]);
        });
      } catch (error) {
        told(error, `All look up after a death at step ${step}`);
      }
    }
  }

  /** Whoever clears up is killed, too. */
  twice(expected: (boolean | void)[]): void {
    for (let step = 1; step <= expected.length; step++) {
      const length = this.#die(step, false, (_, { world, cast }) => {
        world.recover(cast.first);
        // From its birth on: what is before can be done at any number of steps.
        return cast.first.life.steps;
      });
      const chance = Math.max(1, Math.floor(length / SECOND_DEATHS));
      for (let last = 1; last <= length; last++) {
        if (!isThorough && !this.#random.oneIn(chance)) continue;
        try {
          this.#die(step, false, (state, run) => {
            const { world, cast } = run;
            cast.first.doUntil(last, () => world.recover(cast.first));
            world.recover(cast.second);
            assertEquals(this.#found(state, run), expected[step - 1]);
          });
        } catch (error) {
          told(error, `Deaths at step ${step} and at step ${last} after it`);
        }
      }
    }
  }

  /** The victim owns everything: whoever waits is told. */
  owner(): void {
    let isCut = true;
    for (let step = 1; isCut; step++) {
      try {
        this.#die(step, true, (_, run) => {
          const { world, cast } = run;
          isCut = run.isCut;
          world.recover(cast.first);
          world.settle();
          world.assertSane();
          world.close();
        });
      } catch (error) {
        told(error, `Death of the owner at step ${step}`);
      }
    }
  }
}
