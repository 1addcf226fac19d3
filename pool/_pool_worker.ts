// Copyright 2026 the multitask authors. MIT license.
// A worker as its pool knows it: what it has been given, and what it is told.
//
//   starting --Ready--> ready --enough tasks, or closing--> retiring
//       \_________________\____________________________________/ --> ended

import { ByteWriter } from "../ipc/_bytes.ts";
import { hub } from "../ipc/_hub.ts";
import type { Packet, Ref } from "../ipc/_packet.ts";
import type { Batch } from "./_batch.ts";
import type { FunctionEntry } from "./_functions.ts";
import {
  CallFlag,
  ItemsFlag,
  sinceEpoch,
  ToWorker,
  writeValue,
} from "./_protocol.ts";
import { SLOTS } from "./_shared_board.ts";
import { WorkerTimes } from "./_stats.ts";
import type { WorkerHandle } from "./_worker_handle.ts";

/** Where a worker stands. */
export type WorkerState = "starting" | "ready" | "retiring" | "ended";

const EMPTY_LIST = hub.pack([]);
const NOTHING = hub.pack(null);

/** One for all: a message is written and sent in one go. */
const out = new ByteWriter(4096);

/** See the file comment. */
export class PoolWorker {
  readonly handle: WorkerHandle;
  readonly times: WorkerTimes = new WorkerTimes();
  state: WorkerState = "starting";
  /** Whether it takes tasks out of memory that both reach. */
  isNear = false;
  /** Tasks that it was given so far. */
  given = 0;
  readonly batches: Batch[] = [];
  /** Whether anything came of it so far. */
  isProven = false;
  /** It is to be killed if it does not get ready, or does not end. */
  stopKill: (() => void) | undefined;
  /** Whether those that are watched say when they begin. */
  readonly #isTraced: boolean;
  readonly #functions = new Set<number>();
  /** Slots of batches, by whether they are taken. */
  readonly #slots = new Array<boolean>(SLOTS).fill(false);
  /** Where it was when it was looked at: batch and task. */
  #lastLook = "";

  constructor(handle: WorkerHandle, isTraced = false) {
    this.handle = handle;
    this.#isTraced = isTraced;
  }

  /** Whether it is at the same task as when it was looked at before. */
  get isStuck(): boolean {
    const [first] = this.batches;
    const look = first === undefined
      ? ""
      : `${first.id} ${this.handle.board!.range(first.slot).next}`;
    const isStuck = look === this.#lastLook && look !== "";
    this.#lastLook = look;
    return isStuck;
  }

  /**
   * How many of a batch have begun, as far as is known. Of a far worker's first
   * one it is not: all may have; it has one batch at most.
   */
  begun(batch: Batch): number {
    if (!this.isNear) return batch === this.batches[0] ? batch.end : 0;
    return Math.min(this.handle.board!.range(batch.slot).next, batch.end);
  }

  /** What all batches have, for a new one. */
  newBatch(id: number, fn: FunctionEntry, count: number) {
    const slot = this.#slots.indexOf(false);
    this.#slots[slot] = true;
    this.given += count;
    this.handle.board?.open(slot, count);
    return {
      id,
      slot,
      fn,
      end: count,
      settled: new Uint8Array(count),
      sentAt: performance.now(),
      runsSince: sinceEpoch(performance.now()),
      givenUp: undefined,
      stopClock: undefined,
      stopKill: undefined,
    };
  }

  /** It is done with a batch. */
  batchOver(batch: Batch): void {
    this.batches.splice(this.batches.indexOf(batch), 1);
    this.#slots[batch.slot] = false;
    batch.stopKill?.();
    batch.stopClock?.();
  }

  // ---- What it is told ----

  #send(refs: readonly Ref[] = []): void {
    this.handle.send({ bytes: out.lend(), refs });
  }

  /** The initializer and its arguments. */
  init(init: { fn: FunctionEntry; pack: () => Packet } | undefined): void {
    const args = init?.pack() ?? EMPTY_LIST;
    const refs: Ref[] = [];
    out.u8(ToWorker.Init);
    writeValue(out, init?.fn.located ?? NOTHING, refs);
    writeValue(out, args, refs);
    this.#send(refs);
  }

  #define(fn: FunctionEntry): void {
    if (this.#functions.has(fn.id)) return;
    this.#functions.add(fn.id);
    out.u8(ToWorker.Define);
    out.varint(fn.id);
    writeValue(out, fn.located!, []);
    this.#send();
  }

  /** Gives it tasks. */
  giveCalls(batch: Batch & { kind: "calls" }): void {
    const { tasks, fn } = batch;
    this.batches.push(batch);
    this.#define(fn);
    const refs: Ref[] = [];
    out.u8(ToWorker.Calls);
    out.varint(batch.id);
    out.u8(batch.slot);
    out.varint(tasks.length);
    for (const task of tasks) {
      task.state = "sent";
      out.varint(task.id);
      out.varint(fn.id);
      out.varint(task.attempt);
      const isTimed = task.timeout !== undefined ||
        this.#isTraced && task.isWatched;
      out.u8(isTimed ? CallFlag.Timed : 0);
      writeValue(out, task.args, refs);
    }
    this.#send(refs);
  }

  /** Gives it items, which are packed already. */
  giveItems(
    batch: Batch & { kind: "items" },
    packet: Packet,
    attempt: number,
  ): void {
    const { source, items, fn } = batch;
    this.batches.push(batch);
    this.#define(fn);
    const refs: Ref[] = [];
    out.u8(ToWorker.Items);
    out.varint(batch.id);
    out.u8(batch.slot);
    out.varint(items.length);
    out.varint(fn.id);
    out.u8(
      (source.isSpread ? ItemsFlag.Spread : 0) |
        (source.isDurable ? ItemsFlag.Durable : 0) |
        (source.timeout === undefined ? 0 : ItemsFlag.Timed),
    );
    out.varint(attempt);
    writeValue(out, packet, refs);
    this.#send(refs);
  }

  /** A task is not wanted any more. */
  cancel(task: number): void {
    out.u8(ToWorker.Cancel);
    out.varint(task);
    this.#send();
  }

  /** What has not begun of a batch of items is not wanted, nor what runs. */
  drop(batch: Batch): void {
    out.u8(ToWorker.Drop);
    out.varint(batch.id);
    this.#send();
  }

  /** It is to end by itself. */
  exit(): void {
    out.u8(ToWorker.Exit);
    this.#send();
  }
}
