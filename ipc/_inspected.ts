// Copyright 2026 the multitask authors. MIT license.
// Anything can be thrown: an object without a prototype, a revoked proxy, an
// error whose own methods throw. Who reports it must get through all the same.

/** Whether a value is an error; a proxy that will not tell is none. */
export function isError(value: unknown): value is Error {
  try {
    return value instanceof Error;
  } catch {
    return false;
  }
}

/** A value as text, for messages and stderr. Never throws. */
export function inspected(value: unknown): string {
  if (typeof value === "string") return value;
  for (const show of [inspect, String, tag]) {
    try {
      return show(value);
    } catch {
      // A method of the value's own has thrown, or it is a revoked proxy.
    }
  }
  return "(a value that cannot be shown)";
}

/** The message of an error, or what else was thrown as text. Never throws. */
export function messageOf(error: unknown): string {
  try {
    if (error instanceof Error) return String(error.message);
  } catch {
    // As above.
  }
  return inspected(error);
}

function inspect(value: unknown): string {
  return Deno.inspect(value, { colors: false });
}

function tag(value: unknown): string {
  return Object.prototype.toString.call(value);
}
