// Copyright 2026 the multitask authors. MIT license.

import { shown } from "../ipc/_options.ts";

/**
 * Calls what the user has given. What it throws, at once or later, is the
 * user's error: it is told to `failed`, and ends nothing.
 */
export function callBack<T>(
  callback: (value: T) => unknown,
  value: T,
  failed: (error: unknown) => void,
): void {
  try {
    const returned = callback(value);
    if (returned instanceof Promise) returned.catch(failed);
  } catch (error) {
    failed(error);
  }
}

/** Throws unless it is a function. */
export function checkCallback(
  action: string,
  name: string,
  callback: unknown,
): void {
  if (typeof callback !== "function") {
    throw new TypeError(
      `Cannot ${action}: "${name}" must be a function, received ${
        shown(callback)
      }`,
    );
  }
}
