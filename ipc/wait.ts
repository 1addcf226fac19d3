// Copyright 2026 the multitask authors. MIT license.

import { checkWait, shown, type WaitOptions } from "./_options.ts";
import { startTimer } from "./_timer.ts";
import { type Waitable, waitable } from "./_waitable.ts";
import { TimeoutError } from "./errors.ts";

/**
 * Waits until at least one of the objects is ready and gives all that are, in
 * the order given: a connection with something to receive (or at its end), a
 * process that has ended, an event that is set, and whatever else has a
 * `[waitable]` method.
 *
 * Python: `multiprocessing.connection.wait`, which gives an empty list when the
 * time is over.
 *
 * **Cancel safety**: takes nothing from the objects; after a time-out or an
 * abort nothing is left waiting.
 *
 * @throws {TimeoutError} If none was ready in time.
 * @throws {TypeError} If an object cannot be waited for.
 *
 * @example
 * ```ts
 * import { Event, wait } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const first = new Event();
 * const second = new Event();
 * second.set();
 * assertEquals(await wait([first, second]), [second]);
 * ```
 */
export async function wait<T extends Waitable>(
  objects: Iterable<T>,
  options?: WaitOptions,
): Promise<T[]> {
  const { timeout, signal } = checkWait("wait", options);
  const list = [...objects];
  for (const object of list) {
    if (typeof object?.[waitable] !== "function") {
      throw new TypeError(`Cannot wait for ${shown(object)}`);
    }
  }
  signal?.throwIfAborted();
  const stop = new AbortController();
  const ready = new Set<T>();
  let turn: ReturnType<typeof setTimeout> | undefined;
  let stopTimer: (() => void) | undefined;
  let onAbort: (() => void) | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      for (const object of list) {
        object[waitable](stop.signal).then(() => {
          if (stop.signal.aborted) return;
          ready.add(object);
          // Others that are ready at this moment get the turn to say so.
          turn ??= setTimeout(resolve, 0);
        }, (error) => {
          if (!stop.signal.aborted) reject(error);
        });
      }
      if (timeout !== undefined) {
        stopTimer = startTimer(() => {
          // What was ready at the call is found also without any time.
          if (ready.size > 0) return resolve();
          reject(
            new TimeoutError(`None of the objects was ready in ${timeout} ms`),
          );
        }, timeout);
      }
      onAbort = () => reject(signal!.reason);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  } finally {
    stop.abort();
    if (turn !== undefined) clearTimeout(turn);
    stopTimer?.();
    if (onAbort) signal?.removeEventListener("abort", onAbort);
  }
  return list.filter((object) => ready.has(object));
}
