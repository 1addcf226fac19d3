// Copyright 2026 the multitask authors. MIT license.
// Children that end by themselves, are ended, or leave something pending; and
// what they sent right before.

import { assertEquals, assertStringIncludes } from "@std/assert";
import { Program } from "./_program.ts";
import { by, type Way } from "./_ways.ts";

const ignore = Deno.build.os !== "linux";

interface Found {
  worker?: string;
  value?: unknown;
  [part: string]: unknown;
}

function lost(exitCode: number, signal: string | null) {
  return {
    error: "WorkerLostError",
    exitCode,
    signal,
    exit: { exitCode, signal },
    code: exitCode,
  };
}

function returned(value: unknown, code = 0) {
  return { value, exit: { exitCode: code, signal: null }, code };
}

Deno.test({
  name: "exit codes, signals, and what never keeps a child alive",
  ignore,
  async fn() {
    await using program = new Program("ends_early");
    const expected = {
      "exit 7": lost(7, null),
      "exit 0": lost(0, null),
      "exit 7 later": lost(7, null),
      terminate: lost(-15, "SIGTERM"),
      kill: lost(-9, "SIGKILL"),
      dispose: lost(-15, "SIGTERM"),
      stdin: returned("null"),
      "node stdin": returned("reading"),
      timers: returned(null),
      waits: returned(null),
      timer: {
        error: "RangeError",
        exit: { exitCode: 1, signal: null },
        code: 1,
      },
    };
    for (const [label, end] of Object.entries(expected)) {
      const { worker: _, ...found } = await program.report<Found>(`${label}:`);
      assertEquals(found, end as Found, label);
    }
    const { stderr } = await program.success();
    assertStringIncludes(stderr, "RangeError: In a timer");
  },
});

Deno.test({
  name: "a rejection that nobody handles is an uncaught error, " +
    "also when the target returns in the same turn",
  ignore,
  async fn() {
    await using program = new Program("ends_early");
    const { code } = await program.report<Found>("rejection:");
    const { stderr } = await program.success();
    assertEquals(code, 1);
    assertStringIncludes(stderr, "RangeError: Nobody saw it");
  },
});

const SMALL = ["first", "second", "third"];
const LARGE = [4_000_000, true];

const SENT = {
  "put, exit": { items: SMALL, code: 0 },
  "put, return": { items: SMALL, code: 0 },
  "put, throw": { items: SMALL, code: 1 },
  "put 4 MB, exit": { items: ["first", LARGE, "third"], code: 0 },
  "put 4 MB, return": { items: ["first", LARGE, "third"], code: 0 },
  "put 4 MB, throw": { items: ["first", LARGE, "third"], code: 1 },
  "put 4 MB, turn, exit": { items: [LARGE, "third"], code: 0 },
  "put 4 MB, block": { items: [LARGE, "second", "third"], code: 0 },
  "release, exit": { value: false, code: 0 },
  "release, return": { value: false, code: 0 },
  "release, throw": { value: false, code: 1 },
  "send 4 MB, exit": {
    found: ["first", LARGE, { error: "ConnectionClosedError" }],
    code: 0,
  },
};

const ways: Way[] = ["abstract", "descriptor", "directory", "port"];
for (const way of ways) {
  Deno.test({
    name: `what was sent right before the end is not lost, ` +
      `and comes once (${way} way)`,
    ignore,
    async fn() {
      await using program = new Program("ends_at_once", by(way, [way]));
      for (const [label, found] of Object.entries(SENT)) {
        assertEquals(await program.report(`${label}:`), found, label);
      }
      await program.success();
    },
  });
}

for (const way of ways) {
  Deno.test({
    name: `what was sent right before the end reaches a busy parent (${way})`,
    ignore,
    async fn() {
      const args = [way, "busy"];
      await using program = new Program("ends_at_once", by(way, args));
      assertEquals(
        await program.report("found:"),
        SENT["put 4 MB, return"],
      );
      await program.success();
    },
  });
}

for (const who of ["child", "child, exit", "main"]) {
  Deno.test({
    name: `an error that nobody awaits is told at the end (${who})`,
    ignore,
    async fn() {
      await using program = new Program("nobody_awaits", { args: [who] });
      const { code, stderr } = await program.end();
      assertStringIncludes(stderr, "InvalidStateError: Cannot release a lock");
      if (who === "main") assertEquals(code, 1);
      else assertEquals(await program.report("code"), 1);
    },
  });
}

Deno.test({
  name: "a program that a child left behind, with its descriptors, " +
    "holds nobody up",
  ignore,
  async fn() {
    await using program = new Program("leaves_program");
    assertEquals(await program.report("joined"), true);
    assertEquals(await program.report("code"), 0);
    await program.success();
  },
});
