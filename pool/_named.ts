// Copyright 2026 the multitask authors. MIT license.

/** Says which item an error belongs to. */
export function named(error: unknown, index: number): unknown {
  if (error instanceof Error && !("index" in error)) {
    try {
      Object.defineProperty(error, "index", {
        value: index,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    } catch {
      // A frozen one stays as it is.
    }
  }
  return error;
}
