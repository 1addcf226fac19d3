// Copyright 2026 the multitask authors. MIT license.
// An object of a user's as guests of its manager call it: by the names of its
// shape, which are looked up in a set and never on the object first.

import { type CallContext, noSuchMethod, type Servant } from "./_servant.ts";
import { shapeOf } from "./_shape.ts";
import { Kind, type Shape } from "./_wire.ts";

/** How an object is shared. */
export interface ObjectOptions {
  /** The names that can be reached; by default all that are public. */
  readonly exposed?: readonly string[] | undefined;
  /** Methods whose results are shared, too, and not copied. */
  readonly shared?: readonly string[] | undefined;
}

/** How the object of a result is shared. */
export interface ShareOptions extends ObjectOptions {
  /** How often an item of a queue is tried. */
  readonly maxAttempts?: number | undefined;
  /** What serves it, where that is known already. */
  readonly servant?: Servant | undefined;
}

/** A result that is shared and not copied. */
export class SharedResult {
  readonly object: object;
  readonly options: ShareOptions;

  constructor(object: object, options: ShareOptions = {}) {
    this.object = object;
    this.options = options;
  }
}

/** See the file comment. */
export class ObjectServant implements Servant {
  readonly kind = Kind.Object;
  readonly shape: Shape;
  readonly keepsProxies = false;
  readonly #object: Record<string, unknown>;
  readonly #methods: ReadonlySet<string>;
  readonly #properties: ReadonlySet<string>;
  readonly #shared: ReadonlySet<string>;

  constructor(object: object, { exposed, shared }: ObjectOptions = {}) {
    this.#object = object as Record<string, unknown>;
    this.shape = shapeOf(object, exposed);
    this.#methods = new Set(this.shape.methods);
    this.#properties = new Set(this.shape.properties);
    this.#shared = new Set(shared);
  }

  call(name: string, args: readonly unknown[], _context: CallContext): unknown {
    const object = this.#object;
    if (this.#properties.has(name)) return this.#result(name, object[name]);
    const method = this.#methods.has(name) ? object[name] : undefined;
    if (typeof method !== "function") throw noSuchMethod(name);
    const result = Reflect.apply(method, object, args);
    return result instanceof Promise
      ? result.then((value) => this.#result(name, value))
      : this.#result(name, result);
  }

  #result(name: string, value: unknown): unknown {
    if (typeof value !== "object" || value === null) return value;
    if (this.#shared.has(name)) return new SharedResult(value);
    // What Map, Set and Array give to be looped over.
    return value instanceof Iterator ? [...value] : value;
  }
}
