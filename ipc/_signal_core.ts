// Copyright 2026 the multitask authors. MIT license.
// Those who wait for a condition, in shared memory: first in, first notified.
// Who was notified and died, or gave up, before it knew passes it on.

import type { Agent } from "./_agent.ts";
import { NodeState } from "./_arena.ts";
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
        const node = this.lineUp(() =>
          this.line(0, this.replying(reply, () => reply(Status.Done, 0)))
        );
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

function notify(agent: Agent, at: number, count: number): void {
  const list = listOf(at, 0);
  for (let left = count; left > 0; left--) {
    const node = firstOf(agent, list);
    if (node === 0) return;
    agent.serve(node, NodeState.Granted, 0);
    agent.checkpoint();
  }
}

registerMourner(HandleNumber.Signal, {
  freeHeld() {},
  takeBack(agent, at, _node, granted) {
    if (granted) notify(agent, at, 1);
  },
  end(agent, at) {
    failAll(agent, listOf(at, 0), FailCode.OwnerGone);
  },
});
