// Copyright 2026 the multitask authors. MIT license.
// A worker: loops, as many as tasks may run at the same time, each of which leases
// a task, runs it and says what came of it.
//
//   serving --close--> draining --tasks are done--> ended
//      |  \--terminate--> ended
//      \--refused for good (another key, a missing permission)--> failed
//
// - While there is no manager, it waits for one. When its manager has been
//   restarted, it works for the new one.
// - What came of a task is said again after a cut: the manager refuses what it
//   knows already, by the fence.
// - A task that blocks the event loop is still a worker that is there: a thread
//   says so meanwhile (see _vouch_main.ts).

import { attributeError } from "../ipc/_error_codec.ts";
import { resourceClosed, resourceOpened } from "../ipc/_live.ts";
import { checkInteger, shown } from "../ipc/_options.ts";
import { startTimer } from "../ipc/_timer.ts";
import { waitFor } from "../ipc/_waiting.ts";
import {
  CancelledError,
  ConnectionClosedError,
  LeaseLostError,
} from "../ipc/errors.ts";
import {
  setTaskContextSource,
  type TaskContext,
} from "../pool/task_context.ts";
import { parseAddress } from "../ipc/_address.ts";
import { RemoteEngine } from "./_remote_engine.ts";
import { checkTtl } from "./_queue_servant.ts";
import { sessionFor, type Ticket } from "./_ticket.ts";
import { startVouching } from "./_vouching.ts";
import type {
  Engine,
  EngineLease,
  EngineResult,
  EngineWorker,
} from "./engine.ts";
import { checkOptions, type ManagerOptions } from "./manager.ts";

/** Functions by the names of the tasks that they run. */
// deno-lint-ignore no-explicit-any -- any arguments: they are those of the tasks.
export type WorkerTasks = Readonly<Record<string, (...args: any[]) => unknown>>;

/** Options of {@linkcode serveWorker}. */
export interface ServeWorkerOptions extends
  Omit<
    ManagerOptions,
    "maxUnauthenticated" | "sessionTimeout" | "reconnectTimeout"
  > {
  /** What it runs, by name. */
  tasks: WorkerTasks;
  /**
   * How many tasks it runs at the same time. More than one is for tasks that
   * wait; those that compute take turns.
   *
   * @default {1}
   */
  concurrency?: number;
  /**
   * What it is called in errors and statistics; one of each name.
   *
   * @default {undefined} the host's process id and something random
   */
  name?: string;
  /**
   * How long a task may take, in milliseconds, before another worker gets it.
   *
   * @default {undefined} as long as this process is there
   */
  ttl?: number;
  /** Closes the worker: tasks that run are done first. */
  signal?: AbortSignal;
  /** Called with what tasks tell by `taskContext().progress()`. */
  onProgress?: (progress: { task: string; value: unknown }) => void;
  /**
   * Where tasks come from, in the place of a manager at `address`.
   *
   * @default {undefined} the manager
   */
  engine?: Engine;
}

/** What a worker has done so far. */
export interface RemoteWorkerStats {
  /** Tasks that run. */
  readonly running: number;
  /** Tasks that are done, however they ended. */
  readonly done: number;
  /** Tasks that somebody else got meanwhile. */
  readonly lost: number;
}

/** A worker that serves. */
export interface RemoteWorker extends AsyncDisposable {
  /** What it is called. */
  readonly name: string;
  /**
   * Resolves when it has ended. Rejects if it was refused for good; if nobody
   * reads this, that is told on stderr, and the exit code is 1.
   */
  readonly finished: Promise<void>;
  /** What it has done so far. */
  stats(): RemoteWorkerStats;
  /** Takes no more tasks; resolves when those that run are done. Idempotent. */
  close(): Promise<void>;
  /**
   * Ends now: tasks that run are given up, and go to others. Idempotent.
   */
  terminate(): Promise<void>;
}

/** Between two tries after a failure, in milliseconds: at first and at most. */
const PAUSE = { first: 50, most: 1000 } as const;

/** How long what came of a task is said again, in milliseconds. */
const COMPLETE_BOUND = 60_000;

/**
 * Runs tasks for the pools of a manager, by the names of its handlers. Nothing but
 * these names can be run: no code comes over the network.
 *
 * Python has no counterpart.
 *
 * The worker may be there before its manager, and stays when that is restarted.
 * It keeps the program alive until it is closed. It needs no permission but
 * `--allow-net` of its manager's address; with the permission to read this
 * package as well, a task that blocks the event loop for long is not taken for a
 * worker that is gone (a thread says that it is there).
 *
 * @throws {TypeError} If an option is wrong.
 * @throws {RangeError} If a number is out of range.
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
 *
 * // Mostly in another program, on another machine.
 * const tasks = { square: (n: number) => n * n };
 * await using _worker = serveWorker({ address, authkey, tasks });
 *
 * await using pool = new RemotePool<typeof tasks>({ address, authkey });
 * assertEquals(await pool.map("square", [1, 2, 3]), [1, 4, 9]);
 * ```
 */
export function serveWorker(options: ServeWorkerOptions): RemoteWorker {
  return new WorkerServer(options);
}

class WorkerServer implements RemoteWorker {
  readonly name: string;
  readonly #identity: EngineWorker;
  readonly #tasks: WorkerTasks;
  readonly #ttl: number | undefined;
  readonly #onProgress: ServeWorkerOptions["onProgress"];
  readonly #engine: Engine;
  /** Takes no more. */
  readonly #drain = new AbortController();
  /** Ends what runs. */
  readonly #stop = new AbortController();
  readonly #running = new Map<number, AbortController>();
  readonly #finished: Promise<void>;
  readonly #leave: () => Promise<void>;
  readonly #revive: () => void;
  #isRead = false;
  #done = 0;
  #lost = 0;

  constructor(options: ServeWorkerOptions) {
    const action = "serve";
    const { engine, signal, onProgress } = check(action, options);
    const { concurrency = 1, name = defaultName() } = options;
    this.name = name;
    this.#tasks = { ...options.tasks };
    this.#ttl = checkTtl(action, options.ttl);
    this.#onProgress = onProgress;
    this.#identity = { name, tasks: Object.keys(this.#tasks), concurrency };
    if (engine === undefined) {
      const ticket = ticketOf(action, options);
      const session = sessionFor(ticket);
      session.expect("");
      const stopVouching = startVouching(ticket, session.id);
      this.#engine = new RemoteEngine(session);
      this.#revive = () => session.revive();
      this.#leave = async () => {
        stopVouching();
        await session.close();
      };
    } else {
      this.#engine = engine;
      this.#revive = () => {};
      this.#leave = () => engine.leave(name);
    }
    resourceOpened(this, `worker ${name}`);
    const onAbort = () => this.#drain.abort();
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) onAbort();
    this.#finished = this.#serve(concurrency).finally(() => {
      signal?.removeEventListener("abort", onAbort);
      resourceClosed(this);
    });
    this.#finished.catch((error) => {
      if (this.#isRead) return;
      console.error(`Worker "${name}" has ended:`, error);
      Deno.exitCode = 1;
    });
  }

  get finished(): Promise<void> {
    this.#isRead = true;
    return this.#finished;
  }

  stats(): RemoteWorkerStats {
    return {
      running: this.#running.size,
      done: this.#done,
      lost: this.#lost,
    };
  }

  async #serve(concurrency: number): Promise<void> {
    await loadContexts();
    const orders = this.#obeyOrders();
    try {
      await Promise.all(
        Array.from({ length: concurrency }, () => this.#loop()),
      );
    } finally {
      this.#drain.abort();
      this.#stop.abort();
      await orders;
      await this.#leave();
    }
  }

  async #loop(): Promise<void> {
    let pause: number = PAUSE.first;
    while (!this.#drain.signal.aborted) {
      let lease: EngineLease | undefined;
      try {
        lease = await this.#engine.lease(this.#identity, {
          signal: this.#drain.signal,
          ttl: this.#ttl,
        });
        pause = PAUSE.first;
      } catch (error) {
        if (this.#drain.signal.aborted) return;
        this.#checkPassing(error);
        await this.#pause(pause);
        pause = Math.min(pause * 2, PAUSE.most);
        continue;
      }
      if (lease !== undefined) await this.#run(lease);
    }
  }

  /** Throws what will not pass. */
  #checkPassing(error: unknown): void {
    if (
      error instanceof ConnectionClosedError || error instanceof CancelledError
    ) return this.#revive();
    // The other loops end, too.
    this.#drain.abort();
    throw error;
  }

  async #pause(ms: number): Promise<void> {
    await waitFor({ timeout: ms, signal: this.#drain.signal }, () => () => {})
      .catch(() => {}); // It is being closed.
  }

  async #run(lease: EngineLease): Promise<void> {
    const { id, fence } = lease;
    const controller = new AbortController();
    const onStop = () =>
      controller.abort(new CancelledError("The worker is ending"));
    this.#stop.signal.addEventListener("abort", onStop, { once: true });
    if (this.#stop.signal.aborted) onStop();
    this.#running.set(fence, controller);
    try {
      const results = await this.#results(lease, controller.signal);
      // Nobody waits for one that was given up.
      if (!controller.signal.aborted) await this.#complete(id, fence, results);
      this.#done++;
    } finally {
      this.#running.delete(fence);
      this.#stop.signal.removeEventListener("abort", onStop);
    }
  }

  async #results(
    { name, calls, attempt }: EngineLease,
    signal: AbortSignal,
  ): Promise<EngineResult[]> {
    const results: EngineResult[] = [];
    const context: TaskContext = {
      worker: this.name,
      workerId: 1,
      attempt,
      signal,
      log: (...values) => console.log(`[${this.name}]`, ...values),
      progress: (value) => this.#onProgress?.({ task: name, value }),
    };
    for (const args of calls) {
      if (signal.aborted) break;
      results.push(await this.#call(name, args, context));
    }
    return results;
  }

  async #call(
    name: string,
    args: readonly unknown[],
    context: TaskContext,
  ): Promise<EngineResult> {
    try {
      const handler = this.#tasks[name]!;
      const call = () => handler(...args);
      const calling = Promise.try(() =>
        contexts === undefined ? call() : contexts.run(context, call)
      );
      return { ok: true, value: await untilAborted(calling, context.signal) };
    } catch (error) {
      return {
        ok: false,
        error: attributeError(error, this.name, Deno.pid),
      };
    }
  }

  /** Says what came of a task; again, while that does not get through. */
  async #complete(
    id: string,
    fence: number,
    results: EngineResult[],
  ): Promise<void> {
    const end = performance.now() + COMPLETE_BOUND;
    while (true) {
      try {
        return await this.#engine.complete(id, fence, results);
      } catch (error) {
        if (error instanceof LeaseLostError) {
          this.#lost++;
          return;
        }
        if (!(error instanceof ConnectionClosedError)) {
          // A result that cannot be sent: that is what came of the task.
          return await this.#engine.complete(
            id,
            fence,
            results.map((): EngineResult => ({ ok: false, error })),
          );
        }
        if (performance.now() > end || this.#stop.signal.aborted) throw error;
        this.#revive();
        await new Promise<void>((resolve) => startTimer(resolve, PAUSE.first));
      }
    }
  }

  /** Ends tasks that were given up. */
  async #obeyOrders(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const orders = await this.#engine.cancelled(this.name, { signal });
        for (const { fence } of orders) {
          this.#running.get(fence)?.abort(
            new CancelledError("The task was given up"),
          );
        }
        if (orders.length === 0) await this.#idle();
      } catch {
        // Whatever it is, the loops find out.
        if (!signal.aborted) await this.#idle();
      }
    }
  }

  #idle(): Promise<unknown> {
    return waitFor<void>(
      { signal: this.#stop.signal },
      (waiter) =>
        startTimer(() => waiter.resolve(), PAUSE.most, { unref: true }),
    )
      .catch(() => {}); // It is being ended.
  }

  async close(): Promise<void> {
    this.#drain.abort();
    await this.finished;
  }

  async terminate(): Promise<void> {
    this.#drain.abort();
    this.#stop.abort();
    await this.finished;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A task that does not listen is left alone when it is given up. */
function untilAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  return waitFor<T>({ signal }, (waiter) => {
    promise.then(waiter.resolve, waiter.reject);
    return () => {};
  }) as Promise<T>; // There is no time limit.
}

/** Who runs, in whatever a task awaits. */
let contexts:
  | {
    run<R>(context: TaskContext, fn: () => R): R;
    getStore(): TaskContext | undefined;
  }
  | undefined;

async function loadContexts(): Promise<void> {
  if (contexts !== undefined) return;
  const { AsyncLocalStorage } = await import("node:async_hooks");
  const storage = contexts ??= new AsyncLocalStorage<TaskContext>();
  setTaskContextSource(() => storage.getStore());
}

function defaultName(): string {
  return `worker-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;
}

/** How to come to the manager that the options name. */
export function ticketOf(action: string, options: ManagerOptions): Ticket {
  if (options.address === undefined) {
    throw new TypeError(`Cannot ${action}: "address" must be given`);
  }
  return {
    ...checkOptions(action, options),
    address: parseAddress(action, options.address),
    reconnectTimeout: Infinity,
  };
}

function check(
  action: string,
  options: ServeWorkerOptions,
): ServeWorkerOptions {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot ${action}: the options must be an object, received ${
        shown(options)
      }`,
    );
  }
  const { tasks, concurrency, name, signal } = options;
  const isRecord = typeof tasks === "object" && tasks !== null &&
    Object.values(tasks).every((task) => typeof task === "function");
  if (!isRecord || Object.keys(tasks).length === 0) {
    throw new TypeError(
      `Cannot ${action}: "tasks" must be an object with at least one function, received ${
        shown(tasks)
      }`,
    );
  }
  if (concurrency !== undefined) {
    checkInteger(action, "concurrency", concurrency, 1);
  }
  if (name !== undefined && (typeof name !== "string" || name === "")) {
    throw new TypeError(
      `Cannot ${action}: "name" must be a string that is not empty, received ${
        shown(name)
      }`,
    );
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(
      `Cannot ${action}: "signal" must be an AbortSignal, received ${
        shown(signal)
      }`,
    );
  }
  return options;
}
