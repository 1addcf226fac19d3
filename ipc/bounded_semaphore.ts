// Copyright 2026 the multitask authors. MIT license.

import type { SharedOptions } from "./_shared.ts";
import { HandleNumber } from "./_shared_object.ts";
import { defineBounded, Semaphore } from "./semaphore.ts";

/**
 * A semaphore that never has more permits than at first: more releases than
 * acquires are an error.
 *
 * Python: `multiprocessing.BoundedSemaphore`, which checks that on some systems
 * only. Permits that a process holds when it dies come back, and whoever takes
 * one of them is told by `guard.abandoned`. `release()` gives back the permit
 * that the caller took last, so use guards where several tasks of a process take
 * permits. Else it is as {@linkcode Semaphore} is.
 *
 * @example
 * ```ts
 * import { BoundedSemaphore } from "@multitask/std/ipc";
 * import { assertThrows } from "@std/assert";
 *
 * const semaphore = new BoundedSemaphore(1);
 * assertThrows(() => semaphore.release());
 * ```
 */
export class BoundedSemaphore extends Semaphore {
  static {
    defineBounded(this, HandleNumber.BoundedSemaphore);
  }

  /**
   * Makes a semaphore that belongs to this process.
   *
   * @param value How many permits there are, and can be.
   * @throws {TypeError | RangeError} If `value` is not an integer >= 0.
   */
  constructor(value = 1, options: SharedOptions = {}) {
    super(value, options);
  }
}
