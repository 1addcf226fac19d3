// Copyright 2026 the multitask authors. MIT license.
// What all executors have in common: futures over a pool.

import type { Target } from "../ipc/task_ref.ts";
import { InvalidStateError } from "../ipc/errors.ts";
import { submitTo, type TaskPool } from "./_task_pool.ts";
import type { PoolImapOptions, PoolTaskOptions } from "./_task_options.ts";
import { type Future, makeFuture } from "./future.ts";

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

  /** The same executor, whose calls have these options. */
  with(options: PoolTaskOptions): this {
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
    const future = makeFuture<R>();
    submitTo(this.#core.pool, future, fn, args, this.#options);
    // Only its state is of interest.
    const pending = future as Future;
    this.#core.pending.add(pending);
    future.addDoneCallback(() => this.#core.pending.delete(pending));
    return future;
  }

  /**
   * Calls a function with the items of several iterables side by side, as long
   * as all of them have some; gives the results in order. Items are read while
   * the consumer keeps up.
   */
  map<T, R>(
    fn: Target<[T], R>,
    items: Iterable<T> | AsyncIterable<T>,
    options?: PoolImapOptions,
  ): AsyncIterableIterator<R>;
  /** The same with several iterables. */
  map<A extends unknown[], R>(
    fn: Target<A, R>,
    ...iterables: { [I in keyof A]: Iterable<A[I]> }
  ): AsyncIterableIterator<R>;
  map(
    fn: Target<unknown[], unknown>,
    ...rest: unknown[]
  ): AsyncIterableIterator<unknown> {
    const last = rest.at(-1);
    const options = rest.length > 1 && !isIterable(last)
      ? rest.pop() as PoolImapOptions
      : {};
    const [first] = rest;
    if (rest.length === 1 && isIterable(first)) {
      return this.#core.pool.imap(
        fn as unknown as Target<[unknown], unknown>,
        first as Iterable<unknown>,
        options,
      );
    }
    return this.#core.pool.istarmap(
      fn,
      sideBySide(rest as Iterable<unknown>[]),
      options,
    );
  }

  /**
   * Takes no more calls; the workers end when all is done. Idempotent.
   *
   * @param options Whether to wait, and whether to cancel what has not begun.
   */
  async shutdown(options: ExecutorShutdownOptions = {}): Promise<void> {
    const { wait = true, cancelFutures = false } = options;
    this.#core.pool.close();
    if (cancelFutures) {
      for (const future of [...this.#core.pending].reverse()) future.cancel();
    }
    if (wait) await this.#core.pool.join();
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

function isIterable(value: unknown): boolean {
  return typeof value === "string" ||
    (typeof value === "object" && value !== null &&
      (Symbol.iterator in value || Symbol.asyncIterator in value));
}

function* sideBySide(iterables: Iterable<unknown>[]): Generator<unknown[]> {
  for (const [i, iterable] of iterables.entries()) {
    if (!isIterable(iterable)) {
      throw new InvalidStateError(
        `Cannot map: iterable number ${i + 1} is none`,
      );
    }
  }
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
