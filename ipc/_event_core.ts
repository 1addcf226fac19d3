// Copyright 2026 the multitask authors. MIT license.
// The event in shared memory: a flag, and those who wait for it. Each `set` is
// a new time; a waiter notes the time at which it came, and those that came
// before are due, also when the event has been cleared since, or who set it has
// died in the middle of telling them.

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
import { registerMourner } from "./_recovery.ts";
import {
  HandleNumber,
  type Operation,
  type Reply,
  Status,
  type Withdraw,
} from "./_shared_object.ts";

/** Operations on an event. */
export const EventOp = { Set: 1, Clear: 2, Wait: 3, IsSet: 4 } as const;

const Word = { Flag: ObjectWord.Own, Time: ObjectWord.Own + 1 } as const;

/** A flag to wait for. Everybody who waits when it is set is woken. */
export class EventCore extends Core {
  protected override readonly what = "event";

  constructor(place: CorePlace) {
    super(HandleNumber.Event, place);
  }

  get isSet(): boolean {
    this.checkThere();
    return this.agent.words.load(this.at + Word.Flag) === 1;
  }

  set(): void {
    this.transact(() => {
      const { agent, at } = this;
      agent.set(at + Word.Flag, 1);
      agent.set(at + Word.Time, agent.int32[at + Word.Time]! + 1 | 0);
      wakeDue(agent, at);
    });
  }

  clear(): void {
    this.transact(() => this.agent.set(this.at + Word.Flag, 0));
  }

  perform(operation: Operation, reply: Reply): Withdraw | undefined {
    switch (operation.code) {
      case EventOp.Set:
        this.set();
        break;
      case EventOp.Clear:
        this.clear();
        break;
      case EventOp.Wait:
        return this.#wait(reply);
      case EventOp.IsSet:
        reply(Status.Done, this.isSet ? 1 : 0);
        return undefined;
      default:
        throw new RangeError(
          `Cannot do operation ${operation.code} on an event`,
        );
    }
    reply(Status.Done, 0);
    return undefined;
  }

  #wait(reply: Reply): Withdraw | undefined {
    const done = () => reply(Status.Done, 0);
    const node = this.isSet
      ? undefined
      : this.lineUp(() =>
        this.agent.int32[this.at + Word.Flag] === 1
          ? undefined
          : this.line(0, this.replying(reply, done))
      );
    if (node !== undefined) return this.withdrawal(node);
    done();
    return undefined;
  }
}

/** Serves those who came before the last `set`. Within an entry. */
function wakeDue(agent: Agent, at: number): void {
  const { int32 } = agent;
  const list = listOf(at, 0);
  for (let node = firstOf(agent, list); node !== 0;) {
    if (int32[node + NodeWord.Value] === int32[at + Word.Time]) return;
    agent.serve(node, NodeState.Granted, 0);
    agent.checkpoint();
    node = firstOf(agent, list);
  }
}

registerMourner(HandleNumber.Event, {
  freeHeld: wakeDue,
  takeBack() {},
  end(agent, at) {
    failAll(agent, listOf(at, 0), FailCode.OwnerGone);
  },
});
