// Copyright 2026 the multitask authors. MIT license.
// A command on a platform that does what the test says: what real processes do
// only now and then, or never.

import { assert, assertEquals } from "@std/assert";
import { Command } from "../../subprocess/_command.ts";
import {
  planCommand,
  type RunOptions,
} from "../../subprocess/_command_options.ts";
import type {
  CommandExit,
  Platform,
  StartedCommand,
} from "../../subprocess/_platform.ts";
import { commandTest } from "./_commands.ts";

const decoder = new TextDecoder();

/** A command that is told what happens to it. */
class Fake {
  readonly signals: (string | number)[] = [];
  released = 0;
  group: boolean | undefined = false;
  readonly #exit = Promise.withResolvers<CommandExit>();
  #stdout!: ReadableByteStreamController;
  stdoutIsCancelled = false;
  onSignal: (signal: string | number) => void = () => {};

  exit(returncode = 0): void {
    this.#exit.resolve({ returncode, signal: null });
  }

  write(text: string): void {
    this.#stdout.enqueue(new TextEncoder().encode(text));
  }

  endOutput(): void {
    this.#stdout.close();
    this.#stdout.byobRequest?.respond(0);
  }

  start(options: RunOptions): Command {
    const stdout = new ReadableStream({
      type: "bytes",
      start: (controller) => {
        this.#stdout = controller;
      },
      cancel: () => {
        this.stdoutIsCancelled = true;
      },
    });
    const send = (signal: string | number) => {
      this.signals.push(signal);
      this.onSignal(signal);
    };
    const started: StartedCommand = {
      pid: 1,
      exited: this.#exit.promise,
      stdin: null,
      stdout,
      stderr: null,
      reach: "group",
      isGuarded: false,
      signal: send,
      signalAll: send,
      groupAlive: () => this.group,
      release: () => {
        this.released++;
        return Promise.resolve();
      },
      ref: () => {},
      unref: () => {},
    };
    const platform: Platform = {
      spawn: () => started,
      openRead: () => ReadableStream.from([]),
      openWrite: () => ({ write: () => Promise.resolve(), close: () => {} }),
      write: () => Promise.resolve(),
    };
    const command = new Command(
      planCommand(["fake"], { stdout: "piped", ...options }),
      platform,
    );
    command.capture("stdout");
    return command;
  }
}

const BOUNDS = { killGrace: 5, drain: 5 };

commandTest("Command is done although even SIGKILL has no effect", async () => {
  const fake = new Fake();
  const command = fake.start(BOUNDS);
  fake.write("kept");
  command.end({ kind: "timeout" });
  await command.done();
  assertEquals(fake.signals, ["SIGTERM", "SIGKILL"]);
  const { returncode, forced, incomplete } = command.facts;
  assertEquals([returncode, forced, incomplete], [null, true, true]);
  assertEquals(decoder.decode(command.captured("stdout")!), "kept");
  assert(fake.stdoutIsCancelled && fake.released > 0);
});

commandTest("Command does not kill what ends at SIGTERM", async () => {
  const fake = new Fake();
  const command = fake.start({ killGrace: 100_000 });
  fake.onSignal = () => {
    fake.exit(-15);
    fake.endOutput();
  };
  command.end({ kind: "timeout" });
  await command.done();
  assertEquals(fake.signals, ["SIGTERM"]);
  assert(!command.facts.forced && !command.facts.incomplete);
});

commandTest(
  "Command kills its group when members are left after the grace",
  async () => {
    const fake = new Fake();
    fake.group = true;
    const command = fake.start(BOUNDS);
    fake.onSignal = (signal) => {
      if (signal === "SIGTERM") fake.exit(-15);
      else {
        fake.group = false;
        fake.endOutput();
      }
    };
    command.end({ kind: "timeout" });
    await command.done();
    assertEquals(fake.signals, ["SIGTERM", "SIGKILL"]);
    assert(command.facts.forced && !command.facts.incomplete);
  },
);

commandTest(
  "Command kills a group that nobody can look at once its leader has gone",
  async () => {
    const fake = new Fake();
    fake.group = undefined;
    const command = fake.start({ killGrace: 100_000, drain: 5 });
    fake.onSignal = () => fake.exit(-15);
    command.end({ kind: "timeout" });
    await command.done();
    assertEquals(fake.signals, ["SIGTERM", "SIGKILL"]);
  },
);

commandTest("Command keeps its first cause, and ends once", async () => {
  const fake = new Fake();
  const command = fake.start(BOUNDS);
  command.end({ kind: "abort", reason: "first" });
  command.end({ kind: "timeout" });
  fake.exit();
  fake.endOutput();
  await Promise.all([command.done(), command.done()]);
  assertEquals(command.cause, { kind: "abort", reason: "first" });
  assertEquals(fake.signals, ["SIGTERM"]);
});

commandTest("Command reads what comes after the exit", async () => {
  const fake = new Fake();
  const command = fake.start({});
  fake.write("a");
  fake.exit(3);
  await command.exited;
  fake.write("b");
  fake.endOutput();
  await command.done();
  assertEquals(decoder.decode(command.captured("stdout")!), "ab");
  assertEquals(command.facts.returncode, 3);
});

commandTest(
  "Command that may not be signalled is done all the same",
  async () => {
    const fake = new Fake();
    const command = fake.start(BOUNDS);
    fake.onSignal = () => {
      throw new Error("revoked");
    };
    command.end({ kind: "timeout" });
    await command.done();
    assertEquals(command.facts.returncode, null);
  },
);
