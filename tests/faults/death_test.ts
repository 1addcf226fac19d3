// Copyright 2026 the multitask authors. MIT license.
// Whoever dies, whoever waits is told.

import { assertEquals } from "@std/assert";
import { Program } from "./_program.ts";
import { by, type Way } from "./_ways.ts";

const ignore = Deno.build.os !== "linux";

async function assertReports(
  program: Program,
  expected: Record<string, unknown>,
): Promise<void> {
  for (const [label, finding] of Object.entries(expected)) {
    assertEquals(await program.report(label), finding, label);
  }
  await program.success();
}

const CLOSED = { error: "ConnectionClosedError" };
const DONE = { value: null };
const HELD = { value: false };
const ABANDONED = { value: true };

/** What comes of a victim's operations, and of those behind it. */
function findings(dead: Record<string, unknown>): Record<string, unknown> {
  const put = { dead, items: ["first", "kept"], sibling: DONE, left: 0 };
  const get = {
    dead,
    sibling: { value: "first" },
    parent: { value: "second" },
  };
  const acquire = { dead, sibling: HELD, parent: HELD };
  const first = { value: 1 << 20 };
  return {
    put,
    get,
    acquire,
    hold: { dead, parent: ABANDONED, locked: false },
    holdBeforeSibling: { dead, sibling: ABANDONED, parent: HELD },
    send: { dead, parent: first, send: CLOSED },
    recv: { dead, parent: CLOSED, send: CLOSED },
    sendToSibling: { dead, sibling: first },
    recvFromSibling: { dead, sibling: CLOSED },
    ...dead.code === -9
      ? { putSync: put, getSync: get, acquireSync: acquire }
      : {},
  };
}

const VICTIMS = {
  kill: {
    error: "WorkerLostError",
    worker: "victim",
    exitCode: -9,
    signal: "SIGKILL",
    code: -9,
  },
  exit: {
    error: "WorkerLostError",
    worker: "victim",
    exitCode: 3,
    signal: null,
    code: 3,
  },
} as const;

const ROUNDS: [Way, "kill" | "exit", string][] = [
  ["abstract", "kill", "is killed"],
  ["abstract", "exit", "exits"],
  ["descriptor", "kill", "is killed"],
  ["descriptor", "exit", "exits"],
];

for (const [way, how, words] of ROUNDS) {
  Deno.test({
    name: `a child ${words} while it puts, gets, acquires, holds, sends ` +
      `or receives: nobody waits in vain (${way} way)`,
    ignore,
    async fn() {
      await using program = new Program("dies_waiting", by(way, [how]));
      await assertReports(program, findings(VICTIMS[how]));
    },
  });
}

const ENDS = {
  kill: { exitCode: -9, signal: "SIGKILL" },
  exit: { exitCode: 3, signal: null },
  return: { exitCode: 0, signal: null },
  throw: { exitCode: 1, signal: null },
  link: { exitCode: -9, signal: "SIGKILL" },
} as const;

for (const [how, end] of Object.entries(ENDS)) {
  const words = how === "link" ? "its parent is killed" : how;
  Deno.test({
    name: `whoever waits on a child's objects is told of its end (${words})`,
    ignore,
    async fn() {
      await using program = new Program("owner_dies", by("abstract", [how]));
      const told = {
        error: "ProcessExitError",
        process: "the owner",
        ...end,
      };
      const parent = {
        put: told,
        get: told,
        acquire: told,
        wait: told,
        recv: told,
        late: told,
        send: told,
      };
      await assertReports(program, {
        parent,
        sibling: { ...parent, size: told },
        blocked: told,
        send: told,
      });
    },
  });
}

Deno.test({
  name: "a lock that a grandchild held is abandoned at its death",
  ignore,
  async fn() {
    await using program = new Program("holder_below_dies");
    await assertReports(program, {
      alone: ABANDONED,
      "with its parent": ABANDONED,
    });
  },
});
