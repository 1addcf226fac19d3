// Copyright 2026 the multitask authors. MIT license.

import type { WaitOptions } from "../ipc/_options.ts";
import { startTimer } from "../ipc/_timer.ts";
import { TimeoutError } from "../ipc/errors.ts";

/**
 * Waits for a promise, as long as the options allow. Leaves neither timer nor
 * listener behind.
 */
export async function waitBounded<T>(
  promise: Promise<T>,
  { timeout, signal }: Readonly<WaitOptions>,
  late: () => string,
): Promise<T> {
  if (timeout === undefined && signal === undefined) return await promise;
  signal?.throwIfAborted();
  const bound = Promise.withResolvers<never>();
  const stopTimer = timeout === undefined ? undefined : startTimer(
    () => bound.reject(new TimeoutError(late())),
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
