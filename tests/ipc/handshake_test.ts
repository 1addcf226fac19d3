// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  checkKey,
  handshake,
  HELLO_SIZE,
  importKey,
  type Party,
  PROOF_SIZE,
  type Role,
} from "../../ipc/_handshake.ts";
import {
  AuthenticationError,
  ConnectionClosedError,
} from "../../ipc/errors.ts";
import { concat, FakeStream } from "./_fake_stream.ts";
import { PairedStream } from "./_stream_pair.ts";
import { assertPending, bounded, reasonOf, turn } from "./_waits.ts";

/** Where things stand in a hello. */
const VERSION_AT = 9;
const ROLE_AT = 10;
const LIMIT_AT = 12;
const CHALLENGE_AT = 16;

async function party(role: Role, authkey?: string): Promise<Party> {
  const key = authkey === undefined
    ? undefined
    : await importKey(checkKey("test", authkey));
  return { role, key, maxMessage: role === "client" ? 111 : 222 };
}

/** Both sides over a stream in memory; each closes after an error. */
class Meeting {
  readonly streams = PairedStream.make();

  /** What became of the client and of the listener. */
  async run(clientKey?: string, listenerKey?: string): Promise<unknown[]> {
    const side = async (stream: PairedStream, party: Party) => {
      try {
        return await handshake(stream, party);
      } catch (error) {
        stream.close();
        return error;
      }
    };
    return await bounded(Promise.all([
      side(this.streams[0], await party("client", clientKey)),
      side(this.streams[1], await party("listener", listenerKey)),
    ]));
  }

  /** What the client and the listener have written. */
  get written(): Uint8Array[] {
    return this.streams.map(({ written }) => concat(written));
  }
}

/** One side alone; the test is the other. */
async function alone(role: Role, authkey?: string) {
  const stream = new FakeStream();
  const result = handshake(stream, await party(role, authkey));
  return { stream, result };
}

function changed(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = value;
  return copy;
}

// ---- Good sides ----

Deno.test("handshake() without a key tells each side what the other accepts", async () => {
  assertEquals(await new Meeting().run(), [222, 111]);
});

Deno.test("handshake() with the same key lets both in", async () => {
  assertEquals(await new Meeting().run("secret", "secret"), [222, 111]);
});

Deno.test("handshake() takes the bytes one by one, and leaves what follows", async () => {
  const meeting = new Meeting();
  for (const stream of meeting.streams) {
    const read = stream.read.bind(stream);
    stream.read = (into) => read(into.subarray(0, 1));
  }
  assertEquals(await meeting.run("secret", "secret"), [222, 111]);
  for (const stream of meeting.streams) {
    stream.incoming.feed(new Uint8Array([7]));
    const next = new Uint8Array(10);
    assertEquals(await stream.read(next), 1);
    assertEquals(next[0], 7);
  }
});

Deno.test("handshake() never sends the key, nor the same bytes twice", async () => {
  const [first, second] = [new Meeting(), new Meeting()];
  await first.run("secret key", "secret key");
  await second.run("secret key", "secret key");
  const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);
  const challenges = new Set<string>();
  for (const meeting of [first, second]) {
    for (const bytes of meeting.written) {
      assertFalse(text(bytes).includes("secret"));
      challenges.add(text(bytes.subarray(CHALLENGE_AT, HELLO_SIZE)));
    }
  }
  assertEquals(challenges.size, 4);
});

// ---- Keys that do not fit ----

Deno.test("handshake() refuses another key on both sides", async () => {
  const [client, listener] = await new Meeting().run("one", "another");
  assertInstanceOf(client, AuthenticationError);
  assertInstanceOf(listener, AuthenticationError);
  assertMatch(client.message, /^Cannot connect: .*"authkey"/);
  assertMatch(listener.message, /^Cannot accept: .*"authkey"/);
});

Deno.test("handshake() refuses a side without the key on both sides", async () => {
  for (const [one, other] of [["key", undefined], [undefined, "key"]]) {
    const results = await new Meeting().run(one, other);
    for (const result of results) {
      assertInstanceOf(result, AuthenticationError);
      assertMatch(result.message, /"authkey"; give the same to both sides$/);
    }
  }
});

Deno.test("handshake() has a listener say nothing before the client has proved itself", async () => {
  const { stream, result } = await alone("listener", "key");
  await turn();
  assertEquals(stream.written.length, 0);
  const knock = await alone("client", "key");
  await turn();
  stream.feed(knock.stream.written);
  await turn();
  assertEquals(stream.written.length, HELLO_SIZE);
  stream.feed(new Uint8Array(PROOF_SIZE));
  assertInstanceOf(await reasonOf(result), AuthenticationError);
  assertEquals(stream.written.length, HELLO_SIZE + 1);
  knock.stream.end();
  await reasonOf(knock.result);
});

// ---- Strangers ----

Deno.test("handshake() gives up at the first byte that is wrong", async () => {
  for (const role of ["client", "listener"] as const) {
    const { stream, result } = await alone(role);
    stream.feed(new TextEncoder().encode("m"));
    await assertPending(result);
    stream.feed(new TextEncoder().encode("G"));
    const error = await reasonOf(result);
    assertInstanceOf(error, AuthenticationError);
    assertMatch(error.message, /speaks another protocol/);
  }
});

Deno.test("handshake() refuses an HTTP client and an HTTP server", async () => {
  for (
    const [role, text] of [
      ["listener", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"],
      ["client", "HTTP/1.1 400 Bad Request\r\n\r\n"],
    ] as const
  ) {
    const { stream, result } = await alone(role, "key");
    stream.feed(new TextEncoder().encode(text));
    assertInstanceOf(await reasonOf(result), AuthenticationError);
  }
});

Deno.test("handshake() reads no more than is due", async () => {
  const knock = await alone("client", "key");
  await turn();
  const stream = new FakeStream();
  stream.feed(concat([knock.stream.written, new Uint8Array(1 << 20)]));
  const result = handshake(stream, await party("listener", "key"));
  assertInstanceOf(await reasonOf(result), AuthenticationError);
  let left = 0;
  stream.end();
  const rest = new Uint8Array(1 << 20);
  for (let n; (n = await stream.read(rest)) !== null;) left += n;
  assertEquals(left, (1 << 20) - PROOF_SIZE);
  knock.stream.end();
  await reasonOf(knock.result);
});

Deno.test("handshake() says so when the other side leaves", async () => {
  const [client, listener] = PairedStream.make();
  const good = handshake(client, await party("client", "key"));
  await turn();
  const hello = client.written[0]!;
  listener.close();
  assertInstanceOf(await reasonOf(good), ConnectionClosedError);
  for (const size of [0, 5, HELLO_SIZE - 1, HELLO_SIZE]) {
    const { stream, result } = await alone("listener", "key");
    stream.feed(hello.subarray(0, size));
    stream.end();
    const error = await reasonOf(result);
    assertInstanceOf(error, ConnectionClosedError);
    assertMatch(error.message, /^Cannot accept: .*during the handshake/);
  }
});

Deno.test("handshake() keeps the cause when the stream fails", async () => {
  const broken = new Error("reset");
  const { stream, result } = await alone("listener");
  stream.fail(broken);
  const error = await reasonOf(result);
  assertInstanceOf(error, ConnectionClosedError);
  assertStrictEquals(error.cause, broken);

  const refused = new Deno.errors.InvalidData("invalid peer certificate");
  const tls = await alone("client");
  tls.stream.fail(refused);
  const mistrust = await reasonOf(tls.result);
  assertInstanceOf(mistrust, AuthenticationError);
  assertMatch(mistrust.message, /TLS handshake failed: invalid peer/);
  assertStrictEquals(mistrust.cause, refused);
});

Deno.test("handshake() names the versions when they differ, on both sides", async () => {
  const meeting = new Meeting();
  meeting.streams[0].tamper = (bytes) => changed(bytes, VERSION_AT, 9);
  const { streams: [client, listener] } = meeting;
  const results = await Promise.all([
    reasonOf(handshake(listener, await party("listener"))),
    handshake(client, await party("client")),
  ]);
  assertInstanceOf(results[0], AuthenticationError);
  assertMatch(results[0].message, /version 9 .* version 1/);
  // The client gets the listener's hello: its own version would be told.
  assertEquals(listener.written[0]!.length, HELLO_SIZE);
});

// ---- Attacks ----

Deno.test("handshake() refuses its own bytes, bounced back", async () => {
  const { stream, result } = await alone("client", "key");
  await turn();
  stream.feed(stream.written);
  const error = await reasonOf(result);
  assertInstanceOf(error, AuthenticationError);
  assertMatch(error.message, /is no listener/);
});

Deno.test("handshake() refuses its own proof, bounced back", async () => {
  const { stream, result } = await alone("client", "key");
  await turn();
  stream.feed(changed(stream.written, ROLE_AT, 2));
  while (stream.written.length < HELLO_SIZE + PROOF_SIZE) await turn();
  const proof = stream.written.subarray(HELLO_SIZE);
  stream.feed(concat([new Uint8Array([1]), proof]));
  const error = await reasonOf(result);
  assertInstanceOf(error, AuthenticationError);
  assertMatch(error.message, /the listener does not know the "authkey"/);
});

Deno.test("handshake() refuses a client that has its challenge answered by another session", async () => {
  // The attacker knows no key, and has two sessions with the listener. To each
  // it says what the other has said.
  const first = await alone("listener", "key");
  const second = await alone("listener", "key");
  const knock = await alone("client", "key");
  await turn();
  first.stream.feed(knock.stream.written);
  await turn();
  second.stream.feed(changed(first.stream.written, ROLE_AT, 1));
  await turn();
  // Neither has anything for it to pass on.
  assertEquals(second.stream.written.length, HELLO_SIZE);
  for (const { stream, result } of [first, second]) {
    stream.feed(new Uint8Array(PROOF_SIZE));
    assertInstanceOf(await reasonOf(result), AuthenticationError);
  }
  knock.stream.end();
  await reasonOf(knock.result);
});

Deno.test("handshake() refuses a recorded handshake, on both sides", async () => {
  const meeting = new Meeting();
  assertEquals(await meeting.run("key", "key"), [222, 111]);
  const [clientBytes, listenerBytes] = meeting.written;

  const listener = await alone("listener", "key");
  listener.stream.feed(clientBytes!);
  assertInstanceOf(await reasonOf(listener.result), AuthenticationError);
  // Nothing but the hello and the refusal.
  assertEquals(listener.stream.written.length, HELLO_SIZE + 1);

  const client = await alone("client", "key");
  client.stream.feed(listenerBytes!);
  assertInstanceOf(await reasonOf(client.result), AuthenticationError);
});

Deno.test("handshake() refuses hellos that were changed on the way", async () => {
  for (const by of [0, 1]) {
    for (const at of [LIMIT_AT, CHALLENGE_AT, HELLO_SIZE - 1]) {
      const meeting = new Meeting();
      const stream = meeting.streams[by]!;
      stream.tamper = (bytes) => {
        stream.tamper = (bytes) => bytes;
        return changed(bytes, at, bytes[at]! ^ 1);
      };
      for (const result of await meeting.run("key", "key")) {
        assertInstanceOf(result, AuthenticationError);
      }
    }
  }
});

Deno.test("handshake() refuses any proof that was changed on the way", async () => {
  for (const at of [0, 1, 17, PROOF_SIZE - 1]) {
    const meeting = new Meeting();
    const [client, listener] = meeting.streams;
    let writes = 0;
    client.tamper = (bytes) =>
      writes++ === 1 ? changed(bytes, at, bytes[at]! ^ 0x80) : bytes;
    for (const result of await meeting.run("key", "key")) {
      assertInstanceOf(result, AuthenticationError);
    }
    assertEquals(concat(listener.written).length, HELLO_SIZE + 1);
  }
  // The listener's: behind its verdict. The listener has let the client in.
  const meeting = new Meeting();
  const [, listener] = meeting.streams;
  let writes = 0;
  listener.tamper = (bytes) =>
    writes++ === 1 ? changed(bytes, 5, bytes[5]! ^ 1) : bytes;
  const [client, welcomed] = await meeting.run("key", "key");
  assertInstanceOf(client, AuthenticationError);
  assertEquals(welcomed, 111);
});

// ---- Keys ----

Deno.test("checkKey() takes text and bytes, and copies them", () => {
  assertEquals(checkKey("test", "é"), new Uint8Array([0xc3, 0xa9]));
  const bytes = new Uint8Array([1, 2, 3]).subarray(1);
  const copy = checkKey("test", bytes);
  bytes.fill(0);
  assertEquals([...copy], [2, 3]);
});

Deno.test("checkKey() refuses others, and does not show them", () => {
  for (const key of ["", new Uint8Array()]) {
    assertThrows(
      () => checkKey("listen", key),
      RangeError,
      "must not be empty",
    );
  }
  const bad = [5, true, null, 123456n, Symbol("123456"), ["123456"], {}];
  for (const key of bad) {
    const error = assertThrows(
      () => checkKey("listen", key),
      TypeError,
      'Cannot listen: "authkey" must be a string or a Uint8Array',
    );
    assertFalse(error.message.includes("123456"));
  }
});

Deno.test("importKey() makes a key that cannot be read", async () => {
  const key = await importKey(checkKey("test", "hunter2"));
  assertFalse(key.extractable);
  await assertRejects(() => crypto.subtle.exportKey("raw", key));
  assert(!Deno.inspect(key).includes("hunter2"));
});
