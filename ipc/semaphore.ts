// Copyright 2026 the multitask authors. MIT license.

import { SemaphoreBase } from "./_semaphore_base.ts";
import { SemaphoreCore } from "./_semaphore_core.ts";
import { registerHandle, type SharedOptions } from "./_shared.ts";
import { HandleNumber } from "./_shared_object.ts";

/** Options of {@linkcode Semaphore}. */
export interface SemaphoreOptions extends SharedOptions {
  /**
   * Whether permits that a process holds come back when it dies. Leave it out
   * for a semaphore that signals: there who takes a permit never gives it back.
   *
   * @default {false}
   */
  recover?: boolean;
}

/**
 * A number of permits that threads and processes take and give.
 *
 * Python: `multiprocessing.Semaphore`; `value` is a property, and `release`
 * takes a count as `threading`'s does.
 *
 * **Ordering**: those who wait are served first come, first served.
 *
 * **Cancel safety**: an aborted or timed-out `acquire` leaves its place in line
 * at once and takes nothing.
 *
 * @example
 * ```ts
 * import { Semaphore } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const semaphore = new Semaphore(2);
 * {
 *   using _guard = await semaphore.acquire();
 *   assertEquals(semaphore.value, 1);
 * }
 * assertEquals(semaphore.value, 2);
 * ```
 */
export class Semaphore extends SemaphoreBase {
  static {
    registerHandle(
      HandleNumber.Semaphore,
      this.prototype,
      () => new this(),
      (place) => new SemaphoreCore(place),
    );
  }

  /**
   * Makes a semaphore that belongs to this process.
   *
   * @param value How many permits there are at first.
   * @throws {TypeError | RangeError} If `value` is not an integer >= 0.
   */
  constructor(value = 1, options: SemaphoreOptions = {}) {
    super(
      HandleNumber.Semaphore,
      value,
      { bounded: false, tracked: options.recover === true },
      options,
    );
  }
}
