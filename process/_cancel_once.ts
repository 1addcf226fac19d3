// Copyright 2026 the multitask authors. MIT license.

/** Timers of one wait, all of which end with it. */
export class CancelOnce implements Disposable {
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Resolves after `ms` milliseconds; the timer before is cancelled. */
  after(ms: number): Promise<void> {
    clearTimeout(this.#timer);
    return new Promise((resolve) => this.#timer = setTimeout(resolve, ms));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
