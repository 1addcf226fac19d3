// Copyright 2026 the multitask authors. MIT license.
// A worker beside the child's main thread. It watches the liveness line, where
// the kernel does not, and carries blocking requests while the main thread sits
// in Atomics.wait. It is made from text, so that it needs no permission.

import type { Address } from "./_protocol.ts";

/** Words of the shared answer. */
export const Answer = { State: 0, Length: 1, Words: 2 } as const;

/** States of the shared answer. */
export const AnswerState = { Waiting: 0, There: 1, Failed: 2 } as const;

/** The most an answer can be, in bytes. */
export const MAX_ANSWER = 0x7fff0000;

/** What the worker is asked for. */
export type WatchdogOrder =
  | { type: "watch"; directory: string | undefined }
  | {
    type: "connect";
    address: Address;
    hello: Uint8Array;
    words: SharedArrayBuffer;
    bytes: SharedArrayBuffer;
  }
  | { type: "send"; request: Uint8Array };

/** The worker's program. Its text is all that gets there: no outer names. */
function watchdog(): void {
  const scope = globalThis as unknown as {
    onmessage: (event: { data: WatchdogOrder }) => void;
  };
  let conn: Promise<Deno.Conn> | undefined;
  let words: Int32Array | undefined;

  const fail = () => {
    if (words === undefined) return;
    Atomics.store(words, 0, 2);
    Atomics.notify(words, 0);
  };

  const watch = async (directory: string | undefined) => {
    const buffer = new Uint8Array(256);
    try {
      while (await Deno.stdin.read(buffer) !== null);
    } catch {
      // An error is an end as well.
    }
    if (directory !== undefined) {
      try {
        Deno.removeSync(directory, { recursive: true });
      } catch {
        // Somebody else was first.
      }
    }
    Deno.kill(Deno.pid, "SIGKILL");
  };

  const connect = async (order: WatchdogOrder & { type: "connect" }) => {
    const { address } = order;
    words = new Int32Array(order.words);
    conn = (async () => {
      const made = address.kind === "unix"
        ? await Deno.connect({ transport: "unix", path: address.path })
        : await Deno.connect({
          hostname: "127.0.0.1",
          port: (address as { port: number }).port,
        });
      await made.write(order.hello);
      return made;
    })();
    try {
      const open = await conn;
      const readAll = async (into: Uint8Array) => {
        let have = 0;
        while (have < into.length) {
          const count = await open.read(into.subarray(have));
          if (count === null) throw new Error("closed");
          have += count;
        }
      };
      const head = new Uint8Array(4);
      while (true) {
        await readAll(head);
        const length = new DataView(head.buffer).getUint32(0, true);
        const answer = new Uint8Array(length);
        await readAll(answer);
        if (length > order.bytes.byteLength) order.bytes.grow(length);
        new Uint8Array(order.bytes).set(answer);
        Atomics.store(words, 1, length);
        Atomics.store(words, 0, 1);
        Atomics.notify(words, 0);
      }
    } catch {
      fail();
    }
  };

  const send = async (request: Uint8Array) => {
    try {
      const open = await conn!;
      // A frame like any other: its length, a kind, the request.
      const frame = new Uint8Array(5 + request.length);
      new DataView(frame.buffer).setUint32(0, request.length + 1, true);
      frame[4] = 10;
      frame.set(request, 5);
      let rest = frame;
      while (rest.length > 0) rest = rest.subarray(await open.write(rest));
    } catch {
      fail();
    }
  };

  scope.onmessage = ({ data: order }) => {
    if (order.type === "watch") watch(order.directory);
    else if (order.type === "connect") connect(order);
    else send(order.request);
  };
}

let worker: Worker | undefined;

interface UnheldWorker {
  unref(): void;
}

/**
 * Watches without keeping the process alive, which only a worker of Node's can;
 * so for forked children, where the kernel does not watch.
 */
export async function startUnheldWatchdog(
  directory: string | undefined,
): Promise<void> {
  const { Worker } = await import("node:worker_threads") as unknown as {
    Worker: new (text: string, options: { eval: boolean }) => UnheldWorker;
  };
  const order: WatchdogOrder = { type: "watch", directory };
  const text = `(${watchdog})(); onmessage({ data: ${JSON.stringify(order)} })`;
  new Worker(text, { eval: true }).unref();
}

/** Ends the watchdog: it would keep a process alive that ends when it is idle. */
export function dismissWatchdog(): void {
  worker?.terminate();
  worker = undefined;
}

/** Sends an order to the watchdog, and starts it if it does not run. */
export function orderWatchdog(order: WatchdogOrder): void {
  worker ??= new Worker(
    `data:text/javascript,${encodeURIComponent(`(${watchdog})()`)}`,
    { type: "module", name: "multitask watchdog" },
  );
  worker.postMessage(order);
}
