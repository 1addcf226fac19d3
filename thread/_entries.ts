// Copyright 2026 the multitask authors. MIT license.
// The modules that threads start with, reached by URL, also when this package is
// remote. The import below never runs: it stands here so that the entry belongs
// to the module graph of every program that uses this package.

/** What a thread starts with. */
export const ENTRY: string = new URL("./_thread_main.ts", import.meta.url).href;

/** Loads first what a thread cannot load later if it may not read. */
const ALL = new URL("./_thread_all.ts", import.meta.url).href;

const RUNTIME = new URL("./_thread_runtime.ts", import.meta.url).href;

/**
 * An entry for a thread that may not read the module of its task: what is named
 * in its text belongs to its module graph, which needs no permission.
 */
export function builtEntry(preload: string): string {
  const text = `import ${JSON.stringify(ALL)};
import { begin } from ${JSON.stringify(RUNTIME)};
begin(() => import(${JSON.stringify(preload)}));`;
  return `data:text/javascript,${encodeURIComponent(text)}`;
}

/** Never called. */
export const entries: readonly (() => Promise<unknown>)[] = [
  () => import("./_thread_main.ts"),
  () => import("./_thread_all.ts"),
];
