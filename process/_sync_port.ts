// Copyright 2026 the multitask authors. MIT license.
// Blocking requests of a child to its parent: over an inherited descriptor by
// the main thread itself, else over a connection of the watchdog's.

import type { SyncPort } from "../ipc/_hub.ts";
import { TimeoutError } from "../ipc/errors.ts";
import { type Bootstrap, helloBytes, Role, SYNC_FD } from "./_protocol.ts";
import { self } from "../ipc/_self.ts";
import {
  Answer,
  AnswerState,
  dismissWatchdog,
  MAX_ANSWER,
  orderWatchdog,
} from "./_watchdog.ts";

/** The kind of a request's frame; the hub's `Sync`. */
const SYNC_FRAME = 10;

/** Ends the process: the parent is gone, and nobody can be told anything. */
type Lost = () => never;

/** Over the watchdog's connection, made at the first request. */
class WatchdogPort implements SyncPort {
  readonly #bootstrap: Bootstrap;
  readonly #lost: Lost;
  #words: Int32Array | undefined;
  #bytes: SharedArrayBuffer | undefined;

  constructor(bootstrap: Bootstrap, lost: Lost) {
    this.#bootstrap = bootstrap;
    this.#lost = lost;
  }

  exchange(request: Uint8Array, patience = Infinity): Uint8Array {
    if (this.#words === undefined) {
      this.#words = new Int32Array(
        new SharedArrayBuffer(Answer.Words * Int32Array.BYTES_PER_ELEMENT),
      );
      this.#bytes = new SharedArrayBuffer(0x10000, {
        maxByteLength: MAX_ANSWER,
      });
      orderWatchdog({
        type: "connect",
        address: this.#bootstrap.address,
        hello: helloBytes(Role.Sync, this.#bootstrap.token),
        words: this.#words.buffer as SharedArrayBuffer,
        bytes: this.#bytes,
      });
    }
    const words = this.#words;
    if (Atomics.load(words, Answer.State) === AnswerState.Failed) this.#lost();
    Atomics.store(words, Answer.State, AnswerState.Waiting);
    orderWatchdog({ type: "send", request });
    const end = performance.now() + patience;
    // A wake-up may be that of the answer before, which was seen without it.
    while (
      Atomics.load(words, Answer.State) === AnswerState.Waiting &&
      performance.now() < end
    ) {
      Atomics.wait(
        words,
        Answer.State,
        AnswerState.Waiting,
        end - performance.now(),
      );
    }
    const state = Atomics.load(words, Answer.State);
    if (self.forked) {
      // It ends when it is idle, which a worker would keep it from.
      dismissWatchdog();
      this.#words = undefined;
    }
    if (state === AnswerState.Failed) this.#lost();
    if (state !== AnswerState.There) {
      throw new TimeoutError(`The parent did not answer in ${patience} ms`);
    }
    return new Uint8Array(this.#bytes!)
      .slice(0, Atomics.load(words, Answer.Length));
  }
}

interface FileSystem {
  readSync(fd: number, into: Uint8Array): number;
  writeSync(fd: number, bytes: Uint8Array): number;
}

/** Over the inherited descriptor, which blocks by itself. */
class DescriptorPort implements SyncPort {
  readonly #fs: FileSystem;

  readonly #lost: Lost;

  constructor(fs: FileSystem, lost: Lost) {
    this.#fs = fs;
    this.#lost = lost;
  }

  exchange(request: Uint8Array): Uint8Array {
    const frame = new Uint8Array(5 + request.length);
    new DataView(frame.buffer).setUint32(0, request.length + 1, true);
    frame[4] = SYNC_FRAME;
    frame.set(request, 5);
    for (let at = 0; at < frame.length;) {
      at += this.#fs.writeSync(SYNC_FD, frame.subarray(at));
    }
    const head = this.#readAll(4);
    return this.#readAll(
      new DataView(head.buffer).getUint32(0, true),
    );
  }

  #readAll(length: number): Uint8Array {
    const into = new Uint8Array(length);
    for (let have = 0; have < length;) {
      const count = this.#fs.readSync(SYNC_FD, into.subarray(have));
      if (count === 0) this.#lost();
      have += count;
    }
    return into;
  }
}

/** The port that fits how the child is connected. */
export async function openSyncPort(
  bootstrap: Bootstrap,
  lost: Lost,
): Promise<SyncPort> {
  if (bootstrap.address.kind !== "fd") return new WatchdogPort(bootstrap, lost);
  const fs = await import("node:fs") as unknown as FileSystem;
  return new DescriptorPort(fs, lost);
}
