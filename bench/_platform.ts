// Copyright 2026 the multitask authors. MIT license.

// The plain ways from one side to another that the platform has, without
// anything of ours: what there is to compare with.

import type { Absence, SelfTimed } from "./_measure.ts";

/** A process at the other end of a Unix socket; see fixtures/socket_echo.ts. */
export interface Echo extends AsyncDisposable {
  readonly conn: Deno.Conn;
}

/** Starts a process that sends back whatever comes over a Unix socket. */
export async function startEcho(form: "bytes" | "frames"): Promise<Echo> {
  const directory = await Deno.makeTempDir();
  try {
    const path = `${directory}/socket`;
    using listener = Deno.listen({ transport: "unix", path });
    const entry = new URL("./fixtures/socket_echo.ts", import.meta.url);
    const { status } = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", entry.href, form, path],
      stdin: "null",
    }).spawn();
    const conn = await Promise.race([
      listener.accept(),
      status.then(({ code }) => {
        throw new Error(`The echo has ended with exit code ${code}`);
      }),
    ]);
    return {
      conn,
      async [Symbol.asyncDispose]() {
        conn.close(); // It ends with its connection.
        await status;
      },
    };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Sends so many bytes there and back, over and over. */
export async function swapBytes(
  conn: Deno.Conn,
  size: number,
  trips: number,
): Promise<void> {
  const message = new Uint8Array(size).fill(7);
  const buffer = new Uint8Array(1024);
  for (let i = 0; i < trips; i++) {
    for (let at = 0; at < size;) {
      at += await conn.write(message.subarray(at));
    }
    for (let have = 0; have < size;) {
      const count = await conn.read(buffer);
      if (count === null) throw new Error("The echo has ended");
      have += count;
    }
  }
}

/** A contender over a bare socket. */
export interface SocketContender extends AsyncDisposable {
  readonly contender: SelfTimed | Absence;
}

/** Round trips over a bare Unix socket as a contender. */
export async function socketContender(
  name: string,
  size: number,
  trips: number,
): Promise<SocketContender> {
  if (Deno.build.os === "windows") {
    return {
      contender: { name, absent: "skipped: no Unix sockets here" },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
  const echo = await startEcho("bytes");
  return {
    contender: {
      name,
      time: async () => {
        const start = performance.now();
        await swapBytes(echo.conn, size, trips);
        return (performance.now() - start) * 1000 / trips;
      },
    },
    [Symbol.asyncDispose]: () => echo[Symbol.asyncDispose](),
  };
}

/** A thread that answers messages; see fixtures/message_peer.ts. */
export class MessagePeer implements Disposable {
  readonly #worker: Worker;
  #answered: (answer: unknown) => void = () => {};

  constructor() {
    this.#worker = new Worker(
      new URL("./fixtures/message_peer.ts", import.meta.url),
      { type: "module" },
    );
    this.#worker.onmessage = ({ data }) => this.#answered(data);
  }

  /** Sends a message and waits for the answer. */
  ask(message: unknown): Promise<unknown> {
    return new Promise((resolve) => {
      this.#answered = resolve;
      this.#worker.postMessage(message);
    });
  }

  /** Sends a message that is not answered. */
  tell(message: unknown): void {
    this.#worker.postMessage(message);
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}
