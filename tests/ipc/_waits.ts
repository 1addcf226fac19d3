// Copyright 2026 the multitask authors. MIT license.
// Waits with a bound, and what can be said of promises without sleeping.

import { AssertionError } from "@std/assert";
import { deadline } from "@std/async";

/** Far more than any wait here takes, even on a busy machine. */
const BOUND = 20_000;

/** Waits for `promise`, but not for ever. */
export function bounded<T>(promise: Promise<T>): Promise<T> {
  return deadline(promise, BOUND);
}

/** Lets everything that is ready in this process happen. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** Gives the reason for which `promise` is rejected. */
export function reasonOf(promise: Promise<unknown>): Promise<unknown> {
  return bounded(promise.then(
    (value) => {
      throw new AssertionError(
        `Expected a rejection, received ${Deno.inspect(value)}`,
      );
    },
    (reason) => reason,
  ));
}

/** Fails if `promise` settles while everything that is ready happens. */
export async function assertPending(promise: Promise<unknown>): Promise<void> {
  let state = "pending";
  promise.then(() => state = "fulfilled", () => state = "rejected");
  await turn();
  if (state !== "pending") {
    throw new AssertionError(`Expected a pending promise, it is ${state}`);
  }
}

/** An abort signal that knows how many listeners it has. */
export class CountedAbort {
  readonly #controller = new AbortController();
  readonly #listeners = new Set<unknown>();
  /** The reason it is aborted with. */
  readonly reason = new Error("aborted by the test");

  constructor() {
    const { signal } = this.#controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (
      ...args: Parameters<AbortSignal["addEventListener"]>
    ) => {
      this.#listeners.add(args[1]);
      add(...args);
    };
    signal.removeEventListener = (
      ...args: Parameters<AbortSignal["removeEventListener"]>
    ) => {
      this.#listeners.delete(args[1]);
      remove(...args);
    };
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Listeners that were added and not removed. */
  get listeners(): number {
    return this.#listeners.size;
  }

  abort(): void {
    this.#controller.abort(this.reason);
  }
}
