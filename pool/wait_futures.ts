// Copyright 2026 the multitask authors. MIT license.

import { checkWait, shown, type WaitOptions } from "../ipc/_options.ts";
import { startTimer } from "../ipc/_timer.ts";
import { checkFutures, type Future, hasFailed, whenDone } from "./future.ts";

/** Options of {@linkcode waitFutures}. */
export interface WaitFuturesOptions extends WaitOptions {
  /**
   * What to wait for: the first that is done, the first that fails (or all), or
   * all. To be cancelled is not to fail.
   *
   * @default {"ALL_COMPLETED"}
   */
  returnWhen?: "FIRST_COMPLETED" | "FIRST_EXCEPTION" | "ALL_COMPLETED";
}

/** What {@linkcode waitFutures} gives. */
export interface WaitFuturesResult<R> {
  /** Those that are finished or cancelled. */
  readonly done: Set<Future<R>>;
  /** The others. */
  readonly notDone: Set<Future<R>>;
}

const WHEN: readonly unknown[] = [
  "FIRST_COMPLETED",
  "FIRST_EXCEPTION",
  "ALL_COMPLETED",
];

/**
 * Waits for futures; gives which of them are done. When the `timeout` is over
 * first that is no error. Python: `concurrent.futures.wait`.
 *
 * @throws {TypeError} If one of them is no future, or `returnWhen` is unknown.
 *
 * @example
 * ```ts
 * import { ProcessPoolExecutor, waitFutures } from "@multitask/std/pool";
 * import { assertEquals } from "@std/assert";
 *
 * await using executor = new ProcessPoolExecutor({ maxWorkers: 2 });
 * const futures = [1, 2].map((x) => executor.submit((x: number) => x + 1, x));
 * const { done, notDone } = await waitFutures(futures);
 * assertEquals([done.size, notDone.size], [2, 0]);
 * ```
 */
export async function waitFutures<R>(
  futures: Iterable<Future<R>>,
  options: WaitFuturesOptions = {},
): Promise<WaitFuturesResult<R>> {
  const action = "wait for futures";
  const { timeout, signal } = checkWait(action, options);
  const { returnWhen = "ALL_COMPLETED" } = options;
  if (!WHEN.includes(returnWhen)) {
    throw new TypeError(
      `Cannot ${action}: "returnWhen" must be one of ${
        WHEN.join(", ")
      }, received ${shown(returnWhen)}`,
    );
  }
  const all = checkFutures(action, futures as Iterable<Future>) as Set<
    Future<R>
  >;
  signal?.throwIfAborted();
  const enough = Promise.withResolvers<void>();
  let left = all.size;
  let isOver = false;
  const look = (future: Future<R>) => {
    if (isOver) return;
    left--;
    if (left === 0 || returnWhen === "FIRST_COMPLETED") return enough.resolve();
    if (returnWhen !== "FIRST_EXCEPTION" || future.cancelled()) return;
    if (hasFailed(future as Future)) enough.resolve();
  };
  if (left === 0) enough.resolve();
  const forget = [...all].map((future) =>
    whenDone(future as Future, () => look(future))
  );
  const stopTimer = timeout === undefined
    ? undefined
    : startTimer(enough.resolve, timeout);
  const onAbort = () => enough.reject(signal!.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    await enough.promise;
  } finally {
    isOver = true;
    for (const one of forget) one();
    stopTimer?.();
    signal?.removeEventListener("abort", onAbort);
  }
  const done = new Set([...all].filter((future) => future.done()));
  return { done, notDone: all.difference(done) };
}
