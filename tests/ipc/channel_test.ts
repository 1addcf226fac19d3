// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertNotStrictEquals,
  assertStrictEquals,
} from "@std/assert";
import { Channel, kept } from "../../ipc/_channel.ts";
import { concat, FakeStream } from "./_fake_stream.ts";
import { type Random, seeded } from "./_random.ts";
import { assertPending, bounded, turn } from "./_waits.ts";

interface Frame {
  kind: number;
  body: Uint8Array;
}

/** A channel over a fake stream, and what it reports. */
class Side {
  readonly stream = new FakeStream();
  readonly frames: Frame[] = [];
  readonly ends: (Error | undefined)[] = [];
  onFrame: ((frame: Frame) => void) | undefined;
  readonly channel = new Channel(this.stream, {
    frame: (kind, body) => {
      this.frames.push({ kind, body: kept(body) });
      this.onFrame?.({ kind, body });
    },
    end: (error) => void this.ends.push(error),
  });

  /** Hands a frame to the channel. */
  send({ kind, body }: Frame): void {
    this.channel.begin(kind).raw(body);
    this.channel.commit();
  }

  /** Reads what is fed, to the end. */
  async readAll(...parts: Uint8Array[]): Promise<void> {
    const run = this.channel.run();
    for (const part of parts) {
      this.stream.feed(part);
      // The channel sees each part by itself.
      await Promise.resolve();
      await Promise.resolve();
    }
    this.stream.end();
    await bounded(run);
  }
}

function frame(kind: number, size = 3): Frame {
  return {
    kind,
    body: new Uint8Array(size).map((_, i) => (i * 31 + kind) & 0xff),
  };
}

/** A frame as it crosses. */
function bytesOf({ kind, body }: Frame): Uint8Array {
  const bytes = new Uint8Array(body.length + 5);
  new DataView(bytes.buffer).setUint32(0, body.length + 1, true);
  bytes[4] = kind;
  bytes.set(body, 5);
  return bytes;
}

function assertFrames(actual: readonly Frame[], expected: readonly Frame[]) {
  assertEquals(actual.map(({ kind }) => kind), expected.map((f) => f.kind));
  actual.forEach(({ body }, index) => {
    const wanted = expected[index]!.body;
    assertEquals(body.length, wanted.length);
    assert(body.every((byte, i) => byte === wanted[i]), `frame ${index}`);
  });
}

const READ_SIZE = 0x10000;

// ---- Reading ----

Deno.test("Channel.run() finds the frames wherever the stream is cut", async () => {
  const frames = [frame(1, 0), frame(2, 1), frame(255, 7), frame(0, 3)];
  const bytes = concat(frames.map(bytesOf));
  for (let cut = 0; cut <= bytes.length; cut++) {
    const side = new Side();
    await side.readAll(bytes.subarray(0, cut), bytes.subarray(cut));
    assertFrames(side.frames, frames);
    assertEquals(side.channel.received, 4);
    assertEquals(side.ends, [undefined]);
  }
});

Deno.test("Channel.run() finds the frames in single bytes", async () => {
  const frames = [frame(1, 0), frame(2, 300), frame(3, 2)];
  const bytes = concat(frames.map(bytesOf));
  const side = new Side();
  await side.readAll(...Array.from(bytes, (byte) => new Uint8Array([byte])));
  assertFrames(side.frames, frames);
});

Deno.test("Channel.run() finds large frames among small ones", async () => {
  const frames: Frame[] = [];
  // Around the size of the read buffer, and far beyond.
  for (const size of [READ_SIZE, 2 * READ_SIZE]) {
    for (let off = -7; off <= 2; off++) {
      frames.push(frame(frames.length, size + off), frame(99, off + 7));
    }
  }
  frames.push(frame(7, 3_000_000), frame(8, 1));
  const bytes = concat(frames.map(bytesOf));
  for (const size of [bytes.length, 100_000, READ_SIZE, 40_001]) {
    const side = new Side();
    const parts: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      parts.push(bytes.subarray(at, at + size));
    }
    await side.readAll(...parts);
    assertFrames(side.frames, frames);
  }
});

/** Random sizes, most of them small. */
function randomSize(random: Random): number {
  if (random.oneIn(10)) return random.below(3 * READ_SIZE);
  if (random.oneIn(10)) return READ_SIZE - 10 + random.below(12);
  return random.below(2000);
}

Deno.test("Channel.run() finds any frames in any parts", async () => {
  await seeded(async (random) => {
    for (let round = 0; round < 20; round++) {
      const frames = Array.from(
        { length: random.below(40) },
        () => frame(random.below(256), randomSize(random)),
      );
      const bytes = concat(frames.map(bytesOf));
      const parts: Uint8Array[] = [];
      for (let at = 0; at < bytes.length;) {
        const size = randomSize(random);
        parts.push(bytes.subarray(at, at + size));
        at += size;
      }
      const side = new Side();
      await side.readAll(...parts);
      assertFrames(side.frames, frames);
    }
  });
});

Deno.test("kept() copies a small body and keeps a large one", async () => {
  for (const size of [0, 10, READ_SIZE - 5, READ_SIZE - 4, 200_000]) {
    const side = new Side();
    let body: Uint8Array | undefined;
    side.onFrame = (frame) => body ??= frame.body;
    await side.readAll(bytesOf(frame(1, size)), bytesOf(frame(2, 5)));
    const copy = side.frames[0]!.body;
    if (size + 5 > READ_SIZE) {
      assertStrictEquals(copy, body);
      // Nothing else is kept with it.
      assertEquals(copy.buffer.byteLength, size + 5);
    } else {
      assertNotStrictEquals(copy.buffer, body!.buffer);
      // Small ones share a small buffer.
      assert(copy.buffer.byteLength <= Math.max(size, 2048));
    }
  }
});

Deno.test("Channel.run() reports the end once, also within a frame", async () => {
  const bytes = bytesOf(frame(1, 10));
  for (let length = 0; length < bytes.length; length++) {
    const side = new Side();
    await side.readAll(bytes.subarray(0, length));
    assertEquals(side.frames, []);
    assertEquals(side.ends.length, 1);
    assert(side.channel.closed);
    assertEquals(side.stream.closed, 1);
  }
});

Deno.test("Channel.run() reports the error of a read", async () => {
  const failure = new Error("connection reset");
  for (const thrown of [failure, "a text"]) {
    const side = new Side();
    const run = side.channel.run();
    side.stream.feed(bytesOf(frame(1)));
    await turn();
    side.stream.fail(thrown);
    await bounded(run);
    assertFrames(side.frames, [frame(1)]);
    assertEquals(side.ends.length, 1);
    assertInstanceOf(side.ends[0], Error);
    if (thrown === failure) assertStrictEquals(side.ends[0], failure);
    else assertEquals(side.ends[0].message, "a text");
    assert(side.channel.closed);
  }
});

Deno.test("Channel.run() ends on a length that no frame has", async () => {
  for (const length of [0, 0x7fffff01, 0x80000000, 0xffffffff]) {
    const side = new Side();
    const bytes = new Uint8Array(20);
    new DataView(bytes.buffer).setUint32(0, length, true);
    await side.readAll(bytesOf(frame(1)), bytes);
    assertFrames(side.frames, [frame(1)]);
    assertEquals(side.ends.length, 1);
    assertInstanceOf(side.ends[0], RangeError);
    assert(side.channel.closed);
    assertEquals(side.stream.closed, 1);
  }
});

Deno.test("Channel.run() reports an error of whoever takes the frame", async () => {
  const side = new Side();
  const failure = new Error("bad frame");
  side.onFrame = () => {
    throw failure;
  };
  await side.readAll(concat([bytesOf(frame(1)), bytesOf(frame(2))]));
  assertEquals(side.frames.length, 1);
  assertEquals(side.ends.length, 1);
  assertStrictEquals(side.ends[0], failure);
});

Deno.test("Channel.run() gives random bytes an end, whatever they are", async () => {
  await seeded(async (random) => {
    for (let round = 0; round < 100; round++) {
      const side = new Side();
      // Small ones: a length of gigabytes would be honoured.
      const bytes = random.bytes(random.below(500)).map((byte) => byte % 3);
      await side.readAll(bytes);
      assertEquals(side.ends.length, 1);
    }
  });
});

// ---- Closing ----

Deno.test("Channel.close() ends the reading without an error", async () => {
  const side = new Side();
  const run = side.channel.run();
  await assertPending(run);
  side.channel.close();
  side.channel.close();
  await bounded(run);
  assert(side.channel.closed);
  assertEquals(side.stream.closed, 1);
  assertEquals(side.ends, [undefined]);
});

Deno.test("Channel.close() passes no more frames on", async () => {
  const side = new Side();
  side.onFrame = () => side.channel.close();
  await side.readAll(concat([bytesOf(frame(1)), bytesOf(frame(2))]));
  assertFrames(side.frames, [frame(1)]);
});

Deno.test("Channel.close() within a frame is reported as an end, too", async () => {
  const side = new Side();
  side.onFrame = () => side.channel.close();
  await side.readAll(bytesOf(frame(1)));
  assertEquals(side.ends, [undefined]);
});

Deno.test("Channel.close() survives a stream that cannot be closed", () => {
  const side = new Side();
  side.stream.closed = 1;
  side.channel.close();
  assert(side.channel.closed);
});

Deno.test("Channel.commit() drops frames once the channel is closed", async () => {
  const side = new Side();
  side.channel.close();
  side.send(frame(1));
  await bounded(side.channel.flushed());
  assertEquals(side.stream.writes, []);
});

// ---- Writing ----

Deno.test("Channel.commit() writes a frame as length, kind and body", async () => {
  const side = new Side();
  side.send(frame(7, 3));
  await bounded(side.channel.flushed());
  assertEquals(side.stream.written, bytesOf(frame(7, 3)));
});

Deno.test("Channel.commit() sends the frames of a turn in one write", async () => {
  const side = new Side();
  const frames = [frame(1), frame(2, 0), frame(3, 100_000)];
  for (const each of frames) side.send(each);
  await bounded(side.channel.flushed());
  assertEquals(side.stream.writes.length, 1);
  side.send(frame(4));
  await bounded(side.channel.flushed());
  assertEquals(side.stream.writes.length, 2);
  assertEquals(
    side.stream.written,
    concat([...frames, frame(4)].map(bytesOf)),
  );
});

Deno.test("Channel.commit() gathers frames while a write is under way", async () => {
  const side = new Side();
  side.stream.hold();
  side.send(frame(1));
  await turn();
  side.send(frame(2));
  await turn();
  side.send(frame(3));
  assertEquals(side.stream.writes, []);
  side.stream.letGo();
  await bounded(side.channel.flushed());
  assertEquals(side.stream.writes, [
    bytesOf(frame(1)),
    concat([bytesOf(frame(2)), bytesOf(frame(3))]),
  ]);
});

Deno.test("Channel.commit() goes on after a write of a part", async () => {
  const side = new Side();
  side.stream.maxWrite = 3;
  const frames = [frame(1), frame(2, 20), frame(3)];
  for (const each of frames) side.send(each);
  await bounded(side.channel.flushed());
  assertEquals(side.stream.written, concat(frames.map(bytesOf)));
});

Deno.test("Channel.flushed() waits for the writes under way", async () => {
  const side = new Side();
  await bounded(side.channel.flushed());
  side.stream.hold();
  side.send(frame(1));
  const flushed = side.channel.flushed();
  await assertPending(flushed);
  side.stream.letGo();
  await bounded(flushed);
  assertEquals(side.stream.written, bytesOf(frame(1)));
});

Deno.test("Channel.flushed() resolves when a write fails", async () => {
  const side = new Side();
  side.stream.failure = new Error("broken pipe");
  side.send(frame(1));
  await bounded(side.channel.flushed());
  side.send(frame(2));
  await bounded(side.channel.flushed());
  assertEquals(side.stream.writes, []);
});

Deno.test("Channel.flushed() resolves when the channel is closed", async () => {
  const side = new Side();
  side.stream.hold();
  side.send(frame(1));
  await turn();
  side.send(frame(2));
  const flushed = side.channel.flushed();
  side.channel.close();
  side.stream.letGo();
  await bounded(flushed);
  assertEquals(side.stream.written, bytesOf(frame(1)));
});

Deno.test("Channel.idle tells whether everything is written", async () => {
  const side = new Side();
  assert(side.channel.idle);
  side.stream.hold();
  side.send(frame(1));
  assertFalse(side.channel.idle);
  await turn();
  assertFalse(side.channel.idle);
  side.stream.letGo();
  await bounded(side.channel.flushed());
  assert(side.channel.idle);
});

Deno.test("Channel gets any frames across, however writes are cut", async () => {
  await seeded(async (random) => {
    for (let round = 0; round < 10; round++) {
      const [sender, receiver] = [new Side(), new Side()];
      sender.stream.maxWrite = random.pick([7, 1000, 70_000, Infinity]);
      const frames: Frame[] = [];
      for (let i = random.below(30); i > 0; i--) {
        const size = sender.stream.maxWrite === 7
          ? random.below(300)
          : randomSize(random);
        frames.push(frame(random.below(256), size));
        sender.send(frames.at(-1)!);
        if (random.oneIn(3)) await Promise.resolve();
        if (random.oneIn(6)) await sender.channel.flushed();
      }
      await bounded(sender.channel.flushed());
      await receiver.readAll(...sender.stream.writes);
      assertFrames(receiver.frames, frames);
    }
  });
});

// ---- Sending what is unsent another way ----

Deno.test("Channel.takeUnsent() has nothing when all is written", async () => {
  const side = new Side();
  assertEquals(side.channel.takeUnsent(), {
    after: 0,
    twice: 0,
    bytes: new Uint8Array(0),
  });
  side.send(frame(1));
  side.send(frame(2));
  await bounded(side.channel.flushed());
  assertEquals(side.channel.takeUnsent(), {
    after: 2,
    twice: 0,
    bytes: new Uint8Array(0),
  });
});

Deno.test("Channel.takeUnsent() takes out what is not being written", async () => {
  const side = new Side();
  side.send(frame(1));
  await bounded(side.channel.flushed());
  side.send(frame(2));
  side.send(frame(3));
  assertEquals(side.channel.takeUnsent(), {
    after: 1,
    twice: 0,
    bytes: concat([bytesOf(frame(2)), bytesOf(frame(3))]),
  });
  await bounded(side.channel.flushed());
  assertEquals(side.stream.written, bytesOf(frame(1)));
  side.send(frame(4));
  await bounded(side.channel.flushed());
  assertEquals(
    side.stream.written,
    concat([bytesOf(frame(1)), bytesOf(frame(4))]),
  );
  assertEquals(side.channel.takeUnsent().after, 2);
});

Deno.test("Channel.takeUnsent() says what may arrive twice", async () => {
  const side = new Side();
  side.stream.hold();
  side.send(frame(1));
  side.send(frame(2));
  await turn();
  side.send(frame(3));
  assertEquals(side.channel.takeUnsent(), {
    after: 0,
    twice: 2,
    bytes: concat([bytesOf(frame(1)), bytesOf(frame(2)), bytesOf(frame(3))]),
  });
  // Once is enough, also of what is still being written.
  assert(side.channel.idle);
  assertEquals(side.channel.takeUnsent(), {
    after: 0,
    twice: 0,
    bytes: new Uint8Array(0),
  });
  side.stream.letGo();
  await bounded(side.channel.flushed());
  assertEquals(side.stream.writes.length, 1);
  assertEquals(side.channel.takeUnsent().after, 2);
});

Deno.test("Channel.skip() passes over frames that came another way", async () => {
  const side = new Side();
  side.channel.skip(1);
  side.channel.skip(1);
  await side.readAll(concat([1, 2, 3].map((kind) => bytesOf(frame(kind)))));
  assertFrames(side.frames, [frame(3)]);
  assertEquals(side.channel.received, 3);
});

Deno.test("Channel.deliver() passes frames on as if they had arrived", () => {
  const side = new Side();
  const frames = [frame(1), frame(2, 0), frame(3, 100_000)];
  side.channel.deliver(concat(frames.map(bytesOf)), 0);
  assertFrames(side.frames, frames);
  assertEquals(side.channel.received, 0);
  side.channel.deliver(concat(frames.map(bytesOf)), 2);
  assertFrames(side.frames, [...frames, frame(3, 100_000)]);
  side.channel.deliver(new Uint8Array(0), 0);
  assertEquals(side.frames.length, 4);
});

Deno.test("Channel frames that go two ways arrive once and in order", async () => {
  // However much of the write under way has arrived when the rest comes.
  for (let arrived = 0; arrived <= 3; arrived++) {
    for (const before of [0, 2]) {
      const [sender, receiver] = [new Side(), new Side()];
      const frames = [1, 2, 3, 4, 5, 6, 7].map((kind) => frame(kind, kind));
      const run = receiver.channel.run();
      for (const each of frames.slice(0, before)) sender.send(each);
      await bounded(sender.channel.flushed());
      sender.stream.hold();
      for (const each of frames.slice(before, before + 3)) sender.send(each);
      await turn();
      for (const each of frames.slice(before + 3)) sender.send(each);
      const { after, twice, bytes } = sender.channel.takeUnsent();
      assertEquals([after, twice], [before, 3]);

      const first = frames.slice(0, before + arrived).map(bytesOf);
      const late = frames.slice(before + arrived, before + 3).map(bytesOf);
      receiver.stream.feed(concat(first));
      await turn();
      assertEquals(receiver.channel.received, before + arrived);
      receiver.channel.skip(twice - arrived);
      receiver.channel.deliver(bytes, arrived);
      receiver.stream.feed(concat(late));
      receiver.stream.feed(bytesOf(frame(8)));
      receiver.stream.end();
      await bounded(run);
      assertFrames(receiver.frames, [...frames, frame(8)]);
      sender.stream.letGo();
      await bounded(sender.channel.flushed());
    }
  }
});
