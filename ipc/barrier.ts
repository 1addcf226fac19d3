// Copyright 2026 the multitask authors. MIT license.

import { BarrierCore, BarrierOp } from "./_barrier_core.ts";
import { homes } from "./_homes.ts";
import {
  checkInteger,
  checkNonNegative,
  checkWait,
  shown,
  type WaitOptions,
  type WaitSyncOptions,
} from "./_options.ts";
import type { Reference } from "./_reference.ts";
import {
  checkOpen,
  claimReference,
  closeShared,
  registerHandle,
  type SharedOptions,
} from "./_shared.ts";
import { HandleNumber, type Outcome } from "./_shared_object.ts";
import { BrokenBarrierError } from "./errors.ts";

/** Options of {@linkcode Barrier}. */
export interface BarrierOptions extends SharedOptions {
  /**
   * What is done when all have come, before they go on: once, in the process
   * that made the barrier, asked by the last one to come. If it throws, the
   * barrier breaks, and the last one gets the error.
   *
   * @default {undefined} nothing
   */
  action?: () => unknown;
  /**
   * How long a `wait` in this process takes at most unless it says so itself,
   * in milliseconds.
   *
   * @default {undefined} without a limit
   */
  timeout?: number;
}

/**
 * A point at which so many parties wait for each other.
 *
 * Python: `multiprocessing.Barrier`. Differences: an `action` runs in the
 * process that made the barrier; a party that dies while it waits breaks the
 * barrier; one that is aborted leaves, and another one can take its place.
 *
 * **Cancel safety**: a time-out breaks the barrier for all, as Python's does;
 * an abort only takes this party out.
 *
 * @example
 * ```ts
 * import { Barrier } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const barrier = new Barrier(2);
 * const places = await Promise.all([barrier.wait(), barrier.wait()]);
 * assertEquals(places.sort(), [0, 1]);
 * ```
 */
export class Barrier implements Disposable {
  static {
    registerHandle(
      HandleNumber.Barrier,
      this.prototype,
      () => new this(1),
      (place) => new BarrierCore(place),
    );
  }

  readonly #reference: Reference;
  /** Where this thread works on the memory itself. */
  readonly #core: BarrierCore | undefined;
  readonly #timeout: number | undefined;

  /**
   * Makes a barrier that belongs to this process.
   *
   * @param parties How many have to come.
   * @throws {TypeError | RangeError} If `parties` is not an integer >= 1, or
   * `timeout` not a number >= 0.
   */
  constructor(parties: number, options: BarrierOptions = {}) {
    const { action, timeout } = options;
    checkInteger("create barrier", "parties", parties, 1);
    if (timeout !== undefined) {
      checkNonNegative("create barrier", "timeout", timeout);
    }
    if (action !== undefined && typeof action !== "function") {
      throw new TypeError(
        `Cannot create barrier: "action" must be a function, received ${
          shown(action)
        }`,
      );
    }
    this.#timeout = timeout;
    this.#reference = claimReference(
      this,
      HandleNumber.Barrier,
      () =>
        new BarrierCore(
          { agent: homes.agentFor("create barrier", options.home) },
          { parties, action },
        ),
    );
    this.#core = this.#reference.direct as BarrierCore | undefined;
  }

  /**
   * Waits until all parties have come; gives the place of this one among them,
   * 0 for the first.
   *
   * @throws {BrokenBarrierError} If the barrier is broken, breaks or is reset
   * meanwhile, or if they have not come in time, which breaks it.
   */
  async wait(options?: WaitOptions): Promise<number> {
    const { timeout = this.#timeout, signal } = checkWait(
      "wait at barrier",
      options,
    );
    checkOpen(this.#reference, "wait at the barrier");
    const reference = this.#reference;
    const outcome = await reference.call(BarrierOp.Wait, {
      timeout,
      signal,
      undo: ({ number }) => {
        if (number < 0) reference.cast(BarrierOp.Break);
      },
    });
    const place = this.#place(outcome, timeout);
    if (place >= 0) return place;
    try {
      await reference.call(BarrierOp.Act, { atOwner: true });
    } catch (error) {
      reference.cast(BarrierOp.Break);
      throw error;
    }
    await reference.call(BarrierOp.Done);
    return -1 - place;
  }

  /** The blocking form of {@linkcode Barrier.wait}: stops the event loop. */
  waitSync(options?: WaitSyncOptions): number {
    const { timeout = this.#timeout } = checkWait("wait at barrier", options);
    checkOpen(this.#reference, "wait at the barrier");
    const reference = this.#reference;
    const outcome = reference.callSync(BarrierOp.Wait, { timeout });
    const place = this.#place(outcome, timeout);
    if (place >= 0) return place;
    try {
      reference.callSync(BarrierOp.Act, { atOwner: true });
    } catch (error) {
      reference.cast(BarrierOp.Break);
      throw error;
    }
    reference.callSync(BarrierOp.Done);
    return -1 - place;
  }

  #place(outcome: Outcome | undefined, timeout: number | undefined): number {
    if (outcome !== undefined) return outcome.number;
    this.#reference.cast(BarrierOp.Break);
    throw new BrokenBarrierError(
      `The barrier is broken: not all parties came in ${timeout} ms`,
    );
  }

  /**
   * Makes the barrier as new: whoever waits gets a
   * {@linkcode BrokenBarrierError}. Needs no `await`.
   */
  reset(): void {
    checkOpen(this.#reference, "reset the barrier");
    this.#reference.cast(BarrierOp.Reset);
  }

  /**
   * Breaks the barrier: whoever waits or comes gets a
   * {@linkcode BrokenBarrierError}, until it is reset. Needs no `await`.
   */
  abort(): void {
    checkOpen(this.#reference, "abort the barrier");
    this.#reference.cast(BarrierOp.Break);
  }

  #read(code: number): number {
    checkOpen(this.#reference, "read the barrier");
    return this.#reference.callSync(code)!.number;
  }

  /**
   * How many have to come.
   *
   * A process that neither owns the barrier nor reaches its memory asks the
   * owner and blocks until it answers; `InvalidStateError` where that cannot be
   * done. The same goes for the other properties.
   */
  get parties(): number {
    return this.#core?.parties ?? this.#read(BarrierOp.Parties);
  }

  /** How many wait at this moment. Python: `n_waiting`. */
  get waiting(): number {
    return this.#core?.waiting ?? this.#read(BarrierOp.Waiting);
  }

  /** Whether the barrier is broken. */
  get broken(): boolean {
    return this.#core?.broken ?? this.#read(BarrierOp.IsBroken) === 1;
  }

  /**
   * Lets go of the barrier. In its owner this ends it for everybody: whoever
   * waits gets a {@linkcode ClosedError}. Idempotent.
   */
  close(): void {
    closeShared(this.#reference, "barrier");
  }

  /** The same as {@linkcode Barrier.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
