// Copyright 2026 the multitask authors. MIT license.
// A thread as its starter sees it, from the start to the end: what Thread and the
// workers of pools have in common.
//
//   starting --up--> running --stop()--> stopping --its lock has passed--> ended
//      \               \                    \                                ^
//       \               \                    \--bound--> stuck --lock passed-|
//        \               \--its lock has passed------------------------------|
//         \--its module cannot be loaded, or the bound is over---------------/
//
// `#enter` is the only place that changes the state. The lock decides that it has
// ended (see _lock.ts): what it sent before is read to the end first. Silence
// decides nothing: a thread that shall stop and goes on is stuck, which is told,
// and still lives. The lock is watched only while somebody needs to know, because
// that keeps the program alive: while the thread itself does, or somebody waits
// for it, or it is about to end.

import { resourceClosed, resourceOpened } from "../ipc/_live.ts";
import type { Packet } from "../ipc/_packet.ts";
import { inviteThread, type ThreadLink } from "../ipc/_thread_link.ts";
import { startTimer } from "../ipc/_timer.ts";
import { here } from "./_here.ts";
import type { WorkerGrants } from "./_permissions.ts";
import type { Boot, ToStarter, ToThread } from "./_protocol.ts";
import { watchLock } from "./_lock.ts";
import { type StartedWorker, startWorker } from "./_worker.ts";

/** See the file comment. */
export type ThreadState =
  | "starting"
  | "running"
  | "stopping"
  | "stuck"
  | "ended";

/** How a thread ended. */
export interface ThreadExit {
  /**
   * `"returned"`: its target is done; `"threw"`: it failed; `"exited"`: it has
   * called `Deno.exit` or `close`; `"terminated"`: it was told to stop;
   * `"lost"`: it could not be started.
   */
  readonly reason: "returned" | "threw" | "exited" | "terminated" | "lost";
  /** 0; 1 after an error; what was given to `Deno.exit`. */
  readonly exitCode: number;
}

/** What a thread's messages lead to. */
export interface ThreadEvents {
  /** Its result, or an error, arrived. */
  message(message: ToStarter, packet: Packet): void;
  /** It shall stop, and goes on after the bound. */
  stuck(): void;
  /** It has ended, and all it sent has been seen. */
  ended(exit: ThreadExit): void;
}

/** What a thread is started with. */
export interface ThreadStart {
  readonly name: string;
  readonly daemon: boolean;
  readonly grants: WorkerGrants;
  /** A module to load in any case. */
  readonly preload: string | undefined;
}

/** How long its modules may take to load, in milliseconds. */
const START_BOUND = 60_000;

/** How long a thread may take to stop, in milliseconds. */
const STOP_BOUND = 1000;

/** Threads of this one that live, in the order of their start. */
export const liveThreads: Set<StartedThread> = new Set();

/** See the file comment. */
export class StartedThread {
  readonly ident: number;
  readonly daemon: boolean;
  /** Why it could not be started. */
  failure: string | undefined;
  /**
   * Resolves with `true` when it has ended and all it sent has been seen, with
   * `false` when it shall stop and is stuck. Never rejects.
   */
  readonly over: Promise<boolean>;
  readonly #lock: string;
  readonly #name: string;
  readonly #events: ThreadEvents;
  readonly #worker: StartedWorker;
  readonly #link: ThreadLink;
  #state: ThreadState = "starting";
  #exit: ThreadExit | undefined;
  /** Whether it holds its lock, and whether it says that it ends now. */
  #isUp = false;
  #isLeaving = false;
  #held: boolean;
  #holds = 0;
  #stopWatch: (() => void) | undefined;
  #stopTimer: (() => void) | undefined;
  readonly #over = Promise.withResolvers<boolean>();

  constructor(
    { name, daemon, grants, preload }: ThreadStart,
    events: ThreadEvents,
  ) {
    const { directory, ident } = here();
    this.#name = name;
    this.daemon = daemon;
    this.#events = events;
    this.#held = !daemon;
    this.over = this.#over.promise;
    this.ident = directory.add(name, daemon, ident);
    this.#lock = directory.lockOf(this.ident);
    try {
      this.#worker = startWorker({
        name,
        grants,
        preload,
        failed: (message) => this.#failed(message),
      });
    } catch (error) {
      directory.remove(this.ident);
      throw error;
    }
    const boot: Boot = {
      ident: this.ident,
      name,
      daemon,
      lock: this.#lock,
      directory: directory.buffer,
    };
    this.#link = inviteThread(
      this.#worker,
      // It comes from a thread of ours.
      (message, packet) => this.#received(message as ToStarter, packet),
      boot,
    );
    this.#link.held = false; // The worker is, where need be.
    liveThreads.add(this);
    resourceOpened(this, `thread ${name}`);
    this.#stopTimer = startTimer(
      () => this.#failed(`it did not start in ${START_BOUND} ms`),
      START_BOUND,
      { unref: true },
    );
    this.#applyHold();
  }

  get state(): ThreadState {
    return this.#state;
  }

  #enter(state: ThreadState): void {
    this.#state = state;
    this.#applyHold();
  }

  #received(message: ToStarter, packet: Packet): void {
    switch (message.type) {
      case "up":
        if (this.#state === "ended") return;
        this.#isUp = true;
        this.#stopTimer?.();
        if (this.#state === "starting") return this.#enter("running");
        this.#applyHold();
        return this.#boundStop();
      case "done":
        this.#exit ??= { reason: "returned", exitCode: 0 };
        break;
      case "failed":
        this.#exit ??= { reason: "threw", exitCode: 1 };
        break;
      case "exiting":
        this.#exit ??= { reason: "exited", exitCode: message.code };
        this.#isLeaving = true;
        this.#applyHold();
    }
    this.#events.message(message, packet);
  }

  /** Sends a message, and what goes with it. */
  send(message: ToThread, packet?: Packet): void {
    if (this.#state === "ended") return;
    this.#link.link.sendControl(message, packet);
  }

  /**
   * Has it end: blocking waits are woken, then it ends by itself. Gives whether
   * it has; `false` when it goes on after the bound.
   */
  stop(): Promise<boolean> {
    if (this.#state === "ended") return Promise.resolve(true);
    if (this.#state === "stuck") return Promise.resolve(false);
    if (this.#state === "stopping") return this.over;
    this.#exit ??= { reason: "terminated", exitCode: 0 };
    this.#enter("stopping");
    this.#link.stop();
    this.send({ type: "stop" });
    // One that is being loaded has its own bound until it is up.
    if (this.#isUp) this.#boundStop();
    return this.over;
  }

  #boundStop(): void {
    this.#stopTimer = startTimer(() => {
      this.#enter("stuck");
      this.#over.resolve(false);
      this.#events.stuck();
    }, STOP_BOUND);
  }

  /** The program ends: blocking waits must not keep it. */
  abandon(): void {
    this.#link.stop();
  }

  /** An error that nobody in the thread has seen. */
  #failed(message: string): void {
    if (this.#isUp) return console.error(`${this.#name}: ${message}`);
    this.failure = message;
    this.#exit ??= { reason: "lost", exitCode: 1 };
    this.#end();
  }

  async #end(): Promise<void> {
    if (this.#state === "ended") return;
    const { directory } = here();
    this.#stopTimer?.();
    this.#enter("ended");
    this.#worker.release();
    const exit = this.#exit ?? { reason: "exited", exitCode: 0 };
    await this.#link.ended({
      name: this.#name,
      pid: Deno.pid,
      exitCode: exit.exitCode,
      signal: null,
    });
    liveThreads.delete(this);
    directory.remove(this.ident);
    resourceClosed(this);
    // What was read to the end may have told more of it.
    this.#events.ended(this.#exit ?? exit);
    this.#over.resolve(true);
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
    const isWanted = this.#held || this.#holds > 0 ||
      this.#state === "stopping";
    // One that is stuck would keep the program for ever.
    this.#worker.held = this.#state !== "ended" &&
      (this.#isLeaving || (isWanted && this.#state !== "stuck"));
    if (this.#worker.held && this.#isUp) {
      this.#stopWatch ??= watchLock(this.#lock, () => void this.#end());
    } else {
      this.#stopWatch?.();
      this.#stopWatch = undefined;
    }
  }
}

here().abandonThreads = () => {
  for (const thread of liveThreads) thread.stop();
};
