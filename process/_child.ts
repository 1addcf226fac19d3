// Copyright 2026 the multitask authors. MIT license.
// A child as its parent sees it, from the start to the end: what Process, warm
// spares and fork() have in common.
//
//   starting --connects--> ready --task sent--> busy --program ends--> draining
//       \___________________________\_______________________________/    |
//                                                    read to the end, or |
//                                                    out of patience     v
//                                                                      ended
//
// `#enter` is the only place that changes the state. The program's exit status
// decides that it has ended; what it wrote before is read to the end first, so
// that a result and whatever it sent arrive before the news of its death.

import { type Ended, hub } from "../ipc/_hub.ts";
import { Link } from "../ipc/_link.ts";
import type { Packet } from "../ipc/_packet.ts";
import type { ChildStream } from "./_listener.ts";
import { Channel } from "../ipc/_channel.ts";
import { startTimer } from "../ipc/_timer.ts";
import type { ToChild, ToParent, ToSpare } from "./_protocol.ts";
import {
  type ExitStatus,
  spawn,
  type Spawned,
  type SpawnOptions,
} from "./_spawn.ts";

/** See the file comment. */
export type ChildState = "starting" | "ready" | "busy" | "draining" | "ended";

/** What a child's messages lead to. */
export interface ChildEvents {
  /** A message, and what goes with it. */
  message(message: ToParent, packet: Packet): void;
  /** It has ended, and all it sent has been seen. */
  ended(status: ExitStatus): void;
}

/** How long children have to end by themselves, in milliseconds. */
export const GRACE = 5000;

/**
 * After the exit the channel is read to its end. What the child wrote lies
 * ready, so that each turn of the event loop brings some of it, however busy
 * the machine is; time alone tells nothing. So many turns in a row without a
 * byte are the end as well: a grandchild may hold an inherited descriptor open.
 * A socket of the child's own ends with it; there it is only a bound.
 */
const DRAIN_LOOKS = { inherited: 10, own: 500 } as const;

/** Between two looks, in milliseconds. */
const DRAIN_INTERVAL = 10;

let nextNumber = 1;

/** Children that live, in the order of their start. */
export const liveChildren: Set<Child> = new Set();

/** A child. See the file comment. */
export class Child {
  readonly path: string;
  readonly pid: number;
  readonly stdout: Spawned["stdout"];
  readonly stderr: Spawned["stderr"];
  /** Whether it has connected; `false` when it has ended before. */
  readonly connected: Promise<boolean>;
  /** Resolves when it has ended and all it sent has been seen. */
  readonly ended: Promise<ExitStatus>;
  name: string;
  #state: ChildState = "starting";
  #status: ExitStatus | undefined;
  #late = false;
  #events: ChildEvents | undefined;
  #pending: [ToParent, Packet][] = [];
  #link: Link | undefined;
  #prepared: PromiseWithResolvers<void> | undefined;
  #sync = new Set<Channel>();
  #linkEnded: Promise<void> | undefined;
  readonly #program: Spawned;
  readonly #readers = new Set<Promise<void>>();
  #holds = 0;
  #held = true;

  constructor(
    name: string,
    options: Omit<SpawnOptions, "path" | "channel" | "sync">,
  ) {
    this.name = name;
    this.path = `${hub.path}.${nextNumber++}`;
    const connected = Promise.withResolvers<boolean>();
    this.connected = connected.promise;
    this.#program = spawn({
      ...options,
      path: this.path,
      channel: (stream) => {
        stopTimer();
        this.#open(stream);
        connected.resolve(true);
      },
      sync: (stream) => this.#openSync(stream),
    });
    const stopTimer = startTimer(
      () => {
        this.#late = true;
        this.kill("SIGKILL");
      },
      options.startTimeout,
      { unref: true },
    );
    this.pid = this.#program.pid;
    this.stdout = this.#program.stdout;
    this.stderr = this.#program.stderr;
    liveChildren.add(this);
    this.ended = this.#program.status.then((status) => {
      stopTimer();
      connected.resolve(false);
      return this.#end(status);
    });
  }

  get state(): ChildState {
    return this.#state;
  }

  /** Whether it was killed because it did not connect in time. */
  get isLate(): boolean {
    return this.#late;
  }

  #enter(state: ChildState): void {
    this.#state = state;
  }

  #open(stream: ChildStream): void {
    if (this.#state !== "starting") return stream.close();
    this.#enter("ready");
    // The program keeps its parent alive, its channel does not.
    stream.unref();
    const end = Promise.withResolvers<void>();
    this.#linkEnded = end.promise;
    // Without its channel it is of no use to anybody: it is about to end.
    end.promise.then(() => {
      const stopTimer = startTimer(
        () => this.kill("SIGKILL"),
        GRACE,
        { unref: true },
      );
      this.ended.finally(stopTimer);
    });
    const link = new Link(hub, this.path, false, stream, {
      // It comes from a process that showed our token: its shape is ours.
      control: (message, packet) => this.#deliver(message as ToParent, packet),
      end: end.resolve,
    });
    this.#link = link;
    hub.addChild(link);
    this.#read(link.channel);
  }

  #read(channel: Channel): void {
    const reading = channel.run().finally(() => this.#readers.delete(reading));
    this.#readers.add(reading);
  }

  #openSync(stream: ChildStream): void {
    stream.unref();
    const channel: Channel = new Channel(stream, {
      frame: (_kind, body) => {
        this.#link?.serveSync(body.slice(), (answer) => {
          channel.begin(answer[0]!).raw(answer.subarray(1));
          channel.commit();
        });
      },
      end: () => this.#sync.delete(channel),
    });
    this.#sync.add(channel);
    this.#read(channel);
  }

  /**
   * Has a spare do something before its task, one thing at a time. Resolves when
   * that is done, or the child has ended; rejects with its error.
   */
  prepare(order: ToSpare, packet?: Packet): Promise<void> {
    this.#prepared = Promise.withResolvers();
    this.#link!.sendControl(order, packet);
    return this.#prepared.promise;
  }

  #deliver(message: ToParent, packet: Packet): void {
    if (message.type === "prepared") {
      if (message.failed) this.#prepared!.reject(hub.unpack(packet));
      else this.#prepared!.resolve();
    } else if (this.#events === undefined) {
      this.#pending.push([message, packet]);
    } else this.#events.message(message, packet);
  }

  /** Whose child this is now: a spare gets its owner late. */
  listen(events: ChildEvents): void {
    this.#events = events;
    for (const [message, packet] of this.#pending.splice(0)) {
      events.message(message, packet);
    }
    if (this.#status !== undefined) events.ended(this.#status);
  }

  /** Sends a control message, and what goes with it. */
  send(message: Exclude<ToChild, ToSpare>, packet?: Packet): void {
    const isThere = this.#state === "ready" || this.#state === "busy";
    if (this.#link === undefined || !isThere) return;
    if (message.type !== "interrupt") this.#enter("busy");
    this.#link.sendControl(message, packet);
  }

  async #end(status: ExitStatus): Promise<ExitStatus> {
    this.#enter("draining");
    await this.#drain();
    for (const channel of this.#sync) channel.close();
    this.#link?.channel.close();
    await Promise.all(this.#readers);
    this.#status = status;
    this.#enter("ended");
    liveChildren.delete(this);
    this.#prepared?.resolve();
    const { exitCode, signal } = status;
    const ended: Ended = { name: this.name, pid: this.pid, exitCode, signal };
    hub.childEnded(this.path, ended);
    // What it held is free when others learn that it has ended.
    await hub.homes?.processEnded(ended);
    this.#events?.ended(status);
    // The runtime keeps a child of node:child_process, and this with it: but
    // not what its owner was given.
    this.#events = undefined;
    return status;
  }

  async #drain(): Promise<void> {
    const { channel } = this.#link ?? {};
    if (channel === undefined) return;
    const bound = DRAIN_LOOKS[this.#program.inherits ? "inherited" : "own"];
    for (let looks = 0; looks < bound && !channel.closed; looks++) {
      const { bytesRead } = channel;
      const interval = Promise.withResolvers<void>();
      const stopTimer = startTimer(interval.resolve, DRAIN_INTERVAL);
      await Promise.race([this.#linkEnded, interval.promise]);
      stopTimer();
      if (channel.bytesRead > bytesRead) looks = -1;
    }
  }

  kill(signal: Deno.Signal): void {
    if (this.#state === "draining" || this.#state === "ended") return;
    try {
      this.#program.kill(signal);
    } catch {
      // It ended in this moment; its status is on the way.
    }
  }

  /** Whether it keeps the program alive by itself. */
  set held(held: boolean) {
    this.#held = held;
    this.#applyHold();
  }

  /** Keeps the program alive while somebody waits for it. */
  hold(): () => void {
    this.#holds++;
    this.#applyHold();
    let done = false;
    return () => {
      if (done) return;
      done = true;
      this.#holds--;
      this.#applyHold();
    };
  }

  #applyHold(): void {
    if (this.#state === "draining" || this.#state === "ended") return;
    if (this.#held || this.#holds > 0) this.#program.ref();
    else this.#program.unref();
  }
}
