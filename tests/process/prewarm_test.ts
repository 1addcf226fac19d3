// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { liveResources } from "../../ipc/_live.ts";
import {
  InvalidStateError,
  Queue,
  taskRef,
  TaskReferenceError,
} from "../../ipc/mod.ts";
import { liveChildren } from "../../process/_child.ts";
import {
  activeChildren,
  type PrewarmOptions,
  Process,
  type ProcessSpawnOptions,
} from "../../process/mod.ts";
import { reasonOf } from "../ipc/_waits.ts";
import {
  fixture,
  isRunning,
  processTest,
  runFixture,
  shown,
  textOf,
  until,
} from "./_run.ts";
import * as sharedTasks from "./fixtures/shared_tasks.ts";
import * as tasks from "./fixtures/tasks.ts";

/** The pids of the children that are there, spares included. */
function pids(): number[] {
  return liveResources()
    .map((text) => /^process (\d+)$/.exec(text)?.[1])
    .filter((pid) => pid !== undefined).map(Number);
}

/** Keeps spares for a while. */
async function withSpares(
  count: number,
  options: PrewarmOptions,
  test: (spares: number[]) => Promise<void>,
): Promise<void> {
  await Process.prewarm(count, options);
  const spares = pids();
  assertEquals(spares.length, count);
  try {
    await test(spares);
  } finally {
    await Process.prewarm(0, options);
  }
  assertEquals(pids(), []);
}

processTest(
  "Process.prewarm() keeps children that a start takes",
  () =>
    withSpares(2, {}, async (spares) => {
      assertEquals(activeChildren(), []);
      const process = new Process({ target: tasks.add, args: [1, 2] });
      process.start();
      assert(spares.includes(process.pid!));
      assertEquals(activeChildren(), [process as unknown as Process]);
      assertEquals(await process.result, 3);
      await process.join();
      assertEquals(process.exitCode, 0);
      assertFalse(isRunning(process.pid!));
      // Another one has come, or comes, in its place.
      await until(() => pids().length === 2, "The spare is not replaced");
      assertFalse(pids().includes(process.pid!));
      assert(pids().includes(spares.find((pid) => pid !== process.pid)!));
    }),
);

processTest(
  "Process.prewarm() gives children that know who they are",
  () =>
    withSpares(1, {}, async ([spare]) => {
      const process = new Process({
        target: tasks.portrait,
        name: "of its own",
        daemon: true,
      });
      process.start();
      assertEquals(process.pid, spare);
      const { current, parent } = await process.result;
      assertEquals(current, { name: "of its own", pid: spare!, daemon: true });
      assertEquals(parent, { name: "MainProcess", pid: Deno.pid, alive: true });
      await process.join();
    }),
);

processTest(
  "Process.prewarm() gives children that fail as others do",
  () =>
    withSpares(2, { stderr: "piped" }, async (spares) => {
      const process = new Process({
        target: tasks.failByTask,
        name: "failing",
        stderr: "piped",
      });
      process.start();
      assert(spares.includes(process.pid!));
      const [reason, stderr] = await Promise.all([
        reasonOf(process.result),
        textOf(process.stderr),
      ]);
      assertInstanceOf(reason, tasks.TaskFailure);
      assertStringIncludes(stderr, "Process failing:\n");
      await process.join();
      assertEquals(process.exitCode, 1);

      const killed = new Process({ target: tasks.forever, stderr: "piped" });
      killed.start();
      const text = textOf(killed.stderr);
      killed.terminate();
      assertEquals((await killed.exited).exitCode, -15);
      assertEquals(await text, "");
    }),
);

processTest(
  "Process.prewarm() serves starts with the same options only",
  () => {
    const env = { MULTITASK_SPARE: "yes" };
    const name = "MULTITASK_SPARE";
    return withSpares(1, { env }, async ([spare]) => {
      const others: ProcessSpawnOptions[] = [
        {},
        { env: { MULTITASK_SPARE: "no" } },
        { env, cwd: "/" },
        { env, stdout: "null" },
        { env, permissions: "none" },
        { env, runtime: { v8Flags: ["--max-old-space-size=256"] } },
      ];
      for (const options of others) {
        const process = new Process({ target: tasks.nothing, ...options });
        process.start();
        assertNotEquals(process.pid, spare, Deno.inspect(options));
        await process.join();
      }
      const process = new Process({
        target: tasks.surroundings,
        args: [name],
        env: { ...env },
      });
      process.start();
      assertEquals(process.pid, spare);
      assertEquals((await process.result).variable, "yes");
      await process.join();
    });
  },
);

processTest(
  "Process.prewarm() gives no child whose environment is out of date",
  () =>
    withSpares(1, {}, async ([spare]) => {
      const name = "MULTITASK_LATE";
      const variable = async () => {
        const process = new Process({
          target: tasks.surroundings,
          args: [name],
        });
        process.start();
        const found = await process.result;
        await process.join();
        return [process.pid, found.variable];
      };
      try {
        Deno.env.set(name, "set");
        const [pid, set] = await variable();
        assertEquals(set, "set");
        assertNotEquals(pid, spare);
        await until(() => !isRunning(spare!), "The spare is kept");
        // Another one has come in its place, and knows of it.
        await Process.prewarm(1);
        const [next] = pids();
        assertEquals(await variable(), [next!, "set"]);
        await Process.prewarm(1);
        Deno.env.delete(name);
        assertEquals((await variable())[1], undefined);
      } finally {
        Deno.env.delete(name);
      }
    }),
);

processTest(
  "Process.prewarm() lets more start than it keeps",
  () =>
    withSpares(1, {}, async ([spare]) => {
      const processes = [1, 2, 3].map((value) => {
        const process = new Process({
          target: tasks.echo<number>,
          args: [value],
        });
        process.start();
        return process;
      });
      assertEquals(processes.filter(({ pid }) => pid === spare).length, 1);
      const results = processes.map(({ result }) => result);
      assertEquals(await Promise.all(results), [1, 2, 3]);
      for (const process of processes) await process.join();
    }),
);

processTest(
  "Process.prewarm() does without a spare that has died",
  () =>
    withSpares(2, {}, async ([dead, alive]) => {
      Deno.kill(dead!, "SIGKILL");
      await until(() => !pids().includes(dead!), "The spare does not go");
      const process = new Process({ target: tasks.add, args: [1, 1] });
      process.start();
      assertEquals(process.pid, alive);
      assertEquals(await process.result, 2);
      await process.join();
    }),
);

processTest("Process.prewarm() changes how many it keeps", async () => {
  await Process.prewarm(1);
  const [first] = pids();
  await Process.prewarm(3);
  assertEquals(pids().length, 3);
  assert(pids().includes(first!));
  const all = pids();
  await Process.prewarm(1);
  assertEquals(pids().length, 1);
  assertEquals(all.filter(isRunning).length, 1);
  await Process.prewarm(0);
  assertEquals(pids(), []);
  await Process.prewarm(0);
  const process = new Process({ target: tasks.add, args: [1, 2] });
  process.start();
  assertFalse(all.includes(process.pid!));
  await process.join();
});

processTest(
  "Process.prewarm() in a program does not keep it alive",
  async () => {
    const result = await runFixture("prewarm.ts");
    assertEquals(result.code, 0, shown(result));
    assertEquals(result.stdout, "3 of a spare: true\nend\n");
  },
);

processTest("Process.prewarm() refuses what it cannot keep", async () => {
  for (const count of [-1, 1.5, NaN, Infinity]) {
    await assertRejects(() => Process.prewarm(count), RangeError);
  }
  for (const count of ["1", null, undefined]) {
    await assertRejects(
      () => Process.prewarm(count as unknown as number),
      TypeError,
    );
  }
  for (const permissions of ["none", "exact"] as const) {
    await assertRejects(
      () => Process.prewarm(1, { permissions }),
      InvalidStateError,
      "Cannot prewarm",
    );
  }
  for (const preload of ["./tasks.ts", "file:///a.ts", [1], ["./tasks.ts"]]) {
    await assertRejects(
      () => Process.prewarm(1, { preload: preload as string[] }),
      TypeError,
      'Cannot prewarm: "preload',
    );
  }
  const runtime = { config: "/no/such/deno.json" };
  await assertRejects(
    () => Process.prewarm(1, { runtime, stderr: "null" }),
    InvalidStateError,
    "ended at its start",
  );
  await Process.prewarm(0, { runtime, stderr: "null" });
  assertEquals(pids(), []);
});

/** A module whose top level does something. */
function acting(act: string): string {
  return `${fixture("preloaded.ts")}?act=${act}`;
}

processTest("Process.prewarm() gives children that have loaded modules", () => {
  const module = fixture("preloaded.ts");
  const loaders = async () => {
    const process = new Process({
      target: taskRef<[], [string, string]>(module, "loaders"),
      name: "taker",
    });
    process.start();
    const [found] = await Promise.all([process.result, process.join()]);
    return { pid: process.pid, found };
  };
  return withSpares(1, { preload: [new URL(module)] }, async ([spare]) => {
    assertEquals(await loaders(), { pid: spare!, found: ["spare", "taker"] });
    // The one in its place has loaded it too.
    await Process.prewarm(1, { preload: [module] });
    assertEquals((await loaders()).found, ["spare", "taker"]);
    // Without, others are kept.
    await Process.prewarm(1);
    assertEquals((await loaders()).found, ["taker", "taker"]);
  });
});

processTest("Process.prewarm() tells why a module does not load", async () => {
  const module = acting("throw");
  const error = await assertRejects(
    () => Process.prewarm(1, { preload: [fixture("tasks.ts"), module] }),
    TaskReferenceError,
    `Cannot load the task's module ${module}: RangeError: not today`,
  );
  assertEquals(error.name, "TaskReferenceError");
  // It waits all the same, and other tasks are none the worse for it.
  const [spare] = pids();
  const process = new Process({ target: tasks.add, args: [1, 2] });
  process.start();
  assertEquals(process.pid, spare);
  assertEquals(await process.result, 3);
  await process.join();
  await Process.prewarm(0);
});

processTest(
  "Process.prewarm() does not start again what a module has ended",
  async () => {
    await assertRejects(
      () => Process.prewarm(1, { preload: [acting("exit")] }),
      InvalidStateError,
      "ended at its start",
    );
    assertEquals(pids(), []);
    // Longer than it would take to start another one in its place.
    await new Promise((resolve) => setTimeout(resolve, 100));
    assertEquals(pids(), []);
    await Process.prewarm(0);
  },
);

processTest(
  "Process.prewarm() lets a module that is preloaded start nothing",
  async () => {
    const guard = 'put the start under "if (import.meta.main) { ... }"';
    await assertRejects(
      () => Process.prewarm(1, { preload: [acting("start")] }),
      TaskReferenceError,
      guard,
    );
    const later = acting("startLater");
    await Process.prewarm(1, { preload: [later] });
    const process = new Process({
      target: taskRef<[], string>(later, "whyRefused"),
    });
    process.start();
    assertStringIncludes(await process.result, guard);
    await process.join();
    await Process.prewarm(0);
  },
);

processTest(
  "Process.prewarm() gives up a module that does not get done",
  async () => {
    const options = { preload: [acting("hang")], startTimeout: 1000 };
    await assertRejects(
      () => Process.prewarm(1, options),
      InvalidStateError,
      "ended at its start",
    );
    await Process.prewarm(0, options);
    assertEquals(pids(), []);
  },
);

processTest(
  "Process.prewarm() lets a child be taken while it is prepared",
  async () => {
    const prewarmed = Process.prewarm(1, {
      preload: [fixture("preloaded.ts")],
    });
    const [spare] = liveChildren;
    assert(await spare!.connected);
    using queue = new Queue<number>();
    const process = new Process({
      target: sharedTasks.putAll<number>,
      args: [queue, [7]],
    });
    process.start();
    assertEquals(process.pid, spare!.pid);
    assertEquals(await queue.get(), 7);
    await process.join();
    assertEquals(process.exitCode, 0);
    await prewarmed;
    await Process.prewarm(0);
    assertEquals(pids(), []);
  },
);

processTest("Process.prewarm() may be taken back at any time", async () => {
  const prewarmed = Process.prewarm(2);
  await Process.prewarm(0);
  await prewarmed;
  assertEquals(pids(), []);
});
