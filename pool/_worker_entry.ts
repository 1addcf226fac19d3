// Copyright 2026 the multitask authors. MIT license.
// The main function of workers, reached by URL, also when the package is remote.

import type { Task } from "../ipc/_task_load.ts";

/** What a worker runs. */
export const WORKER_TASK: Task = {
  kind: "export",
  module: new URL("./_worker.ts", import.meta.url).href,
  name: "serve",
};

/** Never called: so the module belongs to the graph of the program. */
export const entry = (): Promise<unknown> => import("./_worker.ts");
