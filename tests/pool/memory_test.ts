// Copyright 2026 the multitask authors. MIT license.
// Very many items and tasks.

import { assert, assertEquals } from "@std/assert";
import { Pool } from "../../pool/mod.ts";
import { bounded } from "../ipc/_waits.ts";
import { reported } from "../process/_run.ts";
import { poolTest, range, runProgram } from "./_pools.ts";
import * as tasks from "./fixtures/tasks.ts";

/** How much more memory a program may take than at its start, in MiB. */
const MOST_GROWTH = 50;

Deno.test("1 000 000 items through Pool.imap() leave memory flat from the start, as long as it takes", async () => {
  // Else the engine takes memory for what is young or unused, and keeps it.
  const flags = [
    "-A",
    "--v8-flags=--max-semi-space-size=4,--max-old-space-size=40",
  ];
  const result = await runProgram("many_items.ts", { flags });
  // What the fixture prints.
  const { done, isRight, growth } = reported(result) as {
    done: number;
    isRight: boolean;
    growth: number;
  };
  assertEquals({ done, isRight }, { done: 1_000_000, isRight: true });
  assert(growth < MOST_GROWTH, `Memory grew by ${growth} MiB`);
});

poolTest("Pool.applyAsync() takes a burst of 100 000 tasks", async () => {
  await using pool = new Pool(2);
  const results = range(100_000).map((x) => pool.applyAsync(tasks.square, [x]));
  const values = await bounded(Promise.all(results.map((one) => one.get())));
  assert(values.every((value, x) => value === x * x));
  assertEquals(pool.stats().done, 100_000);
});
