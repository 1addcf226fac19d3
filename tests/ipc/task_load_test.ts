// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { type AnyFunction, loadTask, type Task } from "../../ipc/_task_load.ts";
import { TaskReferenceError } from "../../ipc/errors.ts";
import * as sameText from "./fixtures/same_text.ts";
import * as targets from "./fixtures/targets.ts";
import { bounded } from "./_waits.ts";

const TARGETS = import.meta.resolve("./fixtures/targets.ts");

function exported(name: string, module = TARGETS): Task {
  return { kind: "export", module, name };
}

async function refusal(task: Task): Promise<TaskReferenceError> {
  return await assertRejects(() => bounded(loadTask(task)), TaskReferenceError);
}

Deno.test("loadTask() gives the export and its module", async () => {
  const { run, namespace } = await bounded(loadTask(exported("double")));
  assertStrictEquals(run, targets.double);
  assertStrictEquals(namespace, targets);
  const loaded = await bounded(loadTask(exported("default")));
  assertStrictEquals(loaded.run, targets.default);
});

Deno.test("loadTask() compares the text where there is one", async () => {
  const source = targets.double.toString();
  const same = await bounded(
    loadTask({ ...exported("double"), source } as Task),
  );
  assertStrictEquals(same.run, targets.double);

  const other = await bounded(loadTask({
    kind: "export",
    module: TARGETS,
    name: "double",
    source: "(n) => n + 0.5",
  }));
  assertEquals(await other.run(1), 1.5);
  assertStrictEquals(other.namespace, targets);

  const missing = await bounded(loadTask({
    kind: "export",
    module: TARGETS,
    name: "nowhere",
    source: "function nowhere() { return 'made'; }",
  }));
  assertEquals(await missing.run(), "made");
});

Deno.test("loadTask() says what the module exports instead", async () => {
  const error = await refusal(exported("trippel"));
  assert(error.message.includes('"trippel"'));
  assert(error.message.includes(TARGETS));
  assert(error.message.includes("triple"));

  const nothing = import.meta.resolve("./fixtures/exports_nothing.ts");
  const empty = await refusal(exported("double", nothing));
  assert(empty.message.includes("exports nothing"));

  // An export that is no function is none, too.
  await refusal(exported("methods"));
});

Deno.test("loadTask() does not take inherited names for exports", async () => {
  for (const name of ["toString", "constructor", "__proto__"]) {
    await refusal(exported(name));
  }
});

Deno.test("loadTask() keeps the error of a module that does not load", async () => {
  const broken = import.meta.resolve("./fixtures/throws_at_import.ts");
  const error = await refusal(exported("double", broken));
  assert(error.message.includes("no configuration"));
  assertInstanceOf(error.cause, RangeError);

  const missing = import.meta.resolve("./fixtures/does_not_exist.ts");
  const other = await refusal(exported("double", missing));
  assert(other.message.includes("does_not_exist.ts"));
  assertInstanceOf(other.cause, Error);
});

Deno.test("loadTask() finds the only export of a name and text", async () => {
  const match: Task = {
    kind: "match",
    module: TARGETS,
    name: "double",
    source: targets.double.toString(),
  };
  assertStrictEquals((await bounded(loadTask(match))).run, targets.double);
});

Deno.test("loadTask() does not choose between exports that read the same", async () => {
  const error = await refusal({
    kind: "match",
    module: import.meta.resolve("./fixtures/same_text.ts"),
    name: "scale",
    source: sameText.twice.toString(),
  });
  assert(error.message.includes('"scale"'));
  assert(error.message.includes("taskRef("));
});

async function ofSource(source: string, name = "f"): Promise<AnyFunction> {
  const task: Task = { kind: "source", name, source };
  const { run, namespace } = await bounded(loadTask(task));
  assertStrictEquals(namespace, undefined);
  return run;
}

Deno.test("loadTask() makes a function of every kind of text", async () => {
  const key = "computed";
  const methods = {
    plain(a: number, b: number) {
      return a + b;
    },
    async later(a: number, b: number) {
      return await Promise.resolve(a + b);
    },
    [key](a: number, b: number) {
      return a + b;
    },
    "with space"(a: number, b: number) {
      return a + b;
    },
    async(a: number, b: number) {
      return a + b;
    },
  };
  const functions = [
    (a: number, b: number) => a + b,
    async (a: number, b: number) => await Promise.resolve(a + b),
    function (a: number, b: number) {
      return a + b;
    },
    function named(a: number, b: number) {
      return a + b;
    },
    methods.plain,
    methods.later,
    methods["with space"],
    methods.async,
  ];
  for (const target of functions) {
    const run = await ofSource(target.toString(), target.name);
    assertEquals(await run(1, 2), 3, target.toString());
  }
});

Deno.test("loadTask() refuses a text that does not stand alone", async () => {
  for (
    const source of ["", "not a function", "[key]() { return 1; }", "42", "}"]
  ) {
    const error = await refusal({ kind: "source", name: "odd", source });
    assert(error.message.includes('"odd"'), error.message);
  }
});

Deno.test("loadTask() runs no more of a text than the function", async () => {
  const globals = globalThis as unknown as Record<string, unknown>;
  await ofSource("() => { globalThis.wasRun = true; }");
  assertEquals(globals["wasRun"], undefined);
});

Deno.test("loadTask() says which name a function of text misses", async () => {
  const { usesModule } = targets.notExported;
  const run = await ofSource(usesModule.toString(), "usesModule");
  const error = await assertRejects(
    async () => await run(1),
    TaskReferenceError,
  );
  assert(error.message.includes('"usesModule"'));
  assert(error.message.includes('"FACTOR"'));
  assertInstanceOf(error.cause, ReferenceError);
});

Deno.test("loadTask() leaves other errors of a function of text alone", async () => {
  const run = await ofSource(targets.methods.fail.toString());
  await assertRejects(async () => await run(), TypeError, "as it should");
  const tdz = await ofSource("() => { later; const later = 1; }");
  const error = await assertRejects(async () => await tdz(), ReferenceError);
  assert(!(error instanceof TaskReferenceError));
});

Deno.test("loadTask() makes functions that import what stands nowhere near", async () => {
  const run = await ofSource(
    "async (url) => Object.keys(await import(url))",
    "named",
  );
  assertEquals(await run("data:text/javascript,export const a = 1"), ["a"]);
  assert((await run("node:path") as string[]).includes("join"));
  for (const path of ["./errors.ts", "../mod.ts", "/mod.ts"]) {
    const error = await assertRejects(
      async () => await run(path),
      TaskReferenceError,
      "import.meta.resolve",
    );
    assert(error.message.includes('"named"'), error.message);
  }
  const method = await ofSource("async load(url) { return import(url); }");
  assertEquals((await method("node:path")).sep, "/");
  const missing = await assertRejects(
    async () => await run("file:///does/not/exist.ts"),
    TypeError,
  );
  assert(missing.message.includes("exist.ts"));
});
