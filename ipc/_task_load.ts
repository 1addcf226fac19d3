// Copyright 2026 the multitask authors. MIT license.
// A task as it crosses, and how the side that runs it gets hold of the
// function. How it is named in the first place is in _task.ts.

import { TaskReferenceError } from "./errors.ts";
import { inspected, isError } from "./_inspected.ts";

/** Any function, for those who only pass it on. */
// deno-lint-ignore ban-types -- a target is called with what came with it.
export type AnyFunction = Function;

/** A function as it crosses. */
export type Task =
  /** This export; if `source` is given, its text must be this. */
  | { kind: "export"; module: string; name: string; source?: string }
  /** The only export of this module that has this name and text. */
  | { kind: "match"; module: string; name: string; source: string }
  /** This text. */
  | SourceTask;

/** A function that crosses by its text. */
export interface SourceTask {
  readonly kind: "source";
  readonly name: string;
  readonly source: string;
  /** Why it was not found among the exports of a module, if that is known. */
  readonly why?: string;
  /** The export that it may be. */
  readonly exported?: string;
}

/** A function and the module it came from, on the side that runs it. */
export interface LoadedTask {
  readonly run: AnyFunction;
  /** The module's exports, where there is a module. */
  readonly namespace: Record<string, unknown> | undefined;
}

/**
 * Gets hold of the function a task names, in the process that runs it.
 *
 * @throws {TaskReferenceError} If it is not there.
 */
export async function loadTask(task: Task): Promise<LoadedTask> {
  if (task.kind === "source") {
    return { run: await compile(task), namespace: undefined };
  }
  const { module } = task;
  const namespace = await loadModule(module);
  const run = task.kind === "match"
    ? matching(namespace, task)
    : namespace[task.name];
  if (typeof run === "function") {
    if (/^class\b/.test(Function.prototype.toString.call(run))) {
      throw new TaskReferenceError(
        `Cannot run "${task.name}" of ${module}: it is a class; name a function`,
      );
    }
    if (
      task.source === undefined ||
      Function.prototype.toString.call(run) === task.source
    ) return { run, namespace };
  } else if (task.source === undefined) {
    const names = Object.keys(namespace).join(", ");
    throw new TaskReferenceError(
      `Cannot find function "${task.name}" in ${module}: ${
        names ? `it exports ${names}` : "it exports nothing"
      }; export the function`,
    );
  }
  // The function is in that module but not an export of it, or another one
  // that has the same name.
  return {
    run: await compile({
      kind: "source",
      name: task.name,
      source: task.source!,
    }),
    namespace,
  };
}

/**
 * Imports a module that tasks are in.
 *
 * @throws {TaskReferenceError} If that fails.
 */
export async function loadModule(
  module: string,
): Promise<Record<string, unknown>> {
  try {
    return await import(module);
  } catch (error) {
    throw new TaskReferenceError(
      `Cannot load the task's module ${module}: ${
        isError(error) ? `${error}` : inspected(error)
      }`,
      { cause: error },
    );
  }
}

function matching(
  namespace: Record<string, unknown>,
  { name, source, module }: Task & { kind: "match" },
): unknown {
  const found = new Set<unknown>();
  for (const value of Object.values(namespace)) {
    if (
      typeof value === "function" && value.name === name &&
      Function.prototype.toString.call(value) === source
    ) found.add(value);
  }
  if (found.size > 1) {
    throw new TaskReferenceError(
      `Cannot tell which function "${name}" of ${module} is meant: several read the same; name it with taskRef(import.meta.url, "name")`,
    );
  }
  return [...found][0];
}

/** Makes a function of its text. It sees the globals and nothing else. */
async function compile(task: SourceTask): Promise<AnyFunction> {
  const { name, source } = task;
  // What it imports by a relative path is beside its module, which is not this
  // one: a module made of text stands beside nothing.
  const evaluated = /\bimport\s*\(/.test(source) ? moduleValue : scriptValue;
  // A method's text is no expression by itself; in an object it is.
  for (const text of [`(${source})`, `Object.values({${source}})[0]`]) {
    let run: unknown;
    try {
      run = await evaluated(text);
    } catch {
      continue;
    }
    if (typeof run === "function") return missingNames(run, task);
  }
  throw new TaskReferenceError(
    `Cannot send function "${name}" by its source: it does not stand alone; export it, or name it with taskRef(import.meta.url, "name")`,
  );
}

function scriptValue(text: string): unknown {
  return new Function(`"use strict"; return ${text};`)();
}

async function moduleValue(text: string): Promise<unknown> {
  const module = `export const value = ${text};`;
  const url = `data:text/javascript,${encodeURIComponent(module)}`;
  const namespace: { value: unknown } = await import(url);
  return namespace.value;
}

/** The error for a function that imports what is beside its own module. */
export function relativeImport(
  name: string,
  specifier: string,
  cause?: unknown,
): TaskReferenceError {
  const called = name === "" ? "(anonymous)" : `"${name}"`;
  return new TaskReferenceError(
    `Cannot send function ${called} by its source: it imports "${specifier}", which only the module that it is in can find; export the function, or pass import.meta.resolve("${specifier}") as an argument`,
    { cause },
  );
}

const MISSING = /^(.+) is not defined$/;

/** What the runtime says of a relative import in a module made of text. */
const RELATIVE =
  /^Import "(\.{0,2}\/[^"]*)" not a dependency|relative URL with a cannot-be-a-base base/;

/** Says what to do when the function misses a name of its module. */
function missingNames(
  run: AnyFunction,
  { name, why, exported }: SourceTask,
): AnyFunction {
  const explained = (error: unknown): unknown => {
    const missing = isError(error) && error instanceof ReferenceError
      ? MISSING.exec(error.message)?.[1]
      : undefined;
    const relative = isError(error) && error instanceof TypeError
      ? RELATIVE.exec(error.message)
      : null;
    if (relative !== null) {
      return relativeImport(name, relative[1] ?? "./...", error);
    }
    if (missing === undefined) return error;
    return new TaskReferenceError(
      `Function ${
        name === "" ? "(anonymous)" : `"${name}"`
      } was sent by its source, because ${
        why ?? "it was not found among the exports of a module"
      }, and uses "${missing}", which only its module or an enclosing call has: ${
        exported === undefined
          ? `export the function, or name it with taskRef(import.meta.url, "name")`
          : `name it with taskRef(import.meta.url, "${exported}")`
      }`,
      { cause: error },
    );
  };
  return async (...args: unknown[]) => {
    try {
      return await run(...args);
    } catch (error) {
      throw explained(error);
    }
  };
}
