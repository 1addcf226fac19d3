// Copyright 2026 the multitask authors. MIT license.
// What remote locks, semaphores and conditions have in common: holds.

import { checkWait, type WaitOptions } from "../ipc/_options.ts";
import type { HoldGrant } from "./_hold_servant.ts";
import { checkTtl } from "./_queue_servant.ts";
import { behind, RemoteBase } from "./_remote.ts";
import { makeGuard, type RemoteLockGuard } from "./remote_lock_guard.ts";

/** Options of `acquire` of {@linkcode RemoteLock} and its kin. */
export interface RemoteHoldOptions extends WaitOptions {
  /**
   * How long the hold lasts, in milliseconds, unless it is extended.
   *
   * @default {undefined} until it is released, or this process is gone
   */
  ttl?: number;
}

/** See the file comment. */
export abstract class RemoteHoldable extends RemoteBase {
  /** Acquires. For this package only. */
  protected async hold(
    action: string,
    options: RemoteHoldOptions = {},
  ): Promise<RemoteLockGuard | null> {
    const { timeout, signal } = checkWait(action, options);
    const ttl = checkTtl(action, options.ttl);
    const target = behind(this);
    const late = (value: unknown) => {
      if (value !== null) {
        target.cast("releaseHold", [(value as HoldGrant).fence]);
      }
    };
    const grant = await target.call("acquire", [ttl], {
      timeout,
      signal,
      late,
    });
    return grant === null ? null : makeGuard(this, grant as HoldGrant, ttl);
  }
}
