// Copyright 2026 the multitask authors. MIT license.

import type { Target } from "../ipc/task_ref.ts";
import { InvalidStateError } from "../ipc/errors.ts";
import { type Future, makeFuture } from "./future.ts";
import {
  lazily,
  Pool,
  type PoolImapOptions,
  type PoolOptions,
  type PoolTaskOptions,
  submitTo,
} from "./pool.ts";

/** Options of a {@linkcode ProcessPoolExecutor}. */
export interface ProcessPoolExecutorOptions
  extends Omit<PoolOptions, "processes" | "maxTasksPerChild"> {
  /**
   * How many workers there are at most; they are started when they are needed.
   *
   * @default {cpuCount()}
   */
  maxWorkers?: number;
  /**
   * After so many tasks a worker ends, and another takes its place.
   *
   * @default {undefined} never
   */
  maxTasksPerChild?: number;
}

/** Options of {@linkcode ProcessPoolExecutor.shutdown}. */
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

/**
 * Runs calls in worker processes and gives a future for each.
 *
 * Python: `concurrent.futures.ProcessPoolExecutor`. The differences: a worker
 * that dies fails its own call and no other; `with(options)` gives calls a
 * `timeout`, a `signal` or a `priority`; the rest is as {@linkcode Pool} has it.
 *
 * **Disposal**: `await using` shuts it down and waits, as a `Pool` does.
 *
 * @example
 * ```ts
 * import { ProcessPoolExecutor } from "@multitask/std/pool";
 * import { assertEquals } from "@std/assert";
 *
 * await using executor = new ProcessPoolExecutor({ maxWorkers: 2 });
 * const future = executor.submit((a: number, b: number) => a + b, 1, 2);
 * assertEquals(await future.result(), 3);
 * ```
 */
export class ProcessPoolExecutor implements AsyncDisposable {
  readonly #pool: Pool;
  readonly #options: PoolTaskOptions;
  readonly #pending: Set<Future>;

  /**
   * Makes an executor; workers are started when they are needed.
   *
   * @throws {TypeError | RangeError} If an option is not as it has to be.
   */
  constructor(options?: ProcessPoolExecutorOptions);
  /** The same executor with other options for its calls. */
  constructor(options: { of: ProcessPoolExecutor; options: PoolTaskOptions });
  constructor(
    options:
      | ProcessPoolExecutorOptions
      | { of: ProcessPoolExecutor; options: PoolTaskOptions } = {},
  ) {
    if ("of" in options) {
      this.#pool = options.of.#pool;
      this.#options = options.options;
      this.#pending = options.of.#pending;
      return;
    }
    const { maxWorkers, ...rest } = options;
    this.#pool = new Pool(
      {
        ...rest,
        ...(maxWorkers === undefined ? {} : { processes: maxWorkers }),
        [lazily]: true,
      } as PoolOptions,
    );
    this.#options = {};
    this.#pending = new Set();
  }

  /** The same executor, whose calls have these options. */
  with(options: PoolTaskOptions): ProcessPoolExecutor {
    return new ProcessPoolExecutor({
      of: this,
      options: { ...this.#options, ...options },
    });
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
    submitTo(this.#pool, future, fn, args, this.#options);
    // Only its state is of interest.
    const pending = future as Future;
    this.#pending.add(pending);
    future.addDoneCallback(() => this.#pending.delete(pending));
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
      return this.#pool.imap(
        fn as unknown as Target<[unknown], unknown>,
        first as Iterable<unknown>,
        options,
      );
    }
    return this.#pool.istarmap(
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
    this.#pool.close();
    if (cancelFutures) {
      for (const future of [...this.#pending].reverse()) future.cancel();
    }
    if (wait) await this.#pool.join();
  }

  /** Ends the workers now; whatever is not done fails. Python 3.14. */
  async terminateWorkers(): Promise<void> {
    await this.#pool.terminate();
  }

  /** Shuts it down and waits, as a pool does. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
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
