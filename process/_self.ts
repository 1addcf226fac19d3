// Copyright 2026 the multitask authors. MIT license.
// What this process knows of itself: set once, when a child learns who it is.

import { AsyncLocalStorage } from "node:async_hooks";
import type { Identity } from "./_protocol.ts";

/** The process as it sees itself. */
export interface Self {
  name: string;
  daemon: boolean;
  /** Who started it with this package; `undefined` in the main process. */
  parent: Identity | undefined;
  /** Whether the channel to the parent is up. */
  parentAlive: boolean;
  /** A forked child runs its main module again: then until it is there. */
  replaying: boolean;
  /** Whether this is a forked child. */
  forked: boolean;
  /** Aborted by `interrupt()`. */
  readonly interrupted: AbortController;
}

/** This process. */
export const self: Self = {
  name: "MainProcess",
  daemon: false,
  parent: undefined,
  parentAlive: false,
  replaying: false,
  forked: false,
  interrupted: new AbortController(),
};

const task = new AsyncLocalStorage<true>();

/** Runs a task: what it starts belongs to it. */
export function runAsTask<T>(run: () => T): T {
  return task.run(true, run);
}

/**
 * Whether the caller may start processes: in a child only what the task does,
 * not what its module does when it is loaded.
 */
export function mayStart(): boolean {
  return self.parent === undefined || self.forked ||
    task.getStore() === true;
}
