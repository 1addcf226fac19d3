// Copyright 2026 the multitask authors. MIT license.
// Random tests that can be run again: the seed is printed, and taken from the
// environment variable TEST_SEED where it is set.

/** A small seeded generator (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 32 random bits. */
  bits(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** An integer from 0 to `count - 1`. */
  below(count: number): number {
    return Math.floor(this.bits() / 2 ** 32 * count);
  }

  /** `true` once in `count` times. */
  oneIn(count: number): boolean {
    return this.below(count) === 0;
  }

  /** One of the items. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** So many random bytes. */
  bytes(size: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i++) bytes[i] = this.bits();
    return bytes;
  }
}

/** Runs `body` with a random seed, which is printed. */
export async function seeded(
  body: (random: Random) => void | Promise<void>,
): Promise<void> {
  const given = Deno.env.get("TEST_SEED");
  const seed = given === undefined
    ? crypto.getRandomValues(new Uint32Array(1))[0]!
    : Number(given);
  console.log(`TEST_SEED=${seed}`);
  await body(new Random(seed));
}
