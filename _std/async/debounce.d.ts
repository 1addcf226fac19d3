// Copyright 2026 the multitask authors. MIT license.

// deno-lint-ignore-file no-explicit-any

export interface DebouncedFunction<T extends Array<unknown>> {
  (...args: T): void;
  clear(): void;
  flush(): void;
  readonly pending: boolean;
}

export interface DebounceOptions {
  signal?: AbortSignal | undefined;
}

export function debounce<T extends Array<any>>(
  fn: (this: DebouncedFunction<T>, ...args: T) => void,
  wait: number,
  options?: DebounceOptions,
): DebouncedFunction<T>;
