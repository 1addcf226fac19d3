// Copyright 2026 the multitask authors. MIT license.
// A line: one connection between a manager and a guest, frames both ways, and
// the knowledge whether the other side is there.
//
//   open --(end of the stream, an error, silence, `close`)--> over
//
// - Each side says something at least every `interval`, a Ping if nothing else.
//   Who has heard nothing for `timeout` takes the other side for gone. A side
//   that has itself been asleep meanwhile (its own clock says so) waits anew.
// - While more than OUT_LIMIT is unwritten, nothing is read: who does not take
//   its answers cannot ask for more, and our memory stays as it is.
// - `end` is told once, whatever ends it.
//
// A line between a manager and its own process has no socket: frames change
// sides in the next microtask.

import { ByteWriter } from "../ipc/_bytes.ts";
import { Channel } from "../ipc/_channel.ts";
import { resourceClosed, resourceOpened } from "../ipc/_live.ts";
import type { MessageLimits, Socket } from "../ipc/_socket_end.ts";
import { startTimer } from "../ipc/_timer.ts";
import { ConnectionClosedError } from "../ipc/errors.ts";
import { Frame } from "./_wire.ts";

/** How a line reports to its owner. */
export interface LineEvents {
  /** The body is only valid during the call. */
  frame(kind: number, body: Uint8Array): void;
  /** Nothing more will come. */
  end(error: ConnectionClosedError): void;
}

/** How often to speak, and how long to listen, in milliseconds. */
export interface Heartbeat {
  readonly interval: number;
  readonly timeout: number;
}

/** See the file comment. */
export interface Line {
  /** The longest frame that the other side takes, in bytes. */
  readonly limit: number;
  /** Begins a frame; write its body, then call `commit`. */
  begin(kind: number): ByteWriter;
  commit(): void;
  /** The other side speaks at least so often, in milliseconds. */
  listenFor(interval: number): void;
  /** The other side is there: that is known otherwise. */
  heard(): void;
  /** Keeps the program alive until `release`. Counts. */
  hold(): void;
  release(): void;
  /** Writes what is there, within a bound, and closes. */
  finish(): Promise<void>;
  /** Ends it now. */
  close(why: string): void;
}

/** What may be unwritten while more is read, in bytes. */
const OUT_LIMIT = 1 << 22;

/** How long what was said last may take to be written, in milliseconds. */
const FINISH_BOUND = 1000;

/** Nobody may be silent for longer, whatever they say. */
const MAX_INTERVAL = 60_000;

/** Beside its bytes, a frame has its kind and the numbers before the value. */
const FRAME_SLACK = 1024;

/** A line over a socket whose other side has proved itself. */
export class SocketLine implements Line {
  readonly limit: number;
  readonly #socket: Socket;
  readonly #channel: Channel;
  readonly #events: LineEvents;
  readonly #interval: number;
  /** How long silence may last. */
  #timeout: number;
  readonly #stopBeating: () => void;
  readonly #gone = Promise.withResolvers<void>();
  #lastHeard = performance.now();
  #lastTick = performance.now();
  #hasSpoken = false;
  #hasHeard = false;
  #holds = 0;
  /** Why it was ended here. */
  #why: string | undefined;

  constructor(
    socket: Socket,
    limits: MessageLimits,
    events: LineEvents,
    heartbeat: Heartbeat,
  ) {
    this.limit = limits.sent;
    this.#socket = socket;
    this.#events = events;
    this.#interval = heartbeat.interval;
    this.#timeout = heartbeat.timeout;
    this.#channel = new Channel(
      {
        read: (into) =>
          this.#channel.unsentBytes > OUT_LIMIT
            ? this.#readLater(into)
            : socket.read(into),
        write: (bytes) => socket.write(bytes),
        close: () => socket.close(),
      },
      {
        frame: (kind, body) => {
          this.#hasHeard = true;
          if (kind !== Frame.Ping) events.frame(kind, body);
        },
        end: (error) => this.#ended(error),
      },
      { maxFrame: limits.received + FRAME_SLACK },
    );
    resourceOpened(this, "line of a manager");
    const timer = setInterval(() => this.#tick(), heartbeat.interval);
    Deno.unrefTimer(timer);
    this.#stopBeating = () => clearInterval(timer);
    // Whoever waits for an answer keeps the program alive.
    socket.unref();
    this.#channel.run();
  }

  async #readLater(into: Uint8Array): Promise<number | null> {
    const channel = this.#channel;
    while (channel.unsentBytes > OUT_LIMIT && !channel.closed) {
      await channel.flushed();
    }
    return await this.#socket.read(into);
  }

  #tick(): void {
    const now = performance.now();
    const timeout = this.#timeout;
    if (this.#hasHeard) this.#lastHeard = now;
    this.#hasHeard = false;
    // It was this side that was away: what the other one has said is unread.
    if (now - this.#lastTick > 2 * this.#interval) this.#lastHeard = now;
    this.#lastTick = now;
    if (now - this.#lastHeard > timeout) {
      return this.close(
        `nothing was heard of the other side for ${Math.round(timeout)} ms`,
      );
    }
    if (!this.#hasSpoken && this.#channel.idle) {
      this.#channel.begin(Frame.Ping);
      this.#channel.commit();
    }
    this.#hasSpoken = false;
  }

  begin(kind: number): ByteWriter {
    this.#hasSpoken = true;
    return this.#channel.begin(kind);
  }

  commit(): void {
    this.#channel.commit();
  }

  listenFor(interval: number): void {
    // One may be late, and one may be lost.
    const believed = Math.min(interval, MAX_INTERVAL);
    this.#timeout = Math.max(this.#timeout, 3 * believed);
  }

  heard(): void {
    this.#hasHeard = true;
  }

  hold(): void {
    if (this.#holds++ === 0) this.#socket.ref();
  }

  release(): void {
    if (--this.#holds === 0 && !this.#channel.closed) this.#socket.unref();
  }

  async finish(): Promise<void> {
    if (this.#channel.closed) return;
    this.hold();
    const stopTimer = startTimer(
      () => this.close("it was closed here"),
      FINISH_BOUND,
    );
    try {
      // Then the other side has all that was said, and closes.
      await this.#channel.flushed();
      await this.#socket.closeWrite();
      await this.#gone.promise;
    } catch {
      // The other side is gone.
    } finally {
      stopTimer();
      this.close("it was closed here");
      this.release();
    }
  }

  close(why: string): void {
    if (this.#channel.closed) return;
    this.#why = why;
    this.#channel.close();
  }

  #ended(error: Error | undefined): void {
    this.#stopBeating();
    resourceClosed(this);
    const why = this.#why ??
      (error === undefined ? "the other side has closed it" : error.message);
    this.#gone.resolve();
    this.#events.end(
      new ConnectionClosedError(
        `The connection has ended: ${why}`,
        error === undefined ? {} : { cause: error },
      ),
    );
  }
}

/** A line within a process. */
class LocalLine implements Line {
  readonly limit: number = Infinity;
  readonly #events: LineEvents;
  readonly #alive: { hold(): void; release(): void };
  /** The other end; set once both are there. */
  other!: LocalLine;
  #out = new ByteWriter();
  #kind = 0;
  #closed = false;

  constructor(
    events: LineEvents,
    alive: { hold(): void; release(): void },
  ) {
    this.#events = events;
    this.#alive = alive;
  }

  begin(kind: number): ByteWriter {
    this.#kind = kind;
    this.#out.pos = 0;
    return this.#out;
  }

  commit(): void {
    if (this.#closed) return;
    const kind = this.#kind;
    const body = this.#out.take();
    queueMicrotask(() => {
      if (!this.other.#closed) this.other.#events.frame(kind, body);
    });
  }

  listenFor(): void {}

  heard(): void {}

  hold(): void {
    this.#alive.hold();
  }

  release(): void {
    this.#alive.release();
  }

  async finish(): Promise<void> {
    await undefined; // What was said is delivered.
    this.close("it was closed here");
  }

  close(why: string): void {
    if (this.#closed) return;
    this.#closed = this.other.#closed = true;
    for (const line of [this, this.other]) {
      queueMicrotask(() =>
        line.#events.end(
          new ConnectionClosedError(`The connection has ended: ${why}`),
        )
      );
    }
  }
}

/** Connects two sides within this process. */
export function localLines(
  first: LineEvents,
  second: LineEvents,
  alive: { hold(): void; release(): void },
): [Line, Line] {
  const nothing = { hold() {}, release() {} };
  const one = new LocalLine(first, alive);
  const two = new LocalLine(second, nothing);
  one.other = two;
  two.other = one;
  return [one, two];
}
