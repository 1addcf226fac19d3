// Copyright 2026 the multitask authors. MIT license.

// Python's multiprocessing as a contender: one Python program that does what it
// is told and times itself, for as long as a benchmark runs.

import type { Absence, SelfTimed } from "./_measure.ts";

const PROGRAM = `${import.meta.dirname}/fixtures/python_peer.py`;

/** A running fixtures/python_peer.py. */
export class PythonPeer implements AsyncDisposable {
  readonly #program: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #lines: AsyncGenerator<string, void>;
  #startMethods: readonly string[] = [];

  private constructor(program: Deno.ChildProcess) {
    this.#program = program;
    this.#input = program.stdin.getWriter();
    this.#lines = lines(program.stdout);
  }

  /** Starts it; `undefined` where there is no Python 3. */
  static async start(): Promise<PythonPeer | undefined> {
    let program: Deno.ChildProcess;
    try {
      program = new Deno.Command("python3", {
        args: [PROGRAM],
        stdin: "piped",
        stdout: "piped",
      }).spawn();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
    const peer = new PythonPeer(program);
    const first = await peer.#lines.next();
    // Some systems have a `python3` that only says how to get one.
    if (first.done) return undefined;
    peer.#startMethods = first.value.split(" ");
    return peer;
  }

  /** Ways to start a process that this Python has. */
  get startMethods(): readonly string[] {
    return this.#startMethods;
  }

  /** Has a command done; gives the microseconds it took. */
  async time(command: string): Promise<number> {
    await this.#input.write(new TextEncoder().encode(`${command}\n`));
    const answer = await this.#lines.next();
    if (answer.done) throw new Error(`python3 ended during "${command}"`);
    return Number(answer.value) * 1e6;
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#lines.return();
    await this.#program.status;
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
  if (peer === undefined) return { name, absent: "skipped: no python3" };
  return { name, time: async () => await peer.time(command) / runs };
}

async function* lines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string, void> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (text + chunk).split("\n");
    text = parts.pop()!;
    yield* parts;
  }
}
