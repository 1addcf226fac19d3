// Copyright 2026 the multitask authors. MIT license.

import { EventCore, EventOp } from "./_event_core.ts";
import type { Reference } from "./_reference.ts";
import {
  checkWait,
  type WaitOptions,
  type WaitSyncOptions,
} from "./_options.ts";
import {
  checkOpen,
  claimReference,
  closeShared,
  registerHandle,
  type SharedOptions,
} from "./_shared.ts";
import { HandleNumber } from "./_shared_object.ts";
import { homes } from "./_homes.ts";
import { type Waitable, waitable } from "./_waitable.ts";

/**
 * A flag that threads and processes wait for.
 *
 * Python: `multiprocessing.Event`; `isSet` is a property. An event belongs to
 * the process that made it; pass it in the `args` of processes.
 *
 * **Cancel safety**: an aborted or timed-out `wait` leaves nothing behind.
 *
 * @example
 * ```ts
 * import { Event } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const ready = new Event();
 * assertEquals(await ready.wait({ timeout: 0 }), false);
 * ready.set();
 * assertEquals(await ready.wait(), true);
 * ```
 */
export class Event implements Waitable, Disposable {
  static {
    registerHandle(
      HandleNumber.Event,
      this.prototype,
      () => new this(),
      (place) => new EventCore(place),
    );
  }

  readonly #reference: Reference;
  /** Where this thread works on the memory itself. */
  readonly #core: EventCore | undefined;

  /** Makes an event that belongs to this process and is not set. */
  constructor(options: SharedOptions = {}) {
    this.#reference = claimReference(
      this,
      HandleNumber.Event,
      () =>
        new EventCore({
          agent: homes.agentFor("create event", options.home),
        }),
    );
    this.#core = this.#reference.direct as EventCore | undefined;
  }

  /** Sets the flag and wakes all who wait. Idempotent; needs no `await`. */
  set(): void {
    checkOpen(this.#reference, "set the event");
    if (this.#core !== undefined) this.#core.set();
    else this.#reference.cast(EventOp.Set);
  }

  /** Clears the flag. Idempotent; needs no `await`. */
  clear(): void {
    checkOpen(this.#reference, "clear the event");
    if (this.#core !== undefined) this.#core.clear();
    else this.#reference.cast(EventOp.Clear);
  }

  /**
   * Whether the flag is set at this moment.
   *
   * A process that neither owns the event nor reaches its memory asks the owner
   * and blocks until it answers; `InvalidStateError` where that cannot be done.
   */
  get isSet(): boolean {
    checkOpen(this.#reference, "read the event");
    if (this.#core !== undefined) return this.#core.isSet;
    return this.#reference.callSync(EventOp.IsSet)!.number === 1;
  }

  /**
   * Waits until the flag is set: `true`, or `false` when the `timeout` was over
   * first.
   *
   * @throws {ProcessExitError} If the process that owns the event has ended.
   */
  async wait(options?: WaitOptions): Promise<boolean> {
    const { timeout, signal } = checkWait("wait for event", options);
    checkOpen(this.#reference, "wait for the event");
    const outcome = await this.#reference.call(EventOp.Wait, {
      timeout,
      signal,
    });
    return outcome !== undefined;
  }

  /**
   * The blocking form of {@linkcode Event.wait}: stops the event loop.
   *
   * @throws {InvalidStateError} If nothing could end the wait: no other thread
   * or process reaches the event's memory.
   */
  waitSync(options?: WaitSyncOptions): boolean {
    const { timeout } = checkWait("wait for event", options);
    checkOpen(this.#reference, "wait for the event");
    return this.#reference.callSync(EventOp.Wait, { timeout }) !== undefined;
  }

  /** Lets `wait` include the event: ready when it is set. */
  async [waitable](signal: AbortSignal): Promise<void> {
    await this.wait({ signal });
  }

  /**
   * Lets go of the event. In its owner this ends it for everybody: whoever
   * waits gets a {@linkcode ClosedError}. Idempotent.
   */
  close(): void {
    closeShared(this.#reference, "event");
  }

  /** The same as {@linkcode Event.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
