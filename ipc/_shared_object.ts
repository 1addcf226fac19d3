// Copyright 2026 the multitask authors. MIT license.
// What lives in its owner and is operated on from anywhere, and how.

import type { Handle } from "./_codec.ts";
import type { Packet } from "./_packet.ts";
import type { Reference } from "./_reference.ts";

/** How an operation ended. */
export const Status = {
  /** Done; number and packet are the result. */
  Done: 0,
  /** It would have had to wait, or waited until its time was up. */
  NotReady: 1,
  /** It failed; the packet is the error. */
  Failed: 2,
} as const;

/** An operation as an object is asked to perform it. */
export interface Operation {
  readonly code: number;
  /** The process on whose behalf. */
  readonly caller: string;
  readonly part: number;
  readonly number: number;
  readonly packet: Packet | undefined;
}

/** Answers an operation, once. */
export type Reply = (status: number, number: number, packet?: Packet) => void;

/** Takes a waiting operation out; it will not be answered then. */
export type Withdraw = () => void;

/** What lives in its owner and is operated on from anywhere. */
export interface SharedObject {
  /**
   * Performs an operation: answers at once, or gives back how to withdraw it
   * while it waits. Throws what the caller shall get.
   */
  perform(operation: Operation, reply: Reply): Withdraw | undefined;
  /** A process that may hold something of it has ended. */
  holderGone(isGone: (path: string) => boolean): void;
  /** The leases of a part went to none, or the owner let go of it. */
  partDropped?(part: number): void;
  /** Whether a part that is passed on unused is no longer held here. */
  readonly partsMove?: boolean;
  /** Ends every wait on it with `error` and lets go of what it holds. */
  destroy(error: Error): void;
}

/** A class of handles: how to make the public object around a reference. */
export interface HandleType {
  /** The number that stands for the class in messages. */
  readonly type: number;
  /** Makes the public object. */
  readonly revive: (reference: Reference) => Handle;
}

/** What an operation gives when it is done. */
export interface Outcome {
  readonly number: number;
  readonly packet: Packet;
}

/** How an operation is asked for. */
export interface CallOptions {
  number?: number | undefined;
  packet?: Packet | undefined;
  timeout?: number | undefined;
  signal?: AbortSignal | undefined;
  /** Undoes a success that the caller no longer waits for. */
  undo?: (outcome: Outcome) => void;
}
