// Copyright 2026 the multitask authors. MIT license.
// Children that fail before they have connected: who started them is told.

import { assertEquals } from "@std/assert";
import { Program, type ProgramOptions } from "./_program.ts";
import { by, NO_KERNEL_GUARD } from "./_ways.ts";

const ignore = Deno.build.os !== "linux";

/** Programs that stand in for Deno, and what is none. */
const FILES: Record<string, string> = {
  exits: "#!/bin/sh\nexit 0\n",
  fails: "#!/bin/sh\nexit 5\n",
  killed: "#!/bin/sh\nkill -KILL $$\n",
  closes: "#!/bin/sh\nexec 0<&- 3>&- 4>&-\nexit 6\n",
  sleeps: "#!/bin/sh\nexec sleep 1000\n",
  "broken.json": "{ broken",
};

/** A directory with the programs. */
class Programs implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "fault-" });

  constructor() {
    for (const [name, text] of Object.entries(FILES)) {
      const mode = text.startsWith("#!") ? 0o755 : 0o644;
      Deno.writeTextFileSync(`${this.path}/${name}`, text, { mode });
    }
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

function lost(code: number, signal: string | null = null) {
  return { error: "WorkerLostError", exitCode: code, signal };
}

interface Found {
  start?: { error: string };
  error?: string;
  worker?: string;
  exitCode?: number;
  signal?: string | null;
  joined?: boolean;
  code?: number;
}

async function assertFails(options: ProgramOptions): Promise<void> {
  using programs = new Programs();
  await using program = new Program("fails_to_start", {
    ...options,
    args: [programs.path],
  });
  const expected = {
    v8Flags: lost(1),
    unstable: lost(1),
    config: lost(1),
    noConfig: lost(1),
    importMap: lost(1),
    exits: lost(0),
    fails: lost(5),
    killed: lost(-9, "SIGKILL"),
    closes: lost(6),
  };
  for (const [label, end] of Object.entries(expected)) {
    const { worker: _, ...found } = await program.report<Found>(label);
    assertEquals(found, { ...end, joined: true, code: end.exitCode }, label);
  }
  // What cannot be executed fails in start(), or in the guard before it.
  const absent = [
    ["missing", 127, "NotFound"],
    ["unexecutable", 126, "PermissionDenied"],
  ] as const;
  for (const [label, code, error] of absent) {
    const { worker: _, ...found } = await program.report<Found>(label);
    assertEquals(
      found,
      "start" in found
        ? { start: { error }, pid: null, alive: false } as Found
        : { ...lost(code), joined: true, code },
      label,
    );
  }
  assertEquals(await program.report("prewarm"), { error: "InvalidStateError" });
  assertEquals(await program.report("children"), 0);
  await program.success();
}

Deno.test({
  name: "a runtime that fails at its start rejects the result (abstract way)",
  ignore,
  fn: () => assertFails(by("abstract")),
});

Deno.test({
  name: "a runtime that fails at its start rejects the result (descriptor way)",
  ignore,
  fn: () => assertFails(by("descriptor")),
});

Deno.test({
  name: "a runtime that fails at its start rejects the result " +
    "(abstract way, no kernel guard)",
  ignore,
  fn: () => assertFails({ ...by("abstract"), env: NO_KERNEL_GUARD }),
});

Deno.test({
  name: "a runtime that fails at its start rejects the result " +
    "(descriptor way, no kernel guard)",
  ignore,
  fn: () => assertFails({ ...by("descriptor"), env: NO_KERNEL_GUARD }),
});

for (const what of ["terminate", "kill", "dispose"] as const) {
  Deno.test({
    name: `a child that never connects can be ended: ${what}`,
    ignore,
    async fn() {
      using programs = new Programs();
      await using program = new Program("never_connects", {
        args: [`${programs.path}/sleeps`, what],
      });
      const end = what === "kill"
        ? { exitCode: -9, signal: "SIGKILL" }
        : { exitCode: -15, signal: "SIGTERM" };
      assertEquals(await program.report("result"), {
        error: "WorkerLostError",
        worker: "Process-1",
        ...end,
      });
      assertEquals(await program.report("exit"), end);
      await program.success();
    },
  });
}

Deno.test({
  name: "a child that never connects is given up",
  ignore,
  async fn() {
    using programs = new Programs();
    await using program = new Program("never_connects", {
      args: [`${programs.path}/sleeps`, "wait"],
    });
    const { error } = await program.report<Found>("result");
    assertEquals(error, "WorkerLostError");
    const { signal } = await program.report<Found>("exit");
    assertEquals(signal === "SIGTERM" || signal === "SIGKILL", true);
    await program.success();
  },
});

Deno.test({
  name: "Process.prewarm() gives up a child that never connects",
  ignore,
  async fn() {
    using programs = new Programs();
    await using program = new Program("never_connects", {
      args: [`${programs.path}/sleeps`, "prewarm"],
    });
    const { error } = await program.report<Found>("result");
    assertEquals(error, "InvalidStateError");
    await program.success();
  },
});
