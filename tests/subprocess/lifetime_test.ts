// Copyright 2026 the multitask authors. MIT license.
// Commands do not outlive the program that started them, however it ends.

import { assert, assertEquals } from "@std/assert";
import {
  commandTest,
  fixture,
  gone,
  isRunning,
  LONG,
  sweep,
} from "./_commands.ts";
import { PIPE, Popen, run } from "../../subprocess/mod.ts";

interface Owned {
  readonly pid: number;
  readonly grandchild: number;
  readonly isGuarded: boolean;
  readonly reach: string;
}

async function owner(flags: string[], ...args: string[]) {
  const popen = new Popen(
    [
      Deno.execPath(),
      "run",
      "--no-prompt",
      ...flags,
      fixture("owner.ts"),
      ...args,
    ],
    { stdin: PIPE, stdout: PIPE, stderr: "null", timeout: LONG },
  );
  const lines = popen.lines();
  const { value } = await lines.next();
  const owned: Owned = JSON.parse(value!);
  return { popen, lines, owned };
}

const SIGNALS = ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"] as const;

for (const signal of SIGNALS) {
  commandTest(
    `commands and their groups end when their program gets ${signal}`,
    async () => {
      const { popen, lines, owned } = await owner(["-A"], "tree");
      assert(owned.isGuarded);
      assertEquals(owned.reach, "group");
      popen.sendSignal(signal);
      await popen.wait();
      await lines.return!();
      await gone(owned.pid);
      await gone(owned.grandchild);
    },
  );
}

for (const end of ["exit", "throw"]) {
  commandTest(`commands end when their program ends by ${end}`, async () => {
    const { popen, lines, owned } = await owner(["-A"], "tree", end);
    await popen.wait();
    await lines.return!();
    await gone(owned.pid);
    await gone(owned.grandchild);
  });
}

commandTest(
  "commands without killTree end when their program is killed",
  async () => {
    const { popen, lines, owned } = await owner(["-A"], "plain");
    popen.kill();
    await popen.wait();
    await lines.return!();
    await gone(owned.pid);
    await sweep(owned.grandchild);
  },
);

commandTest("commands of a Worker end when it is terminated", async () => {
  const { popen, lines, owned } = await owner(["-A"], "worker", "terminate");
  assert(owned.isGuarded);
  await gone(owned.pid);
  await gone(owned.grandchild);
  assert(isRunning(popen.pid));
  await popen.stdin.close();
  await popen.wait();
  await lines.return!();
});

commandTest(
  "commands of a Worker end when their program is killed",
  async () => {
    const { popen, lines, owned } = await owner(["-A"], "worker", "wait");
    popen.kill();
    await popen.wait();
    await lines.return!();
    await gone(owned.pid);
    await gone(owned.grandchild);
  },
);

commandTest(
  "without sh to run, commands end by Deno.exit and errors all the same",
  async () => {
    for (const end of ["exit", "throw"]) {
      const { popen, lines, owned } = await owner(
        ["--allow-run=sleep"],
        "bare",
        end,
      );
      assert(!owned.isGuarded);
      await popen.wait();
      await lines.return!();
      await gone(owned.pid);
    }
  },
);

commandTest(
  "a command keeps the program alive until all of it is told",
  async () => {
    const { stdout, returncode } = await run(
      [Deno.execPath(), "run", "-A", fixture("alone.ts")],
      { captureOutput: true, text: true },
    );
    assertEquals([stdout, returncode], ["0\n1\n2\n", 0]);
  },
);
