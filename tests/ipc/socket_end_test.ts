// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { decode, encode } from "../../ipc/_codec.ts";
import { liveResources } from "../../ipc/_live.ts";
import { HandleNumber } from "../../ipc/_shared_object.ts";
import { type Socket, SocketEnd } from "../../ipc/_socket_end.ts";
import { type Connection, makeConnection } from "../../ipc/connection.ts";
import {
  ConnectionClosedError,
  SerializationError,
  TimeoutError,
} from "../../ipc/errors.ts";
import { Event } from "../../ipc/event.ts";
import { Lock } from "../../ipc/lock.ts";
import { Pipe } from "../../ipc/pipe.ts";
import { Queue } from "../../ipc/queue.ts";
import { Value } from "../../ipc/value.ts";
import { wait } from "../../ipc/wait.ts";
import { concat, FakeStream } from "./_fake_stream.ts";
import {
  assertPending,
  bounded,
  CountedAbort,
  reasonOf,
  turn,
} from "./_waits.ts";

/** So much is read ahead of whoever receives. */
const READ_AHEAD = 1 << 20;
/** The longest message in these tests. */
const MAX_MESSAGE = 1 << 22;

class FakeSocket extends FakeStream implements Socket {
  /** How many bytes were read. */
  bytesRead = 0;
  keepsAlive = true;
  saidGoodbye = false;

  override async read(into: Uint8Array): Promise<number | null> {
    const count = await super.read(into);
    this.bytesRead += count ?? 0;
    return count;
  }

  closeWrite(): Promise<void> {
    this.saidGoodbye = true;
    return Promise.resolve();
  }

  ref(): void {
    this.keepsAlive = true;
  }

  unref(): void {
    this.keepsAlive = false;
  }
}

/** A connection over a fake socket: the test is the other side. */
class Side<T = unknown> implements AsyncDisposable {
  readonly socket = new FakeSocket();
  readonly connection: Connection<T>;

  constructor({ received = MAX_MESSAGE, sent = MAX_MESSAGE } = {}) {
    this.connection = makeConnection<T>(
      new SocketEnd(this.socket, { received, sent }),
    );
  }

  /** Messages arrive. */
  feed(...messages: unknown[]): void {
    this.socket.feed(concat(messages.map(frame)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.letGo();
    this.socket.end();
    await bounded(this.connection[Symbol.asyncDispose]());
    assertEquals(this.socket.closed, 1);
    assertEquals(liveResources(), []);
  }
}

/** A frame as it crosses. */
function rawFrame(kind: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(body.length + 5);
  new DataView(bytes.buffer).setUint32(0, body.length + 1, true);
  bytes[4] = kind;
  bytes.set(body, 5);
  return bytes;
}

function frame(message: unknown): Uint8Array {
  return rawFrame(1, encode(message).bytes);
}

// ---- Receiving ----

Deno.test("SocketEnd.recv() gives messages in order, however the stream is cut", async () => {
  await using side = new Side();
  const messages = [1, "", undefined, null, { list: [1, new Date(0)] }];
  const bytes = concat(messages.map(frame));
  for (let i = 0; i < bytes.length; i++) {
    side.socket.feed(bytes.subarray(i, i + 1));
  }
  for (const message of messages) {
    assertEquals(await bounded(side.connection.recv()), message);
  }
  assertFalse(await side.connection.poll());
});

Deno.test("SocketEnd.recv() waits, first come, first served", async () => {
  await using side = new Side();
  const receives = [1, 2, 3].map(() => side.connection.recv());
  await assertPending(receives[0]!);
  side.feed("a", "b", "c");
  assertEquals(await bounded(Promise.all(receives)), ["a", "b", "c"]);
});

Deno.test("SocketEnd.recv() takes nothing when aborted or out of time", async () => {
  await using side = new Side<string>();
  const abort = new CountedAbort();
  const { signal } = abort;
  const { connection } = side;
  const waits = [
    connection.recv({ signal }),
    connection.recvBytes({ signal }),
    connection.poll({ signal, timeout: 1e8 }),
  ];
  assertEquals(abort.listeners, 3);
  abort.abort();
  for (const each of waits) {
    assertStrictEquals(await reasonOf(each), abort.reason);
  }
  assertEquals(abort.listeners, 0);
  for (const timeout of [0, 1]) {
    await assertRejects(
      () => bounded(connection.recv({ timeout })),
      TimeoutError,
    );
  }
  side.feed("only");
  assertStrictEquals(
    await reasonOf(connection.recv({ signal })),
    abort.reason,
  );
  assertEquals(await bounded(connection.recv({ timeout: 1e8 })), "only");
});

Deno.test("SocketEnd.recvBytes() leaves what it refuses for the next", async () => {
  await using side = new Side();
  const { connection } = side;
  side.feed(new Uint8Array([1, 2, 3]), "text");
  await assertRejects(
    () => bounded(connection.recvBytes({ maxLength: 2 })),
    RangeError,
  );
  const later = [
    connection.recvBytes({ maxLength: 3 }),
    connection.recvBytes().catch((error) => error),
    connection.recv(),
  ];
  assertEquals(await bounded(later[0]!), new Uint8Array([1, 2, 3]));
  assertInstanceOf(await bounded(later[1]!), TypeError);
  assertEquals(await bounded(later[2]!), "text");
});

Deno.test("SocketEnd.poll() and wait() take nothing", async () => {
  await using side = new Side();
  const { connection } = side;
  assertFalse(await connection.poll());
  assertFalse(await bounded(connection.poll({ timeout: 1 })));
  const [left, right] = Pipe();
  using event = new Event();
  const waiting = wait([right, connection, event]);
  const poll = connection.poll({ timeout: 1e8 });
  await assertPending(waiting);
  side.feed("x");
  assertEquals(await bounded(waiting), [connection]);
  assert(await bounded(poll));
  await left.send("y");
  assertEquals(await bounded(wait([right, connection, event])), [
    right,
    connection,
  ]);
  assertEquals(await connection.recv(), "x");
  assertEquals(await bounded(wait([connection, right])), [right]);
  left.close();
  right.close();
});

Deno.test("SocketEnd.recv() decodes each message by itself", async () => {
  await using side = new Side();
  side.socket.feed(concat([
    frame(1),
    rawFrame(1, new Uint8Array([0x7f])), // No such tag.
    rawFrame(1, new Uint8Array([])),
    rawFrame(1, new Uint8Array([21, 0])), // A handle.
    rawFrame(1, new Uint8Array([22, HandleNumber.Value, 2, 0, 0])), // Parts.
    frame(2),
  ]));
  assertEquals(await side.connection.recv(), 1);
  for (let i = 0; i < 4; i++) {
    await assertRejects(() => side.connection.recv(), SerializationError);
  }
  assertEquals(await side.connection.recv(), 2);
});

Deno.test("SocketEnd.recv() keeps the program alive while it waits, nothing else does", async () => {
  await using side = new Side();
  const { socket, connection } = side;
  assertFalse(socket.keepsAlive);
  const first = connection.recv();
  const second = connection.poll({ timeout: 1e8 });
  assert(socket.keepsAlive);
  side.feed(1);
  await bounded(first);
  assert(socket.keepsAlive);
  side.feed(2);
  await bounded(second);
  assertFalse(socket.keepsAlive);
  await assertRejects(() => connection.recvBytes());
  assertFalse(socket.keepsAlive);
});

// ---- Back-pressure of the reader ----

Deno.test("SocketEnd stops reading while too much is unread", async () => {
  await using side = new Side<Uint8Array>();
  const size = READ_AHEAD / 8;
  for (let i = 0; i < 64; i++) side.feed(new Uint8Array(size).fill(i));
  while (side.socket.bytesRead < READ_AHEAD) await turn();
  for (let i = 0; i < 5; i++) await turn();
  const most = READ_AHEAD + 3 * size;
  assert(side.socket.bytesRead < most, `${side.socket.bytesRead} bytes`);
  // However often one is given back.
  for (let i = 0; i < 20; i++) {
    await assertRejects(() => side.connection.recvBytes({ maxLength: 1 }));
    await turn();
  }
  assert(side.socket.bytesRead < most, `${side.socket.bytesRead} bytes`);
  for (let i = 0; i < 64; i++) {
    const message = await bounded(side.connection.recv());
    assertEquals(message[0], i);
  }
});

Deno.test("SocketEnd stops reading when many short messages are unread", async () => {
  await using side = new Side<number>();
  const messages = concat(Array.from({ length: 1000 }, () => frame(1)));
  for (let i = 0; i < 100; i++) side.socket.feed(messages);
  while (side.socket.bytesRead < 1e5) await turn();
  for (let i = 0; i < 5; i++) await turn();
  // What a message takes beside its bytes counts, too.
  assert(side.socket.bytesRead < READ_AHEAD / 4, `${side.socket.bytesRead}`);
  for (let i = 0; i < 100_000; i++) await side.connection.recv();
  assertFalse(await side.connection.poll());
});

Deno.test("SocketEnd takes a message longer than what it reads ahead", async () => {
  await using side = new Side<Uint8Array>();
  const long = new Uint8Array(3 * READ_AHEAD).fill(3);
  side.feed(long, long, new Uint8Array(1));
  for (const length of [long.length, long.length, 1]) {
    assertEquals((await bounded(side.connection.recv())).length, length);
  }
});

// ---- The end of the stream ----

Deno.test("SocketEnd.recv() gives all that had arrived, then the end", async () => {
  await using side = new Side();
  const { connection } = side;
  side.feed(1, 2);
  side.socket.end();
  assertEquals(await bounded(connection.recv()), 1);
  assertEquals(await bounded(connection.recv()), 2);
  for (const options of [{}, { timeout: 0 }, { timeout: 1 }]) {
    const error = await assertRejects(
      () => bounded(connection.recv(options)),
      ConnectionClosedError,
    );
    assertMatch(error.message, /the other end of the connection is closed$/);
  }
  assert(await connection.poll());
  assertEquals(await bounded(wait([connection])), [connection]);
  assertFalse(connection.closed);
  for (const options of [{}, { timeout: 0 }]) {
    const buffer = new ArrayBuffer(1);
    await assertRejects(
      () => bounded(connection.send(1, { ...options, transfer: [buffer] })),
      ConnectionClosedError,
      "Cannot send: the other end of the connection is closed",
    );
    assertFalse(buffer.detached);
  }
});

Deno.test("SocketEnd ends all waits when the other end closes", async () => {
  await using side = new Side();
  const { connection, socket } = side;
  socket.hold();
  const large = new Uint8Array(1 << 20);
  const waits = [
    connection.recv(),
    connection.recvBytes({ timeout: 1e8 }),
    connection.send(large),
    connection.send(large, { timeout: 1e8 }),
  ];
  const poll = connection.poll({ timeout: 1e8 });
  await turn();
  socket.end();
  assert(await bounded(poll));
  socket.failure = new Error("broken pipe");
  socket.letGo();
  for (const each of waits) {
    assertInstanceOf(await reasonOf(each), ConnectionClosedError);
  }
});

Deno.test("SocketEnd.recv() says when a message was cut off", async () => {
  const whole = frame({ text: "message" });
  for (const size of [1, 4, 5, whole.length - 1]) {
    await using side = new Side();
    side.feed("before");
    side.socket.feed(whole.subarray(0, size));
    side.socket.end();
    assertEquals(await bounded(side.connection.recv()), "before");
    await assertRejects(
      () => bounded(side.connection.recv()),
      ConnectionClosedError,
      "cut off",
    );
  }
});

Deno.test("SocketEnd.recv() gives why the stream broke", async () => {
  await using side = new Side();
  const reset = new Error("connection reset");
  side.feed("before");
  await turn();
  side.socket.fail(reset);
  assertEquals(await bounded(side.connection.recv()), "before");
  const error = await assertRejects(
    () => bounded(side.connection.recv()),
    ConnectionClosedError,
    "the connection broke: connection reset",
  );
  assertStrictEquals(error.cause, reset);
  assertStrictEquals(
    (await reasonOf(side.connection.send(1)) as Error).cause,
    reset,
  );
});

Deno.test("SocketEnd ends a connection whose other end announces too much", async () => {
  const limit = 1000;
  const longest = new Uint8Array(limit - 20);
  for (const length of [limit + 2, 2 ** 31, 2 ** 32 - 1, 0]) {
    await using side = new Side({ received: limit });
    side.feed(longest);
    const header = new Uint8Array(4);
    new DataView(header.buffer).setUint32(0, length, true);
    side.socket.feed(header);
    // It does not wait for the rest.
    assertEquals(await bounded(side.connection.recv()), longest);
    const error = await assertRejects(
      () => bounded(side.connection.recv()),
      ConnectionClosedError,
      `${length} bytes; "maxMessage" is ${limit}`,
    );
    assertInstanceOf(error.cause, RangeError);
    assertEquals(side.socket.closed, 1);
  }
});

Deno.test("SocketEnd takes a message of just as much as it may have", async () => {
  const message = new Uint8Array(100);
  const received = encode(message).bytes.length;
  await using side = new Side({ received });
  side.feed(message);
  assertEquals(await bounded(side.connection.recv()), message);
  side.feed(new Uint8Array(101));
  await assertRejects(
    () => bounded(side.connection.recv()),
    ConnectionClosedError,
    "maxMessage",
  );
});

Deno.test("SocketEnd ends a connection with frames of an unknown kind", async () => {
  await using side = new Side();
  side.socket.feed(rawFrame(9, new Uint8Array(3)));
  await assertRejects(
    () => bounded(side.connection.recv()),
    ConnectionClosedError,
    "kind 9",
  );
});

// ---- Sending ----

Deno.test("SocketEnd.send() writes messages in order", async () => {
  await using side = new Side();
  const messages = [1, { a: [2] }, new Uint8Array(200_000), "", undefined];
  await bounded(
    Promise.all(messages.map((message) => side.connection.send(message))),
  );
  assertEquals(side.socket.written, concat(messages.map(frame)));
});

Deno.test("SocketEnd.send() writes short messages of one turn at once", async () => {
  await using side = new Side();
  await bounded(
    Promise.all([1, 2, 3, 4].map((message) => side.connection.send(message))),
  );
  assertEquals(side.socket.writes.length, 1);
});

Deno.test("SocketEnd.send() waits until the message is written", async () => {
  await using side = new Side();
  side.socket.hold();
  side.socket.maxWrite = 10;
  const send = side.connection.send("a message of some length");
  await assertPending(send);
  assertEquals(side.socket.writes.length, 0);
  side.socket.letGo();
  await bounded(send);
  assertEquals(side.socket.written, frame("a message of some length"));
});

Deno.test("SocketEnd.send() takes a message back that has not begun", async () => {
  await using side = new Side();
  const { connection, socket } = side;
  const large = new Uint8Array(100_000);
  const abort = new CountedAbort();
  socket.hold();
  const first = connection.send(large);
  const aborted = connection.send(new Uint8Array(100_001), {
    signal: abort.signal,
  });
  const late = connection.send(new Uint8Array(100_002), { timeout: 1 });
  const last = connection.send("last");
  await assertRejects(() => bounded(late), TimeoutError);
  abort.abort();
  assertStrictEquals(await reasonOf(aborted), abort.reason);
  assertEquals(abort.listeners, 0);
  await assertRejects(
    () => connection.send("never", { timeout: 0 }),
    TimeoutError,
  );
  socket.letGo();
  await bounded(Promise.all([first, last]));
  assertEquals(socket.written, concat([frame(large), frame("last")]));
});

Deno.test("SocketEnd.send() sends a message whole that has begun", async () => {
  await using side = new Side();
  const { connection, socket } = side;
  const abort = new CountedAbort();
  socket.hold();
  socket.maxWrite = 3;
  const aborted = connection.send("first", { signal: abort.signal });
  const late = connection.send("second", { timeout: 1 });
  await assertRejects(() => bounded(late), TimeoutError);
  abort.abort();
  assertStrictEquals(await reasonOf(aborted), abort.reason);
  assertEquals(abort.listeners, 0);
  const third = connection.send("third");
  socket.letGo();
  await bounded(third);
  assertEquals(
    socket.written,
    concat([frame("first"), frame("second"), frame("third")]),
  );
});

Deno.test("SocketEnd.send() without any time sends what can begin at once", async () => {
  await using side = new Side();
  const { connection, socket } = side;
  const abort = new CountedAbort();
  const options = { timeout: 0, signal: abort.signal };
  socket.hold();
  await bounded(connection.send("a", options));
  await bounded(connection.send("b", options));
  const large = new Uint8Array(1 << 17);
  await assertRejects(() => connection.send(large, options), TimeoutError);
  assertEquals(abort.listeners, 0);
  socket.letGo();
  await bounded(connection.send("c"));
  assertEquals(socket.written, concat(["a", "b", "c"].map(frame)));
});

Deno.test("SocketEnd.send() has no effect when aborted before", async () => {
  await using side = new Side();
  const buffer = new ArrayBuffer(1);
  const options = { signal: AbortSignal.abort("no"), transfer: [buffer] };
  assertEquals(await reasonOf(side.connection.send(buffer, options)), "no");
  assertFalse(buffer.detached);
  assertEquals(side.socket.writes.length, 0);
});

Deno.test("SocketEnd.send() rejects when the write fails, recv() goes on", async () => {
  await using side = new Side();
  const { connection, socket } = side;
  side.feed("arrived");
  await turn();
  socket.hold();
  const sends = [
    connection.send("begun"),
    connection.send(new Uint8Array(1 << 17)),
  ];
  const broken = new Error("broken pipe");
  const write = socket.write.bind(socket);
  socket.write = async (bytes) => {
    await write(bytes);
    throw broken;
  };
  socket.letGo();
  for (const error of await Promise.all(sends.map(reasonOf))) {
    assertInstanceOf(error, ConnectionClosedError);
    assertStrictEquals(error.cause, broken);
  }
  await assertRejects(() => connection.send("after"), ConnectionClosedError);
  assertEquals(await bounded(connection.recv()), "arrived");
});

Deno.test("SocketEnd.send() refuses what the other end does not accept", async () => {
  const longest = new Uint8Array(100);
  const sent = encode(longest).bytes.length;
  await using side = new Side({ sent });
  const longer = new Uint8Array(101);
  await assertRejects(
    () => side.connection.send(longer, { transfer: [longer.buffer] }),
    RangeError,
    `the other end accepts ${sent} ("maxMessage")`,
  );
  assertFalse(longer.buffer.detached);
  await bounded(
    side.connection.send(longest, { transfer: [longest.buffer] }),
  );
  assert(longest.buffer.detached);
  assertEquals(side.socket.written, frame(new Uint8Array(100)));
});

Deno.test("SocketEnd.send() names the shared object that cannot leave the program", async () => {
  await using side = new Side();
  using queue = new Queue();
  using lock = new Lock();
  const [left, right] = Pipe();
  const buffer = new ArrayBuffer(1);
  const cases: [unknown, string, string][] = [
    [queue, "message", "a Queue"],
    [{ list: [1, queue] }, "message.list[1]", "a Queue"],
    [new Map([["key", { lock }]]), 'message.get("key").lock', "a Lock"],
    [[[left], queue], "message[0][0]", "a Connection"],
    [new Set([1, right]), "message.values[1]", "a Connection"],
    [[new Value("i32", 5)], "message[0]", "a Value"],
  ];
  for (const [message, path, what] of cases) {
    const error = await assertRejects(
      () => side.connection.send(message, { transfer: [buffer] }),
      SerializationError,
      `Cannot send: ${path} is ${what}, which is shared within one program`,
    );
    assertEquals(error.path, path);
  }
  assertFalse(buffer.detached);
  assertEquals(side.socket.writes.length, 0);
  // An error gets across without what it carries.
  const hidden = new Error("no", { cause: right });
  await bounded(side.connection.send(hidden));
  const sent = decode(side.socket.written.subarray(5));
  assertEquals((sent as Error).cause, "[a Connection]");
  // Nothing was handed over: both ends are still here.
  await left.send("still");
  assertEquals(await right.recv(), "still");
  left.close();
  right.close();
});

Deno.test("SocketEnd.send() names what cannot be sent at all", async () => {
  await using side = new Side();
  const error = await assertRejects(
    () => side.connection.send({ callback: () => {} }),
    SerializationError,
  );
  assertEquals(error.path, "message.callback");
  await assertRejects(
    () => side.connection.send(1, { transfer: [{} as ArrayBuffer] }),
    SerializationError,
    "transfer[0]",
  );
  assertEquals(side.socket.writes.length, 0);
});

Deno.test("Connection over a socket cannot be passed on", async () => {
  await using side = new Side();
  const { connection } = side;
  const [left, right] = Pipe();
  using queue = new Queue();
  const sends: (() => Promise<void>)[] = [
    () => left.send({ connection }),
    () => queue.put([connection]),
    () => connection.send({ connection }),
  ];
  for (const send of sends) {
    const error = await assertRejects(send, SerializationError);
    assertMatch(error.path, /^(message|item)(\.connection|\[0\])$/);
    assertMatch(error.message, /a Connection/);
  }
  left.close();
  right.close();
});

// ---- Close ----

Deno.test("Connection.close() over a socket writes what has begun, and waits for the other end", async () => {
  await using side = new Side();
  const { connection, socket } = side;
  socket.hold();
  const begun = connection.send("begun");
  const queued = connection.send(new Uint8Array(1 << 17));
  connection.close();
  assert(connection.closed);
  assertInstanceOf(await reasonOf(queued), ConnectionClosedError);
  await assertPending(begun);
  assertFalse(socket.saidGoodbye);
  socket.letGo();
  await bounded(begun);
  await turn();
  assertEquals(socket.written, frame("begun"));
  assert(socket.saidGoodbye);
  assertEquals(socket.closed, 0);
  // What still comes is read and dropped.
  side.feed(new Uint8Array(READ_AHEAD), new Uint8Array(READ_AHEAD));
  while (socket.bytesRead < 2 * READ_AHEAD) await turn();
  socket.end();
  await bounded(connection[Symbol.asyncDispose]());
  assertEquals(socket.closed, 1);
});

Deno.test("Connection.close() over a socket goes on reading where it had stopped", async () => {
  await using side = new Side();
  for (let i = 0; i < 4; i++) side.feed(new Uint8Array(READ_AHEAD));
  while (side.socket.bytesRead < READ_AHEAD) await turn();
  side.connection.close();
  while (side.socket.bytesRead < 4 * READ_AHEAD) await turn();
});

Deno.test("Connection.close() over a socket ends the waits and calls at its own end", async () => {
  await using side = new Side<Uint8Array>();
  const { connection } = side;
  const waits: Promise<unknown>[] = [
    connection.recv(),
    connection.recvBytes({ timeout: 1e8 }),
  ];
  const poll = connection.poll({ timeout: 1e8 });
  connection.close();
  assert(await bounded(poll));
  for (const each of waits) {
    assertInstanceOf(await reasonOf(each), ConnectionClosedError);
  }
  const calls: (() => Promise<unknown>)[] = [
    () => connection.recv(),
    () => connection.recvBytes(),
    () => connection.send(new Uint8Array(1)),
    () => connection.sendBytes(new Uint8Array(1)),
    () => connection.poll(),
    () => wait([connection]),
  ];
  for (const call of calls) {
    assertInstanceOf(await reasonOf(call()), ConnectionClosedError);
  }
  connection.close();
  connection[Symbol.dispose]();
});

Deno.test("Connection.close() over a socket drops what was not received", async () => {
  await using side = new Side();
  side.feed(1, 2);
  await turn();
  const refused = side.connection.recvBytes();
  side.connection.close();
  assertInstanceOf(await reasonOf(refused), TypeError);
  assertInstanceOf(
    await reasonOf(side.connection.recv()),
    ConnectionClosedError,
  );
});

Deno.test("Connection.close() over a socket gives up an end that does not read", async () => {
  const side = new Side();
  const { connection, socket } = side;
  socket.hold();
  const send = connection.send("never read");
  assertEquals(liveResources(), ["connection"]);
  connection.close();
  // The other end neither reads nor closes: that is waited for, with a bound.
  await bounded(connection[Symbol.asyncDispose]());
  assertEquals(liveResources(), []);
  assertEquals(socket.closed, 1);
  socket.failure = new Error("closed");
  socket.letGo();
  assertInstanceOf(await reasonOf(send), ConnectionClosedError);
});
