// Copyright 2026 the multitask authors. MIT license.
// Values that cannot be sent, that are large, that cannot be decoded.

import { assertEquals, assertStringIncludes } from "@std/assert";
import { Program } from "./_program.ts";
import { by } from "./_ways.ts";

const ignore = Deno.build.os !== "linux";

interface Found {
  message: string;
  [part: string]: unknown;
}

function unsendable(path: string) {
  return { error: "SerializationError", path };
}

Deno.test({
  name: "what cannot be sent fails at the call and names the path; " +
    "what cannot be returned rejects the result",
  ignore,
  async fn() {
    await using program = new Program("bad_values");
    const refused = {
      function: ["args[1].cb", "args[1].cb is a function"],
      nested: [
        'args[1].list[1].get("key").cb',
        'args[1].list[1].get("key").cb is a function',
      ],
      instance: ["args[1].user", "args[1].user is a User"],
      symbol: ["args[1][0]", "args[1][0] is a symbol"],
      promise: ["args[1].later", "args[1].later is a Promise"],
      field: ["this.log", "this.log is a function"],
    } as const;
    for (const [label, [path, words]] of Object.entries(refused)) {
      const { message, ...found } = await program.report<Found>(label);
      assertStringIncludes(message, words);
      assertEquals(found, {
        ...unsendable(path),
        pid: null,
        alive: false,
        children: 0,
        shared: 0,
      });
    }
    assertEquals(await program.report("put"), unsendable("item.cb"));
    assertEquals(await program.report("send"), unsendable("message[0].user"));
    assertEquals(await program.report("size"), 0);

    const failed = {
      giveFunction: [
        { ...unsendable("result.inner[0].cb"), code: 1 },
        "result.inner[0].cb is a function",
      ],
      giveInstance: [
        { ...unsendable('result.get("user")'), code: 1 },
        'result.get("user") is a User',
      ],
      throwUnsendable: [{ error: "RangeError", code: 1 }, "Out of it"],
      throwAnything: [{ error: "Error", code: 1 }, ""],
    } as const;
    for (const [label, [end, words]] of Object.entries(failed)) {
      const { message, ...found } = await program.report<Found>(label);
      assertStringIncludes(message, words);
      assertEquals(found, end);
    }
    const { stderr } = await program.success();
    assertStringIncludes(stderr, "result.inner[0].cb is a function");
    assertStringIncludes(stderr, "RangeError: Out of it");
  },
});

for (const way of ["abstract", "descriptor"] as const) {
  Deno.test({
    name: `64 MiB cross as an argument and as a result (${way} way)`,
    ignore,
    async fn() {
      await using program = new Program("large_values", by(way));
      assertEquals(await program.report("argument"), true);
      assertEquals(await program.report("result"), true);
      assertEquals(await program.report("exit"), [0, 0]);
      await program.success();
    },
  });
}

Deno.test({
  name: "a value that fails to decode hurts only its message",
  ignore,
  async fn() {
    await using program = new Program("undecodable", {
      flags: ["-A", "--v8-flags=--expose-gc"],
    });
    const bad = unsendable("");
    const good = { value: "next" };
    assertEquals(await program.report("received"), [
      bad,
      good,
      bad,
      good,
      bad,
      good,
    ]);
    assertEquals(await program.report("exit"), 0);
    assertEquals(await program.report("dropped"), true);
    assertEquals(await program.report("sent"), [bad, good]);
    assertEquals(await program.report("sender"), 0);
    assertEquals(await program.report("argument"), bad);
    assertEquals(await program.report("taker"), { exitCode: 1, signal: null });
    assertEquals(await program.report("result"), bad);
    assertEquals(await program.report("giver"), { exitCode: 0, signal: null });
    await program.success();
  },
});
