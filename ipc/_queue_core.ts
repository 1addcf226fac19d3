// Copyright 2026 the multitask authors. MIT license.
// The queue in shared memory: under all queues, and twice under Pipe.
//
// Invariants, at the end of every transaction:
//   - nobody waits to get while an item is there;
//   - nobody waits to put while there is room;
//   - items leave in the order of the kind; a putter that waits comes after all
//     items, and waiters are served first in, first out;
//   - `Count` is the number of items, `Used` the bytes of those of a stream.
//
// An item is a record (_records.ts). Where it is, and whose:
//
//   put --> in the queue --get--> in a getter's hands --> gone
//    \--no room--> with a putter that waits --room--> in the queue
//
// A getter that waits is granted a record, which has then left the queue; it is
// in the getter's hands until that has read it. If the getter gives up, or dies
// before it has read it, the record goes back to its place by its number. So no
// item is lost or doubled, but the one that a process had got when it died.
// Large items are copied outside of the guard, in the hands of who does it.

import type { Agent } from "./_agent.ts";
import { NodeState, NodeWord, ObjectWord } from "./_arena.ts";
import { ByteReader, ByteWriter, copied } from "./_bytes.ts";
import {
  Core,
  type CorePlace,
  failAll,
  FailCode,
  firstOf,
  listOf,
} from "./_core.ts";
import { hub } from "./_hub.ts";
import { NO_REFS, type Packet, readRefs, writeRefs } from "./_packet.ts";
import {
  freeHeap,
  heapRecords,
  KEY_LENGTH_BYTES,
  popHeap,
  pushHeap,
  removeAt,
} from "./_priority_heap.ts";
import {
  allocateRecord,
  bytesAt,
  freeRecord,
  freeSegment,
  IS_RECORD,
  isLarge,
  NO_RECORDS,
  RecordsWord,
  RecordWord,
} from "./_records.ts";
import { registerMourner } from "./_recovery.ts";
import {
  HandleNumber,
  type Operation,
  type Reply,
  Status,
  type Withdraw,
} from "./_shared_object.ts";
import { InvalidStateError, SerializationError } from "./errors.ts";

/** Operations on a queue. */
export const QueueOp = {
  Put: 1,
  Get: 2,
  /** Gives an item back that came too late: to its place. */
  Unget: 3,
  /** Takes an item back by its number, if it is still there. */
  Withdraw: 4,
  Size: 5,
  /** Number 1: at once, dropping the items. */
  ShutDown: 6,
  /** Waits until a get would not. */
  Ready: 7,
  MaxSize: 8,
  IsShutDown: 9,
  TaskDone: 10,
  /** Waits until all items have been done. */
  Join: 11,
} as const;

/** In which order items leave, and what the limit counts. */
export const QueueKind = {
  /** First in, first out; the limit counts items. */
  Fifo: 0,
  /** Last in, first out. */
  Lifo: 1,
  /** The lowest key first; the key goes before the value in the packet. */
  Priority: 2,
  /** First in, first out; the limit counts bytes. */
  Stream: 3,
} as const;

/**
 * Words of a queue beside those of every object; those that every put or get
 * changes come first.
 */
const Word = {
  Count: ObjectWord.Own,
  /** The record that leaves next, and the one that came last. */
  Head: ObjectWord.Own + 1,
  Tail: ObjectWord.Own + 2,
  NextNumber: ObjectWord.Own + 3,
  Records: ObjectWord.Own + 4,
  Flags: ObjectWord.Own + 4 + RecordsWord.Words,
  Kind: ObjectWord.Own + 5 + RecordsWord.Words,
  Limit: ObjectWord.Own + 6 + RecordsWord.Words,
  /** Of a stream, the bytes that are there. */
  Used: ObjectWord.Own + 7 + RecordsWord.Words,
  /** Items that were put and not yet done, where that is counted. */
  Unfinished: ObjectWord.Own + 8 + RecordsWord.Words,
  Heap: ObjectWord.Own + 9 + RecordsWord.Words,
} as const;

const Flag = { ShutDown: 1, Dropped: 2, Joinable: 4 } as const;

/** The lists of waiters. */
const Line = { Getters: 0, Putters: 1, Watchers: 2, Joiners: 3 } as const;

/** Why a wait was in vain. */
const ShutDownCode = 16;

/** What is in an agent's hands. */
const Hand = { Put: 1, Get: 2 } as const;

const MAX_LIMIT = 0x7fffffff;

/** How often a getter looks again before it waits. */
const MAX_LOOKS = 8;
/** Between two looks, of some 0.1 µs each. */
const PAUSES = 10;

/** What a queue tells those who come after its end. */
export type EndedError = (action: "put" | "get") => Error;

/** A queue. See the file comment. */
export class QueueCore extends Core {
  protected override readonly what: string;
  readonly #ended: EndedError;
  #looks = MAX_LOOKS;

  constructor(
    place: CorePlace,
    {
      what = "queue",
      ended,
      kind = QueueKind.Fifo,
      limit = 0,
      joinable = false,
      type,
    }: {
      what?: string;
      ended: EndedError;
      kind?: number;
      limit?: number;
      joinable?: boolean;
      type?: number;
    },
  ) {
    super(type ?? HandleNumber.Queue, place, (at) => {
      const { int32 } = place.agent;
      int32[at + Word.Kind] = kind;
      int32[at + Word.Limit] = Math.min(limit, MAX_LIMIT);
      int32[at + Word.Flags] = joinable ? Flag.Joinable : 0;
    });
    this.what = what;
    this.#ended = ended;
  }

  /** How many items are there. */
  get size(): number {
    this.checkThere();
    return this.agent.words.load(this.at + Word.Count);
  }

  /** How much fits; 0 is without a limit. */
  get limit(): number {
    this.checkThere();
    return this.agent.int32[this.at + Word.Limit]!;
  }

  get isShutDown(): boolean {
    this.checkThere();
    return (this.agent.words.load(this.at + Word.Flags) & Flag.ShutDown) !== 0;
  }

  protected override errorOf(code: number): Error {
    return code === ShutDownCode ? this.#ended("get") : super.errorOf(code);
  }

  perform(operation: Operation, reply: Reply): Withdraw | undefined {
    switch (operation.code) {
      case QueueOp.Put:
        return this.#put(operation.packet!, reply);
      case QueueOp.Get:
        return this.#get(operation.caller, reply);
      case QueueOp.Unget:
        this.#unget(operation);
        break;
      case QueueOp.Withdraw:
        this.#withdraw(operation.number);
        break;
      case QueueOp.ShutDown:
        this.shutDown(operation.number === 1);
        break;
      case QueueOp.TaskDone:
        this.taskDone();
        break;
      case QueueOp.Ready:
        return this.#ready(reply);
      case QueueOp.Join:
        return this.#join(reply);
      case QueueOp.Size:
        reply(Status.Done, this.size);
        return;
      case QueueOp.MaxSize:
        reply(Status.Done, this.limit);
        return;
      case QueueOp.IsShutDown:
        reply(Status.Done, this.isShutDown ? 1 : 0);
        return;
      default:
        throw new RangeError(
          `Cannot do operation ${operation.code} on a queue`,
        );
    }
    reply(Status.Done, 0);
    return undefined;
  }

  // ---- Putting ----

  /**
   * Puts a packet if there is room now; gives its number, or `undefined`. The
   * packet's handles are the queue's then.
   */
  tryPut(packet: Packet): number | undefined {
    const placed = this.#place(packet, undefined);
    return typeof placed === "number" ? placed : undefined;
  }

  #put(packet: Packet, reply: Reply): Withdraw | undefined {
    const granted = (number: number) => {
      this.#adopt(packet);
      reply(Status.Done, number);
    };
    const placed = this.#place(packet, {
      granted,
      failed: (code: number) => {
        hub.dropPacket(packet);
        const error = code === ShutDownCode
          ? this.#ended("put")
          : this.errorOf(code);
        reply(Status.Failed, 0, hub.pack(error));
      },
    });
    if (typeof placed === "number") {
      reply(Status.Done, placed);
      return undefined;
    }
    const { node } = placed!;
    return this.withdrawal(
      node,
      // Somebody may have got it meanwhile: it counts as put.
      (number) => () => granted(number),
      (record) => {
        freeRecord(this.agent, this.at + Word.Records, record);
        // The one behind may fit where this one did not.
        serve(this.agent, this.at);
        return () => hub.dropPacket(packet);
      },
    );
  }

  /** Puts at once (a number), or has the waiter wait (its node). */
  #place(
    packet: Packet,
    waiter:
      | { granted(number: number): void; failed(code: number): void }
      | undefined,
  ): number | { node: number } | undefined {
    const { agent, at } = this;
    const { int32 } = agent;
    const refs = packet.refs.length === 0 ? NO_BYTES : refsOf(packet);
    const bytes = packet.bytes.length + refs.length;
    this.#checkKey(packet);
    // Others own its handles from now on, or it is dropped.
    let ready = 0;
    try {
      if (isLarge(bytes)) ready = this.#prepare(packet, refs);
      if (waiter !== undefined) agent.reserveNode();
      this.enter();
    } catch (error) {
      this.#discard(ready);
      hub.dropPacket(packet);
      throw error;
    }
    try {
      if ((int32[at + Word.Flags]! & Flag.ShutDown) !== 0) {
        throw this.#ended("put");
      }
      const cost = costOf(agent, at, bytes);
      const fits = firstOf(agent, listOf(at, Line.Putters)) === 0 &&
        hasRoom(agent, at, cost);
      if (!fits && waiter === undefined) {
        agent.commit();
        this.#discard(ready);
        return undefined;
      }
      const record = ready ||
        allocateRecord(agent, at + Word.Records, bytes, !fits);
      if (ready === 0) write(agent, record, packet, refs);
      else agent.hold(0, 0, 0);
      if (!fits) {
        const node = this.line(Line.Putters, waiter!, record, cost);
        agent.commit();
        return { node };
      }
      const number = accept(agent, at, record);
      serve(agent, at);
      agent.commit();
      this.#adopt(packet);
      return number;
    } catch (error) {
      agent.rollBack();
      this.#discard(ready);
      hub.dropPacket(packet);
      throw error;
    }
  }

  /** An item may come from another process: its key has to lie within it. */
  #checkKey({ bytes }: Packet): void {
    if (this.agent.int32[this.at + Word.Kind] !== QueueKind.Priority) return;
    const room = bytes.length - KEY_LENGTH_BYTES;
    const length = room < 0
      ? Infinity
      : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    if (length <= room) return;
    throw new SerializationError("Cannot put: the item has no key");
  }

  /** The handles in an item belong to the queue's owner while it is there. */
  #adopt(packet: Packet): void {
    if (packet.refs.length > 0) hub.adoptPacket(packet, this.ownerPath);
  }

  /** Copies a large item into a record, in this agent's hands. */
  #prepare(packet: Packet, refs: Uint8Array): number {
    const { agent, at } = this;
    const bytes = packet.bytes.length + refs.length;
    const record = this.transact(() => {
      const record = allocateRecord(agent, at + Word.Records, bytes);
      agent.hold(Hand.Put, at, record);
      return record;
    });
    write(agent, record, packet, refs);
    return record;
  }

  #discard(record: number): void {
    if (record === 0) return;
    const { agent, at } = this;
    agent.transact(at + ObjectWord.Guard, () => {
      freeRecord(agent, this.#records, record);
      agent.hold(0, 0, 0);
    });
  }

  /** The owner of its records; within an entry, also when it is gone. */
  get #records(): number {
    return this.isThere ? this.at + Word.Records : NO_RECORDS;
  }

  // ---- Getting ----

  /**
   * Takes the first item if there is one now. Small ones are copied to bytes
   * that the next call overwrites: decode them at once. Large ones are read by
   * `read` where they lie.
   */
  tryGet<T>(
    read: (packet: Packet) => T,
  ): { value: T; number: number } | undefined {
    const { agent, at } = this;
    const { int32 } = agent;
    if (
      !this.#look() && this.isThere &&
      (int32[at + Word.Flags]! & Flag.ShutDown) === 0
    ) return undefined;
    this.enter();
    let packet: Packet;
    let number: number;
    let large = 0;
    try {
      if (int32[at + Word.Count] === 0) {
        if ((int32[at + Word.Flags]! & Flag.ShutDown) !== 0) {
          throw this.#ended("get");
        }
        agent.commit();
        return undefined;
      }
      const record = take(agent, at);
      number = int32[record + RecordWord.Number]!;
      const bytes = int32[record + RecordWord.Length]! +
        int32[record + RecordWord.Refs]!;
      if (isLarge(bytes)) {
        large = record;
        agent.hold(Hand.Get, at, record);
        packet = packetOf(agent, record);
      } else {
        packet = smallPacketOf(agent, record);
        freeRecord(agent, at + Word.Records, record);
      }
      if (firstOf(agent, listOf(at, Line.Putters)) !== 0) serve(agent, at);
      agent.commit();
    } catch (error) {
      agent.rollBack();
      throw error;
    }
    if (large === 0) return { value: read(packet), number };
    try {
      return { value: read(packet), number };
    } finally {
      this.#discard(large);
    }
  }

  /**
   * Whether an item is there, or comes within a moment: to wait takes longer
   * than most puts. It looks less and less where that does not help.
   */
  #look(): boolean {
    const { int32 } = this.agent;
    const count = this.at + Word.Count;
    for (let left = this.#looks; Atomics.load(int32, count) === 0; left--) {
      if (left === 0) {
        this.#looks >>= 1;
        return false;
      }
      for (let i = 0; i < PAUSES; i++) Atomics.pause();
    }
    this.#looks = MAX_LOOKS;
    return true;
  }

  #get(caller: string, reply: Reply): Withdraw | undefined {
    const { agent, at } = this;
    const { int32 } = agent;
    const deliver = (record: number, node?: number) => {
      const number = int32[record + RecordWord.Number]!;
      const packet = kept(packetOf(agent, record));
      // The object may be gone by now; the record is still ours.
      agent.transact(at + ObjectWord.Guard, () => {
        freeRecord(agent, this.#records, record);
        if (node === undefined) agent.hold(0, 0, 0);
        else agent.set(node + NodeWord.State, NodeState.Done);
      });
      hub.handOver(packet, caller);
      reply(Status.Done, number, packet);
    };
    let record = 0;
    const node = this.lineUp(() => {
      if (int32[at + Word.Count]! > 0) {
        record = take(agent, at);
        agent.hold(Hand.Get, at, record);
        serve(agent, at);
        return undefined;
      }
      if ((int32[at + Word.Flags]! & Flag.ShutDown) !== 0) {
        throw this.#ended("get");
      }
      return this.line(
        Line.Getters,
        this.replying(reply, deliver),
        0,
        IS_RECORD,
      );
    });
    if (node === undefined) {
      deliver(record);
      return undefined;
    }
    return this.withdrawal(
      node,
      (record) => {
        putBack(agent, at, record);
        serve(agent, at);
      },
      undefined,
      (record) => freeRecord(agent, NO_RECORDS, record),
    );
  }

  #unget(operation: Operation): void {
    const { agent, at } = this;
    const packet = operation.packet!;
    this.#checkKey(packet);
    const refs = refsOf(packet);
    const bytes = packet.bytes.length + refs.length;
    const isBack = this.transact(() => {
      if ((agent.int32[at + Word.Flags]! & Flag.Dropped) !== 0) return false;
      const record = allocateRecord(agent, at + Word.Records, bytes, true);
      write(agent, record, packet, refs);
      agent.int32[record + RecordWord.Number] = operation.number;
      putBack(agent, at, record);
      serve(agent, at);
      return true;
    });
    if (isBack) this.#adopt(packet);
    else hub.dropPacket(packet);
  }

  #withdraw(number: number): void {
    const dropped = this.transact(() =>
      removeNumber(this.agent, this.at, number)
    );
    if (dropped !== undefined) hub.dropPacket(dropped);
  }

  // ---- The end, and looking on ----

  #isReady(): boolean {
    const { int32 } = this.agent;
    return int32[this.at + Word.Count]! > 0 ||
      (int32[this.at + Word.Flags]! & Flag.ShutDown) !== 0;
  }

  #ready(reply: Reply): Withdraw | undefined {
    const done = () => reply(Status.Done, 0);
    const node = this.lineUp(() =>
      this.#isReady()
        ? undefined
        : this.line(Line.Watchers, this.replying(reply, done))
    );
    if (node !== undefined) return this.withdrawal(node);
    done();
    return undefined;
  }

  #join(reply: Reply): Withdraw | undefined {
    const done = () => reply(Status.Done, 0);
    const node = this.lineUp(() =>
      this.agent.int32[this.at + Word.Unfinished] === 0
        ? undefined
        : this.line(Line.Joiners, this.replying(reply, done))
    );
    if (node !== undefined) return this.withdrawal(node);
    done();
    return undefined;
  }

  /** One of the items is done. */
  taskDone(): void {
    const { agent, at } = this;
    this.transact(() => {
      const left = agent.int32[at + Word.Unfinished]!;
      if (left === 0) {
        throw new InvalidStateError(
          "Cannot mark a task as done: taskDone() was called more often than items were put",
        );
      }
      finish(agent, at, 1);
    });
  }

  /** Takes no more; gets go on until it is empty. */
  shutDown(immediate: boolean): void {
    const dropped: Packet[] = [];
    this.transact(() => {
      const { agent, at } = this;
      const { int32 } = agent;
      agent.set(
        at + Word.Flags,
        int32[at + Word.Flags]! | Flag.ShutDown |
          (immediate ? Flag.Dropped : 0),
      );
      endWaits(agent, at);
      if (immediate) dropItems(agent, at, dropped);
    });
    for (const packet of dropped) hub.dropPacket(packet);
  }

  override destroy(error: Error): void {
    const dropped: Packet[] = [];
    const { agent, at } = this;
    agent.transact(at + ObjectWord.Guard, () => {
      if (!this.isThere) return;
      failPutters(agent, at, FailCode.Closed);
      // Not done by being dropped.
      failAll(agent, listOf(at, Line.Joiners), FailCode.Closed);
      dropItems(agent, at, dropped);
    });
    for (const packet of dropped) hub.dropPacket(packet);
    super.destroy(error);
  }

  protected override dispose(): void {
    freeMemory(this.agent, this.at);
  }
}

const NO_BYTES = new Uint8Array(0);
const scratch = new Uint8Array(2048);
/** Views of the first bytes of it, which are made once. */
const scratchViews: Uint8Array[] = [];

/** A loop beats a call into the engine for less than this. */
const FEW_BYTES = 64;

function refsOf(packet: Packet): Uint8Array {
  if (packet.refs.length === 0) return NO_BYTES;
  const out = new ByteWriter(256);
  writeRefs(out, packet.refs);
  return out.take();
}

function write(
  agent: Agent,
  record: number,
  packet: Packet,
  refs: Uint8Array,
): void {
  const { int32, words: { bytes } } = agent;
  const length = packet.bytes.length;
  int32[record + RecordWord.Length] = length;
  int32[record + RecordWord.Refs] = refs.length;
  const at = bytesAt(record);
  if (length < FEW_BYTES) {
    for (let i = 0; i < length; i++) bytes[at + i] = packet.bytes[i]!;
  } else bytes.set(packet.bytes, at);
  if (refs.length > 0) bytes.set(refs, at + length);
}

function refsIn(agent: Agent, record: number): Packet["refs"] {
  const { int32, words: { bytes } } = agent;
  const length = int32[record + RecordWord.Refs]!;
  if (length === 0) return NO_REFS;
  const at = bytesAt(record) + int32[record + RecordWord.Length]!;
  return readRefs(new ByteReader(bytes.slice(at, at + length)));
}

/** The packet of a record, where it lies. */
function packetOf(agent: Agent, record: number): Packet {
  const at = bytesAt(record);
  const end = at + agent.int32[record + RecordWord.Length]!;
  return {
    bytes: agent.words.bytes.subarray(at, end),
    refs: refsIn(agent, record),
  };
}

/** The packet of a small record, copied: until the next call. */
function smallPacketOf(agent: Agent, record: number): Packet {
  const { int32, words: { bytes } } = agent;
  const at = bytesAt(record);
  const length = int32[record + RecordWord.Length]!;
  let value: Uint8Array;
  if (length < FEW_BYTES) {
    for (let i = 0; i < length; i++) scratch[i] = bytes[at + i]!;
    value = scratchViews[length] ??= scratch.subarray(0, length);
  } else {
    value = scratch.subarray(0, length);
    value.set(bytes.subarray(at, at + length));
  }
  return { bytes: value, refs: refsIn(agent, record) };
}

function kept(packet: Packet): Packet {
  return { bytes: copied(packet.bytes), refs: packet.refs };
}

// ---- Steps, each within an entry. Also taken for the dead. ----

function costOf(agent: Agent, at: number, bytes: number): number {
  return agent.int32[at + Word.Kind] === QueueKind.Stream ? bytes + 1 : 1;
}

function costOfRecord(agent: Agent, at: number, record: number): number {
  const { int32 } = agent;
  return costOf(
    agent,
    at,
    int32[record + RecordWord.Length]! + int32[record + RecordWord.Refs]!,
  );
}

function isJoinable(agent: Agent, at: number): boolean {
  return (agent.int32[at + Word.Flags]! & Flag.Joinable) !== 0;
}

function hasRoom(agent: Agent, at: number, cost: number): boolean {
  const { int32 } = agent;
  const limit = int32[at + Word.Limit]!;
  if (int32[at + Word.Kind] !== QueueKind.Stream) {
    return limit === 0 || int32[at + Word.Count]! < limit;
  }
  // An item larger than the whole limit fits when nothing else is there.
  return limit === 0 || int32[at + Word.Used]! + cost <= limit ||
    int32[at + Word.Count] === 0;
}

function count(agent: Agent, at: number, record: number, sign: 1 | -1): void {
  const { int32 } = agent;
  agent.set(at + Word.Count, int32[at + Word.Count]! + sign);
  if (int32[at + Word.Kind] !== QueueKind.Stream) return;
  agent.set(
    at + Word.Used,
    int32[at + Word.Used]! + sign * costOfRecord(agent, at, record),
  );
}

/** A new item comes into the queue; gives its number. */
function accept(agent: Agent, at: number, record: number): number {
  const { int32 } = agent;
  const number = int32[at + Word.NextNumber]! + 1 | 0;
  agent.set(at + Word.NextNumber, number);
  int32[record + RecordWord.Number] = number;
  if (isJoinable(agent, at)) {
    agent.set(at + Word.Unfinished, int32[at + Word.Unfinished]! + 1);
  }
  const kind = int32[at + Word.Kind];
  if (kind === QueueKind.Priority) pushHeap(agent, at + Word.Heap, record);
  else if (kind === QueueKind.Lifo) pushFirst(agent, at, record);
  else {
    const tail = int32[at + Word.Tail]!;
    int32[record + RecordWord.Link] = 0;
    agent.set(tail === 0 ? at + Word.Head : tail + RecordWord.Link, record);
    agent.set(at + Word.Tail, record);
  }
  count(agent, at, record, 1);
  return number;
}

function pushFirst(agent: Agent, at: number, record: number): void {
  const head = agent.int32[at + Word.Head]!;
  agent.int32[record + RecordWord.Link] = head;
  agent.set(at + Word.Head, record);
  if (head === 0) agent.set(at + Word.Tail, record);
}

/** The record that leaves next; it is out of the queue then. */
function take(agent: Agent, at: number): number {
  const { int32 } = agent;
  let record: number;
  if (int32[at + Word.Kind] === QueueKind.Priority) {
    record = popHeap(agent, at + Word.Heap);
  } else {
    record = int32[at + Word.Head]!;
    const next = int32[record + RecordWord.Link]!;
    agent.set(at + Word.Head, next);
    if (next === 0) agent.set(at + Word.Tail, 0);
  }
  count(agent, at, record, -1);
  return record;
}

/** A record that had left comes back to its place. */
function putBack(agent: Agent, at: number, record: number): void {
  const { int32 } = agent;
  if ((int32[at + Word.Flags]! & Flag.Dropped) !== 0) {
    freeRecord(agent, at + Word.Records, record);
    return;
  }
  const kind = int32[at + Word.Kind];
  if (kind === QueueKind.Priority) pushHeap(agent, at + Word.Heap, record);
  else {
    // Those that came later stand behind it; in a stack, before it.
    const sign = kind === QueueKind.Lifo ? -1 : 1;
    const number = int32[record + RecordWord.Number]!;
    let before = 0;
    let next = int32[at + Word.Head]!;
    while (
      next !== 0 &&
      sign * (int32[next + RecordWord.Number]! - number | 0) < 0
    ) {
      before = next;
      next = int32[next + RecordWord.Link]!;
    }
    int32[record + RecordWord.Link] = next;
    agent.set(before === 0 ? at + Word.Head : before + RecordWord.Link, record);
    if (next === 0) agent.set(at + Word.Tail, record);
  }
  count(agent, at, record, 1);
}

/** Takes an item out by its number; gives what was in it, to be dropped. */
function removeNumber(
  agent: Agent,
  at: number,
  number: number,
): Packet | undefined {
  const { int32 } = agent;
  let found = 0;
  if (int32[at + Word.Kind] === QueueKind.Priority) {
    let index = 0;
    for (const record of heapRecords(agent, at + Word.Heap)) {
      if (int32[record + RecordWord.Number] === number) {
        found = record;
        break;
      }
      index++;
    }
    if (found !== 0) removeAt(agent, at + Word.Heap, index);
  } else {
    let before = 0;
    let record = int32[at + Word.Head]!;
    while (record !== 0 && int32[record + RecordWord.Number] !== number) {
      before = record;
      record = int32[record + RecordWord.Link]!;
    }
    found = record;
    if (record !== 0) {
      const next = int32[record + RecordWord.Link]!;
      agent.set(before === 0 ? at + Word.Head : before + RecordWord.Link, next);
      if (next === 0) agent.set(at + Word.Tail, before);
    }
  }
  if (found === 0) return undefined;
  count(agent, at, found, -1);
  const packet = { bytes: NO_BYTES, refs: refsIn(agent, found) };
  freeRecord(agent, at + Word.Records, found);
  // From here on it takes more than one step.
  finish(agent, at, 1);
  serve(agent, at);
  return packet;
}

/** So many items are done. */
function finish(agent: Agent, at: number, items: number): void {
  const { int32 } = agent;
  if (!isJoinable(agent, at)) return;
  // What was got and then dropped may have been marked as done before.
  const left = Math.max(int32[at + Word.Unfinished]! - items, 0);
  agent.set(at + Word.Unfinished, left);
  if (left > 0) return;
  serveAll(agent, listOf(at, Line.Joiners));
}

function serveAll(agent: Agent, list: number): void {
  for (let node = firstOf(agent, list); node !== 0;) {
    agent.serve(node, NodeState.Granted, 0);
    agent.checkpoint();
    node = firstOf(agent, list);
  }
}

/** Restores the invariants after a change, one waiter after the other. */
function serve(agent: Agent, at: number): void {
  const { int32 } = agent;
  const getters = listOf(at, Line.Getters);
  const putters = listOf(at, Line.Putters);
  while (true) {
    const getter = int32[at + Word.Count]! > 0 ? firstOf(agent, getters) : 0;
    if (getter !== 0) {
      agent.serve(getter, NodeState.Granted, take(agent, at));
      agent.checkpoint();
      continue;
    }
    const putter = firstOf(agent, putters);
    if (
      putter === 0 || !hasRoom(agent, at, int32[putter + NodeWord.Amount]!)
    ) break;
    const number = accept(agent, at, int32[putter + NodeWord.Value]!);
    agent.serve(putter, NodeState.Granted, number);
    agent.checkpoint();
  }
  if (
    int32[at + Word.Count]! > 0 ||
    (int32[at + Word.Flags]! & Flag.ShutDown) !== 0
  ) serveAll(agent, listOf(at, Line.Watchers));
}

function failPutters(agent: Agent, at: number, code: number): void {
  const list = listOf(at, Line.Putters);
  for (let node = firstOf(agent, list); node !== 0;) {
    freeRecord(agent, at + Word.Records, agent.int32[node + NodeWord.Value]!);
    agent.serve(node, NodeState.Failed, code);
    agent.checkpoint();
    node = firstOf(agent, list);
  }
}

/** After a shut-down: getters that wait do so because the queue is empty. */
function endWaits(agent: Agent, at: number): void {
  failPutters(agent, at, ShutDownCode);
  failAll(agent, listOf(at, Line.Getters), ShutDownCode);
  serveAll(agent, listOf(at, Line.Watchers));
}

function dropItems(agent: Agent, at: number, dropped: Packet[]): void {
  while (agent.int32[at + Word.Count]! > 0) {
    const record = take(agent, at);
    const packet = packetOf(agent, record);
    if (packet.refs.length > 0) dropped.push({ ...packet, bytes: NO_BYTES });
    freeRecord(agent, at + Word.Records, record);
    finish(agent, at, 1);
    agent.checkpoint();
  }
}

function freeMemory(agent: Agent, at: number): void {
  freeHeap(agent, at + Word.Heap);
  freeSegment(agent, at + Word.Records);
}

/** What a queue does when somebody dies; also for the streams of a pipe. */
export const queueMourner = {
  freeHeld(agent: Agent, at: number): void {
    // A dead one may have been in the middle of serving many.
    const { int32 } = agent;
    if ((int32[at + Word.Flags]! & Flag.ShutDown) !== 0) {
      endWaits(agent, at);
      if ((int32[at + Word.Flags]! & Flag.Dropped) !== 0) {
        dropItems(agent, at, []);
      }
    }
    if (int32[at + Word.Unfinished] === 0) {
      serveAll(agent, listOf(at, Line.Joiners));
    }
    serve(agent, at);
  },
  takeBack(agent: Agent, at: number, node: number, granted: boolean): void {
    const { int32 } = agent;
    const list = int32[node + NodeWord.List]!;
    const record = int32[node + NodeWord.Value]!;
    if (granted) {
      if (list === listOf(at, Line.Getters)) putBack(agent, at, record);
    } else if (list === listOf(at, Line.Putters)) {
      freeRecord(agent, at + Word.Records, record);
    }
    serve(agent, at);
  },
  takeFromHands(agent: Agent, at: number, kind: number, record: number): void {
    if (kind === Hand.Get) putBack(agent, at, record);
    else freeRecord(agent, at + Word.Records, record);
    serve(agent, at);
  },
  end(agent: Agent, at: number): void {
    failPutters(agent, at, FailCode.OwnerGone);
    for (const list of [Line.Getters, Line.Watchers, Line.Joiners]) {
      failAll(agent, listOf(at, list), FailCode.OwnerGone);
    }
    dropItems(agent, at, []);
    freeMemory(agent, at);
  },
};

registerMourner(HandleNumber.Queue, queueMourner);
