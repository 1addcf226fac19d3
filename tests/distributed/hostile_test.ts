// Copyright 2026 the multitask authors. MIT license.
// Strangers who do not know the key, and guests who do and mean no good.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import { Manager } from "../../distributed/manager.ts";
import type { RemoteQueue } from "../../distributed/remote_queue.ts";
import { Frame, PROTOCOL } from "../../distributed/_wire.ts";
import { ByteWriter } from "../../ipc/_bytes.ts";
import { encode } from "../../ipc/_codec.ts";
import { checkKey, handshake, importKey } from "../../ipc/_handshake.ts";
import type { TcpAddress } from "../../ipc/_address.ts";
import { AuthenticationError, SerializationError } from "../../ipc/errors.ts";
import { Queue } from "../../ipc/queue.ts";
import { Process } from "../../process/mod.ts";
import { CLIENT_TLS, SERVER_TLS } from "../ipc/_connected.ts";
import { bounded } from "../ipc/_waits.ts";
import { KEY, Served, until } from "./_managers.ts";
import { storm } from "./fixtures/storm.ts";

const MIB = 1 << 20;

function text(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}

async function open(served: Served): Promise<Deno.TcpConn> {
  const { hostname, port } = served.manager.address as TcpAddress;
  return await Deno.connect({ hostname, port });
}

async function write(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) {
    rest = rest.subarray(await conn.write(rest));
  }
}

/** Waits until the other side has closed. */
async function closedBy(conn: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(1 << 16);
  try {
    while (await bounded(conn.read(buffer)) !== null);
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
  }
}

/** Knows the key, and speaks as it likes. */
class Insider implements Disposable {
  readonly conn: Deno.TcpConn;
  #next = 1;

  private constructor(conn: Deno.TcpConn) {
    this.conn = conn;
  }

  static async enter(served: Served, { hello = true } = {}): Promise<Insider> {
    const conn = await open(served);
    const key = await importKey(checkKey("test", KEY));
    await handshake(conn, { role: "client", key, maxMessage: MIB });
    const insider = new Insider(conn);
    if (hello) {
      const out = new ByteWriter();
      out.u8(PROTOCOL);
      out.text(crypto.randomUUID());
      out.text("insider");
      out.varint(1);
      out.varint(1000);
      await insider.frame(Frame.Hello, out.take());
    }
    return insider;
  }

  async frame(kind: number, body: Uint8Array): Promise<void> {
    const out = new ByteWriter();
    out.u32(body.length + 1);
    out.u8(kind);
    out.raw(body);
    await write(this.conn, out.take());
  }

  /** Calls a method with arguments that are just bytes. */
  async call(object: number, method: string, args: Uint8Array): Promise<void> {
    const out = new ByteWriter();
    out.varint(this.#next++);
    out.varint(object);
    out.text(method);
    out.varint(0);
    out.varint(0);
    out.raw(args);
    await this.frame(Frame.Call, out.take());
  }

  [Symbol.dispose](): void {
    try {
      this.conn.close();
    } catch {
      // The manager was quicker.
    }
  }
}

/** A manager that has to serve on, and take no memory, whatever is done. */
async function besieged(
  act: (served: Served) => Promise<void>,
  most = 50 * MIB,
): Promise<void> {
  const queue = new Queue<unknown>();
  await using served = await Served.start({ getQueue: () => queue });
  const honest = await served.connect();
  const far: RemoteQueue<unknown> = await honest.getQueue();
  const before = Deno.memoryUsage().rss;
  await act(served);
  const grown = Deno.memoryUsage().rss - before;
  assert(grown < most, `RSS grew by ${grown / MIB} MiB`);
  await bounded(far.put("still"));
  assertEquals(await bounded(far.get()), "still");
  const late = await served.connect();
  assertEquals(await bounded((await late.getQueue()).size), 0);
}

Deno.test("Manager refuses strangers who speak something else", async () => {
  await besieged(async (served) => {
    const said = [
      text("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
      new Uint8Array([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
      crypto.getRandomValues(new Uint8Array(4096)),
      new Uint8Array([0, 0, 0, 0x80]),
      new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]),
      new Uint8Array([1, 0, 0, 0, Frame.Hello]),
    ];
    for (const bytes of said) {
      const conn = await open(served);
      await write(conn, bytes);
      await closedBy(conn);
      conn.close();
    }
    const { refused } = await served.manager.status();
    assertEquals(refused.authentication, said.length);
  });
});

Deno.test("Manager refuses a handshake that was heard and is said again", async () => {
  await besieged(async (served) => {
    const said: Uint8Array[] = [];
    const conn = await open(served);
    const key = await importKey(checkKey("test", KEY));
    await handshake({
      read: (into) => conn.read(into),
      write: (bytes) => {
        said.push(bytes.slice());
        return conn.write(bytes);
      },
      close: () => {},
    }, { role: "client", key, maxMessage: MIB });
    conn.close();
    const again = await open(served);
    for (const bytes of said) await write(again, bytes);
    await closedBy(again);
    again.close();
    // What the manager says, said to itself.
    const mirror = await open(served);
    const hello = said[0]!.slice();
    await write(mirror, hello);
    const theirs = new Uint8Array(hello.length);
    for (let at = 0; at < theirs.length;) {
      at += (await bounded(mirror.read(theirs.subarray(at))))!;
    }
    await write(mirror, theirs.subarray(0, 32));
    await closedBy(mirror);
    mirror.close();
    const { refused } = await served.manager.status();
    assertEquals(refused.authentication, 2);
  });
});

Deno.test("Manager lets honest clients in beside 500 silent and slow ones", async () => {
  await besieged(async (served) => {
    const conns: Deno.TcpConn[] = [];
    for (let i = 0; i < 500; i++) {
      const conn = await open(served);
      conns.push(conn);
      // Some say a good beginning.
      if (i % 2 === 0) await write(conn, text("multi"));
      if (i % 100 === 99) {
        const client = await served.connect();
        assertEquals(await bounded((await client.getQueue()).size), 0);
        await client.shutdown();
      }
    }
    await until(
      async () => (await served.manager.status()).refused.left >= 500 - 128,
      "the oldest had to go",
    );
    const { strangers } = await served.manager.status();
    assert(strangers <= 128, `${strangers} strangers`);
    await closedBy(conns[0]!);
    for (const conn of conns) conn.close();
  });
});

Deno.test("Manager serves on while thousands connect and leave", async () => {
  await besieged(async (served) => {
    const client = await served.connect();
    const queue = await client.getQueue();
    let isOver = false;
    const storm = (async () => {
      for (let i = 0; i < 4000; i++) {
        try {
          (await open(served)).close();
        } catch {
          // So many that the system refuses some.
        }
      }
      isOver = true;
    })();
    let calls = 0;
    while (!isOver) {
      await bounded(queue.size);
      calls++;
    }
    await storm;
    assert(calls > 0);
    const late = await served.connect();
    await bounded(late.status());
  });
});

Deno.test({
  name: "Manager serves on while 2000 connect in each second for 10 s (long)",
  ignore: Deno.env.get("TEST_LONG") !== "1",
  async fn() {
    await besieged(async (served) => {
      const client = await served.connect();
      const queue = await client.getQueue();
      // From another process: only what it costs the manager counts.
      const { port } = served.manager.address as TcpAddress;
      const grown: number[] = [];
      for (const seconds of [5, 5]) {
        const before = Deno.memoryUsage().rss;
        const attacker = new Process({
          target: storm,
          args: [port, 2000, seconds],
        });
        attacker.start();
        let isOver = false;
        const over = attacker.result.finally(() => isOver = true);
        let calls = 0;
        let longest = 0;
        const call = async () => {
          while (!isOver) {
            const asked = performance.now();
            await queue.size;
            longest = Math.max(longest, performance.now() - asked);
            calls++;
          }
        };
        // All together: what bounds a wait takes memory until that is over.
        const [{ connected, took }] = await bounded(
          Promise.all([over, call()]),
        );
        await attacker.join();
        grown.push((Deno.memoryUsage().rss - before) / MIB);
        console.log(
          `${connected} connected in ${
            Math.round(took)
          } ms, ${calls} calls beside them, the longest ${
            Math.round(longest)
          } ms, RSS ${grown.at(-1)!.toFixed(1)} MiB more`,
        );
        assert(connected > 2000 * seconds / 2, `${connected} connected`);
      }
      assert(grown.every((mib) => mib < 50), `RSS grew by ${grown} MiB`);
      const late = await served.connect();
      await bounded(late.status());
    }, 100 * MIB);
  },
});

Deno.test("Manager ends the line of a guest who announces impossible sizes", async () => {
  await besieged(async (served) => {
    const sizes = [
      [0, 0, 0, 0x80],
      [0xff, 0xff, 0xff, 0xff],
      [0xff, 0xff, 0xff, 0x7f],
      [0, 0, 0, 0x10],
      [0, 0, 0, 0],
    ];
    for (const size of sizes) {
      using insider = await Insider.enter(served);
      await write(insider.conn, new Uint8Array([...size, Frame.Call, 0, 0]));
      await closedBy(insider.conn);
    }
    // Announced, and never sent: that takes nothing but the connection.
    using liar = await Insider.enter(served);
    await write(liar.conn, new Uint8Array([0, 0, 0, 3, Frame.Call]));
    const { refused } = await bounded(served.manager.status());
    assertEquals(refused.protocol, sizes.length);
  });
});

Deno.test("Manager ends the line of a guest who breaks the protocol", async () => {
  await besieged(async (served) => {
    const frames: [number, Uint8Array][] = [
      [77, new Uint8Array(3)],
      [Frame.Welcome, new Uint8Array(3)],
      [Frame.Hello, new Uint8Array(3)],
      [Frame.Call, new Uint8Array()],
      [Frame.Call, new Uint8Array(20).fill(0xff)],
      [Frame.Release, new Uint8Array([0xff, 0xff, 0xff, 0xff, 0x0f])],
      // A call with 2^60 references.
      [
        Frame.Call,
        new Uint8Array([1, 0, 1, 65, 0, ...new Array(8).fill(0xff), 0x0f]),
      ],
    ];
    for (const [kind, body] of frames) {
      using insider = await Insider.enter(served);
      await insider.frame(kind, body);
      await closedBy(insider.conn);
    }
    using early = await Insider.enter(served, { hello: false });
    await early.frame(Frame.Call, new Uint8Array(3));
    await closedBy(early.conn);
    const { refused } = await served.manager.status();
    assertEquals(refused.protocol, frames.length + 1);
  });
});

Deno.test("Manager answers arguments that cannot be decoded by an error", async () => {
  await besieged(async (served) => {
    using insider = await Insider.enter(served);
    // A million lists in each other; a list of ten million; 2^60 of them; a
    // handle that is none; bytes that are no value.
    const nested = new Uint8Array(2_000_000);
    for (let i = 0; i < nested.length; i += 2) nested.set([10, 1], i);
    const many = new ByteWriter();
    many.u8(10);
    many.varint(10_000_000);
    many.raw(new Uint8Array(10_000_000).fill(0x80));
    const values = [
      nested,
      many.take(),
      new Uint8Array([10, ...new Array(7).fill(0xff), 0x0f]),
      new Uint8Array([10, 1, 21, 5]),
      new Uint8Array([99]),
      new Uint8Array(),
      encode("no list").bytes,
    ];
    for (const value of values) await insider.call(0, "getQueue", value);
    await until(
      async () =>
        (await served.manager.status()).refused.value === values.length,
      "all are refused",
    );
    // The line is still good.
    await insider.call(0, "getQueue", encode([]).bytes);
    await until(
      async () => (await served.manager.status()).guests.length === 3,
      "the insider is a guest",
    );
    // Whoever sends all that is in this process, too.
  }, 150 * MIB);
});

Deno.test("Manager shares no method that is private, unknown or a prototype's", async () => {
  await besieged(async (served) => {
    using insider = await Insider.enter(served);
    const names = [
      "__proto__",
      "constructor",
      "hasOwnProperty",
      "toString",
      "valueOf",
      "__defineGetter__",
      "then",
      "toJSON",
      "_private",
      "#gate",
      "call",
      "stop",
      "status",
      "",
      "x".repeat(10_000),
    ];
    for (const name of names) {
      for (const object of [0, 1]) {
        await insider.call(object, name, encode([]).bytes);
      }
    }
    await until(
      async () =>
        (await served.manager.status()).refused.call === 2 * names.length,
      "all are refused",
    );
  });
});

Deno.test("Manager takes names of prototypes in values for what they are", async () => {
  const queue = new Queue<unknown>();
  await using served = await Served.start({ getQueue: () => queue });
  const far: RemoteQueue<unknown> = await (await served.connect()).getQueue();
  const hostile = JSON.parse(
    '{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}',
  );
  await far.put(hostile);
  const got = await far.get() as Record<string, unknown>;
  assertEquals(Object.keys(got), ["__proto__", "constructor"]);
  assertEquals(Object.getPrototypeOf(got), Object.prototype);
  assertEquals(({} as { polluted?: unknown }).polluted, undefined);
});

Deno.test("Manager messages are bounded by maxMessage and maxValues", async () => {
  await using served = await Served.start(
    { getQueue: () => new Queue() },
    { maxMessage: 10_000, maxValues: 100 },
  );
  const queue = await (await served.connect()).getQueue();
  await assertRejects(() => queue.put("x".repeat(20_000)), RangeError, "10000");
  await assertRejects(
    () => queue.put(new Array(200).fill(1)),
    SerializationError,
    "100",
  );
  await queue.put(new Array(50).fill(1));
});

Deno.test("Manager with TLS refuses those without, and the reverse", async () => {
  await using served = await Served.start({ getQueue: () => new Queue() }, {
    address: "localhost:0",
    tls: SERVER_TLS,
  });
  const { port } = served.manager.address as TcpAddress;
  const address = { hostname: "localhost", port };
  const plain = new Manager({ address, authkey: KEY });
  const error = await plain.connect({ timeout: 5000 }).catch((error) => error);
  assertInstanceOf(error, Error);
  await plain.shutdown();
  const client = await served.connect({ address, tls: CLIENT_TLS });
  const queue = await client.getQueue();
  await queue.put(1);
  assertEquals(await queue.get(), 1);
  // The certificate has to be of a root that is known, and of the host's name.
  for (
    const options of [
      { address, tls: {} },
      { address: { hostname: "127.0.0.1", port }, tls: CLIENT_TLS },
    ]
  ) {
    const stranger = new Manager({ ...options, authkey: KEY });
    await assertRejects(() => stranger.connect(), AuthenticationError, "TLS");
    await stranger.shutdown();
  }
  await using open = await Served.start();
  const tls = new Manager({
    address: {
      hostname: "localhost",
      port: (open.manager.address as TcpAddress).port,
    },
    authkey: KEY,
    tls: CLIENT_TLS,
  });
  await assertRejects(() => tls.connect({ timeout: 5000 }));
  await tls.shutdown();
});

Deno.test("Manager says its key nowhere", async () => {
  await using served = await Served.start({
    fail: () => {
      throw new Error("no");
    },
  });
  const client = await served.connect();
  const wrong = new Manager({ address: served.manager.address, authkey: "x" });
  const errors = [
    await client.fail().catch((error: unknown) => error),
    await wrong.connect().catch((error: unknown) => error),
  ];
  await wrong.shutdown();
  const all = [served.manager, client, await client.status(), ...errors];
  for (const one of all) {
    assert(!Deno.inspect(one, { depth: 10, showHidden: true }).includes(KEY));
  }
});
