// Copyright 2026 the multitask authors. MIT license.
// One number in shared memory: its bits in a 64-bit word, which is read and
// changed atomically, whatever the type. No guard, so nothing to recover.

import { ObjectWord } from "./_arena.ts";
import { Core, type CorePlace } from "./_core.ts";
import { hub } from "./_hub.ts";
import {
  checkNumber,
  NUMBER_TYPES,
  NumberBits,
  type NumberType,
} from "./_number_types.ts";
import type { Packet } from "./_packet.ts";
import { registerMourner } from "./_recovery.ts";
import {
  HandleNumber,
  type Operation,
  type Reply,
  Status,
  type Withdraw,
} from "./_shared_object.ts";

/** Operations on a number. All give its old value. */
export const CellOp = {
  Get: 1,
  /** The packet is the new number. */
  Set: 2,
  Add: 3,
  /** The packet is a list: what is expected, and the new number. */
  CompareExchange: 4,
  Type: 5,
} as const;

// 64-bit words stand at even places.
const Word = { Type: ObjectWord.Own, Bits: ObjectWord.Own + 1 } as const;

/** See the file comment. */
export class CellCore extends Core {
  protected override readonly what = "value";
  readonly type: NumberType;
  readonly #bits: NumberBits<NumberType>;
  /** The index of its bits among 64-bit words. */
  readonly #index: number;

  constructor(
    place: CorePlace,
    settings?: { type: NumberType; value: number | bigint },
  ) {
    super(HandleNumber.Cells, place, (at) => {
      const { type, value } = settings!;
      const { int32, words } = place.agent;
      int32[at + Word.Type] = NUMBER_TYPES.indexOf(type);
      words.int64[at + Word.Bits >>> 1] = new NumberBits(type).toBits(value);
    });
    this.type = NUMBER_TYPES[this.agent.int32[this.at + Word.Type]!] ?? "i32";
    this.#bits = new NumberBits(this.type);
    this.#index = this.at + Word.Bits >>> 1;
  }

  get(): number | bigint {
    this.checkThere();
    const { int64 } = this.agent.words;
    return this.#bits.fromBits(Atomics.load(int64, this.#index));
  }

  set(value: number | bigint): number | bigint {
    return this.#change(() => value);
  }

  add(amount: number | bigint): number | bigint {
    // Both are of the type's kind: see `checkNumber`.
    return this.#change((now) => (now as number) + (amount as number));
  }

  /** Stores `value` where `expected` stands, bit by bit. */
  compareExchange(
    expected: number | bigint,
    value: number | bigint,
  ): number | bigint {
    this.checkThere();
    const bits = this.#bits;
    return bits.fromBits(Atomics.compareExchange(
      this.agent.words.int64,
      this.#index,
      bits.toBits(expected),
      bits.toBits(value),
    ));
  }

  #change(
    change: (now: number | bigint) => number | bigint,
  ): number | bigint {
    this.checkThere();
    const { int64 } = this.agent.words;
    const bits = this.#bits;
    while (true) {
      const now = Atomics.load(int64, this.#index);
      const value = bits.fromBits(now);
      const next = bits.toBits(change(value));
      if (Atomics.compareExchange(int64, this.#index, now, next) === now) {
        return value;
      }
    }
  }

  /** What comes with an operation: it may come from another process. */
  #numbersOf(packet: Packet | undefined, code: number): number[] {
    const count = code === CellOp.CompareExchange ? 2 : 1;
    const numbers = packet && packet.bytes.length > 0
      ? hub.unpack(packet)
      : undefined;
    if (!Array.isArray(numbers) || numbers.length !== count) {
      throw new TypeError(`Cannot change value: ${count} numbers are needed`);
    }
    for (const number of numbers) {
      checkNumber("change value", this.type, number);
    }
    return numbers; // Bigints or numbers, as the type needs them.
  }

  /** Does an operation with numbers of the type; gives the old number. */
  apply(code: number, numbers: readonly (number | bigint)[]): number | bigint {
    switch (code) {
      case CellOp.Get:
        return this.get();
      case CellOp.Set:
        return this.set(numbers[0]!);
      case CellOp.Add:
        return this.add(numbers[0]!);
      case CellOp.CompareExchange:
        return this.compareExchange(numbers[0]!, numbers[1]!);
      default:
        throw new RangeError(`Cannot do operation ${code} on a value`);
    }
  }

  perform(operation: Operation, reply: Reply): Withdraw | undefined {
    const { code, packet } = operation;
    if (code === CellOp.Type) {
      reply(Status.Done, NUMBER_TYPES.indexOf(this.type));
      return undefined;
    }
    const numbers = code === CellOp.Get ? [] : this.#numbersOf(packet, code);
    reply(Status.Done, 0, hub.pack(this.apply(code, numbers)));
    return undefined;
  }
}

registerMourner(HandleNumber.Cells, {
  freeHeld() {},
  takeBack() {},
  end() {},
});
