// Copyright 2026 the multitask authors. MIT license.

import type { LockGuard } from "../ipc/lock.ts";
import type { HoldGrant } from "./_hold_servant.ts";
import { checkTtl } from "./_queue_servant.ts";
import { behind, type RemoteBase } from "./_remote.ts";
import type { Target } from "./_target.ts";

/**
 * A hold of a {@linkcode RemoteLock}, semaphore or condition. It knows its
 * acquisition: releasing it twice, or after it is over, never frees somebody
 * else's hold.
 */
export interface RemoteLockGuard extends LockGuard {
  /**
   * The number of the hold: greater than that of all before. What is done
   * elsewhere can carry it, so that a holder that is late is refused there.
   */
  readonly fence: number;
  /**
   * Has the hold last so long from now on.
   *
   * @param ttl In milliseconds. The default is what it was acquired for.
   * @throws {LeaseLostError} If the hold is over.
   */
  extend(ttl?: number): Promise<void>;
}

/** Who holds what, now. */
const holding = new WeakMap<RemoteBase, Guard>();

class Guard implements RemoteLockGuard {
  fence: number;
  abandoned: boolean;
  readonly #remote: RemoteBase;
  readonly #ttl: number | undefined;
  #isReleased = false;

  constructor(remote: RemoteBase, grant: HoldGrant, ttl: number | undefined) {
    this.#remote = remote;
    this.fence = grant.fence;
    this.abandoned = grant.abandoned;
    this.#ttl = ttl;
  }

  get #target(): Target {
    return behind(this.#remote);
  }

  async extend(ttl: number | undefined = this.#ttl): Promise<void> {
    const checked = checkTtl("extend the hold", ttl ?? 0);
    await this.#target.call("extend", [this.fence, checked]);
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    if (holding.get(this.#remote) === this) holding.delete(this.#remote);
    if (!this.#target.isClosed) {
      this.#target.cast("releaseHold", [this.fence]);
    }
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Makes the guard of a hold. */
export function makeGuard(
  remote: RemoteBase,
  grant: HoldGrant,
  ttl: number | undefined,
): RemoteLockGuard {
  const guard = new Guard(remote, grant, ttl);
  holding.set(remote, guard);
  return guard;
}

/** The latest hold of this process, if it is not released. */
export function guardOf(remote: RemoteBase): { fence: number } | undefined {
  return holding.get(remote);
}
