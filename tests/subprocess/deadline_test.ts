// Copyright 2026 the multitask authors. MIT license.
// A deadline bounds the call, whatever the command and its descendants do. The
// descendants live for a minute: a call that waited for them would fail.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  CommandAbortedError,
  PIPE,
  pipeline,
  Popen,
  run,
  TimeoutExpired,
} from "../../subprocess/mod.ts";
import {
  commandTest,
  gone,
  isRunning,
  LONG,
  sweep,
  until,
} from "./_commands.ts";

/** Short bounds for what is to be bounded; time for what comes before. */
const BOUNDS = { timeout: 500, killGrace: 150, drain: 50 };

/** The same for a command that ends by itself before. */
const DEADLINE = { timeout: 500, killGrace: 150 };

const text = { captureOutput: true, text: true } as const;

commandTest(
  "run() ends at its deadline when a grandchild holds the pipes",
  async () => {
    const error = await assertRejects(
      () =>
        run(["sh", "-c", "sleep 60 & echo $!; wait"], { ...text, ...BOUNDS }),
      TimeoutExpired,
    );
    assert(error.timedOut && error.incomplete && !error.forced);
    assertEquals([error.returncode, error.signal], [-15, "SIGTERM"]);
    assertEquals(error.timeout, 500);
    const pid = Number(error.stdout);
    assert(isRunning(pid), "Without killTree descendants are left alone");
    await sweep(pid);
  },
);

commandTest("run() with killTree ends grandchildren too", async () => {
  const error = await assertRejects(
    () =>
      run(["sh", "-c", "sleep 60 & echo $!; wait"], {
        ...text,
        ...BOUNDS,
        killTree: true,
      }),
    TimeoutExpired,
  );
  assertEquals([error.reach, error.incomplete], ["group", false]);
  await gone(Number(error.stdout));
});

commandTest("run() kills a command that ignores SIGTERM", async () => {
  const error = await assertRejects(
    () =>
      run("trap '' TERM; echo here; while :; do sleep 1; done", {
        shell: true,
        ...text,
        ...BOUNDS,
        killTree: true,
      }),
    TimeoutExpired,
  );
  assert(error.forced);
  assertEquals([error.signal, error.stdout], ["SIGKILL", "here\n"]);
  assertMatch(error.message, /longer than 500 ms; it had to be killed$/);
});

commandTest("run() kills a stopped command", async () => {
  const error = await assertRejects(
    () => run("kill -STOP $$", { shell: true, ...BOUNDS }),
    TimeoutExpired,
  );
  assert(error.forced);
});

commandTest(
  "run() with killTree kills descendants that ignore SIGTERM after their leader has gone",
  async () => {
    const error = await assertRejects(
      () =>
        run(
          "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & wait",
          { shell: true, ...text, ...BOUNDS, killTree: true },
        ),
      TimeoutExpired,
    );
    assert(error.forced && !error.incomplete);
    assertEquals(error.signal, "SIGTERM");
    await gone(Number(error.stdout));
  },
);

commandTest(
  "run() gives up the pipes of a descendant that has escaped with setsid",
  async () => {
    const error = await assertRejects(
      () =>
        run(["sh", "-c", "setsid sh -c 'echo $$; exec sleep 60' & wait"], {
          ...text,
          ...BOUNDS,
          killTree: true,
        }),
      TimeoutExpired,
    );
    assert(error.incomplete);
    assertMatch(error.message, /somebody still holds its output open$/);
    await sweep(Number(error.stdout));
  },
);

commandTest(
  "run() ends at its deadline when the command itself has ended and others hold its pipes",
  async () => {
    const error = await assertRejects(
      () =>
        run("sleep 60 & echo $!; exit 3", {
          shell: true,
          ...text,
          ...DEADLINE,
        }),
      TimeoutExpired,
    );
    assertEquals([error.returncode, error.incomplete], [3, true]);
    await sweep(Number(error.stdout));
  },
);

commandTest("run() with killTree ends them in that case", async () => {
  const error = await assertRejects(
    () =>
      run("sleep 60 & echo $!", {
        shell: true,
        ...text,
        ...DEADLINE,
        killTree: true,
      }),
    TimeoutExpired,
  );
  assertEquals([error.returncode, error.incomplete], [0, false]);
  await gone(Number(error.stdout));
});

commandTest(
  "run() with drain succeeds when others hold the pipes longer",
  async () => {
    const done = await run("sleep 60 & echo $!", {
      shell: true,
      ...text,
      drain: 20,
      timeout: LONG,
    });
    assertEquals([done.returncode, done.incomplete], [0, true]);
    await sweep(Number(done.stdout));
  },
);

commandTest(
  "run() ends at its deadline when the command does not read its input",
  async () => {
    const error = await assertRejects(
      () => run(["sleep", "60"], { input: new Uint8Array(1 << 24), ...BOUNDS }),
      TimeoutExpired,
    );
    assertEquals(error.signal, "SIGTERM");
  },
);

commandTest(
  "run() ends at its deadline when its input never comes",
  async () => {
    const { promise } = Promise.withResolvers<never>();
    let isLeft = false;
    const input: AsyncIterable<string> = {
      [Symbol.asyncIterator]: () => ({
        next: () => promise,
        return: () => {
          isLeft = true;
          return Promise.resolve({ value: undefined, done: true });
        },
      }),
    };
    await assertRejects(
      () => run(["cat"], { input, ...text, ...BOUNDS }),
      TimeoutExpired,
    );
    assert(isLeft);
  },
);

commandTest(
  "run() ends at its deadline when the target of an output takes nothing",
  async () => {
    const { promise } = Promise.withResolvers<void>();
    const stuck = new WritableStream({ write: () => promise });
    await assertRejects(
      () => run(["yes"], { stdout: [stuck, PIPE], ...BOUNDS }),
      TimeoutExpired,
    );
  },
);

commandTest(
  "TimeoutExpired has both outputs so far and ends with the last line of stderr",
  async () => {
    const error = await assertRejects(
      () =>
        run("echo out; echo first >&2; echo 'last line' >&2; exec sleep 60", {
          shell: true,
          ...text,
          ...BOUNDS,
        }),
      TimeoutExpired,
    );
    assertEquals([error.stdout, error.stderr], ["out\n", "first\nlast line\n"]);
    assertMatch(error.message, /: last line$/);
    assertEquals(
      error.args.at(-1),
      "echo out; echo first >&2; echo 'last line' >&2; exec sleep 60",
    );
  },
);

// ---- waits that leave the command alone ----

commandTest(
  "Popen.communicate() goes on after TimeoutExpired, and nothing is lost",
  async () => {
    const popen = new Popen(["sh", "-c", "echo a; read go; echo b"], {
      stdin: PIPE,
      stdout: PIPE,
      text: true,
    });
    const { readable, writable } = new TransformStream<
      Uint8Array,
      Uint8Array
    >();
    const first = popen.communicate(readable, { timeout: 500 });
    const error = await assertRejects(() => first, TimeoutExpired);
    assertEquals([error.stdout, error.returncode], ["a\n", null]);
    assertEquals(popen.poll(), null);
    await assertRejects(() => popen.communicate("again"), Error, "first time");
    const writer = writable.getWriter();
    await writer.write(new TextEncoder().encode("go\n"));
    assertEquals(await popen.communicate(), ["a\nb\n", null]);
    assertEquals(popen.poll(), 0);
    await writer.close().catch(() => {});
  },
);

commandTest(
  "Popen.wait() with a timeout leaves the command alone",
  async () => {
    const popen = new Popen(["sleep", "60"]);
    await assertRejects(() => popen.wait({ timeout: 0 }), TimeoutExpired);
    assertEquals(popen.returncode, null);
    popen.terminate();
    assertEquals(await popen.wait(), -15);
    assertEquals(popen.signal, "SIGTERM");
  },
);

commandTest(
  "Popen.wait() and communicate() reject with the reason of their own signal",
  async () => {
    const popen = new Popen(["sleep", "60"], { stdout: PIPE });
    const stop = new AbortController();
    const waits = [
      popen.wait({ signal: stop.signal }),
      popen.communicate(null, { signal: stop.signal }),
    ];
    const reason = new Error("enough");
    stop.abort(reason);
    for (const wait of waits) {
      assertStrictEquals(await assertRejects(() => wait), reason);
    }
    assertEquals(popen.poll(), null);
    popen.kill();
    assertEquals(await popen.wait(), -9);
    await popen.communicate();
  },
);

// ---- aborts at every stage ----

commandTest("run() with an aborted signal starts nothing", async () => {
  const reason = new Error("before");
  const error = await assertRejects(
    () => run(["touch", "/tmp/never"], { signal: AbortSignal.abort(reason) }),
    CommandAbortedError,
  );
  assertStrictEquals(error.cause, reason);
  assertEquals([error.pid, error.returncode], [-1, null]);
  assertThrows(
    () => new Popen(["true"], { signal: AbortSignal.abort(reason) }),
    CommandAbortedError,
  );
});

commandTest(
  "run() ends the command when it is aborted, and tells the reason",
  async () => {
    const stop = new AbortController();
    const reason = { not: "an error" };
    const seen = new WritableStream({
      write: () => stop.abort(reason),
    });
    const error = await assertRejects(
      () =>
        run("echo here; exec sleep 60", {
          shell: true,
          stdout: [PIPE, seen],
          text: true,
          signal: stop.signal,
        }),
      CommandAbortedError,
    );
    assertStrictEquals(error.cause, reason);
    assertEquals([error.stdout, error.signal], ["here\n", "SIGTERM"]);
  },
);

commandTest("run() aborted in the same turn ends the command", async () => {
  const stop = new AbortController();
  const running = run(["sleep", "60"], { signal: stop.signal });
  stop.abort();
  const error = await assertRejects(() => running, CommandAbortedError);
  assertInstanceOf(error.cause, DOMException);
});

commandTest(
  "run() aborted while it reads what others hold open ends",
  async () => {
    const stop = new AbortController();
    const seen = new WritableStream({
      write: () => {
        setTimeout(() => stop.abort(), 50);
      },
    });
    const error = await assertRejects(
      () =>
        run("sleep 60 & echo $!", {
          shell: true,
          stdout: [PIPE, seen],
          text: true,
          signal: stop.signal,
          ...BOUNDS,
          timeout: LONG,
        }),
      CommandAbortedError,
    );
    assertEquals([error.returncode, error.incomplete], [0, true]);
    await sweep(Number(error.stdout));
  },
);

commandTest(
  "an abort after the end changes nothing, and no listener is left",
  async () => {
    const stop = new AbortController();
    let listeners = 0;
    const { signal } = stop;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    assertEquals((await run(["true"], { signal })).returncode, 0);
    assertEquals(listeners, 0);
    stop.abort();
  },
);

commandTest(
  "aborts at any moment end run(), with one result or one error",
  async () => {
    for (let i = 0; i < 60; i++) {
      const stop = new AbortController();
      const running = run(["sh", "-c", "echo a; echo b"], {
        ...text,
        signal: stop.signal,
      });
      const timer = setTimeout(() => stop.abort(), i % 6);
      const [settled] = await Promise.allSettled([running]);
      clearTimeout(timer);
      if (settled.status === "fulfilled") {
        assertEquals(
          settled.value.stdout,
          "a\nb\n",
        );
      } else assertInstanceOf(settled.reason, CommandAbortedError);
    }
  },
);

// ---- disposal ----

commandTest(
  "Popen's disposal closes stdin and waits for a command that then ends",
  async () => {
    let popen;
    {
      await using cat = new Popen(["cat"], { stdin: PIPE, stdout: PIPE });
      popen = cat;
    }
    assertEquals(popen.returncode, 0);
    await popen[Symbol.asyncDispose]();
  },
);

commandTest(
  "Popen's disposal ends a command that does not end by itself",
  async () => {
    const popen = new Popen(["sleep", "60"], { killGrace: 50 });
    await popen[Symbol.asyncDispose]();
    assertEquals(popen.signal, "SIGTERM");
  },
);

commandTest(
  "Popen's disposal ends one that writes on, and one that ignores SIGTERM",
  async () => {
    const yes = new Popen(["yes"], { stdout: PIPE, killGrace: LONG });
    await yes[Symbol.asyncDispose]();
    assertEquals(yes.signal, "SIGPIPE");
    const stubborn = new Popen(
      "trap '' TERM; echo up; while :; do sleep 0.1; done",
      {
        shell: true,
        stdout: PIPE,
        killGrace: 100,
      },
    );
    const lines = stubborn.lines();
    assertEquals((await lines.next()).value, "up");
    await stubborn[Symbol.asyncDispose]();
    assertEquals(stubborn.signal, "SIGKILL");
  },
);

// ---- pipelines ----

commandTest(
  "pipeline() ends at its deadline, with all its commands",
  async () => {
    const error = await assertRejects(
      () =>
        pipeline(
          ["sh", "-c", "echo $$; exec sleep 60"],
          ["tee", "/dev/stderr"],
          ["sh", "-c", "cat; exec sleep 60"],
          {
            captureOutput: true,
            text: true,
            ...BOUNDS,
          },
        ),
      TimeoutExpired,
    );
    assert(error.timedOut);
  },
);

commandTest("lines() ends at the deadline, with the error", async () => {
  const popen = new Popen("echo a; sleep 60 & echo $!; exit 0", {
    shell: true,
    stdout: PIPE,
    ...DEADLINE,
  });
  const lines: string[] = [];
  const error = await assertRejects(async () => {
    for await (const line of popen) lines.push(line);
  }, TimeoutExpired);
  assert(error.incomplete);
  assertEquals(lines[0], "a");
  await sweep(Number(lines[1]));
});

commandTest(
  "a timer longer than the runtime's is no deadline at once",
  async () => {
    const done = await run(["sh", "-c", "echo ok"], {
      ...text,
      timeout: 2 ** 40,
    });
    assertEquals(done.stdout, "ok\n");
    await until(() => true, "");
  },
);
