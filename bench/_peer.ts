// Copyright 2026 the multitask authors. MIT license.

// A program to compare with: it says that it is ready, then does what it is
// told, line by line, and times itself, for as long as a benchmark runs.

import type { Absence, SelfTimed } from "./_measure.ts";

/** A running program that answers each line with the seconds it took. */
export class Peer implements AsyncDisposable {
  readonly #program: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #lines: AsyncGenerator<string, void>;
  readonly #name: string;
  #greeting = "";

  private constructor(name: string, program: Deno.ChildProcess) {
    this.#name = name;
    this.#program = program;
    this.#input = program.stdin.getWriter();
    this.#lines = lines(program.stdout);
  }

  /**
   * Starts a program.
   *
   * @returns `undefined` where there is no such program, or it says nothing.
   */
  static async start(
    command: string | URL,
    args: string[],
  ): Promise<Peer | undefined> {
    let program: Deno.ChildProcess;
    try {
      program = new Deno.Command(command, {
        args,
        stdin: "piped",
        stdout: "piped",
      }).spawn();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
    const peer = new Peer(String(command), program);
    const first = await peer.#lines.next();
    if (first.done) return undefined;
    peer.#greeting = first.value;
    return peer;
  }

  /** The first line that it has printed. */
  get greeting(): string {
    return this.#greeting;
  }

  get pid(): number {
    return this.#program.pid;
  }

  /** Has a command done; gives the microseconds it took. */
  async time(command: string): Promise<number> {
    await this.#input.write(new TextEncoder().encode(`${command}\n`));
    const answer = await this.#lines.next();
    if (answer.done) throw new Error(`${this.#name} ended during "${command}"`);
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
 * A contender that has a peer do a command.
 *
 * @param name Its row in the table.
 * @param peer Where it is done, or why it is not.
 * @param command What to do.
 * @param runs How often the command does what is compared.
 */
export function peerContender(
  name: string,
  peer: Pick<Peer, "time"> | string,
  command: string,
  runs = 1,
): SelfTimed | Absence {
  if (typeof peer === "string") return { name, absent: peer };
  return { name, time: async () => await peer.time(command) / runs };
}

/** The lines of a stream. */
export async function* lines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string, void> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (text + chunk).split("\n");
    text = parts.pop()!;
    yield* parts;
  }
}
