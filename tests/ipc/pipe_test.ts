// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import type { WaitOptions } from "../../ipc/_options.ts";
import type { Connection } from "../../ipc/connection.ts";
import { ConnectionClosedError, TimeoutError } from "../../ipc/errors.ts";
import { Pipe } from "../../ipc/pipe.ts";
import { Queue } from "../../ipc/queue.ts";
import { hub } from "../../ipc/_hub.ts";
import { type Random, seeded } from "./_random.ts";
import { assertPending, bounded, turn } from "./_waits.ts";

Deno.test("Pipe() connects its two ends both ways", async () => {
  const [left, right] = Pipe<string>();
  await left.send("to the right");
  await right.send("to the left");
  assertEquals(await left.recv(), "to the left");
  assertEquals(await right.recv(), "to the right");
  left.close();
  right.close();
});

Deno.test("Pipe({ duplex: false }) receives at its first end and sends at its second", async () => {
  const [reader, writer] = Pipe<string>({ duplex: false });
  await writer.send("one way");
  assertEquals(await reader.recv(), "one way");
  const refused: (() => Promise<unknown>)[] = [
    () => reader.send("back"),
    () => reader.sendBytes(new Uint8Array(1)),
    () => writer.recv(),
    () => writer.recvBytes(),
    () => writer.recv({ timeout: 0 }),
    () => writer.poll(),
  ];
  for (const call of refused) {
    await assertRejects(() => bounded(call()), ConnectionClosedError);
  }
  writer.close();
  await assertRejects(() => bounded(reader.recv()), ConnectionClosedError);
  reader.close();
});

Deno.test("Pipe() makes pipes that know nothing of each other", async () => {
  const [a, b] = Pipe<number>();
  const [c, d] = Pipe<number>();
  await a.send(1);
  await c.send(2);
  assertEquals(await d.recv(), 2);
  assertEquals(await b.recv(), 1);
  for (const end of [a, b, c, d]) end.close();
});

Deno.test("Pipe() ends can be passed on, and then work from there", async () => {
  using queue = new Queue<Connection<string>>();
  const [left, right] = Pipe<string>();
  await queue.put(right);
  const moved = await queue.get();
  await left.send("hello");
  assertEquals(await moved.recv(), "hello");
  await moved.send("back");
  assertEquals(await left.recv(), "back");
  moved.close();
  await assertRejects(() => bounded(left.recv()), ConnectionClosedError);
  left.close();
  right.close();
});

Deno.test("Pipe() end that was passed on survives that the first one is closed", async () => {
  using queue = new Queue<Connection<string>>();
  const [left, right] = Pipe<string>();
  await queue.put(right);
  const moved = await queue.get();
  right.close();
  await moved.send("hello");
  assertEquals(await bounded(left.recv()), "hello");
  moved.close();
  left.close();
});

Deno.test("Pipe() end in an item that is dropped counts as closed", async () => {
  const queue = new Queue<Connection<string>>();
  const [left, right] = Pipe<string>();
  await queue.put(right);
  const recv = left.recv();
  await assertPending(recv);
  queue.close();
  await assertRejects(() => bounded(recv), ConnectionClosedError);
  left.close();
});

Deno.test("Pipe() end that is used here is not closed by what is passed on", async () => {
  const queue = new Queue<Connection<string>>();
  const [left, right] = Pipe<string>();
  await right.send("used");
  await queue.put(right);
  queue.close();
  await right.send("still here");
  assertEquals(await left.recv(), "used");
  assertEquals(await left.recv(), "still here");
  left.close();
  right.close();
});

Deno.test("Pipe() is forgotten when both ends are closed", async () => {
  const before = hub.sharedCount;
  using queue = new Queue<Connection>();
  const [left, right] = Pipe();
  await left.send(1);
  await queue.put(left);
  assert(hub.sharedCount > before);
  assertStrictEquals(await queue.get(), left);
  left.close();
  right.close();
  assertEquals(hub.sharedCount, before);
});

// ---- All at once ----

async function pause(random: Random): Promise<void> {
  if (random.oneIn(30)) return await turn();
  for (let i = random.below(5); i > 0; i--) await Promise.resolve();
}

Deno.test("Pipe() gets every message across in order in any mix of calls", async () => {
  await seeded(async (random) => {
    const [left, right] = Pipe<Uint8Array>();
    const expected = (error: unknown) =>
      assert(error === "abort" || error instanceof TimeoutError, `${error}`);
    const attempt = async <T>(
      call: (options: WaitOptions) => Promise<T>,
      done: (value: T) => void,
    ) => {
      const controller = new AbortController();
      const options: WaitOptions = {};
      if (random.oneIn(2)) options.signal = controller.signal;
      if (random.oneIn(5)) options.timeout = random.below(2);
      const ended = call(options).then(done, expected);
      if (options.signal && random.oneIn(2)) {
        await pause(random);
        controller.abort("abort");
      }
      await ended;
    };
    /** Messages carry their number, and now and then fill the pipe. */
    const message = (number: number) => {
      const size = random.oneIn(8) ? random.below(900_000) : random.below(50);
      const bytes = new Uint8Array(4 + size);
      new DataView(bytes.buffer).setUint32(0, number);
      return bytes;
    };
    const oneWay = async (from: typeof left, to: typeof left) => {
      const accepted: string[] = [];
      const received: string[] = [];
      const key = (bytes: Uint8Array) =>
        `${new DataView(bytes.buffer).getUint32(0)}: ${bytes.length}`;
      let sending = true;
      const sender = async () => {
        for (let number = 0; number < 200; number++) {
          const bytes = message(number);
          await attempt(
            (options) =>
              random.oneIn(2)
                ? from.send(bytes, options)
                : from.sendBytes(bytes, options),
            () => accepted.push(key(bytes)),
          );
          await pause(random);
        }
        sending = false;
      };
      const receiver = async () => {
        while (sending || await to.poll()) {
          if (random.oneIn(4)) {
            await attempt((options) => to.poll(options), () => {});
          } else {
            await attempt(
              (options) =>
                to.recv({ timeout: 1, ...options }) as Promise<Uint8Array>,
              (bytes) => received.push(key(bytes)),
            );
          }
          await pause(random);
        }
      };
      await Promise.all([sender(), receiver()]);
      assertEquals(received, accepted);
      assert(accepted.length > 50);
    };
    await bounded(Promise.all([oneWay(left, right), oneWay(right, left)]));
    left.close();
    right.close();
  });
});
