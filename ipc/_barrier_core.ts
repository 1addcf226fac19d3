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
// each with a ticket. Who comes while the action runs is one of the next parties;
// these may be complete when it is done: then the last of them acts at once.
//
// To open, break or reset is one step: all tickets below a number are through,
// with a verdict on them. Telling them comes after it, and is taken up by whoever
// comes next if the one who began it dies. The action runs in the owner's
// process, asked by the last one, which then opens the barrier.

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
  /** How many have come, and how many of the next parties. */
  Arrived: ObjectWord.Own + 4,
  Next: ObjectWord.Own + 5,
  /** The next ticket. */
  Ticket: ObjectWord.Own + 6,
  /** Below this they are through. */
  Through: ObjectWord.Own + 7,
  /** While the action runs: below this they wait for it. */
  Bound: ObjectWord.Own + 8,
  /** What those who are through are told: 0 for opened, or a code. */
  Verdict: ObjectWord.Own + 9,
  /** The place of the next one that is told. */
  Place: ObjectWord.Own + 10,
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
        this.#done(operation.caller);
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

  /** The action is done: the barrier opens, unless it was reset meanwhile. */
  #done(caller: string): void {
    const { agent, at } = this;
    const { int32 } = agent;
    if (this.#actor !== caller) return;
    this.#actor = "";
    this.transact(() => {
      tell(agent, at);
      if (
        int32[at + Word.State] === State.Acting &&
        int32[at + Word.Actor] === agent.name
      ) open(agent, at);
    });
  }

  #wait(caller: string, reply: Reply): Withdraw | undefined {
    const { agent, at } = this;
    const { int32 } = agent;
    const told = (place: number) => {
      if (isToAct(place)) this.#actor = caller;
      reply(Status.Done, place);
    };
    let outcome = 0;
    const node = this.lineUp(() => {
      tell(agent, at);
      const state = int32[at + Word.State];
      if (state === State.Broken) throw this.errorOf(BrokenCode);
      const isFilling = state === State.Filling;
      const index = int32[at + Word.Arrived]!;
      const ticket = int32[at + Word.Ticket]!;
      if (isFilling && index + 1 === int32[at + Word.Parties]) {
        if (int32[at + Word.HasAction] === 0) {
          outcome = index;
          agent.set(at + Word.Arrived, 0);
          letThrough(agent, at, ticket, 0);
        } else {
          agent.set(at + Word.State, State.Acting);
          agent.set(at + Word.Bound, ticket);
          agent.set(at + Word.Arrived, index + 1);
          agent.set(at + Word.Actor, agent.name);
          outcome = toAct(index);
        }
        return undefined;
      }
      const count = isFilling ? Word.Arrived : Word.Next;
      agent.set(at + count, int32[at + count]! + 1);
      agent.set(at + Word.Ticket, ticket + 1 | 0);
      return this.line(0, this.replying(reply, told), ticket);
    });
    if (node === undefined) {
      told(outcome);
      return undefined;
    }
    return this.withdrawal(
      node,
      (place) => {
        if (isToAct(place)) end(agent, at, State.Broken, BrokenCode);
      },
      (ticket) => leave(agent, at, ticket),
    );
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

/** What whoever came as number `index`, the last one, is told: run the action. */
function toAct(index: number): number {
  return -1 - index;
}

function isToAct(place: number): boolean {
  return place < 0;
}

/** Whether the first ticket is below the second; they may have wrapped around. */
function isBelow(ticket: number, bound: number): boolean {
  return (ticket - bound | 0) < 0;
}

/** The action is done: lets the parties go; the next ones may be complete. */
function open(agent: Agent, at: number): void {
  const { int32 } = agent;
  const through = int32[at + Word.Bound]!;
  const parties = int32[at + Word.Parties]!;
  const next = int32[at + Word.Next]!;
  if (next < parties) {
    agent.set(at + Word.State, State.Filling);
    agent.set(at + Word.Actor, 0);
    agent.set(at + Word.Arrived, next);
    agent.set(at + Word.Next, 0);
  } else {
    let last = firstOf(agent, listOf(at, 0));
    while (isBelow(int32[last + NodeWord.Value]!, through)) {
      last = int32[last + NodeWord.Next]!;
    }
    for (let i = 1; i < parties; i++) last = int32[last + NodeWord.Next]!;
    agent.set(at + Word.Bound, int32[last + NodeWord.Value]! + 1 | 0);
    agent.set(at + Word.Actor, int32[last + NodeWord.Agent]!);
    agent.set(at + Word.Arrived, parties);
    agent.set(at + Word.Next, next - parties);
    agent.serve(last, NodeState.Granted, toAct(parties - 1));
  }
  letThrough(agent, at, through, 0);
}

/** Ends the wait of all, in vain. */
function end(agent: Agent, at: number, state: number, code: number): void {
  tell(agent, at); // Those who were let go before are not meant.
  agent.set(at + Word.State, state);
  agent.set(at + Word.Actor, 0);
  agent.set(at + Word.Arrived, 0);
  agent.set(at + Word.Next, 0);
  letThrough(agent, at, agent.int32[at + Word.Ticket]!, code);
}

/** The one step is complete with this: see the file comment. */
function letThrough(
  agent: Agent,
  at: number,
  through: number,
  verdict: number,
): void {
  agent.set(at + Word.Through, through);
  agent.set(at + Word.Verdict, verdict);
  agent.set(at + Word.Place, 0);
  agent.checkpoint();
  tell(agent, at);
}

/** Tells those who are through, one after the other. */
function tell(agent: Agent, at: number): void {
  const { int32 } = agent;
  const list = listOf(at, 0);
  const through = int32[at + Word.Through]!;
  const verdict = int32[at + Word.Verdict]!;
  for (let node = firstOf(agent, list); node !== 0;) {
    if (!isBelow(int32[node + NodeWord.Value]!, through)) return;
    if (verdict === 0) {
      const place = int32[at + Word.Place]!;
      agent.set(at + Word.Place, place + 1);
      agent.serve(node, NodeState.Granted, place);
    } else agent.serve(node, NodeState.Failed, verdict);
    agent.checkpoint();
    node = firstOf(agent, list);
  }
}

/** Somebody with this ticket, who was not told yet, is not there any more. */
function leave(agent: Agent, at: number, ticket: number): void {
  const { int32 } = agent;
  let count: number = Word.Arrived;
  let change = -1;
  if (isBelow(ticket, int32[at + Word.Through]!)) {
    // One that was let go already keeps its place.
    count = Word.Place;
    change = 1;
  } else if (
    int32[at + Word.State] === State.Acting &&
    !isBelow(ticket, int32[at + Word.Bound]!)
  ) count = Word.Next;
  agent.set(at + count, int32[at + count]! + change);
}

registerMourner(HandleNumber.Barrier, {
  freeHeld(agent, at, dead) {
    tell(agent, at);
    if (agent.int32[at + Word.Actor] === dead) {
      end(agent, at, State.Broken, BrokenCode);
    }
  },
  takeBack(agent, at, node, granted) {
    // Who was to act is found by the Actor word.
    if (granted) return;
    const { int32 } = agent;
    const ticket = int32[node + NodeWord.Value]!;
    // One that was let go already is not waited for.
    if (isBelow(ticket, int32[at + Word.Through]!)) leave(agent, at, ticket);
    else end(agent, at, State.Broken, BrokenCode);
  },
  end(agent, at) {
    failAll(agent, listOf(at, 0), FailCode.OwnerGone);
  },
});
