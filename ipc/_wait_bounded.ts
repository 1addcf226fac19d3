// Copyright 2026 the multitask authors. MIT license.

import type { WaitOptions } from "./_options.ts";
import { startTimer } from "./_timer.ts";

/**
 * Waits for a promise, as long as the options allow; then `late` says what to
 * give, or throws. Leaves neither timer nor listener behind.
 */
export async function waitBounded<T>(
  promise: Promise<T>,
  { timeout, signal }: Readonly<WaitOptions>,
  late: () => T,
): Promise<T> {
  if (timeout === undefined && signal === undefined) return await promise;
  signal?.throwIfAborted();
  const bound = Promise.withResolvers<T>();
  const stopTimer = timeout === undefined ? undefined : startTimer(
    () => bound.resolve(Promise.try(late)),
    timeout,
  );
  const onAbort = () => bound.reject(signal!.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    // What is there already wins.
    return await Promise.race([promise, bound.promise]);
  } finally {
    stopTimer?.();
    signal?.removeEventListener("abort", onAbort);
  }
}
