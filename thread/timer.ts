// Copyright 2026 the multitask authors. MIT license.

import { checkNonNegative, checkWait, shown } from "../ipc/_options.ts";
import type { WaitOptions } from "../ipc/_options.ts";
import { self } from "../ipc/_self.ts";
import { startTimer } from "../ipc/_timer.ts";
import { waitFor } from "../ipc/_waiting.ts";
import { type Waitable, waitable } from "../ipc/_waitable.ts";
import { InvalidStateError } from "../ipc/errors.ts";
import { here } from "./_here.ts";
import { tellUncaught } from "./set_excepthook.ts";

/** Options of a {@linkcode Timer}. */
export interface TimerOptions {
  /**
   * A label, for error messages.
   *
   * @default {"Timer (fn)"}
   */
  name?: string;
  /**
   * Whether the program, or the thread that has started the timer, may end
   * before the time is over.
   *
   * @default {false}
   */
  daemon?: boolean;
}

/** The ends of timers that this thread, or child process, waits for at its end. */
const holding = new Set<Promise<boolean>>();

self.beforeEnd.add(async () => {
  while (holding.size > 0) await Promise.all(holding);
});

/**
 * Calls a function once, after a while, unless it is cancelled before.
 *
 * Python: `threading.Timer`. The differences: the time is in milliseconds; the
 * function runs on the event loop of the thread that has started the timer, and
 * not in a thread of its own, so that it sees all variables and may not block.
 *
 * ```text
 * initial --start--> waiting --time is over--> running --settled--> done
 *                       \--------------cancel--------------------/
 * ```
 *
 * An error of the function is told as that of a thread is (see `setExcepthook`).
 *
 * **Disposal**: `using` cancels it.
 *
 * @typeParam A The parameters of the function.
 *
 * @example
 * ```ts
 * import { Timer } from "@multitask/std/thread";
 * import { assertEquals } from "@std/assert";
 *
 * const said: string[] = [];
 * const timer = new Timer(10, (word: string) => said.push(word), ["hello"]);
 * timer.start();
 * await timer.join();
 * assertEquals(said, ["hello"]);
 * ```
 */
export class Timer<A extends unknown[] = []> implements Waitable, Disposable {
  readonly #ms: number;
  readonly #fn: (...args: A) => unknown;
  readonly #args: A;
  readonly #name: string;
  readonly #daemon: boolean;
  readonly #done = Promise.withResolvers<boolean>();
  #state: "initial" | "waiting" | "running" | "done" = "initial";
  #stop: (() => void) | undefined;

  /**
   * Makes a timer; the time begins with {@linkcode Timer.start}.
   *
   * @param ms The time in milliseconds.
   * @param fn What to call.
   * @param args Its arguments.
   * @param options A name, and whether it keeps the program alive.
   * @throws {TypeError | RangeError} If an argument is not as it has to be.
   */
  constructor(
    ms: number,
    fn: (...args: A) => unknown,
    ...rest: [] extends A ? [args?: A, options?: TimerOptions]
      : [args: A, options?: TimerOptions]
  ) {
    const action = "create timer";
    const [args = [] as unknown as A, options = {}] = rest;
    checkNonNegative(action, "ms", ms);
    if (typeof fn !== "function") {
      throw new TypeError(
        `Cannot ${action}: "fn" must be a function, received ${shown(fn)}`,
      );
    }
    if (!Array.isArray(args)) {
      throw new TypeError(
        `Cannot ${action}: "args" must be an array, received ${shown(args)}`,
      );
    }
    checkOptions(action, options);
    this.#ms = ms;
    this.#fn = fn;
    this.#args = args;
    this.#name = options.name ?? `Timer (${fn.name || "anonymous"})`;
    this.#daemon = options.daemon ?? false;
  }

  /**
   * Begins the time.
   *
   * @throws {InvalidStateError} If it was started or cancelled before.
   */
  start(): void {
    if (this.#state !== "initial") {
      throw new InvalidStateError(
        `Cannot start ${this.#name}: it was started or cancelled before; make another one`,
      );
    }
    this.#state = "waiting";
    if (!this.#daemon) holding.add(this.#done.promise);
    this.#stop = startTimer(() => this.#run(), this.#ms, {
      unref: this.#daemon,
    });
  }

  async #run(): Promise<void> {
    this.#state = "running";
    try {
      await this.#fn(...this.#args);
    } catch (error) {
      tellUncaught({ error, name: this.#name, ident: here().ident });
    }
    this.#finish();
  }

  #finish(): void {
    this.#state = "done";
    holding.delete(this.#done.promise);
    this.#done.resolve(true);
  }

  /**
   * Has the function not be called, if its time has not come yet. Without effect
   * afterwards. Python: `Timer.cancel`.
   *
   * @returns Whether it was in time.
   */
  cancel(): boolean {
    if (this.#state !== "initial" && this.#state !== "waiting") return false;
    this.#stop?.();
    this.#finish();
    return true;
  }

  /** Whether it was started, and neither is done nor was cancelled. */
  isAlive(): boolean {
    return this.#state === "waiting" || this.#state === "running";
  }

  /** The label. */
  get name(): string {
    return this.#name;
  }

  /**
   * Waits until the function has settled or the timer was cancelled: `true`, or
   * `false` when the `timeout` was over first. The function itself must not await
   * it without a `timeout`: it would wait for itself.
   *
   * @throws {InvalidStateError} If it was neither started nor cancelled.
   */
  async join(options?: WaitOptions): Promise<boolean> {
    const wait = checkWait(`join ${this.#name}`, options);
    if (this.#state === "initial") {
      throw new InvalidStateError(
        `Cannot join ${this.#name}: it was not started`,
      );
    }
    return await waitFor<boolean>(wait, ({ resolve }) => {
      this.#done.promise.then(resolve);
      return () => {};
    }) ?? false;
  }

  /** Lets `wait` include the timer: ready when it is done. */
  async [waitable](signal: AbortSignal): Promise<void> {
    await this.join({ signal });
  }

  /** Cancels it. */
  [Symbol.dispose](): void {
    this.cancel();
  }
}

function checkOptions(action: string, options: TimerOptions): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot ${action}: the options must be an object, received ${
        shown(options)
      }`,
    );
  }
  const types = { name: "string", daemon: "boolean" } as const;
  for (const [option, type] of Object.entries(types)) {
    const value = options[option as keyof TimerOptions];
    if (value === undefined || typeof value === type) continue;
    throw new TypeError(
      `Cannot ${action}: "${option}" must be a ${type}, received ${
        shown(value)
      }`,
    );
  }
}
