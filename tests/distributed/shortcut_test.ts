// Copyright 2026 the multitask authors. MIT license.
// Guests on the machine of their manager come by a Unix socket where both may.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { sessionFor } from "../../distributed/_ticket.ts";
import { Frame, PROTOCOL } from "../../distributed/_wire.ts";
import { ByteWriter } from "../../ipc/_bytes.ts";
import { PROOF_SIZE, TOKEN_SIZE } from "../../ipc/_handshake.ts";
import { Queue, type TcpAddress } from "../../ipc/mod.ts";
import { Cutter } from "./_cutter.ts";
import { KEY, managerOf, Served, until } from "./_managers.ts";

const ignore = Deno.build.os !== "linux";

/** Where a program connects to: "tcp", or the path of a Unix socket. */
type Ways = string[];

/**
 * Notes all connections that are made until it is disposed; `instead` gives other
 * ones for those to Unix sockets.
 */
function watchConnects(
  instead?: (
    connect: typeof Deno.connect,
    options: Deno.UnixConnectOptions,
  ) => Promise<Deno.Conn>,
): { ways: Ways } & Disposable {
  const { connect } = Deno;
  const ways: Ways = [];
  const watched = (options: Deno.UnixConnectOptions | Deno.ConnectOptions) => {
    if (!("path" in options)) {
      ways.push("tcp");
      return connect(options);
    }
    ways.push(options.path.slice(0, "\0multitask-".length));
    return instead?.(connect, options) ?? connect(options);
  };
  Deno.connect = watched as typeof connect;
  return { ways, [Symbol.dispose]: () => void (Deno.connect = connect) };
}

const NAME = "\0multitask-";

/** What is shown first: a token, and a proof of the key. */
const SHOWN = TOKEN_SIZE + PROOF_SIZE;

function served(): Promise<Served> {
  const queue = new Queue<number>();
  return Served.start({ getQueue: () => queue });
}

/** Uses a guest. */
async function roundTrip(
  client: Awaited<ReturnType<Served["connect"]>>,
): Promise<void> {
  const queue = await client.getQueue();
  await queue.put(1);
  assertEquals(await queue.get(), 1);
}

Deno.test({
  name:
    "Manager lets guests on its machine take a shortcut, and counts them once",
  ignore,
  async fn() {
    await using server = await served();
    using watch = watchConnects();
    const client = await server.connect();
    await roundTrip(client);
    assertEquals(watch.ways, ["tcp", NAME]);
    const { admitted, guests, strangers } = await client.status();
    assertEquals([admitted, guests.length, strangers], [1, 2, 0]);
    // It is known by the port that it came by.
    assert(/^"127\.0\.0\.1:\d+"$/.test(guests[1]!.address));
    await client.shutdown();
  },
});

Deno.test({
  name: "Manager's shortcut is not taken where something else is at the port",
  ignore,
  async fn() {
    await using server = await served();
    using cutter = new Cutter(server.manager.address);
    using watch = watchConnects();
    const client = await server.connect({ address: cutter.address });
    await roundTrip(client);
    // The second one is the cutter's own.
    assertEquals(watch.ways, ["tcp", "tcp"]);
    await client.shutdown();
  },
});

Deno.test({
  name: "Manager's shortcut that leads nowhere leaves the port",
  ignore,
  async fn() {
    await using server = await served();
    using watch = watchConnects(() =>
      Promise.reject(new Deno.errors.ConnectionRefused("nobody is there"))
    );
    const client = await server.connect();
    await roundTrip(client);
    assertEquals(watch.ways, ["tcp", NAME]);
    assertEquals((await client.status()).guests.length, 2);
    await client.shutdown();
  },
});

Deno.test({
  name: "Manager's shortcut at which nobody answers leaves the port",
  ignore,
  async fn() {
    await using server = await served();
    const path = `\0silent-${crypto.randomUUID()}`;
    using _silent = Deno.listen({ transport: "unix", path });
    using watch = watchConnects((connect) =>
      connect({ transport: "unix", path })
    );
    const client = await server.connect();
    await roundTrip(client);
    assertEquals(watch.ways, ["tcp", NAME]);
    await client.shutdown();
  },
});

Deno.test({
  name: "Manager's shortcut that is given up too late costs no call",
  ignore,
  async fn() {
    await using server = await served();
    const givenUp = Promise.withResolvers<void>();
    using watch = watchConnects(async (connect, options) => {
      const conn = await connect(options);
      const { read } = conn;
      // All that was sent arrives there; what comes back does when all is over.
      conn.read = async (into) => {
        await givenUp.promise;
        return await read.call(conn, into);
      };
      return conn;
    });
    const client = await server.connect();
    givenUp.resolve();
    assertEquals(watch.ways, ["tcp", NAME]);
    const queue = await client.getQueue();
    const got = queue.get();
    await queue.put(7);
    assertEquals(await got, 7);
    await until(
      async () => (await client.status()).guests.length === 2,
      "it is one guest",
    );
    await client.shutdown();
  },
});

Deno.test({
  name: "Manager's shortcut asks for the key, too",
  ignore,
  async fn() {
    await using server = await served();
    using watch = watchConnects(async (connect, options) => {
      const conn = await connect(options);
      const { write } = conn;
      let isShown = false;
      // The right token, and no proof.
      conn.write = (bytes) => {
        if (!isShown) bytes.fill(0, TOKEN_SIZE);
        isShown = true;
        return write.call(conn, bytes);
      };
      return conn;
    });
    const client = await server.connect();
    await roundTrip(client);
    assertEquals(watch.ways, ["tcp", NAME]);
    const { admitted, refused } = await client.status();
    assertEquals([admitted, refused.authentication], [1, 1]);
    await client.shutdown();
  },
});

/** Says that it is a manager, to the first who shows a token. */
async function impostor(listener: Deno.Listener): Promise<void> {
  const conn = await listener.accept();
  const asked = new Uint8Array(1024);
  let have = 0;
  while (have <= SHOWN) have += (await conn.read(asked))!;
  const out = new ByteWriter();
  out.u32(0);
  out.u8(Frame.Welcome);
  out.u8(PROTOCOL);
  out.u8(0);
  out.text(crypto.randomUUID());
  out.text("MainProcess");
  for (const number of [Deno.pid, 1000]) out.varint(number);
  for (const text of ["", ""]) out.text(text);
  out.varint(0);
  const bytes = out.take();
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(
    0,
    bytes.length - 4,
    true,
  );
  await conn.write(bytes);
  while (await conn.read(asked) !== null);
  conn.close();
}

Deno.test({
  name: "Manager's shortcut at which somebody else is leaves the port",
  ignore,
  async fn() {
    await using server = await served();
    const path = `\0impostor-${crypto.randomUUID()}`;
    using listener = Deno.listen({ transport: "unix", path });
    const left = impostor(listener);
    using watch = watchConnects((connect) =>
      connect({ transport: "unix", path })
    );
    const client = await server.connect();
    await roundTrip(client);
    assertEquals(watch.ways, ["tcp", NAME]);
    await left;
    await client.shutdown();
  },
});

Deno.test({
  name: "Manager's shortcut is for those who were given a token, once",
  ignore,
  async fn() {
    await using server = await served();
    let path = "";
    let shown: Uint8Array | undefined;
    const { connect } = Deno;
    const watched = async (options: Deno.UnixConnectOptions) => {
      const conn = await connect(options);
      if (!("path" in options)) return conn;
      path = options.path;
      const { write } = conn;
      conn.write = (bytes) => {
        shown ??= bytes.slice(0, SHOWN);
        return write.call(conn, bytes);
      };
      return conn;
    };
    Deno.connect = watched as typeof connect;
    let client;
    try {
      client = await server.connect();
    } finally {
      Deno.connect = connect;
    }
    assertEquals(shown!.length, SHOWN);
    const tokens = [
      shown!, // It was used.
      new Uint8Array(SHOWN),
      crypto.getRandomValues(new Uint8Array(1 << 16)),
    ];
    for (const token of tokens) {
      using conn = await connect({ transport: "unix", path });
      await conn.write(token);
      // The end, or a reset with something unread.
      const end = await conn.read(new Uint8Array(1)).catch(() => null);
      assertEquals(end, null);
    }
    await until(
      async () =>
        (await client.status()).refused.authentication === tokens.length,
      "all are refused",
    );
    assertEquals((await client.status()).admitted, 1);
    await roundTrip(client);
    await client.shutdown();
  },
});

Deno.test({
  name: "Manager.connect() that is aborted on the shortcut leaves nothing",
  ignore,
  async fn() {
    await using server = await served();
    const controller = new AbortController();
    const { signal } = controller;
    const reason = new Error("not today");
    using _watch = watchConnects(() => {
      controller.abort(reason);
      return Promise.withResolvers<Deno.Conn>().promise;
    });
    const { address } = server.manager;
    const client = new (managerOf({}))({ address, authkey: KEY });
    const error = await assertRejects(() => client.connect({ signal }));
    assertEquals(error, reason);
    await until(
      () => server.manager.status().then(({ guests }) => !guests[1]?.connected),
      "the guest is gone",
    );
  },
});

Deno.test("Session takes no other socket for a shortcut than a manager's", () => {
  const address: TcpAddress = { hostname: "127.0.0.1", port: 5000 };
  const session = sessionFor({
    address,
    dial: { authkey: KEY },
    heartbeat: { interval: 1000, timeout: 5000 },
    reconnectTimeout: 1000,
    maxValues: 1000,
  });
  const { shortcut } = session.options;
  for (
    const [path, port] of [
      ["", 5000],
      ["/var/run/of-somebody-else.sock", 5000],
      ["\0of-somebody-else", 5000],
      [`${NAME}1`, 5001],
    ] as const
  ) assertEquals(shortcut!({ path, port, token: "" }), undefined, path);
  if (!ignore) assert(shortcut!({ path: `${NAME}1`, port: 5000, token: "" }));
});
