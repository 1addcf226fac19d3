// Copyright 2026 the multitask authors. MIT license.
// The worker's side of a pool: reads batches, runs their tasks one after the
// other, and sends what came of them.
//
// A result leaves before the next task begins: at once, or noted in memory that
// the pool reaches and sent with others a moment later.

import { ByteReader, ByteWriter } from "../ipc/_bytes.ts";
import { hub } from "../ipc/_hub.ts";
import { NO_REFS, type Packet, type Ref } from "../ipc/_packet.ts";
import type { PipeEnd } from "../ipc/_pipe_end.ts";
import { type Connection, endOf } from "../ipc/connection.ts";
import { RemoteError } from "../ipc/errors.ts";
import type { SharedArray } from "../ipc/shared_array.ts";
import { type AnyFunction, loadTask, type Task } from "../ipc/_task_load.ts";
import {
  CallFlag,
  Outcome,
  ToPool,
  ToWorker,
  ValueReader,
  writeValue,
} from "./_protocol.ts";
import { SharedBoard, STAGING_BYTES } from "./_shared_board.ts";
import { setTaskContext, type TaskContext } from "./task_context.ts";

/** How long results are kept to be sent with others, in milliseconds. */
const GATHER = 0.3;

/** More bytes than this are sent at once. */
const GATHER_BYTES = STAGING_BYTES / 2;

/** A value larger than this goes by itself. */
const SMALL_BYTES = 4096;

/** One task of a batch. */
interface Call {
  readonly id: number;
  readonly fn: AnyFunction | Promise<AnyFunction>;
  readonly attempt: number;
  readonly flags: number;
  /** Still packed, or not any more. */
  readonly args: Packet | unknown[];
}

/** Of a task that the pool does not know by itself. */
const NO_ID = -1;

/** A batch, as it is worked through. */
interface Batch {
  readonly id: number;
  readonly slot: number;
  readonly count: number;
  /** The task with this index. */
  call(index: number): Call;
}

/** Who this worker is. */
export interface WorkerSelf {
  readonly name: string;
  readonly id: number;
}

/** The main function of a worker. Ends when the pool says so, or is gone. */
export async function serve(
  connection: Connection,
  memory: SharedArray<"i32"> | null,
  self: WorkerSelf,
): Promise<void> {
  // The pool makes pipes only.
  await new Worker(endOf(connection) as PipeEnd, memory, self).serve();
}

class Worker {
  readonly #end: PipeEnd;
  readonly #self: WorkerSelf;
  readonly #board: SharedBoard | undefined;
  readonly #functions = new Map<number, AnyFunction | Promise<AnyFunction>>();
  readonly #batches: Batch[] = [];
  readonly #ended = Promise.withResolvers<void>();
  /** Tasks that need not begin any more. */
  readonly #cancelled = new Set<number>();
  #running = false;
  #exiting = false;
  /** The task that runs, and how it is asked to stop. */
  #current: { id: number; abort: AbortController | undefined } | undefined;
  /** Results that were not sent yet: of one batch. */
  readonly #gathered = new ByteWriter(1024);
  #gatheredCount = 0;
  #gatherStart = 0;
  /** What the tasks of it have taken, in milliseconds. */
  #spent = 0;
  #sending: Promise<unknown> | undefined;

  constructor(
    end: PipeEnd,
    memory: SharedArray<"i32"> | null,
    self: WorkerSelf,
  ) {
    this.#end = end;
    this.#self = self;
    this.#board = memory === null ? undefined : boardOf(memory);
  }

  async serve(): Promise<void> {
    const reading = this.#read();
    await Promise.race([reading, this.#ended.promise]);
    await this.#sending;
  }

  async #read(): Promise<void> {
    const read = (packet: Packet) => this.#received(packet);
    while (!this.#exiting) {
      if (this.#end.tryReceive(read) !== undefined) continue;
      const { packet } = (await this.#end.receive())!;
      read(packet);
    }
  }

  #received({ bytes, refs }: Packet): void {
    const input = new ByteReader(bytes);
    switch (input.u8()) {
      case ToWorker.Init:
        this.#init(input, refs);
        return;
      case ToWorker.Define: {
        const id = input.varint();
        const { bytes } = new ValueReader(refs).read(input);
        // The pool packs a task.
        const task = hub.unpack({
          bytes: bytes.slice(),
          refs: NO_REFS,
        }) as Task;
        const loading = load(task);
        // Whoever calls it is told.
        loading.then((fn) => this.#functions.set(id, fn), () => {});
        this.#functions.set(id, loading);
        return;
      }
      case ToWorker.Calls:
        this.#take(this.#calls(input, refs));
        return;
      case ToWorker.Items:
        this.#take(this.#items(input, refs));
        return;
      case ToWorker.Cancel:
        this.#cancel(input.varint());
        return;
      case ToWorker.Exit:
        this.#exiting = true;
        if (!this.#running) this.#ended.resolve();
        return;
    }
  }

  #cancel(id: number): void {
    if (this.#current?.id !== id) this.#cancelled.add(id);
    else {
      this.#current.abort ??= new AbortController();
      this.#current.abort.abort(cancelled());
    }
  }

  async #init(input: ByteReader, refs: readonly Ref[]): Promise<void> {
    const values = new ValueReader(refs);
    const kept = (packet: Packet) => ({
      ...packet,
      bytes: packet.bytes.slice(),
    });
    const packets = [
      kept(values.read(input)),
      kept(values.read(input)),
    ] as const;
    try {
      const task = hub.unpack(packets[0]) as Task | null;
      const args = hub.unpack(packets[1]) as unknown[];
      if (task !== null) await (await load(task))(...args);
      this.#tell(ToPool.Ready, (out) => out.u8(this.#board ? 1 : 0));
    } catch (error) {
      const refs: Ref[] = [];
      this.#tell(
        ToPool.InitFailed,
        (out) => writeValue(out, packed(error), refs),
        refs,
      );
    }
  }

  #calls(input: ByteReader, refs: readonly Ref[]): Batch {
    const id = input.varint();
    const slot = input.u8();
    const count = input.varint();
    const values = new ValueReader(refs);
    const rest = new ByteReader(input.rest().slice());
    const calls: Call[] = [];
    for (let i = 0; i < count; i++) {
      calls.push({
        id: rest.varint(),
        fn: this.#functions.get(rest.varint())!,
        attempt: rest.varint(),
        flags: rest.u8(),
        args: values.read(rest),
      });
    }
    return { id, slot, count, call: (index) => calls[index]! };
  }

  /** Values of a list, each an argument, or a list of arguments. */
  #items(input: ByteReader, refs: readonly Ref[]): Batch {
    const id = input.varint();
    const slot = input.u8();
    const count = input.varint();
    const number = input.varint();
    const fn = this.#functions.get(number)!;
    const isSpread = input.u8() === 1;
    const packet = new ValueReader(refs).read(input);
    const kept = { ...packet, bytes: packet.bytes.slice() };
    let items: unknown[] | undefined;
    return {
      id,
      slot,
      count,
      call: (index) => {
        items ??= hub.unpack(kept) as unknown[];
        const item = items[index];
        const args = isSpread ? item as unknown[] : [item];
        return { id: NO_ID, fn, attempt: 1, flags: 0, args };
      },
    };
  }

  #take(batch: Batch): void {
    this.#batches.push(batch);
    if (!this.#running) this.#run();
  }

  /** Works through the batches. Goes on without a turn while nothing waits. */
  async #run(): Promise<void> {
    this.#running = true;
    try {
      for (let batch; (batch = this.#batches.shift()) !== undefined;) {
        for (
          let i = this.#next(batch, -1);
          i >= 0;
          i = this.#next(batch, i)
        ) {
          const waiting = this.#runOne(batch, i);
          if (waiting !== undefined) await waiting;
        }
        this.#flush(batch, true);
        if (this.#sending !== undefined) await this.#sending;
      }
    } finally {
      this.#running = false;
      if (this.#exiting) this.#ended.resolve();
    }
  }

  #next({ slot, count }: Batch, last: number): number {
    if (this.#board !== undefined) return this.#board.claim(slot);
    return last + 1 < count ? last + 1 : -1;
  }

  /** Runs a task; gives a promise when it does not end at once. */
  #runOne(batch: Batch, index: number): Promise<void> | undefined {
    const start = performance.now();
    let value: unknown;
    try {
      const call = batch.call(index);
      if (this.#cancelled.delete(call.id)) throw cancelled();
      this.#enter(call);
      const { fn } = call;
      const args = Array.isArray(call.args)
        ? call.args
        : hub.unpack(call.args as Packet) as unknown[];
      if (typeof fn !== "function" || call.flags !== 0) {
        return this.#finish(batch, index, start, this.#later(call, args));
      }
      value = fn(...args);
    } catch (error) {
      this.#done(batch, index, start, Outcome.Error, error);
      return undefined;
    }
    if (isThenable(value)) return this.#finish(batch, index, start, value);
    this.#done(batch, index, start, Outcome.Value, value);
    return undefined;
  }

  /** One whose function is not loaded yet, or whose start is to be told. */
  async #later(call: Call, args: unknown[]): Promise<unknown> {
    const fn = await call.fn;
    if ((call.flags & CallFlag.Timed) !== 0) {
      this.#tell(ToPool.Started, (out) => out.varint(call.id));
      await this.#sending;
    }
    return await fn(...args);
  }

  async #finish(
    batch: Batch,
    index: number,
    start: number,
    result: unknown,
  ): Promise<void> {
    try {
      const value = await result;
      this.#done(batch, index, start, Outcome.Value, value);
    } catch (error) {
      this.#done(batch, index, start, Outcome.Error, error);
    }
    if (this.#sending !== undefined) await this.#sending;
  }

  #enter(call: Call): void {
    const running: { id: number; abort: AbortController | undefined } = {
      id: call.id,
      abort: undefined,
    };
    this.#current = running;
    this.#context.attempt = call.attempt;
    this.#context.running = running;
    setTaskContext(this.#context);
  }

  readonly #context: TaskContext & {
    attempt: number;
    running: { id: number; abort: AbortController | undefined };
  } = this.#makeContext();

  #makeContext() {
    const self = this.#selfOf.bind(this);
    const tell = this.#tellTask.bind(this);
    return {
      attempt: 1,
      running: { id: -1, abort: undefined as AbortController | undefined },
      get worker() {
        return self().name;
      },
      get workerId() {
        return self().id;
      },
      get signal() {
        return (this.running.abort ??= new AbortController()).signal;
      },
      log(...values: unknown[]) {
        const text = values.map((value) =>
          typeof value === "string" ? value : Deno.inspect(value)
        ).join(" ");
        tell(ToPool.Log, this.running.id, text);
      },
      progress(value: unknown) {
        tell(ToPool.Progress, this.running.id, value);
      },
    };
  }

  #selfOf(): WorkerSelf {
    return this.#self;
  }

  #tellTask(kind: number, id: number, value: unknown): void {
    const refs: Ref[] = [];
    const packet = hub.pack(value);
    this.#tell(kind, (out) => {
      out.varint(id + 1);
      writeValue(out, packet, refs);
    }, refs);
  }

  /** A task has ended: its result is sent, or gathered with others. */
  #done(
    batch: Batch,
    index: number,
    start: number,
    outcome: number,
    value: unknown,
  ): void {
    setTaskContext(undefined);
    this.#current = undefined;
    const now = performance.now();
    this.#spent += now - start;
    let packet: Packet;
    try {
      packet = outcome === Outcome.Value
        ? hub.pack(value, "result", undefined, true)
        : packed(value);
    } catch (error) {
      outcome = Outcome.Error;
      packet = packed(error);
    }
    const isSmall = packet.refs.length === 0 &&
      packet.bytes.length <= SMALL_BYTES;
    // What is not noted in memory has to leave before the next task begins.
    const refs: Ref[] = [];
    if (!isSmall) this.#flush(batch, false);
    const out = this.#gathered;
    const before = out.pos;
    if (this.#gatheredCount === 0) this.#gatherStart = now;
    out.varint(index);
    out.u8(outcome);
    writeValue(out, packet, refs);
    this.#gatheredCount++;
    if (!isSmall) return this.#flush(batch, false, refs);
    if (batch.count === 1) return;
    this.#board?.stage(
      batch.id,
      before,
      out.bytes.subarray(before, out.pos),
    );
    if (
      this.#board === undefined || out.pos > GATHER_BYTES ||
      now - this.#gatherStart > GATHER
    ) this.#flush(batch, false);
  }

  /** Sends what is gathered; also, at the end, that nothing more comes. */
  #flush(batch: Batch, isLast: boolean, refs: Ref[] = []): void {
    if (this.#gatheredCount === 0 && !isLast) return;
    const spent = this.#spent;
    this.#tell(ToPool.Results, (out) => {
      out.varint(batch.id);
      out.u8(isLast ? 1 : 0);
      out.f64(spent);
      out.varint(this.#gatheredCount);
      out.raw(this.#gathered.lend());
    }, refs);
    this.#gatheredCount = 0;
    this.#spent = 0;
    this.#board?.clear();
  }

  readonly #out = new ByteWriter(1024);

  #tell(
    kind: number,
    write: (out: ByteWriter) => void,
    refs: readonly Ref[] = NO_REFS,
  ): void {
    const out = this.#out;
    out.u8(kind);
    write(out);
    const packet = { bytes: out.lend(), refs };
    if (this.#sending === undefined && this.#end.trySend(packet)) return;
    // In order behind the others; whoever runs next waits for it.
    const kept = { ...packet, bytes: packet.bytes.slice() };
    const sending: Promise<unknown> = this.#end.sendLater(kept)
      // The pool is gone, and with it this process.
      .catch(() => this.#ended.resolve())
      .finally(() => {
        if (this.#sending === sending) this.#sending = undefined;
      });
    this.#sending = sending;
  }
}

function cancelled(): DOMException {
  return new DOMException("The task was cancelled", "AbortError");
}

function boardOf(memory: SharedArray<"i32">): SharedBoard | undefined {
  try {
    return new SharedBoard(memory);
  } catch {
    // Without --allow-ffi the memory is out of reach: the pool is told.
    return undefined;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return value !== null && typeof value === "object" &&
    typeof (value as { then?: unknown }).then === "function";
}

async function load(task: Task): Promise<AnyFunction> {
  const { run, namespace } = await loadTask(task);
  hub.errorClass = (name) => namespace?.[name];
  return run;
}

/** An error as it is sent; of one that cannot be, what can. */
function packed(error: unknown): Packet {
  try {
    return hub.pack(error, "error");
  } catch {
    return hub.packError(
      error instanceof Error
        ? new RemoteError(`${error.name}: ${error.message}`)
        : error,
    );
  }
}
