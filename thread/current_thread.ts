// Copyright 2026 the multitask authors. MIT license.

import { checkWait, type WaitOptions } from "../ipc/_options.ts";
import { InvalidStateError } from "../ipc/errors.ts";
import { MAIN_IDENT, MAIN_NAME } from "./_directory.ts";
import { here } from "./_here.ts";
import { startedHere } from "./_threads_here.ts";
import { joinByLock } from "./_join.ts";

/**
 * A thread of this process, whoever has started it. Those that this thread has
 * started are their `Thread` objects.
 */
export interface ThreadHandle {
  /** Its label. */
  readonly name: string;
  /** What no other thread of the process ever has; 1 for the main thread. */
  readonly ident: number | null;
  /** Whether it ends with the program instead of keeping it alive. */
  readonly daemon: boolean;
  /** Whether it was started and has not ended. */
  isAlive(): boolean;
  /**
   * Waits for its end: `true`, or `false` when the `timeout` was over first.
   *
   * @throws {InvalidStateError} If it is the thread that asks, or the main
   * thread, which ends with the program.
   */
  join(options?: WaitOptions): Promise<boolean>;
}

/** The thread that asks. */
export interface CurrentThread extends ThreadHandle {
  /** What no other thread of the process ever has; 1 for the main thread. */
  readonly ident: number;
  /** Aborted when the thread is to be terminated; it ends in the next turn. */
  readonly signal: AbortSignal;
}

/** A thread that this one has not started. */
class OtherThread implements ThreadHandle {
  readonly name: string;
  readonly ident: number;
  readonly daemon: boolean;

  constructor(row: { name: string; ident: number; daemon: boolean }) {
    this.name = row.name;
    this.ident = row.ident;
    this.daemon = row.daemon;
  }

  isAlive(): boolean {
    return this.ident === MAIN_IDENT || here().directory.has(this.ident);
  }

  async join(options?: WaitOptions): Promise<boolean> {
    const action = `join thread "${this.name}"`;
    const wait = checkWait(action, options);
    if (this.ident === here().ident) {
      throw new InvalidStateError(
        `Cannot ${action}: it is the current thread, which would wait for itself`,
      );
    }
    if (this.ident === MAIN_IDENT) {
      throw new InvalidStateError(
        `Cannot ${action}: the main thread ends with the program`,
      );
    }
    return await joinByLock(this.ident, wait);
  }
}

/** The thread that asks, with its signal. */
class ThisThread extends OtherThread implements CurrentThread {
  get signal(): AbortSignal {
    return here().stopping.signal;
  }
}

/**
 * The thread that asks. Python: `threading.current_thread`.
 *
 * @example
 * ```ts
 * import { currentThread } from "@multitask/std/thread";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(currentThread().name, "MainThread");
 * ```
 */
export function currentThread(): CurrentThread {
  const { ident, name, daemon, directory } = here();
  return new ThisThread({
    ident,
    name: directory.nameOf(ident, name),
    daemon,
  });
}

/** The main thread of the process. Python: `threading.main_thread`. */
export function mainThread(): ThreadHandle {
  return new OtherThread({ name: MAIN_NAME, ident: MAIN_IDENT, daemon: false });
}

/**
 * The threads of this process that live, the main thread first, the others in
 * the order of their start; the same from each of them. Python:
 * `threading.enumerate`.
 *
 * @example
 * ```ts
 * import { enumerate } from "@multitask/std/thread";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(enumerate().map(({ name }) => name), ["MainThread"]);
 * ```
 */
export function enumerate(): ThreadHandle[] {
  return [
    mainThread(),
    ...here().directory.rows.map((row) =>
      startedHere.get(row.ident) ?? new OtherThread(row)
    ),
  ];
}

/** How many threads of this process live. Python: `threading.active_count`. */
export function activeCount(): number {
  return enumerate().length;
}
