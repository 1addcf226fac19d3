// Copyright 2026 the multitask authors. MIT license.
// What lives in its owner and is operated on from anywhere, and how.

import type { Handle } from "./_codec.ts";
import type { Agent } from "./_agent.ts";
import type { Place } from "./_homes.ts";
import type { Packet } from "./_packet.ts";
import type { Reference } from "./_reference.ts";

/** The numbers that stand for the classes in messages. Never reuse one. */
export const HandleNumber = {
  Queue: 1,
  Lock: 2,
  Event: 3,
  Connection: 4,
  Semaphore: 5,
  Signal: 6,
  Barrier: 7,
  Cells: 8,
  SharedMemory: 9,
  /** One direction of a pipe; it never crosses by itself. */
  Stream: 10,
  // The following have the memory of others of these.
  JoinableQueue: 11,
  SimpleQueue: 12,
  LifoQueue: 13,
  PriorityQueue: 14,
  RLock: 15,
  BoundedSemaphore: 16,
  Condition: 17,
  Value: 18,
  SharedArray: 19,
  ShareableList: 20,
  /** A proxy of an object that a manager shares. */
  Proxy: 21,
} as const;

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

/**
 * Takes a waiting operation out. It will not be answered any more; unless it is
 * done and cannot be undone, which is answered at once.
 */
export type Withdraw = () => void;

/** What lives in its owner and is operated on from anywhere. */
export interface SharedObject {
  /** Where it lies, for those who reach its memory. */
  readonly place?: Place;
  /** The seat through which this thread reaches it. */
  readonly agent?: Agent;
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
  /** Makes this thread's view of an object of others, if it reaches it. */
  readonly attach: (place: Place, owner: string) => SharedObject | undefined;
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
  /**
   * Gets how to give it up with a reason, if it has to wait: for who waits over
   * and over again, to whom a signal's listeners cost too much.
   */
  waits?: ((giveUp: (reason: unknown) => void) => void) | undefined;
  /** Called when a blocking call is in line, before it blocks. */
  started?: () => void;
  /** Has the owner do it, also where its memory is within reach. */
  atOwner?: boolean;
  /**
   * Whether a caller that gives up waits, for a second at most, to know whether
   * it was too late: then that is a success.
   */
  certain?: boolean;
  /** Undoes a success that the caller no longer waits for. */
  undo?: (outcome: Outcome) => void;
}
