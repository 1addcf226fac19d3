// Copyright 2026 the multitask authors. MIT license.

import { checkTtl, type LeaseGrant } from "./_queue_servant.ts";
import type { Target } from "./_target.ts";

interface Granted {
  readonly target: Target;
  readonly grant: LeaseGrant;
  readonly ttl: number | undefined;
}

let granted: Granted | undefined;

/** Makes the lease of what was granted. For this package only. */
export let makeLease: <T>(
  target: Target,
  grant: LeaseGrant,
  ttl: number | undefined,
) => Lease<T>;

/**
 * An item of a queue, on trial.
 *
 * Whoever has a lease says what became of the item: `ack` or `fail`. If that does
 * not come in time the item goes to somebody else, and what comes then is refused
 * with a {@linkcode LeaseLostError}: nothing is completed twice. What is done
 * elsewhere meanwhile can carry the `fence`: a system that has seen a greater one
 * refuses it.
 *
 * A lease does not belong to a connection: when that breaks and another one is
 * made in time, the lease is still good.
 *
 * @typeParam T The items.
 */
export class Lease<T = unknown> {
  static {
    makeLease = <T>(
      target: Target,
      grant: LeaseGrant,
      ttl: number | undefined,
    ) => {
      granted = { target, grant, ttl };
      return new Lease<T>();
    };
  }

  readonly #granted: Granted;

  private constructor() {
    if (granted === undefined) {
      throw new TypeError("Cannot construct a Lease: use lease() of a queue");
    }
    this.#granted = granted;
    granted = undefined;
  }

  /** The item. */
  get value(): T {
    return this.#granted.grant.value as T; // The queue's T.
  }

  /** Which attempt this is, from 1. */
  get attempt(): number {
    return this.#granted.grant.attempt;
  }

  /** The number of the lease: greater than that of all before. */
  get fence(): number {
    return this.#granted.grant.fence;
  }

  /**
   * Says that the item is done. Resolves when the manager has noted it.
   *
   * @throws {LeaseLostError} If the lease is over: then it was not noted.
   * @throws {ConnectionClosedError} If the connection broke; then whether it was
   * noted is not known.
   */
  async ack(): Promise<void> {
    await this.#granted.target.call("ack", [this.fence]);
  }

  /**
   * Says that it cannot be done: the item goes to somebody else, or is a dead
   * letter if this was the last attempt.
   *
   * @param error Why; kept with the dead letter.
   * @throws {LeaseLostError} If the lease is over.
   */
  async fail(error?: unknown): Promise<void> {
    await this.#granted.target.call("fail", [this.fence, error]);
  }

  /**
   * Has the lease last so long from now on.
   *
   * @param ttl In milliseconds. The default is what it was leased for.
   * @throws {LeaseLostError} If the lease is over.
   * @throws {RangeError} If `ttl` is left out and it was leased without one.
   */
  async extend(ttl: number | undefined = this.#granted.ttl): Promise<void> {
    const checked = checkTtl("extend the lease", ttl ?? 0);
    await this.#granted.target.call("extend", [this.fence, checked]);
  }
}
