// Copyright 2026 the multitask authors. MIT license.

/**
 * Stands for `jsr:@std/async` inside this repository: the npm build of the
 * same code, with the types it leaves out. The files that use other @std
 * packages do not load from npm and are left out.
 *
 * @module
 */

export * from "./abortable.ts";
export * from "./deadline.ts";
export * from "./debounce.ts";
export * from "./delay.ts";
export * from "./poll.ts";
export * from "./pool.ts";
export * from "./retry.ts";
