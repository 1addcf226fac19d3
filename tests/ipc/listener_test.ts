// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import type { TcpAddress } from "../../ipc/_address.ts";
import { liveResources } from "../../ipc/_live.ts";
import type { WaitOptions } from "../../ipc/_options.ts";
import { Client } from "../../ipc/client.ts";
import type { Connection } from "../../ipc/connection.ts";
import {
  AuthenticationError,
  ClosedError,
  ConnectionClosedError,
  TimeoutError,
} from "../../ipc/errors.ts";
import { Listener, type ListenerOptions } from "../../ipc/listener.ts";
import {
  addressFor,
  CLIENT_TLS,
  KEY,
  Rejects,
  SERVER_TLS,
  Stranger,
} from "./_connected.ts";
import {
  assertPending,
  bounded,
  CountedAbort,
  reasonOf,
  turn,
} from "./_waits.ts";

/** Longer than what is read ahead and what the system holds. */
const MUCH = new Uint8Array(1 << 16);

async function closeAll(
  ...connections: AsyncDisposable[]
): Promise<void> {
  await bounded(
    Promise.all(connections.map((each) => each[Symbol.asyncDispose]())),
  );
}

/** Waits for what is closed in the background. */
async function untilNothingIsOpen(): Promise<void> {
  for (let i = 0; i < 1000 && liveResources().length > 0; i++) await turn();
  assertEquals(liveResources(), []);
}

// ---- Address ----

Deno.test("Listener() listens at any free port of this machine by default", async () => {
  using first = new Listener();
  using second = new Listener({ address: ":0" });
  for (const { address } of [first, second]) {
    const { hostname, port } = address as TcpAddress;
    assertEquals(hostname, "127.0.0.1");
    assert(port > 0);
  }
  assertNotEquals(first.address, second.address);
  assertEquals(first.lastAccepted, undefined);
  // An address that is taken.
  assertThrows(
    () => new Listener({ address: first.address }),
    Deno.errors.AddrInUse,
    "Cannot listen on ",
  );
  await turn();
});

Deno.test("Listener.lastAccepted is where the last connection comes from", async () => {
  using listener = new Listener();
  using peer = await Stranger.at(listener);
  await peer.shakeHands();
  const connection = await bounded(listener.accept());
  const { hostname, port } = peer.conn.localAddr;
  assertEquals(listener.lastAccepted, { hostname, port });
  peer.conn.closeWrite();
  await closeAll(connection);
});

Deno.test("Listener() at a Unix socket removes its file when it is closed", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/socket`;
  const listener = new Listener({ address: { path } });
  assertEquals(listener.address, { path });
  assert((await Deno.stat(path)).isSocket);
  assertThrows(
    () => new Listener({ address: { path } }),
    Deno.errors.AddrInUse,
  );
  const client = await bounded(Client({ path }));
  const server = await bounded(listener.accept());
  assertEquals(listener.lastAccepted, undefined);
  listener.close();
  await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
  // Connections go on.
  await client.send(1);
  assertEquals(await bounded(server.recv()), 1);
  await closeAll(client, server);
  using again = new Listener({ address: { path } });
  // Somebody else has removed it.
  await Deno.remove(path);
  again.close();
  await Deno.remove(directory);
});

Deno.test({
  name: "Listener() listens at a name without a file",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const path = `\0multitask-test-${crypto.randomUUID()}`;
    using listener = new Listener({ address: { path } });
    const client = await bounded(Client(listener.address));
    const server = await bounded(listener.accept());
    await closeAll(client, server);
  },
});

// ---- Accept ----

Deno.test("Listener.accept() gives connections in order, first come, first served", async () => {
  using listener = new Listener<number>();
  const accepts = [listener.accept(), listener.accept()];
  await assertPending(accepts[0]!);
  const clients = [];
  for (let n = 0; n < 4; n++) {
    const client = await bounded(Client<number>(listener.address));
    await client.send(n);
    clients.push(client);
  }
  const servers = [
    ...await bounded(Promise.all(accepts)),
    await bounded(listener.accept()),
    await bounded(listener.accept()),
  ];
  for (const [n, server] of servers.entries()) {
    assertEquals(await bounded(server.recv()), n);
  }
  await closeAll(...clients, ...servers);
});

Deno.test("Listener.accept() takes nothing when aborted or out of time", async () => {
  using listener = new Listener();
  const abort = new CountedAbort();
  const { signal } = abort;
  const aborted = listener.accept({ signal });
  const patient = listener.accept({ signal: new AbortController().signal });
  assertEquals(abort.listeners, 1);
  abort.abort();
  assertStrictEquals(await reasonOf(aborted), abort.reason);
  assertStrictEquals(
    await reasonOf(listener.accept({ signal })),
    abort.reason,
  );
  assertEquals(abort.listeners, 0);
  for (const timeout of [0, 1]) {
    await assertRejects(
      () => bounded(listener.accept({ timeout })),
      TimeoutError,
      `in ${timeout} ms`,
    );
  }
  const client = await bounded(Client(listener.address));
  await closeAll(client, await bounded(patient));
});

Deno.test("Listener.accept() in time leaves no timer and no listener behind", async () => {
  using listener = new Listener();
  const abort = new CountedAbort();
  const accept = listener.accept({ timeout: 1e8, signal: abort.signal });
  const client = await bounded(Client(listener.address));
  const server = await bounded(accept);
  assertEquals(abort.listeners, 0);
  // What is there needs no time.
  const other = await bounded(Client(listener.address));
  await turn();
  const another = await bounded(listener.accept());
  await closeAll(client, server, other, another);
});

Deno.test("Listener gives connections until it is closed", async () => {
  const listener = new Listener();
  const clients = [];
  for (let i = 0; i < 3; i++) {
    clients.push(await bounded(Client(listener.address)));
  }
  const servers: AsyncDisposable[] = [];
  const loop = (async () => {
    for await (const connection of listener) servers.push(connection);
  })();
  while (servers.length < 3) await turn();
  await assertPending(loop);
  listener.close();
  await bounded(loop);
  for await (const _ of listener) assert(false);
  await closeAll(...clients, ...servers);
});

// ---- Strangers ----

Deno.test("Listener.accept() is not held up by who says nothing", async () => {
  const rejects = new Rejects();
  using listener = new Listener({
    authkey: KEY,
    handshakeTimeout: 50,
    onReject: rejects.onReject,
  });
  using silent = await Stranger.at(listener);
  using halfway = await Stranger.at(listener);
  await halfway.write(new TextEncoder().encode("multi"));
  const client = await bounded(Client(listener.address, { authkey: KEY }));
  const server = await bounded(listener.accept());
  const errors = await rejects.until(2);
  for (const error of errors) {
    assertInstanceOf(error, TimeoutError);
    assertMatch(error.message, /^Cannot accept: .*handshake within 50 ms/);
  }
  for (const stranger of [silent, halfway]) {
    assertEquals(await stranger.readAll(), 0);
    const { hostname, port } = stranger.conn.localAddr;
    assert(
      rejects.addresses.some((address) =>
        JSON.stringify(address) === JSON.stringify({ hostname, port })
      ),
    );
  }
  await closeAll(client, server);
});

Deno.test("Listener.accept() goes on after whoever does not belong here", async () => {
  const rejects = new Rejects();
  using listener = new Listener({ authkey: KEY, onReject: rejects.onReject });
  const accept = listener.accept();
  const text = (text: string) => new TextEncoder().encode(text);
  const garbage = [
    text("GET / HTTP/1.1\r\n\r\n"),
    text("\x16\x03\x01"),
    new Uint8Array(1),
    new Uint8Array(1 << 20).fill(0xff),
    text("multitask\x07"),
  ];
  for (const [index, bytes] of garbage.entries()) {
    using stranger = await Stranger.at(listener);
    // The listener may close before it has read everything.
    await stranger.write(bytes).catch(() => {});
    const [error] = (await rejects.until(index + 1)).slice(-1);
    assertInstanceOf(error, AuthenticationError);
    await stranger.readAll();
  }
  {
    using stranger = await Stranger.at(listener);
    await stranger.write(text("multi"));
  }
  const [left] = (await rejects.until(garbage.length + 1)).slice(-1);
  assertInstanceOf(left, ConnectionClosedError);
  using wrong = await Stranger.at(listener);
  await assertRejects(
    () => wrong.shakeHands("client", "wrong"),
    AuthenticationError,
  );
  await rejects.until(garbage.length + 2);
  await assertPending(accept);
  const client = await bounded(Client(listener.address, { authkey: KEY }));
  await closeAll(client, await bounded(accept));
});

Deno.test("Listener takes no more of a stranger than its hello", async () => {
  const rejects = new Rejects();
  using listener = new Listener({ authkey: KEY, onReject: rejects.onReject });
  using stranger = await Stranger.at(listener);
  const flood = (async () => {
    // A good start, and then as much as it is let.
    await stranger.write(new TextEncoder().encode("multitask\x01\x01\x01"));
    for (let i = 0; i < 1000; i++) await stranger.write(MUCH);
  })();
  const [error] = await rejects.until(1);
  assertInstanceOf(error, AuthenticationError);
  await bounded(flood.then(() => assert(false, "all was taken"), () => {}));
});

Deno.test("Listener drops the oldest of too many strangers", async () => {
  const rejects = new Rejects();
  using listener = new Listener({ authkey: KEY, onReject: rejects.onReject });
  const strangers = [];
  for (let i = 0; i < 140; i++) strangers.push(await Stranger.at(listener));
  const client = await bounded(Client(listener.address, { authkey: KEY }));
  const server = await bounded(listener.accept());
  // 128 may be there at a time; the client was the last of 141.
  for (const error of await rejects.until(13)) {
    assertInstanceOf(error, ConnectionClosedError);
    assertMatch(error.message, /^Cannot accept: 128 others came/);
  }
  assertEquals(rejects.errors.length, 13);
  assertEquals(await strangers[0]!.readAll(), 0);
  assertEquals(await strangers[12]!.readAll(), 0);
  await assertPending(strangers[13]!.conn.read(new Uint8Array(1)));
  await closeAll(client, server);
  listener.close();
  for (const stranger of strangers) await stranger.readAll();
  for (const stranger of strangers) stranger.conn.close();
  // Whoever is there when it is closed is not reported.
  assertEquals(rejects.errors.length, 13);
});

Deno.test("Listener closes connections that are too many to wait for accept()", async () => {
  const rejects = new Rejects();
  using listener = new Listener({ backlog: 2, onReject: rejects.onReject });
  const clients: Connection[] = [];
  for (let i = 0; i < 3; i++) clients.push(await Client(listener.address));
  const [error] = await rejects.until(1);
  assertInstanceOf(error, ConnectionClosedError);
  assertMatch(error.message, /^Cannot accept: 2 others wait for accept\(\)/);
  await assertRejects(
    () => bounded(clients[2]!.recv()),
    ConnectionClosedError,
  );
  const servers = [
    await bounded(listener.accept()),
    await bounded(listener.accept()),
  ];
  await servers[1]!.send("still good");
  assertEquals(await bounded(clients[1]!.recv()), "still good");
  const last = await bounded(Client(listener.address));
  await closeAll(...clients, ...servers, last, await listener.accept());
});

// ---- Close ----

Deno.test("Listener.close() ends the waits, and what was not accepted", async () => {
  const rejects = new Rejects();
  const listener = new Listener({ onReject: rejects.onReject });
  const waiting = await bounded(Client(listener.address));
  const server = await bounded(listener.accept());
  const accepts = [listener.accept(), listener.accept({ timeout: 1e8 })];
  listener.close();
  for (const accept of accepts) {
    const error = await reasonOf(accept);
    assertInstanceOf(error, ClosedError);
    assertMatch(error.message, /^Cannot accept: the listener is closed$/);
  }
  for (const options of [{}, { timeout: 0 }]) {
    assertInstanceOf(
      await reasonOf(listener.accept(options)),
      ClosedError,
    );
  }
  listener.close();
  listener[Symbol.dispose]();
  await closeAll(waiting, server);
  await assertRejects(
    () => bounded(Client(listener.address)),
    Deno.errors.ConnectionRefused,
  );

  const other = new Listener({ onReject: rejects.onReject });
  const unaccepted = await bounded(Client(other.address));
  using stranger = await Stranger.at(other);
  other.close();
  await assertRejects(
    () => bounded(unaccepted.recv()),
    ConnectionClosedError,
  );
  assertEquals(await stranger.readAll(), 0);
  await closeAll(unaccepted);
  assertEquals(rejects.errors, []);
  await untilNothingIsOpen();
});

Deno.test("Listener can be awaited until its address is free again", async () => {
  let address;
  {
    await using listener = new Listener();
    address = listener.address;
    const accept = reasonOf(listener.accept());
    await bounded(listener[Symbol.asyncDispose]());
    assertInstanceOf(await accept, ClosedError);
  }
  for (let i = 0; i < 10; i++) {
    await using again = new Listener({ address });
    const client = await bounded(Client(again.address));
    await closeAll(client, await bounded(again.accept()));
  }
});

Deno.test("Listener.close() leaves nothing of a handshake that is under way", async () => {
  for (let turns = 0; turns < 6; turns++) {
    const listener = new Listener({ authkey: KEY });
    const attempt = Client(listener.address, { authkey: KEY }).then(
      closeAll,
      (error) => {
        assert(
          error instanceof ConnectionClosedError ||
            error instanceof Deno.errors.ConnectionRefused ||
            error instanceof Deno.errors.ConnectionReset,
          `${error}`,
        );
      },
    );
    for (let i = 0; i < turns; i++) await turn();
    listener.close();
    await bounded(attempt);
    await untilNothingIsOpen();
  }
});

// ---- Options ----

Deno.test("Listener() refuses bad options without an effect", async () => {
  const cases: [unknown, typeof TypeError | typeof RangeError][] = [
    [5, TypeError],
    [null, TypeError],
    [{ address: 5000 }, TypeError],
    [{ address: "localhost" }, TypeError],
    [{ address: "localhost:70000" }, RangeError],
    [{ authkey: "" }, RangeError],
    [{ authkey: new Uint8Array() }, RangeError],
    [{ authkey: 5 }, TypeError],
    [{ backlog: 0 }, RangeError],
    [{ backlog: "5" }, TypeError],
    [{ maxMessage: 0 }, RangeError],
    [{ maxMessage: 1.5 }, RangeError],
    [{ maxMessage: 2 ** 31 }, RangeError],
    [{ handshakeTimeout: Infinity }, RangeError],
    [{ handshakeTimeout: "5" }, TypeError],
    [{ onReject: {} }, TypeError],
    [{ tls: true }, TypeError],
    [{ tls: {} }, TypeError],
    [{ tls: SERVER_TLS, address: { path: "/tmp/socket" } }, TypeError],
  ];
  for (const [options, type] of cases) {
    assertThrows(
      () => new Listener(options as ListenerOptions),
      type,
      "Cannot listen: ",
    );
  }
  assertThrows(
    () => new Listener({ tls: { cert: "no certificate", key: "no key" } }),
    Deno.errors.InvalidData,
    'Cannot listen on "127.0.0.1:0": ',
  );
  assertEquals(liveResources(), []);
  using listener = new Listener();
  for (const options of [{ timeout: -1 }, { timeout: NaN }]) {
    await assertRejects(() => listener.accept(options), RangeError);
  }
  for (const options of [5, null, { timeout: "1" }, { signal: {} }]) {
    await assertRejects(
      () => listener.accept(options as WaitOptions),
      TypeError,
    );
  }
});

Deno.test("Listener() does not open itself to the network without a protection", async () => {
  const address = "0.0.0.0:0";
  const error = assertThrows(() => new Listener({ address }), TypeError);
  assertMatch(error.message, /"0.0.0.0:0" leads over the network; give "tls"/);
  for (
    const options of [{ authkey: KEY }, { tls: SERVER_TLS }, { insecure: true }]
  ) {
    using _listener = new Listener({ address, ...options });
  }
  await turn();
});

Deno.test("Listener() shows its key to nobody", async () => {
  const authkey = "hunter2";
  const rejects = new Rejects();
  using listener = new Listener({ authkey, onReject: rejects.onReject });
  await assertRejects(
    () => bounded(Client(listener.address, { authkey: "hunter3" })),
    AuthenticationError,
  );
  const client = await bounded(Client(listener.address, { authkey }));
  const server = await bounded(listener.accept());
  const seen = Deno.inspect(
    [listener, client, server, await rejects.until(1), liveResources()],
    { depth: 20, showHidden: true },
  );
  assertFalse(seen.includes("hunter"));
  await closeAll(client, server);
});

// ---- TLS ----

Deno.test("Listener() with TLS is not held up by who does not shake hands", async () => {
  const rejects = new Rejects();
  using listener = new Listener({
    address: "localhost:0",
    tls: SERVER_TLS,
    handshakeTimeout: 100,
    onReject: rejects.onReject,
  });
  using _silent = await Stranger.at(listener);
  const client = await bounded(
    Client(addressFor(listener, true), { tls: CLIENT_TLS }),
  );
  const server = await bounded(listener.accept());
  assertInstanceOf((await rejects.until(1))[0], TimeoutError);
  await closeAll(client, server);
});

// ---- In programs of their own ----

function start(name: string, flags: string[], args: string[] = []) {
  const program = new URL(`./fixtures/${name}`, import.meta.url).href;
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-prompt", ...flags, program, ...args],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

/** Runs a program; gives what it has written. */
async function run(...program: Parameters<typeof start>): Promise<string> {
  const child = start(...program);
  const output = child.output();
  try {
    const { code, stdout } = await bounded(output);
    assertEquals(code, 0);
    return new TextDecoder().decode(stdout).trim();
  } catch (error) {
    child.kill("SIGKILL");
    await output;
    throw error;
  }
}

Deno.test("Listener does not keep the program alive, nor do its connections", async () => {
  assertEquals(await run("idle_listener.ts", ["-A"]), "idle\nclosing");
});

Deno.test("Listener.accept() keeps the program alive", async () => {
  const child = start("waiting_listener.ts", ["-A"]);
  const reader = child.stdout.getReader();
  const { value } = await bounded(reader.read());
  const address = JSON.parse(new TextDecoder().decode(value));
  const client = await bounded(Client<string>(address));
  await client.send("hello");
  assertEquals(await bounded(client.recv()), "hello");
  assertEquals((await bounded(child.status)).code, 0);
  await assertRejects(() => bounded(client.recv()), ConnectionClosedError);
  await closeAll(client);
  await reader.cancel();
});

Deno.test("Connection.recv() sees the end of a client that is killed while it sends", async () => {
  using listener = new Listener<Uint32Array>();
  const address = JSON.stringify(listener.address);
  const child = start("endless_client.ts", ["-A"], [address]);
  await using connection = await bounded(listener.accept());
  let number = 0;
  const receive = async () => {
    const message = await bounded(connection.recv());
    assert(message.every((item) => item === number));
    number++;
  };
  for (let i = 0; i < 20; i++) await receive();
  child.kill("SIGKILL");
  await assertRejects(async () => {
    while (true) await receive();
  }, ConnectionClosedError);
  await assertRejects(
    () => connection.send(new Uint32Array(1)),
    ConnectionClosedError,
  );
  await child.stdout.cancel();
  await bounded(child.status);
});

Deno.test("Listener() and Client() name the flag they need, and need no more", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/socket`;
  using port = new Listener();
  using file = new Listener({ address: { path } });
  const cases = [
    ["listen", { hostname: "127.0.0.1", port: 0 }],
    ["listen", { path: `${path}2` }],
    ["connect", port.address],
    ["connect", file.address],
  ] as const;
  for (const [what, address] of cases) {
    const args = [what, JSON.stringify(address)];
    const flag = await run("needs_permission.ts", [], args);
    assertMatch(flag, /^--allow-/);
    const result = await run("needs_permission.ts", flag.split(" "), args);
    assertEquals(result, "good");
  }
  for (const listener of [port, file]) {
    await closeAll(await bounded(listener.accept()));
    listener.close();
  }
  await Deno.remove(directory);
});
