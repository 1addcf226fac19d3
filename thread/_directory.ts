// Copyright 2026 the multitask authors. MIT license.
// The threads of this process that live, as all of them see them: a table in
// memory that they share. The main thread made it and stands in no row.
//
// Whoever starts a thread takes a row for it and frees the row when the thread
// has ended; those that the thread had started have ended then, too. The ident is
// written last and looked at again by whoever has read a row, so that nobody sees
// half of one.

import { InvalidStateError } from "../ipc/errors.ts";

/** The ident of the main thread. */
export const MAIN_IDENT = 1;

/** The name of the main thread. */
export const MAIN_NAME = "MainThread";

/** As many have a seat in the memory of shared objects. */
const MAX_THREADS = 1000;

/** Words before the rows. */
const Head = {
  LastIdent: 0,
  LastName: 1,
  /** What tells the locks of this process from those of others. */
  Secret: 2,
  SecretWords: 4,
  Words: 8,
} as const;

/** Words of a row. */
const Row = {
  /** 0: free; -1: being written. */
  Ident: 0,
  Starter: 1,
  Daemon: 2,
  NameLength: 3,
  Name: 4,
  NameWords: 28,
  Words: 32,
} as const;

const TAKEN = -1;

/** The longest name in bytes, and the longest character. */
const MAX_NAME = Row.NameWords * Int32Array.BYTES_PER_ELEMENT;
const UTF8_BYTES = 4;

/** A thread as its row tells it. */
export interface ThreadRow {
  readonly ident: number;
  readonly name: string;
  readonly daemon: boolean;
}

/** See the file comment. */
export class ThreadDirectory {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #secret: string;

  /** Joins the directory of another thread, or makes one. */
  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(
      (Head.Words + MAX_THREADS * Row.Words) * Int32Array.BYTES_PER_ELEMENT,
    );
    this.#words = new Int32Array(this.buffer);
    this.#bytes = new Uint8Array(this.buffer);
    const secret = this.#words.subarray(
      Head.Secret,
      Head.Secret + Head.SecretWords,
    );
    if (buffer === undefined) {
      secret.set(crypto.getRandomValues(new Int32Array(Head.SecretWords)));
      this.#words[Head.LastIdent] = MAIN_IDENT;
    }
    this.#secret = secret.join();
  }

  /** The name of the Web Lock that a thread holds. */
  lockOf(ident: number): string {
    return `multitask thread ${ident} of ${this.#secret}`;
  }

  /** The number of the next thread that is given no name. */
  nextName(): number {
    return Atomics.add(this.#words, Head.LastName, 1) + 1;
  }

  /**
   * Takes a row for a new thread; gives its ident.
   *
   * @throws {InvalidStateError} If there is none left.
   */
  add(name: string, daemon: boolean, starter: number): number {
    const words = this.#words;
    for (let row = 0; row < MAX_THREADS; row++) {
      const at = Head.Words + row * Row.Words;
      if (Atomics.compareExchange(words, at, 0, TAKEN) !== 0) continue;
      const ident = Atomics.add(words, Head.LastIdent, 1) + 1;
      words[at + Row.Starter] = starter;
      words[at + Row.Daemon] = daemon ? 1 : 0;
      this.#setName(at, name);
      Atomics.store(words, at + Row.Ident, ident);
      return ident;
    }
    throw new InvalidStateError(
      `Cannot start thread "${name}": ${MAX_THREADS} threads live already; join some first, or use a ThreadPool`,
    );
  }

  #setName(at: number, name: string): void {
    const start = (at + Row.Name) * Int32Array.BYTES_PER_ELEMENT;
    // As much of it as there is room for.
    const { written } = new TextEncoder().encodeInto(
      name,
      this.#bytes.subarray(start, start + MAX_NAME),
    );
    Atomics.store(this.#words, at + Row.NameLength, written);
  }

  #find(ident: number): number | undefined {
    for (let row = 0; row < MAX_THREADS; row++) {
      const at = Head.Words + row * Row.Words;
      if (Atomics.load(this.#words, at) === ident) return at;
    }
    return undefined;
  }

  /** Whether a thread lives, as far as is known. */
  has(ident: number): boolean {
    return this.#find(ident) !== undefined;
  }

  /** Changes the name of a thread, if it lives. */
  rename(ident: number, name: string): void {
    const at = this.#find(ident);
    if (at !== undefined) this.#setName(at, name);
  }

  /** What a thread is called now that was called `name` when it was started. */
  nameOf(ident: number, name: string): string {
    const at = this.#find(ident);
    if (at === undefined) return name;
    const now = this.#nameAt(at);
    // There may have been no room for all of it.
    const isCut = this.#words[at + Row.NameLength]! > MAX_NAME - UTF8_BYTES &&
      name.startsWith(now);
    return isCut ? name : now;
  }

  #nameAt(at: number): string {
    const start = (at + Row.Name) * Int32Array.BYTES_PER_ELEMENT;
    const length = Atomics.load(this.#words, at + Row.NameLength);
    return new TextDecoder().decode(this.#bytes.slice(start, start + length));
  }

  /** A thread has ended, and with it those that it had started. */
  remove(ident: number): void {
    const at = this.#find(ident);
    if (at !== undefined) Atomics.store(this.#words, at, 0);
    for (let row = 0; row < MAX_THREADS; row++) {
      const at = Head.Words + row * Row.Words;
      const started = Atomics.load(this.#words, at);
      if (started > 0 && this.#words[at + Row.Starter] === ident) {
        this.remove(started);
      }
    }
  }

  /** The threads that live, in the order of their start. */
  get rows(): ThreadRow[] {
    const words = this.#words;
    const found: ThreadRow[] = [];
    for (let row = 0; row < MAX_THREADS; row++) {
      const at = Head.Words + row * Row.Words;
      const ident = Atomics.load(words, at);
      if (ident <= 0) continue;
      const name = this.#nameAt(at);
      const daemon = words[at + Row.Daemon] === 1;
      if (Atomics.load(words, at) === ident) {
        found.push({ ident, name, daemon });
      }
    }
    return found.sort((a, b) => a.ident - b.ident);
  }
}
