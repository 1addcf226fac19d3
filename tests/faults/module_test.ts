// Copyright 2026 the multitask authors. MIT license.
// Modules that go wrong when a child imports them for its task.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Program } from "./_program.ts";

const ignore = Deno.build.os !== "linux";

const REFUSED = { error: "TaskReferenceError" };
const FAILED = { exitCode: 1, signal: null };

for (const how of ["throw", "reject"]) {
  Deno.test({
    name: `a main module that throws at import rejects the result (${how})`,
    ignore,
    async fn() {
      await using program = new Program("main_throws", { args: [how] });
      assertEquals(await program.report("result"), REFUSED);
      assertEquals(await program.report("exit"), FAILED);
      const causes = await program.report<string[]>("causes");
      assert(causes.includes("RangeError: Broken at import"), `${causes}`);
      const { stderr } = await program.success();
      assertStringIncludes(stderr, "Process Process-1:");
      // Its class and its place, as of any uncaught error.
      assertStringIncludes(stderr, "RangeError: Broken at import");
      assertStringIncludes(stderr, "main_throws.ts:");
    },
  });
}

Deno.test({
  name: "a main module that imports what is not there rejects the result",
  ignore,
  async fn() {
    await using program = new Program("main_throws", { args: ["import"] });
    assertEquals(await program.report("result"), REFUSED);
    assertEquals(await program.report("exit"), FAILED);
    const { stderr } = await program.success();
    assertStringIncludes(stderr, "there_is_no_such_module.ts");
  },
});

for (
  const [how, exitCode, signal] of [
    ["exit", 4, null],
    ["kill", -9, "SIGKILL"],
  ] as const
) {
  Deno.test({
    name: `a main module that ends its process at import: ${how}`,
    ignore,
    async fn() {
      await using program = new Program("main_throws", { args: [how] });
      assertEquals(await program.report("result"), {
        error: "WorkerLostError",
        worker: "Process-1",
        exitCode,
        signal,
      });
      assertEquals(await program.report("exit"), { exitCode, signal });
      await program.success();
    },
  });
}

Deno.test({
  name: "a function that its module does not export rejects the result",
  ignore,
  async fn() {
    await using program = new Program("main_throws", { args: ["missing"] });
    assertEquals(await program.report("result"), REFUSED);
    assertEquals(await program.report("exit"), FAILED);
    const { stderr } = await program.success();
    assertStringIncludes(stderr, "Process Process-1:\nTaskReferenceError:");
    assertStringIncludes(stderr, 'function "nothing"');
    assertStringIncludes(stderr, "main_throws.ts: it exports task");
  },
});

for (
  const when of ["at once", "after an await", "when it has been imported"]
) {
  Deno.test({
    name: `an unguarded main module gives one clear error (starts ${when})`,
    ignore,
    async fn() {
      await using program = new Program("unguarded", { args: [when] });
      const { error } = await program.report<{ error: string }>("result");
      assertEquals(
        error,
        when === "when it has been imported"
          ? "InvalidStateError"
          : "TaskReferenceError",
      );
      assertEquals(await program.report("exit"), FAILED);
      const { lines, stderr } = await program.success();
      const runs = lines.filter((line) => line === "The main module runs");
      assertEquals(runs.length, 2);
      assertStringIncludes(
        stderr,
        'put the start under "if (import.meta.main)',
      );
      assertEquals(stderr.match(/^Process /gm)?.length, 1, stderr);
    },
  });
}
