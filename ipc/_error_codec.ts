// Copyright 2026 the multitask authors. MIT license.
// Errors cross by their parts, never by structured clone (which drops the
// subclass, the name and own fields) and never by running a constructor of
// the user's (which may need arguments nobody has kept).

import * as own from "./errors.ts";
import { RemoteError } from "./errors.ts";

/** The parts of an error as they cross. */
export interface ErrorParts {
  className: string;
  /** An own `name` that differs from the class's, else `undefined`. */
  name: string | undefined;
  message: string;
  stack: string | undefined;
  /** The `errors` of an AggregateError, else `undefined`. */
  errors: unknown[] | undefined;
  hasCause: boolean;
  cause: unknown;
  /** Own enumerable fields, by name. */
  fields: [string, unknown][];
}

/** Finds an error class by name in what this side knows. */
export type ErrorClassLookup = (name: string) => unknown;

type ErrorClass = { readonly prototype: Error };

const KNOWN = new Map<string, ErrorClass>();
for (
  const type of [
    Error,
    EvalError,
    RangeError,
    ReferenceError,
    SyntaxError,
    TypeError,
    URIError,
    AggregateError,
    SuppressedError,
    ...Object.values(Deno.errors),
    ...Object.values(own),
  ] as ErrorClass[]
) {
  const name = (type as unknown as { name: string }).name;
  if (!KNOWN.has(name)) KNOWN.set(name, type);
}

const PARTS = new Set(["name", "message", "stack", "cause"]);

/** Own fields of a SuppressedError that are not enumerable. */
const SUPPRESSED_PARTS = ["error", "suppressed"];

/** A field of an error; `undefined` when reading it throws. */
function part(error: Error, key: string): unknown {
  try {
    return (error as unknown as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}

function text(value: unknown): string {
  try {
    return String(value ?? "");
  } catch {
    return "";
  }
}

/** Takes an error apart. Getters that throw are passed over. */
export function errorParts(error: Error): ErrorParts {
  const own = (key: string) => Object.hasOwn(error, key);
  const errors = own("errors") ? part(error, "errors") : undefined;
  const isList = Array.isArray(errors);
  const keys = Object.keys(error).filter((key) =>
    !PARTS.has(key) && !(isList && key === "errors")
  );
  if (error instanceof SuppressedError) keys.push(...SUPPRESSED_PARTS);
  const fields: [string, unknown][] = [];
  for (const key of keys) {
    try {
      fields.push([key, (error as unknown as Record<string, unknown>)[key]]);
    } catch {
      // A field whose getter throws has no value to carry.
    }
  }
  const isDom = error instanceof DOMException;
  const type = part(error, "constructor") as { name?: unknown } | undefined;
  const stack = part(error, "stack");
  return {
    className: isDom ? "DOMException" : text(type?.name),
    name: isDom || own("name") ? text(part(error, "name")) : undefined,
    message: text(part(error, "message")),
    stack: typeof stack === "string" ? stack : undefined,
    errors: isList ? errors : undefined,
    hasCause: own("cause"),
    cause: part(error, "cause"),
    fields,
  };
}

function hidden(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, {
    value,
    writable: true,
    configurable: true,
    enumerable: false,
  });
}

/** What stands for an error of a class that was not known, and its class. */
export const unknownClasses: WeakMap<
  Error,
  { readonly className: string; readonly name: string | undefined }
> = new WeakMap();

/**
 * Makes the bare error for a class name: the class itself where it is known,
 * else a `RemoteError` of that name. Fields are filled by the caller, so that
 * an error which refers to itself can be decoded.
 */
export function errorShell(
  className: string,
  name: string | undefined,
  message: string,
  lookup: ErrorClassLookup | undefined,
): Error {
  if (className === "DOMException") return new DOMException(message, name);
  let prototype = KNOWN.get(className)?.prototype;
  if (prototype === undefined && lookup !== undefined) {
    const found = lookup(className);
    const candidate = typeof found === "function" ? found.prototype : undefined;
    if (candidate instanceof Error) prototype = candidate;
  }
  const error = new Error(message);
  Object.setPrototypeOf(error, prototype ?? RemoteError.prototype);
  if (prototype === undefined) {
    hidden(error, "name", name ?? className);
    unknownClasses.set(error, { className, name });
    Object.assign(error, { process: "", pid: -1, remoteStack: "" });
  } else if (name !== undefined) {
    hidden(error, "name", name);
  }
  return error;
}

/** Fills in what {@linkcode errorShell} left open. */
export function fillError(
  error: Error,
  parts: Pick<ErrorParts, "stack" | "errors" | "hasCause" | "cause" | "fields">,
): void {
  if (parts.stack !== undefined) hidden(error, "stack", parts.stack);
  if (parts.errors !== undefined) hidden(error, "errors", parts.errors);
  if (parts.hasCause) hidden(error, "cause", parts.cause);
  for (const [key, value] of parts.fields) {
    const isPart = error instanceof SuppressedError &&
      SUPPRESSED_PARTS.includes(key);
    Object.defineProperty(error, key, {
      value,
      writable: true,
      configurable: true,
      enumerable: !isPart,
    });
  }
}

/** Hangs the remote stack and the process's name and pid on `error.cause`. */
export function attributeError(
  error: unknown,
  process: string,
  pid: number,
): unknown {
  if (!(error instanceof Error)) return error;
  const remoteStack = error.stack ?? "";
  const where = `${process} (pid ${pid})`;
  const cause = new RemoteError(`Thrown in ${where}`, {
    process,
    pid,
    remoteStack,
    ...(Object.hasOwn(error, "cause") ? { cause: error.cause } : {}),
  });
  hidden(
    cause,
    "stack",
    `RemoteError: Thrown in ${where}\n${
      remoteStack.split("\n").map((line) => `    ${line}`).join("\n")
    }`,
  );
  hidden(error, "cause", cause);
  hidden(error, "stack", `${error.name}: ${error.message}\n    at ${where}`);
  return error;
}
