// Copyright 2026 the multitask authors. MIT license.
// A condition as guests of a manager work with it. It is held like a lock; a
// `wait` gives the hold up and gets a new one, with a new fence, however it ends:
// by a notification, in vain, or because the caller gives up. If the caller is
// gone by then, the new hold is released.

import { checkInteger } from "../ipc/_options.ts";
import type { Condition } from "../ipc/condition.ts";
import { checkFence, Holds } from "./_hold_servant.ts";
import { checkTtl } from "./_queue_servant.ts";
import {
  type CallContext,
  callOf,
  type Methods,
  type Servant,
  waitOf,
} from "./_servant.ts";
import { Kind, NO_SHAPE } from "./_wire.ts";

/** How a wait ended, as it crosses. */
export interface WaitGrant {
  readonly notified: boolean;
  readonly fence: number;
}

/** See the file comment. */
export class ConditionServant implements Servant {
  readonly kind = Kind.Condition;
  readonly shape = NO_SHAPE;
  readonly keepsProxies = false;
  readonly condition: Condition;
  readonly holds: Holds;

  constructor(condition: Condition) {
    this.condition = condition;
    this.holds = new Holds({
      acquire: (options) => condition.acquire(options ?? {}),
      release: () => condition.release(),
    }, true);
  }

  call(method: string, args: readonly unknown[], context: CallContext) {
    return callOf(METHODS, this, method, args, context);
  }

  async wait(fence: number, context: CallContext): Promise<WaitGrant> {
    this.holds.check(fence, "wait for the condition");
    const guard = this.holds.take(fence)!;
    let notified = false;
    try {
      notified = await this.condition.wait(waitOf(context));
    } catch (error) {
      if (!context.signal.aborted) {
        guard.release();
        throw error;
      }
    }
    const { fence: next } = this.holds.grant(guard, context, undefined);
    return { notified, fence: next };
  }

  notify(fence: number, count: number): void {
    this.holds.check(fence, "notify");
    this.condition.notify(count);
  }

  get isBusy(): boolean {
    return this.holds.isBusy;
  }

  end(): void {
    this.holds.end();
  }
}

const METHODS: Methods<ConditionServant> = new Map<
  string,
  (
    servant: ConditionServant,
    args: readonly unknown[],
    context: CallContext,
  ) => unknown
>([
  [
    "acquire",
    ({ holds }, [ttl], context) =>
      holds.acquire(context, checkTtl("acquire", ttl)),
  ],
  ["releaseHold", ({ holds }, [fence]) => holds.release(checkFence(fence))],
  ["release", ({ holds }) => holds.releaseAny()],
  [
    "extend",
    ({ holds }, [fence, ttl]) =>
      holds.extend(checkFence(fence), checkTtl("extend the hold", ttl ?? 0)!),
  ],
  [
    "wait",
    (condition, [fence], context) => condition.wait(checkFence(fence), context),
  ],
  ["notify", (condition, [fence, count]) => {
    checkInteger("notify", "count", count, 1);
    condition.notify(checkFence(fence), count as number);
  }],
]);
