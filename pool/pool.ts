// Copyright 2026 the multitask authors. MIT license.

import { hub } from "../ipc/_hub.ts";
import {
  checkInteger,
  checkNonNegative,
  checkWait,
  shown,
  type WaitOptions,
} from "../ipc/_options.ts";
import { callerFiles } from "../ipc/_task.ts";
import { startTimer } from "../ipc/_timer.ts";
import type { Target } from "../ipc/task_ref.ts";
import {
  CancelledError,
  InvalidStateError,
  TimeoutError,
} from "../ipc/errors.ts";
import { cpuCount } from "../process/current_process.ts";
import type { PermissionMode } from "../process/_permissions.ts";
import { spawnPlan } from "../process/_plan.ts";
import type { RuntimeOptions } from "../process/_runtime.ts";
import { checkGuarded } from "../ipc/_unguarded.ts";
import { FunctionTable } from "./_functions.ts";
import { ListSource, StreamSource } from "./_map_source.ts";
import { ProcessWorker } from "./_process_worker.ts";
import { type ItemSource, type PoolWorker, Scheduler } from "./_scheduler.ts";
import type { Percentiles } from "./_stats.ts";
import { Task, type TaskOutcome, type Tell } from "./_task.ts";
import { Trace } from "./_trace.ts";
import { waitBounded } from "./_wait_bounded.ts";
import {
  type AsyncResult,
  makeResult,
  type ResultOwner,
  settleResult,
  setWork,
} from "./async_result.ts";
import { type Future, setFutureWork, settleFuture } from "./future.ts";

/** Options of a {@linkcode Pool}. */
export interface PoolOptions {
  /**
   * How many workers.
   *
   * @default {cpuCount()}
   */
  processes?: number;
  /** Runs in each worker before its first task. If it fails, the pool does. */
  // deno-lint-ignore no-explicit-any -- any arguments, which are `initargs`.
  initializer?: Target<any[], unknown>;
  /**
   * The arguments of the initializer.
   *
   * @default {[]}
   */
  initargs?: readonly unknown[];
  /**
   * After so many tasks a worker ends, and another takes its place.
   *
   * @default {undefined} never
   */
  maxTasksPerChild?: number;
  /**
   * What the workers may do; never more than this process.
   *
   * @default {"inherit"}
   */
  permissions?: PermissionMode;
  /**
   * What becomes of a task whose worker ends while it runs: it fails with
   * `WorkerLostError`, or runs again.
   *
   * @default {"fail"}
   */
  onWorkerLost?: "fail" | "retry";
  /**
   * How often a task is run again, with `onWorkerLost: "retry"`.
   *
   * @default {1}
   */
  retries?: number;
  /**
   * The longest run, in milliseconds, of each task that has none of its own: of
   * `apply` and `applyAsync`, not of the items of a map.
   */
  taskTimeout?: number;
  /**
   * How much memory a worker's heap may take, in bytes: more ends it, and its
   * task fails.
   *
   * @default {undefined} what the engine allows
   */
  memoryLimit?: number;
  /**
   * How long a task may go on that was aborted or whose time is up, in
   * milliseconds: then it is ended with its worker.
   *
   * @default {500}
   */
  killGrace?: number;
  /**
   * How long a worker may take until its initializer is done, in milliseconds:
   * then it is ended. Three in a row that do not get ready break the pool.
   *
   * @default {60_000}
   */
  startTimeout?: number;
  /**
   * How long the disposal waits for tasks, in milliseconds, before it ends them.
   *
   * @default {60_000}
   */
  disposeTimeout?: number;
  /**
   * Whether runs are noted for {@linkcode Pool.trace}.
   *
   * @default {false}
   */
  trace?: boolean;
  /** How the Deno of each worker is started. */
  runtime?: RuntimeOptions;
}

/** Options of a single task. */
export interface PoolTaskOptions {
  /**
   * The longest run in milliseconds, from its begin: then the task fails with
   * `TimeoutError`, `taskContext().signal` is aborted, and if it goes on its
   * worker is ended.
   */
  timeout?: number;
  /**
   * Gives the task up: it fails with `signal.reason`; one that runs is ended as
   * at a time-out.
   */
  signal?: AbortSignal;
  /**
   * Tasks with a higher one begin first.
   *
   * @default {0}
   */
  priority?: number;
  /** Buffers in the arguments to move: they are empty here afterwards. */
  transfer?: readonly ArrayBuffer[];
}

/** Options of {@linkcode Pool.applyAsync}. */
export interface PoolApplyAsyncOptions<R> extends PoolTaskOptions {
  /** Called with the value. */
  callback?: (value: R) => void;
  /** Called with the error. */
  errorCallback?: (error: unknown) => void;
}

/** How far a map has come. */
export interface PoolProgress {
  /** Items that are done. */
  readonly done: number;
  /** All items. */
  readonly total: number;
  /** Items per second so far. */
  readonly rate: number;
  /** How long the rest will take at that rate, in milliseconds. */
  readonly eta: number;
}

/** Options of {@linkcode Pool.map} and its relatives. */
export interface PoolMapOptions {
  /**
   * How many items a worker gets at a time. Without it that follows from how
   * long they take.
   */
  chunksize?: number;
  /** Gives all of it up: what has not begun never does. */
  signal?: AbortSignal;
  /** The longest time for all items, in milliseconds. */
  timeout?: number;
  /**
   * Items of a map with a higher one begin first.
   *
   * @default {0}
   */
  priority?: number;
  /**
   * Called a few times a second while results come, and when all are there; not
   * when there are no items, and not any more when the map is given up.
   */
  onProgress?: (progress: PoolProgress) => void;
}

/** Options of {@linkcode Pool.mapAsync} and its relatives. */
export interface PoolMapAsyncOptions<R> extends PoolMapOptions {
  /** Called with the values. */
  callback?: (values: R[]) => void;
  /** Called with the error. */
  errorCallback?: (error: unknown) => void;
}

/** Options of {@linkcode Pool.imap} and its relatives. */
export interface PoolImapOptions {
  /**
   * How many items a worker gets at a time. Without it that follows from how
   * long they take.
   */
  chunksize?: number;
  /**
   * How many items may be between being read and being taken by the consumer.
   * Without it that follows from how long they take.
   */
  buffer?: number;
  /** Ends it: the iterator throws `signal.reason`. */
  signal?: AbortSignal;
}

/** What a worker has done. */
export interface PoolWorkerStats {
  /** What it is called, for example `PoolWorker-1`. */
  readonly name: string;
  /** Its process id. */
  readonly pid: number;
  /** Tasks that it was given. */
  readonly tasks: number;
  /** How long its tasks ran, in milliseconds. */
  readonly run: Percentiles;
  /** How long they had waited before, in milliseconds. */
  readonly wait: Percentiles;
}

/** Counts of a pool. */
export interface PoolStats {
  /** Tasks and items that wait. */
  readonly queued: number;
  /** Those that run. */
  readonly running: number;
  /** Those that gave a value. */
  readonly done: number;
  /** Those that failed. */
  readonly failed: number;
  /** Those whose worker ended while they ran. */
  readonly lost: number;
  /** The workers that there are at this moment. */
  readonly workers: readonly PoolWorkerStats[];
}

/** What a pool tells its listeners, by the type of the event. */
export interface PoolEventMap {
  /** A worker was started. */
  workerstart: CustomEvent<{ worker: string; pid: number }>;
  /** A worker has ended. */
  workerend: CustomEvent<
    {
      worker: string;
      pid: number;
      exitCode: number | null;
      signal: string | null;
    }
  >;
  /** A task has called `log()`. Without a listener it is printed. */
  log: CustomEvent<{ worker: string; text: string }>;
  /** A task has called `progress()`. */
  progress: CustomEvent<{ worker: string; value: unknown }>;
  /** A failure that nobody has read. Without a listener it is printed. */
  unreaderror: CustomEvent<{ error: unknown }>;
}

/** Between two calls of `onProgress`, in milliseconds. */
const PROGRESS_INTERVAL = 100;

/** How long workers may take to end politely, in milliseconds. */
const TERMINATE_GRACE = 1000;

/** So many failures are kept for who may read them yet: then all are told. */
const MAX_UNREAD = 100;

const MIB = 2 ** 20;

/** Pools with failures that nobody has read. */
const unreadIn = new Set<Pool>();

/** Tells them at the end of the program at last. */
let tellUnread: (pool: Pool) => void;

globalThis.addEventListener("unload", () => {
  for (const pool of unreadIn) tellUnread(pool);
});

interface Defaults {
  readonly taskTimeout: number | undefined;
  readonly disposeTimeout: number;
}

/** Submits a call whose outcome goes elsewhere. For this package only. */
export let submitTo: (
  pool: Pool,
  future: Future,
  fn: unknown,
  args: unknown[],
  options: PoolTaskOptions,
) => void;

/** How a pool is made that is behind something else. For this package only. */
export const lazily: unique symbol = Symbol("multitask.lazily");

/**
 * Worker processes that run tasks.
 *
 * Python: `multiprocessing.Pool`. The differences: a task whose worker dies
 * fails with an error that names it, and the others go on; functions are named,
 * not sent (see `Process`); items are read as they are needed; how many go to a
 * worker at a time follows from how long they take; a task can be given a
 * `timeout`, a `signal` and a `priority`.
 *
 * ```text
 * open --close--> closing --all is done--> ended
 *    \-------------terminate---------------/
 * ```
 *
 * **Ordering**: tasks begin in the order in which they were submitted, those with
 * a higher priority first. Results come as they are ready; `map`, `starmap` and
 * `imap` give them in the order of the items.
 *
 * **Program end**: tasks that are queued or run keep the program alive; idle
 * workers do not, and end with it.
 *
 * **Disposal**: `await using` closes the pool and waits until all is done, for
 * `disposeTimeout` at most; then it terminates it.
 *
 * @example
 * ```ts
 * import { Pool } from "@multitask/std/pool";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new Pool(2);
 * assertEquals(await pool.apply((a: number, b: number) => a + b, [1, 2]), 3);
 * assertEquals(await pool.map((x: number) => x * x, [1, 2, 3]), [1, 4, 9]);
 * ```
 */
export class Pool implements AsyncDisposable {
  static {
    tellUnread = (pool) => pool.#tellUnread();
    submitTo = (pool, future, fn, args, options) => {
      const task = pool.#submit(future, settleFuture, fn, args, options);
      setFutureWork(future, {
        cancel: () => task.cancel(),
        isRunning: () => pool.#scheduler.isRunning(task),
      });
    };
  }

  readonly #scheduler: Scheduler;
  readonly #functions = new FunctionTable();
  readonly #defaults: Defaults;
  readonly #events = new EventTarget();
  readonly #listeners = new Map<string, Set<unknown>>();
  readonly #unread = new Map<object, unknown>();
  readonly #owner: ResultOwner = {
    failedUnread: (result, error) => {
      unreadIn.add(this);
      this.#unread.set(result, error);
      if (this.#unread.size > MAX_UNREAD) this.#tellUnread();
    },
    read: (result) => this.#unread.delete(result),
  };
  readonly #isDurable: boolean;
  readonly #trace: Trace | undefined;
  #isClosed = false;

  /**
   * Starts the workers.
   *
   * @param processes How many, or the options.
   * @throws {TypeError | RangeError} If an option is not as it has to be.
   * @throws {PermissionNeededError} If a permission is missing; names the flag.
   */
  constructor(processes?: number | PoolOptions) {
    const action = "create pool";
    const options = typeof processes === "object" && processes !== null
      ? processes
      : processes === undefined
      ? {}
      : { processes };
    const size = checkOptions(action, options);
    const startedAt = checkGuarded(action);
    const { onWorkerLost, retries, maxTasksPerChild } = options;
    this.#defaults = {
      taskTimeout: options.taskTimeout,
      disposeTimeout: options.disposeTimeout ?? 60_000,
    };
    this.#isDurable = onWorkerLost === "retry";
    this.#trace = options.trace ? new Trace() : undefined;
    const initargs = [...options.initargs ?? []];
    const init = options.initializer === undefined ? undefined : {
      fn: this.#functions.entry(action, options.initializer),
      pack: () => hub.pack(initargs, "initargs"),
    };
    // What cannot be sent is told here.
    if (init !== undefined) hub.dropPacket(init.pack());
    const [file] = callerFiles();
    const plan = () =>
      spawnPlan(action, {
        permissions: options.permissions ?? "inherit",
        stderr: "piped",
        runtime: withMemoryLimit(options),
      }, file);
    this.#scheduler = new Scheduler({
      size,
      init,
      killGrace: options.killGrace ?? 500,
      startTimeout: options.startTimeout ?? 60_000,
      maxTasksPerWorker: maxTasksPerChild,
      isLazy: lazily in options,
      ...(onWorkerLost === undefined ? {} : { onWorkerLost }),
      ...(retries === undefined ? {} : { retries }),
      start: (id, events) => new ProcessWorker(id, plan(), startedAt, events),
      events: {
        workerStarted: ({ handle: { name: worker, pid } }) =>
          this.#emit("workerstart", { worker, pid }),
        workerEnded: ({ handle: { name: worker, pid } }, end) =>
          this.#emit("workerend", {
            worker,
            pid,
            exitCode: end.exitCode,
            signal: end.signal,
          }),
        log: (worker, text) => this.#log(worker, text),
        progress: ({ handle: { name: worker } }, value) =>
          this.#emit("progress", { worker, value }),
        ran: (worker, name, count, ms) =>
          this.#trace?.add(worker.handle.id, name, count, ms),
      },
    });
    this.#scheduler.ended.then(() => this.#tellUnread());
  }

  #emit<K extends keyof PoolEventMap>(
    type: K,
    detail: PoolEventMap[K]["detail"],
  ): boolean {
    if (!this.#listeners.get(type)?.size) return false;
    this.#events.dispatchEvent(new CustomEvent(type, { detail }));
    return true;
  }

  #log({ handle: { name: worker } }: PoolWorker, text: string): void {
    if (this.#emit("log", { worker, text })) return;
    for (const line of text.split("\n")) console.log(`[${worker}] ${line}`);
  }

  /** Has a listener called for events of a type. */
  addEventListener<K extends keyof PoolEventMap>(
    type: K,
    listener: (event: PoolEventMap[K]) => void,
  ): void {
    this.#events.addEventListener(type, listener as EventListener);
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
  }

  /** Has a listener not called any more. */
  removeEventListener<K extends keyof PoolEventMap>(
    type: K,
    listener: (event: PoolEventMap[K]) => void,
  ): void {
    this.#events.removeEventListener(type, listener as EventListener);
    this.#listeners.get(type)?.delete(listener);
  }

  // ---- One task ----

  /**
   * Runs a function in a worker and gives what it returns.
   *
   * Python: `Pool.apply`. The promise is there at once; await it before the next
   * call to have one after the other.
   *
   * @throws {SerializationError} If the arguments or the result cannot be sent;
   * names the path.
   * @throws {WorkerLostError} If the worker ends before the result.
   * @throws The function's error; its `cause` names the worker.
   */
  async apply<A extends unknown[], R>(
    fn: Target<A, R>,
    args?: NoInfer<A>,
    options?: PoolTaskOptions,
  ): Promise<R> {
    return await this.applyAsync(fn, args, options).promise;
  }

  /**
   * Submits a call of a function. Python: `Pool.apply_async`.
   *
   * @throws {InvalidStateError} If the pool is closed.
   * @throws {SerializationError} If the arguments cannot be sent.
   * @throws {TaskReferenceError} If the function is native or bound.
   */
  applyAsync<A extends unknown[], R>(
    fn: Target<A, R>,
    args?: NoInfer<A>,
    options?: PoolApplyAsyncOptions<R>,
  ): AsyncResult<R> {
    const result = makeResult<R>(this.#owner, options);
    // Only the type of its value is another.
    const any = result as AsyncResult;
    setWork(any, this.#submit(any, settleResult, fn, args, options));
    return result;
  }

  #submit(
    sink: object,
    tell: Tell<never>,
    fn: unknown,
    args: unknown[] | undefined,
    options: PoolTaskOptions | undefined,
  ): Task {
    const action = "submit a task";
    this.#checkOpen(action);
    if (options !== undefined) checkTaskOptions(action, options);
    if (args !== undefined && !Array.isArray(args)) {
      throw new TypeError(
        `Cannot ${action}: "args" must be an array, received ${shown(args)}`,
      );
    }
    const timeout = options?.timeout ?? this.#defaults.taskTimeout;
    const signal = options?.signal;
    signal?.throwIfAborted();
    const entry = this.#functions.entry(action, fn);
    const packet = args === undefined || args.length === 0
      ? NO_ARGS
      : hub.pack(args, "args", options?.transfer);
    const task = new Task(
      this.#scheduler,
      sink,
      tell,
      entry,
      packet,
      args,
      options?.priority ?? 0,
      timeout,
      timeout !== undefined || signal !== undefined,
    );
    if (signal !== undefined) {
      const onAbort = () => this.#scheduler.giveUp(task, signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      task.onSettled(() => signal.removeEventListener("abort", onAbort));
    }
    this.#scheduler.add(task);
    return task;
  }

  #tellUnread(): void {
    unreadIn.delete(this);
    const unread = [...this.#unread.values()];
    this.#unread.clear();
    for (const error of unread) {
      if (this.#emit("unreaderror", { error })) continue;
      console.error("A task of a pool failed, and nobody has read its result:");
      console.error(error);
    }
  }

  // ---- Many items ----

  /**
   * Calls a function with each item; gives the results in the order of the items.
   *
   * Python: `Pool.map`. All items run, also when one fails; the error of the
   * first one that failed is thrown then, with its `index`. Where a worker ends
   * that is reached by messages only, and several items went to it together,
   * `index` is that of the first one that may have been the cause.
   *
   * @throws {RangeError} If `chunksize` is not an integer >= 1.
   */
  async map<T, R>(
    fn: Target<[T], R>,
    items: Iterable<T> | AsyncIterable<T>,
    options?: PoolMapOptions,
  ): Promise<R[]> {
    return await this.mapAsync(fn, items, options).promise;
  }

  /** The same as {@linkcode Pool.map}, as a result. Python: `Pool.map_async`. */
  mapAsync<T, R>(
    fn: Target<[T], R>,
    items: Iterable<T> | AsyncIterable<T>,
    options: PoolMapAsyncOptions<R> = {},
  ): AsyncResult<R[]> {
    return this.#map("map", fn, items, false, options);
  }

  /**
   * Calls a function with each list of arguments. Python: `Pool.starmap`. Else
   * it is as {@linkcode Pool.map} is.
   */
  async starmap<A extends unknown[], R>(
    fn: Target<A, R>,
    items: Iterable<NoInfer<A>> | AsyncIterable<NoInfer<A>>,
    options?: PoolMapOptions,
  ): Promise<R[]> {
    return await this.starmapAsync(fn, items, options).promise;
  }

  /** The same as {@linkcode Pool.starmap}, as a result. */
  starmapAsync<A extends unknown[], R>(
    fn: Target<A, R>,
    items: Iterable<NoInfer<A>> | AsyncIterable<NoInfer<A>>,
    options: PoolMapAsyncOptions<R> = {},
  ): AsyncResult<R[]> {
    return this.#map("starmap", fn, items, true, options);
  }

  #map<R>(
    action: string,
    target: unknown,
    items: Iterable<unknown> | AsyncIterable<unknown>,
    isSpread: boolean,
    options: PoolMapAsyncOptions<R>,
  ): AsyncResult<R[]> {
    this.#checkOpen(action);
    checkMapOptions(action, options);
    checkItems(action, items);
    const { signal, timeout, onProgress } = options;
    signal?.throwIfAborted();
    // An input that fails does so here.
    const list = Array.isArray(items)
      ? items.slice()
      : isAsync(items)
      ? undefined
      : [...items];
    const fn = this.#functions.entry(action, target);
    let source: ListSource | undefined;
    const giveUp = (error: unknown): void => {
      if (source === undefined) over({ ok: false, error });
      else source.finish({ ok: false, error });
    };
    const result = makeResult<R[]>(this.#owner, options);
    const map = {
      cancel: () => {
        if (isOver) return false;
        giveUp(new CancelledError("The map was cancelled"));
        return true;
      },
      end: giveUp,
    };
    setWork(result as AsyncResult, map);
    const onAbort = () => giveUp(signal!.reason);
    let isOver = false;
    const over = (outcome: TaskOutcome) => {
      if (isOver) return;
      isOver = true;
      stopTimer?.();
      signal?.removeEventListener("abort", onAbort);
      settleResult(result as AsyncResult, outcome);
      this.#scheduler.finished(map);
    };
    const stopTimer = timeout === undefined ? undefined : startTimer(
      () => giveUp(new TimeoutError(`The map took longer than ${timeout} ms`)),
      timeout,
    );
    signal?.addEventListener("abort", onAbort, { once: true });
    const begin = (list: readonly unknown[]) => {
      if (isOver) return;
      source = new ListSource(
        settingsOf(fn, isSpread, options),
        list,
        over,
        {
          isDurable: this.#isDurable,
          abandoned: () => this.#scheduler.abandon(source!),
          onSettled: onProgress && progressOf(onProgress),
        },
      );
      if (list.length === 0) source.finish({ ok: true, value: [] });
      else this.#scheduler.add(source);
    };
    this.#scheduler.opened(map);
    if (list !== undefined) begin(list);
    else Array.fromAsync(items).then(begin, giveUp);
    return result;
  }

  /**
   * Calls a function with each item and gives the results in the order of the
   * items, as they are ready. Items are read while the consumer keeps up, so
   * that the input may be endless; when the consumer stops, so does the input.
   *
   * Python: `Pool.imap`, which reads all items at once.
   *
   * @throws {RangeError} If `chunksize` or `buffer` is not an integer >= 1.
   * @throws The error of an item, at its place, with its `index`; the iterator
   * can go on.
   */
  imap<T, R>(
    fn: Target<[T], R>,
    items: Iterable<T> | AsyncIterable<T>,
    options: PoolImapOptions = {},
  ): AsyncIterableIterator<R> {
    return this.#imap("imap", fn, items, { isOrdered: true }, options);
  }

  /** The same as {@linkcode Pool.imap} with lists of arguments. */
  istarmap<A extends unknown[], R>(
    fn: Target<A, R>,
    items: Iterable<NoInfer<A>> | AsyncIterable<NoInfer<A>>,
    options: PoolImapOptions = {},
  ): AsyncIterableIterator<R> {
    const how = { isOrdered: true, isSpread: true };
    return this.#imap("istarmap", fn, items, how, options);
  }

  /**
   * The same as {@linkcode Pool.imap}, in the order in which the results are
   * ready. Python: `Pool.imap_unordered`.
   */
  imapUnordered<T, R>(
    fn: Target<[T], R>,
    items: Iterable<T> | AsyncIterable<T>,
    options: PoolImapOptions = {},
  ): AsyncIterableIterator<R> {
    const how = { isOrdered: false };
    return this.#imap("imapUnordered", fn, items, how, options);
  }

  #imap<R>(
    action: string,
    target: unknown,
    items: Iterable<unknown> | AsyncIterable<unknown>,
    { isOrdered, isSpread = false }: { isOrdered: boolean; isSpread?: boolean },
    options: PoolImapOptions,
  ): AsyncIterableIterator<R> {
    this.#checkOpen(action);
    checkMapOptions(action, options);
    checkItems(action, items);
    const { signal, buffer } = options;
    signal?.throwIfAborted();
    const input = isAsync(items)
      ? items[Symbol.asyncIterator]()
      : items[Symbol.iterator]();
    const onAbort = () => source.stop(signal!.reason);
    const source: StreamSource = new StreamSource(
      settingsOf(this.#functions.entry(action, target), isSpread, options),
      input,
      {
        isOrdered,
        buffer,
        size: this.size,
        add: () => this.#scheduler.add(source),
        allDone: () => this.#scheduler.finished(open),
        over: () => signal?.removeEventListener("abort", onAbort),
        abandoned: () => this.#scheduler.abandon(source),
      },
    );
    signal?.addEventListener("abort", onAbort, { once: true });
    const open = {
      end: (error: unknown) => source.stop(error),
      closing: () => source.closing(),
    };
    this.#scheduler.opened(open);
    source.fill();
    const results: AsyncIterableIterator<R> = {
      next: () => source.next() as Promise<IteratorResult<R>>,
      return: (value?: unknown) => {
        source.stop();
        return Promise.resolve({ done: true, value: value as R });
      },
      throw: (error?: unknown) => {
        source.stop();
        return Promise.reject(error);
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
    // Nobody can read on: nothing more need be done.
    dropped.register(results, source);
    return results;
  }

  // ---- The pool ----

  #checkOpen(action: string): void {
    if (this.#isClosed) {
      throw new InvalidStateError(`Cannot ${action}: the pool is closed`);
    }
    const { failure } = this.#scheduler;
    if (failure !== undefined) throw failure;
  }

  /** How many workers there are when all are busy. */
  get size(): number {
    return this.#scheduler.size;
  }

  /** Takes no more tasks; the workers end when all is done. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#scheduler.close();
  }

  /**
   * Ends the workers now. Whatever is not done fails with
   * {@linkcode CancelledError}. Resolves when they have ended. Idempotent.
   */
  async terminate(): Promise<void> {
    this.#isClosed = true;
    await this.#scheduler.terminate(TERMINATE_GRACE);
  }

  /**
   * Waits until all tasks are done and the workers have ended.
   *
   * @throws {InvalidStateError} If neither `close` nor `terminate` was called.
   * @throws {TimeoutError} If it takes longer; the pool goes on.
   */
  async join(options?: WaitOptions): Promise<void> {
    const wait = checkWait("join the pool", options);
    if (!this.#isClosed && this.#scheduler.failure === undefined) {
      throw new InvalidStateError(
        "Cannot join the pool: call close() or terminate() first",
      );
    }
    await waitBounded(
      this.#scheduler.ended,
      wait,
      () => `The pool has not ended after ${wait.timeout} ms`,
    );
  }

  /** Counts and times at this moment. */
  stats(): PoolStats {
    const { counts, load, workers } = this.#scheduler;
    return {
      ...load,
      done: counts.done,
      failed: counts.failed,
      lost: counts.lost,
      workers: [...workers].map(({ handle, given, times }) => ({
        name: handle.name,
        pid: handle.pid,
        tasks: given,
        run: times.run,
        wait: times.wait,
      })),
    };
  }

  /**
   * Writes what has run so far, as Chrome trace JSON, which ui.perfetto.dev
   * shows. Short tasks that ran one after the other are one entry.
   *
   * @throws {InvalidStateError} If the pool was not made with `trace: true`.
   */
  async trace(path: string | URL): Promise<void> {
    if (this.#trace === undefined) {
      throw new InvalidStateError(
        "Cannot write the trace: create the pool with trace: true",
      );
    }
    await this.#trace.write(path);
  }

  /** Closes the pool and waits, within bounds: see `disposeTimeout`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    try {
      await this.join({ timeout: this.#defaults.disposeTimeout });
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      await this.terminate();
    }
  }
}

const NO_ARGS = hub.pack([]);

const dropped = new FinalizationRegistry<StreamSource>((source) =>
  source.unreachable()
);

function settingsOf(
  fn: ItemSource["fn"],
  isSpread: boolean,
  { chunksize, priority = 0 }: { chunksize?: number; priority?: number },
) {
  return { fn, isSpread, chunksize, priority };
}

/** Tells how far a map has come, a few times a second. */
export function progressOf(
  tell: (progress: PoolProgress) => void,
): (done: number, total: number) => void {
  const start = performance.now();
  // The rate is that since the first result: before, workers may have started.
  let first: { at: number; done: number } | undefined;
  let last = start;
  return (done, total) => {
    const now = performance.now();
    first ??= { at: now, done };
    if (done < total && now - Math.max(last, first.at) < PROGRESS_INTERVAL) {
      return;
    }
    last = now;
    const isFirst = done === first.done;
    const rate = (isFirst ? done : done - first.done) * 1000 /
      Math.max(now - (isFirst ? start : first.at), 1e-3);
    try {
      tell({ done, total, rate, eta: (total - done) / rate * 1000 });
    } catch (error) {
      // The user's error, not the pool's.
      reportError(error);
    }
  };
}

/** For this package only. */
export function checkTaskOptions(
  action: string,
  options: PoolTaskOptions,
): void {
  checkWait(action, options);
  const { priority, transfer } = options;
  if (priority !== undefined && !Number.isFinite(priority)) {
    throw new TypeError(
      `Cannot ${action}: "priority" must be a finite number, received ${
        shown(priority)
      }`,
    );
  }
  if (transfer !== undefined && !Array.isArray(transfer)) {
    throw new TypeError(
      `Cannot ${action}: "transfer" must be an array, received ${
        shown(transfer)
      }`,
    );
  }
}

/** For this package only. */
export function checkMapOptions(
  action: string,
  options: PoolMapOptions & PoolImapOptions,
): void {
  checkTaskOptions(action, options);
  for (const name of ["chunksize", "buffer"] as const) {
    if (options[name] !== undefined) {
      checkInteger(action, name, options[name], 1);
    }
  }
}

/** For this package only. */
export function isAsync(
  items: Iterable<unknown> | AsyncIterable<unknown>,
): items is AsyncIterable<unknown> {
  return typeof items === "object" && Symbol.asyncIterator in items;
}

/** For this package only. */
export function checkItems(action: string, items: unknown): void {
  const isIterable = typeof items === "string" ||
    (typeof items === "object" && items !== null &&
      (Symbol.iterator in items || Symbol.asyncIterator in items));
  if (!isIterable) {
    throw new TypeError(
      `Cannot ${action}: the items must be iterable, received ${shown(items)}`,
    );
  }
}

function checkOptions(action: string, options: PoolOptions): number {
  const size = options.processes ?? cpuCount();
  checkInteger(action, "processes", size, 1);
  const { maxTasksPerChild, retries, memoryLimit, initargs, onWorkerLost } =
    options;
  if (maxTasksPerChild !== undefined) {
    checkInteger(action, "maxTasksPerChild", maxTasksPerChild, 1);
  }
  if (retries !== undefined) checkInteger(action, "retries", retries, 0);
  if (memoryLimit !== undefined) {
    checkInteger(action, "memoryLimit", memoryLimit, MIB);
  }
  const times = [
    "taskTimeout",
    "killGrace",
    "startTimeout",
    "disposeTimeout",
  ] as const;
  for (const name of times) {
    if (options[name] !== undefined) {
      checkNonNegative(action, name, options[name]);
    }
  }
  if (initargs !== undefined && !Array.isArray(initargs)) {
    throw new TypeError(
      `Cannot ${action}: "initargs" must be an array, received ${
        shown(initargs)
      }`,
    );
  }
  if (
    onWorkerLost !== undefined && onWorkerLost !== "fail" &&
    onWorkerLost !== "retry"
  ) {
    throw new TypeError(
      `Cannot ${action}: "onWorkerLost" must be "fail" or "retry", received ${
        shown(onWorkerLost)
      }`,
    );
  }
  return size;
}

function withMemoryLimit(
  { runtime = {}, memoryLimit }: PoolOptions,
): RuntimeOptions {
  if (memoryLimit === undefined) return runtime;
  const flag = `--max-old-space-size=${Math.ceil(memoryLimit / MIB)}`;
  return { ...runtime, v8Flags: [...runtime.v8Flags ?? [], flag] };
}
