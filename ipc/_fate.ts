// Copyright 2026 the multitask authors. MIT license.
// What becomes of a process or a thread: the promises for its result and its end.
//
//   renewed --start throws--> given up --> renewed
//      \----started--> result or error arrives --> ended
//                           \------------------- it ends without one
//
// Of the promises each settles once; what comes later has no effect. Nobody has
// to read them.

import { attributeError, unknownClasses } from "./_error_codec.ts";
import { hub } from "./_hub.ts";
import type { Packet } from "./_packet.ts";
import type { TaskCall } from "./_task.ts";
import { type Wait, waitFor } from "./_waiting.ts";
import { RemoteError } from "./errors.ts";

/** Keeps the program alive; gives how to stop that. */
export type TakeHold = () => () => void;

/** Who has failed. */
export interface FailedRun {
  readonly name: string;
  readonly pid: number;
  /** What it ran: its module may export the error's class. */
  readonly call: TaskCall | undefined;
  /** Called with the error before others learn of it. */
  told?(error: unknown): void;
}

/** See the file comment. */
export class Fate<Exit> {
  #result!: PromiseWithResolvers<unknown>;
  #exited!: PromiseWithResolvers<Exit>;
  /** Promises that were read before the start. */
  readonly #awaited: Promise<unknown>[] = [];
  #takeHold: TakeHold | undefined;
  /** An error is here, and about to be told. */
  #hasFailed = false;

  constructor() {
    this.renew();
  }

  /** Promises for what becomes of the next start. */
  renew(): void {
    this.#result = Promise.withResolvers();
    this.#exited = Promise.withResolvers();
    this.#result.promise.catch(() => {});
    this.#exited.promise.catch(() => {});
  }

  /** It does not run: whoever awaits what cannot come is told why. */
  giveUp(error: unknown): void {
    this.#awaited.length = 0;
    this.#result.reject(error);
    this.#exited.reject(error);
  }

  /** It runs; whoever awaits what becomes of it keeps the program alive. */
  started(takeHold: TakeHold): void {
    this.#takeHold = takeHold;
    for (const promise of this.#awaited.splice(0)) this.#holdUntil(promise);
  }

  #holdUntil(promise: Promise<unknown>): void {
    if (this.#takeHold === undefined) {
      this.#awaited.push(promise);
      return;
    }
    const hold = this.#takeHold();
    promise.then(hold, hold);
  }

  /** What it gave, or its error. Who reads it most likely awaits it. */
  get result(): Promise<unknown> {
    this.#holdUntil(this.#result.promise);
    return this.#result.promise;
  }

  /** How it ended. */
  get exited(): Promise<Exit> {
    this.#holdUntil(this.#exited.promise);
    return this.#exited.promise;
  }

  /** Its result arrived. */
  done(packet: Packet): void {
    try {
      this.#result.resolve(hub.unpack(packet));
    } catch (error) {
      this.#result.reject(error);
    }
  }

  /** Its error arrived. */
  failed(packet: Packet, { name, pid, call, told }: FailedRun): void {
    let error: unknown;
    try {
      error = hub.unpack(packet);
    } catch (undecodable) {
      error = undecodable;
    }
    const settle = (error: unknown) => {
      told?.(error);
      this.#result.reject(attributeError(error, name, pid));
    };
    if (!(error instanceof RemoteError) || !unknownClasses.has(error)) {
      return settle(error);
    }
    // Its class is not known here: the task's module may export it.
    this.#hasFailed = true;
    const hold = this.#takeHold?.();
    rebuilt(error, call).then(settle).finally(hold);
  }

  /** It gives no result. */
  reject(error: unknown): void {
    this.#result.reject(error);
  }

  /** It gives a result that nobody has sent. */
  resolve(value: unknown): void {
    this.#result.resolve(value);
  }

  /** It has ended: `lost` makes the error if it gave neither. */
  ended(exit: Exit, lost: () => unknown): void {
    if (!this.#hasFailed) this.#result.reject(lost());
    this.#exited.resolve(exit);
  }

  /**
   * Waits for its end; false when the time was over first. `inVain` rejects when
   * the end cannot be waited for any more.
   */
  async join(wait: Wait, inVain?: Promise<never>): Promise<boolean> {
    const hold = this.#takeHold?.();
    try {
      return await waitFor<true>(wait, ({ resolve, reject }) => {
        this.#exited.promise.then(() => resolve(true));
        inVain?.catch(reject);
        return () => {};
      }) ?? false;
    } finally {
      hold?.();
    }
  }
}

async function rebuilt(
  error: RemoteError,
  call: TaskCall | undefined,
): Promise<unknown> {
  try {
    const { exportedClass } = await import("./_error_class.ts");
    return await exportedClass(error, call);
  } catch {
    return error;
  }
}
