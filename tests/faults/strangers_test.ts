// Copyright 2026 the multitask authors. MIT license.
// Whoever is no child of a parent, and connects to its socket, is dropped.

import { assert, assertEquals } from "@std/assert";
import { deadline } from "@std/async";
import { Program } from "./_program.ts";
import {
  connect,
  listeningSockets,
  type Socket,
  wayThrough,
} from "./_sockets.ts";
import { type Way, WAYS } from "./_ways.ts";

const ignore = Deno.build.os !== "linux";

/** A hello is a role and a token of 32 bytes. */
const HELLO_SIZE = 33;

/** More than any queue of connections takes. */
const MANY = 300;

/** Longer than being dropped takes, even on a busy machine. */
const BOUND = 20_000;

/** Strangers who are connected. */
class Strangers implements Disposable {
  readonly #socket: Socket;
  readonly #connections: Deno.Conn[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  async enter(): Promise<Deno.Conn> {
    const connection = await connect(this.#socket);
    this.#connections.push(connection);
    return connection;
  }

  /** Says something, all of it unless the other side has gone. */
  async say(bytes: Uint8Array): Promise<Deno.Conn> {
    const connection = await this.enter();
    try {
      for (let rest = bytes; rest.length > 0;) {
        rest = rest.subarray(await connection.write(rest));
      }
    } catch {
      // It is dropped already.
    }
    return connection;
  }

  /** Comes and goes. */
  async pass(bytes: Uint8Array): Promise<void> {
    const connection = await this.say(bytes);
    this.#connections.splice(this.#connections.indexOf(connection), 1);
    connection.close();
  }

  [Symbol.dispose](): void {
    for (const connection of this.#connections) connection.close();
  }
}

/** Waits until the other side has dropped the connection; it says nothing. */
async function assertDropped(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(64);
  let said: number | null;
  try {
    said = await deadline(connection.read(buffer), BOUND);
  } catch (error) {
    // It went while there was something it had not read.
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
    said = null;
  }
  assertEquals(said, null);
}

function hello(role: number, byte: number): Uint8Array {
  const bytes = new Uint8Array(HELLO_SIZE).fill(byte);
  bytes[0] = role;
  return bytes;
}

async function start(way: Way): Promise<[Program, Socket]> {
  const program = new Program("hosts", { flags: WAYS[way], args: [way] });
  try {
    await program.line("up");
    const sockets = listeningSockets(program.pid);
    assertEquals(sockets.map(wayThrough), [way]);
    return [program, sockets[0]!];
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
}

/** The parent goes on, with its old child and a new one, and ends. */
async function assertUnmoved(program: Program): Promise<void> {
  program.kill("SIGUSR1");
  assertEquals(await program.report("first"), 2);
  assertEquals(await program.report("first again"), { value: 4 });
  assertEquals(await program.report("second"), {
    value: null,
    answer: { value: 6 },
  });
  assertEquals(await program.report("exits"), [0, 0]);
  const { stderr } = await program.success();
  assertEquals(stderr, "");
}

for (const way of ["abstract", "port", "directory"] as const) {
  Deno.test({
    name: `strangers without the token are dropped (${way} way)`,
    ignore,
    async fn() {
      const [started, socket] = await start(way);
      await using program = started;
      using strangers = new Strangers(socket);
      // Those who come and go.
      await strangers.pass(new Uint8Array(0));
      await strangers.pass(new Uint8Array([1]));
      await strangers.pass(hello(1, 0).subarray(1));
      await strangers.pass(hello(1, 0xff));
      // Those who stay until they are dropped.
      const dropped = [
        hello(1, 0),
        hello(2, 0),
        hello(0, 0xff),
        hello(0xff, 0xff),
        crypto.getRandomValues(new Uint8Array(HELLO_SIZE)),
        crypto.getRandomValues(new Uint8Array(0x10000)),
        new Uint8Array(4 << 20).fill(1),
        new TextEncoder().encode(
          "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n",
        ),
      ];
      const connections = dropped.map((bytes) => strangers.say(bytes));
      for (const connection of connections) {
        await assertDropped(await connection);
      }
      await assertUnmoved(program);
    },
  });

  Deno.test({
    name: `strangers who say nothing, or half of it, hold nothing up ` +
      `(${way} way)`,
    ignore,
    async fn() {
      const [started, socket] = await start(way);
      await using program = started;
      using strangers = new Strangers(socket);
      const connections = [
        await strangers.enter(),
        await strangers.say(new Uint8Array([1])),
        await strangers.say(hello(2, 7).subarray(1)),
      ];
      await assertUnmoved(program);
      for (const connection of connections) await assertDropped(connection);
    },
  });

  Deno.test({
    name: `${MANY} strangers at a time keep no child out (${way} way)`,
    ignore,
    async fn() {
      const [started, socket] = await start(way);
      await using program = started;
      using strangers = new Strangers(socket);
      for (let i = 0; i < MANY; i++) await strangers.enter();
      await assertUnmoved(program);
    },
  });
}

Deno.test({
  name: "nobody else may enter the directory of a socket",
  ignore,
  async fn() {
    const [started, socket] = await start("directory");
    await using program = started;
    assert(socket.kind === "unix");
    const directory = socket.path.slice(0, socket.path.lastIndexOf("/"));
    assertEquals(Deno.statSync(directory).mode! & 0o777, 0o700);
    await assertUnmoved(program);
  },
});
