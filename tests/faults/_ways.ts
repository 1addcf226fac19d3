// Copyright 2026 the multitask authors. MIT license.
// The ways from a parent to its children, and what ends a child with its
// parent, as flags and environments of a program.

import type { ProgramOptions } from "./_program.ts";

/** How parent and child are connected, by the permissions of the parent. */
export const WAYS = {
  /** A Unix socket without a file. */
  abstract: ["-A"],
  /** Inherited descriptors. */
  descriptor: ["--allow-run", "--allow-read", "--allow-env=NODE_V8_COVERAGE"],
  /** A Unix socket in a private directory. */
  directory: ["--allow-read", "--allow-write", "--allow-net", "--allow-run"],
  /** A loopback port. */
  port: [
    "--allow-read",
    "--allow-net=127.0.0.1",
    `--allow-run=${Deno.execPath()}`,
  ],
} as const satisfies Record<string, readonly string[]>;

/** The name of a way. */
export type Way = keyof typeof WAYS;

/** The options of a program that takes a way. */
export function by(way: Way, args: readonly string[] = []): ProgramOptions {
  return { flags: WAYS[way], args };
}

/** A search path without `setpriv`: children watch for themselves. */
export const NO_KERNEL_GUARD = { PATH: "/nonexistent" };
