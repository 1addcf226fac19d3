// Copyright 2026 the multitask authors. MIT license.
// How far a map has come, as it is told.

/** How far a map has come. */
export interface PoolProgress {
  /** Items that are done. */
  readonly done: number;
  /** All items. */
  readonly total: number;
  /** Items per second so far. */
  readonly rate: number;
  /** How long the rest will take at that rate, in milliseconds. */
  readonly eta: number;
}

/** Between two calls of `onProgress`, in milliseconds. */
const PROGRESS_INTERVAL = 100;

/** Tells how far a map has come, a few times a second. */
export function progressOf(
  tell: (progress: PoolProgress) => void,
): (done: number, total: number) => void {
  const start = performance.now();
  // The rate is that since the first result: before, workers may have started.
  let first: { at: number; done: number } | undefined;
  let last = start;
  return (done, total) => {
    const now = performance.now();
    first ??= { at: now, done };
    if (done < total && now - Math.max(last, first.at) < PROGRESS_INTERVAL) {
      return;
    }
    last = now;
    const isFirst = done === first.done;
    const rate = (isFirst ? done : done - first.done) * 1000 /
      Math.max(now - (isFirst ? start : first.at), 1e-3);
    try {
      tell({ done, total, rate, eta: (total - done) / rate * 1000 });
    } catch (error) {
      // The user's error, not the pool's.
      reportError(error);
    }
  };
}
