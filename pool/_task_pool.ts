// Copyright 2026 the multitask authors. MIT license.
// Tasks and maps are submitted here, and go to the scheduler.

import { hub } from "../ipc/_hub.ts";
import { self } from "../ipc/_self.ts";
import { checkWait, shown, type WaitOptions } from "../ipc/_options.ts";
import { startTimer } from "../ipc/_timer.ts";
import { waitBounded } from "../ipc/_wait_bounded.ts";
import type { Target } from "../ipc/task_ref.ts";
import {
  CancelledError,
  InvalidStateError,
  TimeoutError,
} from "../ipc/errors.ts";
import type { ItemSource } from "./_batch.ts";
import { onAbort } from "./_abort_listeners.ts";
import { callBack } from "./_call_back.ts";
import { type PoolEventMap, PoolEvents } from "./_events.ts";
import { FunctionTable } from "./_functions.ts";
import { ListSource, type MapSettings, StreamSource } from "./_map_source.ts";
import type { TaskPoolOptions } from "./_pool_options.ts";
import { ProgressTeller } from "./_progress.ts";
import { Scheduler } from "./_scheduler.ts";
import type { PoolStats } from "./_stats.ts";
import { nextId, Task, type TaskOutcome, type Tell } from "./_task.ts";
import {
  type CallRest,
  checkItems,
  checkMapOptions,
  checkTaskOptions,
  isAsync,
  type PoolApplyAsyncOptions,
  type PoolImapOptions,
  type PoolMapAsyncOptions,
  type PoolMapOptions,
  type PoolTaskOptions,
} from "./_task_options.ts";
import { Trace } from "./_trace.ts";
import type { StartWorker } from "./_worker_handle.ts";
import {
  type AsyncResult,
  makeResult,
  settleResult,
  setWork,
} from "./async_result.ts";
import {
  type Future,
  makeFuture,
  setFutureWork,
  settleFuture,
} from "./future.ts";

/** How a pool is made. */
export interface PoolSetup {
  /** What it is called in error messages. */
  readonly noun: "pool" | "executor";
  /** What error messages say that could not be done. */
  readonly action: string;
  /** How many workers there are at most. */
  readonly size: number;
  /** Checked already. */
  readonly options: TaskPoolOptions;
  readonly start: StartWorker;
  /** Whether workers are started when they are needed. */
  readonly isLazy?: boolean;
  /** Ends what the workers were in, once they have ended. */
  readonly ended?: () => Promise<void>;
}

/** How long workers may take to end politely, in milliseconds. */
const TERMINATE_GRACE = 1000;

/**
 * How long nobody may read results while somebody waits for the pool's end, in
 * milliseconds, and how often that is looked at. A guess.
 */
const UNREAD_BOUND = 3000;
const UNREAD_LOOK = 500;

/** Submits a call that gets a future. For this package only. */
export let submitFuture: (
  pool: TaskPool,
  fn: unknown,
  args: unknown[],
  options: PoolTaskOptions,
) => Future;

/** Ends all that read items lazily with an error. For this package only. */
export let stopStreams: (pool: TaskPool, error: unknown) => void;

/**
 * What all pools have in common: how tasks are submitted, and what becomes of
 * them. What a worker is says whoever makes it.
 */
export class TaskPool implements AsyncDisposable {
  static {
    submitFuture = (pool, fn, args, options) => {
      const future = makeFuture(pool.#events);
      const task = pool.#submit(future, settleFuture, fn, args, options);
      setFutureWork(future, {
        id: task.id,
        cancel: () => task.cancel(),
        isRunning: () => pool.#scheduler.isRunning(task),
      });
      return future;
    };
    stopStreams = (pool, error) => {
      for (const stream of [...pool.#streams]) stream.stop(error);
    };
  }

  readonly #noun: "pool" | "executor";
  readonly #scheduler: Scheduler;
  readonly #functions = new FunctionTable();
  readonly #events = new PoolEvents();
  readonly #taskTimeout: number | undefined;
  readonly #disposeTimeout: number;
  /** Those that read items lazily, and are not at their end. */
  readonly #streams = new Set<StreamSource>();
  readonly #isDurable: boolean;
  /** Resolves when the workers, and what they were in, have ended. */
  readonly #ended: Promise<void>;
  readonly #trace: Trace | undefined;
  #isClosed = false;

  /**
   * Starts the workers. For this package only.
   *
   * @internal
   */
  constructor(setup: PoolSetup) {
    const { noun, action, size, options, start, isLazy = false, ended } = setup;
    this.#noun = noun;
    const { onWorkerLost, retries } = options;
    this.#taskTimeout = options.taskTimeout;
    this.#disposeTimeout = options.disposeTimeout ?? 60_000;
    this.#isDurable = onWorkerLost === "retry";
    this.#trace = options.trace ? new Trace() : undefined;
    const initargs = [...options.initargs ?? []];
    const init = options.initializer === undefined ? undefined : {
      fn: this.#functions.entry(action, options.initializer),
      pack: () => hub.pack(initargs, "initargs"),
    };
    // What cannot be sent is told here.
    if (init !== undefined) hub.dropPacket(init.pack());
    const events = this.#events;
    this.#scheduler = new Scheduler({
      noun,
      size,
      start,
      init,
      killGrace: options.killGrace ?? 500,
      startTimeout: options.startTimeout ?? 60_000,
      maxTasksPerWorker: options.maxTasksPerChild,
      // In a forked child that is not there yet nothing is started.
      isLazy: isLazy || self.replaying,
      isTraced: this.#trace !== undefined,
      ...(onWorkerLost === undefined ? {} : { onWorkerLost }),
      ...(retries === undefined ? {} : { retries }),
      events: {
        workerStarted: ({ handle: { name: worker, pid } }) =>
          events.emit("workerstart", { worker, pid }),
        workerEnded: ({ handle: { name: worker, pid } }, end) =>
          events.emit("workerend", {
            worker,
            pid,
            exitCode: end.exitCode,
            signal: end.signal,
          }),
        cannotStart: (error) => events.tell("workererror", error),
        log: ({ handle }, text, task) => events.log(handle.name, text, task),
        progress: ({ handle: { name: worker } }, value, task) =>
          events.emit("progress", { worker, value, ...task && { task } }),
        ran: (worker, name, count, times) =>
          this.#trace?.add(worker.handle, name, count, times),
        broke: ({ handle }, { fn: { name }, runsSince, givenUp }) =>
          this.#trace?.addBroken(handle, name, runsSince, givenUp ?? "lost"),
      },
    });
    this.#ended = this.#scheduler.ended.then(() => ended?.());
    this.#ended.then(() => events.tellUnread());
  }

  /** Has a listener called for events of a type. */
  addEventListener<K extends keyof PoolEventMap>(
    type: K,
    listener: (event: PoolEventMap[K]) => void,
  ): void {
    this.#events.add(type, listener);
  }

  /** Has a listener not called any more. */
  removeEventListener<K extends keyof PoolEventMap>(
    type: K,
    listener: (event: PoolEventMap[K]) => void,
  ): void {
    this.#events.remove(type, listener);
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
    ...rest: CallRest<NoInfer<A>, PoolTaskOptions>
  ): Promise<R> {
    return await this.applyAsync<A, R>(fn, ...rest).promise;
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
    ...[args, options]: CallRest<NoInfer<A>, PoolApplyAsyncOptions<R>>
  ): AsyncResult<R> {
    const result = makeResult<R>(this.#events, options);
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
    const timeout = options?.timeout ?? this.#taskTimeout;
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
      task.onSettled(
        onAbort(
          signal,
          () => this.#scheduler.giveUp(task, signal.reason, true),
        ),
      );
    }
    // Nobody knows what it gave in the parent.
    if (self.replaying) task.settle({ ok: true, value: undefined });
    else this.#scheduler.add(task);
    return task;
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
    if (self.replaying) items = [];
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
    const giveUp = (error: unknown, isAsked = false): void => {
      const outcome = { ok: false, error, isAsked } as const;
      if (source === undefined) over(outcome);
      else source.finish(outcome);
    };
    const result = makeResult<R[]>(this.#events, options);
    const map = {
      id: nextId(),
      cancel: () => {
        if (isOver) return false;
        giveUp(new CancelledError("The map was cancelled"));
        return true;
      },
      end: (error: unknown) => giveUp(error),
    };
    setWork(result as AsyncResult, map);
    let isOver = false;
    const teller = onProgress && new ProgressTeller((progress) => {
      callBack(onProgress, progress, (error) => {
        this.#events.callbackFailed(error);
      });
    });
    const over = (outcome: TaskOutcome) => {
      if (isOver) return;
      isOver = true;
      teller?.stop();
      stopTimer?.();
      stopListening?.();
      settleResult(result as AsyncResult, outcome);
      this.#scheduler.finished(map);
    };
    const stopTimer = timeout === undefined ? undefined : startTimer(
      () => giveUp(new TimeoutError(`The map took longer than ${timeout} ms`)),
      timeout,
    );
    const stopListening = signal &&
      onAbort(signal, () => giveUp(signal.reason, true));
    const begin = (list: readonly unknown[]) => {
      if (isOver) return;
      source = new ListSource(
        { id: map.id, ...settingsOf(fn, isSpread, options) },
        list,
        over,
        {
          isDurable: this.#isDurable,
          abandoned: () => this.#scheduler.abandon(source!),
          onSettled: teller && teller.settled.bind(teller),
        },
      );
      if (list.length === 0) source.finish({ ok: true, value: [] });
      else this.#scheduler.add(source);
    };
    this.#scheduler.opened(map);
    if (list !== undefined) begin(list);
    else Array.fromAsync(items).then(begin, (error) => giveUp(error));
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
    if (self.replaying) items = [];
    const { signal, buffer } = options;
    signal?.throwIfAborted();
    const input = isAsync(items)
      ? items[Symbol.asyncIterator]()
      : items[Symbol.iterator]();
    const source: StreamSource = new StreamSource(
      settingsOf(this.#functions.entry(action, target), isSpread, options),
      input,
      {
        isOrdered,
        buffer,
        size: this.size,
        add: () => this.#scheduler.add(source),
        allDone: () => this.#scheduler.finished(open),
        over: () => {
          stopListening?.();
          this.#streams.delete(source);
        },
        abandoned: () => this.#scheduler.abandon(source),
      },
    );
    this.#streams.add(source);
    const stopListening = signal &&
      onAbort(signal, () => source.stop(signal.reason));
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
      const how = this.#noun === "pool" ? "closed" : "shut down";
      throw new InvalidStateError(
        `Cannot ${action}: the ${this.#noun} is ${how}`,
      );
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
    await this.#ended;
  }

  /**
   * Waits until all tasks are done and the workers have ended.
   *
   * An iterator of `imap` or one of its relatives is only done when its results
   * are read to the end, or its `return()` was called: when nothing else is left
   * to do, and nobody has read on for some seconds, that is an error.
   *
   * @throws {InvalidStateError} If neither `close` nor `terminate` was called,
   * or results are not read; the pool goes on.
   * @throws {TimeoutError} If it takes longer; the pool goes on.
   */
  async join(options?: WaitOptions): Promise<void> {
    const action = `join the ${this.#noun}`;
    const wait = checkWait(action, options);
    if (!this.#isClosed && this.#scheduler.failure === undefined) {
      throw new InvalidStateError(
        `Cannot ${action}: call close() or terminate() first`,
      );
    }
    const ended = this.#ended;
    const unread = this.#streams.size > 0
      ? this.#watchUnread(action)
      : undefined;
    try {
      await waitBounded(
        unread === undefined ? ended : Promise.race([ended, unread.promise]),
        wait,
        () =>
          new TimeoutError(
            `The ${this.#noun} has not ended after ${wait.timeout} ms`,
          ),
      );
    } finally {
      unread?.stop();
    }
  }

  /** Rejects when all that is left to do is to read results. */
  #watchUnread(action: string): { promise: Promise<never>; stop(): void } {
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = setInterval(() => {
      const { queued, running } = this.#scheduler.load;
      const limit = performance.now() - UNREAD_BOUND;
      const unread = [...this.#streams];
      if (
        queued > 0 || running > 0 || unread.length === 0 ||
        unread.some(({ unreadSince }) => unreadSince > limit)
      ) return;
      reject(
        new InvalidStateError(
          `Cannot ${action}: nobody reads the results of ${unread.length} imap(): read them to the end, or call the iterator's return()`,
        ),
      );
    }, UNREAD_LOOK);
    // Whoever waits may have given up meanwhile.
    promise.catch(() => {});
    return { promise, stop: () => clearInterval(timer) };
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
        `Cannot write the trace: create the ${this.#noun} with trace: true`,
      );
    }
    await this.#trace.write(path);
  }

  /**
   * Closes it and waits, within bounds: see `disposeTimeout`. Iterators of `imap`
   * and its relatives whose next result nobody waits for are ended: whoever reads
   * on gets a {@linkcode CancelledError}.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    for (const stream of [...this.#streams]) stream.disposing();
    try {
      await this.join({ timeout: this.#disposeTimeout });
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
  options: PoolImapOptions,
): MapSettings {
  const { chunksize, priority = 0, itemTimeout: timeout } = options;
  return { fn, isSpread, chunksize, priority, timeout };
}
