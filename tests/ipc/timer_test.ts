// Copyright 2026 the multitask authors. MIT license.

import { assertEquals } from "@std/assert";
import { startTimer } from "../../ipc/_timer.ts";
import { bounded, turn } from "./_waits.ts";

Deno.test("startTimer() calls once when the time is over", async () => {
  for (const ms of [0, 1]) {
    let calls = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    startTimer(() => {
      calls++;
      resolve();
    }, ms);
    assertEquals(calls, 0);
    await bounded(promise);
    await turn();
    assertEquals(calls, 1);
  }
});

Deno.test("startTimer() gives how to stop it", async () => {
  let calls = 0;
  const stop = startTimer(() => calls++, 0);
  stop();
  stop();
  await turn();
  await turn();
  assertEquals(calls, 0);
});

Deno.test("startTimer() does not end a long time at once", async () => {
  const lengths = [2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 1e15];
  for (const ms of [...lengths, Number.MAX_VALUE]) {
    let calls = 0;
    const stop = startTimer(() => calls++, ms);
    await turn();
    await turn();
    assertEquals(calls, 0);
    stop();
  }
});
