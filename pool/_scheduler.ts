// Copyright 2026 the multitask authors. MIT license.
// The scheduler of a pool: who runs what, and what becomes of it.
//
//   pool:    open --close--> closing --all is done--> ended
//              \ \--terminate--> terminating --workers have ended--> ended
//               \--the initializer failed, no worker starts--> broken
//
// Invariants:
//   - a task is in the queue, or in exactly one batch of one worker, or settled;
//   - every task is settled: by its result, by its worker's end, by whoever
//     gives it up, or by the end of the pool;
//   - while something is queued or under way, some worker is starting or busy,
//     and keeps the program alive; nobody else does.
//
// Batches. Tasks that take long go one by one. Short ones go in batches that
// take about a millisecond, and a worker has a second batch waiting for it. What
// a worker has not begun can be taken back, if both reach the same memory: for
// one that has nothing to do, or when the worker dies. A worker whose memory is
// out of reach gets one task at a time.

import type { Deque } from "../ipc/_deque.ts";
import { ByteReader } from "../ipc/_bytes.ts";
import { attributeError } from "../ipc/_error_codec.ts";
import { hub } from "../ipc/_hub.ts";
import type { Packet, Ref } from "../ipc/_packet.ts";
import { startTimer } from "../ipc/_timer.ts";
import {
  BrokenPoolError,
  CancelledError,
  TimeoutError,
  WorkerLostError,
} from "../ipc/errors.ts";
import type { Batch, ItemSource } from "./_batch.ts";
import { Crew, type CrewOptions } from "./_crew.ts";
import type { FunctionEntry } from "./_functions.ts";
import { named } from "./_named.ts";
import type { PoolWorker, WorkerState } from "./_pool_worker.ts";
import {
  Outcome,
  readTimes,
  type RunTimes,
  ToPool,
  ValueReader,
} from "./_protocol.ts";
import { MAX_BATCH } from "./_shared_board.ts";
import { PoolCounts } from "./_stats.ts";
import type { Task, TaskName, TaskOutcome, TaskRunner } from "./_task.ts";
import { WorkQueue } from "./_work_queue.ts";
import type { WorkerEnd } from "./_worker_handle.ts";

/** How long a batch shall take, in milliseconds. */
const BATCH_MS = { calls: 1, items: 5 } as const;

/** The same where the pool cannot take back what has not begun. */
const FAR_MS = 20;

/** What takes longer than this is not sent ahead. */
const AHEAD_MS = 1;

/** The most calls of a batch, and the most bytes of their arguments. */
const MAX_CALLS = 2000;
const MAX_BATCH_BYTES = 0x40000;

/** The most items of a batch. */
const MAX_ITEMS = 20_000;

/**
 * How long several tasks may be under way before they are looked after, in
 * milliseconds: at first, and at most, where there was nothing to do.
 */
const LOOK_AFTER = { first: 2, most: 50 } as const;

/** What the scheduler tells the pool. */
export interface SchedulerEvents {
  workerStarted?(worker: PoolWorker): void;
  workerEnded?(worker: PoolWorker, end: WorkerEnd): void;
  /** None can be started in the place of one that has ended; others go on. */
  cannotStart?(error: unknown): void;
  /** What a task logs: it is not known where its end was told already. */
  log?(worker: PoolWorker, text: string, task: TaskName | undefined): void;
  progress?(
    worker: PoolWorker,
    value: unknown,
    task: TaskName | undefined,
  ): void;
  /** So many were run, one after the other. */
  ran?(worker: PoolWorker, name: string, count: number, times: RunTimes): void;
  /** One did not end by itself, but with its worker. */
  broke?(worker: PoolWorker, batch: Batch): void;
}

/** Something that goes on and may add more. */
export interface OpenWork {
  /** The pool ends now: it is settled with this error. */
  end(error: unknown): void;
  /** The pool takes nothing new. */
  closing?(): void;
}

/** How a scheduler works. */
export interface SchedulerOptions extends CrewOptions {
  /** What it is called in error messages. */
  readonly noun?: string;
  readonly onWorkerLost?: "fail" | "retry";
  readonly retries?: number;
  /** How long a task that is given up may go on, in milliseconds. */
  readonly killGrace: number;
  /** Whether workers are started when they are needed. */
  readonly isLazy?: boolean;
  readonly events?: SchedulerEvents;
}

/** Where a pool stands. */
export type PoolState =
  | "open"
  | "closing"
  | "terminating"
  | "broken"
  | "ended";

/** See the file comment. */
export class Scheduler implements TaskRunner {
  readonly #options: SchedulerOptions;
  readonly #crew: Crew;
  readonly counts: PoolCounts = new PoolCounts();
  /** What waits. */
  readonly #queue = new WorkQueue<Task | ItemSource>((work) =>
    "waiting" in work || work.state !== "settled"
  );
  #state: PoolState = "open";
  /** Why it is broken. */
  #failure: unknown;
  #nextBatch = 1;
  #dispatchDue = false;
  /** Errors that get their class back before they are told. */
  #rebuilding = 0;
  #stopLook: (() => void) | undefined;
  #lookAfter: number = LOOK_AFTER.first;
  readonly #ended = Promise.withResolvers<void>();

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#crew = new Crew(options, {
      started: (worker) => options.events?.workerStarted?.(worker),
      message: (worker, packet) => this.#received(worker, packet),
      ended: (worker, end, was) => this.#workerEnded(worker, end, was),
      initFailed: (error) => this.#break(error),
      again: () => this.#dispatch(),
      hopeless: (error, isNews) => this.#cannotStart(error, isNews),
    });
    if (options.isLazy !== true) this.#crew.startAll();
  }

  /** Those that there are. */
  get workers(): ReadonlySet<PoolWorker> {
    return this.#crew.workers;
  }

  get state(): PoolState {
    return this.#state;
  }

  get size(): number {
    return this.#options.size;
  }

  /** Resolves when all workers have ended after a close or terminate. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  // ---- What comes in ----

  /** Why nothing can be submitted; `undefined` when it can. */
  get failure(): BrokenPoolError | undefined {
    return this.#state === "broken" ? this.#brokenError() : undefined;
  }

  /** Lines a task, or items, up. */
  add(work: Task | ItemSource): void {
    if (this.#state === "broken" || this.#isOver) return this.#refuse(work);
    if ("waiting" in work) {
      if (work.isQueued) return;
      work.isQueued = true;
    }
    this.#queue.push(work);
    this.#dispatchSoon();
  }

  #dispatchSoon(): void {
    if (this.#dispatchDue) return;
    this.#dispatchDue = true;
    queueMicrotask(() => {
      this.#dispatchDue = false;
      this.#dispatch();
    });
  }

  /**
   * Gives a task up: `error` is what it is settled with. Gives whether it had
   * not begun. One that had is asked to stop, and ended with its worker after a
   * grace if it goes on.
   */
  giveUp(task: Task, error: unknown, isAsked = false): boolean {
    const outcome: TaskOutcome = { ok: false, error, isAsked };
    const wasQueued = task.state === "queued";
    const place = wasQueued ? undefined : this.#placeOf(task);
    if (place !== undefined && this.#takeBackFrom(place)) {
      this.#settleTask(task, outcome);
      this.#dispatchSoon();
      return true;
    }
    if (!this.#settleTask(task, outcome)) return false;
    if (wasQueued) this.#queue.left(task);
    if (place !== undefined) this.#stop(place.worker, task);
    this.#dispatchSoon();
    return wasQueued;
  }

  /** Takes a task out of the queue or out of a batch, if it has not begun. */
  cancel(task: Task): boolean {
    const error = new CancelledError("The task was cancelled before it began");
    if (task.state === "settled") return false;
    if (task.state === "queued") return this.giveUp(task, error);
    const place = this.#placeOf(task);
    if (place === undefined) return false;
    if (!this.#takeBackFrom(place)) {
      this.#dispatchSoon();
      return false;
    }
    this.#settleTask(task, { ok: false, error });
    this.#dispatchSoon();
    return true;
  }

  /** Whether it runs, as far as is known here. */
  isRunning(task: Task): boolean {
    const place = this.#placeOf(task);
    if (place === undefined) return false;
    const { worker, batch, index } = place;
    return index < worker.begun(batch);
  }

  #placeOf(task: Task):
    | { worker: PoolWorker; batch: Batch; index: number }
    | undefined {
    if (task.state !== "sent") return undefined;
    for (const worker of this.workers) {
      for (const batch of worker.batches) {
        if (batch.kind !== "calls") continue;
        const index = batch.tasks.indexOf(task);
        if (index >= 0 && index < batch.end) return { worker, batch, index };
      }
    }
    return undefined;
  }

  /** Takes all from one on back; false when it has begun. */
  #takeBackFrom(
    { worker, batch, index }: {
      worker: PoolWorker;
      batch: Batch;
      index: number;
    },
  ): boolean {
    if (!worker.isNear) return false;
    this.#takeBack(worker, batch, batch.end - index);
    return batch.end <= index;
  }

  #takeBack(worker: PoolWorker, batch: Batch, count: number): number {
    const before = batch.end;
    batch.end = worker.handle.board!.takeBack(batch.slot, count);
    worker.given -= before - batch.end;
    this.#requeue(batch, batch.end, before);
    return before - batch.end;
  }

  /** Puts some of a batch back into the queue, at its front. */
  #requeue(batch: Batch, start: number, end: number): void {
    if (end <= start) return;
    if (!this.#isRunning) {
      for (let i = start; i < end; i++) this.#settleOnce(batch, i);
      return;
    }
    if (batch.kind === "items") return this.#requeueItems(batch, start, end);
    for (let i = end - 1; i >= start; i--) {
      const task = batch.tasks[i]!;
      if (task.state === "settled") continue;
      try {
        task.renew();
      } catch (error) {
        this.#settleTask(task, { ok: false, error });
        continue;
      }
      task.state = "queued";
      this.#queue.unshift(task);
    }
  }

  #requeueItems(
    batch: Batch & { kind: "items" },
    start: number,
    end: number,
  ): void {
    const { source } = batch;
    for (let i = start; i < end; i++) {
      if (batch.settled[i] !== 0) continue;
      const first = i;
      while (i < end && batch.settled[i] === 0) i++;
      source.putBack(batch.start + first, batch.items.slice(first, i));
    }
    if (source.waiting === 0) return;
    // It goes on from the front, wherever it was.
    if (source.isQueued) this.#queue.remove(source);
    source.isQueued = true;
    this.#queue.unshift(source);
  }

  /** Settles one of a batch with the error of the pool's end. */
  #settleOnce(batch: Batch, index: number): void {
    if (batch.settled[index] !== 0) return;
    batch.settled[index] = 1;
    this.#settle(batch, index, { ok: false, error: this.#endError() });
  }

  /** What is under way of a source is not wanted any more. */
  abandon(source: ItemSource): void {
    for (const worker of this.workers) {
      for (const batch of worker.batches) {
        if (batch.kind !== "items" || batch.source !== source) continue;
        if (worker.isNear) this.#takeBack(worker, batch, batch.end);
        worker.drop(batch);
        batch.givenUp = "aborted";
        this.#killLater(worker, batch);
      }
    }
    this.#dispatchSoon();
  }

  /** A task that runs is not wanted any more. */
  #stop(worker: PoolWorker, task: Task): void {
    worker.cancel(task.id);
    const batch = worker.batches.find((batch) =>
      batch.kind === "calls" && batch.tasks.includes(task)
    );
    if (batch === undefined) return;
    batch.givenUp ??= "aborted";
    this.#killLater(worker, batch);
  }

  /** Ends a worker with a batch that nobody wants, if that goes on. */
  #killLater(worker: PoolWorker, batch: Batch): void {
    batch.stopKill ??= startTimer(
      () => {
        batch.stopKill = undefined;
        if (worker.batches[0] === batch) worker.handle.kill();
        // It is still behind one that is wanted.
        else if (worker.batches.includes(batch)) this.#killLater(worker, batch);
      },
      this.#options.killGrace,
    );
  }

  // ---- Handing out ----

  /** Whether tasks are run. */
  get #isRunning(): boolean {
    return this.#state === "open" || this.#state === "closing";
  }

  #dispatch(): void {
    if (!this.#isRunning) return;
    // Whoever is told may submit something of a higher priority.
    for (let queue; (queue = this.#queue.first) !== undefined;) {
      if (!this.#handOut(queue.peek()!, queue)) break;
    }
    this.#rest();
  }

  /** Hands the first of a queue out, or some of it; false when nobody is free. */
  #handOut(
    work: Task | ItemSource,
    queue: Deque<Task | ItemSource>,
  ): boolean {
    const isItems = "waiting" in work;
    if (isItems ? work.waiting === 0 : work.state === "settled") {
      queue.shift();
      if (isItems) work.isQueued = false;
      return true;
    }
    const { fn } = work;
    if (fn.failure !== undefined) {
      queue.shift();
      if (isItems) work.isQueued = false;
      this.#fail(work, fn.failure);
      return true;
    }
    if (fn.located === undefined) {
      fn.ready.then(() => this.#dispatch());
      return false;
    }
    const worker = this.#freeWorker(work);
    if (worker === undefined) return false;
    if (isItems) this.#sendItems(worker, work);
    else this.#sendCalls(worker, work, queue);
    return true;
  }

  #fail(work: Task | ItemSource, error: unknown): void {
    if (!("waiting" in work)) {
      this.#settleTask(work, { ok: false, error });
      return;
    }
    while (work.waiting > 0) {
      const { start, items } = work.take(MAX_ITEMS);
      this.counts.failed += items.length;
      for (let i = 0; i < items.length; i++) {
        work.settled(start + i, { ok: false, error });
      }
    }
  }

  /** A worker without work; else one that may have some sent ahead. */
  #freeWorker(work: Task | ItemSource): PoolWorker | undefined {
    const isWatched = "waiting" in work
      ? work.timeout !== undefined
      : work.isWatched;
    const { estimate } = work.fn;
    const mayGoAhead = !isWatched && estimate !== undefined &&
      estimate <= AHEAD_MS;
    let ahead: PoolWorker | undefined;
    let starting = 0;
    for (const worker of this.workers) {
      if (worker.state === "starting") starting++;
      if (
        worker.state !== "ready" || this.#crew.isUsedUp(worker) ||
        worker.handle.isEnding
      ) continue;
      if (worker.batches.length === 0) return worker;
      if (
        mayGoAhead && worker.isNear && worker.batches.length === 1 &&
        ahead === undefined
      ) ahead = worker;
    }
    if (this.#crew.mayStart) this.#crew.startFor(this.#waiting, starting);
    return ahead;
  }

  /** Those that are there go on; else nobody does. */
  #cannotStart(error: unknown, isNews: boolean): void {
    if (this.workers.size === 0) this.#break(error);
    else if (isNews) this.#options.events?.cannotStart?.(error);
  }

  /** How many of a function's calls make a batch. */
  #batchSize(
    worker: PoolWorker,
    { estimate }: FunctionEntry,
    ms: number,
    most: number,
    waiting: number,
  ): number {
    if (estimate === undefined) return 1;
    const share = Math.ceil(waiting / (2 * this.#options.size));
    const fits = Math.floor(ms / Math.max(estimate, 1e-5));
    return Math.max(
      1,
      Math.min(fits, most, share, this.#crew.roomOf(worker)),
    );
  }

  #sendCalls(
    worker: PoolWorker,
    first: Task,
    queue: Deque<Task | ItemSource>,
  ): void {
    const { fn } = first;
    const isAlone = first.isWatched || first.args.refs.length > 0;
    const size = worker.isNear && !isAlone
      ? this.#batchSize(worker, fn, BATCH_MS.calls, MAX_CALLS, queue.length)
      : 1;
    const tasks: Task[] = [];
    let bytes = 0;
    while (tasks.length < size && bytes < MAX_BATCH_BYTES) {
      const next = queue.peek();
      if (
        next === undefined || "waiting" in next || next.fn !== fn ||
        (tasks.length > 0 && (next.isWatched || next.args.refs.length > 0))
      ) break;
      queue.shift();
      if (next.state === "settled") continue;
      tasks.push(next);
      bytes += next.args.bytes.length;
    }
    const batch = {
      kind: "calls" as const,
      tasks,
      ...this.#newBatch(worker, fn, tasks.length),
    };
    worker.giveCalls(batch);
    const now = batch.sentAt;
    for (const task of tasks) worker.times.waited(now - task.queuedAt);
  }

  #sendItems(worker: PoolWorker, source: ItemSource): void {
    const { fn } = source;
    const size = this.#itemsFor(worker, source);
    const { start, items, attempt, since } = source.take(size);
    let packet: Packet;
    try {
      packet = hub.packList(items, "items");
    } catch (error) {
      // One of them cannot be sent: the others can.
      return this.#leaveOut(source, start, items, error);
    }
    const batch = {
      kind: "items" as const,
      source,
      start,
      items,
      ...this.#newBatch(worker, fn, items.length),
    };
    worker.giveItems(batch, packet, attempt);
    worker.times.waited(batch.sentAt - since, items.length);
  }

  /** How many items a worker gets. */
  #itemsFor(worker: PoolWorker, source: ItemSource): number {
    const { fn, chunksize, waiting } = source;
    // What a far worker had done when it dies is only known of the last one.
    if (source.isDurable && !worker.isNear) return 1;
    if (source.timeout !== undefined) return 1;
    if (chunksize === undefined) {
      return this.#batchSize(worker, fn, BATCH_MS.items, MAX_ITEMS, waiting);
    }
    // What it would give back after a while is better not packed and sent.
    const most = worker.isNear || fn.estimate === undefined
      ? MAX_BATCH
      : Math.ceil(FAR_MS / Math.max(fn.estimate, 1e-5));
    return Math.min(chunksize, most, MAX_BATCH);
  }

  /** Fails those that cannot be sent; the others are next. */
  #leaveOut(
    source: ItemSource,
    start: number,
    items: unknown[],
    error: unknown,
  ): void {
    const fail = (i: number, error: unknown) => {
      this.counts.failed++;
      source.settled(start + i, { ok: false, error });
    };
    const bad = new Map<number, unknown>();
    items.forEach((item, i) => {
      try {
        hub.dropPacket(hub.pack(item, `items[${start + i}]`));
      } catch (error) {
        bad.set(i, error);
      }
    });
    // None of them alone: all of them together, then.
    if (bad.size === 0) return items.forEach((_, i) => fail(i, error));
    for (let i = 0; i < items.length; i++) {
      const first = i;
      while (i < items.length && !bad.has(i)) i++;
      if (i > first) source.putBack(start + first, items.slice(first, i));
    }
    for (const [i, error] of bad) fail(i, error);
  }

  #newBatch(worker: PoolWorker, fn: FunctionEntry, count: number) {
    this.#lookAfter = LOOK_AFTER.first;
    return worker.newBatch(this.#nextBatch++, fn, count);
  }

  /** When nothing more can be handed out: who sleeps, and whether all is over. */
  #rest(): void {
    // Whoever was told may have ended the pool.
    if (!this.#isRunning) return;
    const isWaiting = this.#isWaiting;
    let isSeveral = false;
    for (const worker of this.workers) {
      const { batches, state } = worker;
      // Also one alone may wait: in a second batch, behind one that is slow.
      isSeveral ||= worker.isNear &&
        (batches.length > 1 || batches.some(({ end }) => end > 1));
      worker.handle.awake = batches.length > 0 || state === "retiring" ||
        (state === "starting" && (isWaiting || this.#isClosing));
    }
    if (isSeveral) this.#lookLater();
    if (
      this.#isClosing && !isWaiting && this.#rebuilding === 0 &&
      this.#openWork.size === 0
    ) {
      for (const worker of this.workers) this.#crew.retire(worker);
      if (this.workers.size === 0) this.#end();
    }
  }

  get #isClosing(): boolean {
    return this.#state === "closing";
  }

  /** Whether anything is queued. */
  get #isWaiting(): boolean {
    return !this.#queue.isEmpty;
  }

  /** How much is queued. */
  get #waiting(): number {
    let count = 0;
    for (const work of this.#queue) {
      if ("waiting" in work) count += work.waiting;
      else if (work.state !== "settled") count++;
    }
    return count;
  }

  /**
   * A batch that takes longer than it should has a slow task in it: what was
   * done before it is told, and what has not begun goes to those without work.
   */
  #lookLater(): void {
    this.#stopLook ??= startTimer(() => {
      this.#stopLook = undefined;
      const { done, failed } = this.counts;
      for (const worker of this.workers) {
        if (worker.isNear && worker.isStuck) this.#settleStaged(worker);
      }
      const isMoved = !this.#isWaiting && this.#balance();
      const isIdle = !isMoved && done === this.counts.done &&
        failed === this.counts.failed;
      this.#lookAfter = isIdle
        ? Math.min(2 * this.#lookAfter, LOOK_AFTER.most)
        : LOOK_AFTER.first;
      this.#dispatch();
    }, this.#lookAfter);
  }

  /** Takes back what others have not begun, for those without work. */
  #balance(): boolean {
    let idle = 0;
    let most: { worker: PoolWorker; batch: Batch; left: number } | undefined;
    for (const worker of this.workers) {
      if (worker.state === "ready" && worker.batches.length === 0) idle++;
      if (!worker.isNear) continue;
      for (const batch of worker.batches) {
        const { next, end } = worker.handle.board!.range(batch.slot);
        const left = end - next;
        if (left > (most?.left ?? 0)) most = { worker, batch, left };
      }
    }
    if (idle === 0 || most === undefined) return false;
    const { worker, batch, left } = most;
    return this.#takeBack(worker, batch, Math.ceil(left / 2)) > 0;
  }

  // ---- Workers ----

  #received(worker: PoolWorker, { bytes, refs }: Packet): void {
    const input = new ByteReader(bytes);
    switch (input.u8()) {
      case ToPool.Ready:
        worker.isNear = input.u8() === 1;
        if (worker.state === "starting") {
          worker.state = "ready";
          worker.stopKill?.();
          worker.stopKill = undefined;
        }
        return this.#dispatch();
      case ToPool.InitFailed: {
        const error = this.#unpack(new ValueReader(refs).read(input));
        return this.#break(
          attributeError(error, worker.handle.name, worker.handle.pid),
        );
      }
      case ToPool.Results:
        return this.#results(worker, input, refs);
      case ToPool.Run:
        return this.#ranItems(worker, input, refs);
      case ToPool.Started:
        return this.#started(worker, input.varint(), input.f64());
      case ToPool.Log:
      case ToPool.Progress: {
        const isLog = bytes[0] === ToPool.Log;
        const id = input.varint();
        const batch = worker.batches.find((batch) => batch.id === id);
        const index = input.varint();
        const task = batch && taskAt(batch, index);
        const value = this.#unpack(new ValueReader(refs).read(input));
        const { events } = this.#options;
        if (isLog) events?.log?.(worker, String(value), task);
        else events?.progress?.(worker, value, task);
      }
    }
  }

  #unpack(packet: Packet): unknown {
    try {
      return hub.unpack(packet);
    } catch (undecodable) {
      return undecodable;
    }
  }

  #results(
    worker: PoolWorker,
    input: ByteReader,
    refs: readonly Ref[],
  ): void {
    const id = input.varint();
    // None when more of it comes.
    const begun = input.varint() - 1;
    const times = readTimes(input);
    const count = input.varint();
    const batch = worker.batches.find((batch) => batch.id === id);
    if (batch === undefined) return;
    this.#settleAll(worker, batch, input, refs);
    this.#learn(worker, batch, count, times);
    if (begun < 0) return;
    // It was given back.
    worker.given -= Math.max(0, batch.end - begun);
    this.#requeue(batch, begun, batch.end);
    this.#batchOver(worker, batch);
  }

  /** Values of items that follow each other. */
  #ranItems(
    worker: PoolWorker,
    input: ByteReader,
    refs: readonly Ref[],
  ): void {
    const id = input.varint();
    const times = readTimes(input);
    const first = input.varint();
    const count = input.varint();
    const packet = new ValueReader(refs).read(input);
    const batch = worker.batches.find((batch) => batch.id === id);
    if (batch?.kind !== "items") return;
    // The one that is timed, and was too late.
    if (batch.settled[first] !== 0) return hub.dropPacket(packet);
    // What this package has packed as a list; it fails as a whole.
    const values = this.#unpack(packet);
    batch.settled.fill(1, first, first + count);
    if (Array.isArray(values)) {
      this.counts.done += count;
      batch.source.settledRun(batch.start + first, values);
    } else {
      for (let i = 0; i < count; i++) {
        this.#settle(batch, first + i, { ok: false, error: values });
      }
    }
    this.#learn(worker, batch, count, times);
  }

  #learn(
    worker: PoolWorker,
    batch: Batch,
    count: number,
    times: RunTimes,
  ): void {
    if (count === 0) return;
    const { fn } = batch;
    batch.runsSince = times.start + times.spent;
    this.#crew.proved(worker);
    fn.learn(count, times.spent);
    worker.times.ran(count, times);
    this.#options.events?.ran?.(worker, fn.name, count, times);
  }

  #batchOver(worker: PoolWorker, batch: Batch): void {
    worker.batchOver(batch);
    if (this.#crew.isUsedUp(worker)) this.#crew.retire(worker);
    this.#dispatch();
  }

  /** Reads results to the end. */
  #settleAll(
    worker: PoolWorker,
    batch: Batch,
    input: ByteReader,
    refs: readonly Ref[],
  ): void {
    const values = new ValueReader(refs);
    while (input.pos < input.bytes.length) {
      const index = input.varint();
      const outcome = input.u8();
      const packet = values.read(input);
      if (batch.settled[index] !== 0) {
        // Found in memory, too.
        hub.dropPacket(packet);
        continue;
      }
      batch.settled[index] = 1;
      let value: unknown;
      let ok = outcome === Outcome.Value;
      const size = packet.bytes.length;
      try {
        value = hub.unpack(packet);
      } catch (undecodable) {
        value = undecodable;
        ok = false;
      }
      if (ok) this.#settle(batch, index, { ok, value }, size);
      else this.#settleError(worker, batch, index, value);
    }
  }

  #settleError(
    worker: PoolWorker,
    batch: Batch,
    index: number,
    error: unknown,
  ): void {
    const { name, pid } = worker.handle;
    const settle = (error: unknown) =>
      this.#settle(batch, index, {
        ok: false,
        error: attributeError(error, name, pid),
      });
    const rebuilt = batch.fn.rebuilt(error);
    if (!(rebuilt instanceof Promise)) return settle(rebuilt);
    this.#rebuilding++;
    rebuilt.then((error) => {
      this.#rebuilding--;
      settle(error);
      this.#dispatchSoon();
    });
  }

  #settle(
    batch: Batch,
    index: number,
    outcome: TaskOutcome,
    bytes?: number,
  ): void {
    if (batch.kind === "calls") {
      return void this.#settleTask(batch.tasks[index]!, outcome);
    }
    this.#count(outcome);
    batch.source.settled(batch.start + index, outcome, bytes);
  }

  /** False when it was settled before. */
  #settleTask(task: Task, outcome: TaskOutcome): boolean {
    if (task.state === "settled") return false;
    // First: whoever is told may look at the counts.
    this.#count(outcome);
    return task.settle(outcome);
  }

  #count({ ok }: TaskOutcome): void {
    if (ok) this.counts.done++;
    else this.counts.failed++;
  }

  /** One that is timed has begun: it is alone in its batch. */
  #started(worker: PoolWorker, id: number, at: number): void {
    const batch = worker.batches.find((batch) => batch.id === id);
    if (batch === undefined) return;
    batch.runsSince = at;
    const { timeout } = batch.kind === "calls" ? batch.tasks[0]! : batch.source;
    if (timeout === undefined) return;
    batch.stopClock = startTimer(() => {
      batch.givenUp = "timed out";
      const error = new TimeoutError(
        `The task "${batch.fn.name}" took longer than ${timeout} ms`,
      );
      if (batch.kind === "calls") this.giveUp(batch.tasks[0]!, error);
      else this.#giveUpItem(worker, batch, error);
    }, timeout);
  }

  #giveUpItem(worker: PoolWorker, batch: Batch, error: unknown): void {
    if (batch.settled[0] !== 0) return;
    batch.settled[0] = 1;
    this.#settle(batch, 0, { ok: false, error });
    worker.drop(batch);
    this.#killLater(worker, batch);
    this.#dispatchSoon();
  }

  #workerEnded(worker: PoolWorker, end: WorkerEnd, was: WorkerState): void {
    const wasStarting = was === "starting";
    const wasGiven = worker.batches.length > 0;
    this.#options.events?.workerEnded?.(worker, end);
    this.#settleStaged(worker);
    const error = () => lostError(worker, end, wasStarting);
    const begun = worker.batches.map((batch) => worker.begun(batch));
    const batches = worker.batches.splice(0);
    for (const batch of batches) {
      batch.stopKill?.();
      batch.stopClock?.();
    }
    let hasLost = false;
    batches.forEach((batch, place) => {
      for (let i = 0; i < begun[place]!; i++) {
        const isSettled = batch.settled[i] !== 0;
        if (i === begun[place]! - 1 && (!isSettled || batch.givenUp)) {
          this.#options.events?.broke?.(worker, batch);
        }
        if (isSettled) continue;
        hasLost = true;
        const lost = error();
        // It was at the last one, and what is not durable went down with it;
        // of a far one it is only known that it was none before this.
        if (batch.kind === "items") {
          named(lost, batch.start + (worker.isNear ? begun[place]! - 1 : i));
        }
        this.#lost(batch, i, lost);
      }
    });
    // Those that it had not begun are as they were: the first at the front.
    for (let place = batches.length - 1; place >= 0; place--) {
      const batch = batches[place]!;
      this.#requeue(batch, begun[place]!, batch.end);
    }
    const wasVain = wasStarting || (wasGiven && !worker.isProven && !hasLost);
    if (hasLost) this.#crew.wasBusy();
    if (wasVain && was !== "retiring" && this.#crew.wasVain()) {
      this.#break(error());
    }
    if (this.workers.size === 0) {
      if (this.#state === "terminating") this.#end();
      if (this.#state === "broken") this.#ended.resolve();
    }
    this.#dispatch();
  }

  /** What it has finished, and not sent, is in memory. */
  #settleStaged(worker: PoolWorker): void {
    const staged = worker.isNear ? worker.handle.board!.staged : undefined;
    if (staged === undefined) return;
    const batch = worker.batches.find(({ id }) => id === staged.batch);
    if (batch === undefined) return;
    const input = new ByteReader(staged.bytes);
    const first = input.varint();
    input.pos = 0;
    // What it sent before may still be on its way: they come in order.
    const isNext = batch === worker.batches[0] &&
      (first === 0 || batch.settled[first - 1] !== 0);
    if (isNext || worker.state === "ended") {
      this.#settleAll(worker, batch, input, []);
    }
  }

  /** A task was in the hands of a worker that has ended. */
  #lost(batch: Batch, index: number, error: WorkerLostError): void {
    this.counts.lost++;
    const { onWorkerLost = "fail", retries = 1 } = this.#options;
    const mayRetry = onWorkerLost === "retry" && this.#state !== "terminating";
    if (batch.kind === "items") {
      const { source } = batch;
      if (!mayRetry || !source.mayRetry(batch.start + index, retries)) {
        batch.settled[index] = 1;
        return this.#settle(batch, index, { ok: false, error });
      }
      this.#requeue(batch, index, index + 1);
      return;
    }
    batch.settled[index] = 1;
    const task = batch.tasks[index]!;
    if (!mayRetry || task.attempt > retries || task.state === "settled") {
      return this.#settle(batch, index, { ok: false, error });
    }
    task.attempt++;
    this.#requeue(batch, index, index + 1);
  }

  // ---- The end ----

  #brokenError(): BrokenPoolError {
    const { message } = this.#failure as Error;
    const { noun = "pool" } = this.#options;
    return new BrokenPoolError(`The ${noun} is broken: ${message}`, {
      cause: this.#failure,
    });
  }

  /** Nothing more can run: everything fails. */
  #break(error: unknown): void {
    if (this.#isRunning) {
      this.#state = "broken";
      this.#failure = error instanceof Error ? error : new Error(String(error));
      this.#settleEverything();
    }
    this.#crew.kill();
    if (this.workers.size === 0) this.#end();
  }

  #refuse(work: Task | ItemSource): void {
    this.#fail(work, this.#endError());
  }

  /** What becomes of that which is not done when the pool ends. */
  #endError(): Error {
    return this.#state === "broken" ? this.#brokenError() : new CancelledError(
      `The ${
        this.#options.noun ?? "pool"
      } was terminated before the task was done`,
    );
  }

  get #isOver(): boolean {
    return this.#state === "terminating" || this.#state === "ended";
  }

  readonly #openWork = new Set<OpenWork>();

  /** Something goes on that may add more, also after a close. */
  opened(work: OpenWork): void {
    this.#openWork.add(work);
  }

  /** It is over. */
  finished(work: OpenWork): void {
    if (this.#openWork.delete(work)) this.#dispatchSoon();
  }

  /** Whoever is told may ask for more: that is settled, too. */
  #settleEverything(): void {
    this.#stopLook?.();
    for (let queue; (queue = this.#queue.first) !== undefined;) {
      this.#fail(queue.shift()!, this.#endError());
    }
    for (const worker of this.workers) {
      for (const batch of worker.batches) {
        for (let i = 0; i < batch.end; i++) this.#settleOnce(batch, i);
      }
    }
    for (const work of [...this.#openWork]) work.end(this.#endError());
  }

  /** Takes no more; ends the workers when all is done. */
  close(): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    for (const work of [...this.#openWork]) work.closing?.();
    this.#dispatchSoon();
  }

  /** Ends now: whatever is not done is settled with an error. */
  async terminate(grace: number): Promise<void> {
    if (this.#isRunning) {
      this.#state = "terminating";
      this.#settleEverything();
      this.#crew.end(grace);
      if (this.workers.size === 0) this.#end();
    }
    await this.#ended.promise;
  }

  #end(): void {
    this.#stopLook?.();
    if (this.#state !== "broken") this.#state = "ended";
    this.#ended.resolve();
  }

  /** How much is queued, and how much under way. */
  get load(): { queued: number; running: number } {
    let queued = this.#waiting;
    let running = 0;
    for (const worker of this.workers) {
      for (const batch of worker.batches) {
        const begun = worker.isNear
          ? worker.handle.board!.range(batch.slot).next
          : 1;
        let done = 0;
        for (let i = 0; i < batch.end; i++) done += batch.settled[i]!;
        running += Math.max(0, Math.min(begun, batch.end) - done);
        queued += Math.max(0, batch.end - begun);
      }
    }
    return { queued, running };
  }
}

function taskAt(batch: Batch, index: number): TaskName {
  const { fn: { name } } = batch;
  return batch.kind === "calls"
    ? { id: batch.tasks[index]!.id, name }
    : { id: batch.source.id, name, index: batch.start + index };
}

function lostError(
  worker: PoolWorker,
  end: WorkerEnd,
  wasStarting: boolean,
): WorkerLostError {
  const { name, pid } = worker.handle;
  const { exitCode, signal, stderr } = end;
  const how = end.how ??
    (signal === null
      ? `ended with exit code ${exitCode}`
      : `was ended by ${signal}`);
  const lastLine = stderr.trimEnd().split("\n").at(-1) ?? "";
  return new WorkerLostError(
    `Worker "${name}" (pid ${pid}) ${how} ${
      wasStarting ? "before it was ready" : "while it ran the task"
    }${lastLine === "" ? "" : `: ${lastLine}`}`,
    { worker: name, pid, exitCode, signal, stderr },
  );
}
