// Copyright 2026 the multitask authors. MIT license.
// The engine of a manager as its guests work with it. Workers and owners belong to
// the guest that speaks for them: they are lost with it.

import { checkInteger, checkNonNegative, shown } from "../ipc/_options.ts";
import { checkFence } from "./_hold_servant.ts";
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
import type {
  EngineLease,
  EngineLock,
  EngineResult,
  EngineTask,
  EngineWorker,
} from "./engine.ts";
import type { MemoryEngine } from "./memory_engine.ts";

/** See the file comment. */
export class EngineServant implements Servant {
  readonly kind = Kind.Engine;
  readonly shape = NO_SHAPE;
  readonly keepsProxies = true;
  readonly engine: MemoryEngine;
  /** Who speaks for whom. */
  readonly #speakers = new Map<string, { guest: Holder; hold: Hold }>();
  readonly #locks = new Map<number, EngineLock>();

  constructor(engine: MemoryEngine) {
    this.engine = engine;
  }

  call(method: string, args: readonly unknown[], context: CallContext) {
    return callOf(METHODS, this, method, args, context);
  }

  /** A guest speaks for a worker or an owner: `gone` is for its end. */
  #speak(key: string, guest: Holder, gone: () => void): void {
    const known = this.#speakers.get(key);
    if (known?.guest === guest) return;
    known?.guest.holds.delete(known.hold);
    const hold = {
      guestGone: () => {
        this.#speakers.delete(key);
        gone();
      },
    };
    this.#speakers.set(key, { guest, hold });
    guest.holds.add(hold);
  }

  #silence(key: string): void {
    const known = this.#speakers.get(key);
    known?.guest.holds.delete(known.hold);
    this.#speakers.delete(key);
  }

  speakForOwner(owner: string, guest: Holder): void {
    this.#speak(`owner ${owner}`, guest, () => {
      this.engine.forget(owner);
    });
  }

  forget(owner: string): Promise<void> {
    this.#silence(`owner ${owner}`);
    return this.engine.forget(owner);
  }

  leave(worker: string): Promise<void> {
    this.#silence(`worker ${worker}`);
    return this.engine.leave(worker);
  }

  async lease(
    worker: EngineWorker,
    ttl: number | undefined,
    context: CallContext,
  ): Promise<EngineLease | undefined> {
    const { name } = worker;
    this.#speak(`worker ${name}`, context.guest, () => {
      this.engine.lose(name, "was lost");
    });
    const lease = await this.engine.lease(worker, { ...waitOf(context), ttl });
    if (lease !== undefined) {
      const { id, fence } = lease;
      context.undo = () => {
        // Nothing is known of it any more if its worker was lost meanwhile.
        this.engine.giveBack(id, fence);
      };
    }
    return lease;
  }

  async lock(
    name: string,
    ttl: number,
    context: CallContext,
  ): Promise<number | undefined> {
    const lock = await this.engine.lock(name, { ...waitOf(context), ttl });
    if (lock === undefined) return undefined;
    const { fence } = lock;
    this.#locks.set(fence, lock);
    context.undo = () => void this.release(fence);
    return fence;
  }

  extendLock(fence: number, ttl: number): Promise<void> | undefined {
    return this.#locks.get(fence)?.extend(ttl);
  }

  release(fence: number): Promise<void> | undefined {
    const lock = this.#locks.get(fence);
    this.#locks.delete(fence);
    return lock?.release();
  }
}

function text(name: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw new TypeError(
    `Cannot use the engine: "${name}" must be a string, received ${
      shown(value)
    }`,
  );
}

function list(name: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new TypeError(
    `Cannot use the engine: "${name}" must be an array, received ${
      shown(value)
    }`,
  );
}

function fields(name: string, value: unknown): Record<string, unknown> {
  if (typeof value === "object" && value !== null) {
    return value as Record<string, unknown>;
  }
  throw new TypeError(
    `Cannot use the engine: "${name}" must be an object, received ${
      shown(value)
    }`,
  );
}

function taskOf(value: unknown): EngineTask {
  const action = "enqueue";
  const { id, name, calls, priority, timeout, maxAttempts } = fields(
    "task",
    value,
  );
  if (typeof priority !== "number" || !Number.isFinite(priority)) {
    throw new TypeError(
      `Cannot ${action}: "priority" must be a finite number, received ${
        shown(priority)
      }`,
    );
  }
  if (timeout !== undefined) checkNonNegative(action, "timeout", timeout);
  checkInteger(action, "maxAttempts", maxAttempts, 1);
  return {
    id: text("id", id),
    name: text("name", name),
    calls: list("calls", calls).map((call) => list("call", call)),
    priority,
    timeout: timeout as number | undefined,
    maxAttempts: maxAttempts as number,
  };
}

function workerOf(value: unknown): EngineWorker {
  const { name, tasks, concurrency } = fields("worker", value);
  checkInteger("lease", "concurrency", concurrency, 1);
  return {
    name: text("name", name),
    tasks: list("tasks", tasks).map((task) => text("task", task)),
    concurrency: concurrency as number,
  };
}

function resultOf(value: unknown): EngineResult {
  const result = fields("result", value);
  return result.ok === true
    ? { ok: true, value: result.value }
    : { ok: false, error: result.error };
}

const METHODS: Methods<EngineServant> = new Map<
  string,
  (
    servant: EngineServant,
    args: readonly unknown[],
    context: CallContext,
  ) => unknown
>([
  ["capabilities", ({ engine }) => engine.capabilities],
  ["enqueue", (servant, [owner, tasks], { guest }) => {
    const checked = list("tasks", tasks).map(taskOf);
    servant.speakForOwner(text("owner", owner), guest);
    return servant.engine.enqueue(owner as string, checked);
  }],
  [
    "lease",
    (servant, [worker, ttl], context) =>
      servant.lease(workerOf(worker), checkTtl("lease", ttl), context),
  ],
  ["extend", ({ engine }, [id, fence, ttl]) =>
    engine.extend(
      text("id", id),
      checkFence(fence),
      checkTtl("extend the lease", ttl ?? 0)!,
    )],
  ["complete", ({ engine }, [id, fence, results]) =>
    engine.complete(
      text("id", id),
      checkFence(fence),
      list("results", results).map(resultOf),
    )],
  [
    "giveBack",
    ({ engine }, [id, fence]) =>
      engine.giveBack(text("id", id), checkFence(fence)),
  ],
  [
    "fail",
    ({ engine }, [id, fence, error]) =>
      engine.fail(text("id", id), checkFence(fence), error),
  ],
  ["cancel", ({ engine }, [owner, ids]) =>
    engine.cancel(
      text("owner", owner),
      list("ids", ids).map((id) => text("id", id)),
    )],
  [
    "cancelled",
    ({ engine }, [worker], context) =>
      engine.cancelled(text("worker", worker), waitOf(context)),
  ],
  ["watch", (servant, [owner, after], context) => {
    checkInteger("watch", "after", after, 0);
    servant.speakForOwner(text("owner", owner), context.guest);
    return servant.engine.watch(
      owner as string,
      after as number,
      waitOf(context),
    );
  }],
  ["forget", (servant, [owner]) => servant.forget(text("owner", owner))],
  ["leave", (servant, [worker]) => servant.leave(text("worker", worker))],
  [
    "lock",
    (servant, [name, ttl], context) =>
      servant.lock(text("name", name), checkTtl("lock", ttl ?? 0)!, context),
  ],
  [
    "extendLock",
    (servant, [fence, ttl]) =>
      servant.extendLock(checkFence(fence), checkTtl("extend", ttl ?? 0)!),
  ],
  ["releaseLock", (servant, [fence]) => servant.release(checkFence(fence))],
]);
