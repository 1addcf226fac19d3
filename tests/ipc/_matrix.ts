// Copyright 2026 the multitask authors. MIT license.
// Every combination of a shared object's home and of who else uses it. The
// test's thread owns the objects; the other side is the same thread, a thread, a
// process that reaches the memory, or one that goes through the hub. It does
// what the test tells it (fixtures/matrix_side.ts), one thread and one process
// for all cases.

import { assertEquals } from "@std/assert";
import type { Home } from "../../ipc/_homes.ts";
import { hub } from "../../ipc/_hub.ts";
import { mappingObstacle } from "../../ipc/_mapped_words.ts";
import { Queue } from "../../ipc/queue.ts";
import { inviteThread, type ThreadLink } from "../../ipc/_thread_link.ts";
import { type PermissionMode, Process } from "../../process/mod.ts";
import {
  type Answer,
  type Command,
  type Kept,
  Performer,
  type ScriptName,
  serve,
  type WayFound,
} from "./fixtures/matrix_side.ts";
import { homesOf } from "./_waiters.ts";
import { bounded } from "./_waits.ts";

// ---- What there is ----

/** Who the other side is. */
export type Reach = "the same thread" | "a thread" | "a process" | "the hub";

/** In which form the other side calls what may wait. */
export type Form = "async" | "Sync";

/** The forms. */
export const FORMS: readonly Form[] = ["async", "Sync"];

/** A home, and how the other side gets there. */
export interface Way {
  readonly home: Home;
  readonly reach: Reach;
}

/** All ways. */
export const WAYS: readonly Way[] = [
  { home: "shared", reach: "the same thread" },
  { home: "shared", reach: "a thread" },
  { home: "shared", reach: "the hub" },
  { home: "mapped", reach: "the same thread" },
  { home: "mapped", reach: "a thread" },
  { home: "mapped", reach: "a process" },
  { home: "mapped", reach: "the hub" },
];

/** Every class of shared objects. */
export const PRIMITIVES = [
  "Lock",
  "RLock",
  "Semaphore",
  "BoundedSemaphore",
  "Condition",
  "Event",
  "Barrier",
  "Queue",
  "JoinableQueue",
  "SimpleQueue",
  "LifoQueue",
  "PriorityQueue",
  "Pipe",
  "Value",
  "SharedArray",
  "SharedMemory",
  "ShareableList",
] as const;

/** The name of a class. */
export type Primitive = (typeof PRIMITIVES)[number];

/** Whether memory can be mapped here at all. */
export const canMap: boolean = mappingObstacle() === undefined;

// ---- The other side ----

/** A call on the other side that has begun. */
export interface Running<R = unknown> {
  readonly id: number;
  readonly result: Promise<R>;
}

/** What an aborted call is rejected with: the reason it was given there. */
export const REASON: unique symbol = Symbol("the reason");

interface Pending {
  begun(): void;
  done(value: unknown): void;
  failed(error: unknown): void;
}

/** The other side, as the test tells it what to do. */
export abstract class Side {
  #nextId = 1;
  readonly #pending = new Map<number, Pending>();
  #failure: unknown;

  /** Has a command performed. */
  protected abstract send(command: Command): void;

  /** Ends it; `kill` where it may be stuck. */
  abstract end(kill?: boolean): Promise<void>;

  /** An answer came. */
  protected answered(answer: Answer): void {
    const pending = this.#pending.get(answer.id);
    if (pending === undefined) return;
    if (answer.kind === "begun") return pending.begun();
    this.#pending.delete(answer.id);
    if (answer.kind === "done") pending.done(answer.value);
    else pending.failed(answer.isReason ? REASON : answer.error);
  }

  /** Nothing will come any more. */
  protected broken(error: unknown): void {
    this.#failure ??= error;
    for (const pending of this.#pending.values()) {
      pending.begun();
      pending.failed(error);
    }
    this.#pending.clear();
  }

  // A command without its number, whichever kind it is.
  #begin<R>(
    command: Command extends infer C ? C extends Command ? Omit<C, "id"> : never
      : never,
  ): Promise<Running<R>> {
    if (this.#failure !== undefined) throw this.#failure;
    const id = this.#nextId++;
    const begun = Promise.withResolvers<void>();
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    promise.catch(() => {}); // Whoever asks gets it.
    this.#pending.set(id, {
      begun: begun.resolve,
      // The tests know what they ask for.
      done: (value) => resolve(value as R),
      failed: reject,
    });
    this.send({ ...command, id } as Command);
    return bounded(begun.promise.then(() => ({ id, result: promise })));
  }

  /** Begins a call: a wait is in line when this resolves, but a Sync one. */
  begin<R = unknown>(
    target: object,
    method: string,
    ...args: unknown[]
  ): Promise<Running<R>> {
    return this.#begin({ kind: "call", target, method, args });
  }

  /** Calls a method. */
  async call<R = unknown>(
    target: object,
    method: string,
    ...args: unknown[]
  ): Promise<R> {
    const { result } = await this.begin<R>(target, method, ...args);
    return await bounded(result);
  }

  /** Begins a call that takes a signal, for `abort`. */
  async abort(running: Running): Promise<void> {
    const { result } = await this.#begin({ kind: "abort", call: running.id });
    await bounded(result);
  }

  /** Reads a property. */
  async get<R = unknown>(target: object, name: string): Promise<R> {
    const { result } = await this.#begin<R>({ kind: "get", target, name });
    return await bounded(result);
  }

  /** Sets a property. */
  async set(target: object, name: string, value: unknown): Promise<void> {
    const { result } = await this.#begin({ kind: "set", target, name, value });
    await bounded(result);
  }

  /** Begins one of the fixture's own tasks. */
  beginScript<R = unknown>(
    name: ScriptName,
    ...args: unknown[]
  ): Promise<Running<R>> {
    return this.#begin({ kind: "script", name, args });
  }

  /** Runs one of the fixture's own tasks. */
  async script<R = unknown>(name: ScriptName, ...args: unknown[]): Promise<R> {
    const { result } = await this.beginScript<R>(name, ...args);
    return await bounded(result);
  }
}

/** The same thread. */
class SideHere extends Side {
  readonly #performer = new Performer((answer) => this.answered(answer));

  protected override send(command: Command): void {
    this.#performer.perform(command);
  }

  override end(): Promise<void> {
    return Promise.resolve();
  }
}

/** Somebody who gets commands by a queue. */
abstract class SideElsewhere extends Side {
  protected readonly commands: Queue<Command>;
  protected readonly answers: Queue<Answer>;

  /** They go the way that the objects go: what is done stays in order. */
  constructor(home: Home) {
    super();
    this.commands = new Queue<Command>(0, { home });
    this.answers = new Queue<Answer>(0, { home });
  }

  protected override send(command: Command): void {
    this.commands.put(command).catch((error) => this.broken(error));
  }

  protected async listen(): Promise<void> {
    try {
      for await (const answer of this.answers) this.answered(answer);
    } catch (error) {
      this.broken(error);
    }
  }

  protected closeQueues(): void {
    this.commands.close();
    this.answers.close();
  }
}

class SideThread extends SideElsewhere {
  readonly #worker: Worker;
  readonly #link: ThreadLink;
  readonly #over = Promise.withResolvers<void>();

  constructor(home: Home) {
    super(home);
    this.#worker = new Worker(
      new URL("./fixtures/matrix_thread.ts", import.meta.url).href,
      { type: "module" },
    );
    this.#worker.onmessage = () => this.#over.resolve();
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.broken(new Error(`The thread failed: ${event.message}`));
    };
    this.#link = inviteThread(this.#worker, () => {});
    this.#link.link.sendControl(null, hub.pack([this.commands, this.answers]));
    this.listen();
  }

  override async end(kill = false): Promise<void> {
    if (!kill) {
      this.commands.shutdown();
      await bounded(this.#over.promise);
    }
    this.#worker.terminate();
    await this.#link.ended({
      name: "the other side",
      pid: Deno.pid,
      exitCode: 0,
      signal: null,
    });
    this.broken(new Error("The thread has ended"));
    this.closeQueues();
  }
}

class SideProcess extends SideElsewhere {
  readonly #process: Process<[Queue<Command>, Queue<Answer>], void>;

  constructor(home: Home, permissions: PermissionMode) {
    super(home);
    this.#process = new Process({
      target: serve,
      args: [this.commands, this.answers],
      permissions,
    });
    this.#process.start();
    this.#process.result.catch((error) => this.broken(error));
    this.listen();
  }

  override async end(kill = false): Promise<void> {
    if (kill) this.#process.kill();
    else this.commands.shutdown();
    await bounded(this.#process.join());
    this.broken(new Error("The process has ended"));
    this.closeQueues();
    if (!kill) assertEquals(this.#process.exitCode, 0);
  }
}

/** Enough to import modules: neither foreign functions nor sockets. */
const WITHOUT_FFI: PermissionMode = { read: true };

function start({ home, reach }: Way): Side {
  if (reach === "the same thread") return new SideHere();
  if (reach === "a thread") return new SideThread(home);
  const isKeptOut = reach === "the hub" && home === "mapped";
  return new SideProcess(home, isKeptOut ? WITHOUT_FFI : "inherit");
}

const sides = new Map<Way, Side>();

/** The other side of a way; it is there for all tests. */
function sideOf(way: Way): Side {
  let side = sides.get(way);
  if (side === undefined) sides.set(way, side = start(way));
  return side;
}

/** After a failure: the next test gets another one. */
export async function giveUpSide(way: Way): Promise<void> {
  const side = sides.get(way);
  sides.delete(way);
  await side?.end(true);
}

/** Ends them all. */
export async function endSides(): Promise<void> {
  const all = [...sides.values()];
  sides.clear();
  for (const side of all) await side.end();
}

// ---- One cell of the matrix ----

/** The ways that were found, by primitive and form. */
export const recorded: Set<string> = new Set();

/** A cell of the matrix as a text. */
export function cell(
  { home, reach }: Way,
  primitive: Primitive,
  form: Form,
): string {
  return `${primitive}, ${form}, in ${home} memory, by ${reach}`;
}

/** What a case gets. */
export class World implements Way {
  readonly home: Home;
  readonly reach: Reach;
  readonly form: Form;
  readonly primitive: Primitive;
  readonly other: Side;

  constructor(way: Way, primitive: Primitive, form: Form) {
    this.home = way.home;
    this.reach = way.reach;
    this.form = form;
    this.primitive = primitive;
    this.other = sideOf(way);
  }

  /** Whether the other side blocks where it waits. */
  get isSync(): boolean {
    return this.form === "Sync";
  }

  /** Whether the other side asks the owner for everything. */
  get isByHub(): boolean {
    return this.reach === "the hub";
  }

  /** Whether there is no other thread. */
  get isHere(): boolean {
    return this.reach === "the same thread";
  }

  /** Whether a wait on the other side stops this one. */
  get blocksHere(): boolean {
    return this.isHere && this.isSync;
  }

  #formed(method: string): string {
    return this.isSync ? `${method}Sync` : method;
  }

  /** Has the other side call a method, in the form of this cell. */
  does<R = unknown>(
    target: object,
    method: string,
    ...args: unknown[]
  ): Promise<R> {
    return this.other.call(target, this.#formed(method), ...args);
  }

  /** The same, until it waits: `lined` tells when it does. */
  waits<R = unknown>(
    target: object,
    method: string,
    ...args: unknown[]
  ): Promise<Running<R>> {
    return this.other.begin(target, this.#formed(method), ...args);
  }

  /**
   * Asks the other side how it reaches an object, which has to be the way of
   * this cell, and records that.
   */
  async record(object: object): Promise<void> {
    const found = await this.other.script<WayFound>("way", object);
    const reaches = found.parts.map((part) => reachOf(part, found));
    for (const reach of reaches) assertEquals(reach, this.reach);
    const [reach] = reaches;
    for (const home of homesOf(object)) assertEquals(home, this.home);
    const [home] = homesOf(object);
    recorded.add(
      cell({ home: home as Home, reach: reach! }, this.primitive, this.form),
    );
  }
}

function reachOf(
  part: WayFound["parts"][number],
  { pid, path }: WayFound,
): Reach {
  if (part.owner === path) return "the same thread";
  if (part.home === null) return "the hub";
  return pid === Deno.pid ? "a thread" : "a process";
}

// ---- Cases ----

/** A behaviour, and why it makes no sense somewhere. */
export interface Case {
  readonly name: string;
  readonly without: ((world: World) => string | false) | undefined;
  readonly run: (world: World) => Promise<void>;
}

/** Adds a behaviour to the suite of a primitive. */
export type AddCase = (
  name: string,
  ...rest:
    | [run: Case["run"]]
    | [without: NonNullable<Case["without"]>, run: Case["run"]]
) => void;

/** The cases of each primitive. */
export const suites: Map<Primitive, Case[]> = new Map();

/** Says how a primitive behaves. */
export function suite(primitive: Primitive, body: (add: AddCase) => void) {
  const cases = suites.get(primitive) ?? [];
  suites.set(primitive, cases);
  body((name, ...rest) => {
    const run = rest.pop() as Case["run"];
    const without = rest.pop() as Case["without"];
    cases.push({ name, without, run });
  });
}

// Why a case makes no sense.

/** The wait would stop the only thread that could end it. */
export function blocking(world: World): string | false {
  return world.blocksHere && "a thread that blocks is not served by itself";
}

/** There is no signal that a blocked thread could hear. */
export function abortable(world: World): string | false {
  return world.isSync && "blocking forms take no signal";
}

/** What is said once, in the async form. */
export function onlyAsync(world: World): string | false {
  return world.isSync && "it has no other form: see the async cell";
}

/** What only the blocking form has. */
export function onlySync(world: World): string | false {
  return !world.isSync && "it is about the blocking form";
}

/** Closing here is closing for all. */
export function elsewhere(world: World): string | false {
  return world.isHere && "the other side is the owner itself";
}

/** Any of several reasons. */
export function anyOf(
  ...reasons: NonNullable<Case["without"]>[]
): NonNullable<Case["without"]> {
  return (world) => {
    for (const reason of reasons) {
      const why = reason(world);
      if (why !== false) return why;
    }
    return false;
  };
}

/** Bad options of what may wait, with the error that each gets. */
export const BAD_WAITS: readonly [
  unknown,
  typeof TypeError | typeof RangeError,
][] = [
  [{ timeout: -1 }, RangeError],
  [{ timeout: NaN }, RangeError],
  [{ timeout: Infinity }, RangeError],
  [{ timeout: "5" }, TypeError],
  [{ timeout: null }, TypeError],
  [{ timeout: 5n }, TypeError],
  [5, TypeError],
  [null, TypeError],
];

/** Something that is kept on the other side, as a target of calls. */
export type { Kept };
