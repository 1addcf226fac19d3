// Copyright 2026 the multitask authors. MIT license.
// A parent that is killed takes its children along, whatever they are doing,
// and leaves no socket and no directory behind.

import { assert, assertEquals, assertFalse } from "@std/assert";
import { lives, Program, until } from "./_program.ts";
import { isListening, listeningSockets, wayThrough } from "./_sockets.ts";
import { NO_KERNEL_GUARD, type Way, WAYS } from "./_ways.ts";

const ignore = Deno.build.os !== "linux";

interface Round {
  /** The way to the children; `none` is by descriptors and without rights. */
  way: Way | "none";
  /** Whether the kernel may be asked to end children with their parent. */
  guarded: boolean;
}

const ROUNDS: Round[] = [
  { way: "abstract", guarded: true },
  { way: "abstract", guarded: false },
  { way: "descriptor", guarded: true },
  { way: "descriptor", guarded: false },
  { way: "directory", guarded: false },
  { way: "port", guarded: false },
  { way: "none", guarded: false },
];

function start(name: string, { way, guarded }: Round): Program {
  return new Program(name, {
    // With permissions to share, children by descriptors have children, too.
    flags: WAYS[way === "descriptor" || way === "none" ? "abstract" : way],
    args: [way],
    env: guarded ? {} : NO_KERNEL_GUARD,
  });
}

function words({ way, guarded }: Round): string {
  return `${way} way, ${guarded ? "kernel guard" : "watchdog"}`;
}

for (const round of ROUNDS) {
  Deno.test({
    name: `a killed parent leaves nothing, whatever its children do ` +
      `(${words(round)})`,
    ignore,
    async fn() {
      await using program = start("crowd", round);
      await program.line("up");
      if (!round.guarded) {
        assertEquals(await program.line("guarded"), "false");
      }
      const sockets = listeningSockets(program.pid);
      assertEquals(
        sockets.map(wayThrough),
        round.way === "descriptor" || round.way === "none" ? [] : [round.way],
      );
      assert(program.descendants().length >= 8);
      program.kill("SIGKILL");
      const { signal } = await program.end();
      assertEquals(signal, "SIGKILL");
      for (const socket of sockets) assertFalse(isListening(socket));
    },
  });
}

for (const round of ROUNDS) {
  // A parent that dies before it has told where its directory is cannot have it
  // removed: the next one to make a directory does that.
  if (round.way === "directory") continue;
  Deno.test({
    name: `a parent that is killed while its children start leaves nothing ` +
      `(${words(round)})`,
    ignore,
    async fn() {
      await using program = start("just_started", round);
      await program.line("started");
      program.kill("SIGKILL");
      const { signal } = await program.end();
      assertEquals(signal, "SIGKILL");
    },
  });
}

for (const guarded of [true, false]) {
  Deno.test({
    name: `a killed parent leaves no forked child ` +
      `(${guarded ? "kernel guard" : "watchdog"})`,
    ignore,
    async fn() {
      await using program = start("forks", { way: "abstract", guarded });
      for (const who of ["first", "second", "parent"]) {
        await program.line(`${who} up`);
      }
      program.kill("SIGKILL");
      const { signal } = await program.end();
      assertEquals(signal, "SIGKILL");
    },
  });
}

Deno.test({
  name: "a killed parent leaves nothing of a child with exact permissions",
  ignore,
  async fn() {
    await using program = new Program("exact");
    assertEquals(await program.line("up"), "true");
    program.kill("SIGKILL");
    const { signal } = await program.end();
    assertEquals(signal, "SIGKILL");
  },
});

const MIDDLE_ENDS = {
  kill: -9,
  terminate: -15,
  exit: 3,
  throw: 1,
  return: 0,
} as const;

for (const [how, code] of Object.entries(MIDDLE_ENDS)) {
  for (const guarded of [true, false]) {
    // How a process ends of itself has nothing to do with the guard.
    if (!guarded && how !== "kill" && how !== "exit") continue;
    Deno.test({
      name: `a child takes its own children along: ${how} ` +
        `(${guarded ? "kernel guard" : "watchdog"})`,
      ignore,
      async fn() {
        await using program = new Program("middle_ends", {
          args: [how],
          env: guarded ? {} : NO_KERNEL_GUARD,
        });
        const below = await program.report<number[]>("below");
        assertEquals(await program.report("exit"), code);
        await until(() => !below.some(lives), "Grandchildren are left");
        assertEquals(program.descendants(), []);
        program.kill("SIGKILL");
        await program.end();
      },
    });
  }
}

Deno.test({
  name: "a directory that a killed parent left is removed by the next one",
  ignore,
  async fn() {
    await using program = new Program("starts_one", {
      flags: WAYS.directory,
      args: ["directory"],
    });
    const left = `${program.temp}/multitask-left`;
    const used = `${program.temp}/multitask-used`;
    for (const directory of [left, used]) Deno.mkdirSync(directory);
    using _listener = Deno.listen({
      transport: "unix",
      path: `${used}/socket`,
    });
    Deno.listen({ transport: "unix", path: `${left}/socket` }).close();
    // A socket of its own has to be there soon after a directory is made.
    for (const directory of [left, used]) Deno.utimeSync(directory, 1, 1);
    await program.line("started");
    const names = () => [...Deno.readDirSync(program.temp)].map((e) => e.name);
    await until(() => !names().includes("multitask-left"), "It is left");
    assert(names().includes("multitask-used"), `${names()}`);
  },
});
