// Copyright 2026 the multitask authors. MIT license.
// What a thread and its starter say to each other beside the hub's frames.
//
//   starter -> thread   once: Boot, within the invitation to the tree
//                       run + arguments | refuse + error     stop
//   thread -> starter   up (it holds its lock), then any of
//                       done + result | failed + error, once
//                       late + error: one more, behind the first
//                       exiting: it ends by itself, without a result

import type { MethodTask } from "../ipc/_ready_task.ts";
import type { Task } from "../ipc/_task_load.ts";

/** What a thread is told first. */
export interface Boot {
  readonly ident: number;
  readonly name: string;
  readonly daemon: boolean;
  /** The Web Lock that it holds as long as it lives. */
  readonly lock: string;
  /** The threads of the process. */
  readonly directory: SharedArrayBuffer;
}

/** Messages to a thread. */
export type ToThread =
  | { readonly type: "run"; readonly task: Task | MethodTask }
  | { readonly type: "refuse" }
  | { readonly type: "stop" };

/** Messages to the starter of a thread. */
export type ToStarter =
  | { readonly type: "up" }
  | { readonly type: "done" }
  | { readonly type: "failed" }
  | { readonly type: "late" }
  | { readonly type: "exiting"; readonly code: number };
