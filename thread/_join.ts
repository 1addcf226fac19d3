// Copyright 2026 the multitask authors. MIT license.
// Waiting for a thread that another one has started: by its lock.

import type { WaitOptions } from "../ipc/_options.ts";
import { startTimer } from "../ipc/_timer.ts";
import { here } from "./_here.ts";
import { watchLock } from "./_lock.ts";

/** Between two looks whether a thread that holds no lock yet is gone. */
const LOOK = 5;

/** Resolves with `true` at its end, with `false` when the time was over. */
export function joinByLock(
  ident: number,
  { timeout, signal }: Readonly<WaitOptions>,
): Promise<boolean> {
  const { directory } = here();
  signal?.throwIfAborted();
  if (!directory.has(ident)) return Promise.resolve(true);
  if (timeout === 0) return Promise.resolve(false);
  return new Promise((resolve, reject) => {
    let stopLook: (() => void) | undefined;
    const over = (settle: () => void) => {
      stopWatch();
      stopLook?.();
      stopTimer?.();
      signal?.removeEventListener("abort", onAbort);
      settle();
    };
    // The lock is free before the thread holds it and after its end; its row
    // goes when its starter has seen the end.
    const look = () => {
      if (!directory.has(ident)) return over(() => resolve(true));
      stopLook = startTimer(watch, LOOK);
    };
    const watch = () => stopWatch = watchLock(directory.lockOf(ident), look);
    let stopWatch = () => {};
    const onAbort = () => over(() => reject(signal!.reason));
    signal?.addEventListener("abort", onAbort, { once: true });
    const stopTimer = timeout === undefined
      ? undefined
      : startTimer(() => over(() => resolve(false)), timeout);
    watch();
  });
}
