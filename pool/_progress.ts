// Copyright 2026 the multitask authors. MIT license.
// How far a map has come, as it is told.

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

/** Between two calls of `onProgress`, in milliseconds. */
const INTERVAL = 100;

/** The same while no result comes. */
const STILL = 500;

/**
 * Tells how far a map has come: the first result at once, later ones a few times
 * a second, and what the time does to the rate while no result comes.
 */
export class ProgressTeller {
  readonly #tell: (progress: PoolProgress) => void;
  readonly #start = performance.now();
  #done = 0;
  #total = 0;
  /** The rate is that since the first result: before, workers may have started. */
  #first: { at: number; done: number } | undefined;
  /** When it was told last, and what. */
  #toldAt = 0;
  #toldDone = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(tell: (progress: PoolProgress) => void) {
    this.#tell = tell;
  }

  /** So many of all are done. */
  settled(done: number, total: number): void {
    this.#done = done;
    this.#total = total;
    if (this.#first === undefined) {
      this.#first = { at: performance.now(), done };
      this.#timer = setInterval(() => this.#look(), INTERVAL);
      // The map itself keeps the program alive.
      Deno.unrefTimer(this.#timer);
      return this.#tellNow();
    }
    if (done < total) return;
    this.stop();
    this.#tellNow();
  }

  #look(): void {
    const isNews = this.#done > this.#toldDone;
    if (isNews || performance.now() - this.#toldAt >= STILL) this.#tellNow();
  }

  #tellNow(): void {
    const now = performance.now();
    const [done, total] = [this.#done, this.#total];
    this.#toldAt = now;
    this.#toldDone = done;
    if (done === total) this.stop();
    const { at, done: before } = this.#first!;
    const isFirst = done === before;
    const rate = (isFirst ? done : done - before) * 1000 /
      Math.max(now - (isFirst ? this.#start : at), 1e-3);
    this.#tell({ done, total, rate, eta: (total - done) / rate * 1000 });
  }

  /** Nothing more is told. */
  stop(): void {
    clearInterval(this.#timer);
  }
}
