// Copyright 2026 the multitask authors. MIT license.

/**
 * Stands for `jsr:@std/assert` inside this repository: the npm build of the
 * same code, with the types it leaves out.
 *
 * @module
 */

// @ts-types="./mod.d.ts"
export * from "npm:deno-std@1.4.0/assert/mod.js";
