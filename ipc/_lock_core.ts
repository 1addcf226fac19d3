// Copyright 2026 the multitask authors. MIT license.
// The lock in shared memory.
//
// The State word says who holds it: 0 nobody, else the name of an agent, and
// the Waiters bit when somebody may be in line.
//
//   free --compare-exchange--> held --compare-exchange--> free
//              (somebody comes) held+Waiters --release, under the guard-->
//                                      held by the first in line, or free
//
// Without the Waiters bit two compare-exchanges do it all. With it, both fail
// for everybody, so that the word is only changed under the guard: there the
// lock is handed to the first in line, and nobody can barge in between. The bit
// is set under the guard. It may stay when nobody is in line any more; that
// costs the next release a look.
//
// Which hold of this thread is meant is known to this thread: a hold here by
// itself, one of a process that comes through this one by a number. A guard that
// outlived its hold frees nobody else's.

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
import { registerMourner } from "./_recovery.ts";
import {
  HandleNumber,
  type Operation,
  type Reply,
  Status,
  type Withdraw,
} from "./_shared_object.ts";
import type { Hold } from "./_hold.ts";
import { InvalidStateError } from "./errors.ts";

/** Operations on a lock. */
export const LockOp = {
  /** Gives the acquisition, twice, plus 1 when it was abandoned. */
  Acquire: 1,
  /** Of this acquisition; 0 is whichever holds it. */
  Release: 2,
  IsLocked: 3,
} as const;

const Word = {
  State: ObjectWord.LockState,
  Abandoned: ObjectWord.Own,
} as const;

/** In the State word: somebody may be in line. */
const WAITERS = AGENT_MASK + 1;
const FREE = 0;

/** What `tryAcquire` gives: as an acquire that has this number, which none has. */
export const TAKEN = 2;
/** The same, when the one before left it abandoned. */
export const TAKEN_ABANDONED = 3;

/** A mutual exclusion lock with a known holder. See the file comment. */
export class LockCore extends Core {
  protected override readonly what = "lock";
  #acquisitions = 1;
  /** What holds through this thread: a hold, or a number and whose that is. */
  holder: Hold | number = 0;
  #caller = "";

  constructor(place: CorePlace) {
    super(HandleNumber.Lock, place, (at) => {
      place.agent.int32[at + Word.State] = FREE;
    });
  }

  get locked(): boolean {
    this.checkThere();
    return this.agent.words.load(this.at + Word.State) !== FREE;
  }

  /** Whether a hold of this thread has the lock. */
  isHeldBy(hold: Hold): boolean {
    if (this.holder !== hold) return false;
    const state = this.agent.words.load(this.at + Word.State);
    return (state & AGENT_MASK) === this.agent.name;
  }

  /** An acquisition of this thread has become a hold. */
  adopt(acquisition: number, hold: Hold): void {
    if (this.holder === acquisition) this.holder = hold;
  }

  perform(operation: Operation, reply: Reply): Withdraw | undefined {
    switch (operation.code) {
      case LockOp.Acquire:
        return this.#acquire(operation.caller, reply);
      case LockOp.Release:
        this.#release(operation.number);
        reply(Status.Done, 0);
        return undefined;
      case LockOp.IsLocked:
        reply(Status.Done, this.locked ? 1 : 0);
        return undefined;
      default:
        throw new RangeError(`Cannot do operation ${operation.code} on a lock`);
    }
  }

  /** Takes the lock if it is free: `TAKEN`, `TAKEN_ABANDONED`, or 0. */
  tryAcquire(): number {
    const { agent, at } = this;
    const { int32, name } = agent;
    faultPoint?.();
    if (Atomics.compareExchange(int32, at + Word.State, FREE, name) !== FREE) {
      this.checkThere();
      return 0;
    }
    faultPoint?.();
    if (!this.isThere) {
      // The slot is another lock's by now: that one is given back.
      this.#free(name);
      throw this.goneError();
    }
    if (int32[at + Word.Abandoned] === 0) return TAKEN;
    int32[at + Word.Abandoned] = 0;
    return TAKEN_ABANDONED;
  }

  /** The lock is a caller's; gives what an acquire gives. */
  #taken(caller: string): number {
    const { int32 } = this.agent;
    this.#caller = caller;
    this.holder = ++this.#acquisitions;
    const abandoned = int32[this.at + Word.Abandoned]!;
    if (abandoned !== 0) int32[this.at + Word.Abandoned] = 0;
    return this.holder * 2 + abandoned;
  }

  #acquire(caller: string, reply: Reply): Withdraw | undefined {
    const taken = () => reply(Status.Done, this.#taken(caller));
    const { agent, at } = this;
    const state = at + Word.State;
    const now = this.tryAcquire();
    if (now !== 0) {
      reply(Status.Done, this.#taken(caller) + (now - TAKEN));
      return undefined;
    }
    const node = this.lineUp(() => {
      while (true) {
        const now = agent.words.load(state);
        if (now === FREE) {
          if (agent.words.compareExchange(state, FREE, agent.name) === FREE) {
            return undefined;
          }
        } else if (
          (now & WAITERS) !== 0 ||
          agent.words.compareExchange(state, now, now | WAITERS) === now
        ) return this.line(0, this.replying(reply, taken));
      }
    });
    if (node === undefined) {
      taken();
      return undefined;
    }
    // It had become ours in the meantime: the next one gets it.
    return this.withdrawal(node, () => handOver(agent, at));
  }

  /** Frees what a hold of this thread has. */
  releaseOf(hold: Hold): void {
    // A guard that outlived its hold frees nobody else's.
    if (this.holder !== hold) return;
    this.holder = 0;
    if (this.isThere) this.#free(this.agent.name);
  }

  /** Frees the hold of an acquisition of this thread; 0 is any hold. */
  #release(acquisition: number): void {
    const { agent, at } = this;
    if (acquisition === 0) {
      const state = agent.words.load(at + Word.State);
      this.checkThere();
      if (state === FREE) {
        throw new InvalidStateError("Cannot release a lock that is not held");
      }
      if ((state & AGENT_MASK) === agent.name) this.holder = 0;
      return this.#free(state & AGENT_MASK);
    }
    // A guard that outlived its hold frees nobody else's.
    if (acquisition !== this.holder) return;
    this.holder = 0;
    if (this.isThere) this.#free(agent.name);
  }

  /** Frees the lock if this agent holds it. */
  #free(holder: number): void {
    const { agent, at } = this;
    const { int32 } = agent;
    const state = at + Word.State;
    faultPoint?.();
    if (Atomics.compareExchange(int32, state, holder, FREE) === holder) return;
    agent.transact(at + ObjectWord.Guard, () => {
      if (agent.words.load(state) === (holder | WAITERS)) handOver(agent, at);
    });
  }

  override holderGone(isGone: (path: string) => boolean): void {
    if (!(this.holder as number > 0) || !isGone(this.#caller)) return;
    this.holder = 0;
    const { agent, at } = this;
    agent.transact(
      at + ObjectWord.Guard,
      () => abandon(agent, at, agent.name),
    );
  }
}

/** Gives a held lock, whose bit is set, to the next in line, or to nobody. */
function handOver(agent: Agent, at: number): void {
  const next = firstOf(agent, listOf(at, 0));
  if (next === 0) {
    // From here on everybody can take it: nothing of it may be undone.
    agent.checkpoint();
    agent.words.store(at + Word.State, FREE);
    return;
  }
  // With the bit, so that nobody changes it before the commit.
  agent.set(at + Word.State, agent.int32[next + NodeWord.Agent]! | WAITERS);
  agent.serve(next, NodeState.Granted, 0);
}

/** The holder is dead: whoever is next learns of it. */
function abandon(agent: Agent, at: number, dead: number): void {
  const state = at + Word.State;
  while (true) {
    const now = agent.words.load(state);
    if ((now & AGENT_MASK) !== dead) return;
    // With the bit nobody changes it but who has the guard.
    if (
      (now & WAITERS) !== 0 ||
      agent.words.compareExchange(state, now, now | WAITERS) === now
    ) break;
  }
  agent.set(at + Word.Abandoned, 1);
  handOver(agent, at);
}

registerMourner(HandleNumber.Lock, {
  freeHeld: abandon,
  // A lock that was granted is held: see above.
  takeBack() {},
  end(agent, at) {
    failAll(agent, listOf(at, 0), FailCode.OwnerGone);
  },
});
