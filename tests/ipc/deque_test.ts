// Copyright 2026 the multitask authors. MIT license.

import { assertEquals, assertStrictEquals } from "@std/assert";
import { Deque } from "../../ipc/_deque.ts";
import { seeded } from "./_random.ts";

Deno.test("Deque.shift() gives items in the order of push", () => {
  const deque = new Deque<number>();
  for (let i = 0; i < 1000; i++) deque.push(i);

  assertEquals(deque.length, 1000);
  assertEquals(deque.peek(), 0);
  for (let i = 0; i < 1000; i++) assertEquals(deque.shift(), i);
  assertEquals(deque.length, 0);
});

Deno.test("Deque.unshift() puts items before all others", () => {
  const deque = new Deque<string>();
  deque.push("c");
  deque.unshift("b");
  deque.unshift("a");

  assertEquals([...deque], ["a", "b", "c"]);
  assertEquals(deque.peek(), "a");
});

Deno.test("Deque.shift() and peek() give undefined when it is empty", () => {
  const deque = new Deque<number>();
  assertStrictEquals(deque.shift(), undefined);
  assertStrictEquals(deque.peek(), undefined);

  deque.push(1);
  deque.shift();

  assertStrictEquals(deque.shift(), undefined);
  assertEquals(deque.length, 0);
});

Deno.test("Deque counts undefined as an item", () => {
  const deque = new Deque<undefined>();
  deque.push(undefined);

  assertEquals(deque.length, 1);
  assertEquals([...deque], [undefined]);
});

Deno.test("Deque.remove() takes out only the first item that fits", () => {
  const deque = new Deque<number>();
  for (const item of [1, 2, 3, 2]) deque.push(item);

  assertEquals(deque.remove((item) => item === 2), 2);
  assertEquals([...deque], [1, 3, 2]);
  assertStrictEquals(deque.remove((item) => item === 9), undefined);
  assertEquals([...deque], [1, 3, 2]);
});

Deno.test("Deque does as an array does, whatever is done to it", async () => {
  await seeded((random) => {
    const deque = new Deque<number>();
    const model: number[] = [];
    // Long runs of one kind make it grow and shrink over several sizes.
    let filling = true;
    for (let step = 0; step < 20_000; step++) {
      if (random.oneIn(150)) filling = !filling;
      const grow = random.below(10) < (filling ? 8 : 2);
      if (grow && random.oneIn(3)) {
        deque.unshift(step);
        model.unshift(step);
      } else if (grow) {
        deque.push(step);
        model.push(step);
      } else if (random.oneIn(20) && model.length > 0) {
        const item = random.pick(model);
        assertEquals(deque.remove((other) => other === item), item);
        model.splice(model.indexOf(item), 1);
      } else {
        assertStrictEquals(deque.peek(), model[0]);
        assertStrictEquals(deque.shift(), model.shift());
      }
      assertEquals(deque.length, model.length);
      if (random.oneIn(100)) assertEquals([...deque], model);
    }
    assertEquals([...deque], model);
  });
});
