// Copyright 2026 the multitask authors. MIT license.
// Waits within one thread: with a time limit, an abort, and first come, first
// served.

import { startTimer } from "./_timer.ts";

/** How long to wait: `WaitOptions` that have been checked. */
export interface Wait {
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Somebody who waits. What comes after the first call has no effect. */
export interface Waiter<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

/**
 * Waits until the waiter is told; `undefined` when the time is up. `enter` lets
 * it begin to wait and gives how to give up.
 */
export function waitFor<T>(
  { timeout, signal }: Wait,
  enter: (waiter: Waiter<T>) => () => unknown,
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    let isOver = false;
    let stopTimer: (() => void) | undefined;
    const end = () => {
      isOver = true;
      stopTimer?.();
      signal?.removeEventListener("abort", onAbort);
    };
    const onAbort = () => {
      end();
      leave();
      reject(signal!.reason);
    };
    const onTimeout = () => {
      end();
      leave();
      resolve(undefined);
    };
    const leave = enter({
      resolve: (value) => {
        end();
        resolve(value);
      },
      reject: (error) => {
        end();
        reject(error);
      },
    });
    if (isOver) return;
    // What was begun may have led to it.
    if (signal?.aborted) return onAbort();
    if (timeout === 0) return onTimeout();
    signal?.addEventListener("abort", onAbort, { once: true });
    if (timeout !== undefined) stopTimer = startTimer(onTimeout, timeout);
  });
}

/** Those who wait for the same: first come, first served. */
export class Line<T> {
  readonly #waiters = new Set<Waiter<T>>();

  /** Waits in line. */
  wait(options: Wait): Promise<T | undefined> {
    return waitFor(options, (waiter) => {
      this.#waiters.add(waiter);
      return () => this.#waiters.delete(waiter);
    });
  }

  /** Tells the first in line; false when nobody waits. */
  serve(value: T): boolean {
    for (const waiter of this.#waiters) {
      this.#waiters.delete(waiter);
      waiter.resolve(value);
      return true;
    }
    return false;
  }

  /** Tells all who wait. */
  serveAll(value: T): void {
    while (this.serve(value));
  }

  /** Ends all waits in vain. */
  failAll(error: () => Error): void {
    for (const waiter of this.#waiters) waiter.reject(error());
    this.#waiters.clear();
  }
}
