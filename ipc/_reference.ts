// Copyright 2026 the multitask authors. MIT license.

import type { Handle } from "./_codec.ts";
import type { Hub } from "./_hub.ts";
import type { ProcessExitError } from "./errors.ts";
import type { Packet } from "./_packet.ts";
import type { CallOptions, Outcome, SharedObject } from "./_shared_object.ts";

/**
 * A process's own view of one shared object: here or elsewhere. The public
 * classes hold one each.
 */
export class Reference {
  readonly type: number;
  readonly part: number;
  /** The object itself, in its owner. */
  readonly object: SharedObject | undefined;
  /** What works on its memory: the object, or this thread's view of it. */
  readonly direct: SharedObject | undefined;
  readonly #hub: Hub;
  #owner: string;
  #id: number;
  /** Errors of operations nobody awaited. */
  #fault: Error | undefined;
  #closed = false;
  /** Why nothing can be done with it any more: its owner has ended. */
  ownerGone: ProcessExitError | undefined;
  /** Whether anything was ever done with it in this process. */
  used = false;
  /** The public object around this reference. */
  handle: WeakRef<Handle> | undefined;

  constructor(
    hub: Hub,
    type: number,
    part: number,
    place: SharedObject | { owner: string; id: number },
    view?: SharedObject,
  ) {
    this.#hub = hub;
    this.type = type;
    this.part = part;
    if ("perform" in place) {
      this.object = this.direct = place;
      this.#owner = hub.path;
      this.#id = 0;
    } else {
      this.object = undefined;
      this.direct = view;
      this.#owner = place.owner;
      this.#id = place.id;
    }
  }

  get owner(): string {
    return this.object === undefined ? this.#owner : this.#hub.path;
  }

  get id(): number {
    return this.#id;
  }

  /** The number the object gets when it is shared for the first time. */
  set id(id: number) {
    this.#id = id;
  }

  get closed(): boolean {
    return this.#closed;
  }

  markClosed(): void {
    this.#closed = true;
  }

  /** Keeps an error until somebody awaits something of this object. */
  fail(error: Error): void {
    if (this.#fault === undefined) this.#hub.faults.add(this);
    this.#fault ??= error;
  }

  /** Takes the error that is due, if there is one. */
  takeFault(): Error | undefined {
    const fault = this.#fault;
    if (fault !== undefined) {
      this.#fault = undefined;
      this.#hub.faults.delete(this);
    }
    return fault;
  }

  /**
   * Asks for an operation. Resolves to `undefined` when it was not ready in
   * time; rejects with the signal's reason, or what the owner threw.
   */
  call(code: number, options: CallOptions = {}): Promise<Outcome | undefined> {
    return this.#hub.call(this, code, options);
  }

  /** The same, blocking. */
  callSync(
    code: number,
    options: Omit<CallOptions, "signal" | "undo"> = {},
  ): Outcome | undefined {
    return this.#hub.callSync(this, code, options);
  }

  /**
   * Asks for an operation that never waits and whose result nobody needs.
   * Throws when it fails here; elsewhere the error stays for the next call.
   */
  cast(code: number, number = 0, packet?: Packet): void {
    this.#hub.cast(this, code, number, packet);
  }
}
