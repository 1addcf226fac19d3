// Copyright 2026 the multitask authors. MIT license.
// An end of a pipe as a process sees it: a reference to the pipe, which lives
// here or in another process of the program.

import { handle } from "./_codec.ts";
import type {
  ConnectionEnd,
  Received,
  SendOptions,
} from "./_connection_end.ts";
import { hub } from "./_hub.ts";
import { PipeCore } from "./_pipe_core.ts";
import { QueueOp } from "./_queue_core.ts";
import type { Reference } from "./_reference.ts";
import { claimReference, registerHandle } from "./_shared.ts";
import type { Packet } from "./_packet.ts";
import {
  type CallOptions,
  HandleNumber,
  type Outcome,
} from "./_shared_object.ts";
import type { Wait } from "./_waiting.ts";

/** So many bytes may be on their way without waiting for an answer. */
const UNANSWERED_LIMIT = 1 << 18;

/** An end of a pipe that was made here. */
interface Made {
  readonly core: PipeCore;
  readonly part: 0 | 1;
}

/** Says how to make the connection around an end that arrives. */
export function onPipeEnd(make: (end: PipeEnd) => object): void {
  registerHandle(
    HandleNumber.Connection,
    // A connection is a handle by itself, as not all are: see `attach`.
    PipeEnd.prototype,
    () => make(new PipeEnd()),
    (place) => new PipeCore(place),
  );
}

/** See the file comment. */
export class PipeEnd implements ConnectionEnd {
  readonly #made: Made | undefined;
  /** There from `attach` on. */
  #reference!: Reference;
  /** Bytes on their way to an owner that has not answered for them yet. */
  #unanswered = 0;

  /** The end of a pipe, or the one that arrives. */
  constructor(made?: Made) {
    this.#made = made;
  }

  attach(connection: object): void {
    Object.defineProperty(connection, handle, { value: true });
    this.#reference = claimReference(
      connection,
      HandleNumber.Connection,
      () => this.#made!.core,
      this.#made?.part,
    );
  }

  get closed(): boolean {
    return this.#reference.closed;
  }

  async send(message: unknown, options: SendOptions): Promise<boolean> {
    options.signal?.throwIfAborted();
    const isNear = this.#pipe !== undefined;
    const packet = hub.pack(message, "message", options.transfer, isNear);
    if (this.trySend(packet)) return true;
    return await this.sendLater(
      isNear ? { bytes: packet.bytes.slice(), refs: packet.refs } : packet,
      options,
    );
  }

  /** Sends a packet if its memory is within reach, and there is room now. */
  trySend(packet: Packet): boolean {
    const stream = this.#pipe?.outgoing(this.#reference.part);
    return stream !== undefined && stream.tryPut(packet) !== undefined;
  }

  /** Sends a packet, whose bytes must stay; waits while there is no room. */
  async sendLater(
    packet: Packet,
    { timeout, signal }: Wait = {},
  ): Promise<boolean> {
    const size = packet.bytes.length;
    const sent = this.#reference.call(QueueOp.Put, {
      packet,
      timeout,
      signal,
      certain: true,
      undo: ({ number }) => this.#reference.cast(QueueOp.Withdraw, number),
    });
    // A message to an owner elsewhere is on its way, in order; while little is,
    // nobody has to wait for the answers.
    if (
      this.#reference.direct === undefined &&
      timeout === undefined && signal === undefined &&
      this.#unanswered + size <= UNANSWERED_LIMIT
    ) {
      this.#unanswered += size;
      let failure: { error: unknown } | undefined;
      const going = sent.catch((error) => {
        failure = { error };
        throw error;
      }).finally(() => this.#unanswered -= size);
      // An owner that is known to be gone has answered already.
      await undefined;
      if (failure === undefined) hub.goOn(this.#reference, going);
      else await going;
      return true;
    }
    return await sent !== undefined;
  }

  /** The pipe, where this thread works on its memory and has done so before. */
  get #pipe(): PipeCore | undefined {
    const { direct, used } = this.#reference;
    return used ? direct as PipeCore | undefined : undefined;
  }

  /**
   * Reads the next message if its memory is within reach, and it is there now.
   * The packet is only there during the call of `read`.
   */
  tryReceive<T>(
    read: (packet: Packet) => T,
  ): { value: T; number: number } | undefined {
    return this.#pipe?.incoming(this.#reference.part).tryGet(read);
  }

  /** The next message; waits for one. `undefined` when none came in time. */
  receive(
    { timeout, signal, waits }: Wait & Pick<CallOptions, "waits"> = {},
  ): Promise<Outcome | undefined> {
    return this.#reference.call(QueueOp.Get, {
      timeout,
      signal,
      waits,
      undo: ({ number, packet }) =>
        this.#reference.cast(QueueOp.Unget, number, packet),
    });
  }

  async recv(wait: Wait): Promise<Received | undefined> {
    wait.signal?.throwIfAborted();
    const got = this.tryReceive((packet) => hub.unpack(packet));
    if (got !== undefined) {
      return {
        message: got.value,
        giveBack: () => this.#giveBack(got.number, got.value),
      };
    }
    const done = await this.receive(wait);
    if (done === undefined) return undefined;
    const message = hub.unpack(done.packet);
    return {
      message,
      giveBack: () => this.#giveBack(done.number, message),
    };
  }

  #giveBack(number: number, message: unknown): void {
    // Anew: the bytes that it came in may be written over by now.
    this.#reference.cast(QueueOp.Unget, number, hub.pack(message));
  }

  async ready({ timeout, signal }: Wait): Promise<boolean> {
    const done = await this.#reference.call(QueueOp.Ready, { timeout, signal });
    return done !== undefined;
  }

  close(): void {
    if (this.#reference.closed) return;
    this.#reference.markClosed();
    hub.release(this.#reference);
  }

  gone(): Promise<void> {
    return Promise.resolve();
  }
}
