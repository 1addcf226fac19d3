// Copyright 2026 the multitask authors. MIT license.

import { assert, assertEquals, assertFalse } from "@std/assert";
import { WAIT_QUEUE_WORDS, WaitQueue } from "../../ipc/_wait_queue.ts";
import { SharedWords } from "../../ipc/_words.ts";
import { seeded } from "./_random.ts";
import { WordsThread } from "./_words_thread.ts";

/** Far more than fits into the ring. */
const MANY = 50;

/** A wait queue whose waiters write down what becomes of them. */
class Line {
  readonly words: SharedWords;
  readonly queue: WaitQueue;
  readonly log: string[] = [];
  readonly leave = new Map<number, () => void>();

  constructor(words = new SharedWords(WAIT_QUEUE_WORDS), base = 0) {
    this.words = words;
    this.queue = new WaitQueue(words, base);
  }

  add(...names: number[]): void {
    for (const name of names) {
      const leave = this.queue.push({
        turn: () => this.log.push(`turn ${name}`),
        fail: (error) => this.log.push(`fail ${name}: ${error.message}`),
      });
      this.leave.set(name, leave);
    }
  }

  /** Gives all their turns; their names in that order. */
  drain(): number[] {
    const from = this.log.length;
    while (this.queue.shift());
    return this.log.slice(from).map((line) => Number(line.split(" ")[1]));
  }
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

Deno.test("WaitQueue.shift() serves first come, first served", () => {
  const line = new Line();
  line.add(1, 2, 3);
  assertEquals(line.queue.size, 3);
  assert(line.queue.shift());
  assertEquals(line.log, ["turn 1"]);
  line.add(4);
  assertEquals(line.drain(), [2, 3, 4]);
  assertEquals(line.queue.size, 0);
  assertFalse(line.queue.shift());
});

Deno.test("WaitQueue keeps the order of more than the ring holds", () => {
  const line = new Line();
  for (let round = 0; round < 3; round++) {
    line.add(...upTo(MANY));
    assertEquals(line.queue.size, MANY);
    assertEquals(line.drain(), upTo(MANY));
  }
});

Deno.test("WaitQueue.peek() gives the first and leaves it there", () => {
  const queue = new WaitQueue(new SharedWords(WAIT_QUEUE_WORDS), 0);
  assertEquals(queue.peek(), undefined);
  const waiters = upTo(MANY).map(() => ({ turn: () => {}, fail: () => {} }));
  const leave = waiters.map((waiter) => queue.push(waiter));
  assertEquals(queue.peek(), waiters[0]);
  assertEquals(queue.size, MANY);
  leave[0]!();
  leave[2]!();
  assertEquals(queue.peek(), waiters[1]);
  queue.shift();
  assertEquals(queue.peek(), waiters[3]);
});

Deno.test("WaitQueue lets anybody leave from any place", () => {
  for (let place = 0; place < MANY; place++) {
    const line = new Line();
    line.add(...upTo(MANY));
    line.leave.get(place)!();
    assertEquals(line.queue.size, MANY - 1);
    line.add(MANY);
    assertEquals(
      line.drain(),
      upTo(MANY + 1).filter((name) => name !== place),
    );
  }
});

Deno.test("WaitQueue serves those behind gaps, however many there are", () => {
  for (const keep of [0, 7, 15, 16, 17, 31, 32, MANY - 1]) {
    const line = new Line();
    line.add(...upTo(MANY));
    for (const name of upTo(MANY)) {
      if (name !== keep) line.leave.get(name)!();
    }
    assertEquals(line.queue.size, 1);
    line.add(MANY);
    assertEquals(line.drain(), [keep, MANY]);
  }
});

Deno.test("WaitQueue is empty when all have left, from the back", () => {
  const line = new Line();
  line.add(...upTo(MANY));
  for (const name of upTo(MANY).reverse()) line.leave.get(name)!();
  assertEquals(line.queue.size, 0);
  assertFalse(line.queue.shift());
  line.add(1);
  assertEquals(line.drain(), [1]);
  assertEquals(line.log, ["turn 1"]);
});

Deno.test("WaitQueue.push() gives a way to leave that works once", () => {
  const line = new Line();
  line.add(1, 2, 3);
  line.leave.get(2)!();
  line.leave.get(2)!();
  line.queue.shift();
  line.leave.get(1)!();
  assertEquals(line.queue.size, 1);
  assertEquals(line.drain(), [3]);
  line.leave.get(3)!();
  assertEquals(line.queue.size, 0);
});

Deno.test("WaitQueue.failAll() ends every wait, in order", () => {
  const line = new Line();
  line.add(...upTo(MANY));
  line.leave.get(3)!();
  line.queue.failAll(new Error("over"));
  assertEquals(
    line.log,
    upTo(MANY).filter((name) => name !== 3).map((name) => `fail ${name}: over`),
  );
  assertEquals(line.queue.size, 0);
  line.add(1);
  assertEquals(line.drain(), [1]);
});

Deno.test("WaitQueue.failAll() does nothing when nobody waits", () => {
  const line = new Line();
  line.queue.failAll(new Error("over"));
  assertEquals(line.log, []);
});

Deno.test("WaitQueue.failAll() spares those who come while it is called", () => {
  const queue = new WaitQueue(new SharedWords(WAIT_QUEUE_WORDS), 0);
  const log: string[] = [];
  const waiter = (name: string, again: boolean) => ({
    turn: () => void log.push(`turn ${name}`),
    fail: () => {
      log.push(`fail ${name}`);
      if (again) queue.push(waiter(`${name}'`, false));
    },
  });
  queue.push(waiter("a", true));
  queue.push(waiter("b", true));
  queue.failAll(new Error("over"));
  assertEquals(log, ["fail a", "fail b"]);
  assertEquals(queue.size, 2);
  while (queue.shift());
  assertEquals(log.slice(2), ["turn a'", "turn b'"]);
});

Deno.test("WaitQueue lets a waiter leave while another has its turn", () => {
  const queue = new WaitQueue(new SharedWords(WAIT_QUEUE_WORDS), 0);
  const log: string[] = [];
  const fail = () => void log.push("fail");
  queue.push({ turn: () => leave(), fail });
  const leave = queue.push({ turn: () => void log.push("left"), fail });
  queue.push({ turn: () => void log.push("third"), fail });
  assert(queue.shift());
  assertEquals(queue.size, 1);
  assert(queue.shift());
  assertEquals(log, ["third"]);
});

Deno.test("WaitQueue stays within its words", () => {
  const base = 3;
  const words = new SharedWords(base + WAIT_QUEUE_WORDS + 2);
  const outside = [
    0,
    1,
    2,
    base + WAIT_QUEUE_WORDS,
    base + WAIT_QUEUE_WORDS + 1,
  ];
  for (const index of outside) words.store(index, 77);
  const line = new Line(words, base);
  line.add(...upTo(MANY));
  line.leave.get(5)!();
  assertEquals(line.drain().length, MANY - 1);
  for (const index of outside) assertEquals(words.load(index), 77);
});

Deno.test("WaitQueue goes on when its positions start anew", () => {
  for (const position of [0x7fffffff - 5, -0x80000000, -5]) {
    const words = new SharedWords(WAIT_QUEUE_WORDS);
    // The words of head and tail.
    words.store(1, position);
    words.store(2, position);
    const line = new Line(words);
    for (let round = 0; round < 3; round++) {
      line.add(...upTo(20));
      line.leave.get(4)!();
      line.leave.get(18)!();
      assertEquals(
        line.drain(),
        upTo(20).filter((name) => name !== 4 && name !== 18),
      );
    }
  }
});

Deno.test("WaitQueue waits for a thread that changes the same queue", async () => {
  using thread = new WordsThread();
  const line = new Line();
  // As if the other thread were in the middle of a change.
  line.words.store(0, 1);
  thread.start({ kind: "unlock", buffer: line.words.buffer, index: 0 });
  assertEquals(await thread.message(), "ready");
  const done = thread.message();
  line.add(1);
  assertEquals(await done, "done");
  assertEquals(line.drain(), [1]);
  assertEquals(line.words.load(0), 0);
});

Deno.test("WaitQueue does as an array does, whatever is done to it", async () => {
  await seeded((random) => {
    for (let round = 0; round < 30; round++) {
      const line = new Line();
      let model: number[] = [];
      const expected: string[] = [];
      const most = random.pick([3, 16, 17, 40, 100]);
      let next = 0;
      for (let step = 0; step < 600; step++) {
        const action = random.below(model.length < most ? 12 : 6);
        if (action >= 6) {
          model.push(next);
          line.add(next++);
        } else if (action >= 3 && model.length > 0) {
          // Often the first or the last, which are the special places.
          const place = random.pick([
            0,
            model.length - 1,
            random.below(model.length),
          ]);
          line.leave.get(model[place]!)!();
          model.splice(place, 1);
        } else if (action === 2 && random.oneIn(20)) {
          line.queue.failAll(new Error("over"));
          expected.push(...model.map((name) => `fail ${name}: over`));
          model = [];
        } else {
          assertEquals(line.queue.shift(), model.length > 0);
          const name = model.shift();
          if (name !== undefined) expected.push(`turn ${name}`);
        }
        assertEquals(line.queue.size, model.length);
      }
      assertEquals(line.drain(), model);
      expected.push(...model.map((name) => `turn ${name}`));
      assertEquals(line.log, expected);
    }
  });
});
