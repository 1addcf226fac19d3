// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { InvalidStateError } from "../../ipc/mod.ts";
import { fork, type ForkOptions, Process } from "../../process/mod.ts";
import { reasonOf } from "../ipc/_waits.ts";
import {
  fixture,
  processTest,
  reported,
  runDeno,
  runFixture,
  type RunResult,
  shown,
} from "./_run.ts";
import { forkInTask } from "./fixtures/fork_task.ts";

/** The lines of a program that ended well. */
function linesOf(result: RunResult): string[] {
  assertEquals(result.code, 0, shown(result));
  return result.stdout.trimEnd().split("\n");
}

processTest(
  "fork() gives the pid in the parent and 0 in the child",
  async () => {
    const result = await runFixture("fork_seed.ts");
    const lines = linesOf(result);
    assertEquals(lines.length, 3, shown(result));
    assertEquals(lines[0], `Process (${result.pid}) start...`);
    const created = lines.find((line) => line.includes("just created"))!;
    const [, child] = new RegExp(
      `^I \\(${result.pid}\\) just created a child process \\((\\d+)\\)\\.$`,
    ).exec(created)!;
    assertNotEquals(Number(child), result.pid);
    assert(
      lines.includes(
        `I am child process (${child}) and my parent is ${result.pid}.`,
      ),
      shown(result),
    );
    assertEquals(result.stderr, "");
  },
);

processTest("fork() works with the smallest set of flags", async () => {
  for (
    const flags of [
      ["--allow-run", "--allow-env=NODE_V8_COVERAGE"],
      ["--allow-run", "--allow-net=127.0.0.1"],
    ]
  ) {
    const result = await runFixture("fork_seed.ts", { flags });
    assertEquals(linesOf(result).length, 3, shown(result));
  }
});

processTest("fork() needs no command of the system", async () => {
  const result = await runFixture("fork_seed.ts", {
    env: { PATH: "/nonexistent" },
  });
  assertEquals(linesOf(result).length, 3, shown(result));
});

interface Forked {
  pid: number;
  ppid: number;
  first: number;
  second: number;
  name: string;
  parent: { name: string; pid: number } | null;
}

processTest(
  "fork() in a child gives a grandchild, with what earlier calls gave",
  async () => {
    const result = await runFixture("fork_twice.ts");
    const found = linesOf(result).map((line) => JSON.parse(line) as Forked);
    assertEquals(found.length, 4, shown(result));
    const by = (first: (pid: number) => boolean, second: typeof first) =>
      found.find((one) => first(one.first) && second(one.second))!;
    const zero = (pid: number) => pid === 0;
    const pid = (pid: number) => pid > 0;
    const [root, child, late, grandchild] = [
      by(pid, pid),
      by(zero, pid),
      by(pid, zero),
      by(zero, zero),
    ];
    assertEquals(root.pid, result.pid);
    assertEquals([root.first, root.second], [child.pid, late.pid]);
    assertEquals(child.second, grandchild.pid);
    // What the first call gave in the parent, it gives in the parent's child.
    assertEquals(late.first, child.pid);
    assertEquals(
      [child.ppid, late.ppid, grandchild.ppid],
      [root.pid, root.pid, child.pid],
    );
    assertEquals(
      [root.name, child.name, late.name, grandchild.name],
      ["MainProcess", "Process-1", "Process-2", "Process-1:1"],
    );
    assertEquals(root.parent, null);
    assertEquals(grandchild.parent?.name, "Process-1");
    assertEquals(grandchild.parent?.pid, child.pid);
  },
);

processTest(
  "fork() gives each child what the calls before its own gave",
  async () => {
    const args = ["an argument", "--flag"];
    const result = await runFixture("fork_loop.ts", { args });
    const found = linesOf(result).map((line) => JSON.parse(line));
    const parent = found.find((line) => line.codes !== undefined);
    const [a, b, c] = parent.pids as [number, number, number];
    assertEquals(parent, {
      parent: result.pid,
      pids: [a, b, c],
      codes: [0, 0, 0],
    });
    const own = (pid: number) => found.find((line) => line.pid === pid);
    assertEquals(own(result.pid), { pid: result.pid, pids: [a, b, c], args });
    assertEquals(own(a), { pid: a, pids: [0], args });
    assertEquals(own(b), { pid: b, pids: [a, 0], args });
    assertEquals(own(c), { pid: c, pids: [a, b, 0], args });
    assertEquals(found.length, 5);
  },
);

processTest(
  "fork() replays in silence and starts no processes meanwhile",
  async () => {
    const result = await runFixture("fork_silence.ts");
    const lines = linesOf(result).filter((line) => !/[┌├│└]/.test(line));
    assertEquals(lines, [
      "log",
      "info",
      "debug",
      "dir",
      "group",
      "held log",
      "write",
      "writeSync",
      "writable",
      "task",
      "child held log",
      "child held info",
      "child held write",
      "child held writable",
      // What an earlier process would have given is not known there.
      "child [null,true,0,false]",
      "task",
      "child result",
      "parent held log",
      "parent held info",
      "parent held write",
      "parent held writable",
      'parent ["result",true,0,false]',
    ]);
    assertEquals(result.stdout.split('"table"').length, 2, shown(result));
    assertEquals(result.stderr, "error\nwarn\n");
  },
);

processTest("fork() starts no workers of pools in a replay", async () => {
  const result = await runFixture("fork_pool.ts");
  const [child, parent] = linesOf(result).map((line) => JSON.parse(line));
  assertEquals(parent, {
    who: "parent",
    found: [8, 2, 4, [2, 4], [2, 4], [2, 4], [2, 4], [6], 10, [2]],
    hadWorkers: true,
    after: 42,
  });
  assertEquals(child, {
    who: "child",
    found: [null, null, null, [], [], [], [], [], null, []],
    hadWorkers: false,
    after: 42,
  });
});

processTest("fork() gives a child that ends as it likes", async () => {
  const result = await runFixture("fork_fails.ts");
  assertEquals(reported(result), [1, 9]);
  assertStringIncludes(result.stderr, "the child's own");
});

processTest("fork() starts its child as its options say", async () => {
  const folder = await Deno.makeTempDir();
  const map = `${folder}/map.json`;
  await Deno.writeTextFile(
    map,
    JSON.stringify({
      imports: { mapped: "data:text/javascript,export default 'by the map'" },
    }),
  );
  const result = await runFixture("fork_options.ts", {
    flags: ["-A", `--import-map=${map}`, "--unstable-kv"],
    args: [map],
  });
  const [child, parent] = linesOf(result).map((line) => JSON.parse(line));
  const same = { mapped: "by the map", kv: "function", read: "granted" };
  assertEquals(child, {
    ...same,
    who: "child",
    write: "prompt",
    added: "added",
  });
  assertEquals(parent, { ...same, who: "parent", write: "granted" });
  await Deno.remove(folder, { recursive: true });
});

processTest("fork() may be called twice at the same time", async () => {
  const result = await runFixture("fork_at_once.ts");
  const found = linesOf(result).map((line) => JSON.parse(line)) as {
    pid: number;
    pids: number[];
  }[];
  assertEquals(found.length, 4, shown(result));
  const parent = found.find(({ pid }) => pid === result.pid)!;
  const [first, second] = parent.pids as [number, number];
  const by = (pid: number) => found.find((one) => one.pid === pid)!;
  // The first goes on from the first call, so that it makes the second itself.
  assertEquals(by(first).pids[0], 0);
  assertEquals(by(second).pids, [first, 0]);
  const grandchild = by(first).pids[1]!;
  assertEquals(by(grandchild).pids, [0, 0]);
});

// ---- Calls that are not reached again ----

interface Unreached {
  name: string;
  message: string;
  pid: string;
  exitCode: number | null;
  signal: string | null;
  children: number;
  quick: boolean;
}

async function unreached(how: string): Promise<Unreached> {
  const result = await runFixture("fork_unreached.ts", { args: [how] });
  const found = reported(result) as Unreached;
  assertEquals(result.stdout.trimEnd().split("\n").length, 1, shown(result));
  assertEquals(found.children, 0, how);
  assert(found.quick, how);
  return found;
}

processTest(
  "fork() rejects when the main module does not reach the call again",
  async () => {
    const expected: [string, number][] = [
      ["end", 0],
      ["throw", 1],
      ["exit", 3],
    ];
    for (const [how, code] of expected) {
      const found = await unreached(how);
      assertEquals(found.name, "ProcessExitError", how);
      assertEquals([found.pid, found.exitCode], ["number", code], how);
      assertStringIncludes(
        found.message,
        `ended with exit code ${code} before it reached this call`,
        how,
      );
      assertStringIncludes(found.message, 'see the options "runtime"', how);
    }
  },
);

processTest("fork() rejects when the call is not reached in time", async () => {
  for (const how of ["late", "pending"]) {
    const late = await unreached(how);
    assertEquals(late.name, "TimeoutError");
    assertStringIncludes(late.message, "300 ms");
  }
  const aborted = await unreached("abort");
  assertEquals([aborted.name, aborted.message], ["Error", "enough of it"]);
});

// ---- Places without a main module ----

processTest("fork() is an error under deno test", async () => {
  const error = await assertRejects(() => fork(), InvalidStateError);
  assertMatch(error.message, /^Cannot fork .*deno test/);
  assertStringIncludes(error.message, "use a Process");
});

processTest("fork() is an error in a task", async () => {
  const process = new Process({ target: forkInTask, stderr: "null" });
  process.start();
  const reason = await reasonOf(process.result);
  assertInstanceOf(reason, InvalidStateError);
  assertStringIncludes(reason.message, "in a task of another process");
  await process.join();
  assertEquals(process.exitCode, 1);
});

processTest("fork() is an error in a worker", async () => {
  const found = reported(await runFixture("fork_worker.ts")) as Error;
  assertEquals(found.name, "InvalidStateError");
  assertStringIncludes(found.message, "in a worker");
});

processTest("fork() is an error under deno eval", async () => {
  const module = JSON.stringify(fixture("fork_task.ts"));
  const result = await runDeno([
    "eval",
    `const { forkInTask } = await import(${module});
     console.log(JSON.stringify(await forkInTask().catch((e) => e.name)));`,
  ]);
  assertEquals(reported(result), "InvalidStateError");
});

processTest("fork() checks its options first", async () => {
  await assertRejects(() => fork({ timeout: -1 }), RangeError);
  await assertRejects(() => fork({ timeout: NaN }), RangeError);
  const timeout = "5" as unknown as number;
  await assertRejects(() => fork({ timeout }), TypeError);
  const signal = "no" as unknown as AbortSignal;
  await assertRejects(() => fork({ signal }), TypeError);
  const options = 5 as unknown as ForkOptions;
  await assertRejects(() => fork(options), TypeError);
});
