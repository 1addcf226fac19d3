// Copyright 2026 the multitask authors. MIT license.

import { CellCore, CellOp } from "./_cell_core.ts";
import { parts, registerComposite } from "./_codec.ts";
import { homes } from "./_homes.ts";
import { hub } from "./_hub.ts";
import {
  checkNumber,
  checkType,
  NUMBER_TYPES,
  type NumberOf,
  type NumberType,
} from "./_number_types.ts";
import type { Packet } from "./_packet.ts";
import type { Reference } from "./_reference.ts";
import {
  checkOpen,
  claimReference,
  closeShared,
  registerHandle,
  type SharedOptions,
} from "./_shared.ts";
import { HandleNumber } from "./_shared_object.ts";
import { RLock } from "./rlock.ts";

/** The number of a value: a handle of its own. */
class Cell {
  static {
    registerHandle(
      HandleNumber.Cells,
      this.prototype,
      () => new this(),
      (place) => new CellCore(place),
    );
  }

  readonly reference: Reference;

  constructor(make?: () => CellCore) {
    this.reference = claimReference(this, HandleNumber.Cells, make!);
  }
}

let arriving: Cell | undefined;

/**
 * A number that threads and processes share.
 *
 * Python: `multiprocessing.Value`, whose `v.value += 1` loses updates; `add` and
 * `compareExchange` are atomic here. Every single operation is; use `lock` for
 * more than one. Numbers wrap around as those of a typed array do.
 *
 * @typeParam K The type: `"i8"`, `"u8"`, `"i16"`, `"u16"`, `"i32"`, `"u32"`,
 * `"f32"`, `"f64"`; with bigints `"i64"` and `"u64"`.
 *
 * @example
 * ```ts
 * import { Value } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const counter = new Value("i32", 40);
 * assertEquals(await counter.add(2), 40);
 * assertEquals(counter.value, 42);
 * ```
 */
export class Value<K extends NumberType = NumberType> implements Disposable {
  static {
    registerComposite(HandleNumber.Value, ([cell, lock]) => {
      arriving = cell as Cell; // What a value is sent as, below.
      const value = new this("i32", 0);
      value.#lock = lock as RLock;
      return value;
    });
  }

  readonly #cell: Cell;
  readonly #reference: Reference;
  /** Where this thread works on the memory itself. */
  readonly #core: CellCore | undefined;
  #type: NumberType | undefined;
  #lock: RLock | undefined;
  readonly #options: SharedOptions;

  /**
   * Makes a number that belongs to this process.
   *
   * @throws {TypeError} If `type` is none, or `value` not of its kind.
   */
  constructor(type: K, value: NumberOf<K>, options: SharedOptions = {}) {
    const arrived = arriving;
    arriving = undefined;
    if (arrived === undefined) {
      checkType("create value", type);
      checkNumber("create value", type, value);
      this.#type = type;
    }
    this.#options = options;
    this.#cell = arrived ??
      new Cell(() =>
        new CellCore(
          { agent: homes.agentFor("create value", options.home) },
          { type, value },
        )
      );
    this.#reference = this.#cell.reference;
    this.#core = this.#reference.direct as CellCore | undefined;
    this.#type ??= this.#core?.type;
  }

  /** What it is sent as. */
  get [parts](): [number, object, RLock] {
    return [HandleNumber.Value, this.#cell, this.lock];
  }

  /** Its lock, for more than one operation; made when it is first asked for. */
  get lock(): RLock {
    return this.#lock ??= new RLock(this.#options);
  }

  #decode(packet: Packet): NumberOf<K> {
    // The owner packs a number of the type.
    return hub.unpack(packet) as NumberOf<K>;
  }

  /** Does it at once where the memory is within reach. */
  #change(code: number, numbers: readonly NumberOf<K>[]): NumberOf<K> {
    const core = this.#core!;
    for (const number of numbers) {
      checkNumber("change value", core.type, number);
    }
    return core.apply(code, numbers) as NumberOf<K>;
  }

  async #ask(
    code: number,
    numbers: readonly NumberOf<K>[],
  ): Promise<NumberOf<K>> {
    checkOpen(this.#reference, "use the value");
    if (this.#core !== undefined) return this.#change(code, numbers);
    this.#type ??=
      NUMBER_TYPES[(await this.#reference.call(CellOp.Type))!.number];
    const done = await this.#reference.call(code, this.#packed(numbers));
    return this.#decode(done!.packet);
  }

  #askSync(code: number, numbers: readonly NumberOf<K>[]): NumberOf<K> {
    checkOpen(this.#reference, "use the value");
    if (this.#core !== undefined) return this.#change(code, numbers);
    this.#type ??= NUMBER_TYPES[this.#reference.callSync(CellOp.Type)!.number];
    const done = this.#reference.callSync(code, this.#packed(numbers));
    return this.#decode(done!.packet);
  }

  #packed(numbers: readonly NumberOf<K>[]): { packet?: Packet } {
    for (const number of numbers) {
      checkNumber("change value", this.#type!, number);
    }
    return numbers.length > 0 ? { packet: hub.pack(numbers) } : {};
  }

  /**
   * The number at this moment; can be set.
   *
   * A process that neither owns it nor reaches its memory asks the owner and
   * blocks until it answers; `InvalidStateError` where that cannot be done.
   */
  get value(): NumberOf<K> {
    return this.#askSync(CellOp.Get, []);
  }

  set value(value: NumberOf<K>) {
    this.#askSync(CellOp.Set, [value]);
  }

  /** The number at this moment. */
  get(): Promise<NumberOf<K>> {
    return this.#ask(CellOp.Get, []);
  }

  /** Stores a number. */
  async set(value: NumberOf<K>): Promise<void> {
    await this.#ask(CellOp.Set, [value]);
  }

  /** Adds to the number; resolves to the old one. */
  add(amount: NumberOf<K>): Promise<NumberOf<K>> {
    return this.#ask(CellOp.Add, [amount]);
  }

  /** The blocking form of {@linkcode Value.add}. */
  addSync(amount: NumberOf<K>): NumberOf<K> {
    return this.#askSync(CellOp.Add, [amount]);
  }

  /** Stores `value` where `expected` stands; resolves to the old number. */
  compareExchange(
    expected: NumberOf<K>,
    value: NumberOf<K>,
  ): Promise<NumberOf<K>> {
    return this.#ask(CellOp.CompareExchange, [expected, value]);
  }

  /** The blocking form of {@linkcode Value.compareExchange}. */
  compareExchangeSync(
    expected: NumberOf<K>,
    value: NumberOf<K>,
  ): NumberOf<K> {
    return this.#askSync(CellOp.CompareExchange, [expected, value]);
  }

  /** Lets go of the number; in its owner it ends for everybody. Idempotent. */
  close(): void {
    closeShared(this.#reference, "value");
    this.#lock?.close();
  }

  /** The same as {@linkcode Value.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
