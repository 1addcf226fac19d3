// Copyright 2026 the multitask authors. MIT license.

import "../ipc/_handles.ts";
import { Fate } from "../ipc/_fate.ts";
import { hub } from "../ipc/_hub.ts";
import type { Packet } from "../ipc/_packet.ts";
import {
  checkInteger,
  checkWait,
  shown,
  type WaitOptions,
} from "../ipc/_options.ts";
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
import { type Waitable, waitable } from "../ipc/_waitable.ts";
import {
  ClosedError,
  InvalidStateError,
  TaskReferenceError,
  WorkerLostError,
} from "../ipc/errors.ts";
import type { Child } from "./_child.ts";
import { endAll, setDaemon, watchInterrupts } from "./_end_of_program.ts";
import type { PermissionMode } from "./_permissions.ts";
import { spawnPlan } from "./_plan.ts";
import type { Introduction } from "./_protocol.ts";
import type { RuntimeOptions } from "./_runtime.ts";
import type { MethodTask } from "../ipc/_ready_task.ts";
import { self } from "../ipc/_self.ts";
import { keepSpares, takeSpare } from "./_spares.ts";
import type { ExitStatus, OutputMode } from "./_spawn.ts";
import { ownFields, REMADE } from "../ipc/_subclass.ts";
import { checkGuarded } from "../ipc/_unguarded.ts";

/** Options of a {@linkcode Process} that do not concern its target. */
export interface ProcessBaseOptions {
  /**
   * A label; need not be unique. As in Python, the default is the name of the
   * class and the number of the object in this process, behind those of its
   * ancestors: `Process-1:2` is the second of the first. An object with a name
   * has a number too.
   *
   * @default {"Process-1"} and so on
   */
  name?: string;
  /**
   * Whether the process is ended when the program ends, instead of keeping it
   * alive. A daemon may not start processes.
   *
   * @default {false}
   */
  daemon?: boolean;
  /**
   * What the process may do; never more than this one.
   *
   * @default {"inherit"}
   */
  permissions?: PermissionMode;
  /**
   * Environment variables to add to this process's own.
   *
   * @default {{}}
   */
  env?: Readonly<Record<string, string>>;
  /** The working directory. The default is this process's own. */
  cwd?: string | URL;
  /**
   * Where its stdout goes; `"piped"` makes it readable as `stdout`, and then it
   * has to be read.
   *
   * @default {"inherit"}
   */
  stdout?: OutputMode;
  /**
   * Where its stderr goes; `"piped"` makes it readable as `stderr`, and then it
   * has to be read.
   *
   * @default {"inherit"}
   */
  stderr?: OutputMode;
  /**
   * Ends the process when it is aborted: SIGTERM, and SIGKILL five seconds
   * later. `result` rejects with `signal.reason`.
   */
  signal?: AbortSignal;
  /**
   * How long its Deno may take to start, in milliseconds; it is killed then.
   *
   * @default {60_000}
   */
  startTimeout?: number;
  /** How its Deno is started. */
  runtime?: RuntimeOptions;
}

/** Options of a {@linkcode Process}. */
export interface ProcessOptions<
  A extends unknown[] = unknown[],
  R = unknown,
> extends ProcessBaseOptions {
  /** What to run: an exported function, a self-contained one, or a reference. */
  target?: Target<A, R>;
  /**
   * The arguments: anything structured clone carries, and handles (queues,
   * locks, connections). As in a structured clone, properties of plain objects
   * whose keys are symbols are left out.
   *
   * @default {[]}
   */
  args?: NoInfer<A>;
}

/** How a process ended. */
export interface ProcessExit {
  /** The exit code; `-n` for signal `n`. */
  readonly exitCode: number;
  /** The signal that ended it, or `null`. */
  readonly signal: string | null;
}

/** What concerns the start of a child, of a {@linkcode Process}'s options. */
export type ProcessSpawnOptions = Pick<
  ProcessBaseOptions,
  | "permissions"
  | "env"
  | "cwd"
  | "stdout"
  | "stderr"
  | "startTimeout"
  | "runtime"
>;

/** Options of {@linkcode Process.prewarm}. */
export interface PrewarmOptions extends ProcessSpawnOptions {
  /**
   * Modules to import while a child waits, as absolute URLs: those that tasks
   * are in, `import.meta.url` among them. A start then need not wait for that.
   * What they do when they are loaded happens in every child that waits, whether
   * it gets a task or not, and where `currentProcess().name` is still "spare".
   * They should start no processes: while the child waits, that is refused.
   *
   * Python: `multiprocessing.set_forkserver_preload`, which ignores modules that
   * cannot be imported.
   *
   * @default {[]}
   */
  preload?: readonly (string | URL)[];
}

const OUTPUT_MODES: readonly unknown[] = ["inherit", "null", "piped"];

/** The options of a process that stands for a forked child: it has its number. */
const ADOPTED: ProcessOptions = Object.freeze({ name: "" });

let nextNumber = 1;

/** The identity of the next child: the numbers from the main process to it. */
export function nextIdentity(): string {
  return `${self.identity === "" ? "" : `${self.identity}:`}${nextNumber++}`;
}

function checkNoDaemon(action: string): void {
  if (!self.daemon) return;
  throw new InvalidStateError(
    `Cannot ${action}: "${self.name}" is a daemon, and daemons may not have children; create it with daemon: false`,
  );
}

/** The modules to preload, as URLs. */
function checkPreload(preload: readonly (string | URL)[]): string[] {
  if (!Array.isArray(preload)) {
    throw new TypeError(
      `Cannot prewarm: "preload" must be a list of URLs, received ${
        shown(preload)
      }`,
    );
  }
  return preload.map((module: unknown, index) => {
    const url = module instanceof URL ? module.href : module;
    if (typeof url === "string" && URL.canParse(url)) return url;
    throw new TypeError(
      `Cannot prewarm: "preload[${index}]" must be an absolute URL such as import.meta.url or import.meta.resolve("./tasks.ts"), received ${
        shown(module)
      }`,
    );
  });
}

/** Processes by their children, for `activeChildren()`. */
export const processes: Map<Child, Process> = new Map();

/** Makes the handle of a forked child; for `fork()` only. */
export let adoptChild: (child: Child, reached: () => void) => Process;

/**
 * A function that runs in another process.
 *
 * Python: `multiprocessing.Process`. The differences: `start` spawns a new Deno
 * (there is no fork), which imports the target's module and takes the function
 * from it; `result` gives what the target returned, or its error; a child ends
 * when its parent does, however that ends; its permissions are the parent's or
 * fewer.
 *
 * ```text
 * initial --start--> running --target settled, exit, signal--> ended --close--> closed
 * ```
 *
 * The child ends when the target has settled, its own children that are no
 * daemons have ended, and everything it sent has left; timers that are left
 * over do not hold it. An uncaught error prints the name of the process and the
 * stack to stderr and gives exit code 1.
 *
 * In the module that starts processes put the start under
 * `if (import.meta.main)`: the child imports the same module.
 *
 * **Disposal**: `await using` ends the process: SIGTERM, after five seconds
 * SIGKILL, and waits.
 *
 * @typeParam A The parameters of the target.
 * @typeParam R What the target returns.
 *
 * @example
 * ```ts
 * import { Process } from "@multitask/std/process";
 * import { assertEquals } from "@std/assert";
 *
 * const process = new Process({
 *   target: (a: number, b: number) => a + b,
 *   args: [1, 2],
 * });
 * process.start();
 * assertEquals(await process.result, 3);
 * await process.join();
 * assertEquals(process.exitCode, 0);
 * ```
 */
export class Process<A extends unknown[] = unknown[], R = unknown>
  implements Waitable, AsyncDisposable {
  static {
    adoptChild = (child, reached) => {
      const process = new Process<unknown[], unknown>(ADOPTED);
      process.name = child.name;
      process.#attach(child, undefined, reached);
      return process;
    };
  }

  /** The label of the process. */
  name: string;
  /** The numbers from the main process to it. */
  readonly #identity: string;
  readonly #options: Readonly<ProcessOptions>;
  readonly #call: TaskCall | undefined;
  /** Where a subclass was made: its module, most likely. */
  readonly #files: readonly string[];
  readonly #fate = new Fate<ProcessExit>();
  #child: Child | undefined;
  #exit: ProcessExit | undefined;
  /** A start while a forked child replays: nothing runs. */
  #replayed = false;
  #closed = false;
  #daemon: boolean;
  /** Whether it stands for the process it is in, which runs its `run()`. */
  readonly #isOwn: boolean;

  /**
   * Makes a process; nothing runs before {@linkcode Process.start}.
   *
   * @throws {TypeError} If an option has a wrong type, or there is a `target`
   * for a subclass with a `run()` of its own.
   * @throws {TaskReferenceError} If the target is a native or bound function.
   */
  constructor(options: ProcessOptions<A, R> = {}) {
    const action = "create process";
    if (typeof options !== "object" || options === null) {
      throw new TypeError(
        `Cannot ${action}: the options must be an object, received ${
          shown(options)
        }`,
      );
    }
    const { target, args, name, daemon, stdout, stderr, signal } = options;
    if (args !== undefined && !Array.isArray(args)) {
      throw new TypeError(
        `Cannot ${action}: "args" must be an array, received ${shown(args)}`,
      );
    }
    if (name !== undefined && typeof name !== "string") {
      throw new TypeError(
        `Cannot ${action}: "name" must be a string, received ${shown(name)}`,
      );
    }
    if (daemon !== undefined && typeof daemon !== "boolean") {
      throw new TypeError(
        `Cannot ${action}: "daemon" must be true or false, received ${
          shown(daemon)
        }`,
      );
    }
    for (const [key, value] of Object.entries({ stdout, stderr })) {
      if (value !== undefined && !OUTPUT_MODES.includes(value)) {
        throw new TypeError(
          `Cannot ${action}: "${key}" must be "inherit", "null" or "piped", received ${
            shown(value)
          }`,
        );
      }
    }
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw new TypeError(
        `Cannot ${action}: "signal" must be an AbortSignal, received ${
          shown(signal)
        }`,
      );
    }
    // The types of target and arguments have met; what is kept is sent.
    this.#options = { ...options as ProcessOptions };
    this.#call = target === undefined ? undefined : checkTarget(action, target);
    this.#files = this.#call === undefined && new.target !== Process
      ? callerFiles()
      : [];
    this.#checkOneTask(action);
    this.#isOwn = options === REMADE;
    // The object in the child has the number that it was given here.
    this.#identity = this.#isOwn || options === ADOPTED ? "" : nextIdentity();
    this.name = name ?? `${new.target.name || "Process"}-${this.#identity}`;
    this.#daemon = daemon ?? (this.#isOwn && self.daemon);
    if (this.#isOwn) {
      this.#fate.giveUp(
        new InvalidStateError(
          "Cannot wait for the current process: what becomes of it is known where it was started",
        ),
      );
    }
  }

  /** Python runs an overridden `run()` and leaves the target to that. */
  #checkOneTask(action: string): void {
    if (this.#call === undefined || this.run === Process.prototype.run) return;
    throw new TypeError(
      `Cannot ${action}: there is a "target", and run() is overridden, which cannot call the target in another process; leave one of them out`,
    );
  }

  /**
   * Keeps `count` children started and waiting, so that a `start` takes
   * milliseconds. They are used for processes with the same options (as far as
   * they concern the start of a child) and replaced when they are taken, or
   * killed once they were ready; one that ends by itself is not replaced. They do
   * not keep the program alive; 0 ends them. After a change of the environment, or of `preload`, others
   * take their place. Resolves when all are ready.
   *
   * @param count How many to keep.
   * @param options What they are started with, and what they load beforehand.
   * @throws {TaskReferenceError} If a module of `preload` cannot be imported. The
   * children wait all the same; a task in that module fails in the same way.
   * @throws {InvalidStateError} If a child ends at its start; if this process is
   * a daemon; with permissions that have a part of `read`, or none.
   *
   * @example
   * ```ts
   * import { Process } from "@multitask/std/process";
   * import { assertEquals } from "@std/assert";
   *
   * export function double(value: number): number {
   *   return value * 2;
   * }
   *
   * if (import.meta.main) {
   *   await Process.prewarm(1, { preload: [import.meta.url] });
   *   const process = new Process({ target: double, args: [21] });
   *   process.start();
   *   assertEquals(await process.result, 42);
   *   await process.join();
   *   await Process.prewarm(0);
   * }
   * ```
   */
  static async prewarm(
    count: number,
    options: PrewarmOptions = {},
  ): Promise<void> {
    checkInteger("prewarm", "count", count, 0);
    const modules = checkPreload(options.preload ?? []);
    if (self.replaying) return;
    checkGuarded("prewarm");
    checkNoDaemon("prewarm");
    await keepSpares(
      count,
      modules,
      () => spawnPlan("prewarm", options, undefined),
    );
  }

  /**
   * Starts the process. Its pid is known at once.
   *
   * @throws {InvalidStateError} If it was started before; if this process is a
   * daemon; if a child's module starts processes while it is loaded.
   * @throws {SerializationError} If the arguments cannot be sent; names the
   * path. Nothing was started then.
   * @throws {PermissionNeededError} If a permission is missing; names the flag.
   * @throws {TypeError} If `run` is overridden and there is a `target` too.
   */
  start(): void {
    const action = `start process "${this.name}"`;
    this.#checkNotClosed(action);
    if (this.#child !== undefined || this.#replayed || this.#isOwn) {
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
    // A field may have come to be `run` behind the constructor.
    this.#checkOneTask(action);
    const startedAt = checkGuarded(action);
    checkNoDaemon(action);
    const { signal } = this.#options;
    signal?.throwIfAborted();
    const plan = spawnPlan(
      action,
      this.#options,
      this.#call === undefined ? this.#files[0] : preloadFor(this.#call),
    );
    const packet = this.#isMethod
      ? hub.pack(ownFields(this), "this")
      : hub.pack(this.#options.args ?? [], "args");
    const introduction: Introduction = {
      name: this.name,
      identity: this.#identity,
      daemon: this.#daemon,
      parent: { name: self.name, pid: Deno.pid },
      startedAt,
    };
    let child: Child;
    try {
      child = takeSpare(plan, this.name) ??
        plan.spawn(this.name, packet.refs.length > 0 ? "handles" : "nothing");
    } catch (error) {
      hub.dropPacket(packet);
      throw error;
    }
    this.#attach(child, packet);
    this.#send(child, introduction, packet);
  }

  async #send(
    child: Child,
    self: Introduction,
    packet: Packet,
  ): Promise<void> {
    const located = this.#locate();
    // The child connects while the function is looked up.
    located.catch(() => {});
    if (!await child.connected) return;
    try {
      const task = await located;
      child.send({ type: "run", self, task }, packet);
    } catch (error) {
      // The child prints it and ends, as with errors that it finds itself.
      child.send({ type: "refuse", self }, hub.pack(error));
    }
  }

  /** Whether it runs a subclass's `run()`. */
  get #isMethod(): boolean {
    return this.#call === undefined && this.run !== Process.prototype.run;
  }

  #locate(): Promise<
    Task | MethodTask
  > {
    if (!this.#isMethod) {
      return locateTask(this.#call ?? { target: () => undefined, files: [] });
    }
    const { name } = this.constructor;
    const [module] = this.#files;
    if (module === undefined || name === "") {
      return Promise.reject(
        new TaskReferenceError(
          `Cannot find the module of class "${name}": make it in the module that exports it`,
        ),
      );
    }
    return locateClass(this.constructor, this.#files);
  }

  #attach(
    child: Child,
    packet: Packet | undefined,
    reached?: () => void,
  ): void {
    this.#child = child;
    processes.set(child, this as unknown as Process);
    setDaemon(child, this.#daemon);
    this.#fate.started(() => child.hold());
    watchInterrupts(child);
    const { signal } = this.#options;
    const onAbort = () => {
      this.#fate.reject(signal!.reason);
      endAll([child]);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    child.listen({
      message: (message, packet) => {
        if (message.type === "done") this.#fate.done(packet);
        else if (message.type === "failed") {
          const { name, pid } = child;
          this.#fate.failed(packet, { name, pid, call: this.#call });
        } else if (message.type === "reached") reached?.();
      },
      ended: (status) => {
        signal?.removeEventListener("abort", onAbort);
        // Leases the child never took over.
        if (packet !== undefined) hub.dropSent(packet);
        this.#ended(child, status);
      },
    });
  }

  #ended(child: Child, { exitCode, signal }: ExitStatus): void {
    processes.delete(child);
    this.#exit = Object.freeze({ exitCode, signal });
    const how = child.isLate
      ? "did not start in time and was killed"
      : signal === null
      ? `ended with exit code ${exitCode}`
      : `was ended by ${signal}`;
    this.#fate.ended(this.#exit, () =>
      new WorkerLostError(
        `Process "${this.name}" (pid ${child.pid}) ${how} before it gave a result`,
        { worker: this.name, pid: child.pid, exitCode, signal },
      ));
  }

  /** In a forked child that is not there yet: as if it had run and ended. */
  #replay(): void {
    this.#replayed = true;
    this.#exit = Object.freeze({ exitCode: 0, signal: null });
    // Nobody knows what it would have been.
    this.#fate.resolve(undefined);
    this.#fate.ended(this.#exit, () => undefined);
  }

  /**
   * What the process runs, when there is no target: override it in an exported
   * subclass. The object's own fields are carried over; the subclass's
   * constructor does not run again.
   *
   * Python: `Process.run`. There the override runs also where there is a target,
   * which it may call; here the two together are an error.
   */
  run(): R | Promise<R> {
    // Only a subclass, or the target's own process, has something to run.
    return undefined as R;
  }

  /**
   * Waits for the end: `true`, or `false` when the `timeout` was over first.
   * Everything the process sent before its end has arrived then.
   *
   * @throws {InvalidStateError} If it was not started, or is the process that
   * asks.
   */
  async join(options?: WaitOptions): Promise<boolean> {
    const action = `join process "${this.name}"`;
    const { timeout, signal } = checkWait(action, options);
    this.#checkNotClosed(action);
    if (this.#replayed) return true;
    this.#started(action);
    signal?.throwIfAborted();
    if (this.#exit !== undefined) return true;
    if (timeout === 0) return false;
    return await this.#fate.join({ timeout, signal });
  }

  /** Whether it was started and has not ended. Changes between two turns. */
  isAlive(): boolean {
    this.#checkNotClosed("look at the process");
    return this.#isOwn ||
      (this.#child !== undefined && this.#exit === undefined);
  }

  /**
   * Ends the process by SIGTERM: also a busy loop. No handler of this package
   * runs in it; one of its own decides what becomes of it. Without effect when it
   * has ended. Exit code -15.
   *
   * @throws {InvalidStateError} If it was not started.
   */
  terminate(): void {
    this.#signal("terminate", "SIGTERM");
  }

  /**
   * Ends the process by SIGKILL. Without effect when it has ended. Exit code -9.
   *
   * @throws {InvalidStateError} If it was not started.
   */
  kill(): void {
    this.#signal("kill", "SIGKILL");
  }

  #signal(verb: string, signal: Deno.Signal): void {
    const action = `${verb} process "${this.name}"`;
    this.#checkNotClosed(action);
    if (!this.#replayed) this.#started(action).kill(signal);
  }

  /**
   * Asks the process to stop: aborts `currentProcess().signal` there. Python
   * 3.14 sends SIGINT instead.
   *
   * @throws {InvalidStateError} If it was not started.
   */
  interrupt(): void {
    const action = `interrupt process "${this.name}"`;
    this.#checkNotClosed(action);
    if (this.#replayed) return;
    const child = this.#started(action);
    child.connected.then((isThere) => {
      if (isThere) child.send({ type: "interrupt" });
    });
  }

  /**
   * Lets go of the process once it has ended. Its methods throw afterwards.
   * Idempotent.
   *
   * @throws {InvalidStateError} If it is still running.
   */
  close(): void {
    if (this.#child !== undefined && this.#exit === undefined) {
      throw new InvalidStateError(
        `Cannot close process "${this.name}": it is still running; join, terminate or kill it first`,
      );
    }
    this.#markClosed();
  }

  #markClosed(): void {
    this.#closed = true;
    if (this.#exit !== undefined) return;
    this.#fate.giveUp(
      new ClosedError(
        `Process "${this.name}" was closed before it was started`,
      ),
    );
  }

  /** Whether the process ends with the program. Set it before the start. */
  get daemon(): boolean {
    return this.#daemon;
  }

  set daemon(daemon: boolean) {
    if (this.#child !== undefined || this.#isOwn) {
      throw new InvalidStateError(
        `Cannot change "daemon" of process "${this.name}": it was started`,
      );
    }
    this.#daemon = daemon;
  }

  /** The process id; `null` before the start. */
  get pid(): number | null {
    return this.#child?.pid ?? (this.#isOwn ? Deno.pid : null);
  }

  /**
   * `null` while it has not ended; 0 when the target returned, or the
   * `Deno.exitCode` that it has set; 1 after an uncaught error, `n` from
   * `Deno.exit(n)` (modulo 256), `-n` when signal `n` ended it.
   */
  get exitCode(): number | null {
    return this.#exit?.exitCode ?? null;
  }

  /**
   * What the target returned. Rejects with the target's error, whose `cause`
   * has the remote stack, the name and the pid; with `SerializationError` when
   * the result cannot be sent; with `TaskReferenceError` when the function was
   * not found; with `WorkerLostError` when the process ended without a result.
   * A failure that nobody reads is no unhandled rejection.
   */
  get result(): Promise<R> {
    // What the target returned: its type says so.
    return this.#fate.result as Promise<R>;
  }

  /**
   * How it ended. Rejects only when it never ran: as `result` does after a start
   * that throws, or when the process is closed without a start.
   */
  get exited(): Promise<ProcessExit> {
    return this.#fate.exited;
  }

  /** Its stdout, where that is `"piped"`; else `null`. */
  get stdout(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    return this.#child?.stdout ?? null;
  }

  /** Its stderr, where that is `"piped"`; else `null`. */
  get stderr(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    return this.#child?.stderr ?? null;
  }

  #started(action: string): Child {
    if (this.#child === undefined) {
      throw new InvalidStateError(
        `Cannot ${action}: it ${
          this.#isOwn ? "is the current process" : "was not started"
        }`,
      );
    }
    return this.#child;
  }

  #checkNotClosed(action: string): void {
    if (this.#closed) {
      throw new ClosedError(
        `Cannot ${action}: process "${this.name}" is closed`,
      );
    }
  }

  /** Lets `wait` include the process: ready when it has ended. */
  async [waitable](signal: AbortSignal): Promise<void> {
    await this.join({ signal });
  }

  /** SIGTERM, SIGKILL after five seconds, and waits for the end. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child !== undefined) await endAll([this.#child]);
    this.#markClosed();
  }
}
