// Copyright 2026 the multitask authors. MIT license.
// Programs with pools, seen from outside.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { reported, shown } from "../process/_run.ts";
import { runProgram } from "./_pools.ts";

const isLinux = Deno.build.os === "linux";

Deno.test({
  name: "Ctrl-C ends a busy pool with its program: Python's workers hang",
  ignore: !isLinux,
  async fn() {
    // That nobody is left is checked there.
    const result = await runProgram("busy_and_interrupted.ts");
    const { code, signal, stdout, stderr } = result;
    assertEquals(
      { code, signal },
      { code: 130, signal: "SIGINT" },
      shown(result),
    );
    assertStringIncludes(stdout, "up\n");
    assert(!stdout.includes("not reached"));
    assert(!stderr.includes("Uncaught"), stderr);
  },
});

Deno.test({
  name: "An idle pool uses no processor time",
  ignore: !isLinux,
  async fn() {
    const { used, watched } = reported(await runProgram("idle_pool.ts")) as {
      used: number[];
      watched: number;
    };
    assertEquals(used.length, 3);
    // One that polls, or spins, uses far more than a hundredth.
    for (const time of used) {
      assert(time < watched / 100, `${used.join(", ")} ms in ${watched} ms`);
    }
  },
});

for (const kind of ["process", "thread", "hybrid"]) {
  Deno.test(`An unguarded pool is told so, and starts no others (${kind})`, async () => {
    const result = await runProgram("unguarded.ts", { env: { KIND: kind } });
    assertEquals(result.code, 0, shown(result));
    assertStringIncludes(
      result.stdout,
      'put the start under "if (import.meta.main)',
    );
    // In the program, and in its one worker.
    assertEquals(result.stdout.match(/The module runs/g)?.length, 2);
  });
}
