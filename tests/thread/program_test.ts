// Copyright 2026 the multitask authors. MIT license.
// Programs that end while they have threads.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { reported, runDeno, type RunResult, shown } from "../process/_run.ts";
import { fixture, runFixture, threadTest } from "./_run.ts";

function lines({ stdout }: RunResult): string[] {
  return stdout.trimEnd().split("\n");
}

/** Runs a case of a fixture; it has to end well. */
async function success(name: string, ...args: string[]): Promise<RunResult> {
  const result = await runFixture(name, { args });
  assertEquals(result.code, 0, shown(result));
  return result;
}

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}

// ---- Loops ----

for (const how of ["return", "exit"] as const) {
  threadTest(`a program ends with a thread in a loop (${how})`, async () => {
    const result = await success("stuck.ts", how);
    assertEquals(lines(result), [
      "terminate false",
      "join WorkerLostError",
      "result WorkerLostError",
      "alive true",
      "end of the main module",
    ]);
    assertEquals(count(result.stderr, "\n"), 1, shown(result));
    assertStringIncludes(result.stderr, 'Thread "looper" was told to stop');
  });
}

threadTest("Deno.exit() ends a program whose thread loops", async () => {
  const result = await runFixture("stuck.ts", { args: ["exit at once"] });
  assertEquals(result.code, 5, shown(result));
  assertEquals(result.stderr, "");
});

threadTest("a thread ends though its own thread is in a loop", async () => {
  const result = await success("stuck_below.ts");
  assertEquals(lines(result), ["stopped false", "joined true"]);
});

// ---- Daemons ----

for (const how of ["idle", "blocked", "talked", "nested"] as const) {
  threadTest(`daemons do not keep a program (${how})`, async () => {
    const result = await success("daemons.ts", how);
    assertEquals(lines(result), ["up", "end of the main module"]);
    assertEquals(result.stderr, "");
  });
}

threadTest("threads that are no daemons keep a program", async () => {
  const result = await success("daemons.ts", "worker");
  assertEquals(lines(result), ["end of the main module", "worker done"]);
});

for (const what of ["queue", "result", "exited", "join"] as const) {
  threadTest(`awaiting a daemon keeps a program (${what})`, async () => {
    const result = await success("daemons.ts", `await ${what}`);
    assertEquals(lines(result).at(-1), `got the ${what}`);
  });
}

threadTest("Deno.exit() takes threads along, also blocked ones", async () => {
  const result = await runFixture("daemons.ts", { args: ["exit"] });
  assertEquals(result.code, 3, shown(result));
  assertEquals(lines(result), ["up"]);
  assertEquals(result.stderr, "");
});

// ---- Failures ----

threadTest("an error of a thread takes no program along", async () => {
  const result = await success("leaves_failure.ts");
  assertEquals(lines(result), ["end of the main module", "still here"]);
  assertEquals(count(result.stderr, "Exception in thread gambler:"), 1);
  assertStringIncludes(result.stderr, "RangeError: no luck");
});

for (const when of ["at once", "later", "in a function"] as const) {
  threadTest(`an unguarded main module is told so (${when})`, async () => {
    const result = await success("unguarded.ts", when);
    assertEquals(
      lines(result).at(-1),
      "InvalidStateError or its cause",
      shown(result),
    );
    assertStringIncludes(result.stderr, "if (import.meta.main)");
    assertEquals(count(result.stderr, "Exception in thread"), 1, shown(result));
    // No bomb: the module ran in the program and in its one thread.
    assert(count(result.stdout, "The module runs") <= 2, shown(result));
  });
}

threadTest("a forked child that replays starts no threads", async () => {
  const result = await success("fork_replay.ts");
  assertEquals(lines(result).toSorted(), ["child", "parent", "thread ran"]);
});

// ---- Under deno test ----

threadTest(
  "threads work in tests of users, with their sanitizers",
  async () => {
    const result = await runDeno([
      "test",
      "--quiet",
      "--no-prompt",
      "--no-check",
      "--allow-read",
      decodeURIComponent(fixture("user_tests.ts").pathname),
    ]);
    assertEquals(result.code, 0, shown(result));
    assertStringIncludes(result.stdout, "5 passed");
  },
);

// ---- Many ----

/** All that is started once and has a use for the next thread. */
const MOST_RSS = 40;

threadTest("memory is flat over many threads in sequence", async () => {
  const isLong = Deno.env.get("TEST_LONG") === "1";
  const result = await runFixture("many.ts", {
    flags: ["-A", "--v8-flags=--expose-gc"],
    args: ["sequence", isLong ? "2000" : "300"],
    timeout: isLong ? 600_000 : 240_000,
  });
  const { grown, live, sum, count } = reported(result) as Record<
    string,
    number
  >;
  assertEquals({ live, sum }, { live: 0, sum: count! });
  assert(grown! < MOST_RSS, `memory grew by ${grown} MiB`);
}, 700_000);

threadTest("a hundred threads at once do their work and end", async () => {
  const result = await runFixture("many.ts", {
    flags: ["-A", "--v8-flags=--expose-gc"],
    args: ["at once", "100"],
    timeout: 120_000,
  });
  const { live, sum, most, count } = reported(result) as Record<string, number>;
  assertEquals({ live, sum, most }, { live: 0, sum: count!, most: count! + 1 });
}, 130_000);
