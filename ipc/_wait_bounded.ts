// Copyright 2026 the multitask authors. MIT license.

import type { WaitOptions } from "./_options.ts";
import { startTimer } from "./_timer.ts";

/**
 * Waits for a promise, as long as the options allow. Leaves neither timer nor
 * listener behind.
 */
export async function waitBounded<T>(
  promise: Promise<T>,
  { timeout, signal }: Readonly<WaitOptions>,
  late: () => Error,
): Promise<T> {
  if (timeout === undefined && signal === undefined) return await promise;
  signal?.throwIfAborted();
  const bound = Promise.withResolvers<never>();
  const stopTimer = timeout === undefined ? undefined : startTimer(
    () => bound.reject(late()),
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
