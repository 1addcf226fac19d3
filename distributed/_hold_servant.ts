// Copyright 2026 the multitask authors. MIT license.
// Locks and semaphores as guests of a manager work with them: those of ipc, and
// holds that end with their time, or with their guest.
//
//   free --acquire--> held(fence) --release--> free
//                        |--ttl over, guest gone--> free; the next holder is told
//
// Each hold has a fence, greater than all before: what a holder does elsewhere
// can carry it, and whoever has seen a greater one refuses. A hold with a `ttl`
// lasts so long unless it is extended; one without lasts as long as the guest's
// session.

import { checkInteger, type WaitOptions } from "../ipc/_options.ts";
import { BoundedSemaphore } from "../ipc/bounded_semaphore.ts";
import { InvalidStateError, LeaseLostError } from "../ipc/errors.ts";
import { Lock, type LockGuard } from "../ipc/lock.ts";
import type { RLock } from "../ipc/rlock.ts";
import type { Semaphore } from "../ipc/semaphore.ts";
import { Fences } from "./_fence.ts";
import { startLapse } from "./_lapse.ts";
import { checkTtl } from "./_queue_servant.ts";
import {
  type CallContext,
  callOf,
  type Hold,
  type Holder,
  type Methods,
  type Servant,
  waitOf,
} from "./_servant.ts";
import { Kind, NO_SHAPE } from "./_wire.ts";

/** A hold as it crosses. */
export interface HoldGrant {
  readonly fence: number;
  readonly abandoned: boolean;
}

/** What can be held by a guest. */
export interface Holdable {
  acquire(options: WaitOptions): Promise<LockGuard | null>;
  /** Ends whichever hold there is. */
  release(): void;
}

interface Held extends Hold {
  readonly guard: LockGuard;
  readonly guest: Holder;
  stopTimer: (() => void) | undefined;
}

/** The holds of one object. See the file comment. */
export class Holds {
  readonly #object: Holdable;
  readonly #held = new Map<number, Held>();
  readonly #fences = new Fences();
  /** Whether permits come back when their holder is gone. */
  readonly #isRecovered: boolean;
  /** Whether a hold ended otherwise than by its release. */
  #wasAbandoned = false;

  constructor(object: Holdable, isRecovered: boolean) {
    this.#object = object;
    this.#isRecovered = isRecovered;
  }

  acquire(
    context: CallContext,
    ttl: number | undefined,
  ): Promise<HoldGrant | null> {
    return this.#object.acquire(waitOf(context)).then((guard) =>
      guard === null ? null : this.grant(guard, context, ttl)
    );
  }

  /** Somebody has got it. */
  grant(
    guard: LockGuard,
    context: CallContext,
    ttl: number | undefined,
  ): HoldGrant {
    const fence = this.#fences.next();
    const held: Held = {
      guard,
      guest: context.guest,
      stopTimer: undefined,
      guestGone: () => this.#abandon(fence),
    };
    this.#held.set(fence, held);
    if (ttl !== undefined) this.#startTimer(fence, held, ttl);
    else if (this.#isRecovered) context.guest.holds.add(held);
    context.undo = () => this.release(fence);
    const abandoned = guard.abandoned || this.#wasAbandoned;
    this.#wasAbandoned = false;
    return { fence, abandoned };
  }

  #startTimer(fence: number, held: Held, ttl: number): void {
    held.stopTimer?.();
    held.stopTimer = startLapse(() => this.#abandon(fence), ttl);
  }

  #abandon(fence: number): void {
    const guard = this.take(fence);
    if (guard === undefined) return;
    this.#wasAbandoned = true;
    guard.release();
  }

  /** Forgets a hold, which goes on under another number, or ends. */
  take(fence: number): LockGuard | undefined {
    const held = this.#held.get(fence);
    if (held === undefined) return undefined;
    this.#held.delete(fence);
    held.guest.holds.delete(held);
    held.stopTimer?.();
    return held.guard;
  }

  /** Ends a hold; one that is over frees nobody else's. */
  release(fence: number): void {
    this.take(fence)?.release();
  }

  /** Ends whichever hold there is. */
  releaseAny(): void {
    const [fence] = this.#held.keys();
    if (fence !== undefined) return this.release(fence);
    this.#object.release();
  }

  extend(fence: number, ttl: number): void {
    const held = this.check(fence, "extend");
    held.guest.holds.delete(held);
    this.#startTimer(fence, held, ttl);
  }

  /** Throws when a hold is over. */
  check(fence: number, action: string): Held {
    const held = this.#held.get(fence);
    if (held !== undefined) return held;
    throw new LeaseLostError(`Cannot ${action}: the hold ${fence} is over`, {
      fence,
    });
  }

  get isBusy(): boolean {
    return this.#held.size > 0;
  }

  end(): void {
    for (const { stopTimer } of this.#held.values()) stopTimer?.();
    this.#held.clear();
  }
}

/** A lock. */
export class LockServant implements Servant {
  readonly kind = Kind.Lock;
  readonly shape = NO_SHAPE;
  readonly keepsProxies = false;
  readonly lock: Lock | RLock;
  readonly holds: Holds;

  constructor(lock: Lock | RLock) {
    this.lock = lock;
    this.holds = new Holds(lock, true);
  }

  call(method: string, args: readonly unknown[], context: CallContext) {
    return callOf(LOCK_METHODS, this, method, args, context);
  }

  get isBusy(): boolean {
    return this.holds.isBusy;
  }

  end(): void {
    this.holds.end();
  }
}

/** A semaphore. */
export class SemaphoreServant implements Servant {
  readonly kind = Kind.Semaphore;
  readonly shape = NO_SHAPE;
  readonly keepsProxies = false;
  readonly semaphore: Semaphore;
  readonly holds: Holds;

  constructor(semaphore: Semaphore, recover = false) {
    this.semaphore = semaphore;
    // Who takes a permit of one that signals never gives it back.
    this.holds = new Holds(
      semaphore,
      recover || semaphore instanceof BoundedSemaphore,
    );
  }

  call(method: string, args: readonly unknown[], context: CallContext) {
    return callOf(SEMAPHORE_METHODS, this, method, args, context);
  }

  get isBusy(): boolean {
    return this.holds.isBusy;
  }

  end(): void {
    this.holds.end();
  }
}

/** The number of a hold, checked. */
export function checkFence(fence: unknown): number {
  checkInteger("use a hold", "fence", fence, 0);
  return fence as number;
}

type HoldMethod<S> = [
  string,
  (servant: S, args: readonly unknown[], context: CallContext) => unknown,
];

function holdMethods<S extends { readonly holds: Holds }>(): HoldMethod<S>[] {
  return [
    [
      "acquire",
      ({ holds }, [ttl], context) =>
        holds.acquire(context, checkTtl("acquire", ttl)),
    ],
    ["releaseHold", ({ holds }, [fence]) => holds.release(checkFence(fence))],
    [
      "extend",
      ({ holds }, [fence, ttl]) =>
        holds.extend(checkFence(fence), checkTtl("extend the hold", ttl ?? 0)!),
    ],
  ];
}

const LOCK_METHODS: Methods<LockServant> = new Map([
  ...holdMethods<LockServant>(),
  ["release", ({ lock, holds }) => {
    if (lock instanceof Lock && !lock.locked) {
      throw new InvalidStateError("Cannot release a lock that is not held");
    }
    holds.releaseAny();
  }],
  ["locked", ({ lock }) => lock.locked],
] as HoldMethod<LockServant>[]);

const SEMAPHORE_METHODS: Methods<SemaphoreServant> = new Map([
  ...holdMethods<SemaphoreServant>(),
  ["release", ({ semaphore }, [count]) => {
    checkInteger("release semaphore", "count", count, 1);
    semaphore.release(count as number);
  }],
  ["value", ({ semaphore }) => semaphore.value],
] as HoldMethod<SemaphoreServant>[]);
