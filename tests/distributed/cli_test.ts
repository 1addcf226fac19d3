// Copyright 2026 the multitask authors. MIT license.
// The command, as somebody runs it.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { RemotePool } from "../../distributed/mod.ts";
import { bounded } from "../ipc/_waits.ts";
import { KEY, until } from "./_managers.ts";

const CLI = new URL("../../distributed/cli.ts", import.meta.url);
const TASKS = new URL("./fixtures/tasks.ts", import.meta.url);

/** A running command: what it says so far, and how it ends. */
class Command implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #reading: Promise<unknown>;
  text = "";

  constructor(args: readonly string[], env: Record<string, string> = {}) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-check", "-A", CLI.href, ...args],
      env: { NO_COLOR: "1", MULTITASK_AUTHKEY: KEY, ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const { stdout, stderr } = this.#process;
    this.#reading = Promise.all([stdout, stderr].map(async (stream) => {
      for await (const part of stream.pipeThrough(new TextDecoderStream())) {
        this.text += part;
      }
    }));
  }

  /** Waits until it has said something. */
  async says(what: RegExp): Promise<RegExpExecArray> {
    await until(() => what.test(this.text), `${what} of:\n${this.text}`);
    return what.exec(this.text)!;
  }

  interrupt(): void {
    this.#process.kill("SIGINT");
  }

  /** Its exit code, once it has ended by itself. */
  async ended(): Promise<number> {
    const { code } = await bounded(this.#process.status);
    await this.#reading;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.ended();
  }
}

const isWindows = Deno.build.os === "windows";

Deno.test({
  name: "The command serves, works, tells, and ends on Ctrl-C",
  ignore: isWindows, // No SIGINT can be sent there.
  async fn() {
    await using manager = new Command(["manager", "--address=127.0.0.1:0"]);
    const address = (await manager.says(/Serving at (\S+:\d+)/))[1]!;
    await using worker = new Command([
      "worker",
      `--address=${address}`,
      `--tasks=${TASKS.pathname}`,
      "--name=one",
    ]);
    await worker.says(/Worker one: .*square/);
    await using pool = new RemotePool({ address, authkey: KEY });
    assertEquals(await bounded(pool.map("square", [1, 2, 3])), [1, 4, 9]);

    await using status = new Command([
      "status",
      `--address=${address}`,
      "--json",
    ]);
    assertEquals(await status.ended(), 0, status.text);
    const { guests } = JSON.parse(status.text);
    assert(guests.length >= 3, status.text);
    assert(!status.text.includes(KEY));

    // What runs is done before it ends.
    const mark = await Deno.makeTempFile();
    const slow = pool.applyAsync("marked", [mark]);
    await until(
      async () => await Deno.readTextFile(mark) === "runs",
      "the task runs",
    );
    worker.interrupt();
    await worker.says(/Ending when what runs is done/);
    await Deno.remove(mark);
    assertEquals(await bounded(slow.promise), "done");
    assertEquals(await worker.ended(), 0, worker.text);
    assertStringIncludes(worker.text, "Worker ended: 4 tasks done");

    manager.interrupt();
    await manager.says(/Manager ended/);
    assertEquals(await manager.ended(), 0, manager.text);
    assert(!manager.text.includes(KEY));
  },
});

for (
  const [name, args, code, told, env] of [
    ["its help", ["--help"], 0, "--key-file", {}],
    ["a missing command", [], 2, "A command is missing; see --help", {}],
    ["an unknown command", ["serve"], 2, "No such command: serve", {}],
    ["an unknown option", ["status", "--adress=x"], 2, "--adress=x", {}],
    ["a missing module", ["worker"], 2, "--tasks is missing", {}],
    ["a missing key", ["status"], 2, "give --key-file, or MULTITASK_AUTHKEY", {
      MULTITASK_AUTHKEY: "",
    }],
  ] as const
) {
  Deno.test(`The command tells of ${name}`, async () => {
    await using command = new Command(args, env);
    assertEquals(await command.ended(), code, command.text);
    assertStringIncludes(command.text, told);
  });
}

Deno.test("The command tells of a wrong key, and shows none", async () => {
  await using manager = new Command(["manager", "--address=127.0.0.1:0"]);
  const address = (await manager.says(/Serving at (\S+:\d+)/))[1]!;
  await using status = new Command(["status", `--address=${address}`], {
    MULTITASK_AUTHKEY: "the wrong one",
  });
  assertEquals(await status.ended(), 1, status.text);
  assertStringIncludes(status.text, "AuthenticationError");
  assert(!`${status.text}${manager.text}`.includes("the wrong one"));
  assert(!`${status.text}${manager.text}`.includes(KEY));
});
