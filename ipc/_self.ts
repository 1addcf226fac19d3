// Copyright 2026 the multitask authors. MIT license.
// What this process knows of itself: set once, when a child learns who it is.

/** Who a process is, as others are told. */
export interface Identity {
  readonly name: string;
  readonly pid: number;
}

/** The process as it sees itself. */
export interface Self {
  name: string;
  daemon: boolean;
  /** Who started it with this package; `undefined` in the main process. */
  parent: Identity | undefined;
  /** A forked child runs its main module again: then until it is there. */
  replaying: boolean;
  /** Whether this is a forked child. */
  forked: boolean;
  /** Whether the task's module is being loaded: it must not start processes. */
  loading: boolean;
  /** Where the main process has started processes. */
  startedAt: readonly string[];
  /** Aborted by `interrupt()`. */
  readonly interrupted: AbortController;
  /**
   * Waits for the processes that this one has started, as it must before its
   * end; set by the module that starts them.
   */
  joinChildren: (() => Promise<void>) | undefined;
}

/** This process. */
export const self: Self = {
  name: "MainProcess",
  daemon: false,
  parent: undefined,
  replaying: false,
  forked: false,
  loading: false,
  startedAt: [],
  interrupted: new AbortController(),
  joinChildren: undefined,
};
