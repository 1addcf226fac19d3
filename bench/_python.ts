// Copyright 2026 the multitask authors. MIT license.

// Python's multiprocessing as a contender.

import type { Absence, SelfTimed } from "./_measure.ts";
import { Peer, peerContender } from "./_peer.ts";

/** What a peer can be: files in fixtures/. */
export type PythonProgram =
  | "python_peer.py"
  | "python_pools.py"
  | "python_commands.py"
  | "python_managers.py";

/** A running Python program. */
export class PythonPeer implements AsyncDisposable {
  readonly #peer: Peer;

  private constructor(peer: Peer) {
    this.#peer = peer;
  }

  /** Starts it; `undefined` where there is no Python 3. */
  static async start(
    program: PythonProgram = "python_peer.py",
  ): Promise<PythonPeer | undefined> {
    // Some systems have a `python3` that only says how to get one.
    const peer = await Peer.start("python3", [
      `${import.meta.dirname}/fixtures/${program}`,
    ]);
    return peer && new PythonPeer(peer);
  }

  /** Ways to start a process that this Python has. */
  get startMethods(): readonly string[] {
    return this.#peer.greeting.split(" ");
  }

  get pid(): number {
    return this.#peer.pid;
  }

  /** Has a command done; gives the microseconds it took. */
  async time(command: string): Promise<number> {
    return await this.#peer.time(command);
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#peer[Symbol.asyncDispose]();
  }
}

/**
 * A contender that has Python do a command.
 *
 * @param name Its row in the table.
 * @param peer Where it is done, if there is Python.
 * @param command What to do.
 * @param runs How often the command does what is compared.
 */
export function pythonContender(
  name: string,
  peer: PythonPeer | undefined,
  command: string,
  runs = 1,
): SelfTimed | Absence {
  return peerContender(name, peer ?? "skipped: no python3", command, runs);
}
