// Copyright 2026 the multitask authors. MIT license.

import "../ipc/_handles.ts";
import { Fate } from "../ipc/_fate.ts";
import { hub } from "../ipc/_hub.ts";
import { checkWait, shown, type WaitOptions } from "../ipc/_options.ts";
import type { Packet } from "../ipc/_packet.ts";
import type { MethodTask } from "../ipc/_ready_task.ts";
import { self } from "../ipc/_self.ts";
import { ownFields, REMADE } from "../ipc/_subclass.ts";
import {
  callerFiles,
  checkTarget,
  locateClass,
  locateTask,
  preloadFor,
  type TaskCall,
} from "../ipc/_task.ts";
import type { Task } from "../ipc/_task_load.ts";
import type { Target } from "../ipc/task_ref.ts";
import { checkGuarded } from "../ipc/_unguarded.ts";
import { type Waitable, waitable } from "../ipc/_waitable.ts";
import {
  ClosedError,
  InvalidStateError,
  PermissionNeededError,
  TaskReferenceError,
  WorkerLostError,
} from "../ipc/errors.ts";
import type { ThreadHandle } from "./current_thread.ts";
import { here } from "./_here.ts";
import { type ThreadPermissionMode, workerGrants } from "./_permissions.ts";
import { setHeld } from "./_end_of_program.ts";
import { StartedThread, type ThreadExit } from "./_started_thread.ts";
import { startedHere } from "./_threads_here.ts";
import { tellUncaught } from "./set_excepthook.ts";

/** Options of a {@linkcode Thread}. */
export interface ThreadOptions<
  A extends unknown[] = unknown[],
  R = unknown,
> {
  /** What to run: an exported function, a self-contained one, or a reference. */
  target?: Target<A, R>;
  /**
   * The arguments: anything structured clone carries, and handles (queues,
   * locks, connections). They are copied, as between processes.
   *
   * @default {[]}
   */
  args?: NoInfer<A>;
  /**
   * A label; need not be unique.
   *
   * @default {"Thread-1 (target)"} and so on
   */
  name?: string;
  /**
   * Whether the thread ends with the program instead of keeping it alive.
   *
   * @default {false} as the thread that makes it
   */
  daemon?: boolean;
  /**
   * What the thread may do; never more than the one that starts it. Anything
   * but `"inherit"` needs `--unstable-worker-options`.
   *
   * @default {"inherit"}
   */
  permissions?: ThreadPermissionMode;
}

/**
 * A function that runs in another thread of this process: at the same time, on
 * another core.
 *
 * Python: `threading.Thread`. The differences: threads share no variables, only
 * what lies in shared memory (`Value`, `SharedArray`, `Queue`, ...), since each
 * loads its modules by itself; there is no interpreter lock, so that all cores
 * are used; the function is named and its arguments are copied, as for a
 * `Process`; `result` gives what it returned, or its error.
 *
 * ```text
 * initial --start--> alive --target settled, exit, terminate--> ended
 *                         \--terminate, in a loop--> alive, and stuck
 * ```
 *
 * A thread ends when its target has settled, the threads and processes that it
 * has started and that are no daemons have ended, and all that it sent has left;
 * timers that are left over do not hold it. An uncaught error prints the name of
 * the thread and the stack to stderr (see {@linkcode setExcepthook}) and leaves
 * the program alone.
 *
 * **What cannot be stopped**: the engine ends no loop of another thread. Send
 * work that may have to be killed, or that may use up the memory (which ends the
 * whole process), to a `Process`.
 *
 * In the module that starts threads put the start under `if (import.meta.main)`:
 * the thread imports the same module.
 *
 * **Disposal**: `await using` terminates the thread, within a second.
 *
 * @typeParam A The parameters of the target.
 * @typeParam R What the target returns.
 *
 * @example
 * ```ts
 * import { Thread } from "@multitask/std/thread";
 * import { assertEquals } from "@std/assert";
 *
 * const thread = new Thread({
 *   target: (a: number, b: number) => a + b,
 *   args: [1, 2],
 * });
 * thread.start();
 * assertEquals(await thread.result, 3);
 * await thread.join();
 * assertEquals(thread.isAlive(), false);
 * ```
 */
export class Thread<A extends unknown[] = unknown[], R = unknown>
  implements ThreadHandle, Waitable, AsyncDisposable {
  readonly #options: Readonly<ThreadOptions>;
  readonly #call: TaskCall | undefined;
  /** Where a subclass was made: its module, most likely. */
  readonly #files: readonly string[];
  readonly #fate = new Fate<ThreadExit>();
  /** Rejects when it shall stop and cannot be stopped. */
  readonly #stuck = Promise.withResolvers<never>();
  #name: string;
  #daemon: boolean;
  #started: StartedThread | undefined;
  #exit: ThreadExit | undefined;
  /** A start while a forked child replays: nothing runs. */
  #replayed = false;
  /** Whether it stands for the thread it is in, which runs its `run()`. */
  readonly #isOwn: boolean;

  /**
   * Makes a thread; nothing runs before {@linkcode Thread.start}.
   *
   * @throws {TypeError} If an option has a wrong type.
   * @throws {TaskReferenceError} If the target is a native or bound function.
   */
  constructor(options: ThreadOptions<A, R> = {}) {
    const action = "create thread";
    if (typeof options !== "object" || options === null) {
      throw new TypeError(
        `Cannot ${action}: the options must be an object, received ${
          shown(options)
        }`,
      );
    }
    const { target, args, name, daemon } = options;
    if (args !== undefined && !Array.isArray(args)) {
      throw new TypeError(
        `Cannot ${action}: "args" must be an array, received ${shown(args)}`,
      );
    }
    if (name !== undefined) checkName(action, name);
    if (daemon !== undefined) checkDaemon(action, daemon);
    // The types of target and arguments have met; what is kept is sent.
    this.#options = { ...options as ThreadOptions };
    this.#call = target === undefined ? undefined : checkTarget(action, target);
    this.#files = this.#call === undefined && new.target !== Thread
      ? callerFiles()
      : [];
    if (this.#call !== undefined && this.#hasRun) {
      throw new TypeError(
        `Cannot ${action}: "target" and run() cannot both be given; leave one out`,
      );
    }
    this.#name = name ?? threadName(this.#call);
    this.#daemon = daemon ?? here().daemon;
    this.#stuck.promise.catch(() => {});
    this.#isOwn = options === REMADE;
    if (this.#isOwn) {
      this.#fate.giveUp(
        new InvalidStateError(
          "Cannot wait for the current thread: what becomes of it is known where it was started",
        ),
      );
    }
  }

  /**
   * Starts the thread. It comes up in later turns of the event loop: whoever
   * blocks at once (`acquireSync`, a long computation) holds it up.
   *
   * @throws {InvalidStateError} If it was started before; if the module of a
   * thread starts threads while it is loaded; if 1000 threads live already.
   * @throws {SerializationError} If the arguments cannot be sent; names the
   * path. Nothing was started then.
   * @throws {PermissionNeededError} If `permissions` needs a flag; names it.
   */
  start(): void {
    const action = `start thread "${this.#name}"`;
    if (this.#started !== undefined || this.#replayed || this.#isOwn) {
      throw new InvalidStateError(
        `Cannot ${action}: it was started before; make another one`,
      );
    }
    if (self.replaying) return this.#replay();
    try {
      this.#begin(action);
    } catch (error) {
      this.#fate.giveUp(error);
      // It may be started again, when the cause is gone.
      this.#fate.renew();
      throw error;
    }
  }

  #begin(action: string): void {
    checkGuarded(action);
    const grants = workerGrants(action, this.#options.permissions);
    const packet = this.#hasRun
      ? hub.pack({ ...ownFields(this), name: this.#name }, "this")
      : hub.pack(this.#options.args ?? [], "args");
    const preload = this.#call === undefined
      ? this.#files[0]
      : preloadFor(this.#call);
    let started: StartedThread;
    try {
      started = new StartedThread(
        { name: this.#name, daemon: this.#daemon, grants, preload },
        {
          message: ({ type }, packet) => {
            if (type === "done") this.#fate.done(packet);
            else if (type === "failed") this.#failed(packet);
            else if (type === "late") this.#tell(hub.unpack(packet));
          },
          stuck: () => this.#isStuck(),
          ended: (exit) => {
            // Leases the thread never took over.
            hub.dropSent(packet);
            this.#ended(exit);
          },
        },
      );
    } catch (error) {
      hub.dropPacket(packet);
      throw error;
    }
    this.#started = started;
    startedHere.set(started.ident, this as unknown as Thread);
    setHeld(started);
    this.#fate.started(() => started.hold());
    this.#locate().then(
      (task) => started.send({ type: "run", task }, packet),
      // The thread gives it back, as with errors that it finds itself.
      (error) => started.send({ type: "refuse" }, hub.pack(error)),
    );
  }

  /** Whether it runs a subclass's `run()`. */
  get #hasRun(): boolean {
    return this.run !== Thread.prototype.run;
  }

  #locate(): Promise<Task | MethodTask> {
    if (!this.#hasRun) {
      return locateTask(this.#call ?? { target: () => undefined, files: [] });
    }
    return locateClass(this.constructor, this.#files);
  }

  #failed(packet: Packet): void {
    this.#fate.failed(packet, {
      name: this.#name,
      pid: Deno.pid,
      call: this.#call,
      told: (error) => this.#tell(error),
    });
  }

  #tell(error: unknown): void {
    tellUncaught({ error, name: this.#name, ident: this.#started!.ident });
  }

  #isStuck(): void {
    const error = this.#lostError(
      "was told to stop and goes on, in a loop that nothing can end: run such work in a Process",
    );
    console.error(`${error.message}`);
    this.#fate.reject(error);
    this.#stuck.reject(error);
  }

  #ended(exit: ThreadExit): void {
    startedHere.delete(this.#started!.ident);
    this.#exit = Object.freeze(exit);
    const { failure } = this.#started!;
    if (failure !== undefined) {
      const error = startError(`start thread "${this.#name}"`, failure);
      this.#tell(error);
      this.#fate.reject(error);
    }
    this.#fate.ended(this.#exit, () =>
      this.#lostError(
        exit.reason === "terminated"
          ? "was terminated before it gave a result"
          : `ended by itself (exit code ${exit.exitCode}) before it gave a result`,
      ));
  }

  #lostError(how: string): WorkerLostError {
    return new WorkerLostError(`Thread "${this.#name}" ${how}`, {
      worker: this.#name,
      pid: Deno.pid,
      exitCode: this.#exit?.exitCode ?? null,
      signal: null,
    });
  }

  /** In a forked child that is not there yet: as if it had run and ended. */
  #replay(): void {
    this.#replayed = true;
    this.#exit = Object.freeze({ reason: "returned", exitCode: 0 });
    // Nobody knows what it would have been.
    this.#fate.resolve(undefined);
    this.#fate.ended(this.#exit, () => undefined);
  }

  /**
   * What the thread runs, when there is no target: override it in an exported
   * subclass. The object's own fields are carried over; the subclass's
   * constructor does not run again. Python: `Thread.run`.
   */
  run(): R | Promise<R> {
    // Only a subclass, or the target's own thread, has something to run.
    return undefined as R;
  }

  /**
   * Waits for the end: `true`, or `false` when the `timeout` was over first.
   * Everything the thread sent before its end has arrived then. The event loop
   * of this thread goes on.
   *
   * @throws {InvalidStateError} If it was not started, or is the thread that
   * asks.
   * @throws {WorkerLostError} If it was terminated and cannot be stopped.
   */
  async join(options?: WaitOptions): Promise<boolean> {
    const action = `join thread "${this.#name}"`;
    const wait = checkWait(action, options);
    if (this.#replayed) return true;
    const started = this.#started;
    if (started === undefined) {
      throw new InvalidStateError(
        `Cannot ${action}: it ${
          this.#isOwn ? "is the current thread" : "was not started"
        }`,
      );
    }
    wait.signal?.throwIfAborted();
    if (this.#exit !== undefined) return true;
    if (wait.timeout === 0) return false;
    return await this.#fate.join(wait, this.#stuck.promise);
  }

  /** Whether it was started and has not ended. Changes between two turns. */
  isAlive(): boolean {
    return this.#isOwn ||
      (this.#started !== undefined && this.#exit === undefined);
  }

  /**
   * Ends the thread: `currentThread().signal` is aborted there, whatever it
   * waits for in a blocking form is woken, and it ends in its next turn. What it
   * holds is freed.
   *
   * A thread that is in a loop, or awaits in one without ever giving the event
   * loop a turn, cannot be stopped. It is told on stderr after a
   * second, `result` and `join` reject, and the thread goes on; it does not keep
   * the program from its end. Send such work to a `Process`.
   *
   * @returns Whether it has ended.
   * @throws {InvalidStateError} If it was not started.
   */
  terminate(): Promise<boolean> {
    if (this.#replayed) return Promise.resolve(true);
    if (this.#started === undefined) {
      throw new InvalidStateError(
        `Cannot terminate thread "${this.#name}": it ${
          this.#isOwn
            ? "is the current thread, which ends by Deno.exit()"
            : "was not started"
        }`,
      );
    }
    return this.#started.stop();
  }

  /** The label. Python: `Thread.name`. */
  get name(): string {
    return this.#name;
  }

  set name(name: string) {
    checkName("rename thread", name);
    this.#name = name;
    if (this.ident !== null) here().directory.rename(this.ident, name);
  }

  /** What no other thread of the process ever has; `null` before the start. */
  get ident(): number | null {
    return this.#started?.ident ?? (this.#isOwn ? here().ident : null);
  }

  /** Whether the thread ends with the program. Set it before the start. */
  get daemon(): boolean {
    return this.#daemon;
  }

  set daemon(daemon: boolean) {
    const action = `change "daemon" of thread "${this.#name}"`;
    checkDaemon(action, daemon);
    if (this.#started !== undefined || this.#isOwn) {
      throw new InvalidStateError(`Cannot ${action}: it was started`);
    }
    this.#daemon = daemon;
  }

  /**
   * What the target returned. Rejects with the target's error, whose `cause` has
   * the remote stack and the name; with `SerializationError` when the result
   * cannot be sent; with `TaskReferenceError` when the function or its module was
   * not found; with `PermissionNeededError` when the thread may not load its
   * modules; with `WorkerLostError` when the thread ended without a result.
   * A failure that nobody reads is no unhandled rejection.
   */
  get result(): Promise<R> {
    // What the target returned: its type says so.
    return this.#fate.result as Promise<R>;
  }

  /**
   * How it ended. Rejects only when it never ran: as `result` does after a start
   * that throws, or when the thread is disposed of without a start. Pending as
   * long as a thread that cannot be stopped goes on, which keeps no program alive.
   */
  get exited(): Promise<ThreadExit> {
    return this.#fate.exited;
  }

  /** Lets `wait` include the thread: ready when it has ended. */
  async [waitable](signal: AbortSignal): Promise<void> {
    await this.join({ signal });
  }

  /** Terminates the thread, within a second. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#started !== undefined) await this.#started.stop();
    else if (!this.#replayed) {
      this.#fate.giveUp(
        new ClosedError(
          `Thread "${this.#name}" was disposed of before it was started`,
        ),
      );
    }
  }
}

/** Why a thread never came up, from what the runtime says. */
function startError(action: string, failure: string): Error {
  const [reason] = failure.split("\n");
  const permission = /^Requires (\w+) access to /.exec(failure)?.[1];
  return permission === undefined
    ? new TaskReferenceError(`Cannot ${action}: ${failure}`)
    : new PermissionNeededError(
      `Cannot ${action}: it loads its modules with the permissions of its starter. ${reason}`,
      { flag: `--allow-${permission}` },
    );
}

function threadName(call: TaskCall | undefined): string {
  const number = here().directory.nextName();
  const name = call?.target.name ?? "";
  return `Thread-${number}${name === "" ? "" : ` (${name})`}`;
}

function checkName(action: string, name: unknown): void {
  if (typeof name === "string") return;
  throw new TypeError(
    `Cannot ${action}: "name" must be a string, received ${shown(name)}`,
  );
}

function checkDaemon(action: string, daemon: unknown): void {
  if (typeof daemon === "boolean") return;
  throw new TypeError(
    `Cannot ${action}: "daemon" must be true or false, received ${
      shown(daemon)
    }`,
  );
}
