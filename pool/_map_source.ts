// Copyright 2026 the multitask authors. MIT license.
// The items of a map, as the scheduler takes them: of a list that is there, or
// read one after the other while the consumer keeps up.

import { Deque } from "../ipc/_deque.ts";
import type { FunctionEntry } from "./_functions.ts";
import { named } from "./_named.ts";
import type { ItemSource, TakenItems } from "./_batch.ts";
import type { TaskOutcome } from "./_task.ts";

/** What all maps are told. */
export interface MapSettings {
  readonly fn: FunctionEntry;
  readonly isSpread: boolean;
  readonly chunksize: number | undefined;
  readonly priority: number;
}

abstract class Source implements ItemSource {
  readonly fn: FunctionEntry;
  readonly isSpread: boolean;
  readonly chunksize: number | undefined;
  readonly priority: number;
  isQueued = false;
  /** Items that were taken back, the first first. */
  protected readonly back: Omit<TakenItems, "attempt">[] = [];
  #retried: Map<number, number> | undefined;

  constructor({ fn, isSpread, chunksize, priority }: MapSettings) {
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
  /** Items that are done. */
  #done = 0;
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
    return this.#read.length + this.waitingBack;
  }

  protected takeNew(count: number): Omit<TakenItems, "attempt"> {
    const items: unknown[] = [];
    const start = this.#firstRead;
    while ((this.#readings.peek()?.end ?? Infinity) <= start) {
      this.#readings.shift();
    }
    const since = this.#readings.peek()?.at ?? performance.now();
    while (items.length < count && this.#read.length > 0) {
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
    return Math.max(AHEAD * each, Math.floor(quick)) * this.#size;
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
    this.fill();
  }

  #added(): void {
    this.#readings.push({ end: this.#count, at: performance.now() });
    this.#add();
  }

  #took(next: IteratorResult<unknown>): void {
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

  settled(index: number, outcome: TaskOutcome): void {
    if (this.#stopped) return;
    this.#done++;
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

  #stopIfLeft(): void {
    if (!this.#isClosing || !this.#hasThrown) return;
    setImmediate(() => {
      if (this.#hasThrown && this.#consumers.length === 0) this.stop();
    });
  }

  /** Gives a consumer a result. */
  #give(
    consumer: PromiseWithResolvers<IteratorResult<unknown>>,
    outcome: TaskOutcome,
  ): void {
    this.#taken++;
    if (outcome.ok) consumer.resolve({ done: false, value: outcome.value });
    else {
      consumer.reject(outcome.error);
      this.#hasThrown = true;
      this.#stopIfLeft();
    }
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
    if (!this.#inputEnded && this.#count - this.#taken < this.#room) {
      if (!this.#isReading) this.#fillSoon();
    }
  }

  #fillDue = false;

  /** After this turn's results have been taken: many at a time. */
  #fillSoon(): void {
    if (this.#fillDue) return;
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
  return typeof (value as { then?: unknown }).then === "function";
}
