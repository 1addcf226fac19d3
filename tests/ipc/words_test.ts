// Copyright 2026 the multitask authors. MIT license.

import { assertEquals, assertStrictEquals } from "@std/assert";
import { SharedWords } from "../../ipc/_words.ts";
import { bounded } from "./_waits.ts";
import { WordsThread } from "./_words_thread.ts";

Deno.test("SharedWords starts with zeros and stores 32-bit integers", () => {
  const words = new SharedWords(3);
  assertEquals(words.buffer.byteLength, 12);
  for (const value of [0, 1, -1, 0x7fffffff, -0x80000000]) {
    words.store(1, value);
    assertEquals(words.load(1), value);
  }
  words.store(1, 0xffffffff);
  assertEquals(words.load(1), -1);
  assertEquals([words.load(0), words.load(2)], [0, 0]);
});

Deno.test("SharedWords.add() gives the old value and wraps", () => {
  const words = new SharedWords(1);
  assertEquals(words.add(0, 5), 0);
  assertEquals(words.add(0, -7), 5);
  assertEquals(words.load(0), -2);
  words.store(0, 0x7fffffff);
  assertEquals(words.add(0, 1), 0x7fffffff);
  assertEquals(words.load(0), -0x80000000);
});

Deno.test("SharedWords.compareExchange() stores only over the expected value", () => {
  const words = new SharedWords(1);
  assertEquals(words.compareExchange(0, 0, 1), 0);
  assertEquals(words.compareExchange(0, 0, 2), 1);
  assertEquals(words.load(0), 1);
  assertEquals(words.compareExchange(0, 1, -1), 1);
  assertEquals(words.load(0), -1);
});

Deno.test("SharedWords over the same buffer are the same words", () => {
  const words = new SharedWords(2);
  const same = new SharedWords(words.buffer);
  same.store(1, 42);
  assertEquals(words.load(1), 42);
  assertStrictEquals(same.buffer, words.buffer);
});

Deno.test("SharedWords.wait() tells why it did not wait on", () => {
  const words = new SharedWords(1);
  assertEquals(words.wait(0, 1, 10_000), "not-equal");
  assertEquals(words.wait(0, 0, 0), "timed-out");
  assertEquals(words.wait(0, 0, 1), "timed-out");
});

Deno.test("SharedWords.waitAsync() tells why it did not wait on", async () => {
  const words = new SharedWords(1);
  assertEquals(await bounded(words.waitAsync(0, 1, 10_000)), "not-equal");
  assertEquals(await bounded(words.waitAsync(0, 0, 0)), "timed-out");
  assertEquals(await bounded(words.waitAsync(0, 0, 1)), "timed-out");
});

Deno.test("SharedWords.notify() wakes as many waits as it says", async () => {
  const words = new SharedWords(2);
  assertEquals(words.notify(0, 1), 0);
  const waits = [0, 0, 0, 1].map((index) => words.waitAsync(index, 0, 10_000));
  assertEquals(words.notify(0, 2), 2);
  assertEquals(await bounded(Promise.all(waits.slice(0, 2))), ["ok", "ok"]);
  assertEquals(words.notify(0, Infinity), 1);
  assertEquals(words.notify(1, Infinity), 1);
  assertEquals(await bounded(Promise.all(waits)), ["ok", "ok", "ok", "ok"]);
});

Deno.test("SharedWords.wait() blocks a thread until another notifies it", async () => {
  using thread = new WordsThread();
  const words = new SharedWords(2);
  thread.start({
    kind: "wait",
    buffer: words.buffer,
    index: 0,
    value: 0,
    started: 1,
  });
  const ended = thread.message();
  await bounded(words.waitAsync(1, 0, 20_000));
  words.store(0, 1);
  // It waits, or it comes to the wait and finds the new value.
  const woken = words.notify(0, 1);
  assertEquals(await ended, woken === 1 ? "ok" : "not-equal");
});

Deno.test("SharedWords.waitAsync() wakes when a thread notifies", async () => {
  using thread = new WordsThread();
  const words = new SharedWords(2);
  const woken = words.waitAsync(1, 0, 20_000);
  thread.start({
    kind: "wait",
    buffer: words.buffer,
    index: 0,
    value: 1,
    started: 1,
  });
  assertEquals(await thread.message(), "not-equal");
  assertEquals(await bounded(woken), "ok");
});

Deno.test("SharedWords.add() loses nothing between threads", async () => {
  using first = new WordsThread();
  using second = new WordsThread();
  const { buffer } = new SharedWords(2);
  const words = new SharedWords(buffer);
  const times = 100_000;
  for (const thread of [first, second]) {
    thread.start({ kind: "add", buffer, index: 0, go: 1, times });
  }
  words.store(1, 1);
  words.notify(1, Infinity);
  for (let i = 0; i < times; i++) words.add(0, 1);
  await Promise.all([first.message(), second.message()]);
  assertEquals(words.load(0), 3 * times);
});
