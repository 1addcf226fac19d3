// Copyright 2026 the multitask authors. MIT license.
// The pipe as it lives in its owner: a stream of messages each way, which ends
// when nobody holds the other end any more.

import type { Packet } from "./_packet.ts";
import type {
  Operation,
  Reply,
  SharedObject,
  Withdraw,
} from "./_shared_object.ts";
import { QueueCore, QueueOp } from "./_queue_core.ts";
import { ConnectionClosedError } from "./errors.ts";

/** A sender waits while this many bytes are unread. */
const UNREAD_LIMIT = 1 << 20;

function stream(): QueueCore {
  return new QueueCore({
    limit: UNREAD_LIMIT,
    costOf: (packet: Packet) => packet.bytes.length + 1,
    ended: (action) =>
      new ConnectionClosedError(
        action === "put"
          ? "Cannot send: the other end of the connection is closed"
          : "Cannot receive: the other end of the connection is closed, and nothing is left to read",
      ),
  });
}

/** Both directions of a pipe; part 0 and part 1 are its ends. */
export class PipeCore implements SharedObject {
  readonly partsMove = true;
  readonly #duplex: boolean;
  /** Index: the end that reads from it. */
  readonly #streams = [stream(), stream()] as const;
  readonly #open = [true, true];

  constructor(duplex: boolean) {
    this.#duplex = duplex;
  }

  perform(operation: Operation, reply: Reply): Withdraw | undefined {
    const end = operation.part === 0 ? 0 : 1;
    switch (operation.code) {
      case QueueOp.Put:
        // One way: the first end receives, the second sends.
        if (!this.#duplex && end === 0) {
          throw new ConnectionClosedError(
            "Cannot send: this is the receiving end of a one-way pipe",
          );
        }
        return this.#streams[end === 0 ? 1 : 0].perform(operation, reply);
      case QueueOp.Withdraw:
        return this.#streams[end === 0 ? 1 : 0].perform(operation, reply);
      case QueueOp.Get:
      case QueueOp.Ready:
        if (!this.#duplex && end === 1) {
          throw new ConnectionClosedError(
            "Cannot receive: this is the sending end of a one-way pipe",
          );
        }
        return this.#streams[end].perform(operation, reply);
      case QueueOp.Unget:
        return this.#streams[end].perform(operation, reply);
      default:
        throw new RangeError(`Cannot do operation ${operation.code} on a pipe`);
    }
  }

  /** Nobody holds this end any more. */
  partDropped(part: number): void {
    const end = part === 0 ? 0 : 1;
    if (!this.#open[end]) return;
    this.#open[end] = false;
    // What is on its way to the other end can still be read there; what comes
    // this way has no reader left.
    this.#streams[end === 0 ? 1 : 0].shutDown(false);
    this.#streams[end].shutDown(true);
  }

  holderGone(_isGone: (path: string) => boolean): void {
    // Leases tell which end is held by whom.
  }

  destroy(error: Error): void {
    for (const stream of this.#streams) stream.destroy(error);
  }
}
