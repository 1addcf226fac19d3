// Copyright 2026 the multitask authors. MIT license.

import type { Thread } from "./thread.ts";

/** The threads that this one has started and that live, by ident. */
export const startedHere: Map<number, Thread> = new Map();
