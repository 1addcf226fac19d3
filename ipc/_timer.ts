// Copyright 2026 the multitask authors. MIT license.

/** The runtime's timers count in 31 bits; longer ones end at once. */
const MAX_DELAY = 0x7fffffff;

/** Options of {@linkcode startTimer}. */
export interface TimerOptions {
  /** Whether the program may end before. */
  unref?: boolean;
}

/** Calls `run` after `ms` milliseconds, however many; gives how to stop it. */
export function startTimer(
  run: () => void,
  ms: number,
  options: TimerOptions = {},
): () => void {
  let left = ms;
  let timer: ReturnType<typeof setTimeout>;
  const next = () => {
    const delay = Math.min(left, MAX_DELAY);
    left -= delay;
    timer = setTimeout(left > 0 ? next : run, delay);
    if (options.unref) Deno.unrefTimer(timer);
  };
  next();
  return () => clearTimeout(timer);
}
