// Copyright 2026 the multitask authors. MIT license.
// A guest as its manager sees it: its session, and what it asks for.
//
//   new --Hello--> present --line ends--> away --Hello on another line--> present
//                    |                      |--`sessionTimeout` is over--> ended
//                    `--Bye, or the manager ends--> ended
//
// When a line ends, calls that wait are given up: the guest has been told that
// they failed. What it holds stays until the session ends. A call that was done
// and whose answer cannot be said any more is undone where that is possible.

import { ByteReader, type ByteWriter } from "../ipc/_bytes.ts";
import type { ErrorClassLookup } from "../ipc/_error_codec.ts";
import { shown } from "../ipc/_options.ts";
import { startTimer } from "../ipc/_timer.ts";
import {
  CancelledError,
  ConnectionClosedError,
  SerializationError,
} from "../ipc/errors.ts";
import type { Line } from "./_line.ts";
import { type Entry, GoneError, type ObjectTable } from "./_objects.ts";
import {
  type CallContext,
  type Hold,
  type Holder,
  refusals,
} from "./_servant.ts";
import {
  pack,
  type Packed,
  readPacked,
  type Sharer,
  unpack,
  writePacked,
} from "./_values.ts";
import { checkedCount, Frame, Outcome, type Ref } from "./_wire.ts";

/** What a guest says of itself. */
export interface GuestIdentity {
  readonly session: string;
  readonly name: string;
  readonly pid: number;
}

/** What guests need of their manager. */
export interface Host {
  readonly objects: ObjectTable;
  readonly maxValues: number;
  readonly errorClass: ErrorClassLookup | undefined;
  readonly sessionTimeout: number;
  /** Whether an object goes as a reference. */
  isShared(object: object): boolean;
  /** The entry of an object that goes as a reference. */
  entryOf(object: object): Entry;
  /** The proxy, in this process, of an object. */
  localProxy(ref: Ref): object;
  /** Something was refused: it is counted. */
  refused(what: "call" | "value"): void;
  /** The session is over. */
  ended(guest: Guest): void;
}

/** So many calls of a guest may be under way. */
const MAX_CALLS = 1 << 16;

class Context implements CallContext {
  readonly guest: Guest;
  readonly timeout: number | undefined;
  undo: (() => void) | undefined;
  #controller: AbortController | undefined;
  #abortedWith: Error | undefined;

  constructor(guest: Guest, timeout: number | undefined) {
    this.guest = guest;
    this.timeout = timeout;
  }

  get signal(): AbortSignal {
    const controller = this.#controller ??= new AbortController();
    if (this.#abortedWith !== undefined) controller.abort(this.#abortedWith);
    return controller.signal;
  }

  abort(reason: Error): void {
    this.#abortedWith ??= reason;
    this.#controller?.abort(reason);
  }
}

/** See the file comment. */
export class Guest implements Holder, Sharer {
  readonly identity: GuestIdentity;
  readonly since: number = Date.now();
  /** Where it comes from. */
  readonly from: string;
  readonly holds: Set<Hold> = new Set();
  /** How many calls it has made. */
  made = 0;
  readonly #host: Host;
  #line: Line | undefined;
  /** Calls that wait. */
  readonly #calls = new Map<number, Context>();
  /** How many references it has, by object. */
  readonly #counts = new Map<number, number>();
  #stopAway: (() => void) | undefined;
  #isOver = false;

  constructor(host: Host, identity: GuestIdentity, from: string) {
    this.#host = host;
    this.identity = identity;
    this.from = from;
  }

  get isPresent(): boolean {
    return this.#line !== undefined;
  }

  /** How many of its calls wait. */
  get pending(): number {
    return this.#calls.size;
  }

  /** It has come, or come back. */
  arrive(line: Line): void {
    this.#stopAway?.();
    // The old one is of no use, whether or not that is known yet.
    this.#line?.close("the guest has come back by another one");
    this.leave(this.#line);
    this.#line = line;
    this.#stopAway?.();
    this.#stopAway = undefined;
  }

  /** A line has ended. */
  leave(line: Line | undefined): void {
    if (line === undefined || line !== this.#line) return;
    this.#line = undefined;
    const error = new ConnectionClosedError("The guest is gone");
    for (const context of this.#calls.values()) context.abort(error);
    this.#calls.clear();
    if (this.#isOver) return;
    this.#stopAway = startTimer(
      () => this.end(),
      this.#host.sessionTimeout,
      { unref: true },
    );
  }

  /** The session is over: what it holds is free. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopAway?.();
    this.leave(this.#line);
    for (const hold of [...this.holds]) hold.guestGone();
    for (const [id, count] of this.#counts) this.#host.objects.drop(id, count);
    this.#counts.clear();
    this.#host.ended(this);
  }

  /** The manager ends: the guest is told. */
  async dismiss(): Promise<void> {
    const line = this.#line;
    if (line !== undefined) {
      line.begin(Frame.Bye);
      line.commit();
    }
    this.end();
    await line?.finish();
  }

  /** It is there, though its line is silent. */
  vouched(): void {
    this.#line?.heard();
  }

  // ---- Frames ----

  frame(kind: number, body: Uint8Array): void {
    const input = new ByteReader(body);
    switch (kind) {
      case Frame.Call:
        return this.#called(input, true);
      case Frame.Cast:
        return this.#called(input, false);
      case Frame.Cancel:
        return this.#cancelled(input.varint());
      case Frame.Release:
        return this.#released(input);
      case Frame.Bye:
        return this.end();
      default:
        throw new RangeError(`Cannot read a frame of kind ${kind}`);
    }
  }

  #cancelled(id: number): void {
    const context = this.#calls.get(id);
    context?.abort(new CancelledError("The call was given up"));
  }

  #released(input: ByteReader): void {
    for (let i = checkedCount(input); i > 0; i--) {
      const id = input.varint();
      const had = this.#counts.get(id) ?? 0;
      const count = Math.min(input.varint(), had);
      if (count === had) this.#counts.delete(id);
      else this.#counts.set(id, had - count);
      this.#host.objects.drop(id, count);
    }
  }

  #called(input: ByteReader, isAwaited: boolean): void {
    const id = input.varint();
    const object = input.varint();
    const method = input.text();
    const timeout = input.varint();
    const packed = readPacked(input);
    this.made++;
    const fail = (error: unknown) =>
      isAwaited ? this.#fail(id, error) : this.#fault(object, error);
    const context = new Context(this, timeout === 0 ? undefined : timeout - 1);
    let result: unknown;
    try {
      const { servant } = this.#host.objects.get(object);
      const args = this.#unpackArgs(packed, servant.keepsProxies);
      if (this.#calls.size >= MAX_CALLS) {
        throw new RangeError(
          `Cannot call "${method}": ${MAX_CALLS} calls are under way`,
        );
      }
      result = servant.call(method, args, context);
    } catch (error) {
      return fail(error);
    }
    if (!(result instanceof Promise)) {
      if (isAwaited) this.#answer(id, context, result);
      return;
    }
    this.#calls.set(id, context);
    result.then(
      (value) => {
        // Its line has ended: there is nobody to give it to.
        if (this.#calls.get(id) !== context) return context.undo?.();
        this.#calls.delete(id);
        if (isAwaited) this.#answer(id, context, value);
      },
      (error) => {
        if (this.#calls.get(id) !== context) return;
        this.#calls.delete(id);
        fail(error);
      },
    );
  }

  #unpackArgs(packed: Packed, keepsProxies: boolean): unknown[] {
    const { objects, maxValues, errorClass } = this.#host;
    try {
      const args = unpack(packed, {
        object: (ref) => {
          const entry = objects.get(ref.id);
          return keepsProxies ? this.#host.localProxy(entry.ref) : entry.object;
        },
        errorClass,
        maxValues,
      });
      if (Array.isArray(args)) return args;
      throw new SerializationError(
        `Cannot call: arguments must be an array, received ${shown(args)}`,
      );
    } catch (error) {
      this.#host.refused("value");
      throw error;
    }
  }

  #answer(id: number, context: Context, value: unknown): void {
    const line = this.#line;
    if (line === undefined) return context.undo?.();
    let packed: Packed;
    try {
      packed = pack(value, "result", this, { limit: line.limit, lend: true });
    } catch (error) {
      context.undo?.();
      return this.#fail(id, error);
    }
    this.#write(line.begin(Frame.Result), id, Outcome.Value, packed);
    line.commit();
  }

  #fail(id: number, error: unknown): void {
    this.#count(error);
    const line = this.#line;
    if (line === undefined) return;
    const isGone = error instanceof GoneError;
    const packed = this.#packError(line, isGone ? error.message : error);
    const outcome = isGone ? Outcome.Gone : Outcome.Error;
    this.#write(line.begin(Frame.Result), id, outcome, packed);
    line.commit();
  }

  /** What nobody waits for has failed: the next call of the object tells. */
  #fault(object: number, error: unknown): void {
    this.#count(error);
    const line = this.#line;
    if (line === undefined) return;
    const packed = this.#packError(line, error);
    this.#write(line.begin(Frame.Fault), object, Outcome.Error, packed);
    line.commit();
  }

  #count(error: unknown): void {
    if (error instanceof Error && refusals.has(error)) {
      this.#host.refused("call");
    }
  }

  #packError(line: Line, error: unknown): Packed {
    try {
      return pack(error, "error", this, { limit: line.limit, lend: true });
    } catch (failure) {
      return pack(failure, "error", this, { lend: true });
    }
  }

  #write(out: ByteWriter, id: number, outcome: number, packed: Packed): void {
    out.varint(id);
    out.u8(outcome);
    writePacked(out, packed);
  }

  // ---- References ----

  isShared(object: object): boolean {
    return this.#host.isShared(object);
  }

  refOf(object: object): Ref {
    const entry = this.#host.entryOf(object);
    entry.count++;
    this.#counts.set(entry.id, (this.#counts.get(entry.id) ?? 0) + 1);
    return entry.ref;
  }
}
