// Copyright 2026 the multitask authors. MIT license.
// What has arrived in this thread, in order, and those who wait for it.
//
// Invariant: nobody waits to get while an item is there, and nobody waits at
// all after the end.

import { Deque } from "./_deque.ts";
import { Line, type Wait } from "./_waiting.ts";

/** A first-in first-out queue within one thread. See the file comment. */
export class Inbox<T> {
  readonly #items = new Deque<T>();
  readonly #getters = new Line<T>();
  readonly #watchers = new Line<true>();
  #ended: (() => Error) | undefined;

  get length(): number {
    return this.#items.length;
  }

  put(item: T): void {
    if (this.#getters.serve(item)) return;
    this.#items.push(item);
    this.#watchers.serveAll(true);
  }

  /** Puts what was got to the front again. */
  giveBack(item: T): void {
    if (this.#getters.serve(item)) return;
    this.#items.unshift(item);
    this.#watchers.serveAll(true);
  }

  /** Takes the first item; `undefined` when there was none in time. */
  async get(options: Wait): Promise<T | undefined> {
    options.signal?.throwIfAborted();
    const item = this.#items.shift();
    if (item !== undefined) return item;
    if (this.#ended !== undefined) throw this.#ended();
    return await this.#getters.wait(options);
  }

  /** Waits until `get` would not; false when the time was up first. */
  async ready(options: Wait): Promise<boolean> {
    options.signal?.throwIfAborted();
    if (this.#items.length > 0 || this.#ended !== undefined) return true;
    return await this.#watchers.wait(options) === true;
  }

  /** Nothing more will come: gets fail once it is empty. The first end counts. */
  end(error: () => Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#getters.failAll(error);
    this.#watchers.serveAll(true);
  }

  /** Takes everything out. */
  clear(): T[] {
    const items = [...this.#items];
    while (this.#items.shift() !== undefined);
    return items;
  }
}
