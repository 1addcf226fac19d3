// Copyright 2026 the multitask authors. MIT license.

/** A pipe to this program. Python: `subprocess.PIPE`. */
export const PIPE = "piped" as const;

/** Nothing: reads as empty, swallows what is written. Python: `subprocess.DEVNULL`. */
export const DEVNULL = "null" as const;

/**
 * For `stderr`: the same pipe as stdout, so that the order of all that a command
 * writes is exact. Python: `subprocess.STDOUT`.
 */
export const STDOUT = "stdout" as const;
