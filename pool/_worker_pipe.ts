// Copyright 2026 the multitask authors. MIT license.
// The way between a pool and one of its workers, whatever that is: a pipe.

import type { TakeHold } from "../ipc/_fate.ts";
import { hub } from "../ipc/_hub.ts";
import type { Home } from "../ipc/_homes.ts";
import type { Packet } from "../ipc/_packet.ts";
import type { PipeEnd } from "../ipc/_pipe_end.ts";
import { type Connection, endOf } from "../ipc/connection.ts";
import { ConnectionClosedError } from "../ipc/errors.ts";
import { Pipe } from "../ipc/pipe.ts";

/** Why nothing is waited for any more. */
const ENDED = new Error("The worker has ended");

/** A copy: whoever reads it may read other messages meanwhile. */
function keptPacket({ bytes, refs }: Packet): Packet {
  return { bytes: bytes.slice(), refs };
}

/** See the file comment. */
export class WorkerPipe {
  /** The worker's end. */
  readonly there: Connection;
  readonly #here: Connection;
  readonly #end: PipeEnd;
  readonly #received: (packet: Packet) => void;
  readonly #takeHold: TakeHold;
  #isOver = false;
  /** Gives up the message that is waited for, or was last. */
  #giveUp: ((reason: unknown) => void) | undefined;
  #awake = false;
  /** Has the worker no longer keep the program alive. */
  #hold: (() => void) | undefined;
  #resting: ReturnType<typeof setImmediate> | undefined;
  #reading = false;
  #sending: Promise<unknown> | undefined;

  /** `takeHold` has the worker keep the program alive. */
  constructor(
    received: (packet: Packet) => void,
    takeHold: TakeHold,
    home?: Home,
  ) {
    const [here, there] = Pipe(home === undefined ? {} : { home });
    this.#here = here;
    this.there = there;
    this.#end = endOf(here) as PipeEnd; // A pipe's.
    this.#received = received;
    this.#takeHold = takeHold;
  }

  /** Whether the worker has ended, or the pipe was closed. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Sends a message, in order. The packet's bytes may be changed afterwards. */
  send(packet: Packet): void {
    if (this.isOver) return hub.dropPacket(packet);
    try {
      if (this.#sending === undefined && this.#end.trySend(packet)) return;
    } catch (error) {
      if (!(error instanceof ConnectionClosedError)) throw error;
      // Its end is about to be told; the packet was dropped.
      return;
    }
    const kept = { ...packet, bytes: packet.bytes.slice() };
    const sending: Promise<unknown> = this.#end.sendLater(kept)
      .catch(() => {}) // Its end is told by its exit.
      .finally(() => {
        if (this.#sending === sending) this.#sending = undefined;
      });
    this.#sending = sending;
  }

  /** Whether messages are read, and the worker keeps the program alive. */
  get awake(): boolean {
    return this.#awake;
  }

  set awake(awake: boolean) {
    if (this.isOver) return;
    this.#awake = awake;
    if (awake) {
      this.#hold ??= this.#takeHold();
      if (!this.#reading) this.#read();
    } else if (this.#hold !== undefined) {
      // In the next turn: most who get a result have another task at once.
      this.#resting ??= setImmediate(() => {
        this.#resting = undefined;
        if (!this.#awake) this.#letGo();
      });
    }
  }

  #letGo(): void {
    this.#hold?.();
    this.#hold = undefined;
  }

  async #read(): Promise<void> {
    this.#reading = true;
    try {
      while (this.#awake && !this.isOver) {
        const got = this.#end.tryReceive(keptPacket);
        this.#received(
          got?.value ??
            (await this.#end.receive({
              waits: (giveUp) => this.#giveUp = giveUp,
            }))!.packet,
        );
      }
    } catch (error) {
      // It is about to end: that is told by its exit.
      if (error !== ENDED && !(error instanceof ConnectionClosedError)) {
        throw error;
      }
    } finally {
      this.#reading = false;
    }
  }

  /** The worker has ended: reads what is there. */
  finish(): void {
    if (this.isOver) return;
    // What a pending read was about to get is the next message again.
    this.#stop();
    try {
      for (let got; (got = this.#end.tryReceive(keptPacket)) !== undefined;) {
        this.#received(got.value);
      }
    } catch (error) {
      // All was read.
      if (!(error instanceof ConnectionClosedError)) throw error;
    }
  }

  #stop(): void {
    this.#isOver = true;
    this.#giveUp?.(ENDED);
    this.#giveUp = undefined;
  }

  close(): void {
    this.#stop();
    clearImmediate(this.#resting);
    this.#letGo();
    this.#here.close();
  }
}
