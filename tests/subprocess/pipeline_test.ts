// Copyright 2026 the multitask authors. MIT license.

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  CalledProcessError,
  CommandAbortedError,
  CommandNotFoundError,
  MaxBufferError,
  PIPE,
  pipeline,
} from "../../subprocess/mod.ts";
import { commandTest, gone } from "./_commands.ts";

const text = { captureOutput: true, text: true } as const;

commandTest(
  "pipeline() gives the last output and every exit status",
  async () => {
    const done = await pipeline(
      ["printf", "b\\na\\n"],
      ["sh", "-c", "cat; echo note >&2; exit 3"],
      ["sort"],
      text,
    );
    assertEquals(done.stdout, "a\nb\n");
    assertEquals([done.returncode, done.returncodes], [0, [0, 3, 0]]);
    assertEquals(done.stopped, [false, false, false]);
    assertEquals(done.commands.map(({ stdout }) => stdout), [
      null,
      null,
      "a\nb\n",
    ]);
    assertEquals(done.commands[1]!.stderr, "note\n");
  },
);

commandTest(
  "pipeline() with check looks at the last, with strict at every command",
  async () => {
    const commands = [["sh", "-c", "echo x; exit 3"], ["cat"]] as const;
    await pipeline(...commands, { ...text, check: true });
    const error = await assertRejects(
      () => pipeline(...commands, { ...text, strict: true }),
      CalledProcessError,
    );
    assertEquals(error.returncode, 3);
    await assertRejects(
      () => pipeline(["true"], ["false"], { check: true }),
      CalledProcessError,
    );
  },
);

commandTest(
  "pipeline() stops those before a command that has ended, which is no failure",
  async () => {
    const done = await pipeline(["yes"], ["head", "-n", "1"], {
      ...text,
      strict: true,
    });
    assertEquals([done.stdout, done.stopped, done.returncodes], ["y\n", [
      true,
      false,
    ], [-13, 0]]);
    const idle = await pipeline(["sleep", "60"], ["true"], {
      ...text,
      strict: true,
    });
    assertEquals(idle.stopped, [true, false]);
    const chain = await pipeline(["sleep", "60"], ["cat"], ["cat"], ["true"], {
      ...text,
      strict: true,
    });
    assertEquals(chain.stopped, [true, true, true, false]);
  },
);

commandTest(
  "pipeline() ends one that goes on although nobody reads it",
  async () => {
    const done = await pipeline(
      ["sh", "-c", "trap '' PIPE; echo ready; sleep 60"],
      ["head", "-n", "1"],
      { ...text, killGrace: 100, drain: 50, killTree: true },
    );
    assertEquals([done.stopped[0], done.commands[0]!.signal], [
      true,
      "SIGTERM",
    ]);
  },
);

commandTest(
  "pipeline() waits for those before one that cannot start",
  async () => {
    const pids: number[] = [];
    const seen = new WritableStream<Uint8Array>({
      write: (chunk) => void pids.push(Number(new TextDecoder().decode(chunk))),
    });
    await assertRejects(
      () =>
        pipeline(["sh", "-c", "echo $$ >&2; exec sleep 60"], [
          "no-such-program",
        ], { stderr: seen }),
      CommandNotFoundError,
    );
    for (const pid of pids) await gone(pid);
  },
);

commandTest("pipeline() takes input and many megabytes", async () => {
  const done = await pipeline(["cat"], ["cat"], ["wc", "-c"], {
    ...text,
    input: new Uint8Array(20 * 2 ** 20),
  });
  assertEquals(Number(done.stdout), 20 * 2 ** 20);
  assertEquals(
    (await pipeline(["cat"], { ...text, input: "one" })).stdout,
    "one",
  );
  assertEquals(
    (await pipeline(["cat"], ["cat"], { ...text, stdin: PIPE })).stdout,
    "",
  );
});

commandTest(
  "pipeline() ends all of them when one fails or it is aborted",
  async () => {
    const error = await assertRejects(
      () => pipeline(["sleep", "60"], ["yes"], { ...text, maxBuffer: 100 }),
      MaxBufferError,
    );
    assertEquals(error.args, ["yes"]);
    const stop = new AbortController();
    const aborted = pipeline(["sleep", "60"], ["cat"], ["cat"], {
      signal: stop.signal,
    });
    stop.abort("why");
    assertEquals(
      (await assertRejects(() => aborted, CommandAbortedError)).cause,
      "why",
    );
  },
);

commandTest(
  "pipeline() checks everything before it starts anything",
  async () => {
    // deno-lint-ignore no-explicit-any
    const wrong = pipeline as (...args: any[]) => Promise<unknown>;
    await assertRejects(() => wrong(), TypeError);
    await assertRejects(() => wrong({}), TypeError);
    await assertRejects(() => wrong(["touch", "/tmp/never"], [5]), TypeError);
    await assertRejects(() => wrong(["true"], { strict: 1 }), TypeError);
    await assertRejects(() => wrong(["true"], { timeout: -1 }), RangeError);
    assert(true);
  },
);
