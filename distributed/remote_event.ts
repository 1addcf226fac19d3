// Copyright 2026 the multitask authors. MIT license.

import { checkWait, type WaitOptions } from "../ipc/_options.ts";
import { type Waitable, waitable } from "../ipc/_waitable.ts";
import { behind, RemoteBase } from "./_remote.ts";

/**
 * A flag that lives in a manager.
 *
 * Python: the proxy of a `threading.Event`; `isSet` is a promise.
 *
 * **Cancel safety**: an aborted or timed-out `wait` leaves nothing behind.
 */
export class RemoteEvent extends RemoteBase implements Waitable {
  /** Sets the flag and wakes all who wait. Needs no `await`. */
  set(): void {
    behind(this).cast("set");
  }

  /** Clears the flag. Needs no `await`. */
  clear(): void {
    behind(this).cast("clear");
  }

  /** Whether the flag is set. */
  get isSet(): Promise<boolean> {
    return behind(this).call("isSet") as Promise<boolean>;
  }

  /**
   * Waits until the flag is set: `true`, or `false` when the `timeout` was over
   * first.
   *
   * @throws {ConnectionClosedError} If the connection broke.
   */
  async wait(options?: WaitOptions): Promise<boolean> {
    const { timeout, signal } = checkWait("wait for the event", options);
    return await behind(this).call("wait", [], { timeout, signal }) as boolean;
  }

  /** Lets `wait` of ipc include the event: ready when it is set. */
  async [waitable](signal: AbortSignal): Promise<void> {
    await this.wait({ signal });
  }
}
