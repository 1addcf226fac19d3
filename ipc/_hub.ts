// Copyright 2026 the multitask authors. MIT license.
// The hub: how an operation on an object of another process gets there.
//
// Processes form a tree; a process's path names its place in it ("0" is the
// root, "0.3" its third child). Each has one channel to its parent and one to
// each child. A frame that is for somebody else is passed on by its address,
// without decoding what it carries.
//
// Who knows which objects, and until when, is told in _handle_table.ts.
//
// A call is pending at the caller, under way at the processes that pass it
// on, and served at the owner. Whoever sits next to a process that dies
// answers every call that was on its way into it, drops what came out of it,
// and tells each owner that the dead one ever spoke to (`Gone`), which frees
// what it held. A caller that gives up settles at once and says `Cancel`; if
// the answer crosses it, the caller undoes it.
//
// The channel to the parent can be used without turning the event loop, by a
// `SyncPort`: everything unsent goes with the request (see `Unsent`).

import { ByteReader, ByteWriter } from "./_bytes.ts";
import type { Unsent } from "./_channel.ts";
import { HandleTable } from "./_handle_table.ts";
import { Frame, type Link } from "./_link.ts";
import type { Invitation } from "./_homes.ts";
import { messageOf } from "./_inspected.ts";
import {
  keepPacket,
  NO_PACKET,
  NO_REFS,
  type Packet,
  readPacket,
  writePacket,
} from "./_packet.ts";
import { Reference } from "./_reference.ts";
import {
  type CallOptions,
  type Operation,
  type Outcome,
  type Reply,
  type SharedObject,
  Status,
  type Withdraw,
} from "./_shared_object.ts";
import { startTimer } from "./_timer.ts";
import {
  ClosedError,
  InvalidStateError,
  ProcessExitError,
  SerializationError,
} from "./errors.ts";

interface PendingCall {
  readonly owner: string;
  /** Keeps the handle alive while something waits on it. */
  readonly reference: Reference;
  settle(status: number, outcome: Outcome): void;
  readonly undo: ((outcome: Outcome) => void) | undefined;
  /** What was sent with it, should it never arrive. */
  readonly packet: Packet | undefined;
  abandoned: boolean;
}

/** A blocking way to the parent, used where the event loop must not turn. */
export interface SyncPort {
  /**
   * Sends a request and blocks until its answer, at most `patience`
   * milliseconds where the way can tell the time.
   */
  exchange(request: Uint8Array, patience?: number): Uint8Array;
}

/** What the tree of processes has to do with the homes of shared objects. */
export interface HomesOfProcess {
  /** Processes have come or gone. */
  neighboursChanged(): void;
  /** Somebody says that there is something in the mailbox. */
  rung(): void;
  /** What a child gets that has --allow-ffi. */
  invite(): Invitation | undefined;
  /** A child has ended; resolves when what it held is free. */
  processEnded(ended: Ended): Promise<void>;
}

/** How a process ended, for error messages. */
export interface Ended {
  readonly name: string;
  readonly pid: number;
  readonly exitCode: number | null;
  readonly signal: string | null;
}

function isWithin(path: string, prefix: string): boolean {
  return path === prefix ||
    (path.startsWith(prefix) && path.charCodeAt(prefix.length) === 46);
}

/** An operation that every owner answers at once, whatever the object. */
const FENCE = 255;

/**
 * How long whoever gives up waits for the owner to say whether that was too
 * late, where it matters; in milliseconds.
 */
const ANSWER_BOUND = 1000;

/** The place of a thread in the tree. */
const THREAD = /\.t\d+$/;

/** How many ended processes are remembered by name, for error messages. */
const ENDED_KEPT = 1000;

/** See the file comment. A program has one, {@linkcode hub}. */
export class Hub extends HandleTable {
  protected override readonly asHub = this;
  /** Where the calling thread may block for the parent; set in children. */
  syncPort: SyncPort | undefined;
  /** Objects with an error that nobody has been told yet. */
  readonly faults: Set<Reference> = new Set();
  /** The homes of shared objects, once a module that needs them is loaded. */
  homes: HomesOfProcess | undefined;
  /** What lets this process join the arena of the tree; set in children. */
  invitation: Invitation | undefined;
  /**
   * Called when something starts to wait here, and in the turn after the one in
   * which nothing does any more: most who were served wait again at once.
   */
  readonly onWaiting: Set<(waiting: boolean) => void> = new Set();

  #nextCall = 1;
  readonly #pending = new Map<number, PendingCall>();
  /** What was told of that. */
  #isWaiting = false;
  #looking: ReturnType<typeof setImmediate> | undefined;
  /** How to give each of them up, which answers it. */
  readonly #serving = new Map<string, () => void>();
  /** Owners that casts went to, by an object that is there. */
  readonly #castOwners = new Map<string, Reference>();
  #parent: Link | undefined;
  readonly #children = new Map<string, Link>();
  readonly #ended = new Map<string, Ended>();

  // ---- Operations, as seen by the caller ----

  call(
    reference: Reference,
    code: number,
    options: CallOptions,
  ): Promise<Outcome | undefined> {
    const { timeout, signal, undo } = options;
    const fault = reference.ownerGone ??
      (code === FENCE ? undefined : reference.takeFault());
    if (fault !== undefined) {
      if (options.packet) this.dropPacket(options.packet);
      return Promise.reject(fault);
    }
    if (signal?.aborted) {
      if (options.packet) this.dropPacket(options.packet);
      return Promise.reject(signal.reason);
    }
    return new Promise((resolve, reject) => {
      let stopTimer: (() => void) | undefined;
      const cleanUp = () => {
        stopTimer?.();
        signal?.removeEventListener("abort", onAbort);
      };
      let givenUp: (() => void) | undefined;
      let isSettled = false;
      const settle = (status: number, outcome: Outcome) => {
        isSettled = true;
        cleanUp();
        if (status === Status.NotReady && givenUp !== undefined) {
          return givenUp();
        }
        const fault = code === FENCE ? undefined : reference.takeFault();
        if (fault !== undefined) {
          if (status === Status.Done) this.#undo(undo, outcome);
          reject(fault);
        } else if (status === Status.Done) resolve(outcome);
        else if (status === Status.NotReady) resolve(undefined);
        else reject(this.#failure(reference, outcome.packet));
      };
      const onAbort = () => giveUp(() => reject(signal!.reason));
      const withdraw = this.#start(reference, code, options, settle, undo);
      if (withdraw === undefined) return;
      // It may turn out to be done: then that was settled, and `end` is late.
      const giveUp = (end: () => void) => {
        cleanUp();
        if (!withdraw(options.certain === true)) return end();
        givenUp = end;
        stopTimer = startTimer(() => {
          withdraw(false);
          end();
        }, ANSWER_BOUND);
      };
      if (timeout === 0 && reference.direct !== undefined) {
        return giveUp(() => resolve(undefined));
      }
      if (timeout !== undefined && timeout > 0) {
        stopTimer = startTimer(() => giveUp(() => resolve(undefined)), timeout);
      }
      signal?.addEventListener("abort", onAbort, { once: true });
      options.waits?.((reason) => {
        if (!isSettled) giveUp(() => reject(reason));
      });
    });
  }

  #wait(call: number, pending: PendingCall): void {
    this.#pending.set(call, pending);
    if (!this.#isWaiting) this.#tellWaiting(true);
  }

  #tellWaiting(waiting: boolean): void {
    this.#isWaiting = waiting;
    for (const tell of this.onWaiting) tell(waiting);
  }

  #waitOver(call: number): void {
    this.#pending.delete(call);
    if (this.#pending.size > 0) return;
    this.#looking ??= setImmediate(() => {
      this.#looking = undefined;
      if (this.#pending.size === 0) this.#tellWaiting(false);
    });
  }

  /** Decodes an error, and remembers when it is for good. */
  #failure(reference: Reference, packet: Packet): unknown {
    let error: unknown;
    try {
      error = this.unpack(packet);
    } catch (undecodable) {
      return undecodable;
    }
    if (error instanceof ProcessExitError && reference.object === undefined) {
      reference.ownerGone = error;
    }
    return error;
  }

  /**
   * Starts an operation; gives how to give it up, unless it has settled. That
   * says whether an answer will still come, if one is wanted: what is done
   * within reach settles in the call, or never.
   */
  #start(
    reference: Reference,
    code: number,
    options: CallOptions,
    settle: (status: number, outcome: Outcome) => void,
    undo: ((outcome: Outcome) => void) | undefined,
  ): ((isAnswerWanted: boolean) => boolean) | undefined {
    const call = this.#nextCall++;
    const direct = options.atOwner ? reference.object : reference.direct;
    if (direct !== undefined) {
      this.use(reference);
      let settled = false;
      // The pending entry keeps the public object alive while it waits.
      const done = (status: number, outcome: Outcome) => {
        settled = true;
        this.#waitOver(call);
        settle(status, outcome);
      };
      const withdraw = this.#perform(direct, {
        code,
        caller: this.path,
        part: reference.part,
        number: options.number ?? 0,
        packet: options.packet,
      }, (status, number, packet) => {
        done(status, { number, packet: packet ?? NO_PACKET });
      });
      if (settled || withdraw === undefined) return undefined;
      this.#wait(call, {
        owner: this.path,
        reference,
        settle: done,
        undo,
        packet: undefined,
        abandoned: false,
      });
      return () => {
        withdraw();
        this.#waitOver(call);
        return false;
      };
    }
    const pending: PendingCall = {
      owner: reference.owner,
      reference,
      settle,
      undo,
      packet: options.packet,
      abandoned: false,
    };
    this.#wait(call, pending);
    this.#sendCall(reference, code, call, options);
    if (!this.#pending.has(call)) return undefined;
    return (isAnswerWanted) => {
      pending.abandoned = !isAnswerWanted;
      this.route(reference.owner, Frame.Cancel, (out) => {
        out.text(this.path);
        out.varint(call);
      });
      return isAnswerWanted;
    };
  }

  #sendCall(
    reference: Reference,
    code: number,
    call: number,
    options: CallOptions & { sync?: boolean },
  ): void {
    // The owner keeps the time only of a caller that cannot: one that does not
    // wait at all, or one that is blocked.
    const { timeout } = options;
    this.route(reference.owner, Frame.Call, (out) => {
      out.text(this.path);
      out.varint(call);
      out.varint(reference.id);
      out.u8(reference.part);
      out.u8(code);
      out.f64(
        timeout === 0 || (options.sync && timeout !== undefined) ? timeout : -1,
      );
      out.f64(options.number ?? 0);
      writePacket(out, options.packet ?? NO_PACKET);
    });
  }

  callSync(
    reference: Reference,
    code: number,
    options: CallOptions,
  ): Outcome | undefined {
    const fault = reference.ownerGone ??
      (code === FENCE ? undefined : reference.takeFault());
    if (fault !== undefined) {
      if (options.packet) this.dropPacket(options.packet);
      throw fault;
    }
    const direct = options.atOwner ? reference.object : reference.direct;
    if (direct === undefined) {
      return this.#callSyncElsewhere(reference, code, options);
    }
    let answer: { status: number; outcome: Outcome } | undefined;
    const withdraw = this.#start(
      reference,
      code,
      options,
      (status, outcome) => answer = { status, outcome },
      undefined,
    );
    options.started?.();
    if (withdraw !== undefined && answer === undefined) {
      // What was said before may be what the others wait for.
      if (this.#parent?.channel.idle === false) {
        this.syncPort?.exchange(this.syncRequest(0));
      }
      const ended = options.timeout === 0
        ? "late"
        : direct.agent!.block(() => answer !== undefined, options.timeout);
      if (ended !== "over") {
        withdraw(false);
        if (answer === undefined && ended === "late") return undefined;
      }
      if (answer === undefined) {
        throw new InvalidStateError(
          "Cannot block: no other thread or process reaches the memory of the object, so that nothing could end the wait; await the asynchronous form, or block in a child",
        );
      }
    }
    return this.#outcome(answer!.status, answer!.outcome);
  }

  #outcome(status: number, outcome: Outcome): Outcome | undefined {
    if (status === Status.Done) return outcome;
    if (status === Status.NotReady) return undefined;
    throw this.unpack(outcome.packet);
  }

  #callSyncElsewhere(
    reference: Reference,
    code: number,
    options: CallOptions,
  ): Outcome | undefined {
    if (
      this.syncPort === undefined ||
      this.#nextHop(reference.owner) !== this.#parent
    ) {
      if (options.packet) this.dropPacket(options.packet);
      throw new InvalidStateError(
        `Cannot block: the object belongs to a process below this one (${reference.owner}), which is reached by this thread's event loop; await the asynchronous form`,
      );
    }
    const call = this.#nextCall++;
    this.#sendCall(reference, code, call, { ...options, sync: true });
    options.started?.();
    const answer = this.syncPort.exchange(
      this.syncRequest(call),
      code === FENCE ? options.timeout : undefined,
    );
    const input = new ByteReader(answer);
    if (input.u8() !== Frame.Reply) {
      throw new ClosedError("Cannot block: the way to the parent is closed");
    }
    for (let faults = input.varint(); faults > 0; faults--) {
      this.#handle(undefined, Frame.Fault, input.raw(input.varint()));
    }
    input.text();
    input.varint();
    const status = input.u8();
    const number = input.f64();
    return this.#outcome(status, { number, packet: readPacket(input) });
  }

  /** The request to a {@linkcode SyncPort}: all that is unsent, in order. */
  syncRequest(call: number): Uint8Array {
    const { after, twice, bytes }: Unsent = this.#parent!.channel.takeUnsent();
    const out = new ByteWriter(256);
    out.varint(after);
    out.varint(twice);
    out.varint(call);
    out.raw(bytes);
    return out.take();
  }

  cast(
    reference: Reference,
    code: number,
    number: number,
    packet: Packet | undefined,
  ): void {
    if (reference.direct !== undefined) {
      this.use(reference);
      let failure: Packet | undefined;
      this.#perform(reference.direct, {
        code,
        caller: this.path,
        part: reference.part,
        number,
        packet,
      }, (status, _number, packet) => {
        if (status === Status.Failed) failure = packet;
      });
      if (failure !== undefined) throw this.unpack(failure);
      return;
    }
    this.#castOwners.set(reference.owner, reference);
    this.route(reference.owner, Frame.Cast, (out) => {
      out.text(this.path);
      out.varint(reference.id);
      out.u8(reference.part);
      out.u8(code);
      out.f64(number);
      writePacket(out, packet ?? NO_PACKET);
    });
  }

  readonly #goingOn = new Set<Promise<unknown>>();

  /** Lets an operation finish by itself; its error is kept as a fault. */
  goOn(reference: Reference, operation: Promise<unknown>): void {
    const going = operation.catch((error) =>
      reference.fail(error instanceof Error ? error : new Error(String(error)))
    ).finally(() => this.#goingOn.delete(going));
    this.#goingOn.add(going);
  }

  /** Waits for what goes on by itself. For the end of a process. */
  async settled(): Promise<void> {
    while (this.#goingOn.size > 0) await Promise.all(this.#goingOn);
  }

  /**
   * Waits until the owners have seen the casts so far, so that errors of them
   * are here. For the end of a process; bounded by `patience` milliseconds.
   */
  async fence(patience: number): Promise<void> {
    const waits = [...this.#castOwners].map(([, reference]) =>
      this.call(reference, FENCE, { timeout: patience }).catch(() => {})
    );
    this.#castOwners.clear();
    await Promise.all(waits);
  }

  /** The same without turning the event loop; what cannot be asked is not. */
  fenceSync(patience: number): void {
    const owners = [...this.#castOwners.values()];
    this.#castOwners.clear();
    for (const reference of owners) {
      try {
        this.callSync(reference, FENCE, { timeout: patience });
      } catch {
        // The owner is below this process, or gone.
      }
    }
  }

  // ---- Operations, as seen by the owner ----

  #perform(
    object: SharedObject,
    operation: Operation,
    reply: Reply,
  ): Withdraw | undefined {
    const { agent } = object;
    if (agent !== undefined) agent.serving = operation.caller !== this.path;
    try {
      return object.perform(operation, reply);
    } catch (error) {
      reply(Status.Failed, 0, this.packError(error));
      return undefined;
    }
  }

  /** Encodes an error; one that cannot be sent as its message. */
  packError(error: unknown): Packet {
    try {
      return this.pack(error);
    } catch {
      return this.pack(new Error(messageOf(error)));
    }
  }

  /** Has a process look at its mailbox. */
  ring(path: string): void {
    this.route(path, Frame.Bell, () => {});
  }

  #closedError(id: number): ClosedError {
    return new ClosedError(
      `The object is closed: its owner no longer has number ${id}`,
    );
  }

  #serve(
    src: string,
    call: number,
    id: number,
    operation: Operation,
    timeout: number,
  ): void {
    const key = `${src}#${call}`;
    let stopTimer: (() => void) | undefined;
    let answered = false;
    const reply: Reply = (status, number, packet) => {
      answered = true;
      stopTimer?.();
      this.#serving.delete(key);
      this.#sendReply(src, call, status, number, packet ?? NO_PACKET);
    };
    if (operation.code === FENCE) return reply(Status.Done, 0);
    const object = this.objectOf(id);
    if (object === undefined) {
      if (operation.packet) this.dropPacket(operation.packet);
      return reply(Status.Failed, 0, this.packError(this.#closedError(id)));
    }
    const withdraw = this.#perform(object, operation, reply);
    if (answered || withdraw === undefined) return;
    const giveUp = () => {
      withdraw();
      // All who have passed the call on forget it with the answer.
      if (!answered) reply(Status.NotReady, 0);
    };
    if (timeout === 0) return giveUp();
    this.#serving.set(key, giveUp);
    if (timeout > 0) stopTimer = startTimer(giveUp, timeout);
  }

  #sendReply(
    src: string,
    call: number,
    status: number,
    number: number,
    packet: Packet,
  ): void {
    this.route(src, Frame.Reply, (out) => {
      out.varint(call);
      out.u8(status);
      out.f64(number);
      writePacket(out, packet);
    });
  }

  // ---- Ways ----

  /** The link towards `path`; `undefined` when there is none any more. */
  #nextHop(path: string): Link | undefined {
    if (!path.startsWith(this.path + ".")) return this.#parent;
    const rest = path.slice(this.path.length + 1);
    const dot = rest.indexOf(".");
    const child = dot < 0 ? path : path.slice(0, this.path.length + 1 + dot);
    return this.#children.get(child);
  }

  /** Sends a frame to the process at `to`; frames to oneself come back. */
  protected override route(
    to: string,
    kind: number,
    write: (out: ByteWriter) => void,
  ): void {
    const link = to === this.path ? undefined : this.#nextHop(to);
    if (link !== undefined && !link.channel.closed) {
      if (
        link.servesSync && to === link.path &&
        (kind === Frame.Reply || kind === Frame.Fault)
      ) {
        const out = new ByteWriter(256);
        out.text(to);
        write(out);
        const body = out.take();
        if (kind === Frame.Reply) this.#passReply(link, body);
        else link.heldFaults.push(body);
        return;
      }
      const out = link.channel.begin(kind);
      out.text(to);
      write(out);
      link.channel.commit();
      return;
    }
    const out = new ByteWriter(256);
    out.text(to);
    write(out);
    const body = out.take();
    if (to === this.path) this.#handle(undefined, kind, body);
    else this.#undeliverable(to, kind, body);
  }

  /** A blocked caller gets its answer on the way it asked. */
  #passReply(link: Link, body: Uint8Array): void {
    const input = new ByteReader(body);
    const to = input.text();
    const respond = to === link.path
      ? link.takeSyncReply(input.varint())
      : undefined;
    if (respond !== undefined) {
      // Faults that were due before go with it.
      const answer = new ByteWriter(body.length + 16);
      answer.u8(Frame.Reply);
      const faults = link.heldFaults.splice(0);
      answer.varint(faults.length);
      for (const fault of faults) {
        answer.varint(fault.length);
        answer.raw(fault);
      }
      answer.raw(body);
      return respond(answer.take());
    }
    link.channel.begin(Frame.Reply).raw(body);
    link.channel.commit();
  }

  /** A frame arrived from a neighbour. */
  receive(link: Link, kind: number, body: Uint8Array): void {
    if (kind === Frame.Control) {
      const input = new ByteReader(body);
      const bytes = input.raw(input.varint());
      const message = this.unpack({ bytes, refs: NO_REFS });
      return link.control(message, keepPacket(readPacket(input)));
    }
    this.#handle(link, kind, body);
  }

  #handle(from: Link | undefined, kind: number, body: Uint8Array): void {
    const input = new ByteReader(body);
    const to = input.text();
    if (
      from !== undefined && !from.isParent &&
      (kind === Frame.Call || kind === Frame.Cast || kind === Frame.Lease ||
        kind === Frame.Adopt)
    ) from.touched.add(to);
    // Nobody below speaks for others.
    if (
      from !== undefined && !from.isParent &&
      (kind === Frame.Call || kind === Frame.Cast || kind === Frame.Cancel)
    ) {
      const { pos } = input;
      if (!isWithin(input.text(), from.path)) {
        throw new SerializationError(
          "Cannot read a frame: it speaks for another process",
        );
      }
      input.pos = pos;
    }
    if (to !== this.path) return this.#forward(from, to, kind, body, input);
    switch (kind) {
      case Frame.Call: {
        const src = input.text();
        const call = input.varint();
        const id = input.varint();
        const part = input.u8();
        const code = input.u8();
        const timeout = input.f64();
        const number = input.f64();
        const packet = keepPacket(readPacket(input));
        return this.#serve(
          src,
          call,
          id,
          { code, caller: src, part, number, packet },
          timeout,
        );
      }
      case Frame.Cast: {
        const src = input.text();
        const id = input.varint();
        const part = input.u8();
        const code = input.u8();
        const number = input.f64();
        const packet = keepPacket(readPacket(input));
        const reply: Reply = (status, _number, error) => {
          if (status === Status.Failed) this.#sendFault(src, id, part, error!);
        };
        const object = this.objectOf(id);
        if (object === undefined) {
          this.dropPacket(packet);
          return reply(
            Status.Failed,
            0,
            this.packError(this.#closedError(id)),
          );
        }
        this.#perform(
          object,
          { code, caller: src, part, number, packet },
          reply,
        );
        return;
      }
      case Frame.Reply:
        return this.#replied(from, input);
      case Frame.Cancel: {
        const src = input.text();
        const call = input.varint();
        // Else the answer is on its way.
        this.#serving.get(`${src}#${call}`)?.();
        return;
      }
      case Frame.Gone: {
        const prefix = input.text();
        // Nobody speaks for others than those below it.
        if (from && !from.isParent && !isWithin(prefix, from.path)) return;
        return this.#gone(prefix);
      }
      case Frame.Fault: {
        const key = input.text();
        const error = this.unpack(readPacket(input));
        const failure = error instanceof Error ? error : new Error(`${error}`);
        // The object may have been dropped since: the error still counts.
        const [owner = "", number = ""] = key.split("#");
        const reference = this.referenceOf(key) ??
          new Reference(this, 0, 0, { owner, id: parseInt(number) });
        reference.fail(failure);
        return;
      }
      case Frame.Bell:
        return this.homes?.rung();
      case Frame.Lease:
      case Frame.Adopt:
      case Frame.Drop:
        return this.leaseFrame(kind, input);
    }
  }

  #replied(from: Link | undefined, input: ByteReader): void {
    const call = input.varint();
    const asked = this.#pending.get(call);
    // An answer comes from where the question went.
    const pending = from === undefined || from.isParent ||
        (asked !== undefined && isWithin(asked.owner, from.path))
      ? asked
      : undefined;
    const status = input.u8();
    const number = input.f64();
    // Whoever waits gets it in a later turn, when the frame is gone.
    const packet = keepPacket(readPacket(input));
    if (pending === undefined) return this.dropPacket(packet);
    this.#waitOver(call);
    if (!pending.abandoned) return pending.settle(status, { number, packet });
    if (status === Status.Done) this.#undo(pending.undo, { number, packet });
    else this.dropPacket(packet);
  }

  #undo(undo: PendingCall["undo"], outcome: Outcome): void {
    if (undo === undefined) this.dropPacket(outcome.packet);
    else undo(outcome);
  }

  #forward(
    from: Link | undefined,
    to: string,
    kind: number,
    body: Uint8Array,
    input: ByteReader,
  ): void {
    const link = this.#nextHop(to);
    if (link === undefined || link === from || link.channel.closed) {
      return this.#undeliverable(to, kind, body);
    }
    if (kind === Frame.Call) {
      const src = input.text();
      const call = input.varint();
      if (!link.isParent) link.underWay.set(`${src}#${call}`, { src, call });
    } else if (kind === Frame.Reply) {
      const call = input.varint();
      from?.underWay.delete(`${to}#${call}`);
      return this.#passReply(link, body);
    }
    if (kind === Frame.Fault && link.servesSync && to === link.path) {
      link.heldFaults.push(body.slice());
      return;
    }
    link.channel.begin(kind).raw(body);
    link.channel.commit();
  }

  /** There is no way to `to` any more: whoever waits is told. */
  #undeliverable(to: string, kind: number, body: Uint8Array): void {
    const input = new ByteReader(body);
    input.text();
    if (kind === Frame.Call) {
      const src = input.text();
      const call = input.varint();
      input.varint();
      input.raw(2 + 8 + 8); // Part and code, time and number.
      this.dropPacket(readPacket(input));
      const error = this.packError(this.ownerEnded(to));
      this.#sendReply(src, call, Status.Failed, 0, error);
    } else if (kind === Frame.Cast) {
      const src = input.text();
      const id = input.varint();
      const part = input.u8();
      input.raw(1 + 8); // Code and number.
      this.dropPacket(readPacket(input));
      this.#sendFault(
        src,
        id,
        part,
        this.packError(this.ownerEnded(to)),
        to,
      );
    }
  }

  #sendFault(
    src: string,
    id: number,
    part: number,
    error: Packet,
    owner = this.path,
  ): void {
    this.route(src, Frame.Fault, (out) => {
      out.text(`${owner}#${id}.${part}`);
      writePacket(out, error);
    });
  }

  /** The error for whoever depends on the process at `path`, which has ended. */
  ownerEnded(path: string, known?: Ended): ProcessExitError {
    const ended = known ??
      this.#ended.entries().find(([ended]) => isWithin(path, ended))?.[1];
    if (ended !== undefined) {
      const { name, pid, exitCode, signal } = ended;
      const how = signal !== null
        ? `was ended by ${signal}`
        : `ended with exit code ${exitCode}`;
      const what = THREAD.test(path) ? "thread" : "process";
      return new ProcessExitError(
        `The owner of the object is gone: ${what} "${name}" (pid ${pid}) ${how}`,
        { process: name, pid, exitCode, signal },
      );
    }
    return new ProcessExitError(
      `The owner of the object is gone: there is no process ${path}`,
    );
  }

  // ---- The tree ----

  /** The channel to the parent is up. */
  setParent(link: Link): void {
    this.#parent = link;
    this.homes?.neighboursChanged();
  }

  get parent(): Link | undefined {
    return this.#parent;
  }

  addChild(link: Link): void {
    this.#children.set(link.path, link);
    this.homes?.neighboursChanged();
  }

  /** Whether there are processes below this one. */
  get hasChildren(): boolean {
    return this.#children.size > 0;
  }

  /** Whether there is a process above or below this one. */
  get hasNeighbours(): boolean {
    return this.#parent !== undefined || this.#children.size > 0;
  }

  /** A child has ended, and all it sent has been read. */
  childEnded(path: string, ended: Ended): void {
    this.#ended.set(path, ended);
    if (this.#ended.size > ENDED_KEPT) {
      this.#ended.delete(this.#ended.keys().next().value!);
    }
    const link = this.#children.get(path);
    this.#children.delete(path);
    link?.channel.close();
    this.homes?.neighboursChanged();
    const error = this.ownerEnded(path);
    for (const [call, pending] of this.#pending) {
      if (!isWithin(pending.owner, path)) continue;
      this.#waitOver(call);
      if (pending.packet) this.dropPacket(pending.packet);
      if (!pending.abandoned) {
        pending.settle(Status.Failed, {
          number: 0,
          packet: this.packError(error),
        });
      }
    }
    for (const { src, call } of link?.underWay.values() ?? []) {
      this.#sendReply(src, call, Status.Failed, 0, this.packError(error));
    }
    for (const owner of link?.touched ?? []) {
      if (isWithin(owner, path)) continue;
      this.route(owner, Frame.Gone, (out) => out.text(path));
    }
  }

  /** A process we served, or that holds something of ours, is gone. */
  #gone(prefix: string): void {
    const isGone = (path: string) => isWithin(path, prefix);
    for (const [key, withdraw] of [...this.#serving]) {
      if (isGone(key.slice(0, key.indexOf("#")))) withdraw();
    }
    this.holdersGone(isGone);
  }
}

/** The hub of this process. */
export const hub: Hub = new Hub();
