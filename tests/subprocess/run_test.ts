// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  call,
  CalledProcessError,
  checkCall,
  checkOutput,
  CommandNotFoundError,
  CompletedProcess,
  DEVNULL,
  getOutput,
  getStatusOutput,
  MaxBufferError,
  NotExecutableError,
  OutputDecodeError,
  PIPE,
  Popen,
  RedirectError,
  run,
  STDOUT,
  SubprocessError,
  WorkingDirectoryError,
} from "../../subprocess/mod.ts";
import { commandTest, gone } from "./_commands.ts";

const text = { captureOutput: true, text: true } as const;
const MIB = 2 ** 20;

async function inTempDir(test: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir();
  try {
    await test(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

// ---- results ----

commandTest("run() gives exit code, outputs, pid and duration", async () => {
  const done = await run("echo out; echo err >&2; exit 3", {
    shell: true,
    ...text,
  });
  assert(done instanceof CompletedProcess);
  assertEquals([done.returncode, done.signal], [3, null]);
  assertEquals([done.stdout, done.stderr], ["out\n", "err\n"]);
  assertEquals(done.args, ["echo out; echo err >&2; exit 3"]);
  assert(done.pid > 0 && done.duration > 0);
  assert(!done.timedOut && !done.forced && !done.incomplete && !done.truncated);
  const error = assertThrows(() => done.checkReturncode(), CalledProcessError);
  assertEquals([error.stdout, error.stderr, error.returncode], [
    "out\n",
    "err\n",
    3,
  ]);
  assertEquals([error.pid, error.duration], [done.pid, done.duration]);
});

commandTest(
  "run() gives bytes without text, and null for what is not captured",
  async () => {
    const done = await run(["printf", "a\\377"], { stdout: PIPE });
    assertEquals(done.stdout, new Uint8Array([97, 255]));
    assertEquals(done.stderr, null);
  },
);

commandTest(
  "run() tells exits modulo 256, signals by name, and real-time signals",
  async () => {
    const ends = [];
    for (
      const how of ["exit 300", "kill -9 $$", "kill -s 35 $$", "kill -TERM $$"]
    ) {
      const { returncode, signal, stdout } = await run(`echo kept; ${how}`, {
        shell: true,
        ...text,
      });
      assertEquals(stdout, "kept\n");
      ends.push([returncode, signal]);
    }
    assertEquals(ends, [[44, null], [-9, "SIGKILL"], [-35, "SIG35"], [
      -15,
      "SIGTERM",
    ]]);
  },
  // The runtime itself keeps a child whose signal it has no name for.
  { sanitizeResources: false },
);

commandTest(
  "run() with check fails with the last line of stderr in the message",
  async () => {
    const error = await assertRejects(
      () =>
        run("echo first >&2; echo 'the cause' >&2; exit 7", {
          shell: true,
          ...text,
          check: true,
          cwd: "/",
        }),
      CalledProcessError,
    );
    assertMatch(
      error.message,
      /^Cannot run .*: it ended with exit code 7: the cause$/,
    );
    assertEquals(error.cwd, "/");
    const killed = await assertRejects(
      () => run("kill $$", { shell: true, check: true }),
      CalledProcessError,
    );
    assertMatch(killed.message, /it was ended by SIGTERM$/);
  },
);

commandTest(
  "call(), checkCall(), checkOutput(), getOutput(), getStatusOutput()",
  async () => {
    assertEquals(await call(["sh", "-c", "exit 2"]), 2);
    assertEquals(await checkCall(["true"]), 0);
    await assertRejects(() => checkCall(["false"]), CalledProcessError);
    assertEquals(
      await checkOutput(["echo", "hi"]),
      new TextEncoder().encode("hi\n"),
    );
    assertEquals(await checkOutput(["echo", "hi"], { text: true }), "hi\n");
    const error = await assertRejects(
      () => checkOutput("echo x; exit 1", { shell: true, text: true }),
      CalledProcessError,
    );
    assertEquals(error.stdout, "x\n");
    await assertRejects(
      // deno-lint-ignore no-explicit-any
      () => checkOutput(["true"], { stdout: PIPE } as any),
      TypeError,
      '"stdout"',
    );
    assertEquals(await getOutput("echo a; echo b >&2; echo"), "a\nb\n");
    assertEquals(await getStatusOutput("echo x; exit 5"), [5, "x"]);
    assertEquals(await getStatusOutput("kill -9 $$"), [-9, ""]);
  },
);

// ---- what cannot be started ----

commandTest("what cannot be started is told apart", async () => {
  await inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/plain`, "echo plain", { mode: 0o644 });
    await Deno.writeTextFile(`${dir}/lost`, "#!/nowhere/interpreter\n", {
      mode: 0o755,
    });
    await Deno.writeTextFile(`${dir}/script`, "echo script\n", { mode: 0o755 });
    const error = async (args: string[], options = {}) =>
      await assertRejects(() => run(args, options), SubprocessError);
    const missing = await error(["no-such-program", "x"]);
    assertInstanceOf(missing, CommandNotFoundError);
    assertMatch(
      missing.message,
      /^Cannot run no-such-program x: there is no such program in PATH$/,
    );
    assertEquals([missing.args, missing.pid], [["no-such-program", "x"], -1]);
    assertMatch((await error(["ls -l"])).message, /as an array.*shell: true/);
    assertMatch((await error([`${dir}/nowhere`])).message, /no such file/);
    const lost = await error([`${dir}/lost`]);
    assertInstanceOf(lost, CommandNotFoundError);
    assertMatch(lost.message, /interpreter/);
    assertInstanceOf(await error([`${dir}/plain`]), NotExecutableError);
    assertInstanceOf(await error([dir]), NotExecutableError);
    for (
      const [cwd, why] of [[`${dir}/nowhere`, /does not exist/], [
        `${dir}/plain`,
        /is no directory/,
      ]] as const
    ) {
      const wrong = await error(["true"], { cwd });
      assertInstanceOf(wrong, WorkingDirectoryError);
      assertMatch(wrong.message, why);
      assertEquals(wrong.cwd, cwd);
    }
    assertInstanceOf(
      await error(["no-such-program"], { cwd: `${dir}/nowhere` }),
      WorkingDirectoryError,
    );
    const long = await error(["true", "x".repeat(200_000)]);
    assertMatch(long.message, /too long/i);
    assert(long.message.length < 500);
    assertEquals((await run([`${dir}/script`], text)).stdout, "script\n");
    assertInstanceOf(
      await error(["no-such-program"], { stderr: STDOUT }),
      CommandNotFoundError,
    );
  });
});

commandTest(
  "the async forms reject, and never throw synchronously",
  async () => {
    // deno-lint-ignore no-explicit-any
    const wrong: [any, any, ErrorConstructor][] = [
      [[], {}, TypeError],
      ["", {}, TypeError],
      [5, {}, TypeError],
      [["a", 5], {}, TypeError],
      [["a\0"], {}, TypeError],
      [["\ud800"], {}, TypeError],
      [["true"], 5, TypeError],
      [["true"], null, TypeError],
      [["true"], { timeout: -1 }, RangeError],
      [["true"], { timeout: Infinity }, RangeError],
      [["true"], { timeout: "1" }, TypeError],
      [["true"], { killGrace: NaN }, RangeError],
      [["true"], { drain: -1 }, RangeError],
      [["true"], { maxBuffer: "1" }, TypeError],
      [["true"], { signal: {} }, TypeError],
      [["true"], { shell: 1 }, TypeError],
      [["true"], { stdout: "nowhere" }, TypeError],
      [["true"], { stderr: [5] }, TypeError],
      [["true"], { stdin: "nowhere" }, TypeError],
      [["true"], { input: 5 }, TypeError],
      [["true"], { input: "x", stdin: DEVNULL }, TypeError],
      [["true"], { captureOutput: true, stdout: PIPE }, TypeError],
      [["true"], { overflow: "no" }, TypeError],
      [["true"], { encoding: "klingon" }, RangeError],
      [["true"], { encoding: 8 }, TypeError],
      [["true"], { errors: "ignore" }, TypeError],
      [["true"], { cwd: "" }, TypeError],
      [["true"], { env: { "A=B": "" } }, TypeError],
      [["true"], { env: { A: "\0" } }, TypeError],
      [["true"], { env: 5 }, TypeError],
    ];
    for (const [args, options, type] of wrong) {
      const error = await assertRejects(() => run(args, options), type);
      assertMatch(error.message, /^Cannot /);
      assertThrows(() => new Popen(args, options), type);
    }
    const starts: (() => Promise<unknown>)[] = [
      () => call(["no-such-program"]),
      () => checkCall(["no-such-program"]),
      () => checkOutput(["no-such-program"]),
    ];
    for (const start of starts) {
      const promise = start();
      await assertRejects(() => promise, CommandNotFoundError);
    }
  },
);

// ---- input ----

commandTest(
  "run() takes input from text, bytes, files, streams, iterables and commands",
  async () => {
    await inTempDir(async (dir) => {
      const path = `${dir}/input`;
      await Deno.writeTextFile(path, "abc");
      const cat = async (
        input: Parameters<typeof run>[1] extends infer T
          ? NonNullable<T> extends { input?: infer I } ? I : never
          : never,
      ) => (await run(["cat"], { input, ...text })).stdout;
      const bytes = new TextEncoder().encode("abc");
      assertEquals(await cat("abc"), "abc");
      assertEquals(await cat(""), "");
      assertEquals(await cat(bytes), "abc");
      assertEquals(await cat(bytes.buffer), "abc");
      assertEquals(await cat(new URL(`file://${path}`)), "abc");
      assertEquals(await cat({ path }), "abc");
      assertEquals(await cat(await Deno.open(path)), "abc");
      assertEquals(await cat(ReadableStream.from([bytes])), "abc");
      assertEquals(await cat(["a", bytes, "d"]), "aabcd");
      assertEquals(
        await cat((async function* () {
          yield "a";
          yield "b";
        })()),
        "ab",
      );
      assertEquals(
        await cat(new Popen(["echo", "abc"], { stdout: PIPE })),
        "abc\n",
      );
      assertEquals(await cat(await run(["echo", "abc"], text)), "abc\n");
      const first = new Popen(["echo", "abc"], { stdout: PIPE });
      assertEquals(
        (await run(["cat"], { stdin: first.stdout, ...text })).stdout,
        "abc\n",
      );
      assertEquals(
        (await run(["cat"], { stdin: DEVNULL, ...text })).stdout,
        "",
      );
      assertEquals((await run(["cat"], { stdin: PIPE, ...text })).stdout, "");
      await assertRejects(
        () => run(["cat"], { input: { path: `${dir}/nowhere` } }),
        Deno.errors.NotFound,
      );
    });
  },
);

commandTest(
  "run() is no error when the command does not read its input",
  async () => {
    for (
      const args of [["true"], ["head", "-c", "5"], [
        "sh",
        "-c",
        "exec <&-; sleep 0.05",
      ]]
    ) {
      const done = await run(args, {
        input: new Uint8Array(10 * MIB),
        captureOutput: true,
      });
      assertEquals(done.returncode, 0);
    }
    let isLeft = false;
    const endless = (function* () {
      try {
        while (true) yield "y\n".repeat(1000);
      } finally {
        isLeft = true;
      }
    })();
    assertEquals(
      (await run(["head", "-n", "1"], { input: endless, ...text })).stdout,
      "y\n",
    );
    assert(isLeft);
  },
);

commandTest("run() ends the command when its input fails", async () => {
  const cause = new Error("broken source");
  const input = (async function* () {
    yield "a";
    throw cause;
  })();
  const error = await assertRejects(
    () => run(["cat"], { input, ...text }),
    RedirectError,
    "broken source",
  );
  assertEquals(error.cause, cause);
  // deno-lint-ignore no-explicit-any
  await assertRejects(() => run(["cat"], { input: [5] as any }), RedirectError);
});

// ---- outputs ----

commandTest(
  "run() writes outputs into files, at their end, and into streams",
  async () => {
    await inTempDir(async (dir) => {
      const path = `${dir}/out`;
      await run(["echo", "one"], { stdout: { path } });
      await run(["echo", "two"], { stdout: { path, append: true } });
      assertEquals(await Deno.readTextFile(path), "one\ntwo\n");
      await run("echo out; echo err >&2", {
        shell: true,
        stdout: new URL(`file://${path}`),
        stderr: STDOUT,
      });
      assertEquals(await Deno.readTextFile(path), "out\nerr\n");
      using file = await Deno.open(path, { write: true, truncate: true });
      await run(["echo", "three"], { stdout: file });
      await run(["echo", "four"], { stdout: file });
      assertEquals(await Deno.readTextFile(path), "three\nfour\n");
      await assertRejects(
        () => run(["true"], { stdout: { path: `${dir}/no/where` } }),
        Deno.errors.NotFound,
      );
      const { stdout } = await run(["echo", "tee"], {
        stdout: [PIPE, { path }, DEVNULL],
        text: true,
      });
      assertEquals([stdout, await Deno.readTextFile(path)], ["tee\n", "tee\n"]);
    });
  },
);

commandTest("run() shows and captures at the same time", async () => {
  const program = `import { PIPE, run } from "${new URL(
    "../../subprocess/mod.ts",
    import.meta.url,
  )}";
    const { stdout, stderr } = await run("echo out; echo err >&2", { shell: true, stdout: [PIPE, "inherit"], stderr: ["inherit", PIPE], text: true });
    console.log(JSON.stringify([stdout, stderr]));`;
  const { stdout, stderr } = await run(
    [Deno.execPath(), "eval", program],
    text,
  );
  assertEquals(stdout, 'out\n["out\\n","err\\n"]\n');
  assertEquals(stderr, "err\n");
});

commandTest("a target that fails ends the command", async () => {
  const cause = new Error("full");
  const broken = new WritableStream({
    write: () => {
      throw cause;
    },
  });
  const error = await assertRejects(
    () => run(["yes"], { stdout: broken, killGrace: 1000 }),
    RedirectError,
    "full",
  );
  assertEquals(error.cause, cause);
});

commandTest("STDOUT keeps the exact order of both outputs", async () => {
  const script =
    'i=0; while [ $i -lt 500 ]; do echo "o$i"; echo "e$i" >&2; i=$((i+1)); done';
  const expected = Array.from({ length: 500 }, (_, i) => `o${i}\ne${i}\n`).join(
    "",
  );
  for (
    const options of [{ args: script, shell: true }, {
      args: ["sh", "-c", script],
      shell: false,
    }]
  ) {
    const done = await run(options.args, {
      shell: options.shell,
      stdout: PIPE,
      stderr: STDOUT,
      text: true,
    });
    assertEquals(done.stdout, expected);
    assertEquals(done.stderr, null);
  }
});

commandTest(
  "run() takes both outputs of 20 MiB, alternating, and 100 MiB",
  async () => {
    const script = `head -c ${20 * MIB} /dev/zero & head -c ${
      20 * MIB
    } /dev/zero >&2; wait`;
    const both = await run(script, { shell: true, captureOutput: true });
    assertEquals([both.stdout.length, both.stderr.length], [
      20 * MIB,
      20 * MIB,
    ]);
    const big = await run(["head", "-c", `${100 * MIB}`, "/dev/zero"], {
      captureOutput: true,
    });
    assertEquals(big.stdout.length, 100 * MIB);
    const input = new Uint8Array(8 * MIB).map((_, i) => i % 251);
    const echoed = await run(["cat"], { input, captureOutput: true });
    assertEquals(echoed.stdout.length, input.length);
    assert(echoed.stdout.every((byte, i) => byte === input[i]));
  },
);

commandTest("200 commands at the same time", async () => {
  const all = await Promise.all(
    Array.from(
      { length: 200 },
      (_, i) => run(["cat"], { input: `${i}`, ...text }),
    ),
  );
  assertEquals(all.map(({ stdout }) => stdout), all.map((_, i) => `${i}`));
});

// ---- maxBuffer ----

commandTest(
  "maxBuffer ends the command, and the error has what fits",
  async () => {
    const error = await assertRejects(
      () => run(["yes"], { ...text, maxBuffer: 9 }),
      MaxBufferError,
    );
    assertEquals([error.stdout, error.stream, error.truncated], [
      "y\ny\ny\ny\ny",
      "stdout",
      true,
    ]);
    await gone(error.pid);
    const err = await assertRejects(
      () => run("echo 12345 >&2", { shell: true, ...text, maxBuffer: 5 }),
      MaxBufferError,
    );
    assertEquals([err.stderr, err.stream], ["12345", "stderr"]);
    assertEquals(
      (await run(["echo", "1234"], { ...text, maxBuffer: 5 })).stdout,
      "1234\n",
    );
    await assertRejects(
      () => run(["echo"], { ...text, maxBuffer: 0 }),
      MaxBufferError,
    );
  },
);

commandTest("maxBuffer can keep the beginning or the end", async () => {
  const seq = (overflow: "truncate" | "tail", maxBuffer: number) =>
    run(["seq", "100000"], { ...text, maxBuffer, overflow });
  const head = await seq("truncate", 10);
  assertEquals([head.stdout, head.truncated, head.returncode], [
    "1\n2\n3\n4\n5\n",
    true,
    0,
  ]);
  const tail = await seq("tail", 13);
  assertEquals([tail.stdout, tail.truncated], ["99999\n100000\n", true]);
  const whole = (await run(["seq", "100000"], text)).stdout;
  const large = await seq("tail", 300_001);
  assertEquals(large.stdout, whole.slice(-300_001));
  assertEquals((await seq("tail", 0)).stdout, "");
  assert(!(await seq("tail", MIB)).truncated);
});

// ---- text ----

commandTest("text is strict, and the error says where it breaks", async () => {
  const cases: [string, number][] = [
    ["a\\377b", 1],
    ["abc\\303", 3],
    ["\\303\\244\\303\\244\\303(", 4],
    ["\\377", 0],
  ];
  for (const [bytes, offset] of cases) {
    const error = await assertRejects(
      () => run(["printf", bytes], text),
      OutputDecodeError,
    );
    assertEquals([error.offset, error.stream, error.encoding], [
      offset,
      "stdout",
      "utf-8",
    ], bytes);
    assertEquals(error.returncode, 0);
    const { stdout } = await run(["printf", bytes], {
      ...text,
      errors: "replace",
    });
    assert(stdout.includes("\ufffd"));
  }
});

commandTest(
  "text keeps a byte order mark and the ends of lines, in any encoding",
  async () => {
    assertEquals(
      (await run(["printf", "\\357\\273\\277a\\r\\nb"], text)).stdout,
      "\ufeffa\r\nb",
    );
    assertEquals(
      (await run(["printf", "\\344"], {
        captureOutput: true,
        encoding: "latin1",
      })).stdout,
      "ä",
    );
    assertEquals(
      (await run(["printf", "a\\000b\\000"], {
        captureOutput: true,
        encoding: "utf-16le",
      })).stdout,
      "ab",
    );
    const error = await assertRejects(
      () =>
        run(["printf", "a\\000b"], {
          captureOutput: true,
          encoding: "utf-16le",
        }),
      OutputDecodeError,
    );
    assertEquals(error.offset, 2);
  },
);

commandTest("a character that is split over two writes is one", async () => {
  const done = await run("printf '\\303'; sleep 0.05; printf '\\244'", {
    shell: true,
    ...text,
  });
  assertEquals(done.stdout, "ä");
});

// ---- environment and shell ----

commandTest(
  "env adds, undefined leaves out, clearEnv starts from nothing",
  async () => {
    Deno.env.set("SUBPROCESS_TEST", "from here");
    const get = async (
      options: Parameters<
        typeof run<
          { env: Record<string, string | undefined>; clearEnv?: boolean }
        >
      >[1],
    ) =>
      (await run([
        "/bin/sh",
        "-c",
        'echo "${SUBPROCESS_TEST-unset}" "${OTHER-unset}"',
      ], { ...options!, ...text })).stdout;
    assertEquals(await get({ env: { OTHER: "x" } }), "from here x\n");
    assertEquals(
      await get({ env: { SUBPROCESS_TEST: undefined } }),
      "unset unset\n",
    );
    assertEquals(
      await get({ env: { OTHER: "y" }, clearEnv: true }),
      "unset y\n",
    );
    Deno.env.delete("SUBPROCESS_TEST");
  },
);

commandTest("shell takes parameters that it does not read", async () => {
  const done = await run(['printf "%s|" "$@"', "name", "a b", "$HOME; x"], {
    shell: true,
    ...text,
  });
  assertEquals(done.stdout, "a b|$HOME; x|");
});

commandTest("run() takes URLs for programs and directories", async () => {
  const done = await run([new URL("file:///bin/sh"), "-c", "pwd"], {
    cwd: new URL("file:///"),
    ...text,
  });
  assertEquals(done.stdout, "/\n");
});
