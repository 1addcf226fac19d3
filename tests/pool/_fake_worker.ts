// Copyright 2026 the multitask authors. MIT license.
// A worker that does what the test says.

import { ByteReader, ByteWriter } from "../../ipc/_bytes.ts";
import { hub } from "../../ipc/_hub.ts";
import type { Packet } from "../../ipc/_packet.ts";
import {
  Outcome,
  ToPool,
  ToWorker,
  ValueReader,
  writeTimes,
  writeValue,
} from "../../pool/_protocol.ts";
import { makeBoardMemory, SharedBoard } from "../../pool/_shared_board.ts";
import type { WorkerEvents, WorkerHandle } from "../../pool/_worker_handle.ts";

/** A batch that the fake was given. */
export interface GivenBatch {
  readonly id: number;
  readonly slot: number;
  /** The first argument of each task. */
  readonly args: unknown[];
}

/** See the file comment. */
export class FakeWorker implements WorkerHandle {
  readonly name: string;
  readonly pid = 1;
  readonly board: SharedBoard | undefined;
  awake = false;
  readonly isEnding = false;
  readonly batches: GivenBatch[] = [];
  readonly cancelled: number[] = [];
  readonly dropped: number[] = [];
  hasExit = false;
  isKilled = false;
  readonly #events: WorkerEvents;
  readonly #memory: ReturnType<typeof makeBoardMemory> | undefined;

  constructor(readonly id: number, events: WorkerEvents, isNear: boolean) {
    this.name = `Fake-${id}`;
    this.#events = events;
    this.#memory = isNear ? makeBoardMemory() : undefined;
    this.board = this.#memory && new SharedBoard(this.#memory);
  }

  send({ bytes, refs }: Packet): void {
    const input = new ByteReader(bytes);
    const kind = input.u8();
    if (kind === ToWorker.Exit) this.hasExit = true;
    else if (kind === ToWorker.Cancel) this.cancelled.push(input.varint());
    else if (kind === ToWorker.Drop) this.dropped.push(input.varint());
    else if (kind === ToWorker.Calls) {
      const [id, slot] = [input.varint(), input.u8()];
      const count = input.varint();
      const values = new ValueReader(refs);
      const args: unknown[] = [];
      for (let i = 0; i < count; i++) {
        input.varint();
        input.varint();
        input.varint();
        input.u8();
        args.push((hub.unpack(values.read(input)) as unknown[])[0]);
      }
      this.batches.push({ id, slot, args });
    } else if (kind === ToWorker.Items) {
      const [id, slot] = [input.varint(), input.u8()];
      input.varint();
      input.varint();
      input.u8();
      input.varint();
      const packet = new ValueReader(refs).read(input);
      this.batches.push({ id, slot, args: hub.unpack(packet) as unknown[] });
    }
  }

  #tell(write: (out: ByteWriter) => void): void {
    const out = new ByteWriter();
    write(out);
    this.#events.message({ bytes: out.take(), refs: [] });
  }

  ready(): void {
    this.#tell((out) => {
      out.u8(ToPool.Ready);
      out.u8(this.board === undefined ? 0 : 1);
    });
  }

  initFailed(error: Error): void {
    this.#tell((out) => {
      out.u8(ToPool.InitFailed);
      writeValue(out, hub.pack(error), []);
    });
  }

  /** Begins the next task of a batch: gives its index. */
  begin({ slot }: GivenBatch): number {
    return this.board!.claim(slot);
  }

  /** Sends the values of tasks, by index; they took `ms` each. */
  done(
    { id }: GivenBatch,
    values: Record<number, unknown>,
    { last = false, ms = 1, begun = 0 } = {},
  ): void {
    this.#tell((out) => {
      const entries = Object.entries(values);
      out.u8(ToPool.Results);
      out.varint(id);
      out.varint(last ? begun + 1 : 0);
      writeTimes(out, { start: 0, spent: ms * entries.length, longest: ms });
      out.varint(entries.length);
      for (const [index, value] of entries) entry(out, +index, value);
    });
  }

  /** Does all of a batch: each value is that of the argument. */
  doAll(batch: GivenBatch, ms = 1): void {
    const values: Record<number, unknown> = {};
    if (this.board === undefined) {
      batch.args.forEach((arg, index) => values[index] = arg);
    } else {
      for (let i = this.begin(batch); i >= 0; i = this.begin(batch)) {
        values[i] = batch.args[i];
      }
    }
    this.done(batch, values, { last: true, ms, begun: batch.args.length });
  }

  /** Notes a value in memory. */
  stage(batch: GivenBatch, index: number, value: unknown): void {
    const out = new ByteWriter();
    entry(out, index, value);
    this.board!.stage(batch.id, 0, out.take());
  }

  die(signal: string | null = "SIGKILL", exitCode = -9): void {
    this.#events.ended({ exitCode, signal, stderr: "last words\n" });
    this.close();
  }

  close(): void {
    this.#memory?.close();
  }

  kill(): void {
    this.isKilled = true;
  }

  end(): void {
    this.isKilled = true;
  }
}

function entry(out: ByteWriter, index: number, value: unknown): void {
  out.varint(index);
  const isError = value instanceof Error;
  out.u8(isError ? Outcome.Error : Outcome.Value);
  writeValue(out, hub.pack(value), []);
}
