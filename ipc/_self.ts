// Copyright 2026 the multitask authors. MIT license.
// What this process knows of itself: set once, when a child learns who it is, or
// when a thread learns whose it is.

/** Who a process is, as others are told. */
export interface Identity {
  readonly name: string;
  readonly pid: number;
}

/** The process as it sees itself. */
export interface Self {
  name: string;
  /** The numbers from the main process to this one: `1:2`; "" in the main. */
  identity: string;
  daemon: boolean;
  /** The main module of its program; the runtime tells it no thread. */
  mainModule: string;
  /** Whether this is not the main thread of the process. */
  isThread: boolean;
  /** Who started it with this package; `undefined` in the main process. */
  parent: Identity | undefined;
  /** A forked child runs its main module again: then until it is there. */
  replaying: boolean;
  /** Whether this is a forked child. */
  forked: boolean;
  /** Whether the task's module is being loaded: it must not start processes. */
  loading: boolean;
  /** Whether it asks its parent for each permission: permissions "exact". */
  asksParent: boolean;
  /** Where the main process has started processes, and threads, so far. */
  startedAt: readonly string[];
  /** Aborted by `interrupt()`. */
  readonly interrupted: AbortController;
  /**
   * What it waits for before its end: the processes and threads that it has
   * started. Added by the modules that start them.
   */
  readonly beforeEnd: Set<() => Promise<void>>;
  /**
   * Has somebody told when the parent's end is seen, and keeps the process alive
   * until then; call the result to stop it. Set in a child.
   */
  watchParent: ((ended: () => void) => () => void) | undefined;
}

/** This process. */
export const self: Self = {
  name: "MainProcess",
  identity: "",
  daemon: false,
  mainModule: Deno.mainModule,
  isThread: false,
  parent: undefined,
  replaying: false,
  forked: false,
  loading: false,
  asksParent: false,
  startedAt: [],
  interrupted: new AbortController(),
  beforeEnd: new Set(),
  watchParent: undefined,
};

/** Waits for the processes and threads that this one has started. */
export async function joinStarted(): Promise<void> {
  await Promise.all([...self.beforeEnd].map((join) => join()));
}

/** What a thread is told of its process. */
export type ProcessOfThread = Pick<
  Self,
  | "name"
  | "identity"
  | "daemon"
  | "mainModule"
  | "parent"
  | "asksParent"
  | "forked"
  | "startedAt"
>;
