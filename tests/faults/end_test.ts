// Copyright 2026 the multitask authors. MIT license.
// However a program ends, its children end with it: those it waits for, and
// those it does not.

import { assertEquals, assertStringIncludes } from "@std/assert";
import { type Ended, Program } from "./_program.ts";
import { NO_KERNEL_GUARD } from "./_ways.ts";

const ignore = Deno.build.os !== "linux";

Deno.test({
  name: "a normal end waits for children, and theirs, and ends daemons",
  ignore,
  async fn() {
    await using program = new Program("normal_end");
    const { lines } = await program.success();
    assertEquals(lines[0], "main done");
    assertEquals(lines.slice(1).toSorted(), ["child done", "grandchild done"]);
  },
});

/** What a program that ends in a way comes to. */
const ENDS: Record<string, Pick<Ended, "code" | "signal">> = {
  return: { code: 0, signal: null },
  exit: { code: 3, signal: null },
  throw: { code: 1, signal: null },
  reject: { code: 1, signal: null },
  SIGTERM: { code: 143, signal: "SIGTERM" },
};

for (const way of ["abstract", "descriptor"]) {
  // The guard is the matter of the kernel, the watchdog of the child.
  const guarded = way === "abstract";
  for (const [how, end] of Object.entries(ENDS)) {
    Deno.test({
      name: `children end with a program that ends by ${how} ` +
        `(${way} way, ${guarded ? "kernel guard" : "watchdog"})`,
      ignore,
      async fn() {
        await using program = new Program("parent_ends", {
          args: [how.startsWith("SIG") ? "wait" : how, way],
          env: guarded ? {} : NO_KERNEL_GUARD,
        });
        await program.line("up");
        if (how.startsWith("SIG")) program.kill(how as Deno.Signal);
        const { code, signal, stderr } = await program.end();
        assertEquals({ code, signal }, end);
        if (how === "throw" || how === "reject") {
          assertStringIncludes(stderr, "RangeError: As it should");
        } else if (signal === null) assertEquals(stderr, "");
      },
    });
  }
}

const INTERRUPTED = { code: 130, signal: "SIGINT" };

async function interrupted(
  args: string[],
  press: (program: Program) => void | Promise<void>,
  patience = "",
): Promise<Ended> {
  await using program = new Program("interrupted", {
    args,
    env: { FAULT_PATIENCE: patience },
  });
  await program.line("up");
  await press(program);
  return await program.end();
}

Deno.test({
  name: "Ctrl-C: children get grace, then the program dies by SIGINT",
  ignore,
  async fn() {
    const { code, signal, lines, stderr } = await interrupted(
      ["polite,busy"],
      (program) => program.pressCtrlC(),
    );
    assertEquals({ code, signal }, INTERRUPTED);
    assertEquals(lines, ["up", "polite child ends"]);
    assertEquals(stderr, "");
  },
});

Deno.test({
  name: "Ctrl-C is the parent's: a signal to it alone does the same",
  ignore,
  async fn() {
    const { code, signal, lines } = await interrupted(
      ["polite,busy"],
      (program) => program.kill("SIGINT"),
    );
    assertEquals({ code, signal }, INTERRUPTED);
    assertEquals(lines, ["up", "polite child ends"]);
  },
});

Deno.test({
  name: "Ctrl-C: children that do not end within the grace are killed",
  ignore,
  async fn() {
    const { code, signal, lines } = await interrupted(
      ["deaf"],
      (program) => program.pressCtrlC(),
      "none",
    );
    assertEquals({ code, signal }, INTERRUPTED);
    assertEquals(lines, ["up", "deaf child asked"]);
  },
});

Deno.test({
  name: "Ctrl-C: a second one kills at once",
  ignore,
  async fn() {
    const { code, signal, lines } = await interrupted(
      ["deaf,busy"],
      async (program) => {
        program.pressCtrlC();
        await program.line("deaf child asked");
        program.pressCtrlC();
      },
      "endless",
    );
    assertEquals({ code, signal }, INTERRUPTED);
    assertEquals(lines, ["up", "deaf child asked"]);
  },
});

for (const own of ["Deno", "node"]) {
  Deno.test({
    name: `Ctrl-C: the program's own listener goes first and decides (${own})`,
    ignore,
    async fn() {
      const { code, lines } = await interrupted(
        ["polite,busy", own],
        (program) => program.pressCtrlC(),
      );
      assertEquals(code, 5);
      assertEquals(lines, [
        "up",
        "own listener",
        "polite child ends",
        "exits [0,-15]",
      ]);
    },
  });
}

Deno.test({
  name: "Ctrl-C: a listener that exits takes the children along",
  ignore,
  async fn() {
    const { code, lines } = await interrupted(
      ["polite,busy", "Deno, exit"],
      (program) => program.pressCtrlC(),
    );
    assertEquals(code, 6);
    assertEquals(lines, ["up", "own listener"]);
  },
});

for (const children of ["gone", "spares"]) {
  Deno.test({
    name: `Ctrl-C ends a program as ever when its children are ${children}`,
    ignore,
    async fn() {
      const { code, signal } = await interrupted(
        [children],
        (program) => program.pressCtrlC(),
      );
      assertEquals({ code, signal }, INTERRUPTED);
    },
  });
}

/** How a program ends that has nothing but spares, and what it comes to. */
const SPARES_ENDS = { return: 0, exit: 3, throw: 1, wait: 137 };

for (const [how, code] of Object.entries(SPARES_ENDS)) {
  const words = how === "wait" ? "SIGKILL" : how;
  Deno.test({
    name: `spares do not keep a program, and do not survive it (${words})`,
    ignore,
    async fn() {
      await using program = new Program("spares_only", { args: [how] });
      assertEquals(await program.line("up"), "2");
      if (how === "wait") program.kill("SIGKILL");
      const ended = await program.end();
      assertEquals(ended.code, code);
    },
  });
}
