// Copyright 2026 the multitask authors. MIT license.

import { checkWait, type WaitOptions } from "../ipc/_options.ts";
import { startTimer } from "../ipc/_timer.ts";
import { TimeoutError } from "../ipc/errors.ts";
import { checkFutures, type Future, whenDone } from "./future.ts";

/**
 * Gives futures as they are done: those that are so already first. Python:
 * `concurrent.futures.as_completed`.
 *
 * @param options The `timeout` is for all of them, counted from the first step.
 * @throws {TypeError} If one of them is no future.
 * @throws {TimeoutError} If not all are done in time; says how many are not.
 *
 * @example
 * ```ts
 * import { asCompleted, ProcessPoolExecutor } from "@multitask/std/pool";
 * import { assertEquals } from "@std/assert";
 *
 * await using executor = new ProcessPoolExecutor({ maxWorkers: 2 });
 * const futures = [1, 2].map((x) => executor.submit((x: number) => x + 1, x));
 * const values: number[] = [];
 * for await (const future of asCompleted(futures)) {
 *   values.push(await future.result());
 * }
 * assertEquals(values.sort(), [2, 3]);
 * ```
 */
export function asCompleted<R>(
  futures: Iterable<Future<R>>,
  options?: WaitOptions,
): AsyncGenerator<Future<R>, void, void> {
  const action = "wait for futures";
  const { timeout, signal } = checkWait(action, options);
  const all = checkFutures(action, futures as Iterable<Future>) as Set<
    Future<R>
  >;
  return completed(all, timeout, signal);
}

async function* completed<R>(
  all: ReadonlySet<Future<R>>,
  timeout: number | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Future<R>, void, void> {
  signal?.throwIfAborted();
  const ready: Future<R>[] = [];
  let news = Promise.withResolvers<void>();
  let failure: { error: unknown } | undefined;
  const fail = (error: unknown) => {
    failure = { error };
    news.resolve();
  };
  const onAbort = () => fail(signal!.reason);
  const forget = [...all].map((future) =>
    whenDone(future as Future, () => {
      ready.push(future);
      news.resolve();
    })
  );
  let given = 0;
  const stopTimer = timeout === undefined ? undefined : startTimer(() => {
    const left = all.size - given;
    fail(new TimeoutError(`${left} of ${all.size} futures are not done`));
  }, timeout);
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    while (given < all.size) {
      const future = ready.shift();
      if (future !== undefined) {
        given++;
        yield future;
      } else if (failure !== undefined) throw failure.error;
      else {
        await news.promise;
        news = Promise.withResolvers<void>();
      }
    }
  } finally {
    for (const one of forget) one();
    stopTimer?.();
    signal?.removeEventListener("abort", onAbort);
  }
}
