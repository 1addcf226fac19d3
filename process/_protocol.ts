// Copyright 2026 the multitask authors. MIT license.
// What parent and child say to each other beside the hub's frames.
//
//   parent -> child, over stdin:    Bootstrap, one line of JSON; then nothing:
//                                   its end-of-file means the parent is gone
//   child -> parent, when connected: HELLO_SIZE bytes: role, token
//   parent -> child, control:       task + arguments | replay | refuse
//                                   interrupt
//                                   rehearse + arguments | preload (a spare)
//   child -> parent, control:       done + result | failed + error
//                                   reached (a forked child is at its call)
//                                   prepared, + error if it failed

import type { Invitation } from "../ipc/_homes.ts";
import type { MethodTask } from "../ipc/_ready_task.ts";
import type { Identity } from "../ipc/_self.ts";
import type { Task } from "../ipc/_task_load.ts";

/** Where the parent waits for its child. */
export type Address =
  | { kind: "unix"; path: string }
  | { kind: "tcp"; port: number }
  /** Inherited descriptors: `CHANNEL_FD` and `SYNC_FD`. */
  | { kind: "fd" };

/** The descriptor of the channel, where it is inherited. */
export const CHANNEL_FD = 3;

/** The descriptor for blocking requests, where it is inherited. */
export const SYNC_FD = 4;

/** What a child is told on its stdin. */
export interface Bootstrap {
  readonly address: Address;
  /** The child's secret, in hex. */
  readonly token: string;
  /** The child's place in the tree. */
  readonly path: string;
  /**
   * Whether the child has to watch for the end of its stdin: where the kernel
   * does not end it with its parent.
   */
  readonly watch: boolean;
  /**
   * What to load while it waits: the classes of handles, for a task that gets
   * some; for a spare, which has the time, all that a task may need.
   */
  readonly load: "nothing" | "handles" | "everything";
  /** Set where it asks its parent for each permission. */
  readonly asksParent?: true;
  /** What lets it join the memory that the tree of processes shares. */
  readonly arena?: Invitation;
  /** A directory to remove when the parent is gone. */
  readonly directory?: string;
}

/** The length of a hello. */
export const HELLO_SIZE = 33;

/** Roles of a connection, the first byte of a hello. */
export const Role = { Channel: 1, Sync: 2 } as const;

/** The longest line of a bootstrap. */
export const MAX_BOOTSTRAP = 4096;

/** What a child is told about itself with its task. */
export interface Introduction {
  readonly name: string;
  /** The numbers from the main process to it; a pool's worker has none. */
  readonly identity?: string;
  readonly daemon: boolean;
  readonly parent: Identity;
  /** Where the main process has started processes. */
  readonly startedAt: readonly string[];
}

/** Control messages to a child. The arguments, or the error, go with them. */
export type ToChild =
  | {
    readonly type: "run";
    readonly self: Introduction;
    readonly task: Task | MethodTask;
  }
  | {
    readonly type: "replay";
    readonly self: Introduction;
    /** What earlier calls of `fork()` gave. */
    readonly forks: readonly number[];
  }
  | { readonly type: "refuse"; readonly self: Introduction }
  | { readonly type: "interrupt" }
  | ToSpare;

/** What a spare does before its task. Each is answered by `prepared`. */
export type ToSpare =
  /** Runs a task without a result. */
  | { readonly type: "rehearse"; readonly task: Task }
  /** Imports modules that tasks may be in. */
  | {
    readonly type: "preload";
    readonly self: Introduction;
    readonly modules: readonly string[];
  };

/** Control messages to a parent. The result, or the error, goes with them. */
export type ToParent =
  | { readonly type: "done" }
  | { readonly type: "failed" }
  | { readonly type: "reached" }
  | { readonly type: "prepared"; readonly failed: boolean };

/** Writes the hello of a connection. */
export function helloBytes(role: number, token: string): Uint8Array {
  const hello = new Uint8Array(HELLO_SIZE);
  hello[0] = role;
  hello.set(Uint8Array.fromHex(token), 1);
  return hello;
}

/** Compares tokens in a time that does not tell where they differ. */
export function isToken(shown: Uint8Array, token: Uint8Array): boolean {
  if (shown.length !== token.length) return false;
  let difference = 0;
  for (let i = 0; i < token.length; i++) difference |= shown[i]! ^ token[i]!;
  return difference === 0;
}
