// Copyright 2026 the multitask authors. MIT license.
// The session of this process with a manager: calls, and the lines they go over.
//
//   new --connect--> connecting --> open --line ends--> lost --another line--> open
//    ^---it failed---'             |                   |
//                                 |                   |--`reconnectTimeout`--> down
//                                 |                   `--refused for good----> down
//                                 `--Bye of the manager--> ended  (down --a call--> lost)
//   any --close--> closed
//
// Where the manager is on the same machine and offers a shortcut, a second line
// takes the place of the first before anything is said on that.
//
// A call:
//
//   unsent --a line is there--> sent --Result--> settled
//      \                          \--the line ends--> failed: ConnectionClosedError
//       \--given up, no line in time--> failed
//
// - A call that was sent is never sent again: whether it was done is not known.
//   One that was not sent waits for a line, as long as it may, and
//   `reconnectTimeout` at most.
// - Calls and casts leave in the order in which they were made.
// - A call that was given up is told to the manager; what comes of it all the
//   same goes to `late`, which gives it back.
// - Numbers of objects are those of one manager. When another one has taken its
//   place, an object that was got by a registered name is got again by it before
//   it is called; others are gone.
// - While calls wait they keep the program alive; a session alone does not.

import { ByteReader, copied } from "../ipc/_bytes.ts";
import type { ErrorClassLookup } from "../ipc/_error_codec.ts";
import { attributeError } from "../ipc/_error_codec.ts";
import { resourceClosed, resourceOpened } from "../ipc/_live.ts";
import type { Shortcut } from "../ipc/_network.ts";
import { self } from "../ipc/_self.ts";
import { startTimer } from "../ipc/_timer.ts";
import { type Wait, waitFor } from "../ipc/_waiting.ts";
import {
  AuthenticationError,
  ClosedError,
  ConnectionClosedError,
  InvalidStateError,
  PermissionNeededError,
  TimeoutError,
} from "../ipc/errors.ts";
import { frozen } from "./_frozen.ts";
import type { Line, LineEvents } from "./_line.ts";
import { makeProxy } from "./_proxies.ts";
import type { Ticket } from "./_ticket.ts";
import { managerTarget, type Origin, Target, targetOf } from "./_target.ts";
import {
  pack,
  type Packed,
  readPacked,
  type Sharer,
  unpack,
  writePacked,
} from "./_values.ts";
import { Frame, Outcome, PROTOCOL, type Ref } from "./_wire.ts";

/** How a call is made. */
export interface SessionCallOptions {
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Whether the result is a copy of what stays there. */
  readonly isCopy?: boolean;
  /** Gets the result of a call that was given up. */
  readonly late?: ((value: unknown) => void) | undefined;
  /** Whether one that is given up is waited for all the same. */
  readonly isCertain?: boolean;
  /** Whether what it gives is the same object each time. */
  readonly isRenewable?: boolean;
}

/** Opens a line whose other side has proved itself. */
export type OpenLine = (events: LineEvents, wait: Wait) => Promise<Line>;

/** What a manager says of itself. */
interface Welcome {
  readonly serverId: string;
  readonly name: string;
  readonly pid: number;
  /** How often it speaks, in milliseconds. */
  readonly interval: number;
  readonly shortcut: Shortcut;
}

/** A line on which the manager has said who it is. */
interface Meeting {
  readonly line: Line;
  readonly welcome: Welcome;
  /** Set once the line has ended. */
  ended: Error | undefined;
}

/** How a session comes to its lines, and how long it tries. */
export interface SessionOptions {
  readonly open: OpenLine;
  /** A shorter way that the manager offers, if that may be taken. */
  readonly shortcut?: (offered: Shortcut) => OpenLine | undefined;
  /** How often the manager is told that this process is there, in milliseconds. */
  readonly interval: number;
  readonly reconnectTimeout: number;
  readonly maxValues: number;
  readonly errorClass: ErrorClassLookup | undefined;
  /** What a message says of where the manager is. */
  readonly where: string;
  /** How another process of this program comes to the same manager. */
  readonly ticket: () => Ticket;
}

/** Where a session stands. */
export type SessionState =
  | "new"
  | "connecting"
  | "open"
  | "lost"
  | "down"
  | "ended"
  | "closed";

interface Call {
  readonly id: number;
  readonly target: Target;
  readonly method: string;
  readonly timeout: number | undefined;
  readonly isCast: boolean;
  readonly isCopy: boolean;
  readonly late: ((value: unknown) => void) | undefined;
  /** How to get again what it gives. */
  readonly origin: Origin | undefined;
  /** Its arguments, until it is sent. */
  packed: Packed | undefined;
  resolve: ((value: unknown) => void) | undefined;
  reject: ((error: unknown) => void) | undefined;
  /** Removes timer and listener. */
  cleanUp: (() => void) | undefined;
  /** The line it was sent by. */
  line: Line | undefined;
  /** Whether somebody waits for it. */
  isAwaited: boolean;
}

/** Between two tries to connect again, in milliseconds: at first and at most. */
const BACK_OFF = { first: 20, most: 2000 } as const;

/** How long one try may take, in milliseconds. */
const TRY_BOUND = 5000;

/** How long a shortcut may take: who is there answers at once. A guess. */
const SHORTCUT_BOUND = 1000;

/** What gives back what is given back anyway when the session ends. */
const GIVES_BACK: ReadonlySet<string> = new Set(["releaseHold", "giveBack"]);

/** How many turns of the queue of promises that is. */
const AT_ONCE = 8;

/** Longer than anybody waits. */
const FOR_EVER = 2 ** 50;

/** Sessions with errors that nobody has waited for. */
const faulty = new Set<Target>();

globalThis.addEventListener("unload", () => {
  for (const { fault } of faulty) {
    console.error("A call of an object of a manager failed:", fault);
    Deno.exitCode = 1;
  }
});

/** See the file comment. */
export class Session implements Sharer {
  readonly #options: SessionOptions;
  readonly #id = crypto.randomUUID();
  /** What the manager itself is. */
  readonly manager: Target = managerTarget(this);
  #state: SessionState = "new";
  #line: Line | undefined;
  /** Which manager it is. */
  serverId = "";
  #serverName = "";
  #serverPid = -1;
  #nextCall = 1;
  readonly #calls = new Map<number, Call>();
  /** Calls that wait for a line, in order. */
  #unsent: Call[] = [];
  /** How many calls somebody waits for. */
  #awaited = 0;
  #isReleasing = false;
  /** Stops what keeps the program alive for them. */
  #stopHold: (() => void) | undefined;
  /** Why there is no line. */
  #lost: Error | undefined;
  #retrying = false;
  readonly #stop = new AbortController();
  readonly #proxies = new Map<number, WeakRef<object>>();
  readonly #dropped = new Map<number, number>();
  readonly #finalized = new FinalizationRegistry<Target>((target) =>
    this.#drop(target)
  );

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  get options(): SessionOptions {
    return this.#options;
  }

  /** What the manager knows this session by. */
  get id(): string {
    return this.#id;
  }

  get state(): SessionState {
    return this.#state;
  }

  // ---- Lines ----

  /** Connects for the first time; one try. */
  async connect(wait: Wait): Promise<void> {
    if (this.#state !== "new" && this.#state !== "ended") {
      throw new InvalidStateError("Cannot connect: it is connected already");
    }
    const before = this.#state;
    this.#state = "connecting";
    try {
      await this.#open(wait);
    } catch (error) {
      // It may have been closed meanwhile.
      if (this.state === "connecting") this.#state = before;
      const unsent = this.#unsent;
      this.#unsent = [];
      for (const call of unsent) this.#fail(call, error);
      throw error;
    }
  }

  /** It is connected when it is used for the first time. */
  expect(serverId: string): void {
    this.serverId = this.manager.serverId = serverId;
    this.#state = "down";
  }

  /** The manager has shut down, and may be there again. */
  revive(): void {
    if (this.#state === "ended") this.#state = "down";
  }

  async #open(wait: Wait): Promise<void> {
    const meeting = await this.#meet(this.#options.open, wait);
    const shortcut = this.#options.shortcut?.(meeting.welcome.shortcut);
    if (shortcut === undefined) return this.#welcomed(meeting);
    // Until Take, both sides stay with the first line, whatever comes of this.
    const { line } = meeting;
    try {
      const bound = Math.min(wait.timeout ?? TRY_BOUND, SHORTCUT_BOUND);
      const near = await this.#meet(shortcut, { ...wait, timeout: bound });
      if (near.ended !== undefined) throw near.ended;
      if (near.welcome.serverId !== meeting.welcome.serverId) {
        // Nobody else knows that: what has the name now is not the manager.
        near.line.close("it is somebody else");
        throw new AuthenticationError(
          "Cannot connect: somebody else is at the shortcut of the manager",
        );
      }
      near.line.begin(Frame.Take);
      near.line.commit();
      this.#welcomed(near);
      line.close("there is a shorter way");
    } catch (error) {
      // It is on another machine, or in another network: the port does as well.
      if (wait.signal?.aborted || meeting.ended !== undefined) {
        line.close("it was given up");
        throw error;
      }
      this.#welcomed(meeting);
    }
  }

  /** Opens a line and has the manager say who it is. */
  async #meet(open: OpenLine, wait: Wait): Promise<Meeting> {
    const welcome = Promise.withResolvers<Welcome>();
    welcome.promise.catch(() => {});
    let meeting: Meeting | undefined;
    const line = await open({
      frame: (kind, body) => {
        if (line === this.#line) return this.#frame(kind, body);
        if (meeting === undefined && kind === Frame.Welcome) {
          const read = readWelcome(new ByteReader(body));
          meeting = { line, welcome: read, ended: undefined };
          welcome.resolve(read);
        } else if (kind === Frame.Bye) {
          line.close("the manager has shut down");
        } else throw new RangeError("Cannot read a frame before Welcome");
      },
      end: (error) => {
        welcome.reject(error);
        if (meeting !== undefined) meeting.ended = error;
        this.#ended(line, error);
      },
    }, wait);
    line.hold();
    const out = line.begin(Frame.Hello);
    out.u8(PROTOCOL);
    out.text(this.#id);
    out.text(self.name);
    out.varint(Deno.pid);
    out.varint(Math.ceil(this.#options.interval));
    line.commit();
    try {
      const bound = wait.timeout ?? TRY_BOUND;
      const welcomed = await waitFor<Welcome>(
        { timeout: bound, signal: wait.signal },
        (waiter) => {
          welcome.promise.then(waiter.resolve, waiter.reject);
          return () => line.close("the manager did not answer in time");
        },
      );
      if (welcomed === undefined) {
        throw new TimeoutError(
          `Cannot connect: the manager did not answer within ${bound} ms`,
        );
      }
      return meeting!;
    } catch (error) {
      line.close("it was given up");
      throw error;
    } finally {
      line.release();
    }
  }

  /** This line is the one from now on. */
  #welcomed({ line, welcome, ended }: Meeting): void {
    if (ended !== undefined) throw ended;
    const { serverId } = welcome;
    this.#serverName = welcome.name;
    this.#serverPid = welcome.pid;
    line.listenFor(welcome.interval);
    if (this.#state === "closed") return line.close("it was closed here");
    if (serverId !== this.serverId) {
      this.#proxies.clear();
      this.#dropped.clear();
      this.serverId = this.manager.serverId = serverId;
    }
    this.#line = line;
    this.#state = "open";
    resourceOpened(this, `session with ${this.#options.where}`);
    this.#updateHold();
    const unsent = this.#unsent;
    this.#unsent = [];
    for (const call of unsent) this.#dispatch(call);
  }

  #ended(line: Line, error: ConnectionClosedError): void {
    if (line !== this.#line) return;
    this.#line = undefined;
    this.#lost = error;
    this.#updateHold();
    resourceClosed(this);
    for (const call of [...this.#calls.values()]) {
      if (call.line === line) this.#fail(call, this.#cutError(call, error));
    }
    if (this.#state !== "open") return;
    this.#state = "lost";
    this.#retry();
  }

  #cutError({ method }: Call, cause: Error): ConnectionClosedError {
    const why = this.#state === "ended"
      ? `the manager at ${this.#options.where} has shut down`
      : this.#state === "closed"
      ? "the connection was closed here"
      : `the connection to ${this.#options.where} broke, and whether it was done is not known`;
    return new ConnectionClosedError(`Cannot call "${method}": ${why}`, {
      cause,
    });
  }

  /** Tries to connect until that is done or no use. */
  async #retry(): Promise<void> {
    if (this.#retrying) return;
    this.#retrying = true;
    const end = performance.now() + this.#options.reconnectTimeout;
    let pause: number = BACK_OFF.first;
    let error: unknown = this.#lost;
    try {
      while (this.#state === "lost") {
        const left = end - performance.now();
        if (left <= 0) break;
        try {
          return await this.#open({
            timeout: Math.min(left, TRY_BOUND),
            signal: this.#stop.signal,
          });
        } catch (failure) {
          error = failure;
          if (isFinal(failure)) break;
        }
        await this.#pause(Math.min(pause * (0.5 + Math.random() / 2), left));
        pause = Math.min(pause * 2, BACK_OFF.most);
      }
    } finally {
      this.#retrying = false;
      if (this.#state === "lost") this.#giveUp(error);
    }
  }

  #pause(ms: number): Promise<unknown> {
    return waitFor(
      { signal: this.#stop.signal },
      (waiter) => startTimer(() => waiter.resolve(true), ms, { unref: true }),
    )
      .catch(() => {}); // It was closed.
  }

  #giveUp(cause: unknown): void {
    this.#state = "down";
    const unsent = this.#unsent;
    this.#unsent = [];
    for (const call of unsent) {
      this.#fail(
        call,
        isFinal(cause) ? cause : new ConnectionClosedError(
          `Cannot call "${call.method}": no connection to ${this.#options.where} within ${this.#options.reconnectTimeout} ms`,
          { cause },
        ),
      );
    }
  }

  // ---- Calls ----

  /** Calls a method of an object. See the file comment. */
  call(
    target: Target,
    method: string,
    args: readonly unknown[],
    options: SessionCallOptions,
  ): Promise<unknown> {
    const { timeout, signal, isCopy = false, late } = options;
    return new Promise((resolve, reject) => {
      if (target.fault !== undefined) return reject(takeFault(target));
      if (target.isClosed) return reject(closedError(method));
      if (signal?.aborted) return reject(signal.reason);
      const isDirect = this.#line !== undefined &&
        target.serverId === this.serverId;
      const packed = this.#pack(args, isDirect);
      const call: Call = {
        id: this.#nextCall++,
        target,
        method,
        timeout,
        isCast: false,
        isCopy,
        late,
        origin: options.isRenewable ? { name: method, args } : undefined,
        packed,
        resolve,
        reject,
        cleanUp: undefined,
        line: undefined,
        isAwaited: true,
      };
      this.#calls.set(call.id, call);
      if (this.#awaited++ === 0 && this.#stopHold === undefined) {
        this.#updateHold();
      }
      if (signal !== undefined) {
        this.#listen(call, signal, options.isCertain === true);
      }
      if (isDirect) this.#send(call, this.#line!);
      else this.#dispatch(call);
    });
  }

  /** Calls a method whose result nobody needs. */
  cast(target: Target, method: string, args: readonly unknown[]): void {
    if (target.isClosed) throw closedError(method);
    const isDirect = this.#line !== undefined &&
      target.serverId === this.serverId;
    const call: Call = {
      id: 0,
      target,
      method,
      timeout: undefined,
      isCast: true,
      isCopy: false,
      late: undefined,
      origin: undefined,
      packed: this.#pack(args, isDirect),
      resolve: undefined,
      reject: (error) => {
        const isMoot = GIVES_BACK.has(method) &&
          error instanceof ConnectionClosedError;
        if (!isMoot) this.#fault(target, error);
      },
      cleanUp: undefined,
      line: undefined,
      isAwaited: false,
    };
    if (isDirect) this.#send(call, this.#line!);
    else this.#dispatch(call);
  }

  #pack(args: readonly unknown[], lend: boolean): Packed {
    const limit = this.#line?.limit ?? Infinity;
    return pack(args, "args", this, { limit, lend });
  }

  /** Sends a call once that can be done. */
  #dispatch(call: Call): void {
    const line = this.#line;
    const { target } = call;
    if (line === undefined) return this.#queue(call);
    if (target.serverId === this.serverId) return this.#send(call, line);
    call.packed = kept(call.packed!);
    this.#renew(target).then(
      () => this.#dispatch(call),
      (error) => this.#fail(call, error),
    );
  }

  #queue(call: Call): void {
    if (this.#state === "new") {
      return this.#fail(
        call,
        new InvalidStateError(
          `Cannot call "${call.method}": call connect() or start() first`,
        ),
      );
    }
    if (this.#state === "closed" || this.#state === "ended") {
      return this.#fail(call, this.#cutError(call, this.#lost!));
    }
    call.packed = kept(call.packed!);
    this.#unsent.push(call);
    if (call.timeout !== undefined && !call.isCast) this.#limit(call);
    if (this.#state === "down") {
      this.#state = "lost";
      this.#retry();
    }
  }

  /** One that is not sent in its time never is. */
  #limit(call: Call): void {
    const before = call.cleanUp;
    const stopTimer = startTimer(() => {
      if (call.line !== undefined) return;
      this.#unsent = this.#unsent.filter((other) => other !== call);
      this.#fail(
        call,
        new ConnectionClosedError(
          `Cannot call "${call.method}": no connection to ${this.#options.where} within ${call.timeout} ms`,
          { cause: this.#lost },
        ),
      );
    }, call.timeout!);
    call.cleanUp = () => {
      stopTimer();
      before?.();
    };
  }

  #listen(call: Call, signal: AbortSignal, isCertain: boolean): void {
    const onAbort = () => {
      const { line } = call;
      if (line === undefined) {
        this.#unsent = this.#unsent.filter((other) => other !== call);
        return this.#fail(call, signal.reason);
      }
      if (line === this.#line) {
        line.begin(Frame.Cancel).varint(call.id);
        line.commit();
      }
      if (isCertain) return;
      // It stays known, for what comes of it.
      const { reject } = call;
      this.#unawait(call);
      reject?.(signal.reason);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    call.cleanUp = () => signal.removeEventListener("abort", onAbort);
  }

  #send(call: Call, line: Line): void {
    const { target: { id }, method, timeout } = call;
    const out = line.begin(call.isCast ? Frame.Cast : Frame.Call);
    out.varint(call.id);
    out.varint(id);
    out.text(method);
    out.varint(timeout === undefined ? 0 : Math.ceil(timeout) + 1);
    writePacked(out, call.packed!);
    line.commit();
    call.line = line;
    // Where an object may be gone, it is got again and called then.
    if (call.target.origin === undefined) call.packed = undefined;
    else if (!call.isCast) call.packed = kept(call.packed!);
  }

  /** Nobody waits for it any more. */
  #unawait(call: Call): void {
    call.cleanUp?.();
    call.cleanUp = undefined;
    call.resolve = call.reject = undefined;
    if (!call.isAwaited) return;
    call.isAwaited = false;
    if (--this.#awaited === 0) this.#releaseSoon();
  }

  /** Unless the next call comes at once, as it does from a loop. */
  async #releaseSoon(): Promise<void> {
    if (this.#isReleasing) return;
    this.#isReleasing = true;
    for (let i = 0; i < AT_ONCE; i++) await undefined;
    this.#isReleasing = false;
    if (this.#awaited === 0) this.#updateHold();
  }

  /** Whoever waits keeps the program alive, by the line or without one. */
  #updateHold(): void {
    this.#stopHold?.();
    this.#stopHold = undefined;
    if (this.#awaited === 0) return;
    const line = this.#line;
    if (line === undefined) {
      this.#stopHold = startTimer(() => {}, FOR_EVER);
      return;
    }
    line.hold();
    this.#stopHold = () => line.release();
  }

  #fail(call: Call, error: unknown): void {
    const { reject } = call;
    this.#calls.delete(call.id);
    this.#unawait(call);
    reject?.(error);
  }

  #fault(target: Target, error: unknown): void {
    target.fault ??= error instanceof Error ? error : new Error(String(error));
    faulty.add(target);
  }

  // ---- Objects ----

  /** Gets an object again, from the manager that is there now. */
  async #renew(target: Target): Promise<void> {
    const { origin } = target;
    if (origin === undefined) {
      throw new ClosedError(
        `Cannot use the object: it was lost with the manager that had it; ${this.#options.where} is another one now`,
      );
    }
    const serverId = this.serverId;
    const proxy = await this.call(
      this.manager,
      origin.name,
      origin.args,
      { isRenewable: true },
    );
    const next = typeof proxy === "object" && proxy !== null
      ? targetOf(proxy)
      : undefined;
    if (next === undefined || next.kind !== target.kind) {
      throw new ClosedError(
        `Cannot use the object: "${origin.name}" gives another kind of object now`,
      );
    }
    target.id = next.id;
    target.serverId = serverId;
    // What it has received is counted by the proxy that it was got by.
    keeps.set(target, proxy as object);
  }

  /** The proxy of an object that the manager has handed out. */
  proxyFor(ref: Ref, origin?: Origin): object {
    const known = this.#proxies.get(ref.id)?.deref();
    if (known !== undefined) {
      targetOf(known)!.received++;
      return known;
    }
    const target = new Target(this, ref, origin);
    target.received = 1;
    const proxy = makeProxy(target);
    target.bind(proxy);
    this.#proxies.set(ref.id, new WeakRef(proxy));
    this.#finalized.register(proxy, target, proxy);
    return proxy;
  }

  /** A proxy is not used any more. */
  letGo(target: Target, proxy: object): void {
    target.isClosed = true;
    this.#finalized.unregister(proxy);
    this.#proxies.delete(target.id);
    this.#drop(target);
  }

  #drop({ id, serverId, received }: Target): void {
    if (serverId !== this.serverId) return;
    if (this.#proxies.get(id)?.deref() === undefined) this.#proxies.delete(id);
    if (this.#dropped.size === 0) {
      queueMicrotask(() => this.#release());
    }
    this.#dropped.set(id, (this.#dropped.get(id) ?? 0) + received);
  }

  #release(): void {
    const line = this.#line;
    if (line === undefined) return;
    const out = line.begin(Frame.Release);
    out.varint(this.#dropped.size);
    for (const [id, count] of this.#dropped) {
      out.varint(id);
      out.varint(count);
    }
    line.commit();
    this.#dropped.clear();
  }

  isShared(object: object): boolean {
    const target = targetOf(object);
    return target !== undefined && target.serverId === this.serverId;
  }

  refOf(object: object): Ref {
    return targetOf(object)!;
  }

  // ---- Frames ----

  #frame(kind: number, body: Uint8Array): void {
    const input = new ByteReader(body);
    switch (kind) {
      case Frame.Result:
        return this.#result(input);
      case Frame.Fault: {
        const proxy = this.#proxies.get(input.varint())?.deref();
        input.u8();
        const { error } = this.#error(readPacked(input));
        if (proxy !== undefined) this.#fault(targetOf(proxy)!, error);
        return;
      }
      case Frame.Bye:
        this.#state = "ended";
        return this.#line?.close("the manager has shut down");
      default:
        throw new RangeError(`Cannot read a frame of kind ${kind}`);
    }
  }

  #result(input: ByteReader): void {
    const call = this.#calls.get(input.varint());
    if (call === undefined) return;
    const outcome = input.u8();
    const packed = readPacked(input);
    if (outcome === Outcome.Gone) return this.#gone(call, packed);
    this.#calls.delete(call.id);
    const { resolve, reject, late } = call;
    this.#unawait(call);
    if (outcome !== Outcome.Value) return reject?.(this.#error(packed).error);
    let value: unknown;
    try {
      value = this.#unpack(packed, call);
    } catch (error) {
      return reject?.(error);
    }
    if (resolve === undefined) late?.(value);
    else resolve(call.isCopy ? frozen(value) : value);
  }

  #unpack(packed: Packed, call?: Call): unknown {
    return unpack(packed, {
      object: (ref) => this.proxyFor(ref, call?.origin),
      errorClass: this.#options.errorClass,
      maxValues: this.#options.maxValues,
    });
  }

  #error(packed: Packed): { error: unknown } {
    try {
      const error = this.#unpack(packed);
      return {
        error: attributeError(error, this.#serverName, this.#serverPid),
      };
    } catch (error) {
      return { error };
    }
  }

  /** The object was not there, and nothing was done: it may be got again. */
  #gone(call: Call, packed: Packed): void {
    const error = new ClosedError(String(this.#unpack(packed)));
    const { target } = call;
    if (target.origin === undefined || call.packed === undefined) {
      return this.#fail(call, error);
    }
    call.line = undefined;
    const { packed: again } = call;
    this.#renew(target).then(() => {
      if (!call.isAwaited) return void this.#calls.delete(call.id);
      call.packed = again;
      this.#dispatch(call);
    }, (error) => this.#fail(call, error));
  }

  // ---- The end ----

  /** Says goodbye and closes. Idempotent. */
  async close(): Promise<void> {
    if (this.#state === "closed") return;
    const line = this.#line;
    if (line !== undefined) {
      if (this.#dropped.size > 0) this.#release();
      line.begin(Frame.Bye);
      line.commit();
    }
    this.#state = "closed";
    this.#lost ??= new ConnectionClosedError("The connection was closed here");
    this.#stop.abort(this.#lost);
    for (const call of [...this.#unsent, ...this.#calls.values()]) {
      this.#fail(call, this.#cutError(call, this.#lost));
    }
    this.#unsent = [];
    await line?.finish();
  }
}

function readWelcome(input: ByteReader): Welcome {
  const version = input.u8();
  if (version !== PROTOCOL) {
    throw new RangeError(`Cannot speak version ${version} of the protocol`);
  }
  input.u8(); // Whether the session was known: its holds tell by themselves.
  return {
    serverId: input.text(),
    name: input.text(),
    pid: input.varint(),
    interval: input.varint(),
    shortcut: {
      path: input.text(),
      token: input.text(),
      port: input.varint(),
    },
  };
}

/** Keeps what an object was got by again. */
const keeps = new WeakMap<Target, object>();

function kept({ bytes, refs }: Packed): Packed {
  return { bytes: copied(bytes), refs };
}

function closedError(method: string): ClosedError {
  return new ClosedError(`Cannot call "${method}": it is closed`);
}

function takeFault(target: Target): Error {
  const fault = target.fault!;
  target.fault = undefined;
  faulty.delete(target);
  return fault;
}

/** Whether trying again is of no use. */
function isFinal(error: unknown): boolean {
  return error instanceof AuthenticationError ||
    error instanceof PermissionNeededError || error instanceof TypeError;
}
