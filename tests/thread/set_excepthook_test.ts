// Copyright 2026 the multitask authors. MIT license.

import {
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  type ExceptHook,
  type ExceptHookArgs,
  setExcepthook,
  Thread,
} from "../../thread/mod.ts";
import { reasonOf, turn } from "../ipc/_waits.ts";
import { capturingStderr, threadTest } from "./_run.ts";
import { hookInside } from "./fixtures/hook_tasks.ts";
import * as tasks from "./fixtures/tasks.ts";

/** Runs a thread that fails under a hook; gives what is printed. */
function underHook(
  hook: ExceptHook,
  target: () => unknown = tasks.failLater,
): Promise<string> {
  return capturingStderr(async () => {
    const before = setExcepthook(hook);
    try {
      const thread = new Thread({ target, name: "it" });
      thread.start();
      assertInstanceOf(await reasonOf(thread.result), Error);
      await thread.join();
      await turn();
    } finally {
      assertStrictEquals(setExcepthook(before), hook);
    }
  });
}

threadTest(
  "setExcepthook() has its function told, and nothing printed",
  async () => {
    const seen: ExceptHookArgs[] = [];
    const stderr = await underHook((args) => seen.push(args));
    assertEquals(stderr, "");
    assertEquals(seen.length, 1);
    const { error, name, ident } = seen[0]!;
    assertInstanceOf(error, TypeError);
    assertEquals(error.message, "later");
    assertEquals(name, "it");
    assertEquals(typeof ident, "number");
  },
);

threadTest("setExcepthook() is told before the thread is joined", async () => {
  const seen: unknown[] = [];
  setExcepthook(({ error }) => seen.push((error as Error).name));
  try {
    for (const target of [tasks.failByTask, tasks.failLater]) {
      const thread = new Thread({ target: target as () => unknown });
      thread.start();
      await thread.join();
    }
    assertEquals(seen, ["TaskFailure", "TypeError"]);
  } finally {
    setExcepthook();
  }
});

threadTest("setExcepthook() is told of each error", async () => {
  const seen: unknown[] = [];
  const stderr = await underHook(
    ({ error }) => seen.push((error as Error).message),
    tasks.failTwice,
  );
  assertEquals([stderr, seen], ["", ["the first", "the second"]]);
});

threadTest("setExcepthook() survives a hook that throws", async () => {
  const stderr = await underHook(() => {
    throw new RangeError("from the hook");
  });
  assertStringIncludes(
    stderr,
    "Exception in thread it:\nRangeError: from the hook\n",
  );
  assertStringIncludes(stderr, "Exception in thread it:\nTypeError: later\n");
});

threadTest("setExcepthook() survives a hook that rejects", async () => {
  const stderr = await underHook(async () => {
    await undefined;
    throw new RangeError("from the hook");
  });
  assertStringIncludes(stderr, "RangeError: from the hook\n");
  assertStringIncludes(stderr, "TypeError: later\n");
});

threadTest("setExcepthook() without an argument prints again", async () => {
  const hook = () => {};
  assertEquals(setExcepthook(hook), undefined);
  assertStrictEquals(setExcepthook(), hook);
  assertEquals(setExcepthook(), undefined);
  const stderr = await capturingStderr(async () => {
    const thread = new Thread({ target: tasks.failLater, name: "it" });
    thread.start();
    await thread.join();
  });
  assertStringIncludes(stderr, "Exception in thread it:\nTypeError: later\n");
});

threadTest("setExcepthook() is that of the starting thread", async () => {
  const thread = new Thread({ target: hookInside });
  const seen: string[] = [];
  setExcepthook(({ name }) => seen.push(name));
  try {
    thread.start();
    assertEquals(await thread.result, ["inner: later"]);
    await thread.join();
    assertEquals(seen, []);
  } finally {
    setExcepthook();
  }
});

Deno.test("setExcepthook() takes functions only", () => {
  for (const hook of [null, 5, "hook", {}]) {
    assertThrows(() => setExcepthook(hook as never), TypeError, "function");
  }
  assertEquals(setExcepthook(), undefined);
});
