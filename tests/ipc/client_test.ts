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
import { encode } from "../../ipc/_codec.ts";
import { liveResources } from "../../ipc/_live.ts";
import type { WaitOptions } from "../../ipc/_options.ts";
import { Client, type ClientOptions } from "../../ipc/client.ts";
import {
  AuthenticationError,
  ConnectionClosedError,
  SerializationError,
  TimeoutError,
} from "../../ipc/errors.ts";
import { Event } from "../../ipc/event.ts";
import { Listener } from "../../ipc/listener.ts";
import { Pipe } from "../../ipc/pipe.ts";
import { Queue } from "../../ipc/queue.ts";
import { wait } from "../../ipc/wait.ts";
import {
  addressFor,
  CLIENT_TLS,
  Connected,
  KEY,
  Rejects,
  SERVER_TLS,
  Stranger,
  WAYS,
} from "./_connected.ts";
import { type Random, seeded } from "./_random.ts";
import {
  assertPending,
  bounded,
  CountedAbort,
  reasonOf,
  turn,
} from "./_waits.ts";

/** A silent listener: it accepts, and says nothing. */
function silent(): Deno.TcpListener {
  return Deno.listen({ hostname: "127.0.0.1", port: 0 });
}

// ---- Each way ----

for (const way of WAYS) {
  Deno.test(`Client() and Listener talk over ${way.name}`, async () => {
    await using ends = await Connected.by(way);
    const { client, server } = ends;
    const messages = [
      1,
      "text",
      undefined,
      { map: new Map([[1, new Set([2])]]), when: new Date(0), big: 5n ** 90n },
      new RangeError("over there"),
      new Float64Array([1, 2]),
      [],
    ];
    for (const [from, to] of [[client, server], [server, client]]) {
      for (const message of messages) await bounded(from!.send(message));
      await bounded(from!.sendBytes(new Uint8Array([1, 2, 3])));
      for (const message of messages) {
        assertEquals(await bounded(to!.recv()), message);
      }
      assertEquals(
        await bounded(to!.recvBytes({ maxLength: 3 })),
        new Uint8Array([1, 2, 3]),
      );
      assertFalse(await to!.poll());
    }
  });

  Deno.test(`Connection over ${way.name} takes large messages both ways at once`, async () => {
    await using ends = await Connected.by<Uint8Array>(way);
    const size = 12_000_000;
    const oneWay = async (from: typeof ends.client, to: typeof ends.client) => {
      const sends = [1, 2, 3].map((n) =>
        from.send(new Uint8Array(size).fill(n))
      );
      for (const n of [1, 2, 3]) {
        const message = await bounded(to.recv());
        assertEquals(message.length, size);
        assert(message.every((byte) => byte === n));
      }
      await bounded(Promise.all(sends));
    };
    await Promise.all([
      oneWay(ends.client, ends.server),
      oneWay(ends.server, ends.client),
    ]);
  });

  Deno.test(`Connection over ${way.name} ends when the other end closes`, async () => {
    await using ends = await Connected.by(way);
    const { client, server } = ends;
    await client.send("last");
    const recv = client.recv();
    client.close();
    assertInstanceOf(await reasonOf(recv), ConnectionClosedError);
    assertEquals(await bounded(server.recv()), "last");
    await assertRejects(() => bounded(server.recv()), ConnectionClosedError);
    await assertRejects(() => bounded(server.send(1)), ConnectionClosedError);
    assert(await server.poll());
    assertFalse(server.closed);
    assert(client.closed);
  });

  Deno.test(`Connection.close() over ${way.name} loses nothing that was sent, whatever is unread here`, async () => {
    await using ends = await Connected.by<Uint8Array>(way);
    const { client, server } = ends;
    // More than the client reads ahead, and nobody receives it.
    const unread = Promise.all(Array.from(
      { length: 8 },
      () => server.send(new Uint8Array(1 << 19)).catch((error) => error),
    ));
    // As much as the server reads ahead, and a little that waits in the system.
    const sizes = [1 << 20, 1000];
    for (const size of sizes) await bounded(client.send(new Uint8Array(size)));
    client.close();
    for (const size of sizes) {
      assertEquals((await bounded(server.recv())).length, size);
    }
    await assertRejects(() => bounded(server.recv()), ConnectionClosedError);
    await bounded(unread);
  });

  Deno.test(`Connection.send() over ${way.name} waits for a reader, and keeps the order`, async () => {
    await using ends = await Connected.by<Uint8Array>(way);
    const { client, server } = ends;
    const count = 100;
    let written = 0;
    const sends = Array.from({ length: count }, async (_, n) => {
      await client.send(new Uint8Array(1 << 20).fill(n));
      written++;
    });
    await bounded(server.poll({ timeout: 1e8 }));
    await turn();
    // No system holds that much for a reader that does not read.
    assert(written < count - 10, `${written} of ${count} were written`);
    for (let n = 0; n < count; n++) {
      assertEquals((await bounded(server.recv()))[0], n);
    }
    await bounded(Promise.all(sends));
  });

  Deno.test(`Connection over ${way.name} gets every message across in order in any mix of calls`, async () => {
    await seeded(async (random) => {
      await using ends = await Connected.by<Uint8Array>(way);
      await bounded(Promise.all([
        mixedCalls(random, ends.client, ends.server),
        mixedCalls(random, ends.server, ends.client),
      ]));
    });
  });
}

type End = Connected<Uint8Array>["client"];

/** What is sent arrives in order, but for what may have been taken back. */
async function mixedCalls(random: Random, from: End, to: End): Promise<void> {
  const attempt = async <T>(
    call: (options: WaitOptions) => Promise<T>,
    done: (value: T) => void,
  ) => {
    const controller = new AbortController();
    const options: WaitOptions = {};
    if (random.oneIn(2)) options.signal = controller.signal;
    if (random.oneIn(5)) options.timeout = random.below(2);
    const ended = call(options).then(
      done,
      (error) => assert(error === "abort" || error instanceof TimeoutError),
    );
    if (options.signal && random.oneIn(2)) {
      if (random.oneIn(2)) await turn();
      controller.abort("abort");
    }
    await ended;
  };
  const key = (bytes: Uint8Array) =>
    `${new DataView(bytes.buffer).getUint32(0)}: ${bytes.length}`;
  const sent: string[] = [];
  const accepted: string[] = [];
  const received: string[] = [];
  let sending = true;
  const sender = async () => {
    for (let number = 0; number < 200; number++) {
      const size = random.oneIn(8) ? random.below(900_000) : random.below(50);
      const bytes = new Uint8Array(4 + size);
      new DataView(bytes.buffer).setUint32(0, number);
      sent.push(key(bytes));
      await attempt(
        (options) =>
          random.oneIn(2)
            ? from.send(bytes, options)
            : from.sendBytes(bytes, options),
        () => accepted.push(key(bytes)),
      );
    }
    await from.send(new Uint8Array(0));
    sending = false;
  };
  const receiver = async () => {
    for (let ended = false; !ended;) {
      await attempt(
        (options) => to.recv({ timeout: sending ? 5 : 5000, ...options }),
        (bytes) => {
          if (bytes.length === 0) ended = true;
          else received.push(key(bytes));
        },
      );
    }
  };
  await Promise.all([sender(), receiver()]);
  // In order; all that was accepted; nothing twice, nothing that was not sent.
  const places = received.map((each) => sent.indexOf(each));
  assert(places.every((place, i) => place > (places[i - 1] ?? -1)));
  assert(accepted.every((each) => received.includes(each)));
  assert(accepted.length > 50);
}

// ---- Connections ----

Deno.test("wait() takes connections of both kinds, and other objects", async () => {
  await using ends = await Connected.by();
  const [left, right] = Pipe();
  using event = new Event();
  const { client, server } = ends;
  const all = [right, server, client, event];
  const waiting = wait(all);
  await assertPending(waiting);
  await client.send(1);
  assertEquals(await bounded(waiting), [server]);
  await left.send(2);
  event.set();
  assertEquals(await bounded(wait(all)), [right, server, event]);
  assertEquals(await server.recv(), 1);
  client.close();
  assertEquals(await bounded(wait([server])), [server]);
  left.close();
  right.close();
});

Deno.test("Connection over a socket sends nothing that is shared in the program", async () => {
  await using ends = await Connected.by();
  using queue = new Queue();
  const error = await assertRejects(
    () => ends.client.send({ queue }),
    SerializationError,
    "a Queue, which is shared within one program",
  );
  assertEquals(error.path, "message.queue");
  await ends.client.send("still good");
  assertEquals(await bounded(ends.server.recv()), "still good");
});

Deno.test("Connection.send() knows the longest message that the other end accepts", async () => {
  await using ends = await Connected.by<Uint8Array>({
    name: "",
    listener: { maxMessage: 1000 },
    client: { maxMessage: 5000 },
  });
  await assertRejects(
    () => ends.client.send(new Uint8Array(1000)),
    RangeError,
    'the other end accepts 1000 ("maxMessage")',
  );
  await ends.server.send(new Uint8Array(4900));
  assertEquals((await bounded(ends.client.recv())).length, 4900);
  await ends.client.send(new Uint8Array(900));
  assertEquals((await bounded(ends.server.recv())).length, 900);
});

Deno.test("Connection.recv() says so when the peer dies within a message", async () => {
  using listener = new Listener({ authkey: KEY });
  const frame = encode("a message").bytes;
  const header = new Uint8Array([frame.length + 1, 0, 0, 0, 1]);
  {
    using peer = await Stranger.at(listener);
    await peer.shakeHands("client", KEY);
    await peer.write(header);
    await peer.write(frame);
    await peer.write(header);
    await peer.write(frame.subarray(0, 3));
  }
  await using connection = await bounded(listener.accept());
  assertEquals(await bounded(connection.recv()), "a message");
  await assertRejects(
    () => bounded(connection.recv()),
    ConnectionClosedError,
    "cut off",
  );
  await assertRejects(() => connection.send(1), ConnectionClosedError);
});

Deno.test("Connection.recv() ends at once when the peer announces too much", async () => {
  using listener = new Listener({ maxMessage: 1000 });
  using peer = await Stranger.at(listener);
  await peer.shakeHands();
  await using connection = await bounded(listener.accept());
  await peer.write(new Uint8Array([0, 0, 0, 0x40, 1]));
  await assertRejects(
    () => bounded(connection.recv()),
    ConnectionClosedError,
    '"maxMessage" is 1000',
  );
  await peer.readAll();
});

Deno.test("Connection over a socket leaves nothing open", async () => {
  {
    await using ends = await Connected.by();
    assertEquals(liveResources().length, 3);
    await ends.client.send(1);
  }
  assertEquals(liveResources(), []);
});

// ---- Refused ----

Deno.test("Client() refuses a listener with another key, and the other way", async () => {
  const rejects = new Rejects();
  using listener = new Listener({ authkey: KEY, onReject: rejects.onReject });
  const cases: [ClientOptions, RegExp][] = [
    [{ authkey: "wrong" }, /the listener has another "authkey"/],
    [{}, /the other side asks for an "authkey"/],
  ];
  for (const [options, message] of cases) {
    const error = await reasonOf(Client(listener.address, options));
    assertInstanceOf(error, AuthenticationError);
    assertMatch(error.message, message);
  }
  const errors = await rejects.until(2);
  for (const error of errors) assertInstanceOf(error, AuthenticationError);
  assertEquals(rejects.addresses.map((a) => a && "port" in a), [true, true]);

  using open = new Listener();
  const error = await reasonOf(Client(open.address, { authkey: KEY }));
  assertInstanceOf(error, AuthenticationError);
  assertMatch(error.message, /the other side has no "authkey"/);
});

Deno.test("Client() refuses a listener that only pretends to know the key", async () => {
  const socket = silent();
  const impostor = (async () => {
    const conn = await socket.accept();
    const hello = new Uint8Array(1000);
    const size = await conn.read(hello);
    hello[10] = 2; // The role.
    await conn.write(hello.subarray(0, size!));
    await conn.read(hello);
    await conn.write(new Uint8Array(33).fill(1));
    assertEquals(await conn.read(hello), null);
    conn.close();
  })();
  const { port } = socket.addr;
  const error = await reasonOf(
    Client({ hostname: "", port }, { authkey: KEY }),
  );
  assertInstanceOf(error, AuthenticationError);
  assertMatch(error.message, /the listener does not know the "authkey"/);
  await bounded(impostor);
  socket.close();
});

Deno.test("Client() refuses what is no listener", async () => {
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen() {},
    handler: () => new Response("hello"),
  });
  const { port } = server.addr;
  const error = await reasonOf(Client({ hostname: "", port }));
  assertInstanceOf(error, AuthenticationError);
  assertMatch(error.message, /speaks another protocol/);
  await bounded(server.shutdown());
});

Deno.test("Client() says so when the listener closes the connection at once", async () => {
  const socket = silent();
  const accepted = socket.accept().then((conn) => conn.close());
  const { port } = socket.addr;
  await assertRejects(
    () => bounded(Client({ hostname: "", port })),
    ConnectionClosedError,
    "during the handshake",
  );
  await accepted;
  socket.close();
});

Deno.test("Client() says where nobody listens", async () => {
  const socket = silent();
  const { port } = socket.addr;
  socket.close();
  await assertRejects(
    () => bounded(Client({ hostname: "", port })),
    Deno.errors.ConnectionRefused,
    `Cannot connect to "127.0.0.1:${port}": `,
  );
  const directory = await Deno.makeTempDir();
  await assertRejects(
    () => bounded(Client({ path: `${directory}/socket` })),
    Deno.errors.NotFound,
    `Cannot connect to "${directory}/socket": `,
  );
  await Deno.remove(directory);
});

// ---- TLS ----

Deno.test("Client() refuses a certificate that nobody it knows has signed", async () => {
  const rejects = new Rejects();
  using listener = new Listener({
    address: "localhost:0",
    tls: SERVER_TLS,
    onReject: rejects.onReject,
  });
  const error = await reasonOf(
    Client(addressFor(listener, true), { tls: {} }),
  );
  assertInstanceOf(error, AuthenticationError);
  assertMatch(error.message, /TLS handshake failed/);
  const [refused] = await rejects.until(1);
  assertInstanceOf(refused, AuthenticationError);
});

Deno.test("Client() refuses a certificate for another host name", async () => {
  using listener = new Listener({ tls: SERVER_TLS });
  // The certificate is for the name, not for the number.
  const error = await reasonOf(Client(listener.address, { tls: CLIENT_TLS }));
  assertInstanceOf(error, AuthenticationError);
  assertMatch(error.message, /TLS handshake failed: .*not valid for name/);
});

Deno.test("Client() with TLS and a listener without refuse each other", async () => {
  const rejects = new Rejects();
  const { onReject } = rejects;
  using plain = new Listener({ address: "localhost:0", onReject });
  using secure = new Listener({
    address: "localhost:0",
    tls: SERVER_TLS,
    onReject,
  });
  const attempts = [
    reasonOf(Client(addressFor(plain, true), { tls: CLIENT_TLS })),
    reasonOf(Client(addressFor(secure, true))),
  ];
  for (const error of await Promise.all(attempts)) {
    assert(
      error instanceof AuthenticationError ||
        error instanceof ConnectionClosedError,
      `${error}`,
    );
  }
  for (const error of await rejects.until(2)) {
    assertInstanceOf(error, AuthenticationError);
  }
});

Deno.test("Client() shows a certificate of its own", async () => {
  await using ends = await Connected.by({
    name: "",
    listener: { address: "localhost:0", tls: SERVER_TLS },
    client: { tls: { ...CLIENT_TLS, ...SERVER_TLS } },
  });
  await ends.client.send(1);
  assertEquals(await bounded(ends.server.recv()), 1);
});

// ---- Waits ----

Deno.test("Client() gives up a silent listener, and closes the connection", async () => {
  const socket = silent();
  const address = { hostname: "", port: socket.addr.port };
  /** What a connection has to say before its end. */
  const readAll = async () => {
    const conn = await socket.accept();
    const into = new Uint8Array(1000);
    while (await conn.read(into) !== null);
    conn.close();
  };
  for (const options of [{ timeout: 20 }, { handshakeTimeout: 20 }]) {
    const end = readAll();
    await assertRejects(() => bounded(Client(address, options)), TimeoutError);
    await bounded(end);
  }
  const abort = new CountedAbort();
  const attempt = Client(address, { signal: abort.signal, timeout: 1e8 });
  const end = readAll();
  assertEquals(abort.listeners, 1);
  abort.abort();
  assertStrictEquals(await reasonOf(attempt), abort.reason);
  assertEquals(abort.listeners, 0);
  await bounded(end);
  socket.close();
  assertEquals(liveResources(), []);
});

Deno.test("Client() gives up a listener that does not shake hands by TLS", async () => {
  const socket = silent();
  const address = { hostname: "", port: socket.addr.port };
  for (const options of [{ timeout: 20 }, { handshakeTimeout: 20 }]) {
    const accepted = socket.accept();
    await assertRejects(
      () => bounded(Client(address, { ...options, tls: CLIENT_TLS })),
      TimeoutError,
    );
    // Deno keeps a socket for the rest of its handshake: see _network.ts.
    (await bounded(accepted)).close();
  }
  const abort = new CountedAbort();
  const attempt = Client(address, { signal: abort.signal, tls: CLIENT_TLS });
  const conn = await bounded(socket.accept());
  abort.abort();
  assertStrictEquals(await reasonOf(attempt), abort.reason);
  assertEquals(abort.listeners, 0);
  conn.close();
  socket.close();
  assertEquals(liveResources(), []);
});

Deno.test("Client() does nothing when aborted before, or without any time", async () => {
  const rejects = new Rejects();
  using listener = new Listener({ onReject: rejects.onReject });
  const signal = AbortSignal.abort("no");
  assertEquals(await reasonOf(Client(listener.address, { signal })), "no");
  await assertRejects(
    () => bounded(Client(listener.address, { timeout: 0 })),
    TimeoutError,
    "within 0 ms",
  );
  assertFalse(
    await listener.accept({ timeout: 0 }).then(() => true, () => false),
  );
});

Deno.test("Client() leaves no connection when aborted at any moment", async () => {
  await seeded(async (random) => {
    using listener = new Listener({ authkey: KEY });
    for (let i = 0; i < 50; i++) {
      const controller = new AbortController();
      const attempt = Client(listener.address, {
        authkey: KEY,
        signal: controller.signal,
      }).then((connection) => connection, () => undefined);
      for (let n = random.below(8); n > 0; n--) await turn();
      controller.abort();
      const connection = await bounded(attempt);
      const accepted = await listener.accept({ timeout: 100 })
        .catch(() => undefined);
      if (connection === undefined && accepted !== undefined) {
        await assertRejects(
          () => bounded(accepted.recv()),
          ConnectionClosedError,
        );
      }
      connection?.close();
      await accepted?.[Symbol.asyncDispose]();
      await connection?.[Symbol.asyncDispose]();
    }
  });
});

Deno.test("Client() leaves no abort listener behind, however it ends", async () => {
  using listener = new Listener();
  const abort = new CountedAbort();
  const { signal } = abort;
  await using client = await bounded(
    Client(listener.address, { signal, timeout: 1e8 }),
  );
  await using _server = await bounded(listener.accept({ signal }));
  assertEquals(abort.listeners, 0);
  await assertRejects(
    () => Client(listener.address, { signal, authkey: KEY }),
    AuthenticationError,
  );
  assertEquals(abort.listeners, 0);
  abort.abort();
  await client.send("an abort afterwards changes nothing");
});

// ---- Options ----

Deno.test("Client() refuses bad options without an effect", async () => {
  const rejects = new Rejects();
  using listener = new Listener({ onReject: rejects.onReject });
  const { address } = listener;
  const cases: [unknown, typeof TypeError | typeof RangeError][] = [
    [5, TypeError],
    [null, TypeError],
    [{ timeout: -1 }, RangeError],
    [{ timeout: "5" }, TypeError],
    [{ signal: {} }, TypeError],
    [{ authkey: "" }, RangeError],
    [{ authkey: 5 }, TypeError],
    [{ maxMessage: 0 }, RangeError],
    [{ maxMessage: 2 ** 31 }, RangeError],
    [{ maxMessage: "5" }, TypeError],
    [{ handshakeTimeout: -1 }, RangeError],
    [{ tls: true }, TypeError],
    [{ tls: { caCerts: "pem" } }, TypeError],
    [{ tls: { cert: "pem" } }, TypeError],
  ];
  for (const [options, type] of cases) {
    await assertRejects(
      () => Client(address, options as ClientOptions),
      type,
      "Cannot connect: ",
    );
  }
  await assertRejects(
    () => Client({ path: "/tmp/socket" }, { tls: {} }),
    TypeError,
    '"tls" needs a port',
  );
  await assertRejects(() => Client("localhost"), TypeError, '"address"');
  await assertRejects(() => Client("localhost:0"), RangeError, '"port"');
  assertEquals(rejects.errors, []);
});

Deno.test("Client() does not go over the network without a protection", async () => {
  for (
    const address of ["192.0.2.1:80", "example.com:80", "[2001:db8::1]:80"]
  ) {
    const error = await assertRejects(() => Client(address), TypeError);
    assertMatch(error.message, /leads over the network; give "tls", or/);
    const signal = AbortSignal.abort("checked");
    for (
      const options of [{ tls: {} }, { authkey: KEY }, { insecure: true }]
    ) {
      assertEquals(
        await reasonOf(Client(address, { ...options, signal })),
        "checked",
      );
    }
  }
});
