// Copyright 2026 the multitask authors. MIT license.
// Fencing numbers: each is greater than all before it, also than those of a
// manager that ran before this one at the same place, as long as the clock does
// not go back and no more than 1024 were given per millisecond.

const PER_MS = 1024;

/** Gives numbers that rise. */
export class Fences {
  #last = Date.now() * PER_MS;

  next(): number {
    return ++this.#last;
  }
}
