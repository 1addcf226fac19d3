// Copyright 2026 the multitask authors. MIT license.
// The end of a time that somebody else can extend by a message.

import { startTimer } from "../ipc/_timer.ts";

/** Later than this, it was this process that was away: a guess. */
const LATE = 250;

/** Then messages that wait are read first, for so long. */
const GRACE = 500;

/**
 * Calls `run` after `ms` milliseconds, unless it is stopped by what is given. A
 * process that was stopped or busy meanwhile reads what has come before it takes
 * anybody for late. Does not keep the program alive.
 */
export function startLapse(run: () => void, ms: number): () => void {
  const due = performance.now() + ms;
  let stop = startTimer(
    () => {
      if (performance.now() - due <= LATE) return run();
      stop = startTimer(run, GRACE, { unref: true });
    },
    ms,
    { unref: true },
  );
  return () => stop();
}
