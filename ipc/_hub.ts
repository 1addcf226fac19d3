// Copyright 2026 the multitask authors. MIT license.
// The hub: how an operation on an object of another process gets there.
//
// Processes form a tree; a process's path names its place in it ("0" is the
// root, "0.3" its third child). Each has one channel to its parent and one to
// each child. A frame that is for somebody else is passed on by its address,
// without decoding what it carries.
//
// Objects live in their owner and are known as owner path + number. Whoever
// holds one elsewhere holds a *lease*; an entry goes when its owner has let go
// of it and no lease is left, or when it is closed.
//
//   A lease is minted by whoever sends a handle, under a fresh name, and told
//   to the owner before the handle leaves (`Lease`, same ordered way). Whoever
//   ends up with the handle takes the lease over (`Adopt`) or gives it back
//   (`Drop`). When the handle overtakes its lease on another way, the owner
//   keeps the early Drop as a tombstone until the Lease arrives.
//
//   A call is pending at the caller, under way at the processes that pass it
//   on, and served at the owner. Whoever sits next to a process that dies
//   answers every call that was on its way into it, drops what came out of it,
//   and tells each owner that the dead one ever spoke to (`Gone`), which frees
//   what it held. A caller that gives up settles at once and says `Cancel`; if
//   the answer crosses it, the caller undoes it.
//
// The channel to the parent can be used without turning the event loop, by a
// `SyncPort`: everything unsent goes with the request (see `Unsent`).

import { ByteReader, ByteWriter } from "./_bytes.ts";
import { Channel, kept, type Unsent } from "./_channel.ts";
import { decode, encode, type Handle, handle } from "./_codec.ts";
import { startTimer } from "./_timer.ts";
import {
  ClosedError,
  InvalidStateError,
  ProcessExitError,
  SerializationError,
} from "./errors.ts";

/** Kinds of frames that the hub routes. Control frames start at 32. */
const Frame = {
  Call: 1,
  Cast: 2,
  Reply: 3,
  Cancel: 4,
  Gone: 5,
  Fault: 6,
  Lease: 7,
  Adopt: 8,
  Drop: 9,
  Sync: 10,
  SyncDone: 11,
  Control: 32,
} as const;

/** How an operation ended. */
export const Status = {
  /** Done; number and packet are the result. */
  Done: 0,
  /** It would have had to wait, or waited until its time was up. */
  NotReady: 1,
  /** It failed; the packet is the error. */
  Failed: 2,
} as const;

/** A reference to a shared object, as it crosses. */
export interface Ref {
  readonly type: number;
  readonly owner: string;
  readonly id: number;
  /** Which part of the object is meant: an end of a pipe. */
  readonly part: number;
  readonly lease: string;
}

/** A value on its way: bytes, and leases for the handles in it. */
export interface Packet {
  readonly bytes: Uint8Array;
  readonly refs: readonly Ref[];
}

const NO_REFS: readonly Ref[] = [];
const NO_PACKET: Packet = { bytes: new Uint8Array(0), refs: NO_REFS };

/** An operation as an object is asked to perform it. */
export interface Operation {
  readonly code: number;
  /** The process on whose behalf. */
  readonly caller: string;
  readonly part: number;
  readonly number: number;
  readonly packet: Packet | undefined;
}

/** Answers an operation, once. */
export type Reply = (status: number, number: number, packet?: Packet) => void;

/** Takes a waiting operation out; it will not be answered then. */
export type Withdraw = () => void;

/** What lives in its owner and is operated on from anywhere. */
export interface SharedObject {
  /**
   * Performs an operation: answers at once, or gives back how to withdraw it
   * while it waits. Throws what the caller shall get.
   */
  perform(operation: Operation, reply: Reply): Withdraw | undefined;
  /** A process that may hold something of it has ended. */
  holderGone(isGone: (path: string) => boolean): void;
  /** The leases of a part went to none, or the owner let go of it. */
  partDropped?(part: number): void;
  /** Whether a part that is passed on unused is no longer held here. */
  readonly partsMove?: boolean;
  /** Ends every wait on it with `error` and lets go of what it holds. */
  destroy(error: Error): void;
}

/** A class of handles: how to make the public object around a reference. */
export interface HandleType {
  /** The number that stands for the class in messages. */
  readonly type: number;
  /** Makes the public object. */
  readonly revive: (reference: Reference) => Handle;
}

interface Lease {
  holder: string;
  readonly part: number;
  adopted: boolean;
}

interface Entry {
  readonly id: number;
  readonly object: SharedObject;
  readonly leases: Map<string, Lease>;
  /** Leases that were dropped before they were announced. */
  readonly tombstones: Set<string>;
  /** The public objects the owner itself still has, by part. */
  readonly local: Map<number, WeakRef<Handle>>;
}

/** What an operation gives when it is done. */
export interface Outcome {
  readonly number: number;
  readonly packet: Packet;
}

/** How an operation is asked for. */
export interface CallOptions {
  number?: number | undefined;
  packet?: Packet | undefined;
  timeout?: number | undefined;
  signal?: AbortSignal | undefined;
  /** Undoes a success that the caller no longer waits for. */
  undo?: (outcome: Outcome) => void;
}

interface PendingCall {
  readonly owner: string;
  /** Keeps the handle alive while something waits on it. */
  readonly reference: Reference;
  settle(status: number, outcome: Outcome): void;
  readonly undo: ((outcome: Outcome) => void) | undefined;
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

function writePacket(out: ByteWriter, packet: Packet): void {
  out.varint(packet.refs.length);
  for (const ref of packet.refs) writeRef(out, ref);
  out.raw(packet.bytes);
}

function writeRef(out: ByteWriter, ref: Ref): void {
  out.u8(ref.type);
  out.text(ref.owner);
  out.varint(ref.id);
  out.u8(ref.part);
  out.text(ref.lease);
}

function readRef(input: ByteReader): Ref {
  return {
    type: input.u8(),
    owner: input.text(),
    id: input.varint(),
    part: input.u8(),
    lease: input.text(),
  };
}

/** Reads a packet; its bytes are a view that is valid during the frame. */
function readPacket(input: ByteReader): Packet {
  const count = input.varint();
  if (count === 0) return { bytes: input.rest(), refs: NO_REFS };
  const refs: Ref[] = [];
  for (let i = 0; i < count; i++) refs.push(readRef(input));
  return { bytes: input.rest(), refs };
}

/** Makes a packet safe to keep after the frame it came in. */
export function keepPacket(packet: Packet): Packet {
  return { bytes: kept(packet.bytes), refs: packet.refs };
}

/**
 * A channel to a neighbour in the tree, and what the hub has to remember about
 * it: the calls that went through it and the owners that were spoken to.
 */
export class Link {
  readonly path: string;
  readonly channel: Channel;
  readonly isParent: boolean;
  /** Calls on their way into this link, to the process that waits for each. */
  readonly underWay = new Map<string, { src: string; call: number }>();
  readonly touched = new Set<string>();
  readonly control: (packet: Packet) => void;
  readonly #syncReplies = new Map<number, (answer: Uint8Array) => void>();
  readonly #syncWaiting: (() => boolean)[] = [];

  constructor(
    hub: Hub,
    path: string,
    isParent: boolean,
    stream: ConstructorParameters<typeof Channel>[0],
    events: { control: (packet: Packet) => void; end: () => void },
  ) {
    this.path = path;
    this.isParent = isParent;
    this.control = events.control;
    this.channel = new Channel(stream, {
      frame: (kind, body) => {
        hub.receive(this, kind, body);
        this.#runSync();
      },
      end: () => events.end(),
    });
  }

  /** Sends a frame for the neighbour itself. */
  sendControl(packet: Packet): void {
    writePacket(this.channel.begin(Frame.Control), packet);
    this.channel.commit();
  }

  /** Whether the neighbour is blocked in a request. */
  get servesSync(): boolean {
    return this.#syncReplies.size > 0;
  }

  /** Where an answer goes whose caller is blocked; `undefined` elsewhere. */
  takeSyncReply(call: number): ((answer: Uint8Array) => void) | undefined {
    const respond = this.#syncReplies.get(call);
    this.#syncReplies.delete(call);
    return respond;
  }

  /**
   * Serves one request of the neighbour's {@linkcode SyncPort}. It is taken up
   * when all that the neighbour wrote before it has arrived.
   */
  serveSync(request: Uint8Array, respond: (answer: Uint8Array) => void): void {
    const input = new ByteReader(request);
    const after = input.varint();
    const twice = input.varint();
    const call = input.varint();
    const frames = input.rest();
    this.#syncWaiting.push(() => {
      if (this.channel.received < after) return false;
      const seen = Math.min(this.channel.received - after, twice);
      if (call > 0) this.#syncReplies.set(call, respond);
      this.channel.skip(twice - seen);
      this.channel.deliver(frames, seen);
      if (call === 0) respond(new Uint8Array([Frame.SyncDone]));
      return true;
    });
    this.#runSync();
  }

  #runSync(): void {
    while (this.#syncWaiting.length > 0 && this.#syncWaiting[0]!()) {
      this.#syncWaiting.shift();
    }
  }
}

/**
 * A process's own view of one shared object: here or elsewhere. The public
 * classes hold one each.
 */
export class Reference {
  readonly type: number;
  readonly part: number;
  readonly object: SharedObject | undefined;
  readonly #hub: Hub;
  #owner: string;
  #id: number;
  /** Errors of operations nobody awaited. */
  #fault: Error | undefined;
  #closed = false;
  /** Whether anything was ever done with it in this process. */
  used = false;
  /** The public object around this reference. */
  handle: WeakRef<Handle> | undefined;

  constructor(
    hub: Hub,
    type: number,
    part: number,
    place: SharedObject | { owner: string; id: number },
  ) {
    this.#hub = hub;
    this.type = type;
    this.part = part;
    if ("perform" in place) {
      this.object = place;
      this.#owner = hub.path;
      this.#id = 0;
    } else {
      this.object = undefined;
      this.#owner = place.owner;
      this.#id = place.id;
    }
  }

  get owner(): string {
    return this.object === undefined ? this.#owner : this.#hub.path;
  }

  get id(): number {
    return this.#id;
  }

  /** The number the object gets when it is shared for the first time. */
  set id(id: number) {
    this.#id = id;
  }

  get closed(): boolean {
    return this.#closed;
  }

  markClosed(): void {
    this.#closed = true;
  }

  /** Keeps an error until somebody awaits something of this object. */
  fail(error: Error): void {
    if (this.#fault === undefined) this.#hub.faults.add(this);
    this.#fault ??= error;
  }

  /** Takes the error that is due, if there is one. */
  takeFault(): Error | undefined {
    const fault = this.#fault;
    if (fault !== undefined) {
      this.#fault = undefined;
      this.#hub.faults.delete(this);
    }
    return fault;
  }

  /**
   * Asks for an operation. Resolves to `undefined` when it was not ready in
   * time; rejects with the signal's reason, or what the owner threw.
   */
  call(code: number, options: CallOptions = {}): Promise<Outcome | undefined> {
    return this.#hub.call(this, code, options);
  }

  /** The same, blocking. */
  callSync(
    code: number,
    options: Pick<CallOptions, "number" | "packet" | "timeout"> = {},
  ): Outcome | undefined {
    return this.#hub.callSync(this, code, options);
  }

  /**
   * Asks for an operation that never waits and whose result nobody needs.
   * Throws when it fails here; elsewhere the error stays for the next call.
   */
  cast(code: number, number = 0, packet?: Packet): void {
    this.#hub.cast(this, code, number, packet);
  }
}

/** An operation that every owner answers at once, whatever the object. */
const FENCE = 255;

/** How many ended processes are remembered by name, for error messages. */
const ENDED_KEPT = 1000;

/** See the file comment. A program has one, {@linkcode hub}. */
export class Hub {
  /** This process's place in the tree. */
  path = "0";
  /** Where the calling thread may block for the parent; set in children. */
  syncPort: SyncPort | undefined;
  /** Objects with an error that nobody has been told yet. */
  readonly faults = new Set<Reference>();
  /** Called when something starts to wait here, and when nothing does. */
  onWaiting: ((waiting: boolean) => void) | undefined;
  /** Finds error classes of the task's module. */
  errorClass: ((name: string) => unknown) | undefined;

  readonly #types = new Map<number, HandleType>();
  readonly #entries = new Map<number, Entry>();
  #nextId = 1;
  #nextCall = 1;
  #nextLease = 1;
  readonly #pending = new Map<number, PendingCall>();
  readonly #serving = new Map<string, Withdraw>();
  /** Owners that casts went to, by an object that is there. */
  readonly #castOwners = new Map<string, Reference>();
  readonly #references = new Map<string, WeakRef<Handle>>();
  #parent: Link | undefined;
  readonly #children = new Map<string, Link>();
  readonly #ended = new Map<string, Ended>();
  readonly #handleOf = new WeakMap<Handle, Reference>();
  readonly #entryOf = new WeakMap<SharedObject, Entry>();
  readonly #localOf = new WeakMap<
    SharedObject,
    Map<number, WeakRef<Handle>>
  >();

  readonly #released = new FinalizationRegistry<
    { key: string; owner: string; id: number; leases: string[] }
  >(({ key, owner, id, leases }) => {
    if (this.#references.get(key)?.deref() === undefined) {
      this.#references.delete(key);
    }
    for (const lease of leases) this.#sendDrop(owner, id, lease);
  });
  readonly #leasesOf = new WeakMap<
    Reference,
    { key: string; owner: string; id: number; leases: string[] }
  >();
  readonly #dropped = new FinalizationRegistry<{ id: number; part: number }>(
    ({ id, part }) => {
      const entry = this.#entries.get(id);
      if (entry === undefined) return;
      if (entry.local.get(part)?.deref() === undefined) {
        entry.local.delete(part);
        this.#checkPart(entry, part);
      }
    },
  );

  // ---- Handles ----

  /** Makes a class of handles known. */
  register(type: HandleType): void {
    this.#types.set(type.type, type);
  }

  /** Binds a public object to its reference; both live as long. */
  bind(object: Handle, reference: Reference): void {
    this.#handleOf.set(object, reference);
    const weak = reference.handle = new WeakRef(object);
    if (reference.object === undefined) return;
    const local = this.#localOf.get(reference.object);
    if (local !== undefined) local.set(reference.part, weak);
    else {
      this.#localOf.set(
        reference.object,
        new Map([[reference.part, weak]]),
      );
    }
  }

  /**
   * Encodes a value with the handles in it, each under a lease of its own.
   * Throws `SerializationError`; nothing is leased then.
   */
  pack(
    value: unknown,
    root = "value",
    transfer?: readonly ArrayBuffer[],
  ): Packet {
    const { bytes, handles } = encode(value, { root, transfer });
    if (handles.length === 0) return { bytes, refs: NO_REFS };
    return { bytes, refs: handles.map((object) => this.#lease(object)) };
  }

  #lease(object: Handle): Ref {
    const reference = this.#handleOf.get(object)!;
    const { type, part } = reference;
    const lease = `${this.path}:${this.#nextLease++}`;
    if (reference.object !== undefined) {
      const entry = this.#share(reference);
      entry.leases.set(lease, { holder: this.path, part, adopted: false });
      // An end of a pipe that is passed on and not used here has moved.
      if (reference.object.partsMove && !reference.used) {
        entry.local.delete(part);
      }
    } else {
      this.#route(reference.owner, Frame.Lease, (out) => {
        out.text(this.path);
        out.varint(reference.id);
        out.u8(part);
        out.text(lease);
      });
    }
    return { type, owner: reference.owner, id: reference.id, part, lease };
  }

  #share(reference: Reference): Entry {
    const object = reference.object!;
    let entry = this.#entryOf.get(object);
    if (entry === undefined) {
      const local = this.#localOf.get(object)!;
      entry = {
        id: this.#nextId++,
        object,
        leases: new Map(),
        tombstones: new Set(),
        local,
      };
      this.#entries.set(entry.id, entry);
      this.#entryOf.set(object, entry);
      for (const [part, weak] of local) this.#watchLocal(entry, part, weak);
    }
    reference.id = entry.id;
    return entry;
  }

  #watchLocal(entry: Entry, part: number, weak: WeakRef<Handle>): void {
    const handle = weak.deref();
    if (handle === undefined) entry.local.delete(part);
    else this.#dropped.register(handle, { id: entry.id, part });
  }

  /** Counts the owner's own public object for a part (again). */
  #holdLocal(reference: Reference): void {
    const entry = this.#entryOf.get(reference.object!);
    const weak = reference.handle;
    if (entry === undefined || weak === undefined) return;
    if (!entry.local.has(reference.part) && !reference.closed) {
      entry.local.set(reference.part, weak);
    }
  }

  /** Decodes a packet and takes its leases over, also when decoding fails. */
  unpack(packet: Packet): unknown {
    const { refs } = packet;
    if (refs.length === 0) {
      return decode(packet.bytes, { errorClass: this.errorClass });
    }
    const taken = new Set<number>();
    try {
      return decode(packet.bytes, {
        errorClass: this.errorClass,
        handle: (index) => {
          const ref = refs[index];
          if (ref === undefined) {
            throw new SerializationError("Cannot decode: bad handle");
          }
          taken.add(index);
          return this.#adopt(ref);
        },
      });
    } finally {
      refs.forEach((ref, index) => {
        if (!taken.has(index)) this.#drop(ref);
      });
    }
  }

  /** Takes the leases of a packet over without decoding it: to keep it. */
  adoptPacket(packet: Packet): void {
    for (const ref of packet.refs) this.#sendAdopt(ref);
  }

  /** Gives back the leases of a packet that nobody will decode. */
  dropPacket(packet: Packet): void {
    for (const ref of packet.refs) this.#drop(ref);
  }

  #adopt(ref: Ref): Handle {
    const type = this.#types.get(ref.type);
    if (type === undefined) {
      throw new SerializationError(
        `Cannot decode: handles of type ${ref.type} are not known here; import the module that defines them`,
      );
    }
    if (ref.owner === this.path) {
      const entry = this.#entries.get(ref.id);
      if (entry === undefined) {
        const closed = new Reference(this, ref.type, ref.part, ref);
        closed.markClosed();
        return type.revive(closed);
      }
      let object = entry.local.get(ref.part)?.deref();
      if (object === undefined) {
        const reference = new Reference(
          this,
          ref.type,
          ref.part,
          entry.object,
        );
        reference.id = entry.id;
        object = type.revive(reference);
        this.#watchLocal(entry, ref.part, reference.handle!);
      }
      // It is back with its owner: here it counts as used.
      this.#handleOf.get(object)!.used = true;
      this.#holdLocal(this.#handleOf.get(object)!);
      this.#leaseDropped(ref.id, ref.lease);
      return object;
    }
    const key = `${ref.owner}#${ref.id}.${ref.part}`;
    const known = this.#references.get(key)?.deref();
    if (known !== undefined) {
      const reference = this.#handleOf.get(known)!;
      if (!reference.closed) {
        // One lease is enough, but this one may outlive the other's holder.
        this.#sendAdopt(ref);
        this.#leasesOf.get(reference)!.leases.push(ref.lease);
        if (this.#leasesOf.get(reference)!.leases.length > 1) {
          this.#sendDrop(
            ref.owner,
            ref.id,
            this.#leasesOf.get(reference)!.leases.shift()!,
          );
        }
        return known;
      }
    }
    const reference = new Reference(this, ref.type, ref.part, ref);
    const object = type.revive(reference);
    const held = {
      key,
      owner: ref.owner,
      id: ref.id,
      leases: [ref.lease],
    };
    this.#leasesOf.set(reference, held);
    this.#references.set(key, new WeakRef(object));
    this.#released.register(object, held, reference);
    this.#sendAdopt(ref);
    return object;
  }

  /** Lets go of an object: its leases here, or the whole entry at home. */
  release(reference: Reference): void {
    if (reference.object === undefined) {
      const held = this.#leasesOf.get(reference);
      if (held === undefined) return;
      this.#leasesOf.delete(reference);
      this.#released.unregister(reference);
      this.#references.delete(held.key);
      for (const lease of held.leases) {
        this.#sendDrop(held.owner, held.id, lease);
      }
      return;
    }
    const entry = this.#entryOf.get(reference.object);
    const local = this.#localOf.get(reference.object);
    if (local?.get(reference.part) !== reference.handle) return;
    local?.delete(reference.part);
    if (entry === undefined) reference.object.partDropped?.(reference.part);
    else this.#checkPart(entry, reference.part);
  }

  /** Takes an object of ours out: whoever still refers to it gets `error`. */
  remove(reference: Reference, error: Error): void {
    if (reference.object === undefined) return;
    const entry = this.#entryOf.get(reference.object);
    if (entry !== undefined) this.#entries.delete(entry.id);
    reference.object.destroy(error);
  }

  /** How many objects of ours are known elsewhere. */
  get sharedCount(): number {
    return this.#entries.size;
  }

  /** How many objects of others are known here. */
  get referenceCount(): number {
    return this.#references.size;
  }

  /** A packet of ours goes to `receiver`, who holds its leases from now on. */
  handOver(packet: Packet, receiver: string): void {
    if (receiver === this.path) return;
    for (const ref of packet.refs) {
      if (ref.owner !== this.path) continue;
      const lease = this.#entries.get(ref.id)?.leases.get(ref.lease);
      if (lease !== undefined) {
        lease.holder = receiver;
        lease.adopted = false;
      }
    }
  }

  #sendAdopt(ref: Ref): void {
    if (ref.owner === this.path) {
      const lease = this.#entries.get(ref.id)?.leases.get(ref.lease);
      if (lease !== undefined) {
        lease.holder = this.path;
        lease.adopted = true;
      }
      return;
    }
    this.#route(ref.owner, Frame.Adopt, (out) => {
      out.text(this.path);
      out.varint(ref.id);
      out.u8(ref.part);
      out.text(ref.lease);
    });
  }

  #drop(ref: Ref): void {
    this.#sendDrop(ref.owner, ref.id, ref.lease);
  }

  #sendDrop(owner: string, id: number, lease: string): void {
    if (owner === this.path) return this.#leaseDropped(id, lease);
    this.#route(owner, Frame.Drop, (out) => {
      out.text(this.path);
      out.varint(id);
      out.u8(0);
      out.text(lease);
    });
  }

  #leaseDropped(id: number, name: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    const lease = entry.leases.get(name);
    if (lease === undefined) {
      entry.tombstones.add(name);
      return;
    }
    entry.leases.delete(name);
    this.#checkPart(entry, lease.part);
  }

  #checkPart(entry: Entry, part: number): void {
    if (entry.local.has(part)) return;
    for (const lease of entry.leases.values()) {
      if (lease.part === part) return;
    }
    entry.object.partDropped?.(part);
    if (entry.leases.size > 0 || entry.local.size > 0) return;
    this.#entries.delete(entry.id);
    entry.object.destroy(
      new ClosedError("The object is gone: nobody held it any more"),
    );
  }

  // ---- Operations, as seen by the caller ----

  call(
    reference: Reference,
    code: number,
    options: CallOptions,
  ): Promise<Outcome | undefined> {
    const { timeout, signal, undo } = options;
    const fault = code === FENCE ? undefined : reference.takeFault();
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
      const settle = (status: number, outcome: Outcome) => {
        cleanUp();
        if (status === Status.Done) resolve(outcome);
        else if (status === Status.NotReady) resolve(undefined);
        else reject(this.unpack(outcome.packet));
      };
      const onAbort = () => {
        cleanUp();
        withdraw?.();
        reject(signal!.reason);
      };
      const withdraw = this.#start(reference, code, options, settle, undo);
      if (withdraw === undefined) return;
      if (timeout === 0 && reference.object !== undefined) {
        withdraw();
        return resolve(undefined);
      }
      if (timeout !== undefined && timeout > 0) {
        stopTimer = startTimer(() => {
          cleanUp();
          withdraw();
          resolve(undefined);
        }, timeout);
      }
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  #wait(call: number, pending: PendingCall): void {
    this.#pending.set(call, pending);
    if (this.#pending.size === 1) this.onWaiting?.(true);
  }

  #waitOver(call: number): void {
    if (this.#pending.delete(call) && this.#pending.size === 0) {
      this.onWaiting?.(false);
    }
  }

  #use(reference: Reference): void {
    if (reference.used) return;
    reference.used = true;
    this.#holdLocal(reference);
  }

  /** Starts an operation; gives how to give it up, unless it has settled. */
  #start(
    reference: Reference,
    code: number,
    options: CallOptions,
    settle: (status: number, outcome: Outcome) => void,
    undo: ((outcome: Outcome) => void) | undefined,
  ): (() => void) | undefined {
    const call = this.#nextCall++;
    const { object } = reference;
    if (object !== undefined) {
      this.#use(reference);
      let settled = false;
      // The pending entry keeps the public object alive while it waits.
      const done = (status: number, outcome: Outcome) => {
        settled = true;
        this.#waitOver(call);
        settle(status, outcome);
      };
      const withdraw = this.#perform(object, {
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
        abandoned: false,
      });
      return () => {
        this.#waitOver(call);
        withdraw();
      };
    }
    const pending: PendingCall = {
      owner: reference.owner,
      reference,
      settle,
      undo,
      abandoned: false,
    };
    this.#wait(call, pending);
    this.#sendCall(reference, code, call, options);
    if (!this.#pending.has(call)) return undefined;
    return () => {
      pending.abandoned = true;
      this.#route(reference.owner, Frame.Cancel, (out) => {
        out.text(this.path);
        out.varint(call);
      });
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
    this.#route(reference.owner, Frame.Call, (out) => {
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
    const fault = reference.takeFault();
    if (fault !== undefined) throw fault;
    if (reference.object === undefined) {
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
    if (withdraw !== undefined && answer === undefined) {
      withdraw();
      if (options.timeout === undefined) {
        if (options.packet) this.dropPacket(options.packet);
        throw new InvalidStateError(
          "Cannot block: this thread serves the object to all others, so that nothing could end the wait; await the asynchronous form, or block in a child",
        );
      }
      // Nobody can change the object while its own thread sits here.
      const pause = new Int32Array(new SharedArrayBuffer(4));
      Atomics.wait(pause, 0, 0, options.timeout);
      return undefined;
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
      throw new InvalidStateError(
        `Cannot block: the object belongs to a process below this one (${reference.owner}), which is reached by this thread's event loop; await the asynchronous form`,
      );
    }
    const call = this.#nextCall++;
    this.#sendCall(reference, code, call, { ...options, sync: true });
    const answer = this.syncPort.exchange(this.syncRequest(call));
    const input = new ByteReader(answer);
    if (input.u8() !== Frame.Reply) {
      throw new ClosedError("Cannot block: the way to the parent is closed");
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
    if (reference.object !== undefined) {
      this.#use(reference);
      let failure: Packet | undefined;
      this.#perform(reference.object, {
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
    this.#route(reference.owner, Frame.Cast, (out) => {
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

  // ---- Operations, as seen by the owner ----

  #perform(
    object: SharedObject,
    operation: Operation,
    reply: Reply,
  ): Withdraw | undefined {
    try {
      return object.perform(operation, reply);
    } catch (error) {
      reply(Status.Failed, 0, this.#packError(error));
      return undefined;
    }
  }

  #packError(error: unknown): Packet {
    try {
      return this.pack(error);
    } catch {
      return this.pack(
        new Error(error instanceof Error ? error.message : String(error)),
      );
    }
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
    const entry = this.#entries.get(id);
    if (entry === undefined) {
      if (operation.packet) this.dropPacket(operation.packet);
      return reply(Status.Failed, 0, this.#packError(this.#closedError(id)));
    }
    const withdraw = this.#perform(entry.object, operation, reply);
    if (answered || withdraw === undefined) return;
    if (timeout === 0) {
      withdraw();
      return reply(Status.NotReady, 0);
    }
    this.#serving.set(key, () => {
      stopTimer?.();
      this.#serving.delete(key);
      withdraw();
    });
    if (timeout > 0) {
      stopTimer = startTimer(() => {
        withdraw();
        reply(Status.NotReady, 0);
      }, timeout);
    }
  }

  #sendReply(
    src: string,
    call: number,
    status: number,
    number: number,
    packet: Packet,
  ): void {
    this.#route(src, Frame.Reply, (out) => {
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
  #route(
    to: string,
    kind: number,
    write: (out: ByteWriter) => void,
  ): void {
    const link = to === this.path ? undefined : this.#nextHop(to);
    if (link !== undefined && !link.channel.closed) {
      if (kind === Frame.Reply && link.servesSync && to === link.path) {
        const out = new ByteWriter(256);
        out.text(to);
        write(out);
        return this.#passReply(link, out.take());
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
      const frame = new Uint8Array(body.length + 1);
      frame[0] = Frame.Reply;
      frame.set(body, 1);
      return respond(frame);
    }
    link.channel.begin(Frame.Reply).raw(body);
    link.channel.commit();
  }

  /** A frame arrived from a neighbour. */
  receive(link: Link, kind: number, body: Uint8Array): void {
    if (kind === Frame.Control) {
      return link.control(readPacket(new ByteReader(body)));
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
        const entry = this.#entries.get(id);
        if (entry === undefined) {
          this.dropPacket(packet);
          return reply(
            Status.Failed,
            0,
            this.#packError(this.#closedError(id)),
          );
        }
        this.#perform(
          entry.object,
          { code, caller: src, part, number, packet },
          reply,
        );
        return;
      }
      case Frame.Reply:
        return this.#replied(input);
      case Frame.Cancel:
        this.#serving.get(`${input.text()}#${input.varint()}`)?.();
        return;
      case Frame.Gone:
        return this.#gone(input.text());
      case Frame.Fault: {
        const key = input.text();
        const error = this.unpack(readPacket(input));
        const object = this.#references.get(key)?.deref();
        const failure = error instanceof Error ? error : new Error(`${error}`);
        if (object !== undefined) this.#handleOf.get(object)!.fail(failure);
        return;
      }
      case Frame.Lease:
      case Frame.Adopt:
      case Frame.Drop:
        return this.#leaseFrame(kind, input);
    }
  }

  #leaseFrame(kind: number, input: ByteReader): void {
    const holder = input.text();
    const id = input.varint();
    const part = input.u8();
    const name = input.text();
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    if (kind === Frame.Drop) return this.#leaseDropped(id, name);
    if (entry.tombstones.delete(name)) {
      this.#checkPart(entry, part);
      return;
    }
    const lease = entry.leases.get(name);
    if (lease === undefined) {
      entry.leases.set(name, { holder, part, adopted: kind === Frame.Adopt });
    } else if (kind === Frame.Adopt) {
      lease.holder = holder;
      lease.adopted = true;
    }
  }

  #replied(input: ByteReader): void {
    const call = input.varint();
    const pending = this.#pending.get(call);
    const status = input.u8();
    const number = input.f64();
    const packet = readPacket(input);
    if (pending === undefined) return this.dropPacket(packet);
    this.#waitOver(call);
    if (!pending.abandoned) return pending.settle(status, { number, packet });
    if (status === Status.Done && pending.undo !== undefined) {
      pending.undo({ number, packet });
    } else this.dropPacket(packet);
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
    const out = link.channel.begin(kind);
    out.raw(body);
    link.channel.commit();
  }

  /** There is no way to `to` any more: whoever waits is told. */
  #undeliverable(to: string, kind: number, body: Uint8Array): void {
    const input = new ByteReader(body);
    input.text();
    if (kind === Frame.Call) {
      const src = input.text();
      const call = input.varint();
      const error = this.#packError(this.ownerEnded(to));
      this.#sendReply(src, call, Status.Failed, 0, error);
    } else if (kind === Frame.Cast) {
      const src = input.text();
      const id = input.varint();
      const part = input.u8();
      this.#sendFault(
        src,
        id,
        part,
        this.#packError(this.ownerEnded(to)),
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
    this.#route(src, Frame.Fault, (out) => {
      out.text(`${owner}#${id}.${part}`);
      writePacket(out, error);
    });
  }

  /** The error for whoever depends on the process at `path`, which has ended. */
  ownerEnded(path: string): ProcessExitError {
    for (const [ended, { name, pid, exitCode, signal }] of this.#ended) {
      if (!isWithin(path, ended)) continue;
      const how = signal !== null
        ? `was ended by ${signal}`
        : `ended with exit code ${exitCode}`;
      return new ProcessExitError(
        `The owner of the object is gone: process "${name}" (pid ${pid}) ${how}`,
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
  }

  get parent(): Link | undefined {
    return this.#parent;
  }

  addChild(link: Link): void {
    this.#children.set(link.path, link);
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
    const error = this.ownerEnded(path);
    for (const [call, pending] of this.#pending) {
      if (!isWithin(pending.owner, path)) continue;
      this.#waitOver(call);
      if (!pending.abandoned) {
        pending.settle(Status.Failed, {
          number: 0,
          packet: this.#packError(error),
        });
      }
    }
    for (const { src, call } of link?.underWay.values() ?? []) {
      this.#sendReply(src, call, Status.Failed, 0, this.#packError(error));
    }
    for (const owner of link?.touched ?? []) {
      if (isWithin(owner, path)) continue;
      this.#route(owner, Frame.Gone, (out) => out.text(path));
    }
  }

  /** A process we served, or that holds something of ours, is gone. */
  #gone(prefix: string): void {
    const isGone = (path: string) => isWithin(path, prefix);
    for (const [key, withdraw] of [...this.#serving]) {
      if (isGone(key.slice(0, key.indexOf("#")))) withdraw();
    }
    for (const entry of [...this.#entries.values()]) {
      entry.object.holderGone(isGone);
      for (const [name, lease] of [...entry.leases]) {
        if (!isGone(lease.holder)) continue;
        if (lease.adopted) this.#leaseDropped(entry.id, name);
        else this.#dropLater(entry.id, name, isGone);
      }
    }
  }

  /**
   * The dead process had sent the handle on; whoever gets it adopts the lease
   * in a moment, perhaps by a longer way than the news of the death took.
   */
  #dropLater(id: number, name: string, isGone: (path: string) => boolean) {
    const timer = setTimeout(() => {
      const lease = this.#entries.get(id)?.leases.get(name);
      if (lease !== undefined && !lease.adopted && isGone(lease.holder)) {
        this.#leaseDropped(id, name);
      }
    }, 5000);
    Deno.unrefTimer(timer);
  }
}

/** The hub of this process. */
export const hub: Hub = new Hub();

export { handle };
export type { Handle };
