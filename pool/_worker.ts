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
  ItemsFlag,
  Outcome,
  type RunTimes,
  sinceEpoch,
  ToPool,
  ToWorker,
  ValueReader,
  writeTimes,
  writeValue,
} from "./_protocol.ts";
import { SharedBoard, STAGING_BYTES } from "./_shared_board.ts";
import { setTaskContext, type TaskContext } from "./task_context.ts";

/** How long results are kept to be sent with others, in milliseconds. */
const GATHER = 0.3;

/** The same for items whose results are only of use together. */
const LIST_GATHER = 5;

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
  readonly args: Packet;
}

/** A batch, as it is worked through. */
type Batch =
  & {
    readonly id: number;
    readonly slot: number;
    readonly count: number;
    /** What has not begun is left: it is not wanted, or others shall have it. */
    isLeft: boolean;
  }
  & (
    | { readonly kind: "calls"; readonly calls: readonly Call[] }
    | {
      readonly kind: "items";
      readonly fn: AnyFunction | Promise<AnyFunction>;
      readonly attempt: number;
      readonly isSpread: boolean;
      readonly isDurable: boolean;
      readonly isTimed: boolean;
      readonly packet: Packet;
      /** Once they are decoded. */
      items: readonly unknown[] | undefined;
    }
  );

/** The task that runs. */
interface Running {
  id: number;
  /** Where it is in its batch. */
  index: number;
  attempt: number;
  abort: AbortController | undefined;
}

/** Of a task that the pool does not know by itself. */
const NO_ID = -1;

/** Items between two looks at the clock, where they are short. */
const LOOK_EVERY = 16;

/** What takes less than this is short, in milliseconds. */
const SHORT = 0.02;

/**
 * How long a batch of items may take whose rest nobody can take back, in
 * milliseconds: then that is given back.
 */
const FAR_BOUND = 20;

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
  #isRunning = false;
  #exiting = false;
  readonly #running: Running = {
    id: NO_ID,
    index: 0,
    attempt: 1,
    abort: undefined,
  };
  /** The one that is worked through, and when that began. */
  #current: Batch | undefined;
  #begunAt = 0;
  /** Values of items that were not sent yet, and the index of the first. */
  #values: unknown[] = [];
  #firstValue = 0;
  /** Results that were not sent yet: of one batch. */
  readonly #gathered = new ByteWriter(1024);
  #gatheredCount = 0;
  #gatherStart = 0;
  /** What the tasks of it have taken. */
  readonly #times: RunTimes = { start: 0, spent: 0, longest: 0 };
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
    while (!this.#exiting) {
      const got = this.#end.tryReceive(keptPacket);
      this.#received(got?.value ?? (await this.#end.receive())!.packet);
    }
  }

  /** A message, whose bytes are its own. */
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
          bytes,
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
      case ToWorker.Drop:
        this.#drop(input.varint());
        return;
      case ToWorker.Exit:
        this.#exiting = true;
        if (!this.#isRunning) this.#ended.resolve();
        return;
    }
  }

  #cancel(id: number): void {
    const running = this.#running;
    if (running.id !== id) {
      const isPending = this.#batches.some((batch) =>
        batch.kind === "calls" && batch.calls.some((call) => call.id === id)
      );
      // Else its result is on the way.
      if (isPending) this.#cancelled.add(id);
    } else (running.abort ??= new AbortController()).abort(cancelled());
  }

  /** Items that nobody wants. */
  #drop(id: number): void {
    const current = this.#current;
    const batch = current?.id === id
      ? current
      : this.#batches.find((batch) => batch.id === id);
    if (batch === undefined) return;
    batch.isLeft = true;
    if (batch === current) {
      (this.#running.abort ??= new AbortController()).abort(cancelled());
    }
  }

  async #init(input: ByteReader, refs: readonly Ref[]): Promise<void> {
    const values = new ValueReader(refs);
    const packets = [values.read(input), values.read(input)] as const;
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
    const rest = new ByteReader(input.rest());
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
    return { kind: "calls", id, slot, count, isLeft: false, calls };
  }

  #items(input: ByteReader, refs: readonly Ref[]): Batch {
    const id = input.varint();
    const slot = input.u8();
    const count = input.varint();
    const fn = this.#functions.get(input.varint())!;
    const flags = input.u8();
    const attempt = input.varint();
    const packet = new ValueReader(refs).read(input);
    return {
      kind: "items",
      id,
      slot,
      count,
      isLeft: false,
      fn,
      attempt,
      isSpread: (flags & ItemsFlag.Spread) !== 0,
      isDurable: (flags & ItemsFlag.Durable) !== 0,
      isTimed: (flags & ItemsFlag.Timed) !== 0,
      packet,
      items: undefined,
    };
  }

  #take(batch: Batch): void {
    this.#batches.push(batch);
    if (!this.#isRunning) this.#run();
  }

  /** Works through the batches. Goes on without a turn while nothing waits. */
  async #run(): Promise<void> {
    this.#isRunning = true;
    setTaskContext(this.#context);
    try {
      for (let batch; (batch = this.#batches.shift()) !== undefined;) {
        this.#current = batch;
        this.#begunAt = performance.now();
        const isList = batch.kind === "items" && !batch.isDurable;
        let begun = 0;
        for (
          let i = this.#next(batch, -1);
          i >= 0;
          i = this.#next(batch, i)
        ) {
          begun = i + 1;
          const waiting = isList
            ? this.#runListed(batch as Batch & { kind: "items" }, i)
            : this.#runOne(batch, i);
          if (waiting !== undefined) await waiting;
        }
        dropRest(batch, begun);
        if (this.#values.length > 0) this.#flushValues(batch);
        this.#current = undefined;
        this.#flush(batch, begun);
        if (this.#sending !== undefined) await this.#sending;
      }
    } finally {
      setTaskContext(undefined);
      this.#isRunning = false;
      if (this.#exiting) this.#ended.resolve();
    }
  }

  #next({ slot, count, isLeft }: Batch, last: number): number {
    if (isLeft) return -1;
    if (this.#board !== undefined) return this.#board.claim(slot);
    return last + 1 < count ? last + 1 : -1;
  }

  /** Runs a task; gives a promise when it does not end at once. */
  #runOne(batch: Batch, index: number): Promise<void> | undefined {
    const start = performance.now();
    let value: unknown;
    try {
      if (batch.kind === "items") {
        this.#enter(NO_ID, index, batch.attempt);
        const args = argsOf(batch, index);
        const { fn, isTimed } = batch;
        value = typeof fn === "function" && !isTimed
          ? fn(...args)
          : this.#later(batch, fn, isTimed, args);
      } else {
        const call = batch.calls[index]!;
        if (this.#cancelled.delete(call.id)) {
          hub.dropPacket(call.args);
          throw cancelled();
        }
        this.#enter(call.id, index, call.attempt);
        const { fn } = call;
        const args = hub.unpack(call.args) as unknown[];
        value = typeof fn === "function" && call.flags === 0
          ? fn(...args)
          : this.#later(batch, fn, call.flags !== 0, args);
      }
    } catch (error) {
      this.#done(batch, index, start, Outcome.Error, error);
      return undefined;
    }
    if (isThenable(value)) return this.#finish(batch, index, start, value);
    this.#done(batch, index, start, Outcome.Value, value);
    return undefined;
  }

  #enter(id: number, index: number, attempt: number): void {
    const running = this.#running;
    running.id = id;
    running.index = index;
    running.attempt = attempt;
    running.abort = undefined;
  }

  /** One whose function is not loaded yet, or whose start is to be told. */
  async #later(
    { id }: Batch,
    loading: AnyFunction | Promise<AnyFunction>,
    isTimed: boolean,
    args: readonly unknown[],
  ): Promise<unknown> {
    // The time runs while its module is loaded, too: that may hang.
    if (isTimed) {
      const now = sinceEpoch(performance.now());
      this.#tell(ToPool.Started, (out) => {
        out.varint(id);
        out.f64(now);
      });
      await this.#sending;
    }
    const fn = await loading;
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

  // ---- Items whose results are only of use together ----

  #runListed(
    batch: Batch & { kind: "items" },
    index: number,
  ): Promise<void> | undefined {
    if (this.#values.length === 0) {
      this.#firstValue = index;
      this.#gatherStart = this.#lookedAt = performance.now();
      this.#looked = this.#longest = 0;
    }
    let value: unknown;
    try {
      this.#enter(NO_ID, index, batch.attempt);
      const { fn, isTimed } = batch;
      if (typeof fn !== "function" || isTimed) {
        const result = this.#later(batch, fn, isTimed, argsOf(batch, index));
        return this.#listLater(batch, index, result);
      }
      value = batch.isSpread
        ? fn(...argsOf(batch, index))
        : fn(itemsOf(batch)[index]);
    } catch (error) {
      this.#listFailed(batch, index, error);
      return undefined;
    }
    if (isThenable(value)) return this.#listLater(batch, index, value);
    this.#listed(batch, value);
    return undefined;
  }

  async #listLater(
    batch: Batch & { kind: "items" },
    index: number,
    result: unknown,
  ): Promise<void> {
    try {
      this.#listed(batch, await result);
    } catch (error) {
      this.#listFailed(batch, index, error);
    }
    if (this.#sending !== undefined) await this.#sending;
  }

  #isShort = false;
  /** When it was looked at the clock, how many values there were, the longest. */
  #lookedAt = 0;
  #looked = 0;
  #longest = 0;
  /** How long each of those took that were looked at last. */
  #usual = 0;

  #listed(batch: Batch, value: unknown): void {
    const count = this.#values.push(value);
    if (this.#isShort && count % LOOK_EVERY !== 0) return;
    const now = this.#look();
    const spent = now - this.#gatherStart;
    this.#isShort = spent / count < SHORT;
    if (spent > LIST_GATHER) this.#flushValues(batch);
  }

  /** Looks at the clock: the longest of several is what they took too long. */
  #look(): number {
    const now = performance.now();
    const count = this.#values.length;
    const news = count - this.#looked;
    if (news > 0) {
      const span = now - this.#lookedAt;
      const each = span / news;
      const longest = Math.max(each, span - (news - 1) * this.#usual);
      if (longest > this.#longest) this.#longest = longest;
      this.#usual = each;
    }
    this.#looked = count;
    this.#lookedAt = now;
    this.#leaveRest(now);
    return now;
  }

  /** Nobody can take the rest back: it is given back. */
  #leaveRest(now: number): void {
    if (this.#board !== undefined || now - this.#begunAt < FAR_BOUND) return;
    if (this.#current?.kind === "items") this.#current.isLeft = true;
  }

  #listFailed(batch: Batch, index: number, error: unknown): void {
    const start = this.#values.length === 0
      ? this.#gatherStart
      : performance.now();
    if (this.#values.length > 0) this.#flushValues(batch);
    this.#done(batch, index, start, Outcome.Error, error);
  }

  /** Sends the values so far. */
  #flushValues(batch: Batch): void {
    const values = this.#values;
    const first = this.#firstValue;
    const start = this.#gatherStart;
    const spent = this.#look() - start;
    const longest = this.#longest;
    this.#values = [];
    let packet: Packet;
    try {
      packet = hub.packList(values, "result");
    } catch {
      // One of them cannot be sent: each by itself, then.
      values.forEach((value, i) => {
        this.#done(batch, first + i, performance.now(), Outcome.Value, value);
      });
      return;
    }
    const refs: Ref[] = [];
    this.#tell(ToPool.Run, (out) => {
      out.varint(batch.id);
      writeTimes(out, { start: sinceEpoch(start), spent, longest });
      out.varint(first);
      out.varint(values.length);
      writeValue(out, packet, refs);
    }, refs);
  }

  readonly #context: TaskContext = this.#makeContext();

  #makeContext(): TaskContext {
    const running = this.#running;
    const self = this.#selfOf.bind(this);
    const tell = this.#tellTask.bind(this);
    return {
      get worker() {
        return self().name;
      },
      get workerId() {
        return self().id;
      },
      get attempt() {
        return running.attempt;
      },
      get signal() {
        return (running.abort ??= new AbortController()).signal;
      },
      log(...values: unknown[]) {
        const text = values.map((value) =>
          typeof value === "string" ? value : Deno.inspect(value)
        ).join(" ");
        tell(ToPool.Log, text);
      },
      progress(value: unknown) {
        tell(ToPool.Progress, value);
      },
    };
  }

  #selfOf(): WorkerSelf {
    return this.#self;
  }

  #tellTask(kind: number, value: unknown): void {
    const refs: Ref[] = [];
    const packet = hub.pack(value);
    this.#tell(kind, (out) => {
      out.varint(this.#current?.id ?? 0);
      out.varint(this.#running.index);
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
    this.#running.id = NO_ID;
    const now = performance.now();
    const times = this.#times;
    const ms = now - start;
    if (times.spent === 0) times.start = sinceEpoch(start);
    times.spent += ms;
    if (ms > times.longest) times.longest = ms;
    this.#leaveRest(now);
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
    if (!isSmall) this.#flush(batch);
    const out = this.#gathered;
    const before = out.pos;
    if (this.#gatheredCount === 0) this.#gatherStart = now;
    out.varint(index);
    out.u8(outcome);
    writeValue(out, packet, refs);
    this.#gatheredCount++;
    if (!isSmall) return this.#flush(batch, undefined, refs);
    if (batch.count === 1) return;
    this.#board?.stage(
      batch.id,
      before,
      out.bytes.subarray(before, out.pos),
    );
    if (
      this.#board === undefined || out.pos > GATHER_BYTES ||
      now - this.#gatherStart > GATHER
    ) this.#flush(batch);
  }

  /** Sends what is gathered; and, at the end, how many of all had begun. */
  #flush(batch: Batch, begun?: number, refs: Ref[] = []): void {
    const isLast = begun !== undefined;
    if (this.#gatheredCount === 0 && !isLast) return;
    const times = this.#times;
    this.#tell(ToPool.Results, (out) => {
      out.varint(batch.id);
      out.varint(isLast ? begun + 1 : 0);
      writeTimes(out, times);
      out.varint(this.#gatheredCount);
      out.raw(this.#gathered.lend());
    }, refs);
    this.#gatheredCount = 0;
    times.spent = times.longest = 0;
    if (batch.count > 1) this.#board?.clear();
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

/** Lets go of handles in tasks that were taken back. */
function dropRest(batch: Batch, begun: number): void {
  if (batch.kind === "items") {
    if (batch.items === undefined) hub.dropPacket(batch.packet);
    return;
  }
  for (let i = begun; i < batch.count; i++) {
    hub.dropPacket(batch.calls[i]!.args);
  }
}

/** A copy: tasks run while others are received. */
function keptPacket({ bytes, refs }: Packet): Packet {
  return { bytes: bytes.slice(), refs };
}

function itemsOf(batch: Batch & { kind: "items" }): readonly unknown[] {
  // The pool packs a list.
  return batch.items ??= hub.unpack(batch.packet) as unknown[];
}

function argsOf(
  batch: Batch & { kind: "items" },
  index: number,
): readonly unknown[] {
  const item = itemsOf(batch)[index];
  // Whoever spreads items gives lists.
  return batch.isSpread ? item as unknown[] : [item];
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
