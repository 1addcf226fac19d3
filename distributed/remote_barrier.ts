// Copyright 2026 the multitask authors. MIT license.

import { checkWait, type WaitOptions } from "../ipc/_options.ts";
import { behind, RemoteBase } from "./_remote.ts";

/**
 * A barrier that lives in a manager.
 *
 * Python: the proxy of a `threading.Barrier`. A party that is gone while it waits
 * breaks the barrier, as one does that gives up.
 */
export class RemoteBarrier extends RemoteBase {
  /**
   * Waits until all parties are there; gives a number that each of them has
   * another one of.
   *
   * @throws {BrokenBarrierError} If the barrier is broken, or not all came in
   * time.
   */
  async wait(options?: WaitOptions): Promise<number> {
    const { timeout, signal } = checkWait("wait at barrier", options);
    return await behind(this).call("wait", [], { timeout, signal }) as number;
  }

  /** Makes the barrier as new. Needs no `await`. */
  reset(): void {
    behind(this).cast("reset");
  }

  /** Breaks the barrier. Needs no `await`. */
  abort(): void {
    behind(this).cast("abort");
  }

  /** How many have to come. */
  get parties(): Promise<number> {
    return behind(this).call("parties") as Promise<number>;
  }

  /** How many wait. */
  get waiting(): Promise<number> {
    return behind(this).call("waiting") as Promise<number>;
  }

  /** Whether it is broken. */
  get broken(): Promise<boolean> {
    return behind(this).call("broken") as Promise<boolean>;
  }
}
