// Copyright 2026 the multitask authors. MIT license.
// The semaphore in shared memory.
//
// The Permits word is their number, with the Waiters bit when somebody may be
// in line. Without the bit, permits are taken and given by compare-exchange;
// with it the word is only changed under the guard, and permits go to those in
// line first. Nobody waits while there is a permit.
//
// A bounded semaphore, and one that is to be recovered, notes how many permits
// each agent holds, in a list of blocks, always under the guard: the permits of
// the dead come back, and whoever takes one of them is told.

import type { Agent } from "./_agent.ts";
import { AGENT_MASK, NodeState, NodeWord, ObjectWord } from "./_arena.ts";
import {
  Core,
  type CorePlace,
  failAll,
  FailCode,
  firstOf,
  listOf,
} from "./_core.ts";
import { faultPoint } from "./_fault_point.ts";
import { hub } from "./_hub.ts";
import { registerMourner } from "./_recovery.ts";
import {
  HandleNumber,
  type Operation,
  type Reply,
  Status,
  type Withdraw,
} from "./_shared_object.ts";
import { InvalidStateError } from "./errors.ts";

/** Operations on a semaphore. */
export const SemaphoreOp = {
  /**
   * Gives the number of the hold where that is noted, else 0; twice, plus 1
   * when the permit was that of a dead process.
   */
  Acquire: 1,
  /** Gives so many permits. */
  Release: 2,
  Value: 3,
  /** Gives the permit of a hold back; it is asked once for each hold. */
  ReleaseHeld: 4,
} as const;

/** The most permits there can be. */
export const MAX_PERMITS = AGENT_MASK;

const Word = {
  Permits: ObjectWord.Permits,
  /** The most permits; 0 is without a limit. */
  Limit: ObjectWord.Own,
  /** 1 when it is noted who holds permits. */
  Tracked: ObjectWord.Own + 1,
  /** Permits of the dead that nobody has taken again. */
  Abandoned: ObjectWord.Own + 2,
  /** The first block of who holds permits. */
  Holds: ObjectWord.Own + 3,
} as const;

/** Words of a block that tells how many permits an agent holds. */
const HoldWord = { Next: 0, Agent: 1, Count: 2, Words: 3 } as const;

/** In the Permits word: somebody may be in line. */
const WAITERS = AGENT_MASK + 1;

/** How a semaphore is made. */
export interface SemaphoreSettings {
  readonly value: number;
  readonly bounded: boolean;
  readonly tracked: boolean;
}

/** A semaphore. See the file comment. */
export class SemaphoreCore extends Core {
  protected override readonly what = "semaphore";
  /** The holds through this thread, the oldest first, and whose they are. */
  readonly #holds = new Map<number, string>();
  #lastHold = 0;

  constructor(place: CorePlace, settings?: SemaphoreSettings) {
    super(HandleNumber.Semaphore, place, (at) => {
      const { int32 } = place.agent;
      const { value, bounded, tracked } = settings!;
      int32[at + Word.Permits] = value;
      int32[at + Word.Limit] = bounded ? value : 0;
      int32[at + Word.Tracked] = tracked ? 1 : 0;
    });
  }

  /** How many permits are there. */
  get value(): number {
    this.checkThere();
    return this.agent.words.load(this.at + Word.Permits) & AGENT_MASK;
  }

  get #tracked(): boolean {
    return this.agent.int32[this.at + Word.Tracked] === 1;
  }

  perform(operation: Operation, reply: Reply): Withdraw | undefined {
    const { caller, number } = operation;
    switch (operation.code) {
      case SemaphoreOp.Acquire:
        return this.#acquire(caller, reply);
      case SemaphoreOp.Release:
        this.release(caller, number);
        break;
      case SemaphoreOp.ReleaseHeld:
        this.releaseHeld(caller, number);
        break;
      case SemaphoreOp.Value:
        reply(Status.Done, this.value);
        return undefined;
      default:
        throw new RangeError(
          `Cannot do operation ${operation.code} on a semaphore`,
        );
    }
    reply(Status.Done, 0);
    return undefined;
  }

  /** Takes a permit if that takes no guard; what an acquire gives, or -1. */
  tryAcquire(caller: string): number {
    const { int32 } = this.agent;
    const permits = this.at + Word.Permits;
    this.checkThere();
    if (this.#tracked) return this.#tryTracked(caller);
    while (true) {
      const now = Atomics.load(int32, permits);
      if (now <= 0 || now >= WAITERS) return -1;
      faultPoint?.();
      if (Atomics.compareExchange(int32, permits, now, now - 1) !== now) {
        continue;
      }
      if (this.isThere) return 0;
      Atomics.add(int32, permits, 1);
      throw this.goneError();
    }
  }

  #tryTracked(caller: string): number {
    const { agent, at } = this;
    const abandoned = this.transact(() => {
      const now = agent.int32[at + Word.Permits]!;
      if ((now & WAITERS) !== 0 || now === 0) return -1;
      agent.set(at + Word.Permits, now - 1);
      note(agent, at, agent.name, 1);
      return takeAbandoned(agent, at);
    });
    return abandoned < 0 ? -1 : this.#outcome(caller, abandoned);
  }

  /** What an acquire gives: see `SemaphoreOp`. */
  #outcome(caller: string, abandoned: number): number {
    if (!this.#tracked) return 0;
    this.#holds.set(++this.#lastHold, caller);
    return this.#lastHold * 2 + abandoned;
  }

  /** So many of the caller's holds before `end` are over, the newest first. */
  #forget(caller: string, count: number, end = Infinity): number {
    let left = count;
    for (const [hold, holder] of [...this.#holds].reverse()) {
      if (left === 0) break;
      if (holder !== caller || hold >= end) continue;
      this.#holds.delete(hold);
      left--;
    }
    return count - left;
  }

  #acquire(caller: string, reply: Reply): Withdraw | undefined {
    const { agent, at } = this;
    const permits = at + Word.Permits;
    const now = this.tryAcquire(caller);
    if (now >= 0) {
      reply(Status.Done, now);
      return undefined;
    }
    const granted = (abandoned: number) =>
      reply(Status.Done, this.#outcome(caller, abandoned));
    let given = 0;
    const node = this.lineUp(() => {
      while (true) {
        const now = agent.words.load(permits);
        if ((now & WAITERS) === 0 && now > 0) {
          if (this.#tracked) {
            // Only changed under the guard: so this can be undone.
            agent.set(permits, now - 1);
            note(agent, at, agent.name, 1);
            given = takeAbandoned(agent, at);
            return undefined;
          }
          if (agent.words.compareExchange(permits, now, now - 1) === now) {
            return undefined;
          }
          continue;
        }
        if (
          (now & WAITERS) !== 0 ||
          agent.words.compareExchange(permits, now, now | WAITERS) === now
        ) return this.line(0, this.replying(reply, granted));
      }
    });
    if (node === undefined) {
      granted(given);
      return undefined;
    }
    return this.withdrawal(node, () => {
      if (this.#tracked) note(agent, at, agent.name, -1);
      give(agent, at, 1);
    });
  }

  /** Gives permits. Throws, and changes nothing, when there would be too many. */
  release(caller: string, count: number): void {
    const { agent, at } = this;
    const { int32 } = agent;
    const permits = at + Word.Permits;
    this.checkThere();
    const limit = int32[at + Word.Limit]!;
    // It may come from another process.
    if (!Number.isInteger(count) || count < 1) {
      throw new RangeError(`Cannot release ${count} permits`);
    }
    while (!this.#tracked) {
      const now = Atomics.load(int32, permits);
      if ((now & WAITERS) !== 0) break;
      checkPermits(now + count, MAX_PERMITS);
      faultPoint?.();
      if (Atomics.compareExchange(int32, permits, now, now + count) === now) {
        return;
      }
    }
    this.transact(() => {
      const now = int32[permits]! & AGENT_MASK;
      checkPermits(now + count, limit || MAX_PERMITS);
      // Before anybody is told, perhaps the caller itself.
      if (this.#tracked) this.#forget(caller, forget(agent, at, count));
      give(agent, at, count);
    });
  }

  /**
   * Gives the permit of a hold back. A release of no hold in particular may
   * have ended this one in the place of an older one of the caller: then that
   * one is over, if there is one.
   */
  releaseHeld(caller: string, hold: number): void {
    if (hold === 0) return this.release(caller, 1);
    if (!this.#holds.delete(hold) && this.#forget(caller, 1, hold) === 0) {
      return;
    }
    if (!this.isThere) return;
    const { agent, at } = this;
    this.transact(() => {
      // Another process may have given it back by release().
      if (note(agent, at, agent.name, -1) > 0) give(agent, at, 1);
    });
  }

  override holderGone(isGone: (path: string) => boolean): void {
    let count = 0;
    for (const [hold, holder] of [...this.#holds]) {
      if (holder === hub.path || !isGone(holder)) continue;
      this.#holds.delete(hold);
      count++;
    }
    if (count === 0) return;
    const { agent, at } = this;
    agent.transact(at + ObjectWord.Guard, () => {
      if (!this.isThere) return;
      abandon(agent, at, note(agent, at, agent.name, -count));
    });
  }

  protected override dispose(): void {
    freeHolds(this.agent, this.at);
  }
}

function checkPermits(count: number, limit: number): void {
  if (count <= limit) return;
  throw new InvalidStateError(
    `Cannot release the semaphore: that makes ${count} permits, there can be ${limit}`,
  );
}

// ---- Steps, each within an entry ----

/** Notes that an agent holds more, or less; gives how many were noted. */
function note(
  agent: Agent,
  at: number,
  name: number,
  change: number,
): number {
  const { int32 } = agent;
  let hold = int32[at + Word.Holds]!;
  while (hold !== 0 && int32[hold + HoldWord.Agent] !== name) {
    hold = int32[hold + HoldWord.Next]!;
  }
  if (hold === 0) {
    if (change < 0) return 0;
    hold = agent.allocate(HoldWord.Words);
    int32[hold + HoldWord.Next] = int32[at + Word.Holds]!;
    int32[hold + HoldWord.Agent] = name;
    int32[hold + HoldWord.Count] = 0;
    agent.set(at + Word.Holds, hold);
  }
  const count = int32[hold + HoldWord.Count]!;
  const noted = Math.max(change, -count);
  agent.set(hold + HoldWord.Count, count + noted);
  return Math.abs(noted);
}

/**
 * Permits come back from anybody: our own are meant first. Of a bounded
 * semaphore the rest must be others'; else they are new ones. Gives how many
 * were our own.
 */
function forget(agent: Agent, at: number, count: number): number {
  const { int32 } = agent;
  const own = note(agent, at, agent.name, -count);
  count -= own;
  if (int32[at + Word.Limit] === 0) return own;
  for (
    let hold = int32[at + Word.Holds]!;
    hold !== 0 && count > 0;
    hold = int32[hold + HoldWord.Next]!
  ) {
    const taken = Math.min(count, int32[hold + HoldWord.Count]!);
    if (taken === 0) continue;
    agent.set(hold + HoldWord.Count, int32[hold + HoldWord.Count]! - taken);
    count -= taken;
  }
  return own;
}

function takeAbandoned(agent: Agent, at: number): number {
  const abandoned = agent.int32[at + Word.Abandoned]!;
  if (abandoned === 0) return 0;
  agent.set(at + Word.Abandoned, abandoned - 1);
  return 1;
}

/** Gives permits to those in line, and leaves what remains. */
function give(agent: Agent, at: number, count: number): void {
  const { int32, words } = agent;
  const permits = at + Word.Permits;
  // With the bit nobody changes it but who has the guard.
  let now: number;
  do now = words.load(permits); while (
    words.compareExchange(permits, now, now | WAITERS) !== now
  );
  let left = (now & AGENT_MASK) + count;
  agent.set(permits, left | WAITERS);
  const isTracked = int32[at + Word.Tracked] === 1;
  const list = listOf(at, 0);
  for (let node = firstOf(agent, list); node !== 0 && left > 0; left--) {
    agent.set(permits, left - 1 | WAITERS);
    if (isTracked) note(agent, at, int32[node + NodeWord.Agent]!, 1);
    agent.serve(
      node,
      NodeState.Granted,
      isTracked ? takeAbandoned(agent, at) : 0,
    );
    agent.checkpoint();
    node = firstOf(agent, list);
  }
  if (firstOf(agent, list) !== 0) return;
  // From here on everybody can take them: nothing of it may be undone.
  agent.checkpoint();
  words.store(permits, left);
}

function abandon(agent: Agent, at: number, count: number): void {
  if (count === 0) return;
  const { int32 } = agent;
  agent.set(at + Word.Abandoned, int32[at + Word.Abandoned]! + count);
  give(agent, at, count);
}

/** Takes out what is noted of an agent; gives how many permits it held. */
function removeHold(agent: Agent, at: number, name: number): number {
  const { int32 } = agent;
  let before = at + Word.Holds;
  let hold = int32[before]!;
  while (hold !== 0 && int32[hold + HoldWord.Agent] !== name) {
    before = hold + HoldWord.Next;
    hold = int32[before]!;
  }
  if (hold === 0) return 0;
  const count = int32[hold + HoldWord.Count]!;
  agent.set(before, int32[hold + HoldWord.Next]!);
  agent.free(hold);
  return count;
}

function freeHolds(agent: Agent, at: number): void {
  const { int32 } = agent;
  let hold = int32[at + Word.Holds]!;
  agent.set(at + Word.Holds, 0);
  while (hold !== 0) {
    const next = int32[hold + HoldWord.Next]!;
    agent.free(hold);
    agent.checkpoint();
    hold = next;
  }
}

registerMourner(HandleNumber.Semaphore, {
  freeHeld(agent, at, dead) {
    abandon(agent, at, removeHold(agent, at, dead));
    // A dead one may have been in the middle of giving.
    give(agent, at, 0);
  },
  takeBack(agent, at, _node, granted) {
    // One that is tracked is found among those it holds.
    if (granted && agent.int32[at + Word.Tracked] === 0) give(agent, at, 1);
  },
  end(agent, at) {
    failAll(agent, listOf(at, 0), FailCode.OwnerGone);
    freeHolds(agent, at);
  },
});
