// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertStrictEquals,
} from "@std/assert";
import * as errors from "../../ipc/errors.ts";

Deno.test("errors of the package name their class and keep their cause", () => {
  assert(Object.keys(errors).length > 10);
  for (const [name, value] of Object.entries(errors)) {
    const type = value as new (
      message: string,
      options?: ErrorOptions,
    ) => Error;
    const cause = new Error("cause");
    const error = new type("what went wrong", { cause });
    assertInstanceOf(error, Error);
    assertEquals(error.name, name);
    assertFalse(Object.hasOwn(error, "name"));
    assertEquals(`${error}`, `${name}: what went wrong`);
    assertStrictEquals(error.cause, cause);
    assert(error.stack?.startsWith(`${name}: what went wrong`));
    assertFalse(Object.hasOwn(new type("x"), "cause"));
  }
});

Deno.test("errors of the package have a value for each of their fields", () => {
  assertEquals({ ...new errors.QueueFullError("x") }, { item: undefined });
  assertEquals({ ...new errors.SerializationError("x") }, { path: "" });
  assertEquals({ ...new errors.PermissionNeededError("x") }, { flag: "" });
  assertEquals({ ...new errors.RemoteError("x") }, {
    process: "",
    pid: -1,
    remoteStack: "",
  });
  assertEquals({ ...new errors.ProcessExitError("x") }, {
    process: "",
    pid: -1,
    exitCode: null,
    signal: null,
  });
  assertEquals({ ...new errors.WorkerLostError("x") }, {
    worker: "",
    pid: -1,
    exitCode: null,
    signal: null,
    stderr: "",
  });
});

Deno.test("errors of the package keep the fields they are given", () => {
  const end = { pid: 7, exitCode: 0, signal: "SIGTERM" };
  assertEquals(
    { ...new errors.ProcessExitError("x", { process: "Process-1", ...end }) },
    { process: "Process-1", ...end },
  );
  const lost = { worker: "Process-1", stderr: "last words", ...end };
  const error: object = new errors.WorkerLostError("x", lost);
  assertEquals({ ...error }, { ...lost });
  const item = { id: 1 };
  assertStrictEquals(new errors.QueueFullError("x", { item }).item, item);
});
