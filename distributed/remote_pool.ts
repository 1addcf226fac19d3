// Copyright 2026 the multitask authors. MIT license.
// A pool whose workers are elsewhere: hands tasks to an engine, and tells what came
// of them.
//
// A unit is what goes to the engine as one task: one call, or several items of a
// map that follow each other.
//
//   made --> queued here --enqueue--> with the engine --outcome--> settled
//                \______________________\_given up, the engine is lost__^
//
// - A unit is in `#units` until it is settled; `settle` is called once.
// - What the engine has is known by its id: to enqueue it again, after a cut, does
//   nothing. If another engine answers, what the one before had is lost, and fails.
// - While units are there, outcomes are watched, which keeps the program alive.
// - Items of a map whose worker was lost together go again one by one, so that
//   only the guilty one fails.

import { isLocal, type ListenerAddress } from "../ipc/_address.ts";
import { encode } from "../ipc/_codec.ts";
import { resourceClosed, resourceOpened } from "../ipc/_live.ts";
import {
  checkInteger,
  checkNonNegative,
  checkWait,
  shown,
  type WaitOptions,
} from "../ipc/_options.ts";
import { startTimer } from "../ipc/_timer.ts";
import {
  CancelledError,
  ConnectionClosedError,
  InvalidStateError,
  TimeoutError,
  WorkerLostError,
} from "../ipc/errors.ts";
import type { FunctionEntry } from "../pool/_functions.ts";
import { ListSource, StreamSource } from "../pool/_map_source.ts";
import type { ItemSource } from "../pool/_batch.ts";
import { callBack } from "../pool/_call_back.ts";
import { ProgressTeller } from "../pool/_progress.ts";
import type { ResultOwner } from "../pool/_task_result.ts";
import { nextId, type TaskOutcome } from "../pool/_task.ts";
import { waitBounded } from "../ipc/_wait_bounded.ts";
import {
  type AsyncResult,
  makeResult,
  settleResult,
  setWork,
} from "../pool/async_result.ts";
import {
  checkItems,
  checkMapOptions,
  checkTaskOptions,
  isAsync,
  type PoolApplyAsyncOptions,
  type PoolImapOptions,
  type PoolMapAsyncOptions,
  type PoolMapOptions,
  type PoolTaskOptions,
} from "../pool/_task_options.ts";
import { RemoteEngine } from "./_remote_engine.ts";
import type { Session } from "./_session.ts";
import { targetOf } from "./_target.ts";
import { sessionFor } from "./_ticket.ts";
import type {
  Engine,
  EngineOutcome,
  EngineResult,
  EngineTask,
  EngineWorker,
} from "./engine.ts";
import { Manager, type ManagerOptions, sessionOf } from "./manager.ts";
import { ticketOf, type WorkerTasks } from "./serve_worker.ts";

/** Options of a {@linkcode RemotePool}. */
export interface RemotePoolOptions extends ManagerOptions {
  /**
   * Whether the pool serves at the address itself, as a manager: `"auto"` does
   * so where nobody else does and only this machine reaches it.
   *
   * @default {"auto"}
   */
  serve?: boolean | "auto";
  /**
   * Where tasks go, in the place of a manager at `address`.
   *
   * @default {undefined} the manager
   */
  engine?: Engine;
  /**
   * What becomes of a task whose worker is lost: it runs again, or fails with
   * `WorkerLostError`.
   *
   * @default {"retry"}
   */
  onWorkerLost?: "fail" | "retry";
  /**
   * How often a task is run again, with `onWorkerLost: "retry"`.
   *
   * @default {2}
   */
  retries?: number;
  /**
   * The longest run, in milliseconds, of each task that has none of its own: of
   * `apply` and `applyAsync`, not of the items of a map.
   */
  taskTimeout?: number;
  /**
   * How long the disposal waits for tasks, in milliseconds, before it gives them
   * up.
   *
   * @default {60_000}
   */
  disposeTimeout?: number;
}

/** Counts of a {@linkcode RemotePool}. */
export interface RemotePoolStats {
  /** Tasks and items that are not done. */
  readonly pending: number;
  /** Those that gave a value. */
  readonly done: number;
  /** Those that failed. */
  readonly failed: number;
  /** Those whose worker was lost, each time. */
  readonly lost: number;
  /** The workers, as the manager last told. */
  readonly workers: readonly EngineWorker[];
}

/** The names of the tasks of workers. */
export type RemoteTaskName<T> = keyof T & string;

/** The arguments of a task of workers. */
export type RemoteTaskArgs<T, N extends RemoteTaskName<T>> = T[N] extends
  (...args: infer A) => unknown ? A
  : never;

/** What a task of workers gives. */
export type RemoteTaskResult<T, N extends RemoteTaskName<T>> = T[N] extends
  (...args: never[]) => infer R ? Awaited<R>
  : never;

/** A function that stands for the task of its name. */
// deno-lint-ignore no-explicit-any -- of whatever arguments.
export type RemoteTaskFunction<A extends any[], R> = (
  ...args: A
) => R | Promise<R>;

/** So many units may be with the engine at a time, of maps. */
const WINDOW = 256;

/** Maps are cut into so many units, if they are long enough. */
const CUTS = 64;

/** The most items of a unit. */
const MAX_CHUNK = 1024;

/** How often outcomes are asked for at least, in milliseconds. */
const WATCH_BOUND = 20_000;

/** Between two tries of what did not get through, in milliseconds. */
const PAUSE = 50;

/** Workers are unknown before the first comes: what is read ahead for. */
const ASSUMED_SIZE = 4;

/** What maps ask of a function; of one elsewhere nothing is known. */
const UNKNOWN_FUNCTION = { estimate: undefined } as unknown as FunctionEntry;

interface Unit {
  readonly task: EngineTask;
  /** Which engine has it. */
  engine: string | undefined;
  /** Tells what came of each call, or of all. */
  readonly settle: (results: EngineOutcome["results"]) => void;
  /** Whether it takes room in the window. */
  readonly isWindowed: boolean;
}

interface OpenWork {
  end(error: unknown): void;
  closing?(): void;
}

interface NamedSource {
  readonly name: string;
  readonly source: ItemSource;
}

/**
 * A pool of workers on other machines: the methods of `Pool`, and tasks by the
 * names of the handlers of {@linkcode serveWorker}.
 *
 * Python has no counterpart. A function in the place of a name stands for its
 * name: its source does not cross the network.
 *
 * A task whose worker is lost runs again, on another one: give it a handler that
 * may run twice, or `onWorkerLost: "fail"`. Each task is settled once.
 *
 * **Ordering**: as that of `Pool`.
 *
 * **Program end**: tasks that are not done keep the program alive.
 *
 * **Disposal**: `await using` closes the pool and waits until all is done, for
 * `disposeTimeout` at most; then it terminates it.
 *
 * @typeParam T The handlers of the workers, by their names.
 *
 * @example
 * ```ts
 * import { Manager, RemotePool, serveWorker } from "@multitask/std/distributed";
 * import { assertEquals } from "@std/assert";
 *
 * const authkey = "a long random secret";
 * await using manager = new Manager({ authkey });
 * await manager.start();
 * const { address } = manager;
 * const tasks = { add: (a: number, b: number) => a + b };
 * await using _worker = serveWorker({ address, authkey, tasks });
 *
 * await using pool = new RemotePool<typeof tasks>({ address, authkey });
 * assertEquals(await pool.apply("add", [1, 2]), 3);
 * assertEquals(await pool.starmap("add", [[1, 2], [3, 4]]), [3, 7]);
 * ```
 */
export class RemotePool<T extends WorkerTasks = WorkerTasks>
  implements AsyncDisposable {
  readonly #options: RemotePoolOptions;
  readonly #owner = crypto.randomUUID();
  readonly #maxAttempts: number;
  readonly #units = new Map<string, Unit>();
  /** Units that the engine is to get. */
  #unsent: Unit[] = [];
  readonly #sources: NamedSource[] = [];
  readonly #openWork = new Set<OpenWork>();
  readonly #unread = new Map<object, unknown>();
  readonly #resultOwner: ResultOwner = {
    failedUnread: (result, error) => this.#unread.set(result, error),
    read: (result) => this.#unread.delete(result),
    callbackFailed,
  };
  readonly #ended = Promise.withResolvers<void>();
  readonly #stop = new AbortController();
  #engine: Promise<Engine> | undefined;
  #session: Session | undefined;
  #manager: Manager | undefined;
  #nextId = 1;
  #windowed = 0;
  #sending = false;
  #watching = false;
  #sequence = 0;
  #workers: readonly EngineWorker[] = [];
  #counts = { done: 0, failed: 0, lost: 0 };
  #isClosed = false;
  #ending: Promise<void> | undefined;

  /**
   * Checks the options. The pool connects when it is used for the first time, and
   * waits for its manager.
   *
   * @throws {TypeError | RangeError} If an option is not as it has to be.
   */
  constructor(options: RemotePoolOptions) {
    checkPoolOptions("create pool", options);
    this.#options = { ...options };
    const { onWorkerLost = "retry", retries = 2 } = options;
    this.#maxAttempts = onWorkerLost === "retry" ? retries + 1 : 1;
    resourceOpened(this, "remote pool");
  }

  // ---- The engine ----

  #getEngine(): Promise<Engine> {
    return this.#engine ??= this.#findEngine();
  }

  async #findEngine(): Promise<Engine> {
    const { engine, serve = "auto", reconnectTimeout = 30_000 } = this.#options;
    if (engine !== undefined) return engine;
    if (serve === true) return await this.#serve();
    const ticket = {
      ...ticketOf("create pool", this.#options),
      reconnectTimeout,
    };
    const session = sessionFor(ticket);
    if (serve === "auto" && isLocal(ticket.address)) {
      try {
        await session.connect({ timeout: reconnectTimeout });
      } catch (error) {
        if (isNobodyThere(error)) {
          try {
            return await this.#serve();
          } catch (error) {
            // Somebody was quicker.
            if (!(error instanceof Deno.errors.AddrInUse)) throw error;
          }
        }
        session.expect("");
      }
    } else session.expect("");
    this.#session = session;
    return new RemoteEngine(session);
  }

  async #serve(): Promise<Engine> {
    const manager = this.#manager = new Manager(managerOptions(this.#options));
    await manager.start();
    return new RemoteEngine(sessionOf(manager));
  }

  /** Where the manager is: that of the pool, where it serves itself. */
  get address(): ListenerAddress | string | undefined {
    return this.#manager?.address ?? this.#options.address;
  }

  // ---- Units ----

  #add(unit: Unit): void {
    this.#units.set(unit.task.id, unit);
    if (unit.isWindowed) this.#windowed++;
    this.#unsent.push(unit);
    if (!this.#sending) this.#send();
    if (!this.#watching) this.#watch();
  }

  #remove(unit: Unit): boolean {
    if (!this.#units.delete(unit.task.id)) return false;
    if (unit.isWindowed) this.#windowed--;
    return true;
  }

  #settle(unit: Unit, results: EngineOutcome["results"]): void {
    if (!this.#remove(unit)) return;
    unit.settle(results);
    this.#fill();
    this.#checkEnd();
  }

  /** Gives units to the engine, those of a turn together. */
  async #send(): Promise<void> {
    this.#sending = true;
    try {
      await undefined;
      while (this.#unsent.length > 0) {
        const units = this.#unsent.filter(({ task }) =>
          this.#units.has(task.id)
        );
        this.#unsent = [];
        if (units.length > 0) await this.#enqueue(units);
      }
    } finally {
      this.#sending = false;
    }
  }

  async #enqueue(units: readonly Unit[]): Promise<void> {
    try {
      const engine = await this.#getEngine();
      const tasks = units.map(({ task }) => task);
      const id = await engine.enqueue(this.#owner, tasks);
      for (const unit of units) unit.engine = id;
    } catch (error) {
      if (error instanceof ConnectionClosedError && this.#isOnline) {
        // Whether it was done is not known, and does not matter.
        this.#unsent.unshift(...units);
        return await pause(PAUSE);
      }
      if (units.length === 1) {
        return this.#settle(units[0]!, { error });
      }
      // One of them may be too large, or not be taken.
      for (const unit of units) await this.#enqueue([unit]);
    }
  }

  /** Whether a cut connection is about to be made again. */
  get #isOnline(): boolean {
    const { state } = this.#session ?? {};
    return state === "open" || state === "lost" || state === "connecting";
  }

  /** Asks for outcomes while there is something to come. */
  async #watch(): Promise<void> {
    this.#watching = true;
    try {
      while (this.#units.size > 0) {
        try {
          const engine = await this.#getEngine();
          const news = await engine.watch(this.#owner, this.#sequence, {
            timeout: WATCH_BOUND,
            signal: this.#stop.signal,
          });
          this.#workers = news.workers;
          this.#checkEngine(news.engine);
          for (const outcome of news.outcomes) this.#told(outcome);
        } catch (error) {
          if (this.#stop.signal.aborted) return;
          if (error instanceof ConnectionClosedError && this.#isOnline) {
            await pause(PAUSE);
            continue;
          }
          this.#failAll(error);
        }
      }
    } finally {
      this.#watching = false;
    }
  }

  #told({ sequence, id, results }: EngineOutcome): void {
    if (sequence <= this.#sequence) return;
    this.#sequence = sequence;
    const unit = this.#units.get(id);
    if (unit !== undefined) this.#settle(unit, results);
  }

  /** What another engine had is lost. */
  #checkEngine(id: string): void {
    for (const unit of [...this.#units.values()]) {
      if (unit.engine === undefined || unit.engine === id) continue;
      // The new one counts anew.
      this.#sequence = 0;
      this.#settle(unit, {
        error: new ConnectionClosedError(
          `The task was lost with the manager that had it: another one is there now`,
        ),
      });
    }
  }

  #failAll(error: unknown): void {
    for (const unit of [...this.#units.values()]) {
      this.#settle(unit, { error });
    }
    for (const work of [...this.#openWork]) work.end(error);
  }

  /** A unit is not wanted any more. */
  #giveUp(unit: Unit, error: unknown): boolean {
    if (!this.#units.has(unit.task.id)) return false;
    this.#settle(unit, { error });
    this.#withdraw([unit.task.id]);
    return true;
  }

  async #withdraw(ids: readonly string[]): Promise<void> {
    try {
      const engine = await this.#getEngine();
      await engine.cancel(this.#owner, ids);
    } catch {
      // It was not wanted: it goes on in vain.
    }
  }

  // ---- One task ----

  /**
   * Runs a task and gives what it returns.
   *
   * @throws {SerializationError} If the arguments or the result cannot be sent;
   * names the path.
   * @throws {WorkerLostError} If workers were lost while they ran it, as often as
   * it may be tried.
   * @throws {TaskReferenceError} If no worker that is there has such a handler.
   * @throws {ConnectionClosedError} If the manager is gone, or was restarted.
   * @throws The handler's error; its `cause` names the worker.
   */
  apply<N extends RemoteTaskName<T>>(
    name: N,
    args?: NoInfer<RemoteTaskArgs<T, N>>,
    options?: PoolTaskOptions,
  ): Promise<RemoteTaskResult<T, N>>;
  /** The same, by a function that a worker has under its name. */
  apply<A extends unknown[], R>(
    fn: RemoteTaskFunction<A, R>,
    args?: NoInfer<A>,
    options?: PoolTaskOptions,
  ): Promise<R>;
  async apply(
    task: unknown,
    args?: unknown[],
    options?: PoolTaskOptions,
  ): Promise<unknown> {
    return await this.#applyAsync(task, args, options).promise;
  }

  /**
   * Submits a task. See {@linkcode RemotePool.apply}.
   *
   * @throws {InvalidStateError} If the pool is closed.
   */
  applyAsync<N extends RemoteTaskName<T>>(
    name: N,
    args?: NoInfer<RemoteTaskArgs<T, N>>,
    options?: PoolApplyAsyncOptions<RemoteTaskResult<T, N>>,
  ): AsyncResult<RemoteTaskResult<T, N>>;
  /** The same, by a function that a worker has under its name. */
  applyAsync<A extends unknown[], R>(
    fn: RemoteTaskFunction<A, R>,
    args?: NoInfer<A>,
    options?: PoolApplyAsyncOptions<R>,
  ): AsyncResult<R>;
  applyAsync(
    task: unknown,
    args?: unknown[],
    options?: PoolApplyAsyncOptions<never>,
  ): AsyncResult<unknown> {
    return this.#applyAsync(task, args, options);
  }

  #applyAsync(
    task: unknown,
    args: unknown[] = [],
    options: PoolApplyAsyncOptions<never> = {},
  ): AsyncResult {
    const action = "submit a task";
    this.#checkOpen(action);
    const name = nameOf(action, task);
    checkTaskOptions(action, options);
    if (!Array.isArray(args)) {
      throw new TypeError(
        `Cannot ${action}: "args" must be an array, received ${shown(args)}`,
      );
    }
    const { signal, priority = 0 } = options;
    const timeout = options.timeout ?? this.#options.taskTimeout;
    signal?.throwIfAborted();
    checkSendable(args, "args");
    const result = makeResult<never>(
      this.#resultOwner,
      options,
    ) as AsyncResult;
    let onAbort: (() => void) | undefined;
    const unit: Unit = {
      task: {
        id: this.#newId(),
        name,
        // A copy: what the caller changes later is not meant.
        calls: [[...args]],
        priority,
        timeout,
        maxAttempts: this.#maxAttempts,
      },
      engine: undefined,
      isWindowed: false,
      settle: (results) => {
        if (onAbort !== undefined) {
          signal!.removeEventListener("abort", onAbort);
        }
        settleResult(result, this.#count(outcomeOf(results)));
      },
    };
    setWork(result, {
      id: nextId(),
      cancel: () =>
        this.#giveUp(unit, new CancelledError("The task was cancelled")),
    });
    if (signal !== undefined) {
      onAbort = () => this.#giveUp(unit, signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
    }
    this.#add(unit);
    return result;
  }

  #newId(): string {
    return `${this.#owner} ${this.#nextId++}`;
  }

  #count(outcome: TaskOutcome): TaskOutcome {
    if (outcome.ok) this.#counts.done++;
    else this.#counts.failed++;
    if (!outcome.ok && outcome.error instanceof WorkerLostError) {
      this.#counts.lost++;
    }
    return outcome;
  }

  // ---- Many items ----

  /**
   * Calls a task with each item; gives the results in the order of the items.
   * All items run, also when one fails; the error of the first one that failed is
   * thrown then, with its `index`.
   */
  map<N extends RemoteTaskName<T>>(
    name: N,
    items:
      | Iterable<RemoteTaskArgs<T, N>[0]>
      | AsyncIterable<RemoteTaskArgs<T, N>[0]>,
    options?: PoolMapOptions,
  ): Promise<RemoteTaskResult<T, N>[]>;
  /** The same, by a function that a worker has under its name. */
  map<I, R>(
    fn: RemoteTaskFunction<[I], R>,
    items: Iterable<I> | AsyncIterable<I>,
    options?: PoolMapOptions,
  ): Promise<R[]>;
  async map(
    task: unknown,
    items: Iterable<unknown> | AsyncIterable<unknown>,
    options?: PoolMapOptions,
  ): Promise<unknown[]> {
    return await this.#map("map", task, items, false, options ?? {}).promise;
  }

  /** The same as {@linkcode RemotePool.map}, as a result. */
  mapAsync<N extends RemoteTaskName<T>>(
    name: N,
    items:
      | Iterable<RemoteTaskArgs<T, N>[0]>
      | AsyncIterable<RemoteTaskArgs<T, N>[0]>,
    options?: PoolMapAsyncOptions<RemoteTaskResult<T, N>>,
  ): AsyncResult<RemoteTaskResult<T, N>[]>;
  /** The same, by a function that a worker has under its name. */
  mapAsync<I, R>(
    fn: RemoteTaskFunction<[I], R>,
    items: Iterable<I> | AsyncIterable<I>,
    options?: PoolMapAsyncOptions<R>,
  ): AsyncResult<R[]>;
  mapAsync(
    task: unknown,
    items: Iterable<unknown> | AsyncIterable<unknown>,
    options?: PoolMapAsyncOptions<never>,
  ): AsyncResult<unknown[]> {
    return this.#map("map", task, items, false, options ?? {});
  }

  /** Calls a task with each list of arguments: else as {@linkcode RemotePool.map}. */
  starmap<N extends RemoteTaskName<T>>(
    name: N,
    items: Iterable<RemoteTaskArgs<T, N>> | AsyncIterable<RemoteTaskArgs<T, N>>,
    options?: PoolMapOptions,
  ): Promise<RemoteTaskResult<T, N>[]>;
  /** The same, by a function that a worker has under its name. */
  starmap<A extends unknown[], R>(
    fn: RemoteTaskFunction<A, R>,
    items: Iterable<NoInfer<A>> | AsyncIterable<NoInfer<A>>,
    options?: PoolMapOptions,
  ): Promise<R[]>;
  async starmap(
    task: unknown,
    items: Iterable<unknown> | AsyncIterable<unknown>,
    options?: PoolMapOptions,
  ): Promise<unknown[]> {
    return await this.#map("starmap", task, items, true, options ?? {})
      .promise;
  }

  /** The same as {@linkcode RemotePool.starmap}, as a result. */
  starmapAsync<N extends RemoteTaskName<T>>(
    name: N,
    items: Iterable<RemoteTaskArgs<T, N>> | AsyncIterable<RemoteTaskArgs<T, N>>,
    options?: PoolMapAsyncOptions<RemoteTaskResult<T, N>>,
  ): AsyncResult<RemoteTaskResult<T, N>[]>;
  /** The same, by a function that a worker has under its name. */
  starmapAsync<A extends unknown[], R>(
    fn: RemoteTaskFunction<A, R>,
    items: Iterable<NoInfer<A>> | AsyncIterable<NoInfer<A>>,
    options?: PoolMapAsyncOptions<R>,
  ): AsyncResult<R[]>;
  starmapAsync(
    task: unknown,
    items: Iterable<unknown> | AsyncIterable<unknown>,
    options?: PoolMapAsyncOptions<never>,
  ): AsyncResult<unknown[]> {
    return this.#map("starmap", task, items, true, options ?? {});
  }

  #map(
    action: string,
    task: unknown,
    items: Iterable<unknown> | AsyncIterable<unknown>,
    isSpread: boolean,
    options: PoolMapAsyncOptions<never>,
  ): AsyncResult<unknown[]> {
    this.#checkOpen(action);
    const name = nameOf(action, task);
    checkMapOptions(action, options);
    checkItems(action, items);
    const { signal, timeout, onProgress, priority = 0 } = options;
    signal?.throwIfAborted();
    const list = isAsync(items) ? undefined : [...items];
    let source: ListSource | undefined;
    let isOver = false;
    const result = makeResult<never>(
      this.#resultOwner,
      options as PoolApplyAsyncOptions<never>,
    ) as AsyncResult;
    const over = (outcome: TaskOutcome) => {
      if (isOver) return;
      isOver = true;
      teller?.stop();
      stopTimer?.();
      signal?.removeEventListener("abort", onAbort);
      this.#openWork.delete(work);
      settleResult(result, outcome);
      this.#checkEnd();
    };
    const teller = onProgress && new ProgressTeller((progress) => {
      callBack(onProgress, progress, callbackFailed);
    });
    const giveUp = (error: unknown) => {
      if (source === undefined) over({ ok: false, error });
      else source.finish({ ok: false, error });
    };
    const work = { end: giveUp };
    this.#openWork.add(work);
    const onAbort = () => giveUp(signal!.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    const stopTimer = timeout === undefined ? undefined : startTimer(
      () => giveUp(new TimeoutError(`The map took longer than ${timeout} ms`)),
      timeout,
    );
    const id = nextId();
    setWork(result, {
      id,
      cancel: () => {
        if (isOver) return false;
        giveUp(new CancelledError("The map was cancelled"));
        return true;
      },
    });
    const begin = (list: readonly unknown[]) => {
      if (isOver) return;
      const chunksize = options.chunksize ??
        Math.min(MAX_CHUNK, Math.ceil(list.length / CUTS));
      const made = source = new ListSource(
        { fn: UNKNOWN_FUNCTION, isSpread, chunksize, priority },
        list,
        over,
        {
          isDurable: true,
          abandoned: () => this.#abandon(made),
          onSettled: teller && ((done, total) => teller.settled(done, total)),
        },
      );
      if (list.length === 0) source.finish({ ok: true, value: [] });
      else this.#addSource(name, source);
    };
    if (list !== undefined) begin(list);
    else {
      Array.fromAsync(items as AsyncIterable<unknown>).then(begin, giveUp);
    }
    return result as AsyncResult<unknown[]>;
  }

  /**
   * Calls a task with each item and gives the results in the order of the items,
   * as they are ready. Items are read while the consumer keeps up, so that the
   * input may be endless.
   *
   * @throws The error of an item, at its place, with its `index`; the iterator
   * can go on.
   */
  imap<N extends RemoteTaskName<T>>(
    name: N,
    items:
      | Iterable<RemoteTaskArgs<T, N>[0]>
      | AsyncIterable<RemoteTaskArgs<T, N>[0]>,
    options?: PoolImapOptions,
  ): AsyncIterableIterator<RemoteTaskResult<T, N>>;
  /** The same, by a function that a worker has under its name. */
  imap<I, R>(
    fn: RemoteTaskFunction<[I], R>,
    items: Iterable<I> | AsyncIterable<I>,
    options?: PoolImapOptions,
  ): AsyncIterableIterator<R>;
  imap(
    task: unknown,
    items: Iterable<unknown> | AsyncIterable<unknown>,
    options: PoolImapOptions = {},
  ): AsyncIterableIterator<unknown> {
    return this.#imap("imap", task, items, { isOrdered: true }, options);
  }

  /** The same as {@linkcode RemotePool.imap} with lists of arguments. */
  istarmap<N extends RemoteTaskName<T>>(
    name: N,
    items: Iterable<RemoteTaskArgs<T, N>> | AsyncIterable<RemoteTaskArgs<T, N>>,
    options?: PoolImapOptions,
  ): AsyncIterableIterator<RemoteTaskResult<T, N>>;
  /** The same, by a function that a worker has under its name. */
  istarmap<A extends unknown[], R>(
    fn: RemoteTaskFunction<A, R>,
    items: Iterable<NoInfer<A>> | AsyncIterable<NoInfer<A>>,
    options?: PoolImapOptions,
  ): AsyncIterableIterator<R>;
  istarmap(
    task: unknown,
    items: Iterable<unknown> | AsyncIterable<unknown>,
    options: PoolImapOptions = {},
  ): AsyncIterableIterator<unknown> {
    const how = { isOrdered: true, isSpread: true };
    return this.#imap("istarmap", task, items, how, options);
  }

  /**
   * The same as {@linkcode RemotePool.imap}, in the order in which the results are
   * ready.
   */
  imapUnordered<N extends RemoteTaskName<T>>(
    name: N,
    items:
      | Iterable<RemoteTaskArgs<T, N>[0]>
      | AsyncIterable<RemoteTaskArgs<T, N>[0]>,
    options?: PoolImapOptions,
  ): AsyncIterableIterator<RemoteTaskResult<T, N>>;
  /** The same, by a function that a worker has under its name. */
  imapUnordered<I, R>(
    fn: RemoteTaskFunction<[I], R>,
    items: Iterable<I> | AsyncIterable<I>,
    options?: PoolImapOptions,
  ): AsyncIterableIterator<R>;
  imapUnordered(
    task: unknown,
    items: Iterable<unknown> | AsyncIterable<unknown>,
    options: PoolImapOptions = {},
  ): AsyncIterableIterator<unknown> {
    const how = { isOrdered: false };
    return this.#imap("imapUnordered", task, items, how, options);
  }

  #imap(
    action: string,
    task: unknown,
    items: Iterable<unknown> | AsyncIterable<unknown>,
    { isOrdered, isSpread = false }: { isOrdered: boolean; isSpread?: boolean },
    options: PoolImapOptions,
  ): AsyncIterableIterator<unknown> {
    this.#checkOpen(action);
    const name = nameOf(action, task);
    checkMapOptions(action, options);
    checkItems(action, items);
    const { signal, buffer, chunksize } = options;
    signal?.throwIfAborted();
    const input = isAsync(items)
      ? items[Symbol.asyncIterator]()
      : items[Symbol.iterator]();
    const onAbort = () => source.stop(signal!.reason);
    const source: StreamSource = new StreamSource(
      { fn: UNKNOWN_FUNCTION, isSpread, chunksize, priority: 0 },
      input,
      {
        isOrdered,
        buffer,
        size: this.size || ASSUMED_SIZE,
        add: () => this.#addSource(name, source),
        allDone: () => {
          this.#openWork.delete(work);
          this.#checkEnd();
        },
        over: () => signal?.removeEventListener("abort", onAbort),
        abandoned: () => this.#abandon(source),
      },
    );
    signal?.addEventListener("abort", onAbort, { once: true });
    const work = {
      end: (error: unknown) => source.stop(error),
      closing: () => source.closing(),
    };
    this.#openWork.add(work);
    source.fill();
    return {
      next: () => source.next(),
      return: (value?: unknown) => {
        source.stop();
        return Promise.resolve({ done: true as const, value });
      },
      throw: (error?: unknown) => {
        source.stop();
        return Promise.reject(error);
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  #addSource(name: string, source: ItemSource): void {
    if (!source.isQueued) {
      source.isQueued = true;
      this.#sources.push({ name, source });
    }
    this.#fill();
  }

  /** Hands out items while there is room, of one map after the other. */
  #fill(): void {
    while (this.#windowed < WINDOW) {
      const next = this.#sources[0];
      if (next === undefined) return;
      const { name, source } = next;
      if (source.waiting === 0) {
        source.isQueued = false;
        this.#sources.shift();
        continue;
      }
      const { start, items } = source.take(source.chunksize ?? 1);
      this.#addItems(name, source, start, items, items.length === 1);
    }
  }

  /** Sends items that follow each other as one unit. */
  #addItems(
    name: string,
    source: ItemSource,
    start: number,
    items: readonly unknown[],
    isAlone: boolean,
  ): void {
    const calls: unknown[][] = [];
    for (const [i, item] of items.entries()) {
      const args = source.isSpread ? item : [item];
      try {
        if (!Array.isArray(args)) {
          throw new TypeError(
            `Cannot call "${name}": an item must be a list of arguments, received ${
              shown(args)
            }`,
          );
        }
        checkSendable(args, `items[${start + i}]`);
        calls.push(args);
      } catch (error) {
        // Those before and after it go by themselves.
        const before = items.slice(0, i);
        const after = items.slice(i + 1);
        if (before.length > 0) {
          this.#addItems(name, source, start, before, isAlone);
        }
        source.settled(start + i, this.#count({ ok: false, error }));
        if (after.length > 0) {
          this.#addItems(name, source, start + i + 1, after, isAlone);
        }
        return;
      }
    }
    const unit: Unit = {
      task: {
        id: this.#newId(),
        name,
        calls,
        priority: source.priority,
        timeout: undefined,
        maxAttempts: isAlone ? this.#maxAttempts : 1,
      },
      engine: undefined,
      isWindowed: true,
      settle: (results) => {
        if (
          !isAlone && "error" in results && this.#maxAttempts > 1 &&
          results.error instanceof WorkerLostError
        ) {
          // One of them may be to blame: which one, they find out one by one.
          this.#counts.lost++;
          for (const [i, item] of items.entries()) {
            this.#addItems(name, source, start + i, [item], true);
          }
          return;
        }
        items.forEach((_, i) =>
          source.settled(start + i, this.#count(outcomeOf(results, i)))
        );
      },
    };
    this.#unitsOf(source).add(unit);
    this.#add(unit);
  }

  readonly #bySource = new WeakMap<ItemSource, Set<Unit>>();

  #unitsOf(source: ItemSource): Set<Unit> {
    let units = this.#bySource.get(source);
    if (units === undefined) this.#bySource.set(source, units = new Set());
    return units;
  }

  /** What is under way of a map is not wanted any more. */
  #abandon(source: ItemSource): void {
    const units = [...this.#unitsOf(source)].filter((unit) =>
      this.#remove(unit)
    );
    if (units.length > 0) this.#withdraw(units.map(({ task }) => task.id));
    this.#fill();
    this.#checkEnd();
  }

  // ---- The pool ----

  #checkOpen(action: string): void {
    if (this.#isClosed) {
      throw new InvalidStateError(`Cannot ${action}: the pool is closed`);
    }
  }

  /** How many tasks its workers run at the same time, as last told. */
  get size(): number {
    return this.#workers.reduce((sum, { concurrency }) => sum + concurrency, 0);
  }

  /** Counts at this moment. */
  stats(): RemotePoolStats {
    let pending = 0;
    for (const { task } of this.#units.values()) pending += task.calls.length;
    for (const { source } of this.#sources) pending += source.waiting;
    return { pending, ...this.#counts, workers: this.#workers };
  }

  /** Takes no more tasks; the pool ends when all is done. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const work of [...this.#openWork]) work.closing?.();
    this.#checkEnd();
  }

  #checkEnd(): void {
    if (!this.#isClosed || this.#units.size > 0 || this.#openWork.size > 0) {
      return;
    }
    this.#ending ??= this.#end();
  }

  async #end(): Promise<void> {
    this.#stop.abort();
    try {
      // One that was never used has nobody to tell.
      const engine = await this.#engine?.catch(() => undefined);
      const isThere = this.#session === undefined ||
        this.#session.state === "open";
      if (isThere) await engine?.forget(this.#owner).catch(() => {});
      await this.#session?.close();
      await this.#manager?.shutdown();
    } finally {
      this.#tellUnread();
      resourceClosed(this);
      this.#ended.resolve();
    }
  }

  #tellUnread(): void {
    const unread = [...this.#unread.values()];
    this.#unread.clear();
    for (const error of unread) {
      console.error("A task of a pool failed, and nobody has read its result:");
      console.error(error);
    }
  }

  /**
   * Gives up whatever is not done: it fails with {@linkcode CancelledError}.
   * Workers go on to serve others. Idempotent.
   */
  async terminate(): Promise<void> {
    this.#isClosed = true;
    this.#failAll(
      new CancelledError("The pool was terminated before the task was done"),
    );
    this.#checkEnd();
    await this.#ended.promise;
  }

  /**
   * Waits until all tasks are done and the connection is closed.
   *
   * @throws {InvalidStateError} If neither `close` nor `terminate` was called.
   * @throws {TimeoutError} If it takes longer; the pool goes on.
   */
  async join(options?: WaitOptions): Promise<void> {
    const wait = checkWait("join the pool", options);
    if (!this.#isClosed) {
      throw new InvalidStateError(
        "Cannot join the pool: call close() or terminate() first",
      );
    }
    await waitBounded(
      this.#ended.promise,
      wait,
      () => new TimeoutError(`The pool has not ended after ${wait.timeout} ms`),
    );
  }

  /** Closes the pool and waits, within bounds: see `disposeTimeout`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    try {
      await this.join({ timeout: this.#options.disposeTimeout ?? 60_000 });
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      await this.terminate();
    }
  }
}

function outcomeOf(
  results: EngineOutcome["results"],
  index = 0,
): EngineResult {
  if ("error" in results) return { ok: false, error: results.error };
  return results[index] ?? {
    ok: false,
    error: new CancelledError("The task was given up"),
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => startTimer(resolve, ms));
}

/** Whether there is no listener, as far as is known. */
function isNobodyThere(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionRefused ||
    error instanceof Deno.errors.NotFound;
}

/** The name of a task: given, or that of a function. */
function nameOf(action: string, task: unknown): string {
  const name = typeof task === "function" ? task.name : task;
  if (typeof name === "string" && name !== "") return name;
  throw new TypeError(
    `Cannot ${action}: the task must be the name of a handler, or a function that has one, received ${
      shown(task)
    }`,
  );
}

/** What cannot be sent is told at the call. */
function checkSendable(args: readonly unknown[], root: string): void {
  encode(args, {
    root,
    foreign: true,
    lend: true,
    isShared: (object) => targetOf(object) !== undefined,
  });
}

function managerOptions(options: RemotePoolOptions): ManagerOptions {
  const {
    serve: _serve,
    engine: _engine,
    onWorkerLost: _onWorkerLost,
    retries: _retries,
    taskTimeout: _taskTimeout,
    disposeTimeout: _disposeTimeout,
    ...rest
  } = options;
  return rest;
}

function checkPoolOptions(action: string, options: RemotePoolOptions): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot ${action}: the options must be an object, received ${
        shown(options)
      }`,
    );
  }
  const { engine, serve, onWorkerLost, retries } = options;
  if (engine === undefined) {
    // Port 0 is for one that serves.
    const { address } = ticketOf(action, options);
    if ("port" in address && address.port === 0 && serve !== true) {
      throw new RangeError(
        `Cannot ${action}: "port" must be that of a manager, received 0`,
      );
    }
  }
  if (serve !== undefined && serve !== "auto" && typeof serve !== "boolean") {
    throw new TypeError(
      `Cannot ${action}: "serve" must be true, false or "auto", received ${
        shown(serve)
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
  if (retries !== undefined) checkInteger(action, "retries", retries, 0);
  for (const name of ["taskTimeout", "disposeTimeout"] as const) {
    if (options[name] !== undefined) {
      checkNonNegative(action, name, options[name]);
    }
  }
}

/** What the user has given to be called has thrown. */
function callbackFailed(error: unknown): void {
  console.error("A callback of a pool has thrown:");
  console.error(error);
}
