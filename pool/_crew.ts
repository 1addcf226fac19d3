// Copyright 2026 the multitask authors. MIT license.
// The workers of a pool: how many there are, and how missing ones are started.
//
// A worker that cannot be started is tried again, each time after a longer
// pause, while it is wanted. When that is hopeless it is told: the others go
// on, if there are any. So many in a row that end before they are ready are
// hopeless, too: they would go on to end.

import type { Packet } from "../ipc/_packet.ts";
import { PermissionNeededError } from "../ipc/errors.ts";
import { startTimer } from "../ipc/_timer.ts";
import type { FunctionEntry } from "./_functions.ts";
import { PoolWorker, type WorkerState } from "./_pool_worker.ts";
import type { StartWorker, WorkerEnd } from "./_worker_handle.ts";

/** So many workers in a row that end before they are ready are hopeless. */
const MAX_VAIN = 3;

/** Pauses before another try to start one, in milliseconds. */
const PAUSE = { first: 50, most: 5000 } as const;

/** So many tries in a row that fail are hopeless. */
const MAX_TRIES = 6;

/** How long a worker may take to end by itself, in milliseconds. */
const END_BOUND = 5000;

/** How a crew works. */
export interface CrewOptions {
  readonly size: number;
  readonly start: StartWorker;
  /** The initializer and its arguments. */
  readonly init?: { fn: FunctionEntry; pack: () => Packet } | undefined;
  readonly maxTasksPerWorker?: number | undefined;
  /** Whether it is to be known when tasks run that may be given up. */
  readonly isTraced?: boolean;
  /** How long a worker may take to get ready, in milliseconds. */
  readonly startTimeout: number;
}

/** What a crew tells its scheduler. */
export interface CrewEvents {
  started(worker: PoolWorker): void;
  message(worker: PoolWorker, packet: Packet): void;
  /** And where it stood. */
  ended(worker: PoolWorker, end: WorkerEnd, was: WorkerState): void;
  /** What the workers run first cannot be found. */
  initFailed(error: unknown): void;
  /** It is time to try to start one again. */
  again(): void;
  /** None can be started, also after a while: whether that is news. */
  hopeless(error: unknown, isNews: boolean): void;
}

/** See the file comment. */
export class Crew {
  readonly workers: Set<PoolWorker> = new Set();
  readonly #options: CrewOptions;
  readonly #events: CrewEvents;
  #next = 1;
  /** Workers in a row that ended before anything came of them. */
  #vain = 0;
  /** Tries in a row that failed. */
  #failed = 0;
  #stopPause: (() => void) | undefined;
  #isOver = false;

  constructor(options: CrewOptions, events: CrewEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** Starts all. Throws when one cannot be started: then there is none. */
  startAll(): void {
    try {
      while (this.workers.size < this.#options.size) this.#start();
    } catch (error) {
      this.kill();
      throw error;
    }
  }

  #start(): void {
    const { init, startTimeout, start, isTraced } = this.#options;
    const worker: PoolWorker = new PoolWorker(
      start(this.#next++, {
        message: (packet) => this.#events.message(worker, packet),
        ended: (end) => {
          const was = worker.state;
          worker.state = "ended";
          worker.stopKill?.();
          this.workers.delete(worker);
          this.#events.ended(worker, end, was);
        },
      }),
      isTraced,
    );
    this.workers.add(worker);
    worker.stopKill = startTimer(
      () => worker.handle.kill(),
      startTimeout,
      { unref: true },
    );
    this.#events.started(worker);
    if (init === undefined || init.fn.located !== undefined) {
      return worker.init(init);
    }
    init.fn.ready.then(() => {
      if (init.fn.failure !== undefined) throw init.fn.failure;
      worker.init(init);
    }).catch((error) => this.#events.initFailed(error));
  }

  /**
   * Starts workers for what waits, as far as there may be more: for so many
   * tasks, of which some will go to those that start already.
   */
  startFor(waiting: number, starting: number): void {
    if (this.#stopPause !== undefined || this.#isOver) return;
    const room = this.#options.size - this.workers.size;
    try {
      for (let i = Math.min(room, waiting - starting); i > 0; i--) {
        this.#start();
        this.#failed = 0;
      }
    } catch (error) {
      this.#pause(error);
    }
  }

  #pause(error: unknown): void {
    const before = this.#failed++;
    // What is not permitted will not be later.
    if (error instanceof PermissionNeededError) this.#failed = MAX_TRIES;
    if (this.#failed >= MAX_TRIES) {
      this.#events.hopeless(error, before < MAX_TRIES);
      if (this.#isOver) return;
    }
    const pause = PAUSE.first * 2 ** (this.#failed - 1);
    this.#stopPause = startTimer(() => {
      this.#stopPause = undefined;
      this.#events.again();
    }, Math.min(pause, PAUSE.most));
  }

  /** Whether another one may be started at this moment. */
  get mayStart(): boolean {
    return this.workers.size < this.#options.size &&
      this.#stopPause === undefined;
  }

  /** Whether a worker may be given no more. */
  isUsedUp({ given }: PoolWorker): boolean {
    return given >= (this.#options.maxTasksPerWorker ?? Infinity);
  }

  /** How much more a worker may be given. */
  roomOf({ given }: PoolWorker): number {
    return (this.#options.maxTasksPerWorker ?? Infinity) - given;
  }

  /** Something has come of a worker. */
  proved(worker: PoolWorker): void {
    worker.isProven = true;
    this.#vain = 0;
  }

  /** One has ended, and nothing has come of it; true when that is hopeless. */
  wasVain(): boolean {
    return ++this.#vain >= MAX_VAIN;
  }

  /** One has ended in the middle of its work: it had got that far. */
  wasBusy(): void {
    this.#vain = 0;
  }

  /** Lets a worker end by itself, once it has nothing to do. */
  retire(worker: PoolWorker): void {
    if (worker.state === "retiring" || worker.state === "ended") return;
    if (worker.batches.length > 0) return;
    worker.state = "retiring";
    worker.handle.awake = true;
    worker.exit();
    // One that does not end by itself: its task may have left something.
    worker.stopKill?.();
    worker.stopKill = startTimer(() => worker.handle.kill(), END_BOUND);
  }

  /** Ends all of them at once; no other is started. */
  kill(): void {
    this.#over();
    for (const { handle } of this.workers) {
      handle.awake = true;
      handle.kill();
    }
  }

  /** Ends all of them politely; no other is started. */
  end(grace: number): void {
    this.#over();
    for (const { handle } of this.workers) {
      handle.awake = true;
      handle.end(grace);
    }
  }

  #over(): void {
    this.#isOver = true;
    this.#stopPause?.();
    this.#stopPause = undefined;
  }
}
