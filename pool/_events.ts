// Copyright 2026 the multitask authors. MIT license.
// What a pool tells its listeners.

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
  /** A task has called `log()`. Without a listener it is printed. */
  log: CustomEvent<{ worker: string; text: string }>;
  /** A task has called `progress()`. */
  progress: CustomEvent<{ worker: string; value: unknown }>;
  /** A failure that nobody has read. Without a listener it is printed. */
  unreaderror: CustomEvent<{ error: unknown }>;
}

/** So many failures are kept for who may read them yet: then all are told. */
const MAX_UNREAD = 100;

/** Those with failures that nobody has read. */
const unreadIn = new Set<PoolEvents>();

/** At the end of the program they are told at last. */
globalThis.addEventListener("unload", () => {
  for (const events of unreadIn) events.tellUnread();
});

/** See the file comment. */
export class PoolEvents {
  readonly #target = new EventTarget();
  readonly #listeners = new Map<string, Set<unknown>>();
  readonly #unread = new Map<object, unknown>();

  add<K extends keyof PoolEventMap>(
    type: K,
    listener: (event: PoolEventMap[K]) => void,
  ): void {
    this.#target.addEventListener(type, listener as EventListener);
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
  }

  remove<K extends keyof PoolEventMap>(
    type: K,
    listener: (event: PoolEventMap[K]) => void,
  ): void {
    this.#target.removeEventListener(type, listener as EventListener);
    this.#listeners.get(type)?.delete(listener);
  }

  /** False when nobody listens. */
  emit<K extends keyof PoolEventMap>(
    type: K,
    detail: PoolEventMap[K]["detail"],
  ): boolean {
    if (!this.#listeners.get(type)?.size) return false;
    this.#target.dispatchEvent(new CustomEvent(type, { detail }));
    return true;
  }

  /** What a task logs. */
  log(worker: string, text: string): void {
    if (this.emit("log", { worker, text })) return;
    for (const line of text.split("\n")) console.log(`[${worker}] ${line}`);
  }

  /** A result is a failure, and nobody has asked for it so far. */
  failedUnread(result: object, error: unknown): void {
    unreadIn.add(this);
    this.#unread.set(result, error);
    if (this.#unread.size > MAX_UNREAD) this.tellUnread();
  }

  /** Somebody has asked for it at last. */
  read(result: object): void {
    this.#unread.delete(result);
  }

  /** Nobody will ask for what is left. */
  tellUnread(): void {
    unreadIn.delete(this);
    const unread = [...this.#unread.values()];
    this.#unread.clear();
    for (const error of unread) {
      if (this.emit("unreaderror", { error })) continue;
      console.error("A task of a pool failed, and nobody has read its result:");
      console.error(error);
    }
  }
}
