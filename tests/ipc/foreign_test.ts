// Copyright 2026 the multitask authors. MIT license.
// What is not as it should be: foreign objects, handles of what is gone, and a
// process below that says nonsense. Whoever asks gets an error of a type, and
// the owner goes on.

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { ByteReader, ByteWriter } from "../../ipc/_bytes.ts";
import { handle, parts } from "../../ipc/_codec.ts";
import { homes } from "../../ipc/_homes.ts";
import { hub } from "../../ipc/_hub.ts";
import { Frame, Link } from "../../ipc/_link.ts";
import { mappingObstacle } from "../../ipc/_mapped_words.ts";
import {
  NO_PACKET,
  type Packet,
  readPacket,
  type Ref,
  writePacket,
} from "../../ipc/_packet.ts";
import { HandleNumber, Status } from "../../ipc/_shared_object.ts";
import {
  BoundedSemaphore,
  ClosedError,
  Condition,
  ConnectionClosedError,
  Event,
  type Home,
  Lock,
  PriorityQueue,
  ProcessExitError,
  Queue,
  Semaphore,
  SerializationError,
  SharedArray,
  Value,
} from "../../ipc/mod.ts";
import { inviteThread, type ThreadLink } from "../../ipc/_thread_link.ts";
import { Process } from "../../process/mod.ts";
import { processTest } from "../process/_run.ts";
import { FakeStream } from "./_fake_stream.ts";
import { type Random, seeded } from "./_random.ts";
import * as tasks from "./fixtures/foreign_tasks.ts";
import type { Order } from "./fixtures/foreign_thread.ts";
import { assertPending, bounded, reasonOf, turn } from "./_waits.ts";

const HOMES: readonly Home[] = mappingObstacle() === undefined
  ? ["shared", "mapped"]
  : ["shared"];

/** One of each class, and something to do with it that may wait. */
const KINDS: Record<
  string,
  (home: Home) => { object: Disposable; use: () => Promise<unknown> }
> = tasks.KINDS;

// ---- Foreign objects ----

Deno.test("Queue.put() refuses what only looks like a shared object", async () => {
  using queue = new Queue();
  using lock = new Lock();
  using value = new Value("i32", 0);
  const copied = (object: object) =>
    Object.defineProperties(
      {},
      {
        ...Object.getOwnPropertyDescriptors(object),
        ...Object.getOwnPropertyDescriptors(Object.getPrototypeOf(object)),
      },
    );
  // Symbols do not cross, and methods neither: what arrives is a plain object.
  const plain: Record<string, unknown> = {
    "a copy of a lock": copied(lock),
    "a copy of a value": copied(value),
    "an object with the key": { [handle]: true },
    "parts of no class": { [parts]: [200, 1, 2] },
  };
  for (const [name, item] of Object.entries(plain)) {
    await queue.put(item);
    assertEquals(await queue.get(), {}, name);
  }
  const foreign: Record<string, unknown> = {
    "a lock that was never made": Object.create(Lock.prototype),
    "a value that was never made": Object.create(Value.prototype),
    "an array that was never made": Object.create(SharedArray.prototype),
    "a heir of a lock": Object.create(lock),
  };
  for (const [name, item] of Object.entries(foreign)) {
    const put = () => queue.put({ list: [item] });
    const error = await assertRejects(put, SerializationError, "", name);
    assertEquals(error.path, "item.list[0]", name);
  }
  assertEquals(queue.size, 0);
  await queue.put(lock);
  assertEquals(await queue.get(), lock);
});

Deno.test("Condition takes no lock that only looks like one", () => {
  for (const lock of [{ [handle]: true }, Object.create(Event.prototype)]) {
    assertThrows(() => new Condition(lock as Lock), TypeError);
  }
});

// ---- Handles of what is gone ----

for (const home of HOMES) {
  for (const [name, make] of Object.entries(KINDS)) {
    // To close them is to let go of them: who has them in an item keeps them.
    if (name === "Connection" || name === "SharedArray") continue;
    Deno.test(`${name} that is closed is closed for who gets it (${home})`, async () => {
      using queue = new Queue<Disposable>(0, { home });
      const before = make(home);
      await queue.put(before.object);
      before.object[Symbol.dispose]();
      await assertGone(await queue.get());
      // It is sent when it is closed already.
      const { object } = make(home);
      object[Symbol.dispose]();
      let got: Disposable;
      try {
        await queue.put(object);
        got = await queue.get();
      } catch (error) {
        // That is as good.
        assert(isTyped(error), Deno.inspect(error));
        return;
      }
      await assertGone(got);
    });
  }
}

/** Errors that say what is the matter. */
function isTyped(error: unknown): boolean {
  return error instanceof ClosedError || error instanceof ProcessExitError ||
    error instanceof ConnectionClosedError;
}

async function assertGone(object: Disposable): Promise<void> {
  const error = await reasonOf(tasks.use(object));
  assert(isTyped(error), Deno.inspect(error));
  object[Symbol.dispose]();
}

for (const home of HOMES) {
  processTest(
    `Every shared object tells that its owner has died (${home})`,
    async () => {
      const up = new Queue<Record<string, Disposable>>();
      const owner = new Process({ target: tasks.makeAll, args: [up, home] });
      owner.start();
      const objects = await bounded(up.get());
      // Some wait when it dies, all others come after it.
      // What was mapped stays: a view that is open outlives its owner.
      const { SharedArray: _, ...waited } = objects;
      const waits = Object.entries(waited).map(([name, object]) =>
        [name, reasonOf(tasks.waitOn(object))] as const
      );
      await assertPending(Promise.race(waits.map(([, wait]) => wait)));
      owner.kill();
      await owner.join();
      for (const [name, wait] of waits) {
        assertInstanceOf(await wait, ProcessExitError, name);
      }
      for (const [name, object] of Object.entries(objects)) {
        const error = await reasonOf(tasks.use(object));
        assertInstanceOf(error, ProcessExitError, name);
        assertEquals(error.signal, "SIGKILL", name);
        object[Symbol.dispose]();
        object[Symbol.dispose]();
      }
      await assertRejects(() => owner.result);
    },
  );
}

/** A thread that does as it is told, and is ended. */
class Thread implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #thread: ThreadLink;

  constructor(...order: Order) {
    const url = new URL("./fixtures/foreign_thread.ts", import.meta.url);
    this.#worker = new Worker(url, { type: "module" });
    this.#thread = inviteThread(this.#worker, () => {});
    this.#thread.link.sendControl(null, hub.pack(order));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#worker.terminate();
    await this.#thread.ended({
      name: "the thread",
      pid: Deno.pid,
      exitCode: null,
      signal: "SIGKILL",
    });
  }
}

for (const home of HOMES) {
  Deno.test({
    name: `Every shared object tells that its thread has ended (${home})`,
    // A worker that was terminated still has its message under way.
    sanitizeOps: false,
    async fn() {
      const up = new Queue<Record<string, Disposable>>(0, { home });
      let waits: (readonly [string, Promise<unknown>])[];
      let objects: Record<string, Disposable>;
      {
        await using _owner = new Thread("makeAll", up, home);
        objects = await bounded(up.get());
        const { SharedArray: _, ...waited } = objects;
        waits = Object.entries(waited).map(([name, object]) =>
          [name, reasonOf(tasks.waitOn(object))] as const
        );
        await assertPending(Promise.race(waits.map(([, wait]) => wait)));
      }
      for (const [name, wait] of waits) {
        assertInstanceOf(await wait, ProcessExitError, name);
      }
      for (const [name, object] of Object.entries(objects)) {
        // Memory of a thread is not taken away from others.
        if (name === "SharedArray") continue;
        const error = await reasonOf(tasks.use(object));
        assertInstanceOf(error, ProcessExitError, name);
        object[Symbol.dispose]();
      }
    },
  });
}

Deno.test({
  name: "SharedArray of one thread is seen by another as soon as it is there",
  sanitizeOps: false,
  async fn() {
    const count = 200;
    const home = "shared";
    const arrays = new Queue<SharedArray<"i32">>(0, { home });
    const found = new Queue<unknown>(0, { home });
    const taken = new Event({ home });
    await using _viewer = new Thread("viewArrays", arrays, found, count);
    await using _maker = new Thread("makeArrays", arrays, taken, count);
    const all: unknown[] = [];
    while (all.length < count) all.push(await bounded(found.get()));
    taken.set();
    assertEquals(all, Array.from({ length: count }, (_, i) => i));
  },
});

// ---- A process below that says nonsense ----

interface Answer {
  readonly kind: number;
  readonly body: ByteReader;
}

/** A child whose frames the test makes by hand. */
class Stranger implements Disposable {
  static #next = 90_000;
  readonly path = `${hub.path}.${Stranger.#next++}`;
  readonly link: Link;
  readonly #stream = new FakeStream();
  #read = 0;
  ended = false;
  controls = 0;
  #call = 1;

  constructor() {
    this.link = new Link(hub, this.path, false, this.#stream, {
      control: () => this.controls++,
      end: () => this.ended = true,
    });
    hub.addChild(this.link);
    this.link.channel.run();
  }

  /** Says bytes that are no frame, or any. */
  say(bytes: Uint8Array): void {
    this.#stream.feed(bytes);
  }

  frame(kind: number, write: (out: ByteWriter) => void): void {
    const out = new ByteWriter();
    out.u32(0);
    out.u8(kind);
    write(out);
    const length = out.pos - 4;
    const bytes = out.take().slice();
    new DataView(bytes.buffer).setUint32(0, length, true);
    this.say(bytes);
  }

  /** Asks for an operation; gives the number of the call. */
  call(
    id: number,
    { code, part = 0, number = 0, timeout = 0, packet = NO_PACKET, src }: {
      code: number;
      part?: number;
      number?: number;
      timeout?: number;
      packet?: Packet;
      src?: string;
    },
  ): number {
    const call = this.#call++;
    this.frame(Frame.Call, (out) => {
      out.text(hub.path);
      out.text(src ?? this.path);
      out.varint(call);
      out.varint(id);
      out.u8(part);
      out.u8(code);
      out.f64(timeout);
      out.f64(number);
      writePacket(out, packet);
    });
    return call;
  }

  cast(
    id: number,
    { code, part = 0, number = 0, packet = NO_PACKET, src }: {
      code: number;
      part?: number;
      number?: number;
      packet?: Packet;
      src?: string;
    },
  ): void {
    this.frame(Frame.Cast, (out) => {
      out.text(hub.path);
      out.text(src ?? this.path);
      out.varint(id);
      out.u8(part);
      out.u8(code);
      out.f64(number);
      writePacket(out, packet);
    });
  }

  /** What was answered since the last time. */
  async answers(): Promise<Answer[]> {
    await turn();
    await this.link.channel.flushed();
    const bytes = this.#stream.written;
    const answers: Answer[] = [];
    while (this.#read < bytes.length) {
      const view = new DataView(bytes.buffer, bytes.byteOffset + this.#read);
      const length = view.getUint32(0, true);
      const start = this.#read + 5;
      answers.push({
        kind: bytes[this.#read + 4]!,
        body: new ByteReader(bytes.subarray(start, start + length - 1)),
      });
      this.#read += 4 + length;
    }
    return answers;
  }

  /** The replies among the answers: status and error by call. */
  async replies(): Promise<Map<number, { status: number; error: unknown }>> {
    const replies = new Map<number, { status: number; error: unknown }>();
    for (const { kind, body } of await this.answers()) {
      if (kind !== Frame.Reply) continue;
      assertEquals(body.text(), this.path);
      const call = body.varint();
      const status = body.u8();
      body.f64();
      const packet = readPacket(body);
      assertFalse(replies.has(call), "A call was answered twice");
      replies.set(call, {
        status,
        error: status === Status.Failed ? hub.unpack(packet) : undefined,
      });
      if (status !== Status.Failed) hub.dropPacket(packet);
    }
    return replies;
  }

  [Symbol.dispose](): void {
    hub.childEnded(this.path, {
      name: "the stranger",
      pid: -1,
      exitCode: 1,
      signal: null,
    });
  }
}

/** The numbers under which others know the parts of an object. */
function idsOf(object: object): number[] {
  const { refs } = hub.pack(object);
  return refs.map(({ id }) => id);
}

/** What the engine says when nobody has checked. */
const UNCHECKED =
  /Cannot read prop|Cannot destructure|is not a function|not iterable|is undefined|Maximum call|out of bounds|offset is out|Cannot convert|Cannot mix/;

function assertTyped(error: unknown, what: unknown): void {
  assertInstanceOf(error, Error);
  assertFalse(
    UNCHECKED.test(error.message),
    `${error.name}: ${error.message} by ${Deno.inspect(what)}`,
  );
}

const NUMBERS = [0, 1, -1, 0.5, NaN, Infinity, -Infinity, 2 ** 31, 2 ** 53, -5];

function packets(random: Random): Packet[] {
  const bytes = (size: number) =>
    new Uint8Array(size).map(() => random.below(256));
  const bogus: Ref = {
    type: HandleNumber.Lock,
    owner: hub.path,
    id: 12345678,
    part: 0,
    lease: "nobody:1",
  };
  return [
    NO_PACKET,
    hub.pack(undefined),
    hub.pack([]),
    hub.pack([1n, {}]),
    hub.pack(["text", null]),
    hub.pack([0, -1, 2n ** 100n]),
    hub.pack([99, 1e9, NaN]),
    { bytes: bytes(3), refs: [] },
    { bytes: bytes(200), refs: [] },
    { bytes: new Uint8Array([255, 255, 255, 127, 1, 2]), refs: [] },
    { bytes: hub.pack(1).bytes, refs: [bogus, { ...bogus, type: 99 }] },
  ];
}

for (const home of HOMES) {
  for (const [name, make] of Object.entries(KINDS)) {
    Deno.test(`${name} answers every operation of a stranger (${home})`, async () => {
      await seeded(async (random) => {
        using stranger = new Stranger();
        const { object } = make(home);
        const ids = idsOf(object);
        const asked = new Map<number, unknown>();
        for (const id of ids) {
          for (let code = 0; code < 24; code++) {
            for (const [i, packet] of packets(random).entries()) {
              const part = [0, 1, 7][i % 3]!;
              const number = NUMBERS[(code + i) % NUMBERS.length]!;
              const what = { id, code, part, number, packet };
              asked.set(stranger.call(id, what), what);
              stranger.cast(id, what);
            }
          }
          const replies = await stranger.replies();
          for (const [call, what] of asked) {
            const reply = replies.get(call);
            assert(reply, `No answer to ${Deno.inspect(what)}`);
            if (reply.status === Status.Failed) assertTyped(reply.error, what);
          }
          asked.clear();
        }
        assertFalse(stranger.ended, "The stranger was cut off");
        // It can be closed, and others of its class work.
        object[Symbol.dispose]();
        const other = make(home);
        await bounded(tasks.use(other.object));
        other.object[Symbol.dispose]();
      });
    });
  }
}

Deno.test("Semaphore takes no count of a stranger that is none", async () => {
  for (const make of [() => new Semaphore(2), () => new BoundedSemaphore(2)]) {
    using stranger = new Stranger();
    using semaphore = make();
    const [id] = idsOf(semaphore);
    await semaphore.acquire();
    for (const number of [-1, -100, 0, 0.5, NaN, Infinity, -Infinity]) {
      stranger.call(id!, { code: 2, number });
      const [reply] = (await stranger.replies()).values();
      assertEquals(semaphore.value, 1, `after ${number}`);
      assertEquals(reply!.status, Status.Failed, `after ${number}`);
    }
  }
});

Deno.test("PriorityQueue takes no key of a stranger that is none", async () => {
  for (const home of HOMES) {
    using stranger = new Stranger();
    using queue = new PriorityQueue<[number, string]>(0, { home });
    const [id] = idsOf(queue);
    for (const length of [0xffffffff, 0x7fffffff, 1 << 20, 100]) {
      for (const code of [1, 3]) {
        const bytes = new Uint8Array(12);
        new DataView(bytes.buffer).setUint32(0, length, true);
        stranger.call(id!, { code, packet: { bytes, refs: [] } });
      }
    }
    stranger.call(id!, { code: 1, packet: NO_PACKET });
    for (const { status } of (await stranger.replies()).values()) {
      assertEquals(status, Status.Failed);
    }
    await queue.put([1, "good"]);
    assertEquals(await queue.get({ timeout: 0 }), [1, "good"]);
  }
});

Deno.test("Queue.get() says that a stranger's item cannot be decoded, and goes on", async () => {
  await seeded(async (random) => {
    using stranger = new Stranger();
    using queue = new Queue<unknown>();
    const [id] = idsOf(queue);
    const bad = [
      new Uint8Array(0),
      new Uint8Array([255, 255, 255]),
      new Uint8Array(2000).map(() => 200 + random.below(50)),
    ];
    for (const bytes of bad) {
      stranger.call(id!, { code: 1, packet: { bytes, refs: [] } });
    }
    await stranger.replies();
    await queue.put("good");
    for (let i = 0; i < bad.length; i++) {
      await assertRejects(() => queue.get({ timeout: 0 }), SerializationError);
    }
    assertEquals(await queue.get({ timeout: 0 }), "good");
  });
});

for (const home of HOMES) {
  Deno.test(`A handle of a stranger leads to no other memory (${home})`, async () => {
    using stranger = new Stranger();
    using queue = new Queue<unknown>(0, { home });
    using lock = new Lock({ home });
    const [id] = idsOf(queue);
    const { place } = hub.pack(lock).refs[0]!;
    const agent = home === "mapped" ? homes.mapped! : homes.shared;
    // A lock that lies within the lock: its generation is what stands there.
    const forged = [1, 7, 64 * 3 + 2, -1, 2 ** 40, 0].map((by) => {
      const at = place!.at + by;
      const generation = agent.int32[at + 1] ?? 0;
      return { home, at: Math.max(at, 0), generation: Math.max(generation, 0) };
    });
    // And one that says that it is of another class.
    const forgeries: Ref[] = forged.map((place, i) => ({
      type: HandleNumber.Lock,
      owner: stranger.path,
      id: 1000 + i,
      part: 0,
      lease: `${stranger.path}:${i}`,
      place,
    }));
    forgeries.push({
      type: HandleNumber.Semaphore,
      owner: stranger.path,
      id: 2000,
      part: 0,
      lease: `${stranger.path}:2000`,
      place: place!,
    });
    const memory = () =>
      agent.int32.slice(place!.at - 64, place!.at + 8 * 64).join();
    for (const ref of forgeries) {
      // The bytes of an item that is a handle.
      const { bytes, refs } = hub.pack(lock);
      hub.dropPacket({ bytes, refs });
      stranger.call(id!, { code: 1, packet: { bytes, refs: [ref] } });
      await stranger.replies();
      let got: Lock | Semaphore;
      try {
        got = await queue.get({ timeout: 0 }) as Lock;
      } catch (error) {
        assertTyped(error, ref); // It may be refused as well.
        continue;
      }
      const before = memory();
      const taken = got.acquire({ timeout: 0 }).then(
        (guard) => guard?.release(),
        (error) => assertTyped(error, ref),
      );
      await turn();
      assertEquals(memory(), before, Deno.inspect(ref.place));
      await stranger.replies();
      got.close();
      await Promise.race([taken, turn()]);
    }
    assertFalse(lock.locked);
  });
}

Deno.test("Nobody below speaks for others", async () => {
  using stranger = new Stranger();
  using other = new Stranger();
  using lock = new Lock({ home: "shared" });
  using queue = new Queue<string>(0, { home: "shared" });
  const [id] = idsOf(queue);
  const got = queue.get();
  // Answers to calls that were never put to it, for the owner and for others.
  for (let call = 0; call < 200; call++) {
    stranger.frame(Frame.Reply, (out) => {
      out.text(hub.path);
      out.varint(call);
      out.u8(Status.Done);
      out.f64(0);
      writePacket(out, hub.pack("forged"));
    });
  }
  await assertPending(got);
  // Calls in the name of the owner, whose answers would be taken for others.
  for (let call = 0; call < 200; call++) {
    stranger.frame(Frame.Call, (out) => {
      out.text(hub.path);
      out.text(hub.path);
      out.varint(call);
      out.varint(id!);
      out.u8(0);
      out.u8(5); // How many are there.
      out.f64(0);
      out.f64(0);
      writePacket(out, NO_PACKET);
    });
  }
  await assertPending(got);
  await queue.put("real");
  assertEquals(await bounded(got), "real");
  // A lock that another child holds.
  const [lockId] = idsOf(lock);
  other.call(lockId!, { code: 1 });
  await other.replies();
  assert(lock.locked);
  stranger.frame(Frame.Gone, (out) => {
    out.text(hub.path);
    out.text(other.path);
  });
  stranger.frame(Frame.Gone, (out) => {
    out.text(hub.path);
    out.text(hub.path);
  });
  await stranger.replies();
  assert(lock.locked);
});

Deno.test("Nobody below lets go of what others hold", async () => {
  using stranger = new Stranger();
  let queue: Queue<string> | undefined = new Queue(0, {
    home: "shared",
  });
  const holder = new Queue<Queue<string>>();
  await holder.put(queue!);
  const { id, lease } = hub.pack(queue!).refs[0]!;
  const number = Number(lease.split(":")[1]);
  for (let i = Math.max(0, number - 5); i <= number; i++) {
    stranger.frame(Frame.Drop, (out) => {
      out.text(hub.path);
      out.text(stranger.path);
      out.varint(id);
      out.u8(0);
      out.text(`${hub.path}:${i}`);
    });
  }
  await stranger.replies();
  queue = await holder.get();
  await queue.put("still there");
  assertEquals(await queue.get(), "still there");
  queue.close();
  holder.close();
});

Deno.test("A stranger that says no frames is cut off, and the owner goes on", async () => {
  await seeded(async (random) => {
    const bytes = (...values: number[]) => new Uint8Array(values);
    const frame = (kind: number, ...body: number[]) =>
      bytes(body.length + 1, 0, 0, 0, kind, ...body);
    const nonsense: Record<string, Uint8Array> = {
      "an empty frame": bytes(0, 0, 0, 0),
      "a frame of 4 GiB": bytes(255, 255, 255, 255, 1),
      "a frame of 2 GiB": bytes(1, 255, 255, 127, 1),
      "a call of nothing": frame(Frame.Call),
      "a text that is longer than the frame": frame(Frame.Call, 200, 65),
      "a length out of range": frame(
        Frame.Call,
        ...Array(12).fill(255),
      ),
      "a call that ends too early": frame(Frame.Call, 1, 48, 1, 48, 1, 1),
      "a reply that ends too early": frame(Frame.Reply, 1, 48, 1),
      "more handles than there are": frame(
        Frame.Cast,
        ...[1, 48, 1, 48, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        ...[255, 255, 255, 127],
      ),
      "anything": new Uint8Array(5000).map(() => random.below(256)),
    };
    for (const [name, said] of Object.entries(nonsense)) {
      using stranger = new Stranger();
      stranger.say(said);
      await stranger.answers();
      const lock = new Lock();
      // What is cut off is so at once; of what has not come, nothing is known.
      const isWhole = name !== "a frame of 2 GiB" && name !== "anything";
      if (isWhole) assert(stranger.ended, name);
      const guard = await lock.acquire();
      guard.release();
      lock.close();
    }
  });
});

Deno.test("Frames of no kind, and to nowhere, are left alone", async () => {
  using stranger = new Stranger();
  using lock = new Lock();
  const [id] = idsOf(lock);
  for (const kind of [0, 13, 20, 31, 33, 100, 255]) {
    stranger.frame(kind, (out) => {
      out.text(hub.path);
      out.text("what?");
    });
  }
  const ways = [
    "",
    ".",
    "0.",
    "1",
    "0.77",
    `${stranger.path}.5`,
    "x".repeat(99),
  ];
  for (const to of ways) {
    for (const kind of Object.values(Frame)) {
      if (kind === Frame.Control) continue;
      stranger.frame(kind, (out) => {
        out.text(to);
        out.text(stranger.path);
        out.varint(1);
        out.varint(1);
        for (let i = 0; i < 20; i++) out.u8(0);
      });
    }
  }
  await stranger.answers();
  assertFalse(stranger.ended);
  // It is still served.
  const call = stranger.call(id!, { code: 3 });
  assertEquals((await stranger.replies()).get(call)?.status, Status.Done);
});

Deno.test("Operations on no object are errors of a type", async () => {
  using stranger = new Stranger();
  const calls = [0, 999_999, 2 ** 52].map((id) =>
    stranger.call(id, { code: 1, timeout: -1 })
  );
  stranger.cast(999_999, { code: 1 });
  const replies = await stranger.replies();
  for (const call of calls) {
    assertInstanceOf(replies.get(call)?.error, ClosedError);
  }
});
