// Copyright 2026 the multitask authors. MIT license.
// The modules that children start with. They are reached by URL, also when this
// package is remote. The imports below never run: they stand here so that the
// entries belong to the module graph of every program that uses this package,
// and `deno cache` or `deno install` fetches them.

/** Starts a child that runs a task. */
export const CHILD_ENTRY = new URL("./_child_main.ts", import.meta.url).href;

/** Runs before the task's module where the child may not read that itself. */
export const BOOT_ENTRY = new URL("./_child_boot.ts", import.meta.url).href;

/** Loads first what a child cannot load later if it may not read. */
export const ALL_ENTRY = new URL("./_child_all.ts", import.meta.url).href;

/** Runs before the main module in a forked child. */
export const FORK_ENTRY = new URL("./_fork_main.ts", import.meta.url).href;

/** Never called. */
export const entries: readonly (() => Promise<unknown>)[] = [
  () => import("./_child_main.ts"),
  () => import("./_child_boot.ts"),
  () => import("./_child_all.ts"),
  () => import("./_fork_main.ts"),
];
