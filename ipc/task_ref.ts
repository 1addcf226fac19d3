// Copyright 2026 the multitask authors. MIT license.

import { shown } from "./_options.ts";

/**
 * Names a function that another process or thread can import: an export of a
 * module. Made by {@linkcode taskRef}.
 *
 * @typeParam A The parameters of the function.
 * @typeParam R What it gives.
 */
export interface TaskRef<
  A extends unknown[] = unknown[],
  R = unknown,
> {
  /** The URL of the module. */
  readonly module: string;
  /** The name of the export. */
  readonly name: string;
  /** Carries the types; not there at run time. */
  "~signature"?(...args: A): R;
}

/**
 * What runs elsewhere: a function, or a reference to one.
 *
 * @typeParam A The parameters of the function.
 * @typeParam R What it gives.
 */
export type Target<A extends unknown[] = unknown[], R = unknown> =
  | ((...args: A) => R | Promise<R>)
  | TaskRef<A, R>;

const made = new WeakSet<object>();

/**
 * Names the function that other processes shall run, by module and export.
 *
 * A function can be passed as it is in most cases; an explicit reference is for
 * those in which that is an error: a function made by another function, or one
 * whose module cannot be found out. Python pickles functions by module and name
 * in the same way.
 *
 * @param module The URL of the module: `import.meta.url` for the own one,
 * `import.meta.resolve("./tasks.ts")` for others.
 * @param name The name of the export.
 * @throws {TypeError} If `module` is not an absolute URL, or `name` is empty.
 *
 * @example
 * ```ts
 * import { taskRef } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const ref = taskRef<[number], number>("file:///app/tasks.ts", "double");
 * assertEquals(ref.name, "double");
 * ```
 */
export function taskRef<A extends unknown[] = unknown[], R = unknown>(
  module: string | URL,
  name = "default",
): TaskRef<A, R> {
  const url = module instanceof URL ? module.href : module;
  if (typeof url !== "string" || !URL.canParse(url)) {
    throw new TypeError(
      `Cannot make a task reference: "module" must be an absolute URL such as import.meta.url or import.meta.resolve("./tasks.ts"), received ${
        shown(module)
      }`,
    );
  }
  if (typeof name !== "string" || name === "") {
    throw new TypeError(
      `Cannot make a task reference: "name" must be the name of an export, received ${
        shown(name)
      }`,
    );
  }
  const ref = Object.freeze({ module: url, name });
  made.add(ref);
  return ref;
}

/** Whether a value was made by {@linkcode taskRef}. */
export function isTaskRef(value: unknown): value is TaskRef {
  return typeof value === "object" && value !== null && made.has(value);
}
