// Copyright 2026 the multitask authors. MIT license.
// Which objects are known where: the handles that cross, and who still needs
// what they stand for.
//
// Objects live in their owner and are known as owner path + number. Whoever
// holds one elsewhere holds a *lease*; an entry goes when its owner has let go
// of it and no lease is left, or when it is closed.
//
// A lease is minted by whoever sends a handle, under a fresh name, and told to
// the owner before the handle leaves (`Lease`, same ordered way). Whoever ends
// up with the handle takes the lease over (`Adopt`) or gives it back (`Drop`).
// When the handle overtakes its lease on another way, the owner keeps the early
// Drop as a tombstone until the Lease arrives.

import type { Hub } from "./_hub.ts";
import type { ByteReader, ByteWriter } from "./_bytes.ts";
import { decode, encode, type EncodeOptions, type Handle } from "./_codec.ts";
import { Frame } from "./_link.ts";
import { NO_REFS, type Packet, type Ref } from "./_packet.ts";
import { Reference } from "./_reference.ts";
import type { HandleType, SharedObject } from "./_shared_object.ts";
import { startTimer } from "./_timer.ts";
import { ClosedError, SerializationError } from "./errors.ts";

interface Lease {
  holder: string;
  readonly part: number;
  adopted: boolean;
  /** Keeps it after all, while it is about to be dropped. */
  stopDrop?: () => void;
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

/** More early drops than this are not a race any more but double ones. */
const MAX_TOMBSTONES = 1000;

/** How long a lease that nobody has taken over outlives who sent it. */
const ADOPTION_PATIENCE = 60_000;

/** What one process knows of shared objects. See the file comment. */
export abstract class HandleTable {
  /** This process's place in the tree. */
  path = "0";
  /** Finds error classes of the task's module. */
  errorClass: ((name: string) => unknown) | undefined;

  readonly #types = new Map<number, HandleType>();
  readonly #entries = new Map<number, Entry>();
  #nextId = 1;
  #nextLease = 1;
  readonly #references = new Map<string, WeakRef<Handle>>();
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

  /** An object of ours that nobody was ever given goes with its last handle. */
  readonly #collected = new FinalizationRegistry<
    { object: SharedObject; part: number }
  >(({ object, part }) => {
    if (this.#entryOf.has(object)) return; // `#dropped` sees to it.
    const local = this.#localOf.get(object);
    // It may have been closed, or be made anew.
    if (local === undefined || local.get(part)?.deref() !== undefined) return;
    if (!local.delete(part)) return;
    object.partDropped?.(part);
    if (local.size === 0) {
      object.destroy(new ClosedError("The object is gone: nobody held it"));
    }
  });

  /** The hub that this table is a part of. */
  protected abstract readonly asHub: Hub;

  /** Sends a frame to the process at `to`. */
  protected abstract route(
    to: string,
    kind: number,
    write: (out: ByteWriter) => void,
  ): void;

  /** Makes a class of handles known. */
  register(type: HandleType): void {
    this.#types.set(type.type, type);
  }

  /** Binds a public object to its reference; both live as long. */
  bind(object: Handle, reference: Reference): void {
    this.#handleOf.set(object, reference);
    const weak = reference.handle = new WeakRef(object);
    if (reference.object === undefined) return;
    this.#collected.register(object, {
      object: reference.object,
      part: reference.part,
    });
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
   * Throws `SerializationError`; nothing is leased then. Bytes that are lent
   * are only valid until the next call.
   */
  pack(
    value: unknown,
    root = "value",
    transfer?: readonly ArrayBuffer[],
    lend = false,
  ): Packet {
    return this.#packed(value, { root, transfer, lend });
  }

  /**
   * The same for a list that has nothing but its items, none left out. The bytes
   * are lent until the next call.
   */
  packList(list: readonly unknown[], root: string): Packet {
    return this.#packed(list, { root, lend: true, isList: true });
  }

  #packed(value: unknown, options: EncodeOptions): Packet {
    const { bytes, handles } = encode(value, {
      ...options,
      isKnown: this.#isKnown,
    });
    if (handles.length === 0) return { bytes, refs: NO_REFS };
    return { bytes, refs: handles.map((object) => this.#lease(object)) };
  }

  readonly #isKnown = (object: Handle): boolean => this.#handleOf.has(object);

  #lease(object: Handle): Ref {
    const reference = this.#handleOf.get(object)!;
    const { type, part } = reference;
    const lease = `${this.path}:${this.#nextLease++}`;
    if (reference.object !== undefined) {
      const entry = this.#share(reference);
      entry.leases.set(lease, { holder: this.path, part, adopted: false });
    } else {
      this.route(reference.owner, Frame.Lease, (out) => {
        out.text(this.path);
        out.varint(reference.id);
        out.u8(part);
        out.text(lease);
      });
    }
    const place = reference.direct?.place;
    return {
      type,
      owner: reference.owner,
      id: reference.id,
      part,
      lease,
      ...(place === undefined ? {} : { place }),
    };
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
          const object = this.#adopt(ref);
          taken.add(index);
          return object;
        },
      });
    } finally {
      refs.forEach((ref, index) => {
        if (!taken.has(index)) this.#drop(ref);
      });
    }
  }

  /**
   * Takes the leases of a packet over without decoding it, to keep it: for
   * this process, or for another one.
   */
  adoptPacket(packet: Packet, holder: string = this.path): void {
    for (const ref of packet.refs) this.#sendAdopt(ref, holder);
  }

  /** The same, of a packet that was sent to a process which has ended. */
  dropSent(packet: Packet): void {
    for (const ref of packet.refs) {
      if (ref.owner === this.path) this.#moved(ref.id, ref.part);
    }
    this.dropPacket(packet);
  }

  /**
   * A part was taken over by somebody else: an end of a pipe that is passed on
   * and not used here is no longer held here.
   */
  #moved(id: number, part: number): void {
    const entry = this.#entries.get(id);
    if (!entry?.object.partsMove) return;
    const handle = entry.local.get(part)?.deref();
    if (handle !== undefined && !this.#handleOf.get(handle)!.used) {
      entry.local.delete(part);
    }
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
        const closed = new Reference(this.asHub, ref.type, ref.part, ref);
        closed.markClosed();
        return type.revive(closed);
      }
      let object = entry.local.get(ref.part)?.deref();
      if (object === undefined) {
        const reference = new Reference(
          this.asHub,
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
    const reference = new Reference(
      this.asHub,
      ref.type,
      ref.part,
      ref,
      ref.place && type.attach(ref.place, ref.owner),
    );
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

  /** Makes an object of ours known to others; gives its number. */
  share(reference: Reference): number {
    return this.#share(reference).id;
  }

  /** The handle of an object that is known otherwise, under a lease of its own. */
  adoptKnown(known: Omit<Ref, "lease">): Handle {
    const lease = `${this.path}:${this.#nextLease++}`;
    if (known.owner !== this.path) {
      this.route(known.owner, Frame.Lease, (out) => {
        out.text(this.path);
        out.varint(known.id);
        out.u8(known.part);
        out.text(lease);
      });
    } else {
      this.#entries.get(known.id)?.leases.set(lease, {
        holder: this.path,
        part: known.part,
        adopted: false,
      });
    }
    return this.#adopt({ ...known, lease });
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
    if (entry !== undefined) {
      this.#entries.delete(entry.id);
      for (const lease of entry.leases.values()) lease.stopDrop?.();
    }
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
      if (ref.owner !== this.path) {
        this.route(ref.owner, Frame.Lease, (out) => {
          out.text(receiver);
          out.varint(ref.id);
          out.u8(ref.part);
          out.text(ref.lease);
        });
        continue;
      }
      const lease = this.#entries.get(ref.id)?.leases.get(ref.lease);
      if (lease !== undefined) {
        lease.holder = receiver;
        lease.adopted = false;
      }
    }
  }

  #sendAdopt(ref: Ref, holder = this.path): void {
    if (ref.owner === this.path) {
      const lease = this.#entries.get(ref.id)?.leases.get(ref.lease);
      if (lease !== undefined) {
        lease.holder = holder;
        lease.adopted = true;
        this.#moved(ref.id, ref.part);
      }
      return;
    }
    this.route(ref.owner, Frame.Adopt, (out) => {
      out.text(holder);
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
    this.route(owner, Frame.Drop, (out) => {
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
      if (entry.tombstones.size > MAX_TOMBSTONES) {
        entry.tombstones.delete(entry.tombstones.values().next().value!);
      }
      return;
    }
    entry.leases.delete(name);
    lease.stopDrop?.();
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

  /** Handles a frame about a lease. */
  protected leaseFrame(kind: number, input: ByteReader): void {
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
    const adopted = kind === Frame.Adopt;
    // An announcement comes from who has minted it; anybody else hands it over.
    const isAnnouncement = !adopted && name.startsWith(`${holder}:`);
    if (lease === undefined) {
      entry.leases.set(name, { holder, part, adopted });
    } else if (!isAnnouncement) {
      lease.stopDrop?.();
      lease.holder = holder;
      lease.adopted = adopted;
    }
    if (adopted) this.#moved(id, part);
  }

  /** What processes that are gone held is free. */
  protected holdersGone(isGone: (path: string) => boolean): void {
    for (const entry of [...this.#entries.values()]) {
      entry.object.holderGone(isGone);
      for (const [name, lease] of [...entry.leases]) {
        if (!isGone(lease.holder)) continue;
        if (lease.adopted) this.#leaseDropped(entry.id, name);
        else this.#dropLater(entry.id, name, lease);
      }
    }
  }

  /**
   * The dead process had sent the handle on; whoever gets it adopts the lease
   * in a moment, perhaps by a longer way than the news of the death took.
   */
  #dropLater(id: number, name: string, lease: Lease): void {
    lease.stopDrop?.();
    lease.stopDrop = startTimer(
      () => this.#leaseDropped(id, name),
      ADOPTION_PATIENCE,
      { unref: true },
    );
  }

  /** The object of ours with this number. */
  protected objectOf(id: number): SharedObject | undefined {
    return this.#entries.get(id)?.object;
  }

  /** The reference to an object of others, by owner, number and part. */
  protected referenceOf(key: string): Reference | undefined {
    const object = this.#references.get(key)?.deref();
    return object === undefined ? undefined : this.#handleOf.get(object);
  }

  /** Something is done with the object in this process. */
  protected use(reference: Reference): void {
    if (reference.used) return;
    reference.used = true;
    this.#holdLocal(reference);
  }
}
