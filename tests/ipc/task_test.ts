// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  callerFiles,
  checkTarget,
  fileUrl,
  isOwnModule,
  localPath,
  locateClass,
  locateTask,
  preloadFor,
} from "../../ipc/_task.ts";
import { type AnyFunction, loadTask } from "../../ipc/_task_load.ts";
import { TaskReferenceError } from "../../ipc/errors.ts";
import { taskRef } from "../../ipc/task_ref.ts";
import { checkedImports } from "./fixtures/imports_targets.ts";
import * as targets from "./fixtures/targets.ts";
import { checked } from "./fixtures/targets.ts";
import { bounded } from "./_waits.ts";

const TARGETS = import.meta.resolve("./fixtures/targets.ts");

// ---- What is checked at the call ----

Deno.test("checkTarget() refuses what is no function", () => {
  for (const target of [undefined, null, 1, "double", {}, [], Symbol()]) {
    assertThrows(
      () => checkTarget("start process", target as unknown as () => void),
      TypeError,
      'Cannot start process: "target" must be a function or a taskRef()',
    );
  }
});

Deno.test("checkTarget() refuses functions without a source, and classes", () => {
  const bound = targets.double.bind(null);
  const cases: [AnyFunction, string][] = [
    [bound, "bound"],
    [Math.max, "native"],
    [console.log.bind(console), "bound"],
    [new Proxy(targets.double, {}), "native"],
    [targets.Calculator, "is a class"],
    [class extends targets.Calculator {}, "is a class"],
  ];
  for (const [target, what] of cases) {
    assertThrows(
      () => checkTarget("run", target as () => void),
      TaskReferenceError,
      what,
    );
  }
});

Deno.test("checkTarget() takes references and functions of every kind", () => {
  const ref = taskRef(TARGETS, "double");
  assertStrictEquals(checkTarget("run", ref).target, ref);
  assertEquals(checkTarget("run", ref).files, []);
  const { shout } = targets.methods;
  for (
    const target of [
      targets.double,
      targets.triple,
      targets.quadruple,
      shout,
      () => 1,
      // A class in the text alone does not make it one.
      function classify() {},
    ] as (() => unknown)[]
  ) {
    assertStrictEquals(checkTarget("run", target).target, target);
  }
});

Deno.test("checkTarget() knows the files on the stack, the caller first", () => {
  assertEquals(checkTarget("run", () => 1).files[0], import.meta.url);
  const { files } = checked(() => 1);
  assertEquals(files[0], TARGETS);
  assert(files.includes(import.meta.url));
});

Deno.test("callerFiles() leaves the settings of stacks as they were", () => {
  const settings = Error as unknown as Record<string, unknown>;
  const before = [settings["stackTraceLimit"], settings["prepareStackTrace"]];
  const prepare = () => "prepared";
  try {
    settings["stackTraceLimit"] = 1;
    settings["prepareStackTrace"] = prepare;
    assertEquals(callerFiles()[0], import.meta.url);
    assertEquals(settings["stackTraceLimit"], 1);
    assertStrictEquals(settings["prepareStackTrace"], prepare);
  } finally {
    [settings["stackTraceLimit"], settings["prepareStackTrace"]] = before;
  }
});

Deno.test("callerFiles() finds the caller behind many frames", () => {
  const deeper = (levels: number): string[] =>
    levels === 0 ? callerFiles() : [...deeper(levels - 1)];
  assertEquals(deeper(40)[0], import.meta.url);
  assertEquals(deeper(200)[0], import.meta.url);
});

Deno.test("callerFiles() leaves the package's own modules out", () => {
  const own = import.meta.resolve("../../ipc/_task.ts");
  assert(isOwnModule(own));
  assertFalse(callerFiles().includes(own));
});

Deno.test("isOwnModule() knows the published folders alone", () => {
  const resolve = (path: string) => import.meta.resolve(`../../${path}`);
  for (const path of ["mod.ts", "ipc/mod.ts", "process/_main.ts"]) {
    assert(isOwnModule(resolve(path)), path);
  }
  for (const path of ["main.ts", "tests/ipc/a.ts", "ipc.ts", "ipcs/mod.ts"]) {
    assertFalse(isOwnModule(resolve(path)), path);
  }
  for (
    const url of ["https://example.com/ipc/mod.ts", "file:///ipc/mod.ts", ""]
  ) {
    assertFalse(isOwnModule(url), url);
  }
});

Deno.test("fileUrl() gives a URL whose path is the file's", () => {
  const names = ["a.ts", "with space", "ü", "100%", "a#b", "a?b", "%20", "a+b"];
  for (const name of names) {
    const path = Deno.build.os === "windows" ? `C:\\x\\${name}` : `/x/${name}`;
    const url = fileUrl(path);
    assert(url.startsWith("file:///"), url);
    assertEquals(localPath(new URL(url)), path);
  }
  for (const path of ["", "relative/a.ts", "a.ts", "ext:core/x.js"]) {
    assertEquals(fileUrl(path), "");
  }
});

// ---- How a function is named ----

Deno.test("locateTask() takes a reference as it is", async () => {
  const call = checkTarget("run", taskRef(TARGETS, "double"));
  assertEquals(await bounded(locateTask(call)), {
    kind: "export",
    module: TARGETS,
    name: "double",
  });
});

Deno.test("locateTask() names what the calling module exports", async () => {
  const cases: [AnyFunction, string][] = [
    [targets.double, "double"],
    [targets.triple, "triple"],
    [targets.quadruple, "quadruple"],
    [targets.countTo, "countTo"],
    [targets.default, "default"],
    [targets.minusOne, "minusOne"],
  ];
  for (const [target, name] of cases) {
    const task = await bounded(locateTask(checked(target as () => unknown)));
    assertEquals(task, {
      kind: "export",
      module: TARGETS,
      name,
      source: target.toString(),
    });
  }
});

Deno.test("locateTask() names what the calling module imports", async () => {
  const module = import.meta.resolve("./fixtures/imported.ts");
  for (const [name, call] of Object.entries(checkedImports())) {
    const task = await bounded(locateTask(call));
    assertEquals(task, { kind: "export", module, name });
  }
});

Deno.test("locateTask() gives the same answer for the same function", async () => {
  const first = locateTask(checked(targets.double));
  assertStrictEquals(locateTask(checked(targets.double)), first);
  await bounded(first);
});

Deno.test("locateTask() tells functions of one name apart", async () => {
  const outer = await bounded(locateTask(checked(targets.twin)));
  assert(outer.kind === "export");
  assertEquals((await loadTask(outer)).run(), "outer");

  const inner = await bounded(locateTask(checked(targets.innerTwin())));
  assertEquals(await (await loadTask(inner)).run(), "inner");
});

Deno.test("locateTask() tells a method from the export of its name", async () => {
  const { double } = new targets.Calculator();
  const task = await bounded(locateTask(checked(double)));
  const { run } = await bounded(loadTask(task));
  assertEquals(await run(4), 8);
  assert(run !== targets.double);
});

Deno.test("locateTask() finds a variable's value, not its text", async () => {
  const before = targets.changing;
  targets.change();
  const task = await bounded(locateTask(checked(targets.changing)));
  assertEquals(await (await loadTask(task)).run(), "after");
  const old = await bounded(locateTask(checked(before)));
  assertEquals(await (await loadTask(old)).run(), "before");
});

Deno.test("locateTask() refuses a function that captures a call's variables", async () => {
  const error = await assertRejects(
    () => bounded(locateTask(checked(targets.times(5)))),
    TaskReferenceError,
  );
  assert(error.message.includes('"factor"'), error.message);
});

Deno.test("locateTask() sends the text of what no module exports", async () => {
  const { hidden } = targets.notExported;
  const task = await bounded(locateTask(checked(hidden)));
  assertEquals(task, {
    kind: "match",
    module: TARGETS,
    name: "hidden",
    source: hidden.toString(),
  });
  const { run, namespace } = await bounded(loadTask(task));
  assertEquals(await run(1), 101);
  assertStrictEquals(namespace?.["double"], targets.double);
});

Deno.test("locateTask() sends the text of an anonymous function", async () => {
  const [target] = targets.anonymous;
  const task = await bounded(locateTask(checked(target)));
  assertEquals(task, { kind: "source", name: "", source: target.toString() });
  assertEquals(await (await loadTask(task)).run(1), 1001);
});

Deno.test("locateClass() names the exported class", async () => {
  const { Calculator } = targets;
  const place = { kind: "method", module: TARGETS, name: "Calculator" };
  // Written down in the calling module, or imported by it.
  for (const file of [TARGETS, import.meta.url]) {
    assertEquals(await bounded(locateClass(Calculator, [file])), place);
  }
});

Deno.test("locateClass() refuses a class that captures a call's variables", async () => {
  const make = (step: number) =>
    class Counter {
      next(n: number): number {
        return n + step;
      }
    };
  await assertRejects(
    () => bounded(locateClass(make(2), [import.meta.url])),
    TaskReferenceError,
    '"Counter"',
  );
});

Deno.test("preloadFor() names the module to load first", () => {
  const ref = taskRef("file:///app/tasks.ts", "double");
  assertEquals(preloadFor(checkTarget("run", ref)), "file:///app/tasks.ts");
  assertEquals(preloadFor(checked(targets.double)), TARGETS);
});
