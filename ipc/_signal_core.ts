// Copyright 2026 the multitask authors. MIT license.
// Those who wait for a condition, in shared memory: first in, first notified.
// Who was notified and died, or gave up, before it knew passes it on. How many
// are due is a word, so that who notifies may die in the middle of it.

import type { Agent } from "./_agent.ts";
import { ListWord, NodeState, ObjectWord } from "./_arena.ts";
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

/** Operations on those who wait for a condition. */
export const SignalOp = { Wait: 1, Notify: 2 } as const;

/** See the file comment. */
export class SignalCore extends Core {
  protected override readonly what = "condition";

  constructor(place: CorePlace) {
    super(HandleNumber.Signal, place);
  }

  perform(operation: Operation, reply: Reply): Withdraw | undefined {
    switch (operation.code) {
      case SignalOp.Wait: {
        const node = this.lineUp(() => {
          serveDue(this.agent, this.at); // Those who were there before.
          return this.line(
            0,
            this.replying(reply, () => reply(Status.Done, 0)),
          );
        });
        return this.withdrawal(node!, () => notify(this.agent, this.at, 1));
      }
      case SignalOp.Notify:
        this.transact(() => notify(this.agent, this.at, operation.number));
        reply(Status.Done, 0);
        return undefined;
      default:
        throw new RangeError(
          `Cannot do operation ${operation.code} on a condition`,
        );
    }
  }
}

const Word = { Due: ObjectWord.Own } as const;

/** Notifies some of those who wait now. Within an entry. */
function notify(agent: Agent, at: number, count: number): void {
  const { int32 } = agent;
  const waiting = int32[listOf(at, 0) + ListWord.Count]!;
  agent.set(at + Word.Due, Math.min(int32[at + Word.Due]! + count, waiting));
  agent.checkpoint();
  serveDue(agent, at);
}

function serveDue(agent: Agent, at: number): void {
  const { int32 } = agent;
  const list = listOf(at, 0);
  for (let due = int32[at + Word.Due]!; due > 0; due--) {
    const node = firstOf(agent, list);
    agent.set(at + Word.Due, node === 0 ? 0 : due - 1);
    if (node === 0) return;
    agent.serve(node, NodeState.Granted, 0);
    agent.checkpoint();
  }
}

registerMourner(HandleNumber.Signal, {
  freeHeld: serveDue,
  takeBack(agent, at, _node, granted) {
    if (granted) notify(agent, at, 1);
  },
  end(agent, at) {
    failAll(agent, listOf(at, 0), FailCode.OwnerGone);
  },
});
