// Copyright 2026 the multitask authors. MIT license.
// Values by thread, and within a thread by async context.
//
//   read     the innermost run() that has the property, the runs around it, then
//            the thread's own values, which the initializer makes when they are
//            needed for the first time
//   write    the innermost run(), else the thread's own values
//   delete   the same: what lies below is seen again
//
// The object is a proxy whose target has the thread's own values. As long as
// nobody has called run(), the target is all there is; the runtime's
// AsyncLocalStorage is loaded with the first call, which takes some milliseconds.

import { shown } from "../ipc/_options.ts";

/** The methods of a {@linkcode ThreadLocal}; no property can have their names. */
export interface ThreadLocalMethods<T extends object> {
  /**
   * Calls a function in which these values are seen instead of the thread's own:
   * by the function, by all that it calls, and by what goes on after its awaits
   * and timers, whatever else the thread does meanwhile.
   *
   * What the function sets is kept with the values, and is gone with them. The
   * values are copied at the call; those of a run around this one are seen where
   * these have none.
   *
   * @param values The values, by name.
   * @param fn What to call.
   * @returns What the function returns.
   * @throws {TypeError} If `values` is no object, or `fn` no function.
   */
  run<R>(values: Partial<T>, fn: () => R): R;
}

/**
 * An object whose properties each thread has for itself.
 *
 * Python: `threading.local`. The differences: a property that is not set reads
 * as `undefined`; `init` gives the first values, once in each thread that uses
 * the object; one thread serves many requests at a time here, so that
 * {@linkcode ThreadLocalMethods.run} gives values to each of them.
 *
 * Make it at the top of a module: each thread that imports the module has its own
 * values then. It cannot be sent to another thread.
 *
 * It is for what belongs to "the current one" and would else be passed through
 * every call: the connection to a database, the request, the user.
 *
 * @typeParam T The properties.
 *
 * @example The thread's own
 * ```ts
 * import { ThreadLocal } from "@multitask/std/thread-local";
 * import { assertEquals } from "@std/assert";
 *
 * const local = new ThreadLocal<{ student: string }>();
 * local.student = "Alice";
 * assertEquals(local.student, "Alice");
 * ```
 *
 * @example Of each request
 * ```ts
 * import { ThreadLocal } from "@multitask/std/thread-local";
 * import { assertEquals } from "@std/assert";
 *
 * const request = new ThreadLocal<{ user: string }>(() => ({ user: "nobody" }));
 * const greet = async () => {
 *   await Promise.resolve();
 *   return `Hello, ${request.user}`;
 * };
 * const greetings = ["Bob", "Eve"].map((user) => request.run({ user }, greet));
 * assertEquals(await Promise.all(greetings), ["Hello, Bob", "Hello, Eve"]);
 * assertEquals(await greet(), "Hello, nobody");
 * ```
 */
export type ThreadLocal<T extends object = Record<string, unknown>> =
  & Partial<T>
  & ThreadLocalMethods<T>;

/** Makes a {@linkcode ThreadLocal}. */
export interface ThreadLocalConstructor {
  /**
   * Makes an object without properties, or with those that `init` gives.
   *
   * @param init Gives the first values; called once in each thread, when the
   * object is used there for the first time. If it throws, so does that use, and
   * the next one calls it again; so it is if it gives no object, or a promise.
   * @throws {TypeError} If `init` is not a function.
   */
  new <T extends object>(init: () => T): T & ThreadLocalMethods<T>;
  /** Makes an object without properties. */
  new <T extends object = Record<string, unknown>>(): ThreadLocal<T>;
}

/** Values by name. Those of a run() have the ones around it as prototype. */
type Values = Record<PropertyKey, unknown>;

interface ValuesStorage {
  getStore(): Values | undefined;
  run<R>(values: Values, fn: () => R): R;
}

/** Got synchronously, and only when it is needed. */
function newStorage(): ValuesStorage {
  const { AsyncLocalStorage } = globalThis.process.getBuiltinModule(
    "node:async_hooks",
  ) as unknown as { AsyncLocalStorage: new () => ValuesStorage };
  return new AsyncLocalStorage();
}

/** The traps; their first argument is the target, the thread's own values. */
class LocalHandler implements ProxyHandler<Values> {
  #init: (() => object) | undefined;
  #storage: ValuesStorage | undefined;

  constructor(init: (() => object) | undefined) {
    this.#init = init;
  }

  readonly #run = <R>(values: object, fn: () => R): R => {
    if (typeof values !== "object" || values === null) {
      throw new TypeError(
        `Cannot run with values: they must be an object, received ${
          shown(values)
        }`,
      );
    }
    if (typeof fn !== "function") {
      throw new TypeError(
        `Cannot run with values: "fn" must be a function, received ${
          shown(fn)
        }`,
      );
    }
    if (Object.hasOwn(values, "run")) throw reserved();
    this.#storage ??= newStorage();
    const around = this.#storage.getStore() ?? null;
    return this.#storage.run(Object.assign(Object.create(around), values), fn);
  };

  /** Gives the thread's own values their first ones, once. */
  #begin(own: Values): void {
    const init = this.#init;
    if (init === undefined) return;
    // It may use the object itself.
    this.#init = undefined;
    try {
      const values: unknown = init();
      checkInitial(values);
      if (Object.hasOwn(values, "run")) throw reserved();
      Object.assign(own, values);
    } catch (error) {
      this.#init = init;
      throw error;
    }
  }

  /** What is written to. */
  #top(own: Values): Values {
    const values = this.#storage?.getStore();
    if (values !== undefined) return values;
    this.#begin(own);
    return own;
  }

  /** Where a property is seen. */
  #holder(own: Values, key: PropertyKey): Values {
    const values = this.#storage?.getStore();
    if (values !== undefined && key in values) return values;
    this.#begin(own);
    return own;
  }

  get(own: Values, key: PropertyKey): unknown {
    if (key === "run") return this.#run;
    return this.#holder(own, key)[key];
  }

  set(own: Values, key: PropertyKey, value: unknown): boolean {
    if (key === "run") throw reserved();
    this.#top(own)[key] = value;
    return true;
  }

  deleteProperty(own: Values, key: PropertyKey): boolean {
    return delete this.#top(own)[key];
  }

  has(own: Values, key: PropertyKey): boolean {
    return key === "run" || key in this.#holder(own, key);
  }

  ownKeys(own: Values): (string | symbol)[] {
    this.#begin(own);
    const keys = new Set(Reflect.ownKeys(own));
    let values: Values | null = this.#storage?.getStore() ?? null;
    for (; values !== null; values = Object.getPrototypeOf(values)) {
      for (const key of Reflect.ownKeys(values)) keys.add(key);
    }
    return [...keys];
  }

  getOwnPropertyDescriptor(
    own: Values,
    key: PropertyKey,
  ): PropertyDescriptor | undefined {
    let values: Values | null = this.#holder(own, key);
    while (values !== null && !Object.hasOwn(values, key)) {
      // That of a run() around it; the thread's own have none.
      values = values === own ? null : Object.getPrototypeOf(values);
    }
    const found = values && Reflect.getOwnPropertyDescriptor(values, key);
    // What a proxy shows and its target has not must be configurable.
    return found ? { ...found, configurable: true } : undefined;
  }

  defineProperty(
    own: Values,
    key: PropertyKey,
    descriptor: PropertyDescriptor,
  ): boolean {
    if (key === "run") throw reserved();
    return Reflect.defineProperty(
      this.#top(own),
      key,
      { ...descriptor, configurable: true },
    );
  }

  preventExtensions(): boolean {
    return false;
  }
}

function checkInitial(values: unknown): asserts values is object {
  if (
    typeof values === "object" && values !== null &&
    !(values instanceof Promise)
  ) return;
  throw new TypeError(
    `Cannot initialize thread-local values: "init" must return an object, and no promise, received ${
      shown(values)
    }`,
  );
}

function reserved(): TypeError {
  return new TypeError(
    'Cannot set "run": that is the method; give the property another name',
  );
}

function makeThreadLocal(init?: () => object): object {
  if (init !== undefined && typeof init !== "function") {
    throw new TypeError(
      `Cannot create thread-local values: "init" must be a function, received ${
        shown(init)
      }`,
    );
  }
  const own: Values = Object.create(NoClone.prototype);
  return new Proxy(own, new LocalHandler(init));
}

/** Makes it an instance of a class: these are never copied to other threads. */
class NoClone {
  get [Symbol.toStringTag](): string {
    return "ThreadLocal";
  }
}

/** Makes an object whose properties each thread has for itself. */
// A constructor whose objects have properties of any name is no class.
export const ThreadLocal: ThreadLocalConstructor = function (
  init?: () => object,
) {
  return makeThreadLocal(init);
} as unknown as ThreadLocalConstructor;
