// Copyright 2026 the multitask authors. MIT license.
// The tests of pools of processes, with threads; and what only threads are.

import { assertEquals, assertStringIncludes } from "@std/assert";
import "./awkward_test.ts?thread";
import "./faults_test.ts?thread";
import "./pool_test.ts?thread";
import { reported, shown } from "../process/_run.ts";
import { runProgram } from "./_pools.ts";

Deno.test("A loop in a ThreadPool fails its task, and keeps neither the pool nor the program", async () => {
  const result = await runProgram("thread_loops.ts");
  assertEquals(
    reported(result),
    {
      timedOut: "TimeoutError",
      others: [0, 1, 4, 9],
      behind: 9,
      closed: "closed",
    },
    shown(result),
  );
  assertEquals(result.code, 0, shown(result));
});

Deno.test("ThreadPool takes permissions away with the flag, and names it without", async () => {
  const refused = await runProgram("thread_permissions.ts");
  assertEquals(reported(refused), {
    error: "PermissionNeededError",
    flag: "--unstable-worker-options",
  }, shown(refused));
  const result = await runProgram("thread_permissions.ts", {
    flags: ["-A", "--unstable-worker-options"],
  });
  assertEquals(reported(result), { read: "prompt", sum: 3 }, shown(result));
});

Deno.test("A program that forgets to close its ThreadPool still ends", async () => {
  const result = await runProgram("forgets_threads.ts");
  assertEquals(result.code, 0, shown(result));
  assertStringIncludes(result.stdout, "[ 1, 4, 9 ]");
});
