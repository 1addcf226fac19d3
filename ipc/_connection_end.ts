// Copyright 2026 the multitask authors. MIT license.
// What is behind a Connection: an end of a pipe between the processes of a
// program, or a socket. Arguments have been checked when they get here.

import type { Wait } from "./_waiting.ts";

/** A message that was received and may be given back. */
export interface Received {
  readonly message: unknown;
  /** Makes it the next message again. */
  giveBack(): void;
}

/** How a message is sent. */
export interface SendOptions extends Wait {
  /** Buffers to detach once the message is encoded. */
  readonly transfer?: readonly ArrayBuffer[] | undefined;
}

/** See the file comment. */
export interface ConnectionEnd {
  /** Whether it was closed on this side. */
  readonly closed: boolean;
  /**
   * The connection that is around this end from now on. An end that can be
   * passed to other processes makes it a handle.
   */
  attach?(connection: object): void;
  /** Sends a message; false when there was no room in time. */
  send(message: unknown, options: SendOptions): Promise<boolean>;
  /** Takes the next message; `undefined` when none came in time. */
  recv(options: Wait): Promise<Received | undefined>;
  /** Waits until `recv` would not; false when the time was up first. */
  ready(options: Wait): Promise<boolean>;
  /** Closes it on this side and ends the waits. Idempotent. */
  close(): void;
  /** Resolves when nothing of it is open in this process any more. */
  gone(): Promise<void>;
}
