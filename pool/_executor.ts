// Copyright 2026 the multitask authors. MIT license.
// What all executors have in common: futures over a pool.

import type { Target } from "../ipc/task_ref.ts";
import { checkWait, shown, type WaitOptions } from "../ipc/_options.ts";
import { CancelledError } from "../ipc/errors.ts";
import type { PoolEventMap } from "./_events.ts";
import { checkBoolean } from "./_pool_options.ts";
import type { PoolStats } from "./_stats.ts";
import { stopStreams, submitFuture, type TaskPool } from "./_task_pool.ts";
import {
  checkTaskOptions,
  type PoolImapOptions,
  type PoolTaskOptions,
} from "./_task_options.ts";
import { type Future, whenDone } from "./future.ts";

/** Options of {@linkcode Executor.shutdown}. */
export interface ExecutorShutdownOptions {
  /**
   * Whether to wait until all is done.
   *
   * @default {true}
   */
  wait?: boolean;
  /**
   * Whether calls that have not begun are cancelled.
   *
   * @default {false}
   */
  cancelFutures?: boolean;
}

/** What an executor shares with those that `with()` has made of it. */
interface Core {
  readonly pool: TaskPool;
  /** Those that are not done. */
  readonly pending: Set<Future>;
}

/**
 * What all executors have in common: how calls are submitted, and what becomes
 * of them. What a worker is says whoever makes it.
 */
export class Executor implements AsyncDisposable {
  readonly #core: Core;
  readonly #options: PoolTaskOptions;

  /**
   * Over a pool, with options for all calls. For this package only.
   *
   * @internal
   */
  constructor(pool: TaskPool | Core, options: PoolTaskOptions = {}) {
    this.#core = "pool" in pool ? pool : { pool, pending: new Set() };
    this.#options = options;
  }

  /**
   * The same executor, whose calls have these options. For `map`, `timeout` is
   * that of each call, and `transfer` cannot be used.
   *
   * @throws {TypeError | RangeError} If an option is not as it has to be.
   */
  with(options: PoolTaskOptions): this {
    const action = "change options of an executor";
    checkTaskOptions(action, options);
    return Reflect.construct(
      Executor,
      [this.#core, { ...this.#options, ...options }],
      // Of the same class, whose own constructor would make workers.
      this.constructor as new () => unknown,
    ) as this;
  }

  /**
   * Submits a call.
   *
   * @throws {InvalidStateError} If the executor is shut down. Python:
   * `RuntimeError`.
   * @throws {SerializationError} If an argument cannot be sent; names the path.
   */
  submit<A extends unknown[], R>(
    fn: Target<A, R>,
    ...args: NoInfer<A>
  ): Future<R> {
    const { pool, pending } = this.#core;
    const future = submitFuture(pool, fn, args, this.#options);
    pending.add(future);
    whenDone(future, () => pending.delete(future));
    // What the function returns.
    return future as Future<R>;
  }

  /**
   * Calls a function with the items of several iterables side by side, as long
   * as all of them have some; gives the results in order. Items are read while
   * the consumer keeps up.
   *
   * @throws {TypeError | RangeError} If an iterable is none, or an option is not
   * as it has to be.
   */
  map<T, R>(
    fn: Target<[T], R>,
    items: Iterable<NoInfer<T>> | AsyncIterable<NoInfer<T>>,
    options?: PoolImapOptions,
  ): AsyncIterableIterator<R>;
  /** The same with several iterables. */
  map<A extends unknown[], R>(
    fn: Target<A, R>,
    ...iterables: IterablesOf<NoInfer<A>>
  ): AsyncIterableIterator<R>;
  /** The same with several iterables, and options. */
  map<A extends unknown[], R>(
    fn: Target<A, R>,
    ...rest: [...IterablesOf<NoInfer<A>>, PoolImapOptions]
  ): AsyncIterableIterator<R>;
  map(
    fn: Target<unknown[], unknown>,
    ...rest: unknown[]
  ): AsyncIterableIterator<unknown> {
    const options = rest.length > 1 && !isIterable(rest.at(-1))
      ? { ...this.#mapOptions(), ...rest.pop() as PoolImapOptions }
      : this.#mapOptions();
    const { pool } = this.#core;
    const [first] = rest;
    if (rest.length === 1) {
      return pool.imap(
        fn as unknown as Target<[unknown], unknown>,
        // It is checked there.
        first as Iterable<unknown>,
        options,
      );
    }
    return pool.istarmap(fn, sideBySide(rest), options);
  }

  /** What `with()` has said, for a map. */
  #mapOptions(): PoolImapOptions {
    const { timeout, transfer, signal, priority } = this.#options;
    if (transfer !== undefined) {
      throw new TypeError(
        'Cannot map: "transfer" is for the arguments of submit()',
      );
    }
    return {
      ...timeout === undefined ? {} : { itemTimeout: timeout },
      ...signal === undefined ? {} : { signal },
      ...priority === undefined ? {} : { priority },
    };
  }

  // ---- The executor ----

  /** Has a listener called for events of a type. */
  addEventListener<K extends keyof PoolEventMap>(
    type: K,
    listener: (event: PoolEventMap[K]) => void,
  ): void {
    this.#core.pool.addEventListener(type, listener);
  }

  /** Has a listener not called any more. */
  removeEventListener<K extends keyof PoolEventMap>(
    type: K,
    listener: (event: PoolEventMap[K]) => void,
  ): void {
    this.#core.pool.removeEventListener(type, listener);
  }

  /** Counts and times at this moment. */
  stats(): PoolStats {
    return this.#core.pool.stats();
  }

  /**
   * Writes what has run so far, as Chrome trace JSON, which ui.perfetto.dev
   * shows.
   *
   * @throws {InvalidStateError} If it was not made with `trace: true`.
   */
  async trace(path: string | URL): Promise<void> {
    await this.#core.pool.trace(path);
  }

  /**
   * Takes no more calls; the workers end when all is done. Idempotent.
   *
   * @param options Whether to wait, and whether to cancel what has not begun.
   */
  async shutdown(options: ExecutorShutdownOptions = {}): Promise<void> {
    checkShutdown(options);
    const { wait = true, cancelFutures = false } = options;
    const { pool, pending } = this.#core;
    pool.close();
    if (cancelFutures) {
      for (const future of [...pending].reverse()) future.cancel();
      stopStreams(pool, new CancelledError("The map was cancelled"));
    }
    if (wait) await pool.join();
  }

  /** Ends the workers now; whatever is not done fails. Python 3.14. */
  async terminateWorkers(): Promise<void> {
    await this.#core.pool.terminate();
  }

  /** Shuts it down and waits, as a pool does. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#core.pool[Symbol.asyncDispose]();
  }
}

/** For each argument of a function, where its values come from. */
export type IterablesOf<A extends unknown[]> = {
  [I in keyof A]: Iterable<A[I]>;
};

function checkShutdown(options: ExecutorShutdownOptions): void {
  const action = "shut the executor down";
  checkWait(action, options as WaitOptions);
  for (const name of ["wait", "cancelFutures"] as const) {
    checkBoolean(action, name, options[name]);
  }
}

function isIterable(value: unknown): boolean {
  return typeof value === "string" ||
    (typeof value === "object" && value !== null &&
      (Symbol.iterator in value || Symbol.asyncIterator in value));
}

/** Checks them, and gives their items together. */
function sideBySide(iterables: readonly unknown[]): Iterable<unknown[]> {
  for (const [i, iterable] of iterables.entries()) {
    if (!isIterable(iterable) || !(Symbol.iterator in Object(iterable))) {
      throw new TypeError(
        `Cannot map: iterable number ${i + 1} must be iterable, received ${
          shown(iterable)
        }`,
      );
    }
  }
  // As was checked.
  return together(iterables as Iterable<unknown>[]);
}

function* together(
  iterables: readonly Iterable<unknown>[],
): Generator<unknown[]> {
  const iterators = iterables.map((iterable) => iterable[Symbol.iterator]());
  const open = new Set(iterators);
  try {
    while (open.size > 0) {
      const items: unknown[] = [];
      for (const iterator of iterators) {
        const next = iterator.next();
        if (next.done) {
          open.delete(iterator);
          return;
        }
        items.push(next.value);
      }
      yield items;
    }
  } finally {
    for (const iterator of open) iterator.return?.();
  }
}
