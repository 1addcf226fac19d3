// Copyright 2026 the multitask authors. MIT license.
// A process of a fault test; see fixtures/side.ts.

const ROOT = new URL("../../", import.meta.url);

/** How it is started, beside its role. */
export interface SideOptions {
  readonly flags?: readonly string[];
  /** Runs within a network namespace. */
  readonly namespace?: string;
}

/** See the file comment. */
export class Side implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #lines: string[] = [];
  readonly #reading: Promise<unknown>;
  #changed = Promise.withResolvers<void>();
  #ended = false;

  constructor(
    role: string,
    address: string,
    rest: readonly string[] = [],
    { flags = ["-A"], namespace }: SideOptions = {},
  ) {
    const args = [
      "run",
      "--quiet",
      "--no-check",
      "--no-prompt",
      `--config=${new URL("deno.json", ROOT).pathname}`,
      ...flags,
      new URL("./fixtures/side.ts", import.meta.url).pathname,
      role,
      address,
      ...rest,
    ];
    const [command, ...all] = namespace === undefined
      ? [Deno.execPath(), ...args]
      : ["ip", "netns", "exec", namespace, Deno.execPath(), ...args];
    this.#process = new Deno.Command(command!, {
      args: all,
      cwd: ROOT,
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    let text = "";
    const stream = this.#process.stdout.pipeThrough(new TextDecoderStream());
    for await (const piece of stream) {
      const lines = (text + piece).split("\n");
      text = lines.pop()!;
      this.#lines.push(...lines);
      this.#tell();
    }
    this.#ended = true;
    this.#tell();
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** The next line, which starts with a word; gives the rest of it. */
  async line(word: string): Promise<string> {
    while (this.#lines.length === 0) {
      if (this.#ended) throw new Error(`It ended before it said "${word}"`);
      await this.#changed.promise;
    }
    const line = this.#lines.shift()!;
    if (!line.startsWith(word)) {
      throw new Error(`It said "${line}" and not "${word}"`);
    }
    return line.slice(word.length).trim();
  }

  kill(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  get status(): Promise<Deno.CommandStatus> {
    return this.#process.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#process.status;
    await this.#reading;
  }
}
