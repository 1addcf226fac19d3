// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { wait } from "../../ipc/mod.ts";
import {
  CommandAbortedError,
  InvalidStateError,
  MaxBufferError,
  OutputDecodeError,
  PIPE,
  Popen,
  run,
  STDOUT,
} from "../../subprocess/mod.ts";
import { commandTest, gone, isRunning, LONG, until } from "./_commands.ts";

commandTest(
  "Popen has pid, args, streams, and a return code at its end",
  async () => {
    const popen = new Popen(["cat"], { stdin: PIPE, stdout: PIPE });
    assert(isRunning(popen.pid));
    assertEquals(popen.args, ["cat"]);
    assertEquals([popen.poll(), popen.returncode, popen.signal], [
      null,
      null,
      null,
    ]);
    const stderr: null = popen.stderr;
    assertEquals(stderr, null);
    const writer = popen.stdin.getWriter();
    await writer.write(new TextEncoder().encode("hello"));
    await writer.close();
    assertEquals(await new Response(popen.stdout).text(), "hello");
    assertEquals(await popen.wait(), 0);
    assertEquals(popen.poll(), 0);
    assertEquals(await popen.exited, { returncode: 0, signal: null });
  },
);

commandTest(
  "Popen.sendSignal(), terminate() and kill() do nothing once it has ended",
  async () => {
    const popen = new Popen(["true"]);
    await popen.wait();
    popen.sendSignal("SIGINT");
    popen.terminate();
    popen.kill();
    assertEquals(popen.returncode, 0);
  },
);

commandTest(
  "Popen.sendSignal() reaches a handler, and refuses what is no signal",
  async () => {
    const popen = new Popen(
      "trap 'echo caught; exit 4' USR1; echo ready; while :; do sleep 0.01; done",
      { shell: true, stdout: PIPE, text: true },
    );
    const lines = popen.lines();
    assertEquals((await lines.next()).value, "ready");
    // deno-lint-ignore no-explicit-any
    assertThrows(() => popen.sendSignal("SIGNOPE" as any), TypeError);
    // deno-lint-ignore no-explicit-any
    assertThrows(() => popen.sendSignal({} as any), TypeError);
    popen.sendSignal("SIGUSR1");
    assertEquals((await lines.next()).value, "caught");
    assertEquals((await lines.next()).done, true);
    assertEquals(await popen.wait(), 4);
  },
);

commandTest("Popen.kill() with killTree ends the whole group", async () => {
  const popen = new Popen("sleep 60 & echo $!; wait", {
    shell: true,
    stdout: PIPE,
    killTree: true,
  });
  assertEquals(popen.reach, "group");
  const lines = popen.lines();
  const { value } = await lines.next();
  popen.kill();
  assertEquals(await popen.wait(), -9);
  await gone(Number(value));
  assertEquals((await lines.next()).done, true);
});

commandTest("Popen.communicate() checks its input and who reads", async () => {
  const plain = new Popen(["true"]);
  await assertRejects(
    () => plain.communicate("x"),
    InvalidStateError,
    "no pipe",
  );
  assertEquals(await plain.communicate(), [null, null]);
  const read = new Popen(["echo", "x"], { stdout: PIPE });
  const reader = read.stdout.getReader();
  await assertRejects(() => read.communicate(), InvalidStateError, "stdout");
  await reader.cancel();
  await read.wait();
  const cat = new Popen(["cat"], { stdin: PIPE, stdout: PIPE });
  // deno-lint-ignore no-explicit-any
  await assertRejects(() => cat.communicate(5 as any), TypeError);
  assertEquals(await cat.communicate("late"), [
    new TextEncoder().encode("late"),
    null,
  ]);
});

commandTest(
  "concurrent waits agree, and communicate() can be called twice",
  async () => {
    const popen = new Popen(["sh", "-c", "cat; exit 5"], {
      stdin: PIPE,
      stdout: PIPE,
      text: true,
    });
    const all = await Promise.all([
      popen.communicate("x"),
      popen.communicate(),
      popen.wait(),
      popen.exited,
    ]);
    assertEquals(all, [["x", null], ["x", null], 5, {
      returncode: 5,
      signal: null,
    }]);
    assertEquals(await popen.communicate(), ["x", null]);
  },
);

commandTest("wait() of ipc waits for commands", async () => {
  const quick = new Popen(["true"]);
  const slow = new Popen(["sleep", "60"]);
  assertEquals(await wait([slow, quick]), [quick]);
  slow.kill();
  await slow.wait();
});

// ---- lines ----

commandTest(
  "lines() gives lines without their ends, also the last one without",
  async () => {
    const popen = new Popen(["printf", "a\\n\\nb\\r\\nä\\nlast"], {
      stdout: PIPE,
    });
    assertEquals(await Array.fromAsync(popen.lines()), [
      "a",
      "",
      "b",
      "ä",
      "last",
    ]);
    assertEquals(await popen.wait(), 0);
    const none = new Popen(["true"], { stdout: PIPE });
    assertEquals(await Array.fromAsync(none), []);
  },
);

commandTest(
  "lines() reads stderr, and both in their order with STDOUT",
  async () => {
    const err = new Popen("echo x >&2", { shell: true, stderr: PIPE });
    assertEquals(await Array.fromAsync(err.lines({ stream: "stderr" })), ["x"]);
    const both = new Popen("echo 1; echo 2 >&2; echo 3", {
      shell: true,
      stdout: PIPE,
      stderr: STDOUT,
    });
    assertEquals(await Array.fromAsync(both), ["1", "2", "3"]);
  },
);

commandTest(
  "lines() keeps a character and a \\r\\n that are split over two writes",
  async () => {
    const popen = new Popen(
      "printf '\\303'; sleep 0.05; printf '\\244\\r'; sleep 0.05; printf '\\nb\\n'",
      { shell: true, stdout: PIPE },
    );
    assertEquals(await Array.fromAsync(popen), ["ä", "b"]);
  },
);

commandTest("lineBatches() gives all lines", async () => {
  const popen = new Popen(["seq", "200000"], { stdout: PIPE });
  let count = 0;
  let sum = 0;
  for await (const lines of popen.lineBatches()) {
    count++;
    for (const line of lines) sum += Number(line);
  }
  assertEquals(sum, 200000 * 200001 / 2);
  assert(count < 20000);
});

commandTest("to leave the loop ends a command that writes on", async () => {
  const popen = new Popen(["yes"], { stdout: PIPE });
  for await (const line of popen) {
    assertEquals(line, "y");
    break;
  }
  assertEquals(await popen.wait(), -13);
  assertEquals(popen.signal, "SIGPIPE");
});

commandTest(
  "lines() says where text breaks, also in a later chunk",
  async () => {
    const popen = new Popen(
      "head -c 100001 /dev/zero | tr '\\0' a; printf '\\303'; sleep 0.02; printf '('",
      { shell: true, stdout: PIPE },
    );
    const error = await assertRejects(
      () => Array.fromAsync(popen),
      OutputDecodeError,
    );
    assertEquals(error.offset, 100001);
    await popen.wait();
    const replaced = new Popen(["printf", "a\\377"], {
      stdout: PIPE,
      errors: "replace",
    });
    assertEquals(await Array.fromAsync(replaced), ["a\ufffd"]);
  },
);

commandTest(
  "lines() ends a command with an endless line, or an aborted one, with the error",
  async () => {
    const endless = new Popen("yes | tr -d '\\n'", {
      shell: true,
      stdout: PIPE,
      maxBuffer: 1000,
      killTree: true,
    });
    await assertRejects(() => Array.fromAsync(endless), MaxBufferError);
    const stop = new AbortController();
    const aborted = new Popen("echo a; exec sleep 60", {
      shell: true,
      stdout: PIPE,
      signal: stop.signal,
    });
    await assertRejects(async () => {
      for await (const _ of aborted) stop.abort();
    }, CommandAbortedError);
    await assertRejects(() => aborted.wait(), CommandAbortedError);
  },
);

commandTest("lines() needs a pipe that nobody reads", async () => {
  const popen = new Popen(["true"], { stdout: PIPE });
  assertThrows(() => popen.lines({ stream: "stderr" }), InvalidStateError);
  // deno-lint-ignore no-explicit-any
  assertThrows(() => popen.lines({ stream: "both" as any }), TypeError);
  const lines = popen.lines();
  assertThrows(() => popen.lines(), InvalidStateError);
  await lines.return!();
  await popen.wait();
});

commandTest(
  "what a command has written can be read after its end",
  async () => {
    const popen = new Popen(["echo", "late"], {
      stdout: PIPE,
      text: true,
      timeout: LONG,
    });
    await popen.wait();
    assertEquals(await popen.communicate(), ["late\n", null]);
  },
);

// ---- detached ----

commandTest(
  "a detached command is in a session of its own and outlives the program",
  async () => {
    const program = `import { Popen } from "${new URL(
      "../../subprocess/mod.ts",
      import.meta.url,
    )}";
    const popen = new Popen(["sleep", "60"], { detached: true, stdin: "null", stdout: "null", stderr: "null" });
    console.log(popen.pid, popen.isGuarded);`;
    const { stdout } = await run([Deno.execPath(), "eval", program], {
      captureOutput: true,
      text: true,
    });
    const [pid, isGuarded] = stdout.trim().split(" ");
    assertEquals(isGuarded, "false");
    assert(isRunning(Number(pid)));
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
    assertEquals(stat.split(" ")[5], pid);
    Deno.kill(Number(pid), "SIGKILL");
    await gone(Number(pid));
  },
);

commandTest("the message of a failed start is bounded", async () => {
  const error = await assertRejects(() =>
    run(["no-such-program", ..."x".repeat(500)])
  );
  assertMatch((error as Error).message, /…/);
  await until(() => true, "");
});
