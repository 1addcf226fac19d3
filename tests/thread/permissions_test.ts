// Copyright 2026 the multitask authors. MIT license.

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { PermissionNeededError } from "../../ipc/mod.ts";
import { Thread, type ThreadPermissionMode } from "../../thread/mod.ts";
import { reported, runDeno, shown } from "../process/_run.ts";
import { fixture, names, runFixture, threadTest } from "./_run.ts";
import { nothing } from "./fixtures/tasks.ts";

const FLAG = "--unstable-worker-options";

/** What threads have, whatever else their program may do. */
const RESTRICTED = {
  none: [],
  nothing: [],
  list: [true, false],
  url: [true, false],
  own: "own: ",
  namespace: [],
  inline: 2,
  reference: [],
  subclass: ["own "],
  handles: [],
  // Whoever may not read starts no threads, and gives nobody more.
  inner: ["PermissionNeededError", "NotCapable"],
};

threadTest("Thread has just the permissions it is given", async () => {
  const { missing, ...found } = reported(
    await runFixture("permissions.ts", { flags: ["-A", FLAG] }),
  ) as Record<string, unknown>;
  assertEquals(found, {
    ...RESTRICTED,
    inherit: ["read", "write", "net", "env", "sys", "run", "ffi", "import"],
    some: ["env", "sys"],
    more: ["read", "write", "run", "ffi"],
    value: 1,
    queue: 1,
  });
  const { name, message } = missing as { name: string; message: string };
  assertEquals(name, "TaskReferenceError");
  assertStringIncludes(message, "file:///no/such.ts");
});

threadTest("Thread never has more than its starter", async () => {
  const { missing: _, ...found } = reported(
    await runFixture("permissions.ts", { flags: ["--allow-read", FLAG] }),
  ) as Record<string, unknown>;
  assertEquals(found, {
    ...RESTRICTED,
    inherit: ["read"],
    some: { thrown: "NotCapable" },
    more: { thrown: "NotCapable" },
    value: 1,
    queue: 1,
  });
});

threadTest("Thread with permissions names the missing flag", async () => {
  const thread = new Thread({ target: nothing, permissions: "none" });
  const error = assertThrows(() => thread.start(), PermissionNeededError);
  assertEquals(error.flag, FLAG);
  assertStringIncludes(error.message, '"unstable": ["worker-options"]');
  assertEquals(thread.isAlive(), false);
  assertEquals(names(), ["MainThread"]);
  await Promise.resolve();
});

threadTest("Thread takes the flag from deno.json, too", async () => {
  for (const name of ["deno.json", "deno.jsonc"]) {
    const folder = await Deno.makeTempDir();
    try {
      await Deno.mkdir(`${folder}/below`);
      const note = name.endsWith("c") ? "// A note\n" : "";
      await Deno.writeTextFile(
        `${folder}/${name}`,
        `${note}{ "unstable": ["ffi", "worker-options"] }`,
      );
      const main = `${folder}/below/main.ts`;
      await Deno.writeTextFile(main, `import "${fixture("in_folder.ts")}";\n`);
      const result = await runDeno(
        ["run", "--quiet", "--no-prompt", "--no-lock", "-A", main],
        {},
      );
      assertEquals(reported(result), []);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
});

threadTest("Thread checks its permissions at the start", async () => {
  const bad = [
    "all",
    true,
    5,
    null,
    ["read"],
    { all: true },
    { Read: true },
    { read: "all" },
    { read: null },
    { read: [5] },
    { read: {} },
  ];
  for (const permissions of bad) {
    const thread = new Thread({
      target: nothing,
      permissions: permissions as ThreadPermissionMode,
    });
    const error = assertThrows(() => thread.start(), TypeError);
    assertStringIncludes(error.message, '"permissions');
  }
  assertEquals(names(), ["MainThread"]);
  await Promise.resolve();
});

threadTest("Thread needs nothing but to read its modules", async () => {
  const result = await runFixture("smallest.ts", { flags: ["--allow-read"] });
  assertEquals(reported(result), {
    result: 3,
    exit: { reason: "returned", exitCode: 0 },
    lock: [0, 2],
    terminated: true,
  });
  assertEquals(result.stderr, "");
});

threadTest("Thread says what it needs where it has nothing", async () => {
  const result = await runFixture("smallest.ts", { flags: [] });
  const report = reported(result) as Record<string, unknown>;
  assertEquals(report.exit, { reason: "lost", exitCode: 1 });
  assertEquals(report.result, {
    name: "PermissionNeededError",
    flag: "--allow-read",
  }, shown(result));
});
