// Copyright 2026 the multitask authors. MIT license.

// Children that work when they are told, over and over, for as long as a
// benchmark runs. Who has no order waits for one and takes no time from others.

import { Pipe } from "../ipc/mod.ts";
import { Process, type Target } from "../process/mod.ts";
import type { Orders } from "./fixtures/obey.ts";

/** What a member of a crew runs; it calls `obey`. */
export type MemberTarget<O, A, C> = (
  orders: Orders<O, A>,
  common: C,
) => Promise<never>;

/** Ends the benchmark with an error when a child ends before its time. */
export class Member<A extends unknown[]> implements AsyncDisposable {
  readonly #process: Process<A, never>;
  #isDone = false;

  /** Starts a child that goes on until it is disposed. */
  constructor(target: Target<A, never>, args: NoInfer<A>) {
    this.#process = new Process({ target, args });
    this.#process.start();
    this.#process.result.catch((error) => {
      if (this.#isDone) return;
      // Nobody else would notice, and the benchmark would wait for ever.
      console.error("A child of the benchmark has ended:", error);
      Deno.exit(1);
    });
  }

  /** Ends the child. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDone = true;
    await this.#process[Symbol.asyncDispose]();
  }
}

/** Some children; see fixtures/obey.ts for what each of them does. */
export class Crew<O, A = void> implements AsyncDisposable {
  readonly #children: readonly AsyncDisposable[];
  readonly #orders: readonly Orders<O, A>[];

  private constructor(
    children: readonly AsyncDisposable[],
    orders: readonly Orders<O, A>[],
  ) {
    this.#children = children;
    this.#orders = orders;
  }

  /**
   * Starts children.
   *
   * @param size How many.
   * @param target What each of them runs.
   * @param common What all of them get (queues, locks ...).
   */
  static start<O, A, C>(
    size: number,
    target: MemberTarget<O, A, C>,
    common: C,
  ): Crew<O, A> {
    const children: AsyncDisposable[] = [];
    const orders: Orders<O, A>[] = [];
    for (let i = 0; i < size; i++) {
      const [here, there] = Pipe<O | A>();
      children.push(new Member(target, [there, common]));
      orders.push(here);
    }
    return new Crew<O, A>(children, orders);
  }

  /** Gives one order to each of the first members. */
  async begin(orders: readonly O[]): Promise<void> {
    await Promise.all(orders.map((order, i) => this.#orders[i]!.send(order)));
  }

  /** Waits until so many of the first members have done what they were told. */
  async done(count: number): Promise<A[]> {
    const answers = this.#orders.slice(0, count).map((orders) => orders.recv());
    // The members send nothing but answers.
    return await Promise.all(answers) as A[];
  }

  /** Has orders done: one by each of the first members, all at once. */
  async obey(orders: readonly O[]): Promise<A[]> {
    await this.begin(orders);
    return await this.done(orders.length);
  }

  /** Ends the children. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#children.map((child) => child[Symbol.asyncDispose]()),
    );
  }
}
