// Copyright 2026 the multitask authors. MIT license.

export interface PollOptions {
  signal?: AbortSignal;
  interval?: number;
}

export function poll<T>(
  fn: () => T,
  isDone: (result: Awaited<T>) => boolean,
  options?: PollOptions,
): Promise<Awaited<T>>;
