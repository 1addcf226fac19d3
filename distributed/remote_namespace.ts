// Copyright 2026 the multitask authors. MIT license.

import { behind, RemoteBase } from "./_remote.ts";

/**
 * Named values that live in a manager.
 *
 * Python: the proxy of a `Namespace`, with methods in the place of attributes,
 * since reading one takes a promise. Names that start with `_` are refused.
 *
 * @typeParam T The values, by their names.
 */
export class RemoteNamespace<
  T extends object = Record<string, unknown>,
> extends RemoteBase {
  async #get<R>(method: string, ...args: unknown[]): Promise<R> {
    // Whoever shares a namespace shares its type.
    return await behind(this).call(method, args, { isCopy: true }) as R;
  }

  /** The value of a name; `undefined` where there is none. */
  get<K extends keyof T>(name: K): Promise<T[K]> {
    return this.#get("get", name);
  }

  /** Sets the value of a name. */
  async set<K extends keyof T>(name: K, value: T[K]): Promise<void> {
    await this.#get("set", name, value);
  }

  /** Whether there is a name. */
  has(name: keyof T): Promise<boolean> {
    return this.#get("has", name);
  }

  /** Removes a name; gives whether it was there. */
  delete(name: keyof T): Promise<boolean> {
    return this.#get("delete", name);
  }

  /** The names. */
  keys(): Promise<readonly (keyof T)[]> {
    return this.#get("keys");
  }

  /** All of it, frozen. */
  copy(): Promise<Readonly<T>> {
    return this.#get("copy");
  }
}
