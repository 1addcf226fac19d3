// Copyright 2026 the multitask authors. MIT license.

import { inspected } from "../ipc/_inspected.ts";
import { shown } from "../ipc/_options.ts";

/** What a hook is told. */
export interface ExceptHookArgs {
  /** What was thrown: not an error in every case. */
  readonly error: unknown;
  /** The name of the thread, or timer, that it was thrown in. */
  readonly name: string;
  /** The ident of that thread. */
  readonly ident: number;
}

/** Called with each error that nobody has caught in a thread. */
export type ExceptHook = (args: ExceptHookArgs) => void;

let hook: ExceptHook | undefined;

/**
 * Has a function called with each uncaught error of a thread that this thread
 * has started, instead of printing it to stderr. Without an argument errors are
 * printed again.
 *
 * Python: assigning to `threading.excepthook`. The difference: the function is
 * called in the thread that has started the one that failed.
 *
 * The result of the thread rejects all the same. If the function throws, or
 * rejects, that is printed together with the error.
 *
 * @param fn What to call.
 * @returns What was called before.
 * @throws {TypeError} If it is not a function.
 *
 * @example
 * ```ts
 * import { setExcepthook, Thread } from "@multitask/std/thread";
 * import { assertEquals } from "@std/assert";
 *
 * const seen: string[] = [];
 * setExcepthook(({ name, error }) => {
 *   seen.push(`${name}: ${(error as Error).message}`);
 * });
 * const thread = new Thread({
 *   target: () => {
 *     throw new Error("no luck");
 *   },
 *   name: "gambler",
 * });
 * thread.start();
 * await thread.join();
 * assertEquals(seen, ["gambler: no luck"]);
 * setExcepthook();
 * ```
 */
export function setExcepthook(fn?: ExceptHook): ExceptHook | undefined {
  if (fn !== undefined && typeof fn !== "function") {
    throw new TypeError(
      `Cannot set the hook: it must be a function, received ${shown(fn)}`,
    );
  }
  const before = hook;
  hook = fn;
  return before;
}

/** Tells of an uncaught error, as the user wants it. For this package only. */
export function tellUncaught(args: ExceptHookArgs): void {
  if (hook === undefined) return print(args);
  const failed = (error: unknown) => {
    print({ ...args, error });
    print(args);
  };
  try {
    // A hook may be async all the same; its failure must not end the program.
    const told: unknown = hook(args);
    if (told instanceof Promise) told.catch(failed);
  } catch (error) {
    failed(error);
  }
}

function print({ error, name }: ExceptHookArgs): void {
  const text = `Exception in thread ${name}:\n${inspected(error)}\n`;
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) {
      at += Deno.stderr.writeSync(bytes.subarray(at));
    }
  } catch {
    // Nobody reads it: whoever asks for the result gets the error.
  }
}
