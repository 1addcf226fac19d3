// Copyright 2026 the multitask authors. MIT license.

/**
 * Stands for `jsr:@std/cli` inside this repository: the npm build of the same
 * code, with the types it leaves out. The files that use data files or other
 * @std packages do not load from npm and are left out.
 *
 * @module
 */

export * from "./parse_args.ts";
