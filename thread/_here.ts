// Copyright 2026 the multitask authors. MIT license.
// What this thread knows of itself: set once, when it is started.

import { MAIN_IDENT, MAIN_NAME, ThreadDirectory } from "./_directory.ts";
import type { Boot } from "./_protocol.ts";

/** The thread as it sees itself. */
export interface Here {
  readonly ident: number;
  readonly name: string;
  readonly daemon: boolean;
  /** The threads of the process. */
  readonly directory: ThreadDirectory;
  /** Aborted when this thread is to be terminated. */
  readonly stopping: AbortController;
  /** Has the threads end that it has started, if it has started any. */
  abandonThreads: () => void;
}

let now: Here | undefined;

/** This thread. The main one makes the directory when it is asked for. */
export function here(): Here {
  return now ??= {
    ident: MAIN_IDENT,
    name: MAIN_NAME,
    daemon: false,
    directory: new ThreadDirectory(),
    stopping: new AbortController(),
    abandonThreads() {},
  };
}

/** In a thread that was started: says which. */
export function becomeThread({ ident, name, daemon, directory }: Boot): void {
  now = {
    ident,
    name,
    daemon,
    directory: new ThreadDirectory(directory),
    stopping: new AbortController(),
    // A module may have been loaded before.
    abandonThreads: now?.abandonThreads ?? (() => {}),
  };
}
