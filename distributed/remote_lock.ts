// Copyright 2026 the multitask authors. MIT license.

import { RemoteHoldable, type RemoteHoldOptions } from "./_remote_hold.ts";
import { behind } from "./_remote.ts";
import type { RemoteLockGuard } from "./remote_lock_guard.ts";

/**
 * A lock that lives in a manager, perhaps on another machine.
 *
 * Python: the proxy of a `threading.Lock`. Unlike there a hold is a lease: it
 * ends with its `ttl`, or with the session of its holder, and each has a `fence`,
 * which rises.
 *
 * **Ordering**: waiters are served first come, first served.
 *
 * **Cancel safety**: an aborted or timed-out `acquire` holds nothing.
 *
 * @example
 * ```ts
 * import { SyncManager } from "@multitask/std/distributed";
 * import { assert, assertEquals } from "@std/assert";
 *
 * await using manager = new SyncManager({ authkey: "a long random secret" });
 * await manager.start();
 * const lock = await manager.lock();
 * {
 *   using guard = await lock.acquire();
 *   assert(guard.fence > 0);
 *   assertEquals(await lock.tryAcquire(), null);
 * }
 * assertEquals(await lock.locked, false);
 * ```
 */
export class RemoteLock extends RemoteHoldable {
  /**
   * Waits until the lock is free and takes it. Resolves to `null` when the
   * `timeout` is over first.
   *
   * @throws {ConnectionClosedError} If the connection broke.
   */
  acquire(
    options?: RemoteHoldOptions & { timeout?: never },
  ): Promise<RemoteLockGuard>;
  /** The same with a time-out: resolves to `null` when it is over first. */
  acquire(options: RemoteHoldOptions): Promise<RemoteLockGuard | null>;
  acquire(options?: RemoteHoldOptions): Promise<RemoteLockGuard | null> {
    return this.hold("acquire lock", options);
  }

  /** Takes the lock if it is free now, else resolves to `null`. */
  tryAcquire(
    options?: Pick<RemoteHoldOptions, "ttl">,
  ): Promise<RemoteLockGuard | null> {
    return this.acquire({ ...options, timeout: 0 });
  }

  /**
   * Frees the lock, whoever holds it. Needs no `await`.
   *
   * @throws {InvalidStateError} If nobody holds it: at the next awaited call.
   */
  release(): void {
    behind(this).cast("release");
  }

  /** Whether somebody holds the lock. */
  get locked(): Promise<boolean> {
    return behind(this).call("locked") as Promise<boolean>;
  }
}
