// Copyright 2026 the multitask authors. MIT license.
// What works under a list of programs, and what the rest says.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { run } from "../../subprocess/mod.ts";
import { commandTest, fixture, gone, sweep } from "./_commands.ts";

interface Told {
  readonly name: string;
  readonly message: string;
  readonly flag?: string;
  readonly reach?: string;
  readonly stdout?: string;
}

async function told(flag: string, work: string): Promise<unknown> {
  const { stdout } = await run(
    [
      Deno.execPath(),
      "run",
      "--no-prompt",
      ...flag.split(" "),
      fixture("allowed.ts"),
      work,
    ],
    { captureOutput: true, text: true, check: true },
  );
  return JSON.parse(stdout);
}

commandTest(
  "under --allow-run=<one command> it runs, with input, cwd and deadline",
  async () => {
    assertEquals(await told("--allow-run=echo", "run"), "hi\n");
    assertEquals(await told("--allow-run=cat", "cat"), "in");
    assertEquals(await told("--allow-run=sleep", "kill"), [-15, false]);
    assertEquals(
      (await told("--allow-run=sleep", "timeout") as Told).name,
      "TimeoutExpired",
    );
  },
);

commandTest(
  "what is missing under --allow-run=<one command> is named",
  async () => {
    const other = await told("--allow-run=echo", "other") as Told;
    assertEquals([other.name, other.flag], [
      "CommandPermissionError",
      "--allow-run=ls",
    ]);
    assertMatch(other.message, /^Cannot run ls: add --allow-run=ls$/);
    const none = await told("--quiet", "run") as Told;
    assertEquals([none.name, none.flag], [
      "CommandPermissionError",
      "--allow-run=echo",
    ]);
    const merge = await told("--allow-run=echo", "merge") as Told;
    assertEquals(merge.flag, "--allow-run=sh");
    const library = await told("--allow-run=echo", "library") as Told;
    assertEquals([library.name, library.flag], [
      "CommandPermissionError",
      "--allow-run",
    ]);
    assertMatch(library.message, /LD_PRELOAD/);
    const file = await told("--allow-run=echo", "file") as Told;
    assertEquals(file.flag, "--allow-write=/tmp/never");
    const unset = await told("--allow-run=echo", "unset") as Told;
    assertEquals(unset.flag, "--allow-env");
  },
);

commandTest(
  "a missing program and a missing directory are told apart without --allow-read",
  async () => {
    assertEquals(
      (await told("--allow-run=echo", "missing") as Told).name,
      "CommandNotFoundError",
    );
    const cwd = await told("--allow-run=echo", "cwd") as Told;
    assertEquals(cwd.name, "WorkingDirectoryError");
  },
);

commandTest(
  "killTree reaches the group with sh, or kill, in the list",
  async () => {
    for (
      const flag of [
        "--allow-run=python3,sh",
        "--allow-run=python3,kill",
        "--allow-run",
      ]
    ) {
      const error = await told(flag, "tree") as Told;
      assertEquals(
        [error.name, error.reach],
        ["TimeoutExpired", "group"],
        flag,
      );
      await gone(Number(error.stdout));
    }
  },
);

commandTest("killTree without a way to reach the group says so", async () => {
  const error = await told("--allow-run=python3", "tree") as Told;
  assertEquals([error.name, error.reach], ["TimeoutExpired", "command"]);
  assertMatch(
    error.message,
    /descendants could not be reached: add --allow-run=sh/,
  );
  assert(Number(error.stdout) > 0);
  await sweep(Number(error.stdout));
});
