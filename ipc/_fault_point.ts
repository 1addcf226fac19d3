// Copyright 2026 the multitask authors. MIT license.

/**
 * Called before each step of an operation on shared memory. Tests stop and kill
 * a process there; nothing else sets it.
 */
export let faultPoint: (() => void) | undefined;

/** Sets, or takes away, what is called before each step. */
export function setFaultPoint(point: (() => void) | undefined): void {
  faultPoint = point;
}
