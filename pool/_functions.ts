// Copyright 2026 the multitask authors. MIT license.
// The functions that a pool's tasks call: each is looked up once, is sent to
// each worker once, and is known by how long its calls take.

import { checkTarget, locateTask } from "../ipc/_task.ts";
import { exportedClassOf } from "./_remote_error.ts";
import { hub } from "../ipc/_hub.ts";
import type { AnyFunction } from "../ipc/_task_load.ts";
import type { Packet } from "../ipc/_packet.ts";
import { isTaskRef, type Target } from "../ipc/task_ref.ts";

/** The weight of the newest batch in the estimate. */
const NEWEST = 0.4;

/** See the file comment. */
export class FunctionEntry {
  readonly id: number;
  readonly name: string;
  /** How it is named to a worker; an error when it cannot be. */
  located: Packet | undefined;
  failure: unknown;
  /** Resolves when one of them is there. Never rejects. */
  readonly ready: Promise<void>;
  /** Gives an error back its class, where this program has it. */
  readonly rebuilt: (error: unknown) => unknown | Promise<unknown>;
  /** How long a call takes, in milliseconds; `undefined` before the first. */
  estimate: number | undefined;

  constructor(
    id: number,
    action: string,
    target: Target<unknown[], unknown>,
  ) {
    const call = checkTarget(action, target);
    this.id = id;
    this.name = isTaskRef(target)
      ? target.name
      : (target as AnyFunction).name || "(anonymous)";
    this.rebuilt = (error) => exportedClassOf(error, call);
    this.ready = locateTask(call).then(
      (task) => void (this.located = hub.pack(task)),
      (error) => void (this.failure = error),
    );
  }

  /** So many calls have taken so long. */
  learn(calls: number, ms: number): void {
    const each = ms / calls;
    this.estimate = this.estimate === undefined
      ? each
      : this.estimate + (each - this.estimate) * NEWEST;
  }
}

/** See the file comment. */
export class FunctionTable {
  readonly #entries = new WeakMap<object, FunctionEntry>();
  #next = 1;

  /** The entry of a target, which is checked when it is new. */
  entry(action: string, target: unknown): FunctionEntry {
    const known = typeof target === "function" || isTaskRef(target)
      ? this.#entries.get(target as object)
      : undefined;
    if (known !== undefined) return known;
    const entry = new FunctionEntry(
      this.#next++,
      action,
      // It is checked there.
      target as Target<unknown[], unknown>,
    );
    this.#entries.set(target as object, entry);
    return entry;
  }
}
