// Copyright 2026 the multitask authors. MIT license.
// Subclasses with a `run()` of their own. The other side makes the object with
// the base class's constructor (so that the base's private fields are there)
// and gives it the own fields; the subclass's constructor does not run.

import type { AnyFunction } from "./_task_load.ts";
import { TaskReferenceError } from "./errors.ts";
import { isError } from "./_inspected.ts";

/**
 * The fields that an object of a subclass carries over. The base class's own
 * are private, but for its name.
 */
export function ownFields(object: object): Record<string, unknown> {
  return { ...object };
}

/**
 * The options of an object that was made, and numbered, elsewhere: it stands for
 * the process or thread that it is in.
 */
export const REMADE: { readonly name: string } = Object.freeze({ name: "" });

/**
 * Finds the subclass of `base` and binds `run()` to an object with these fields.
 */
export async function runMethod(
  base: new (options: { name: string }) => object,
  { module, name }: { module: string; name: string },
  fields: unknown,
): Promise<() => unknown> {
  const namespace = await import(module) as Record<string, unknown>;
  const subclass = namespace[name];
  if (typeof subclass !== "function") {
    throw new TaskReferenceError(
      `Cannot find class "${name}" in ${module}: export it`,
    );
  }
  const object = Reflect.construct(base, [REMADE], subclass);
  Object.assign(object, fields);
  const { run } = object as { run: AnyFunction };
  return () => {
    try {
      const result = run.call(object);
      return result instanceof Promise
        ? result.catch((error) => Promise.reject(explained(error, name)))
        : result;
    } catch (error) {
      throw explained(error, name);
    }
  };
}

const PRIVATE =
  /private (?:member|field|method|name)|Receiver must be|Cannot (?:read|write) private/i;

function explained(error: unknown, name: string): unknown {
  if (
    !isError(error) || !(error instanceof TypeError) ||
    !PRIVATE.test(error.message)
  ) {
    return error;
  }
  return new TaskReferenceError(
    `Class "${name}" uses private #fields, which cannot be carried to another process or thread (${error.message}): use ordinary fields, which TypeScript can keep private`,
    { cause: error },
  );
}
