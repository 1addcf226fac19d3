// Copyright 2026 the multitask authors. MIT license.
// A block of shared memory of its own, which can be seen as a buffer: under
// SharedMemory and SharedArray. The arena only says where it is:
//
//   mapped   a memfd of the owner's; whoever attaches maps it for himself, so
//            that his views can be taken away without touching others'
//   shared   a SharedArrayBuffer, which threads are given (_homes.ts)
//
// The memory itself lives as long as somebody has it mapped: an owner that
// ends, or lets go, takes only the way to it along. Names stand in a list of
// the arena, and go with the object.

import type { Agent } from "./_agent.ts";
import { ArenaWord, ObjectWord } from "./_arena.ts";
import { Core, type CorePlace } from "./_core.ts";
import { homes, type Place } from "./_homes.ts";
import { hub } from "./_hub.ts";
import {
  attachBlock,
  closeDescriptor,
  createBlock,
  unmapBlock,
} from "./_mapped_words.ts";
import { registerMourner } from "./_recovery.ts";
import {
  HandleNumber,
  type Operation,
  type Reply,
  Status,
  type Withdraw,
} from "./_shared_object.ts";

/** Operations on a block, for those who do not reach it. */
export const BlockOp = {
  Size: 1,
  /** The packet is a list: a type, an index. */
  Get: 2,
  /** The packet is a list: a type, an index, a number. */
  Set: 3,
} as const;

const Word = {
  /** The size in bytes, low and high part. */
  Size: ObjectWord.Own,
  SizeHigh: ObjectWord.Own + 1,
  Pid: ObjectWord.Own + 2,
  Fd: ObjectWord.Own + 3,
  /** The block of its name, 0 without one. */
  Name: ObjectWord.Own + 4,
} as const;

/** Words of a name: the next, whose it is, and its text. */
const NameWord = {
  Next: 0,
  Object: 1,
  Generation: 2,
  Id: 3,
  /** Bytes of the name, and of the owner's path, which follows it. */
  Length: 4,
  OwnerLength: 5,
  Words: 6,
} as const;

/** A way into a block. */
export interface OpenBlock {
  readonly buffer: ArrayBufferLike;
  /** Takes the way back; views are empty then, where that can be done. */
  close(): void;
}

/** Reads or writes one number of a block; given by SharedArray. */
export type Access = (
  buffer: ArrayBufferLike,
  type: number,
  index: number,
  value?: number | bigint,
) => number | bigint;

let access: Access | undefined;

/** Says how numbers are read and written, once there are arrays. */
export function setAccess(numbers: Access): void {
  access = numbers;
}

/** See the file comment. */
export class BlockCore extends Core {
  protected override readonly what = "shared memory";
  /** The owner's own way, which keeps the block open. */
  #own: OpenBlock | undefined;
  #fd = -1;

  constructor(place: CorePlace, size = 0) {
    const isMapped = homes.homeOf(place.agent) === "mapped";
    const block = place.place === undefined && isMapped
      ? createBlock(Math.max(size, 1))
      : undefined;
    super(HandleNumber.SharedMemory, place, (at) => {
      const { int32 } = place.agent;
      int32[at + Word.Size] = size | 0;
      int32[at + Word.SizeHigh] = Math.floor(size / 2 ** 32);
      if (block === undefined) return;
      int32[at + Word.Pid] = Deno.pid;
      int32[at + Word.Fd] = block.fd;
    });
    if (place.place !== undefined) return;
    if (block !== undefined) {
      this.#fd = block.fd;
      this.#own = { buffer: block.buffer, close: () => unmapBlock(block) };
    } else {
      const buffer = new SharedArrayBuffer(size);
      homes.addBlock(this.place, buffer);
      this.#own = { buffer, close() {} };
    }
  }

  /** Bytes. */
  get size(): number {
    this.checkThere();
    const { int32 } = this.agent;
    return (int32[this.at + Word.Size]! >>> 0) +
      int32[this.at + Word.SizeHigh]! * 2 ** 32;
  }

  /** A way into the block. Throws when it is no longer there. */
  open(): OpenBlock {
    const { size } = this;
    if (homes.homeOf(this.agent) === "shared") {
      const buffer = homes.blockAt(this.place);
      if (buffer === undefined) throw this.goneError();
      return { buffer, close() {} };
    }
    const { int32 } = this.agent;
    const block = attachBlock(
      int32[this.at + Word.Pid]!,
      int32[this.at + Word.Fd]!,
      Math.max(size, 1),
    );
    closeDescriptor(block.fd);
    return { buffer: block.buffer, close: () => unmapBlock(block) };
  }

  perform(operation: Operation, reply: Reply): Withdraw | undefined {
    if (operation.code === BlockOp.Size) {
      reply(Status.Done, this.size);
      return undefined;
    }
    if (
      operation.code !== BlockOp.Get && operation.code !== BlockOp.Set ||
      access === undefined || this.#own === undefined
    ) {
      throw new RangeError(
        `Cannot do operation ${operation.code} on shared memory`,
      );
    }
    const { packet } = operation;
    const sent = packet && packet.bytes.length > 0
      ? hub.unpack(packet)
      : undefined;
    if (!Array.isArray(sent)) {
      throw new TypeError("Cannot use shared memory: a list is needed");
    }
    // Checked by `access`: it may come from anywhere.
    const [type, index, value] = sent;
    const number = access(this.#own.buffer, type, index, value);
    reply(Status.Done, 0, hub.pack(number));
    return undefined;
  }

  /** Gives it a name; false when somebody has it. */
  setName(name: string, id: number): boolean {
    const { agent, at } = this;
    return this.transact(() => {
      agent.enterArena();
      if (findName(agent, name) !== 0) return false;
      const text = new TextEncoder().encode(name);
      const owner = new TextEncoder().encode(this.ownerPath);
      const block = agent.allocate(
        NameWord.Words + (text.length + owner.length + 3 >>> 2),
      );
      const { int32, words } = agent;
      int32[block + NameWord.Next] = int32[ArenaWord.Names]!;
      int32[block + NameWord.Object] = at;
      int32[block + NameWord.Generation] = this.generation;
      int32[block + NameWord.Id] = id;
      int32[block + NameWord.Length] = text.length;
      int32[block + NameWord.OwnerLength] = owner.length;
      const start = (block + NameWord.Words) * 4;
      words.bytes.set(text, start);
      words.bytes.set(owner, start + text.length);
      agent.set(ArenaWord.Names, block);
      agent.set(at + Word.Name, block);
      return true;
    });
  }

  /** Takes its name away; false when it has none. */
  removeName(): boolean {
    const { agent, at } = this;
    return this.transact(() => {
      if (agent.int32[at + Word.Name] === 0) return false;
      dropName(agent, at);
      return true;
    });
  }

  protected override dispose(): void {
    dropName(this.agent, this.at);
  }

  override destroy(error: Error): void {
    super.destroy(error);
    if (this.#fd >= 0) closeDescriptor(this.#fd);
    this.#fd = -1;
    this.#own?.close();
    this.#own = undefined;
    homes.removeBlock(this.place);
  }
}

/** The block of a name, or 0. Within an entry of the arena. */
function findName(agent: Agent, name: string): number {
  const { int32, words } = agent;
  const wanted = new TextEncoder().encode(name);
  for (
    let block = int32[ArenaWord.Names]!;
    block !== 0;
    block = int32[block + NameWord.Next]!
  ) {
    if (int32[block + NameWord.Length] !== wanted.length) continue;
    const start = (block + NameWord.Words) * 4;
    if (wanted.every((byte, i) => words.bytes[start + i] === byte)) {
      return block;
    }
  }
  return 0;
}

function dropName(agent: Agent, at: number): void {
  const { int32 } = agent;
  const name = int32[at + Word.Name]!;
  if (name === 0) return;
  agent.enterArena();
  let before: number = ArenaWord.Names;
  while (int32[before] !== name && int32[before] !== 0) {
    before = int32[before]! + NameWord.Next;
  }
  if (int32[before] === name) agent.set(before, int32[name + NameWord.Next]!);
  agent.set(at + Word.Name, 0);
  agent.free(name);
}

/** The block with this name, as it is known to others. */
export interface NamedBlock {
  readonly owner: string;
  readonly id: number;
  readonly place: Place;
}

/** Finds a block by its name. */
export function lookUp(agent: Agent, name: string): NamedBlock | undefined {
  return agent.transact(ArenaWord.Guard, () => {
    const block = findName(agent, name);
    if (block === 0) return undefined;
    const { int32, words } = agent;
    const length = int32[block + NameWord.Length]!;
    const start = (block + NameWord.Words) * 4 + length;
    return {
      owner: new TextDecoder().decode(
        words.bytes.slice(start, start + int32[block + NameWord.OwnerLength]!),
      ),
      id: int32[block + NameWord.Id]!,
      place: {
        home: homes.homeOf(agent),
        at: int32[block + NameWord.Object]!,
        generation: int32[block + NameWord.Generation]!,
      },
    };
  });
}

registerMourner(HandleNumber.SharedMemory, {
  freeHeld() {},
  takeBack() {},
  end: dropName,
});
