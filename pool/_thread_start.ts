// Copyright 2026 the multitask authors. MIT license.
// How a pool starts workers that are threads of this process.

import { callerFiles } from "../ipc/_task.ts";
import { checkGuarded } from "../ipc/_unguarded.ts";
import {
  type ThreadPermissionMode,
  workerGrants,
} from "../thread/_permissions.ts";
import { ThreadWorker } from "./_thread_worker.ts";
import type { StartWorker } from "./_worker_handle.ts";

/** Options of workers that are threads. */
export interface ThreadWorkerOptions {
  /**
   * What the workers may do; never more than this thread. Anything but
   * `"inherit"` needs `--unstable-worker-options`.
   *
   * @default {"inherit"}
   */
  permissions?: ThreadPermissionMode;
}

/** Checks the options; gives what starts a worker. */
export function threadStarter(
  action: string,
  { permissions }: ThreadWorkerOptions,
): StartWorker {
  const grants = workerGrants(action, permissions);
  checkGuarded(action);
  const [preload] = callerFiles();
  return (id, events) =>
    new ThreadWorker(
      id,
      { name: `PoolWorker-${id}`, grants, preload },
      events,
    );
}
