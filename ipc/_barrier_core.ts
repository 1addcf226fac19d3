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
// Who has come stands in the list, in the order of arrival, except the last one,
// each with its generation. To open, break or reset is one step: there is a new
// generation, and a verdict on those before. Telling them comes after it, and
// is taken up by whoever comes next if the one who began it dies. The
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
  /** How many have come, and how many of the next generation. */
  Arrived: ObjectWord.Own + 4,
  Next: ObjectWord.Own + 5,
  Generation: ObjectWord.Own + 6,
  /** What those of earlier generations are told: 0 for opened, or a code. */
  Verdict: ObjectWord.Own + 7,
  /** The place of the next one that is told. */
  Place: ObjectWord.Own + 8,
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
        this.transact(() => end(agent, at, State.Broken, BrokenCode));
        this.#actor = "";
        break;
      case BarrierOp.Reset:
        this.transact(() => end(agent, at, State.Filling, ResetCode));
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

  #act(reply: Reply): void {
    const done = () => reply(Status.Done, 0);
    const failed = (error: unknown) =>
      reply(Status.Failed, 0, hub.packError(error));
    try {
      const result = this.#action?.();
      // One that is done at once can be asked for in a blocking way.
      if (result instanceof Promise) result.then(done, failed);
      else done();
    } catch (error) {
      failed(error);
    }
  }

  #wait(caller: string, reply: Reply): Withdraw | undefined {
    const { agent, at } = this;
    const { int32 } = agent;
    let outcome = 0;
    const node = this.lineUp(() => {
      tell(agent, at);
      const state = int32[at + Word.State];
      if (state === State.Broken) throw this.errorOf(BrokenCode);
      const isFilling = state === State.Filling;
      const index = int32[at + Word.Arrived]!;
      if (isFilling && index + 1 === int32[at + Word.Parties]) {
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
      // Who comes while the action runs belongs to the next generation.
      const count = isFilling ? Word.Arrived : Word.Next;
      agent.set(at + count, int32[at + count]! + 1);
      return this.line(
        0,
        this.replying(reply, (place) => reply(Status.Done, place)),
        int32[at + Word.Generation]! + (isFilling ? 0 : 1) | 0,
      );
    });
    if (node === undefined) {
      reply(Status.Done, outcome);
      return undefined;
    }
    return this.withdrawal(node, undefined, (generation) => {
      const isCurrent = generation === int32[at + Word.Generation];
      const count = isCurrent ? Word.Arrived : Word.Next;
      agent.set(at + count, int32[at + count]! - 1);
    });
  }

  override holderGone(isGone: (path: string) => boolean): void {
    if (this.#actor === "" || !isGone(this.#actor)) return;
    this.#actor = "";
    const { agent, at } = this;
    agent.transact(at + ObjectWord.Guard, () => {
      if (this.isThere && agent.int32[at + Word.Actor] === agent.name) {
        end(agent, at, State.Broken, BrokenCode);
      }
    });
  }
}

/** Lets all parties go; those who have come since are the first of the next. */
function open(agent: Agent, at: number): void {
  const { int32 } = agent;
  agent.set(at + Word.Arrived, int32[at + Word.Next]!);
  decide(agent, at, State.Filling, 0, 1);
}

/** Ends the wait of all, in vain. */
function end(agent: Agent, at: number, state: number, code: number): void {
  tell(agent, at); // Those who were let go before are not meant.
  agent.set(at + Word.Arrived, 0);
  // Also those of the next generation are of an earlier one then.
  decide(agent, at, state, code, 2);
}

/** The one step: see the file comment. */
function decide(
  agent: Agent,
  at: number,
  state: number,
  verdict: number,
  generations: number,
): void {
  const { int32 } = agent;
  agent.set(at + Word.State, state);
  agent.set(at + Word.Actor, 0);
  agent.set(at + Word.Next, 0);
  agent.set(
    at + Word.Generation,
    int32[at + Word.Generation]! + generations | 0,
  );
  agent.set(at + Word.Verdict, verdict);
  agent.set(at + Word.Place, 0);
  agent.checkpoint();
  tell(agent, at);
}

/** Tells those of earlier generations, one after the other. */
function tell(agent: Agent, at: number): void {
  const { int32 } = agent;
  const list = listOf(at, 0);
  const verdict = int32[at + Word.Verdict]!;
  for (let node = firstOf(agent, list); node !== 0;) {
    const ahead = int32[node + NodeWord.Value]! -
        int32[at + Word.Generation]! | 0;
    if (ahead >= 0) return;
    if (verdict === 0) {
      const place = int32[at + Word.Place]!;
      agent.set(at + Word.Place, place + 1);
      agent.serve(node, NodeState.Granted, place);
    } else agent.serve(node, NodeState.Failed, verdict);
    agent.checkpoint();
    node = firstOf(agent, list);
  }
}

registerMourner(HandleNumber.Barrier, {
  freeHeld(agent, at, dead) {
    tell(agent, at);
    if (agent.int32[at + Word.Actor] === dead) {
      end(agent, at, State.Broken, BrokenCode);
    }
  },
  takeBack(agent, at, node, granted) {
    if (granted) return;
    const { int32 } = agent;
    // One that was let go already is not waited for.
    const ahead = int32[node + NodeWord.Value]! -
        int32[at + Word.Generation]! | 0;
    if (ahead < 0 && int32[at + Word.Verdict] === 0) {
      agent.set(at + Word.Place, int32[at + Word.Place]! + 1);
      tell(agent, at);
    } else if (ahead < 0) tell(agent, at);
    else end(agent, at, State.Broken, BrokenCode);
  },
  end(agent, at) {
    failAll(agent, listOf(at, 0), FailCode.OwnerGone);
  },
});
