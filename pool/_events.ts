// Copyright 2026 the multitask authors. MIT license.
// What a pool tells its listeners.

import { callBack, checkCallback } from "./_call_back.ts";
import type { TaskName } from "./_task.ts";
import type { ResultOwner } from "./_task_result.ts";

/** What a pool tells its listeners, by the type of the event. */
export interface PoolEventMap {
  /** A worker was started. */
  workerstart: CustomEvent<{ worker: string; pid: number }>;
  /** A worker has ended. */
  workerend: CustomEvent<
    {
      worker: string;
      pid: number;
      exitCode: number | null;
      signal: string | null;
    }
  >;
  /**
   * A task has called `log()`: an event for each line. Without a listener it is
   * printed.
   */
  log: CustomEvent<{ worker: string; text: string; task?: TaskName }>;
  /** A task has called `progress()`. */
  progress: CustomEvent<{ worker: string; value: unknown; task?: TaskName }>;
  /**
   * A failure that nobody has read: told when the pool ends, or when there are
   * many. It is printed, too, unless a listener calls `preventDefault()`.
   */
  unreaderror: CustomEvent<{ error: unknown }>;
  /**
   * A callback, a listener or `onProgress` has thrown. It is printed, too,
   * unless a listener calls `preventDefault()`.
   */
  callbackerror: CustomEvent<{ error: unknown }>;
  /**
   * No worker can be started in the place of one that has ended; the others go
   * on. It is printed, too, unless a listener calls `preventDefault()`.
   */
  workererror: CustomEvent<{ error: unknown }>;
}

/** So many failures are kept for who may read them yet: then all are told. */
const MAX_UNREAD = 100;

/** Those with failures that nobody has read. */
const unreadIn = new Set<PoolEvents>();

/** At the end of the program they are told at last. */
globalThis.addEventListener("unload", () => {
  for (const events of unreadIn) events.tellUnread();
});

/** What is printed before an error that is told. */
const INTRODUCTIONS = {
  unreaderror: "A task of a pool failed, and nobody has read its result:",
  callbackerror: "A callback of a pool has thrown:",
  workererror: "A pool cannot start a worker:",
} as const;

type Listener = (event: never) => unknown;

/** See the file comment. */
export class PoolEvents implements ResultOwner {
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #unread = new Map<object, unknown>();

  add(type: keyof PoolEventMap, listener: Listener): void {
    checkCallback("listen to a pool", "listener", listener);
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
  }

  remove(type: keyof PoolEventMap, listener: Listener): void {
    this.#listeners.get(type)?.delete(listener);
  }

  /** Whether a listener has it for itself; `undefined` when nobody listens. */
  emit<K extends keyof PoolEventMap>(
    type: K,
    detail: PoolEventMap[K]["detail"],
  ): boolean | undefined {
    const listeners = this.#listeners.get(type);
    if (listeners === undefined || listeners.size === 0) return undefined;
    const event = new CustomEvent(type, { detail, cancelable: true });
    // They may change while they are told.
    for (const listener of [...listeners]) {
      callBack(listener, event as never, (error) => {
        if (type === "callbackerror") print("callbackerror", error);
        else this.callbackFailed(error);
      });
    }
    return event.defaultPrevented;
  }

  /** What a task logs, by line. */
  log(worker: string, text: string, task: TaskName | undefined): void {
    for (const line of text.split("\n")) {
      const detail = { worker, text: line, ...task && { task } };
      if (this.emit("log", detail) === undefined) {
        console.log(`[${worker}] ${line}`);
      }
    }
  }

  /** Tells an error that nobody gets otherwise. */
  tell(type: keyof typeof INTRODUCTIONS, error: unknown): void {
    if (this.emit(type, { error }) !== true) print(type, error);
  }

  callbackFailed(error: unknown): void {
    this.tell("callbackerror", error);
  }

  failedUnread(result: object, error: unknown): void {
    unreadIn.add(this);
    this.#unread.set(result, error);
    if (this.#unread.size > MAX_UNREAD) this.tellUnread();
  }

  read(result: object): void {
    this.#unread.delete(result);
  }

  /** Nobody will ask for what is left. */
  tellUnread(): void {
    unreadIn.delete(this);
    const unread = [...this.#unread.values()];
    this.#unread.clear();
    for (const error of unread) this.tell("unreaderror", error);
  }
}

function print(type: keyof typeof INTRODUCTIONS, error: unknown): void {
  console.error(INTRODUCTIONS[type]);
  console.error(error);
}
