// Copyright 2026 the multitask authors. MIT license.
// The items of a map, as the scheduler takes them: of a list that is there, or
// read one after the other while the consumer keeps up.

import { Deque } from "../ipc/_deque.ts";
import { shown } from "../ipc/_options.ts";
import { CancelledError } from "../ipc/errors.ts";
import type { FunctionEntry } from "./_functions.ts";
import { named } from "./_named.ts";
import type { ItemSource, TakenItems } from "./_batch.ts";
import { nextId, type TaskOutcome } from "./_task.ts";

/** What all maps are told. */
export interface MapSettings {
  /** The number of its result, if it has one. */
  readonly id?: number;
  readonly fn: FunctionEntry;
  readonly isSpread: boolean;
  readonly chunksize: number | undefined;
  readonly priority: number;
  readonly timeout?: number | undefined;
}

abstract class Source implements ItemSource {
  readonly id: number;
  readonly fn: FunctionEntry;
  readonly isSpread: boolean;
  readonly chunksize: number | undefined;
  readonly priority: number;
  readonly timeout: number | undefined;
  isQueued = false;
  /** Items that were taken back, the first first. */
  protected readonly back: Omit<TakenItems, "attempt">[] = [];
  #retried: Map<number, number> | undefined;

  constructor(settings: MapSettings) {
    const { id = nextId(), fn, isSpread, chunksize, priority, timeout } =
      settings;
    this.id = id;
    this.timeout = timeout;
    this.fn = fn;
    this.isSpread = isSpread;
    this.chunksize = chunksize;
    this.priority = priority;
  }

  abstract readonly waiting: number;
  protected abstract takeNew(count: number): Omit<TakenItems, "attempt">;
  abstract readonly isDurable: boolean;
  abstract settled(index: number, outcome: TaskOutcome): void;

  settledRun(index: number, values: unknown[]): void {
    values.forEach((value, i) => this.settled(index + i, { ok: true, value }));
  }

  protected get waitingBack(): number {
    let count = 0;
    for (const { items } of this.back) count += items.length;
    return count;
  }

  take(count: number): TakenItems {
    const first = this.back[0];
    if (first === undefined) return { ...this.takeNew(count), attempt: 1 };
    const { start, since } = first;
    const attempt = this.#attempt(start);
    // Those that go together are at the same attempt.
    const end = Math.min(count, first.items.length);
    let most = 1;
    while (most < end && this.#attempt(start + most) === attempt) most++;
    const items = first.items.splice(0, most);
    if (first.items.length === 0) this.back.shift();
    else this.back[0] = { ...first, start: start + items.length };
    return { start, items, attempt, since };
  }

  #attempt(index: number): number {
    return (this.#retried?.get(index) ?? 0) + 1;
  }

  /** Whether what is left of it is not wanted any more. */
  protected abstract readonly isOver: boolean;

  putBack(start: number, items: unknown[]): void {
    if (this.isOver) return;
    this.back.push({ start, items, since: performance.now() });
    this.back.sort((a, b) => a.start - b.start);
  }

  mayRetry(index: number, retries: number): boolean {
    const retried = (this.#retried ??= new Map()).get(index) ?? 0;
    this.#retried.set(index, retried + 1);
    return retried < retries;
  }
}

/** All of a list; the results in its order. */
export class ListSource extends Source {
  readonly isDurable: boolean;
  readonly #items: readonly unknown[];
  readonly #since = performance.now();
  #next = 0;
  #left: number;
  #failed: { index: number; error: unknown } | undefined;
  readonly results: unknown[];
  readonly #over: (outcome: TaskOutcome) => void;
  readonly #onSettled: ((done: number, total: number) => void) | undefined;
  readonly #abandoned: () => void;
  #isOver = false;

  constructor(
    settings: MapSettings,
    items: readonly unknown[],
    over: (outcome: TaskOutcome) => void,
    { isDurable, abandoned, onSettled }: {
      isDurable: boolean;
      /** Some of it goes on, and is not wanted any more. */
      abandoned: () => void;
      onSettled?: ((done: number, total: number) => void) | undefined;
    },
  ) {
    super(settings);
    this.isDurable = isDurable;
    this.#items = items;
    this.#left = items.length;
    this.results = new Array<unknown>(items.length);
    this.#over = over;
    this.#onSettled = onSettled;
    this.#abandoned = abandoned;
  }

  protected get isOver(): boolean {
    return this.#isOver;
  }

  get waiting(): number {
    return this.#items.length - this.#next + this.waitingBack;
  }

  protected takeNew(count: number): Omit<TakenItems, "attempt"> {
    const start = this.#next;
    const items = this.#items.slice(start, start + count);
    this.#next += items.length;
    return { start, items, since: this.#since };
  }

  settled(index: number, outcome: TaskOutcome): void {
    if (outcome.ok) this.results[index] = outcome.value;
    else if (this.#failed === undefined || index < this.#failed.index) {
      this.#failed = { index, error: named(outcome.error, index) };
    }
    this.#settledSome(1);
  }

  override settledRun(index: number, values: unknown[]): void {
    for (let i = 0; i < values.length; i++) this.results[index + i] = values[i];
    this.#settledSome(values.length);
  }

  #settledSome(count: number): void {
    this.#left -= count;
    if (this.#isOver) return;
    this.#onSettled?.(this.#items.length - this.#left, this.#items.length);
    if (this.#left > 0) return;
    this.finish(
      this.#failed === undefined
        ? { ok: true, value: this.results }
        : { ok: false, error: this.#failed.error },
    );
  }

  /** The end: of all, or because somebody gives up. */
  finish(outcome: TaskOutcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // What was not begun never is.
    this.#next = this.#items.length;
    this.back.length = 0;
    this.#over(outcome);
    if (this.#left > 0) this.#abandoned();
  }
}

/** The fewest items under way for each worker. */
const AHEAD = 4;

/** The most, if nothing else is said. */
const MAX_AHEAD = 0x400;

/** As many as are done in this time, in milliseconds, may be under way. */
const AHEAD_MS = 20;

/** How many bytes of results may be under way or wait, if nothing else is said. */
const MAX_BYTES = 8 * 2 ** 20;

/** The weight of the newest result in the estimate of their size. */
const NEWEST = 0.1;

/** The share of the room that is empty before more is read. */
const REFILL = 1 / 4;

/**
 * Items that are read while there is room: so many are between being read and
 * being taken by the consumer. Results in the order of the items, or as they
 * come.
 */
export class StreamSource extends Source {
  readonly isDurable = true;
  readonly #input: Iterator<unknown> | AsyncIterator<unknown>;
  readonly #isOrdered: boolean;
  readonly #buffer: number | undefined;
  readonly #size: number;
  readonly #add: () => void;
  readonly #allDone: () => void;
  readonly #over: () => void;
  readonly #abandoned: () => void;
  /** Whether the last that the consumer got was an error: it may stop there. */
  #hasThrown = false;
  #isClosing = false;
  #isDisposing = false;
  #lastRead = performance.now();
  /** Items that are done. */
  #done = 0;
  /** How many bytes a result takes, about. */
  #bytes = 1;
  /** Read and not handed out. */
  readonly #read = new Deque<unknown>();
  #firstRead = 0;
  /** When those up to an index were read. */
  readonly #readings = new Deque<{ end: number; at: number }>();
  /** Items that were read, and results that the consumer has taken. */
  #count = 0;
  #taken = 0;
  #isReading = false;
  #inputEnded = false;
  #stopped = false;
  #readError: { error: unknown } | undefined;
  /** Results that wait for the consumer: by index where they are ordered. */
  readonly #results = new Map<number, TaskOutcome>();
  readonly #ready = new Deque<TaskOutcome>();
  readonly #consumers = new Deque<
    PromiseWithResolvers<IteratorResult<unknown>>
  >();

  constructor(
    settings: MapSettings,
    input: Iterator<unknown> | AsyncIterator<unknown>,
    { isOrdered, buffer, size, add, allDone, over, abandoned }: {
      isOrdered: boolean;
      buffer: number | undefined;
      size: number;
      /** There are new items. */
      add: () => void;
      /** Nothing more has to be done; the consumer may still read. */
      allDone: () => void;
      /** The consumer has all, or wants no more. */
      over: () => void;
      /** Some of it goes on, and is not wanted any more. */
      abandoned: () => void;
    },
  ) {
    super(settings);
    this.#abandoned = abandoned;
    this.#input = input;
    this.#isOrdered = isOrdered;
    this.#buffer = buffer;
    this.#size = size;
    this.#add = add;
    this.#allDone = allDone;
    this.#over = over;
  }

  get waiting(): number {
    return Math.min(this.#read.length, this.#allowed) + this.waitingBack;
  }

  /** How many results fit, each worker's one at least. */
  get #fit(): number {
    if (this.#buffer !== undefined) return Infinity;
    // It is not known yet how large they are.
    if (this.#done === 0) return AHEAD * this.#size * (this.chunksize ?? 1);
    return Math.max(this.#size, Math.floor(MAX_BYTES / this.#bytes));
  }

  /**
   * How many new ones may be handed out: those that were handed out before, and
   * whose results nobody has taken, take room.
   */
  get #allowed(): number {
    return this.#fit - (this.#firstRead - this.waitingBack - this.#taken);
  }

  protected takeNew(count: number): Omit<TakenItems, "attempt"> {
    const items: unknown[] = [];
    const start = this.#firstRead;
    while ((this.#readings.peek()?.end ?? Infinity) <= start) {
      this.#readings.shift();
    }
    const since = this.#readings.peek()?.at ?? performance.now();
    const most = Math.min(count, this.#allowed);
    while (items.length < most && this.#read.length > 0) {
      items.push(this.#read.shift());
    }
    this.#firstRead += items.length;
    return { start, items, since };
  }

  /** How many may be between being read and being taken. */
  get #room(): number {
    if (this.#buffer !== undefined) return this.#buffer;
    const each = this.chunksize ?? 1;
    const { estimate } = this.fn;
    const quick = estimate === undefined
      ? 0
      : Math.min(AHEAD_MS / Math.max(estimate, 1e-4), MAX_AHEAD);
    const most = Math.max(AHEAD * each, Math.floor(quick)) * this.#size;
    return Math.min(most, this.#fit);
  }

  /** Reads what there is room for. */
  fill(): void {
    if (this.#isReading || this.#inputEnded) return;
    this.#isReading = true;
    const before = this.#count;
    try {
      while (!this.#inputEnded && this.#count - this.#taken < this.#room) {
        const next = this.#input.next();
        if (next instanceof Promise || isThenable(next)) {
          this.#readLater(next as Promise<IteratorResult<unknown>>);
          break;
        }
        this.#took(next as IteratorResult<unknown>);
      }
    } catch (error) {
      this.#failRead(error);
    } finally {
      if (!this.#isWaitingForInput) this.#isReading = false;
    }
    if (this.#count > before) this.#added();
    this.#settleConsumers();
  }

  #isWaitingForInput = false;

  async #readLater(next: Promise<IteratorResult<unknown>>): Promise<void> {
    this.#isWaitingForInput = true;
    try {
      this.#took(await next);
    } catch (error) {
      this.#failRead(error);
    } finally {
      this.#isWaitingForInput = this.#isReading = false;
    }
    this.#added();
    if (this.#inputEnded) this.#settleConsumers();
    else this.fill();
  }

  #added(): void {
    this.#readings.push({ end: this.#count, at: performance.now() });
    this.#add();
  }

  #took(next: IteratorResult<unknown>): void {
    if (typeof next !== "object" || next === null) {
      throw new TypeError(
        `Cannot read the items: their iterator must give objects, received ${
          shown(next)
        }`,
      );
    }
    if (this.#stopped) return;
    if (next.done) this.#inputEnded = true;
    else {
      this.#read.push(next.value);
      this.#count++;
    }
  }

  /** The input failed: that comes after the results of what it gave. */
  #failRead(error: unknown): void {
    this.#inputEnded = true;
    this.#readError = { error };
  }

  settled(index: number, outcome: TaskOutcome, bytes = 1): void {
    if (this.#stopped) return;
    this.#done++;
    // Larger ones count at once.
    this.#bytes = Math.max(bytes, this.#bytes + (bytes - this.#bytes) * NEWEST);
    if (!outcome.ok) named(outcome.error, index);
    if (this.#isOrdered) this.#results.set(index, outcome);
    else this.#ready.push(outcome);
    this.#settleConsumers();
  }

  protected get isOver(): boolean {
    return this.#stopped;
  }

  /**
   * The pool takes no more. A loop that has got an error is over, most likely,
   * and does not say so: nobody would read on.
   */
  closing(): void {
    this.#isClosing = true;
    this.#stopIfLeft();
  }

  /** Nobody can ask for more; somebody may still wait for what was asked for. */
  unreachable(): void {
    if (this.#consumers.length === 0) this.stop();
  }

  /** The pool is disposed: from now on it goes on for who waits, not else. */
  disposing(): void {
    this.#isDisposing = true;
    this.#stopIfLeft();
  }

  /** Since when nobody waits for a result, although there may be some. */
  get unreadSince(): number {
    return this.#consumers.length > 0 ? Infinity : this.#lastRead;
  }

  get #isLeft(): boolean {
    return this.#consumers.length === 0 &&
      (this.#isDisposing || this.#isClosing && this.#hasThrown);
  }

  /** Whoever reads on asks for the next result at once. */
  #stopIfLeft(): void {
    if (!this.#isLeft) return;
    setImmediate(() => {
      if (!this.#isLeft) return;
      this.stop(
        this.#hasThrown ? undefined : new CancelledError(
          "The pool was disposed, and nobody waited for this result",
        ),
      );
    });
  }

  /** Gives a consumer a result. */
  #give(
    consumer: PromiseWithResolvers<IteratorResult<unknown>>,
    outcome: TaskOutcome,
  ): void {
    this.#taken++;
    this.#lastRead = performance.now();
    this.#hasThrown = !outcome.ok;
    if (outcome.ok) consumer.resolve({ done: false, value: outcome.value });
    else consumer.reject(outcome.error);
    if (this.#isClosing) this.#stopIfLeft();
  }

  /** The next result, if it is there. */
  #nextReady(): TaskOutcome | undefined {
    if (this.#stopped) return undefined;
    if (!this.#isOrdered) return this.#ready.shift();
    const outcome = this.#results.get(this.#taken);
    this.#results.delete(this.#taken);
    return outcome;
  }

  #settleConsumers(): void {
    if (this.#inputEnded && this.#done === this.#count) this.#allDone();
    while (this.#consumers.length > 0) {
      const outcome = this.#nextReady();
      if (outcome !== undefined) {
        this.#give(this.#consumers.shift()!, outcome);
        continue;
      }
      if (!this.#inputEnded || this.#taken < this.#count) break;
      const consumer = this.#consumers.shift()!;
      if (this.#readError !== undefined) {
        consumer.reject(this.#readError.error);
        this.#readError = undefined;
      } else consumer.resolve({ done: true, value: undefined });
      this.stop();
    }
    if (!this.isQueued && this.waiting > 0) this.#add();
    if (this.#inputEnded || this.#isReading || this.#fillDue) return;
    const room = this.#room;
    const free = room - (this.#count - this.#taken);
    if (free >= Math.max(1, room * REFILL)) this.#fillSoon();
  }

  #fillDue = false;

  /** After this turn's results have been taken: many at a time. */
  #fillSoon(): void {
    this.#fillDue = true;
    queueMicrotask(() => {
      this.#fillDue = false;
      this.fill();
    });
  }

  /** The consumer asks for the next result. */
  next(): Promise<IteratorResult<unknown>> {
    this.#hasThrown = false;
    const consumer = Promise.withResolvers<IteratorResult<unknown>>();
    this.#consumers.push(consumer);
    this.#settleConsumers();
    return consumer.promise;
  }

  /** No more is read, and nothing more begins. */
  stop(error?: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const wasOpen = !this.#inputEnded;
    this.#inputEnded = true;
    while (this.#read.shift() !== undefined || this.#read.length > 0);
    this.back.length = 0;
    this.#results.clear();
    while (this.#ready.shift() !== undefined);
    this.#taken = this.#count;
    if (error !== undefined && this.#consumers.length === 0) {
      // Whoever comes next is told.
      this.#readError = { error };
    }
    while (this.#consumers.length > 0) {
      const consumer = this.#consumers.shift()!;
      if (error === undefined) {
        consumer.resolve({ done: true, value: undefined });
      } else consumer.reject(error);
    }
    if (wasOpen) {
      try {
        const returned = this.#input.return?.();
        if (returned instanceof Promise) returned.catch(() => {});
      } catch {
        // Nobody waits for it.
      }
    }
    this.#allDone();
    this.#over();
    if (this.#done < this.#count) this.#abandoned();
  }
}

function isThenable(value: unknown): boolean {
  return typeof (value as { then?: unknown } | undefined | null)?.then ===
    "function";
}
