// Copyright 2026 the multitask authors. MIT license.

import {
  BlockCore,
  lookUp,
  type NamedBlock,
  type OpenBlock,
} from "./_block_core.ts";
import { type Handle, parts, registerComposite } from "./_codec.ts";
import { homes } from "./_homes.ts";
import { hub } from "./_hub.ts";
import { checkInteger, shown } from "./_options.ts";
import type { Reference } from "./_reference.ts";
import {
  claimReference,
  registerHandle,
  type SharedOptions,
} from "./_shared.ts";
import { HandleNumber } from "./_shared_object.ts";
import { ClosedError, PermissionNeededError } from "./errors.ts";

/** Options of {@linkcode SharedMemory}. */
export interface SharedMemoryOptions extends SharedOptions {
  /**
   * The name by which others of this program find the block.
   *
   * @default {undefined} a random one for a block that is made
   */
  name?: string;
  /**
   * Whether to make the block; else it is looked up by its name.
   *
   * @default {false}
   */
  create?: boolean;
  /** How many bytes a block that is made has: an integer >= 1. */
  size?: number;
}

/** Longer names are refused, in bytes of UTF-8. */
const MAX_NAME = 255;

/** A block as it is known to this process, whatever opens it: a handle. */
export class Block {
  static {
    registerHandle(
      HandleNumber.SharedMemory,
      this.prototype,
      () => new this(),
      (place) => new BlockCore(place),
    );
  }

  readonly reference: Reference;
  name = "";
  /** How many in this process use it. */
  #users = 0;

  constructor(size = 0, options: SharedOptions = {}, action = "") {
    this.reference = claimReference(
      this,
      HandleNumber.SharedMemory,
      () =>
        new BlockCore({ agent: homes.agentFor(action, options.home) }, size),
    );
  }

  /** Where this thread reaches its memory. */
  get core(): BlockCore | undefined {
    return this.reference.direct as BlockCore | undefined;
  }

  /** A way into its memory. */
  open(action: string): OpenBlock {
    const { core } = this;
    if (core === undefined) {
      throw new PermissionNeededError(
        `Cannot ${action}: the memory belongs to another process, and only --allow-ffi reaches it (Linux); make it in "mapped" memory and add --allow-ffi to both`,
        { flag: "--allow-ffi" },
      );
    }
    return core.open();
  }

  use(): void {
    this.#users++;
  }

  /** The last one to leave lets go of it. */
  leave(): void {
    if (--this.#users === 0 && this.name === "") hub.release(this.reference);
  }
}

/** Blocks of ours that have a name: they stay until it is taken away. */
const named = new Map<string, Block>();

function find(name: string): { block: Block } | undefined {
  const own = named.get(name);
  if (own !== undefined) return { block: own };
  for (const agent of [homes.mapped, homes.shared]) {
    const found: NamedBlock | undefined = agent && lookUp(agent, name);
    if (found === undefined) continue;
    const { owner, id, place } = found;
    const block = hub.adoptKnown({
      type: HandleNumber.SharedMemory,
      owner,
      id,
      part: 0,
      place,
    }) as Handle & Block;
    return { block };
  }
  return undefined;
}

/**
 * A block of memory that threads and processes see as bytes.
 *
 * Python: `multiprocessing.shared_memory.SharedMemory`. Differences: names are
 * known within one program, its threads and its processes that have
 * `--allow-ffi`; nobody else can open them. A block is freed when its name is
 * unlinked, or its owner has ended, and nobody has it open any more: there is
 * nothing to clean up after a crash, and nothing is freed that is in use. The
 * size is what was asked for. A block can also be passed as it is, in `args`
 * and through queues.
 *
 * Reads and writes are those of plain memory: guard them with a lock.
 *
 * @example
 * ```ts
 * import { SharedMemory } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * using memory = new SharedMemory({ create: true, size: 16 });
 * memory.buf[0] = 42;
 * using same = new SharedMemory({ name: memory.name });
 * assertEquals(same.buf[0], 42);
 * memory.unlink();
 * ```
 */
export class SharedMemory implements Disposable {
  static {
    registerComposite(
      HandleNumber.SharedMemory,
      // What it is sent as, below.
      ([block, name]) => new this({}, { block: block as Block, name }),
    );
  }

  readonly #block: Block;
  readonly #name: string;
  #open: OpenBlock | undefined;
  #view: Uint8Array | undefined;
  #closed = false;

  /**
   * Makes a block, or opens the one with a name.
   *
   * @throws {RangeError} If a block is made and `size` is not an integer >= 1.
   * @throws {Deno.errors.AlreadyExists} If the name of a new block is taken.
   * @throws {Deno.errors.NotFound} If there is no block with the name.
   */
  constructor(options: SharedMemoryOptions);
  /** For one that arrives. */
  constructor(options: SharedMemoryOptions, arrived: unknown);
  constructor(options: SharedMemoryOptions, arrived?: unknown) {
    if (arrived !== undefined) {
      // From the class itself: see above.
      const { block, name } = arrived as { block: Block; name: string };
      this.#block = block;
      this.#name = name;
    } else {
      const { name = "", create = false, size } = options;
      checkName(name);
      if (create) {
        checkInteger("create shared memory", "size", size, 1);
        this.#name = name || `multitask-${crypto.randomUUID()}`;
        this.#block = make(this.#name, size!, options);
      } else {
        if (name === "") {
          throw new TypeError(
            'Cannot open shared memory: give its "name", or "create" and "size"',
          );
        }
        this.#name = name;
        const found = find(name);
        if (found === undefined) {
          throw new Deno.errors.NotFound(
            `Cannot open shared memory: there is none with the name ${
              shown(name)
            } within reach`,
          );
        }
        this.#block = found.block;
      }
    }
    this.#block.use();
  }

  /** What it is sent as. */
  get [parts](): [number, object, string] {
    return [HandleNumber.SharedMemory, this.#block, this.#name];
  }

  /**
   * The memory. Empty, where that can be done, once it is closed.
   *
   * @throws {ClosedError} If it is closed.
   * @throws {PermissionNeededError} If its memory is out of reach.
   */
  get buf(): Uint8Array {
    if (this.#closed) {
      throw new ClosedError("Cannot use shared memory: it is closed");
    }
    if (this.#view !== undefined) return this.#view;
    this.#open = this.#block.open("use shared memory");
    return this.#view = new Uint8Array(this.#open.buffer);
  }

  /** Its name. */
  get name(): string {
    return this.#name;
  }

  /** How many bytes it has. */
  get size(): number {
    return this.buf.length;
  }

  /** Whether it was closed here. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Closes this way to the memory; others stay open. Views of it are empty
   * then, or, of a block in `"shared"` memory, of no use to others. Idempotent.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#open?.close();
    this.#open = this.#view = undefined;
    this.#block.leave();
  }

  /**
   * Takes the name away: nobody opens the block by it any more, and it is freed
   * when the last one closes it. Idempotent.
   */
  unlink(): void {
    const block = this.#block;
    if (named.delete(this.#name)) block.name = "";
    try {
      block.core?.removeName();
    } catch {
      // It is gone, and its name with it.
    }
    if (this.#closed) {
      block.use();
      block.leave();
    }
  }

  /** The same as {@linkcode SharedMemory.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

function checkName(name: unknown): void {
  if (typeof name !== "string") {
    throw new TypeError(
      `Cannot open shared memory: "name" must be a string, received ${
        shown(name)
      }`,
    );
  }
  if (new TextEncoder().encode(name).length > MAX_NAME) {
    throw new RangeError(
      `Cannot open shared memory: "name" may have ${MAX_NAME} bytes, received ${
        shown(name)
      }`,
    );
  }
}

function make(name: string, size: number, options: SharedOptions): Block {
  const block = new Block(size, options, "create shared memory");
  const id = hub.share(block.reference);
  if (!block.core!.setName(name, id)) {
    hub.release(block.reference);
    throw new Deno.errors.AlreadyExists(
      `Cannot create shared memory: the name ${shown(name)} is taken`,
    );
  }
  block.name = name;
  named.set(name, block);
  return block;
}
