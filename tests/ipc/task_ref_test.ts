// Copyright 2026 the multitask authors. MIT license.

import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import { isTaskRef, taskRef } from "../../ipc/task_ref.ts";

Deno.test("taskRef() names a module and an export", () => {
  const ref = taskRef("file:///app/tasks.ts", "double");
  assertEquals(ref.module, "file:///app/tasks.ts");
  assertEquals(ref.name, "double");
  assert(Object.isFrozen(ref));
});

Deno.test("taskRef() takes a URL, and the default export by itself", () => {
  const ref = taskRef(new URL("./tasks.ts", "file:///app/main.ts"));
  assertEquals(ref.module, "file:///app/tasks.ts");
  assertEquals(ref.name, "default");
});

Deno.test("taskRef() refuses what is no absolute URL or no name", () => {
  for (const module of ["./tasks.ts", "", "tasks", 1, null, {}]) {
    assertThrows(() => taskRef(module as string), TypeError, '"module"');
  }
  for (const name of ["", 1, null, {}]) {
    assertThrows(
      () => taskRef("file:///a.ts", name as string),
      TypeError,
      '"name"',
    );
  }
});

Deno.test("isTaskRef() knows references from what looks like one", () => {
  assert(isTaskRef(taskRef("file:///a.ts")));
  const lookalikes = [{ module: "file:///a.ts", name: "a" }, null, undefined];
  for (const value of [...lookalikes, () => {}, "file:///a.ts"]) {
    assertFalse(isTaskRef(value));
  }
});
