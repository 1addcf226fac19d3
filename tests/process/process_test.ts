// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertGreater,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  ClosedError,
  Event,
  InvalidStateError,
  Queue,
  RemoteError,
  SerializationError,
  taskRef,
  TaskReferenceError,
  wait,
  type Waitable,
  WorkerLostError,
} from "../../ipc/mod.ts";
import { liveResources } from "../../ipc/_live.ts";
import {
  activeChildren,
  cpuCount,
  currentProcess,
  getpid,
  getppid,
  parentProcess,
  Process,
  type ProcessOptions,
} from "../../process/mod.ts";
import { reasonOf } from "../ipc/_waits.ts";
import {
  fixture,
  isRunning,
  processTest,
  reported,
  runFixture,
  shown,
  textOf,
  until,
} from "./_run.ts";
import * as tasks from "./fixtures/tasks.ts";

/** Runs a task to its end, its stderr apart. */
async function failing<A extends unknown[]>(
  target: (...args: A) => unknown,
  args: NoInfer<A>,
): Promise<{ process: Process<A>; reason: unknown; stderr: string }> {
  const process = new Process<A>({ target, args, stderr: "piped" });
  process.start();
  const [reason, stderr] = await Promise.all([
    reasonOf(process.result),
    textOf(process.stderr),
  ]);
  await process.join();
  return { process, reason, stderr };
}

// ---- Start and end ----

processTest("Process runs its target and gives the result", async () => {
  const process = new Process({ target: tasks.add, args: [1, 2] });
  assertEquals(process.pid, null);
  assertEquals(process.exitCode, null);
  assertFalse(process.isAlive());
  assertEquals(process.start(), undefined);
  const { pid } = process;
  assertGreater(pid!, 0);
  assert(process.isAlive());
  assertEquals(process.exitCode, null);
  assertEquals(await process.result, 3);
  assertEquals(await process.join(), true);
  assertFalse(process.isAlive());
  assertEquals(process.exitCode, 0);
  assertEquals(process.pid, pid);
  assertEquals(await process.exited, { exitCode: 0, signal: null });
  assertEquals(await process.join(), true);
  assertFalse(isRunning(pid!));
});

processTest("Process without a target ends with code 0", async () => {
  const process = new Process();
  process.start();
  assertEquals(await process.result, undefined);
  assertEquals(await process.exited, { exitCode: 0, signal: null });
});

processTest("Process carries what structured clone carries", async () => {
  const cycle: Record<string, unknown> = { list: [1n, , "😀"] };
  cycle.self = cycle;
  const value = {
    map: new Map<unknown, unknown>([[new Date(5), new Set([NaN, -0])]]),
    bytes: new Uint8Array([1, 2, 3]),
    pattern: /a+/gi,
    nothing: undefined,
    cycle,
  };
  const process = new Process({ target: tasks.echo, args: [value] });
  process.start();
  assertEquals(await process.result, value);
  await process.join();
});

Deno.test("Process takes only arguments that fit its target", () => {
  // @ts-expect-error the second argument is a number
  new Process({ target: tasks.add, args: [1, "2"] });
  const process = new Process({ target: tasks.add, args: [1, 2] });
  const typed: Promise<number> = process.result;
  assertInstanceOf(typed, Promise);
});

processTest("Process is named as in Python", async () => {
  const names = await reported(await runFixture("names.ts"));
  assertEquals(names, {
    own: "MainProcess",
    made: ["Process-1", "chosen", "Worker-3", "Process-4"],
    last: "Process-5",
    first: {
      own: "Process-1",
      made: ["Process-1:1", "Worker-1:2"],
      third: { own: "third", made: ["Process-1:3:1"] },
    },
    chosen: {
      own: "chosen",
      made: ["Process-2:1", "Worker-2:2"],
      third: { own: "third", made: ["Process-2:3:1"] },
    },
    worker: { own: "Worker-3", made: ["Process-3:1"] },
    renamed: { own: "later", made: ["Process-4:1"] },
  });
});

processTest("Process.start() throws the second time", async () => {
  const process = new Process({ target: tasks.nothing });
  process.start();
  const { pid } = process;
  assertThrows(() => process.start(), InvalidStateError, "started before");
  await process.join();
  assertThrows(() => process.start(), InvalidStateError, "started before");
  assertEquals(process.pid, pid);
});

processTest(
  "Process.start() throws for what cannot be sent, and starts nothing",
  async () => {
    const live = liveResources();
    const process = new Process({
      target: tasks.echo<unknown>,
      args: [{ cb: () => {} }],
    });
    const error = assertThrows(() => process.start(), SerializationError);
    assertEquals(error.path, "args[0].cb");
    assertStringIncludes(error.message, "args[0].cb is a function");
    assertEquals(process.pid, null);
    assertEquals(liveResources(), live);
    assertEquals(activeChildren(), []);
    await Promise.resolve();
  },
);

processTest(
  "Process.result rejects when the result cannot be sent",
  async () => {
    const { process, reason, stderr } = await failing(tasks.sendFunction, []);
    assertInstanceOf(reason, SerializationError);
    assertEquals(reason.path, "result.list[1]");
    assertEquals(process.exitCode, 1);
    assertStringIncludes(stderr, "result.list[1] is a function");
  },
);

processTest(
  "Process.result and exited reject when the start throws",
  async () => {
    const args: [unknown] = [() => {}];
    const process = new Process({ target: tasks.echo<unknown>, args });
    const [result, exited] = [process.result, process.exited];
    const error = assertThrows(() => process.start(), SerializationError);
    assertStrictEquals(await reasonOf(result), error);
    assertStrictEquals(await reasonOf(exited), error);
    // Each start has promises of its own.
    const again = process.result;
    const other = assertThrows(() => process.start(), SerializationError);
    assertStrictEquals(await reasonOf(again), other);
    args[0] = 5;
    const ended = process.exited;
    process.start();
    assertEquals(await process.result, 5);
    assertEquals((await ended).exitCode, 0);
  },
);

processTest(
  "Process.result and exited reject when it is closed without a start",
  async () => {
    for (const disposed of [false, true]) {
      const process = new Process({ target: tasks.nothing, name: "unused" });
      const early = [process.result, process.exited];
      if (disposed) await process[Symbol.asyncDispose]();
      else process.close();
      for (const promise of [...early, process.result, process.exited]) {
        const reason = await reasonOf(promise as Promise<unknown>);
        assertInstanceOf(reason, ClosedError);
        assertStringIncludes(reason.message, '"unused" was closed before');
      }
    }
    const over = new Process({ target: tasks.add, args: [1, 2] });
    over.start();
    await over.join();
    over.close();
    assertEquals(await over.result, 3);
    assertEquals((await over.exited).exitCode, 0);
  },
);

// ---- join, wait, close ----

processTest(
  "Process.join() resolves to false when its time is over",
  async () => {
    const go = new Event();
    const process = new Process({ target: tasks.waitFor, args: [go] });
    process.start();
    assertEquals(await process.join({ timeout: 0 }), false);
    assertEquals(await process.join({ timeout: 1 }), false);
    assert(process.isAlive());
    go.set();
    assertEquals(await process.join({ timeout: 20_000 }), true);
    assertEquals(await process.join({ timeout: 0 }), true);
    assertEquals(await process.result, "went");
  },
);

processTest(
  "Process.join() ends with the signal and leaves the process alone",
  async () => {
    const go = new Event();
    const process = new Process({ target: tasks.waitFor, args: [go] });
    process.start();
    const reason = new Error("enough");
    const before = AbortSignal.abort(reason);
    assertStrictEquals(
      await reasonOf(process.join({ signal: before })),
      reason,
    );
    const during = new AbortController();
    const joined = reasonOf(process.join({ signal: during.signal }));
    during.abort(reason);
    assertStrictEquals(await joined, reason);
    assert(process.isAlive());
    const after = new AbortController();
    const ended = process.join({ signal: after.signal });
    go.set();
    assertEquals(await ended, true);
    after.abort();
    assertEquals(process.exitCode, 0);
  },
);

processTest("Process cannot be joined or ended before its start", async () => {
  const process = new Process({ target: tasks.nothing });
  await assertRejects(() => process.join(), InvalidStateError, "not started");
  await assertRejects(() => process.join({ timeout: 0 }), InvalidStateError);
  await assertRejects(() => wait([process]), InvalidStateError);
  for (const name of ["terminate", "kill", "interrupt"] as const) {
    assertThrows(() => process[name](), InvalidStateError, "not started");
  }
  assertFalse(process.isAlive());
});

processTest("Process.join() checks its options", async () => {
  await using process = new Process({ target: tasks.nothing });
  process.start();
  for (const timeout of [-1, NaN, Infinity]) {
    await assertRejects(() => process.join({ timeout }), RangeError);
  }
  for (const timeout of ["1", null]) {
    await assertRejects(
      () => process.join({ timeout: timeout as unknown as number }),
      TypeError,
    );
  }
  const signal = {} as AbortSignal;
  await assertRejects(() => process.join({ signal }), TypeError);
});

processTest("wait() includes processes that have ended", async () => {
  const go = new Event();
  const slow = new Process({ target: tasks.waitFor, args: [go] });
  const quick = new Process({ target: tasks.nothing });
  const set = new Event();
  slow.start();
  quick.start();
  assertEquals(await wait<Waitable>([quick, set]), [quick]);
  assertEquals(await wait([slow, quick]), [quick]);
  set.set();
  assertEquals(await wait<Waitable>([slow, set]), [set]);
  go.set();
  assertEquals(await wait([slow]), [slow]);
  assertEquals(await wait([quick, slow]), [quick, slow]);
});

processTest(
  "Process.close() wants an ended process and ends its use",
  async () => {
    const go = new Event();
    const process = new Process({ target: tasks.waitFor, args: [go] });
    process.start();
    assertThrows(() => process.close(), InvalidStateError, "still running");
    assert(process.isAlive());
    go.set();
    await process.join();
    process.close();
    process.close();
    await assertRejects(() => process.join(), ClosedError);
    const members = ["start", "terminate", "kill", "interrupt", "isAlive"];
    for (const name of members as "start"[]) {
      assertThrows(() => process[name](), ClosedError, process.name);
    }
    const unused = new Process({ target: tasks.nothing });
    unused.close();
    assertThrows(() => unused.start(), ClosedError);
  },
);

// ---- Ending a process ----

processTest("Process.terminate() ends a busy loop with -15", async () => {
  const ready = new Event();
  const process = new Process({ target: tasks.announceAndLoop, args: [ready] });
  process.start();
  await ready.wait();
  process.terminate();
  assertEquals(await process.exited, { exitCode: -15, signal: "SIGTERM" });
  assertEquals(process.exitCode, -15);
  const reason = await reasonOf(process.result);
  assertInstanceOf(reason, WorkerLostError);
  assertEquals(reason.worker, process.name);
  assertEquals(reason.pid, process.pid);
  assertEquals(reason.exitCode, -15);
  assertEquals(reason.signal, "SIGTERM");
  assertStringIncludes(reason.message, process.name);
  assertStringIncludes(reason.message, "SIGTERM");
  process.terminate();
  process.kill();
  process.interrupt();
});

processTest("Process.kill() ends the process with -9", async () => {
  const ready = new Event();
  const process = new Process({ target: tasks.announce, args: [ready] });
  process.start();
  await ready.wait();
  process.kill();
  assertEquals(await process.join(), true);
  assertEquals(process.exitCode, -9);
  assertEquals((await process.exited).signal, "SIGKILL");
  const reason = await reasonOf(process.result);
  assertInstanceOf(reason, WorkerLostError);
  assertEquals([reason.exitCode, reason.signal], [-9, "SIGKILL"]);
});

processTest("Process.kill() works right after the start", async () => {
  const process = new Process({ target: tasks.forever });
  process.start();
  process.kill();
  assertEquals(await process.exited, { exitCode: -9, signal: "SIGKILL" });
});

processTest(
  "Process.interrupt() aborts currentProcess().signal in the child",
  async () => {
    const ready = new Event();
    const process = new Process({
      target: tasks.untilInterrupted,
      args: [ready],
    });
    process.start();
    await ready.wait();
    process.interrupt();
    assertEquals(await process.result, "AbortError");
    assertEquals((await process.exited).exitCode, 0);
    assertFalse(currentProcess().signal.aborted);
  },
);

processTest(
  "Process.interrupt() reaches a child that has not come up",
  async () => {
    const process = new Process({
      target: tasks.untilInterrupted,
      args: [new Event()],
    });
    process.start();
    process.interrupt();
    process.interrupt();
    assertEquals(await process.result, "AbortError");
    await process.join();
  },
);

processTest("Process ends when its signal is aborted", async () => {
  const ready = new Event();
  const controller = new AbortController();
  const process = new Process({
    target: tasks.announce,
    args: [ready],
    signal: controller.signal,
  });
  process.start();
  await ready.wait();
  const reason = new Error("stop it");
  controller.abort(reason);
  assertStrictEquals(await reasonOf(process.result), reason);
  assertEquals(await process.exited, { exitCode: -15, signal: "SIGTERM" });
});

processTest("Process does not start when its signal is aborted", async () => {
  const reason = new Error("too late");
  const process = new Process({
    target: tasks.nothing,
    signal: AbortSignal.abort(reason),
  });
  assertStrictEquals(assertThrows(() => process.start()), reason);
  assertEquals(process.pid, null);
  assertEquals(liveResources(), []);
  await Promise.resolve();
});

processTest(
  "Process keeps its result when the signal is aborted later",
  async () => {
    const controller = new AbortController();
    const process = new Process({
      target: tasks.add,
      args: [2, 2],
      signal: controller.signal,
    });
    process.start();
    await process.join();
    controller.abort();
    assertEquals(await process.result, 4);
    assertEquals(process.exitCode, 0);
  },
);

processTest("Process ends at the end of an await using block", async () => {
  const ready = new Event();
  let disposed: Process<[Event], never>;
  {
    await using process = new Process({
      target: tasks.announce,
      args: [ready],
    });
    disposed = process;
    process.start();
    await ready.wait();
  }
  assertEquals(disposed.exitCode, -15);
  assertThrows(() => disposed.isAlive(), ClosedError);
  await disposed[Symbol.asyncDispose]();

  await using _unused = new Process({ target: tasks.nothing });
  await using over = new Process({ target: tasks.nothing });
  over.start();
  await over.join();
});

// ---- Daemons ----

processTest("Process.daemon can be set before the start", async () => {
  const process = new Process({ target: tasks.portrait });
  assertFalse(process.daemon);
  process.daemon = true;
  assert(process.daemon);
  process.start();
  assertThrows(() => process.daemon = false, InvalidStateError, "started");
  assert(process.daemon);
  assert((await process.result).current.daemon);
  await process.join();
  assertThrows(() => process.daemon = false, InvalidStateError);
});

processTest("Process that is a daemon may not start processes", async () => {
  const process = new Process({
    target: tasks.startChild,
    daemon: true,
    stderr: "null",
  });
  process.start();
  const reason = await reasonOf(process.result);
  assertInstanceOf(reason, InvalidStateError);
  assertStringIncludes(reason.message, "daemons may not have children");
  await process.join();
  assertEquals(process.exitCode, 1);
});

processTest(
  "Process that is a daemon ends with the program, others are waited for",
  async () => {
    const result = await runFixture("daemons.ts");
    assertEquals(result.code, 0, shown(result));
    const lines = result.stdout.trimEnd().split("\n");
    assertEquals(lines, ["end of the main module", "the other one is done"]);
  },
);

processTest(
  "Process that is a daemon is waited for by whoever awaits it",
  async () => {
    const awaited = await reported(await runFixture("await_daemon.ts"));
    assertEquals(awaited, {
      result: "ok",
      joined: true,
      exited: { exitCode: 0, signal: null },
      waited: 1,
    });
  },
);

processTest(
  "Process in a child ends after that one's children, and ends its daemons",
  async () => {
    const go = new Event();
    const out = new Queue<string>();
    const process = new Process({ target: tasks.leaveChild, args: [go, out] });
    process.start();
    assertEquals(await process.result, "returned");
    assertEquals(await process.join({ timeout: 0 }), false);
    assert(process.isAlive());
    go.set();
    await process.join();
    assertEquals(await out.getNowait(), "grandchild");
    assertEquals(process.exitCode, 0);

    const parent = new Process({ target: tasks.leaveDaemon });
    parent.start();
    const pid = await parent.result;
    await parent.join();
    await until(() => !isRunning(pid), "The daemon is left");
  },
);

processTest("Process is not held by timers that are left over", async () => {
  const process = new Process({ target: tasks.leaveTimers, stdout: "piped" });
  process.start();
  assertEquals(await process.result, "done");
  assertEquals(await textOf(process.stdout), "");
  await process.join();
  assertEquals(process.exitCode, 0);
});

// ---- Surroundings ----

processTest("Process writes where stdout and stderr say", async () => {
  const process = new Process({
    target: tasks.speak,
    stdout: "piped",
    stderr: "piped",
  });
  assertEquals([process.stdout, process.stderr], [null, null]);
  process.start();
  const [stdout, stderr] = await Promise.all([
    textOf(process.stdout),
    textOf(process.stderr),
  ]);
  assertEquals([stdout, stderr], ["to stdout\n", "to stderr\n"]);
  await process.join();

  const result = await runFixture("speak.ts");
  assertEquals(result.code, 0, shown(result));
  assertEquals(result.stdout, "to stdout\n[true,true]\n");
  assertEquals(result.stderr, "to stderr\n");
});

processTest(
  "Process adds env to the environment and starts in cwd",
  async () => {
    const folder = await Deno.realPath(await Deno.makeTempDir());
    const url = new URL(`file://${folder}/`);
    const name = "MULTITASK_TEST_VARIABLE";
    const processes = [folder, url].map((cwd) => {
      const process = new Process({
        target: tasks.surroundings,
        args: [name],
        env: { [name]: "set = 😀" },
        cwd,
      });
      process.start();
      return process;
    });
    const plain = new Process({ target: tasks.surroundings, args: [name] });
    plain.start();
    for (const process of processes) {
      assertEquals(await process.result, {
        variable: "set = 😀",
        other: Deno.env.get("PATH"),
        cwd: folder,
      });
    }
    assertEquals(await plain.result, {
      variable: undefined,
      other: Deno.env.get("PATH"),
      cwd: Deno.cwd(),
    });
    for (const process of [plain, ...processes]) await process.join();
    assertEquals(Deno.env.get(name), undefined);
    await Deno.remove(folder);
  },
);

processTest("Process reads an empty stdin", async () => {
  const process = new Process({ target: tasks.readStdin });
  process.start();
  assertEquals(await process.result, [null, null, [], null]);
  await process.join();
});

processTest("Process refuses bad options and starts nothing", async () => {
  const bad: [Record<string, unknown>, typeof Error?][] = [
    [{ target: 5 }],
    [{ target: { module: "file:///a.ts", name: "b" } }],
    [{ args: "ab" }],
    [{ args: { length: 0 } }],
    [{ name: 5 }],
    [{ daemon: "yes" }],
    [{ stdout: "pipe" }],
    [{ stderr: 2 }],
    [{ signal: {} }],
    [{ env: "PATH=/" }],
    [{ env: { A: 1 } }],
    [{ env: { "A=B": "" } }],
    [{ env: { "": "" } }],
    [{ env: { A: "a\0b" } }],
    [{ cwd: 5 }],
    [{ permissions: "all" }],
    [{ permissions: null }],
    [{ permissions: { reed: true } }],
    [{ permissions: { read: "/tmp" } }],
    [{ permissions: { read: ["/a,b"] } }, RangeError],
    [{ permissions: { read: [""] } }, RangeError],
    [{ permissions: { read: [5] } }],
    [{ permissions: { read: [new URL("https://example.com/")] } }],
    [{ permissions: { net: [new URL("https://example.com/")] } }],
    [{ permissions: { run: [5] } }],
    [{ permissions: { sys: ["nope"] } }],
    [{ permissions: { env: ["A=B"] } }],
    [{ permissions: { env: ["A\0B"] } }],
    [{ permissions: { env: [""] } }, RangeError],
    [{ permissions: { net: ["exa mple"] } }],
    [{ permissions: { net: ["*.example.com"] } }],
    [{ permissions: { net: ["::1"] } }],
    [{ permissions: { net: ["example.com:99999"] } }],
    [{ permissions: { import: ["https://example.com"] } }],
    [{ runtime: 5 }],
    [{ runtime: { execPath: 5 } }],
    [{ runtime: { importMap: 5 } }],
    [{ runtime: { importMap: { imports: {} } } }],
    [{ runtime: { config: true } }],
    [{ runtime: { config: "" } }],
    [{ runtime: { lock: 1 } }],
    [{ runtime: { nodeModulesDir: true } }],
    [{ runtime: { unstable: "kv" } }],
    [{ runtime: { unstable: ["kv", "Temporal API"] } }],
    [{ runtime: { v8Flags: "x" } }],
    [{ runtime: { v8Flags: ["x"] } }],
    [{ runtime: { v8Flags: [5] } }],
  ];
  for (const [options, type = TypeError] of bad) {
    const made = () => {
      const process = new Process({ target: tasks.nothing, ...options });
      process.start();
      process.kill();
    };
    assertThrows(made, type, "Cannot ", Deno.inspect(options));
    assertEquals(liveResources(), [], Deno.inspect(options));
  }
  for (const options of [5, null, "target"]) {
    assertThrows(
      () => new Process(options as unknown as ProcessOptions),
      TypeError,
      "the options must be an object",
    );
  }
  await Promise.resolve();
});

processTest(
  "Process starts its Deno as runtime says, by paths from here",
  async () => {
    const folder = await Deno.makeTempDir({ dir: "." });
    const name = folder.slice(folder.lastIndexOf("/") + 1);
    await Deno.writeTextFile(
      `${folder}/map.json`,
      JSON.stringify({
        imports: { mapped: "data:text/javascript,export default 'by the map'" },
      }),
    );
    await Deno.writeTextFile(`${folder}/deno.json`, "{}");
    try {
      for (const cwd of [undefined, "/"]) {
        const process = new Process({
          target: tasks.runtimeFeatures,
          ...(cwd === undefined ? {} : { cwd }),
          runtime: {
            config: `${name}/deno.json`,
            importMap: `./${name}/map.json`,
            lock: `${name}/none.lock`,
            unstable: ["kv"],
            v8Flags: ["--expose-gc"],
          },
        });
        process.start();
        assertEquals(await process.result, {
          mapped: "by the map",
          kv: "function",
          gc: "function",
        });
        await process.join();
      }
      const plain = new Process({ target: tasks.runtimeFeatures });
      plain.start();
      assertEquals(await plain.result, {
        mapped: "TypeError",
        kv: "undefined",
        gc: "undefined",
      });
      await plain.join();
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

processTest("Process refuses a target beside an overridden run()", async () => {
  class Overridden extends Process<[], void> {
    override run(): void {}
  }
  assertThrows(
    () => new Overridden({ target: tasks.nothing, args: [] }),
    TypeError,
    "run() is overridden",
  );
  class ByField extends Process<[], void> {
    override run = () => {};
  }
  const process = new ByField({ target: tasks.nothing, args: [] });
  assertThrows(() => process.start(), TypeError, "run() is overridden");
  assertEquals(activeChildren(), []);
  await Promise.resolve();
});

processTest(
  "Process.start() throws when the program cannot be started",
  async () => {
    const process = new Process({
      target: tasks.nothing,
      runtime: { execPath: "/no/such/deno" },
    });
    const error = assertThrows(() => process.start());
    assertInstanceOf(error, Deno.errors.NotFound);
    const elsewhere = new Process({ target: tasks.nothing, cwd: "/no/such" });
    assertThrows(() => elsewhere.start(), Error);
    await Promise.resolve();
    assertEquals(activeChildren(), []);
  },
);

// ---- Failures ----

processTest(
  "Process with an uncaught error prints it, exits with 1 and rejects with it",
  async () => {
    const { process, reason, stderr } = await failing(tasks.failInDepth, []);
    assertEquals(process.exitCode, 1);
    assertEquals(await process.exited, { exitCode: 1, signal: null });
    assertMatch(stderr, new RegExp(`^Process ${process.name}:\n`));
    assertStringIncludes(stderr, "RangeError: too deep");
    assertMatch(stderr, /at innermost .*tasks\.ts/);
    assertStringIncludes(stderr, "the first cause");

    assertInstanceOf(reason, RangeError);
    assertEquals(reason.name, "RangeError");
    assertEquals(reason.message, "too deep");
    const { cause } = reason;
    assertInstanceOf(cause, RemoteError);
    assertEquals(cause.process, process.name);
    assertEquals(cause.pid, process.pid);
    assertMatch(cause.remoteStack, /^RangeError: too deep\n\s+at innermost/);
    assertInstanceOf(cause.cause, Error);
    assertEquals(cause.cause.message, "the first cause");
    assertStringIncludes(Deno.inspect(reason), "innermost");
  },
);

processTest(
  "Process rejects with a rejection of its async target",
  async () => {
    const { process, reason, stderr } = await failing(tasks.failLater, []);
    assertInstanceOf(reason, TypeError);
    assertEquals(reason.message, "later");
    assertEquals(process.exitCode, 1);
    assertStringIncludes(stderr, "TypeError: later");
  },
);

processTest(
  "Process rejects with what was thrown, also if that is no Error",
  async () => {
    const values = ["a text", undefined, null, { code: 5 }];
    for (
      const [index, { process, reason, stderr }] of (await Promise.all(
        values.map((value) => failing(tasks.failWith, [value])),
      )).entries()
    ) {
      assertEquals(reason, values[index]);
      assertEquals(process.exitCode, 1);
      assertStringIncludes(stderr, `Process ${process.name}:\n`);
    }
  },
);

processTest(
  "Process rejects with built-in error classes as themselves",
  async () => {
    const errors = [
      new TypeError("a"),
      new SyntaxError("b"),
      new URIError("c"),
      new Deno.errors.NotFound("d"),
      new DOMException("e", "DataError"),
      new WorkerLostError("f", { worker: "W", pid: 5, exitCode: 3 }),
      new SerializationError("g", { path: "x.y" }),
    ];
    const failed = await Promise.all(
      errors.map((error) => failing(tasks.failWith, [error])),
    );
    for (const [index, { reason, process }] of failed.entries()) {
      const error = errors[index]!;
      assertInstanceOf(reason, error.constructor as typeof Error);
      assertEquals(reason.name, error.name);
      assertEquals(reason.message, error.message);
      assertInstanceOf(reason.cause, RemoteError);
      assertEquals(reason.cause.pid, process.pid);
    }
    const [lost, serialization] = failed.slice(-2).map(({ reason }) => reason);
    assertInstanceOf(lost, WorkerLostError);
    assertEquals([lost.worker, lost.pid, lost.exitCode], ["W", 5, 3]);
    assertInstanceOf(serialization, SerializationError);
    assertEquals(serialization.path, "x.y");
  },
);

processTest(
  "Process rejects with an error's own fields and parts",
  async () => {
    const [fields, many] = await Promise.all([
      failing(tasks.failWithFields, []),
      failing(tasks.failByMany, []),
    ]);
    assertInstanceOf(fields.reason, Error);
    const { code, details } = fields.reason as Error & {
      code: unknown;
      details: unknown;
    };
    assertEquals(code, "E42");
    assertEquals(details, { at: [1, 2], when: new Date(0) });

    assertInstanceOf(many.reason, AggregateError);
    const [one, two] = many.reason.errors;
    assertInstanceOf(one, TypeError);
    assertEquals(one.message, "one");
    assertInstanceOf(two, AggregateError);
    assertInstanceOf(two.errors[0], RangeError);
    assertStringIncludes(many.stderr, "AggregateError: many");
    assertStringIncludes(many.stderr, "RangeError: two");
  },
);

processTest(
  "Process rejects with a class that the task's module exports",
  async () => {
    const { process, reason, stderr } = await failing(tasks.failByTask, []);
    assertInstanceOf(reason, tasks.TaskFailure);
    assertEquals(reason.name, "TaskFailure");
    assertEquals(reason.task, "A");
    assertEquals(reason.describe(), "<A>");
    assertInstanceOf(reason.cause, RemoteError);
    assertEquals(reason.cause.process, process.name);
    assertEquals(reason.cause.pid, process.pid);
    assertStringIncludes(reason.cause.remoteStack, "failByTask");
    assertStringIncludes(stderr, "task A failed");
  },
);

processTest(
  "Process rejects with a RemoteError for a class that nobody knows",
  async () => {
    const { process, reason } = await failing(tasks.failByHidden, []);
    assertInstanceOf(reason, RemoteError);
    assertEquals(reason.name, "HiddenFailure");
    assertEquals(reason.message, "nobody knows me");
    assertEquals((reason as RemoteError & { code: unknown }).code, 42);
    assertInstanceOf(reason.cause, RemoteError);
    assertEquals(reason.cause.pid, process.pid);
    assertStringIncludes(reason.cause.remoteStack, "failByHidden");
  },
);

processTest(
  "Process ends by whatever is thrown, also if nobody can look at it",
  async () => {
    for (const what of Object.keys(tasks.strangeThings)) {
      const ways = ["throw", "reject", "timer"] as const;
      const ends = await Promise.all(
        ways.map((how) => failing(tasks.failStrangely, [what, how])),
      );
      for (const [index, { process, reason, stderr }] of ends.entries()) {
        const shown = `${what}, ${ways[index]}: ${Deno.inspect(reason)}`;
        assertEquals(process.exitCode, 1, shown);
        // The runtime looks at what a timer throws, and gives up by itself.
        if (what.includes("proxy") && ways[index] === "timer") {
          assertInstanceOf(reason, WorkerLostError, shown);
          continue;
        }
        assertFalse(reason instanceof WorkerLostError, shown);
        if (what === "object without a prototype") assertEquals(reason, {});
        else assertInstanceOf(reason, Error, shown);
        assertMatch(stderr, new RegExp(`^Process ${process.name}:\n.+`));
      }
    }
  },
);

processTest(
  "Process tells of a module that throws what nobody can look at",
  async () => {
    const process = new Process({
      target: taskRef<[], void>(fixture("throws_strangely.ts"), "task"),
      stderr: "null",
    });
    process.start();
    const reason = await reasonOf(process.result);
    assertInstanceOf(reason, TaskReferenceError);
    assertStringIncludes(reason.message, "Cannot load the task's module");
    await process.join();
  },
);

processTest("Process gives the code of Deno.exit", async () => {
  // The system keeps a byte of it.
  const codes = [7, 0, 255, 256, -1, undefined];
  const processes = codes.map((code) => {
    const process = new Process({ target: tasks.exit, args: [code] });
    process.start();
    return process;
  });
  for (const [index, process] of processes.entries()) {
    const code = (codes[index] ?? 0) & 0xff;
    assertEquals(await process.exited, { exitCode: code, signal: null });
    const reason = await reasonOf(process.result);
    assertInstanceOf(reason, WorkerLostError);
    assertEquals([reason.exitCode, reason.signal], [code, null]);
    assertEquals(reason.pid, process.pid);
  }
});

processTest("Process gives the signal that it has sent itself", async () => {
  const process = new Process({ target: tasks.abort });
  process.start();
  assertEquals(await process.exited, { exitCode: -6, signal: "SIGABRT" });
  const reason = await reasonOf(process.result);
  assertInstanceOf(reason, WorkerLostError);
  assertStringIncludes(reason.message, "SIGABRT");
});

processTest(
  "Process.terminate() leaves the end to a listener of the child's",
  async () => {
    const ready = new Event();
    const out = new Queue<string>();
    const process = new Process({
      target: tasks.endByItself,
      args: [ready, out],
    });
    process.start();
    await ready.wait();
    process.terminate();
    assertEquals(await process.exited, { exitCode: 21, signal: null });
    assertEquals(await out.getNowait(), "told");
  },
);

processTest(
  "Process says that a compiled program cannot run another module",
  async () => {
    const result = await runFixture("standalone.ts");
    const [start, prewarm, forked, pool, given] = reported(result) as string[];
    for (const told of [start, prewarm, pool]) {
      assertStringIncludes(told!, "InvalidStateError: Cannot ");
      assertStringIncludes(told!, '"runtime.execPath"');
    }
    assertStringIncludes(forked!, "Cannot fork in a compiled program");
    assertEquals(given as unknown, 1);
  },
);

processTest("Process gives the exit code that its target has set", async () => {
  const leave = async (
    how: Parameters<typeof tasks.leaveExitCode>[0],
    code: number,
  ) => {
    const process = new Process({
      target: tasks.leaveExitCode,
      args: [how, code],
      stderr: "null",
    });
    process.start();
    const result = await process.result.catch((error) => error.constructor);
    return [result, (await process.exited).exitCode];
  };
  assertEquals(
    await Promise.all([
      leave("deno", 7),
      leave("node", 8),
      leave("deno", 0),
      leave("then fail", 9),
      leave("then exit", 10),
    ]),
    [
      ["returned", 7],
      ["returned", 8],
      ["returned", 0],
      [Error, 1],
      [WorkerLostError, 10],
    ],
  );
});

processTest("Process fails by what nobody catches in the child", async () => {
  const [rejection, timer, twice] = await Promise.all([
    failing(tasks.failUnhandled, []),
    failing(tasks.failInTimer, []),
    failing(tasks.failTwice, []),
  ]);
  assertInstanceOf(rejection.reason, TypeError);
  assertEquals(rejection.reason.message, "nobody listens");
  assertEquals(rejection.process.exitCode, 1);
  assertStringIncludes(rejection.stderr, "nobody listens");
  assertInstanceOf(timer.reason, RangeError);
  assertEquals(timer.reason.message, "in a timer");
  assertEquals(timer.process.exitCode, 1);
  assertInstanceOf(twice.reason, Error);
  assertEquals(twice.reason.message, "the first");
});

processTest(
  "Process whose failure nobody reads does not end the program",
  async () => {
    const result = await runFixture("unread_failure.ts");
    assertEquals(result.code, 0, shown(result));
    assertEquals(result.stdout, "1\nthe program goes on\n");
    assertEquals(result.stderr.split("nobody reads this").length, 2);
  },
);

// ---- Who is who ----

processTest("currentProcess() and its kin tell who is who", async () => {
  const main = currentProcess();
  assertEquals(main.name, "MainProcess");
  assertEquals(main.pid, Deno.pid);
  assertFalse(main.daemon);
  assertEquals(parentProcess(), null);
  assertEquals(getpid(), Deno.pid);
  assertEquals(getppid(), Deno.ppid);
  assertGreater(cpuCount(), 0);
  assertEquals(activeChildren(), []);

  const process = new Process({
    target: tasks.portraitWithChild,
    name: "outer",
  });
  process.start();
  const { own, child, before, after } = await process.result;
  await process.join();
  assertEquals(own, {
    pid: process.pid!,
    ppid: Deno.pid,
    cpus: cpuCount(),
    current: { name: "outer", pid: process.pid!, daemon: false },
    aborted: false,
    parent: { name: "MainProcess", pid: Deno.pid, alive: true },
    children: [],
    isMain: false,
  });
  assertEquals(child.current.name, "inner");
  assertEquals(child.ppid, process.pid);
  assertEquals(child.parent, {
    name: "outer",
    pid: process.pid!,
    alive: true,
  });
  assertEquals([before, after], [["inner"], []]);
});

processTest("parentProcess().join() waits for the parent", async () => {
  const process = new Process({ target: tasks.joinParent });
  process.start();
  assertEquals(await process.result, [
    false,
    false,
    "enough",
    "enough",
    "RangeError",
    "TypeError",
    true,
  ]);
  await process.join();
  assertEquals(process.exitCode, 0);
  // A forked child that only waits goes on, and ends with its parent.
  const forked = await runFixture("fork_join_parent.ts");
  assertEquals(forked.code, 0, shown(forked));
  assertEquals(forked.stdout, "the child waits\nthe parent ends\n");
});

processTest(
  "activeChildren() has those that live, in the order of their start",
  async () => {
    const events = [new Event(), new Event(), new Event()];
    const processes = events.map((go) =>
      new Process({ target: tasks.waitFor, args: [go] })
    );
    const [a, b, c] = processes as unknown as [Process, Process, Process];
    b.start();
    a.start();
    assertEquals(activeChildren(), [b, a]);
    c.start();
    assertEquals(activeChildren(), [b, a, c]);
    events[0]!.set();
    await a.join();
    assertEquals(activeChildren(), [b, c]);
    events[1]!.set();
    events[2]!.set();
    await Promise.all([b.join(), c.join()]);
    assertEquals(activeChildren(), []);
  },
);
