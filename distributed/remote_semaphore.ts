// Copyright 2026 the multitask authors. MIT license.

import { checkInteger } from "../ipc/_options.ts";
import { behind } from "./_remote.ts";
import { RemoteHoldable, type RemoteHoldOptions } from "./_remote_hold.ts";
import type { RemoteLockGuard } from "./remote_lock_guard.ts";

/**
 * A semaphore that lives in a manager.
 *
 * Python: the proxy of a `threading.Semaphore`. Permits of a bounded one come
 * back when their holder is gone; those of another one, which may be a signal,
 * only with `recover`.
 *
 * **Ordering**: those who wait are served first come, first served.
 *
 * **Cancel safety**: an aborted or timed-out `acquire` takes nothing.
 */
export class RemoteSemaphore extends RemoteHoldable {
  /**
   * Waits for a permit and takes it. Resolves to `null` when the `timeout` is
   * over first.
   */
  acquire(
    options?: RemoteHoldOptions & { timeout?: never },
  ): Promise<RemoteLockGuard>;
  /** The same with a time-out: resolves to `null` when it is over first. */
  acquire(options: RemoteHoldOptions): Promise<RemoteLockGuard | null>;
  acquire(options?: RemoteHoldOptions): Promise<RemoteLockGuard | null> {
    return this.hold("acquire semaphore", options);
  }

  /** Takes a permit if there is one now, else resolves to `null`. */
  tryAcquire(
    options?: Pick<RemoteHoldOptions, "ttl">,
  ): Promise<RemoteLockGuard | null> {
    return this.acquire({ ...options, timeout: 0 });
  }

  /**
   * Gives permits, whoever took them. Needs no `await`.
   *
   * @param count How many.
   * @throws {RangeError} If `count` is not an integer >= 1.
   * @throws {InvalidStateError} If there would be too many: at the next awaited
   * call.
   */
  release(count = 1): void {
    checkInteger("release semaphore", "count", count, 1);
    behind(this).cast("release", [count]);
  }

  /** How many permits are there. */
  get value(): Promise<number> {
    return behind(this).call("value") as Promise<number>;
  }
}
