// Copyright 2026 the multitask authors. MIT license.
// What waiting costs, and what it keeps alive: programs in processes of their
// own.

import { assert, assertEquals } from "@std/assert";
import { mappingObstacle } from "../../ipc/_mapped_words.ts";
import { Event, type Home, Lock, Queue } from "../../ipc/mod.ts";
import { Process } from "../../process/mod.ts";
import {
  processTest,
  reported,
  runDeno,
  type RunResult,
} from "../process/_run.ts";
import * as tasks from "./fixtures/waiters_tasks.ts";
import { lined } from "./_waiters.ts";

const canMap = mappingObstacle() === undefined;
const isLinux = Deno.build.os === "linux";

function run(mode: string, home: Home, timeout?: number): Promise<RunResult> {
  const path = new URL("./fixtures/waiters.ts", import.meta.url).pathname;
  return runDeno(
    ["run", "--quiet", "--no-prompt", "--no-check", "-A", path, mode, home],
    timeout === undefined ? {} : { timeout },
  );
}

/** The program has to end by itself, and well. */
async function assertEnds(mode: string, home: Home): Promise<void> {
  assertEquals(reported(await run(mode, home)), "waiting");
}

for (const home of ["shared", "mapped"] as const) {
  const test = (name: string, fn: () => Promise<void>, ignore = false) =>
    Deno.test({
      name: `${name} (${home} memory)`,
      ignore: ignore || home === "mapped" && !canMap,
      fn,
    });

  test("Lock, Event, Queue and Semaphore hold nothing up while 2000 tasks wait", async () => {
    assertEquals(reported(await run("crowd", home)), {
      before: 2000,
      others: [
        "file",
        "directory",
        "import",
        "text",
        "crypto",
        "timers",
        "interval",
        "socket",
        "program",
      ],
      after: 2000,
      servedBefore: 0,
      served: 2000,
    });
  });

  test("Waiting processes and threads take no time", async () => {
    const { waiting, milliseconds, of } = reported(await run("idle", home)) as {
      waiting: number;
      milliseconds: number[];
      of: number;
    };
    const sum = milliseconds.reduce((sum, time) => sum + time);
    const share = sum / of * 100;
    console.log(
      `4 threads and 4 processes that wait: ${
        share.toFixed(1)
      } % of one core (${milliseconds.join(" + ")} ms of ${of})`,
    );
    assertEquals(waiting, 10);
    assert(share <= 2, `They take ${share} %`);
  }, !isLinux);

  test("A program ends that waits for what nobody can bring", () =>
    assertEnds("alone", home));

  test("A program ends that waits when its children have ended", () =>
    assertEnds("aloneAfterChild", home));

  test("A program ends that waits when its threads have ended", () =>
    assertEnds("aloneAfterThread", home));

  test("A program goes on that waits for what a daemon can bring", async () => {
    assertEquals(reported(await run("daemonServes", home)), [
      "the lock is held",
      true,
      false,
      "served",
    ]);
  });

  test("A program ends while others wait through its hub", async () => {
    assertEquals(reported(await run("hubWaiters", home)), [1, 1, 1]);
  });
}

if (canMap) {
  processTest(
    "Lock.acquireSync() sends what was said before it blocks",
    async () => {
      // The one is reached by the hub, the other one directly.
      const said = new Event({ home: "shared" });
      const lines = new Queue<string>(0, { home: "shared" });
      const lock = new Lock({ home: "mapped" });
      const guard = await lock.acquire();
      const child = new Process({
        target: tasks.sayAndBlock,
        args: [said, lines, lock],
      });
      child.start();
      await lined(lock, 1);
      const heard = await said.wait({ timeout: 2000 });
      const line = await lines.get({ timeout: 0 }).catch(() => "nothing");
      guard.release();
      await child.result;
      await child.join();
      assertEquals([heard, line], [true, "about to block"]);
    },
  );
}
