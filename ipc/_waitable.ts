// Copyright 2026 the multitask authors. MIT license.

/** The method by which `wait` learns that an object is ready. */
export const waitable: unique symbol = Symbol("multitask.waitable");

/**
 * Something {@linkcode wait} can wait for. Any object may implement it.
 */
export interface Waitable {
  /**
   * Resolves when the object is ready, and takes nothing from it. When `signal`
   * is aborted it stops watching and settles as it likes.
   */
  [waitable](signal: AbortSignal): Promise<void>;
}
