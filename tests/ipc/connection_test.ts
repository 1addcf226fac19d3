// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { Buffer } from "node:buffer";
import type { WaitOptions } from "../../ipc/_options.ts";
import { Connection } from "../../ipc/connection.ts";
import {
  ConnectionClosedError,
  SerializationError,
  TimeoutError,
} from "../../ipc/errors.ts";
import { Pipe } from "../../ipc/pipe.ts";
import {
  assertPending,
  bounded,
  CountedAbort,
  reasonOf,
  turn,
} from "./_waits.ts";

/** As much as may be unread before a sender waits. */
const UNREAD_LIMIT = 1 << 20;

/** A pipe whose ends are closed when it is disposed of. */
class Ends<T = unknown> implements Disposable {
  readonly left: Connection<T>;
  readonly right: Connection<T>;

  constructor() {
    [this.left, this.right] = Pipe<T>();
  }

  [Symbol.dispose](): void {
    this.left.close();
    this.right.close();
  }
}

Deno.test("Connection() cannot be constructed by itself", () => {
  const type = Connection as unknown as new () => Connection;
  assertThrows(() => new type(), TypeError, "use Pipe()");
});

// ---- Messages ----

Deno.test("Connection.recv() gives messages in the order of send", async () => {
  using ends = new Ends<number>();
  for (let i = 0; i < 100; i++) await ends.left.send(i);
  for (let i = 0; i < 100; i++) assertEquals(await ends.right.recv(), i);
});

Deno.test("Connection.recv() gives copies, boundaries kept", async () => {
  using ends = new Ends();
  const message = { list: [1, 2], when: new Date(0) };
  await ends.left.send(message);
  await ends.left.send("");
  await ends.left.send(undefined);
  const copy = await ends.right.recv();
  assertEquals(copy, message);
  assertNotStrictEquals(copy, message);
  assertEquals(await ends.right.recv(), "");
  assertEquals(await ends.right.recv(), undefined);
  assertFalse(await ends.right.poll());
});

Deno.test("Connection.recv() waits, first come, first served", async () => {
  using ends = new Ends<string>();
  const receives = [ends.right.recv(), ends.right.recv()];
  await assertPending(receives[0]!);
  await ends.left.send("a");
  await ends.left.send("b");
  assertEquals(await bounded(Promise.all(receives)), ["a", "b"]);
});

Deno.test("Connection.send() names what cannot be sent, and sends nothing", async () => {
  using ends = new Ends();
  const error = await assertRejects(
    () => ends.left.send({ list: [() => {}] }),
    SerializationError,
  );
  assertEquals(error.path, "message.list[0]");
  assertFalse(await ends.right.poll());
});

Deno.test("Connection.send() detaches transferred buffers", async () => {
  using ends = new Ends<Uint8Array>();
  const bytes = new Uint8Array([1, 2]);
  await ends.left.send(bytes, { transfer: [bytes.buffer] });
  assert(bytes.buffer.detached);
  assertEquals(await ends.right.recv(), new Uint8Array([1, 2]));
});

// ---- Back-pressure ----

Deno.test("Connection.send() waits while too much is unread", async () => {
  using ends = new Ends<Uint8Array>();
  const half = new Uint8Array(UNREAD_LIMIT / 2 - 1000);
  await bounded(ends.left.send(half));
  await bounded(ends.left.send(half));
  const third = ends.left.send(half);
  await assertPending(third);
  await ends.right.recv();
  await bounded(third);
  // The other way has a limit of its own.
  await bounded(ends.right.send(half));
});

Deno.test("Connection.send() sends a message above the limit by itself", async () => {
  using ends = new Ends<Uint8Array>();
  const huge = new Uint8Array(2 * UNREAD_LIMIT);
  await bounded(ends.left.send(huge));
  const next = ends.left.send(new Uint8Array(1));
  await assertPending(next);
  assertEquals((await ends.right.recv()).length, huge.length);
  await bounded(next);
  const again = ends.left.send(huge);
  await assertPending(again);
  await ends.right.recv();
  await bounded(again);
});

Deno.test("Connection.send() keeps the order, also when a later one would fit", async () => {
  using ends = new Ends<Uint8Array>();
  await ends.left.send(new Uint8Array(UNREAD_LIMIT - 1000));
  const large = ends.left.send(new Uint8Array(5000));
  const small = ends.left.send(new Uint8Array(1));
  await assertPending(small);
  const sizes: number[] = [];
  for (let i = 0; i < 3; i++) sizes.push((await ends.right.recv()).length);
  assertEquals(sizes, [UNREAD_LIMIT - 1000, 5000, 1]);
  await bounded(Promise.all([large, small]));
});

Deno.test("Connection.send() lets a later one go when one that was too large gives up", async () => {
  using ends = new Ends<Uint8Array>();
  await ends.left.send(new Uint8Array(UNREAD_LIMIT - 1000));
  const abort = new CountedAbort();
  const large = ends.left.send(new Uint8Array(5000), { signal: abort.signal });
  const small = ends.left.send(new Uint8Array(1));
  await assertPending(small);
  abort.abort();
  assertStrictEquals(await reasonOf(large), abort.reason);
  await bounded(small);
  await ends.right.recv();
  assertEquals((await ends.right.recv()).length, 1);
});

// ---- Options ----

Deno.test("Connection methods refuse bad options without an effect", async () => {
  using ends = new Ends();
  await ends.left.send("only");
  const cases: [unknown, typeof TypeError | typeof RangeError][] = [
    [{ timeout: -1 }, RangeError],
    [{ timeout: NaN }, RangeError],
    [{ timeout: Infinity }, RangeError],
    [{ timeout: "5" }, TypeError],
    [{ signal: {} }, TypeError],
    [5, TypeError],
    [null, TypeError],
  ];
  const { left, right } = ends;
  for (const [options, type] of cases) {
    const bad = options as WaitOptions;
    await assertRejects(() => bounded(right.recv(bad)), type);
    await assertRejects(() => bounded(right.recvBytes(bad)), type);
    await assertRejects(() => bounded(right.poll(bad)), type);
    await assertRejects(() => bounded(left.send("x", bad)), type);
    await assertRejects(
      () => bounded(left.sendBytes(new Uint8Array(1), bad)),
      type,
    );
  }
  for (const maxLength of [-1, 0.5, NaN, Infinity]) {
    await assertRejects(() => right.recvBytes({ maxLength }), RangeError);
  }
  await assertRejects(
    () => right.recvBytes({ maxLength: "5" as unknown as number }),
    TypeError,
  );
  for (const bytes of ["text", [1], new ArrayBuffer(1), null]) {
    await assertRejects(
      () => left.sendBytes(bytes as unknown as Uint8Array),
      TypeError,
      "a Uint8Array is required",
    );
  }
  assertEquals(await right.recv(), "only");
  assertFalse(await right.poll());
});

Deno.test("Connection.recv() and send() reject when their time is over", async () => {
  using ends = new Ends<Uint8Array>();
  for (const timeout of [0, 1]) {
    await assertRejects(
      () => bounded(ends.right.recv({ timeout })),
      TimeoutError,
    );
    await assertRejects(
      () => bounded(ends.right.recvBytes({ timeout })),
      TimeoutError,
    );
  }
  await ends.left.send(new Uint8Array(UNREAD_LIMIT));
  for (const timeout of [0, 1]) {
    await assertRejects(
      () => bounded(ends.left.send(new Uint8Array(2), { timeout })),
      TimeoutError,
    );
  }
  // Nothing was taken and nothing was sent.
  assertEquals((await ends.right.recv()).length, UNREAD_LIMIT);
  assertFalse(await ends.right.poll());
});

Deno.test("Connection.recv() and send() in time leave no timer behind", async () => {
  using ends = new Ends<number>();
  const recv = ends.right.recv({ timeout: 1e8 });
  await ends.left.send(1, { timeout: 1e8 });
  assertEquals(await bounded(recv), 1);
});

// ---- Abort ----

Deno.test("Connection methods have no effect when aborted before", async () => {
  using ends = new Ends();
  await ends.left.send("only");
  const options = { signal: AbortSignal.abort("too late") };
  const { left, right } = ends;
  const calls: (() => Promise<unknown>)[] = [
    () => left.send("x", options),
    () => left.sendBytes(new Uint8Array(1), options),
    () => right.recv(options),
    () => right.recvBytes(options),
    () => right.poll(options),
  ];
  for (const call of calls) assertEquals(await reasonOf(call()), "too late");
  assertEquals(await right.recv(), "only");
  assertFalse(await right.poll());
});

Deno.test("Connection.recv() takes nothing when aborted while it waits", async () => {
  using ends = new Ends<number>();
  const abort = new CountedAbort();
  const { signal } = abort;
  const { left, right } = ends;
  const waits = [right.recv({ signal }), right.recvBytes({ signal })];
  const poll = right.poll({ signal, timeout: 1e8 });
  const patient = right.recv();
  assertEquals(abort.listeners, 3);
  abort.abort();
  for (const wait of [...waits, poll]) {
    assertStrictEquals(await reasonOf(wait), abort.reason);
  }
  assertEquals(abort.listeners, 0);
  await left.send(1);
  assertEquals(await bounded(patient), 1);
});

Deno.test("Connection.recv() keeps its message when aborted after", async () => {
  using ends = new Ends<number>();
  const abort = new CountedAbort();
  const recv = ends.right.recv({ signal: abort.signal });
  const send = ends.left.send(1, { signal: abort.signal });
  abort.abort();
  assertEquals(await bounded(recv), 1);
  await bounded(send);
});

Deno.test("Connection leaves no abort listener behind, however a wait ends", async () => {
  using ends = new Ends<unknown>();
  const { left, right } = ends;
  const abort = new CountedAbort();
  const { signal } = abort;
  const recv = right.recv({ signal });
  await left.send(1, { signal });
  await bounded(recv);
  assertFalse(await right.poll({ signal }));
  assertFalse(await bounded(right.poll({ signal, timeout: 1 })));
  await assertRejects(
    () => bounded(right.recv({ signal, timeout: 1 })),
    TimeoutError,
  );
  assertEquals(abort.listeners, 0);
  await left.send(new Uint8Array(UNREAD_LIMIT));
  const sends = [
    left.send(1, { signal }),
    left.sendBytes(new Uint8Array(1), { signal }),
  ];
  assertEquals(abort.listeners, 2);
  await right.recv();
  await bounded(Promise.all(sends));
  assertEquals(abort.listeners, 0);
  await right.recv();
  await right.recvBytes({ signal });
  const last = right.recv({ signal });
  left.close();
  await assertRejects(() => bounded(last), ConnectionClosedError);
  assertEquals(abort.listeners, 0);
});

// ---- Bytes ----

Deno.test("Connection.recvBytes() gives the bytes of one message", async () => {
  using ends = new Ends();
  const messages = [[], [1, 2, 3], Array.from({ length: 1000 }, (_, i) => i)];
  for (const bytes of messages) {
    await ends.left.sendBytes(new Uint8Array(bytes));
  }
  for (const bytes of messages) {
    assertEquals(await ends.right.recvBytes(), new Uint8Array(bytes));
  }
});

Deno.test("Connection.sendBytes() copies at the call, and only what it is given", async () => {
  using ends = new Ends();
  const bytes = new Uint8Array(1000).fill(7);
  const send = ends.left.sendBytes(bytes.subarray(10, 12));
  bytes.fill(0);
  await send;
  const received = await ends.right.recvBytes();
  assertEquals([...received], [7, 7]);
  assertEquals(received.buffer.byteLength, 2);
  assertFalse(bytes.buffer.detached);
});

Deno.test("Connection.sendBytes() sends bytes of shared memory", async () => {
  using ends = new Ends();
  const shared = new Uint8Array(new SharedArrayBuffer(4)).fill(3);
  await ends.left.sendBytes(shared);
  const received = await ends.right.recvBytes();
  assertEquals([...received], [3, 3, 3, 3]);
  assert(received.buffer instanceof ArrayBuffer);
});

Deno.test("Connection.sendBytes() sends a Buffer, which is a Uint8Array", async () => {
  using ends = new Ends();
  const buffer = Buffer.from("hello");
  const send = ends.left.sendBytes(buffer);
  buffer.fill(0);
  await send;
  const received = await ends.right.recvBytes();
  assertEquals(new TextDecoder().decode(received), "hello");
});

Deno.test("Connection.recvBytes() leaves a message that is too long", async () => {
  using ends = new Ends();
  const { left, right } = ends;
  await left.sendBytes(new Uint8Array([1, 2, 3]));
  await left.sendBytes(new Uint8Array([4]));
  for (const maxLength of [0, 1, 2]) {
    await assertRejects(
      () => right.recvBytes({ maxLength }),
      RangeError,
      `has 3 bytes, "maxLength" is ${maxLength}`,
    );
    assert(await right.poll());
  }
  const first = await right.recvBytes({ maxLength: 3 });
  assertEquals([...first], [1, 2, 3]);
  assertEquals([...await right.recvBytes({ maxLength: 1 })], [4]);
  assertFalse(await right.poll());
  await left.sendBytes(new Uint8Array(0));
  assertEquals((await right.recvBytes({ maxLength: 0 })).length, 0);
});

Deno.test("Connection.recvBytes() leaves a message that is too long for a later reader", async () => {
  using ends = new Ends();
  const short = ends.right.recvBytes({ maxLength: 1 });
  const long = ends.right.recvBytes();
  await ends.left.sendBytes(new Uint8Array(5));
  await assertRejects(() => bounded(short), RangeError);
  assertEquals((await bounded(long)).length, 5);
});

Deno.test("Connection.recvBytes() leaves a message that is too long, also behind the end", async () => {
  using ends = new Ends();
  const { left, right } = ends;
  await left.sendBytes(new Uint8Array(5));
  left.close();
  await assertRejects(() => right.recvBytes({ maxLength: 4 }), RangeError);
  assertEquals((await right.recvBytes({ maxLength: 5 })).length, 5);
  await assertRejects(() => right.recvBytes(), ConnectionClosedError);
});

Deno.test("Connection.recvBytes() leaves a message that is a value", async () => {
  using ends = new Ends();
  const { left, right } = ends;
  for (const value of ["text", 5, [1], new ArrayBuffer(3), new Int8Array(3)]) {
    await left.send(value);
    await assertRejects(
      () => right.recvBytes(),
      TypeError,
      "receive it with recv()",
    );
    assertEquals(await right.recv(), value);
  }
  await left.sendBytes(new Uint8Array([1]));
  assertEquals(await right.recv(), new Uint8Array([1]));
});

// ---- Poll ----

Deno.test("Connection.poll() looks and does not wait by itself", async () => {
  using ends = new Ends<number>();
  assertFalse(await ends.right.poll());
  assertFalse(await ends.right.poll({ timeout: 0 }));
  await ends.left.send(1);
  assert(await ends.right.poll());
  assert(await ends.right.poll({ timeout: 0 }));
  // It takes nothing, and sees only what comes to its own end.
  assertFalse(await ends.left.poll());
  assertEquals(await ends.right.recv(), 1);
  assertFalse(await ends.right.poll());
});

Deno.test("Connection.poll() waits as long as it may", async () => {
  using ends = new Ends<number>();
  assertFalse(await bounded(ends.right.poll({ timeout: 1 })));
  const polls = [1, 2].map(() => ends.right.poll({ timeout: 1e8 }));
  const recv = ends.right.recv();
  await assertPending(polls[0]!);
  await ends.left.send(1);
  // The message goes to the one that receives: nothing is there to poll.
  assertEquals(await bounded(recv), 1);
  await assertPending(polls[0]!);
  await ends.left.send(2);
  assertEquals(await bounded(Promise.all(polls)), [true, true]);
  assertEquals(await ends.right.recv(), 2);
});

Deno.test("Connection.poll() is true at the end, which recv then reports", async () => {
  using ends = new Ends<number>();
  const poll = ends.right.poll({ timeout: 1e8 });
  ends.left.close();
  assert(await bounded(poll));
  assert(await ends.right.poll());
  await assertRejects(() => ends.right.recv(), ConnectionClosedError);
  assert(await ends.right.poll());
});

// ---- Close ----

Deno.test("Connection.close() leaves what was sent to be read, then it is the end", async () => {
  using ends = new Ends<number>();
  const { left, right } = ends;
  await left.send(1);
  await left.send(2);
  left.close();
  assertEquals(await right.recv(), 1);
  assertEquals(await right.recv(), 2);
  for (const options of [{}, { timeout: 0 }, { timeout: 1 }]) {
    await assertRejects(
      () => bounded(right.recv(options)),
      ConnectionClosedError,
    );
  }
  await assertRejects(() => right.send(3), ConnectionClosedError);
  await assertRejects(
    () => right.sendBytes(new Uint8Array(1)),
    ConnectionClosedError,
  );
  assertFalse(right.closed);
});

Deno.test("Connection.close() ends the waits at the other end", async () => {
  using ends = new Ends<Uint8Array>();
  const { left, right } = ends;
  await right.send(new Uint8Array(UNREAD_LIMIT));
  const waits: Promise<unknown>[] = [
    right.recv(),
    right.recvBytes({ timeout: 1e8 }),
    right.send(new Uint8Array(1)),
    right.sendBytes(new Uint8Array(1)),
  ];
  await turn();
  left.close();
  for (const wait of waits) {
    await assertRejects(() => bounded(wait), ConnectionClosedError);
  }
});

Deno.test("Connection.close() ends the waits and calls at its own end", async () => {
  using ends = new Ends<Uint8Array>();
  const { left, right } = ends;
  await right.send(new Uint8Array(UNREAD_LIMIT));
  const waits: Promise<unknown>[] = [
    right.recv(),
    right.recvBytes(),
    right.send(new Uint8Array(1)),
  ];
  assertFalse(right.closed);
  right.close();
  assert(right.closed);
  for (const wait of waits) {
    await assertRejects(() => bounded(wait), ConnectionClosedError);
  }
  const calls: (() => Promise<unknown>)[] = [
    () => right.recv(),
    () => right.recvBytes(),
    () => right.send(new Uint8Array(1)),
    () => right.sendBytes(new Uint8Array(1)),
    () => right.poll(),
  ];
  for (const call of calls) {
    await assertRejects(() => bounded(call()), ConnectionClosedError);
  }
  // What it had sent is still there.
  assertEquals((await left.recv()).length, UNREAD_LIMIT);
  await assertRejects(() => left.recv(), ConnectionClosedError);
});

Deno.test("Connection.close() is seen though neither end was used", async () => {
  const [left, right] = Pipe();
  left.close();
  assert(await right.poll());
  await assertRejects(() => bounded(right.recv()), ConnectionClosedError);
  await assertRejects(() => bounded(right.send(1)), ConnectionClosedError);
  right.close();
});

Deno.test("Connection can be closed and disposed of again and again", async () => {
  const [left, right] = Pipe<number>();
  {
    using _again = left;
    await left.send(1);
    left.close();
  }
  left.close();
  left[Symbol.dispose]();
  assert(left.closed);
  assertFalse(right.closed);
  assertEquals(await right.recv(), 1);
  right.close();
  right.close();
});
