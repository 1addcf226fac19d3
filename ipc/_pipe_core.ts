// Copyright 2026 the multitask authors. MIT license.
// The pipe in shared memory: a stream of messages each way, which ends when
// nobody holds the other end any more.

import { ObjectWord } from "./_arena.ts";
import { Core, type CorePlace } from "./_core.ts";
import { QueueCore, QueueKind, queueMourner, QueueOp } from "./_queue_core.ts";
import { registerMourner } from "./_recovery.ts";
import {
  HandleNumber,
  type Operation,
  type Reply,
  type Withdraw,
} from "./_shared_object.ts";
import { ConnectionClosedError } from "./errors.ts";

/** A sender waits while this many bytes are unread. */
const UNREAD_LIMIT = 1 << 20;

/** Words of a pipe: its two streams, by the end that reads from them. */
const Word = {
  Duplex: ObjectWord.Own,
  /** Position and generation of each. */
  Streams: ObjectWord.Own + 1,
} as const;

function stream(place: CorePlace): QueueCore {
  return new QueueCore(place, {
    what: "pipe",
    type: HandleNumber.Stream,
    kind: QueueKind.Stream,
    limit: UNREAD_LIMIT,
    ended: (action) =>
      new ConnectionClosedError(
        action === "put"
          ? "Cannot send: the other end of the connection is closed"
          : "Cannot receive: the other end of the connection is closed, and nothing is left to read",
      ),
  });
}

/** Both directions of a pipe; part 0 and part 1 are its ends. */
export class PipeCore extends Core {
  protected override readonly what = "pipe";
  readonly partsMove = true;
  /** Index: the end that reads from it. */
  readonly #streams: readonly [QueueCore, QueueCore];
  readonly #open = [true, true];

  constructor(place: CorePlace, duplex = true) {
    const made = place.place === undefined
      ? [stream(place), stream(place)] as const
      : undefined;
    super(HandleNumber.Connection, place, (at) => {
      const { int32 } = place.agent;
      int32[at + Word.Duplex] = duplex ? 1 : 0;
      made!.forEach((stream, end) => {
        int32[at + Word.Streams + 2 * end] = stream.at;
        int32[at + Word.Streams + 2 * end + 1] = stream.generation;
      });
    });
    const { int32 } = this.agent;
    const attached = (end: number) =>
      stream({
        ...place,
        place: {
          ...this.place,
          at: int32[this.at + Word.Streams + 2 * end]!,
          generation: int32[this.at + Word.Streams + 2 * end + 1]!,
        },
      });
    this.#streams = made ?? [attached(0), attached(1)];
  }

  get #duplex(): boolean {
    return this.agent.int32[this.at + Word.Duplex] === 1;
  }

  /** The stream that an end writes to. */
  outgoing(end: number): QueueCore {
    // One way: the first end receives, the second sends.
    if (end === 0 && !this.#duplex) {
      throw new ConnectionClosedError(
        "Cannot send: this is the receiving end of a one-way pipe",
      );
    }
    return this.#streams[end === 0 ? 1 : 0];
  }

  /** The stream that an end reads from. */
  incoming(end: number): QueueCore {
    if (end !== 0 && !this.#duplex) {
      throw new ConnectionClosedError(
        "Cannot receive: this is the sending end of a one-way pipe",
      );
    }
    return this.#streams[end === 0 ? 0 : 1];
  }

  perform(operation: Operation, reply: Reply): Withdraw | undefined {
    const { part } = operation;
    switch (operation.code) {
      case QueueOp.Put:
      case QueueOp.Withdraw:
        return this.outgoing(part).perform(operation, reply);
      case QueueOp.Get:
      case QueueOp.Ready:
      case QueueOp.Unget:
        return this.incoming(part).perform(operation, reply);
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

  override destroy(error: Error): void {
    for (const stream of this.#streams) stream.destroy(error);
    super.destroy(error);
  }
}

registerMourner(HandleNumber.Stream, queueMourner);
registerMourner(HandleNumber.Connection, {
  // Leases tell which end is held by whom.
  freeHeld() {},
  takeBack() {},
  end() {},
});
