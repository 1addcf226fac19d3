// Copyright 2026 the multitask authors. MIT license.

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  $,
  CalledProcessError,
  pipeline,
  TimeoutExpired,
} from "../../subprocess/mod.ts";
import { commandTest } from "./_commands.ts";

commandTest(
  "$ passes each value as one argument, whatever is in it",
  async () => {
    const values = [
      "",
      " ",
      "a b",
      "'",
      '"',
      "$HOME",
      "`id`",
      "*",
      "; rm",
      "\\",
      "\n",
      "ä\u{1f600}",
      "-n",
    ];
    for (const value of values) {
      const { stdout } = await $`printf ${"%s|"} ${value} end`;
      assertEquals(stdout, `${value}|end|`);
    }
    const { stdout } = await $`printf ${"%s|"} ${values}`;
    assertEquals(stdout, values.map((value) => `${value}|`).join(""));
  },
);

Deno.test("$.args takes templates apart", () => {
  assertEquals(
    $.args`a b
   c
`,
    ["a", "b", "c"],
  );
  assertEquals($.args`a 'b c' "d e"`, ["a", "b c", "d e"]);
  assertEquals($.args`a '' "it's" a\ b`, ["a", "", "it's", "a b"]);
  assertEquals($.args`x --n=${5} ${1n}${true} ${"a b"}c`, [
    "x",
    "--n=5",
    "1true",
    "a bc",
  ]);
  assertEquals($.args`x "${"a'b"} ${1}"`, ["x", "a'b 1"]);
  assertEquals($.args`x ${[]} ${["a", 1]} y`, ["x", "a", "1", "y"]);
  assertEquals($.args`x ${new URL("file:///a%20b")} ${new URL("http://h/")}`, [
    "x",
    "/a b",
    "http://h/",
  ]);
  assertEquals($.args`${"a b"} 'x;y' "q\"q"`, ["a b", "x;y", 'q"q']);
});

Deno.test("$ refuses what only a shell would understand", () => {
  for (
    const run of [
      () => $.args`a | b`,
      () => $.args`a > b`,
      () => $.args`a && b`,
      () => $.args`ls *.ts`,
      () => $.args`a; b`,
      () => $.args`a 'b`,
      () => $.args`a --x=${["b"]}`,
      () => $.args`a "${["b"]}"`,
      // deno-lint-ignore no-explicit-any
      () => $.args`a ${undefined as any}`,
      // deno-lint-ignore no-explicit-any
      () => $.args`a ${{} as any}`,
    ]
  ) assertThrows(run, TypeError);
});

commandTest("$ checks the exit code, and takes options", async () => {
  await assertRejects(() => $`false`, CalledProcessError);
  assertEquals((await $({ check: false })`sh -c 'exit 3'`).returncode, 3);
  assertEquals(
    (await $({ input: "in" })({ cwd: "/" })`sh -c 'cat; pwd'`).stdout,
    "in/\n",
  );
  await assertRejects(() => $({ timeout: 50 })`sleep 60`, TimeoutExpired);
  await assertRejects(() => $``, TypeError);
  const piped = await pipeline($.args`echo ${"a b"}`, $.args`cat`, {
    captureOutput: true,
    text: true,
  });
  assertEquals(piped.stdout, "a b\n");
});
