// Copyright 2026 the multitask authors. MIT license.
// The barrier in shared memory.
//
//   filling --the last one comes--> acting --action done--> filling (the next)
//      |  \--(no action: at once)-------------------------> filling
//      |                              |--action failed, or who runs it is gone
//      v  time is up, abort(), a party dies                 v
//   broken <-------------------------------------------- broken
//      \--reset()--> filling
//
// Who has come stands in the list, in the order of arrival, except the last one.
// All are served at once, so that the next generation can begin at once. The
// action runs in the owner's process, asked by the last one, which then opens
// the barrier.

import type { Agent } from "./_agent.ts";
import { NodeState, NodeWord, ObjectWord } from "./_arena.ts";
import {
  Core,
  type CorePlace,
  failAll,
  FailCode,
  firstOf,
  listOf,
} from "./_core.ts";
import { hub } from "./_hub.ts";
import { registerMourner } from "./_recovery.ts";
import {
  HandleNumber,
  type Operation,
  type Reply,
  Status,
  type Withdraw,
} from "./_shared_object.ts";
import { BrokenBarrierError } from "./errors.ts";

/** Operations on a barrier. */
export const BarrierOp = {
  /** Gives the place of arrival; minus one minus it to who is to act. */
  Wait: 1,
  /** The action is done. */
  Done: 2,
  Break: 3,
  Reset: 4,
  /** Runs the action; for the owner. */
  Act: 5,
  Parties: 6,
  Waiting: 7,
  IsBroken: 8,
} as const;

const Word = {
  Parties: ObjectWord.Own,
  State: ObjectWord.Own + 1,
  HasAction: ObjectWord.Own + 2,
  /** Who runs the action. */
  Actor: ObjectWord.Own + 3,
  Arrived: ObjectWord.Own + 4,
} as const;

const State = { Filling: 0, Acting: 1, Broken: 2 } as const;

const BrokenCode = 16;
const ResetCode = 17;

/** A barrier. See the file comment. */
export class BarrierCore extends Core {
  protected override readonly what = "barrier";
  readonly #action: (() => unknown) | undefined;
  #actor = "";

  constructor(
    place: CorePlace,
    settings?: { parties: number; action: (() => unknown) | undefined },
  ) {
    super(HandleNumber.Barrier, place, (at) => {
      const { int32 } = place.agent;
      int32[at + Word.Parties] = settings!.parties;
      int32[at + Word.HasAction] = settings!.action === undefined ? 0 : 1;
    });
    this.#action = settings?.action;
  }

  #read(word: number): number {
    this.checkThere();
    return this.agent.words.load(this.at + word);
  }

  get parties(): number {
    return this.#read(Word.Parties);
  }

  get waiting(): number {
    return this.#read(Word.Arrived);
  }

  get broken(): boolean {
    return this.#read(Word.State) === State.Broken;
  }

  protected override errorOf(code: number): Error {
    if (code !== BrokenCode && code !== ResetCode) return super.errorOf(code);
    return new BrokenBarrierError(
      code === ResetCode ? "The barrier was reset" : "The barrier is broken",
    );
  }

  perform(operation: Operation, reply: Reply): Withdraw | undefined {
    const { agent, at } = this;
    switch (operation.code) {
      case BarrierOp.Wait:
        return this.#wait(operation.caller, reply);
      case BarrierOp.Act:
        this.#act(reply);
        return undefined;
      case BarrierOp.Done:
        this.transact(() => {
          if (agent.int32[at + Word.State] === State.Acting) {
            open(agent, at);
          }
        });
        this.#actor = "";
        break;
      case BarrierOp.Break:
        this.transact(() => breakIt(agent, at));
        this.#actor = "";
        break;
      case BarrierOp.Reset:
        this.transact(() => {
          failParties(agent, at, ResetCode);
          agent.set(at + Word.State, State.Filling);
        });
        break;
      case BarrierOp.Parties:
        reply(Status.Done, this.parties);
        return undefined;
      case BarrierOp.Waiting:
        reply(Status.Done, this.waiting);
        return undefined;
      case BarrierOp.IsBroken:
        reply(Status.Done, this.broken ? 1 : 0);
        return undefined;
      default:
        throw new RangeError(
          `Cannot do operation ${operation.code} on a barrier`,
        );
    }
    reply(Status.Done, 0);
    return undefined;
  }

  async #act(reply: Reply): Promise<void> {
    try {
      await this.#action?.();
      reply(Status.Done, 0);
    } catch (error) {
      reply(Status.Failed, 0, hub.packError(error));
    }
  }

  #wait(caller: string, reply: Reply): Withdraw | undefined {
    const { agent, at } = this;
    const { int32 } = agent;
    let outcome = 0;
    const node = this.lineUp(() => {
      const state = int32[at + Word.State];
      if (state === State.Broken) throw this.errorOf(BrokenCode);
      const index = int32[at + Word.Arrived]!;
      const isLast = index + 1 === int32[at + Word.Parties];
      if (state === State.Filling && isLast) {
        if (int32[at + Word.HasAction] === 0) {
          outcome = index;
          open(agent, at);
        } else {
          agent.set(at + Word.State, State.Acting);
          agent.set(at + Word.Arrived, index + 1);
          agent.set(at + Word.Actor, agent.name);
          this.#actor = caller;
          outcome = -1 - index;
        }
        return undefined;
      }
      if (state === State.Filling) agent.set(at + Word.Arrived, index + 1);
      // Who comes while the action runs belongs to the next generation.
      const amount = state === State.Filling ? 0 : 1;
      return this.line(
        0,
        this.replying(reply, (place) => reply(Status.Done, place)),
        0,
        amount,
      );
    });
    if (node === undefined) {
      reply(Status.Done, outcome);
      return undefined;
    }
    return this.withdrawal(node, undefined, () => {
      if (int32[node + NodeWord.Amount] === 0) {
        agent.set(at + Word.Arrived, int32[at + Word.Arrived]! - 1);
      }
    });
  }

  override holderGone(isGone: (path: string) => boolean): void {
    if (this.#actor === "" || !isGone(this.#actor)) return;
    this.#actor = "";
    const { agent, at } = this;
    agent.transact(at + ObjectWord.Guard, () => {
      if (this.isThere && agent.int32[at + Word.Actor] === agent.name) {
        breakIt(agent, at);
      }
    });
  }
}

/** Lets all parties go, and counts those who have come for the next time. */
function open(agent: Agent, at: number): void {
  const { int32 } = agent;
  const list = listOf(at, 0);
  agent.set(at + Word.State, State.Filling);
  agent.set(at + Word.Actor, 0);
  agent.set(at + Word.Arrived, 0);
  agent.checkpoint();
  let place = 0;
  for (let node = firstOf(agent, list); node !== 0;) {
    if (int32[node + NodeWord.Amount] !== 0) break;
    agent.serve(node, NodeState.Granted, place++);
    agent.checkpoint();
    node = firstOf(agent, list);
  }
  let arrived = 0;
  for (let node = firstOf(agent, list); node !== 0;) {
    agent.set(node + NodeWord.Amount, 0);
    agent.set(at + Word.Arrived, ++arrived);
    agent.checkpoint();
    node = int32[node + NodeWord.Next]!;
  }
}

function failParties(agent: Agent, at: number, code: number): void {
  agent.set(at + Word.Arrived, 0);
  agent.set(at + Word.Actor, 0);
  agent.checkpoint();
  failAll(agent, listOf(at, 0), code);
}

function breakIt(agent: Agent, at: number): void {
  agent.set(at + Word.State, State.Broken);
  failParties(agent, at, BrokenCode);
}

registerMourner(HandleNumber.Barrier, {
  freeHeld(agent, at, dead) {
    const { int32 } = agent;
    if (int32[at + Word.Actor] === dead) breakIt(agent, at);
    else if (int32[at + Word.State] === State.Broken) {
      failParties(agent, at, BrokenCode);
    }
  },
  takeBack(agent, at, _node, granted) {
    // It will not come again, and the others would wait for it.
    if (!granted) breakIt(agent, at);
  },
  end(agent, at) {
    failAll(agent, listOf(at, 0), FailCode.OwnerGone);
  },
});
