// Copyright 2026 the multitask authors. MIT license.
// How functions are named for another process. Most of it is tested in a
// program: under `deno test` the main module is no module of the user's.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { liveResources } from "../../ipc/_live.ts";
import { taskRef, TaskReferenceError } from "../../ipc/mod.ts";
import { Process } from "../../process/mod.ts";
import { reasonOf } from "../ipc/_waits.ts";
import {
  fixture,
  processTest,
  reported,
  runFixture,
  type RunResult,
  textOf,
} from "./_run.ts";
import { plain } from "./fixtures/reference_tasks.ts";
import * as tasks from "./fixtures/tasks.ts";

interface Outcome {
  readonly value?: unknown;
  readonly error?: string;
  readonly message?: string;
  readonly exitCode?: number;
}

/** What is the same whether the inspector is there or not. */
const VALUES: Record<string, unknown> = {
  "main: function": 1010,
  "main: async function": 1011,
  "main: arrow": 1012,
  "main: renamed": 1013,
  "main: reference to default": 1014,
  "main: reference": 1010,
  "main: reference to a renamed one": 1013,
  "main: overloaded": 1015,
  "main: generic": 1016,
  "main: second of two": 1017,
  "main: in brackets": 1018,
  "main: by its own name": 1019,
  "main: variable": 1020,
  "main: annotated": 1021,
  "main: common name": 1022,
  "imported: function": 110,
  "imported: async function": 111,
  "imported: arrow": 112,
  "imported: renamed": 113,
  "imported: named default": 114,
  "imported: anonymous default": 210,
  "imported: anonymous arrow": 310,
  "imported: passed on": 112,
  "imported: default passed on": 114,
  "imported: by a namespace": 110,
  "imported: reference": 112,
  "imported: reference to default": 114,
  "inline: arrow": 100,
  "inline: async": 11,
  "inline: function": 9,
  "inline: method": 12,
  "double by reference": 20,
  "imported double": 20,
  "imported triple": 30,
  "class": {
    sum: 1006,
    base: [null, true, true, false],
    name: "counter",
    current: "counter",
  },
  "class of a class": {
    sum: 1052,
    base: [null, true, true, false],
    name: "deep",
    current: "deep",
  },
  "class: imported": 18,
};

/** What an error has to say, whether the inspector is there or not. */
const ERRORS: Record<string, readonly string[]> = {
  "inline: not exported": ['"notExported"', '"offset"', "export"],
  "inline: not exported elsewhere": ['"secret"', '"offset"', "export"],
  "inline: closure": ['"step"', "taskRef"],
  "inline: common name": ['"factor"', "taskRef"],
  "mul(5)": ['"factor"', "taskRef"],
  "inner of 5": ['"inner"', '"factor"', "taskRef"],
  "twice of 5": ['"twice"', '"factor"', "taskRef"],
  "imported mul(5)": ['"factor"', "taskRef"],
  "imported triple of 5": ['"triple"', '"factor"', "taskRef"],
  "class: private field": ['"Private"', "#fields", "#secret"],
  "class: not exported": ['"NotExported"', "export it"],
};

/** Functions of the main module which nothing but their text can tell from
 * others: they work, or it is said why not, but nothing else runs. */
const VALUES_OR_ERRORS: Record<string, number> = {
  "double": 20,
  "inner": 30,
  "twice": 20,
  "fourfold": 20,
  "fourfold of 5": 50,
  "main: out of a pattern": 1010,
  "main: ambiguous": 1010,
  "main: ambiguous other": 1010,
};

/** What is said of exports that cannot be told from other functions. */
const DOUBTS: Record<string, string> = {
  "main: out of a pattern": "taken",
  "main: ambiguous": "ambiguous",
};

const WITHOUT_SYS = [
  "--allow-read",
  "--allow-write",
  "--allow-net",
  "--allow-run",
  "--allow-env",
];

/** It starts some sixty processes, one after the other. */
const RUN_BOUND = 35_000;

let withSys: Promise<RunResult> | undefined;
let withoutSys: Promise<RunResult> | undefined;

/** One run serves all tests of its flags. */
async function outcomes(sys: boolean): Promise<Record<string, Outcome>> {
  const run = sys
    ? withSys ??= runFixture("references.ts", { timeout: RUN_BOUND })
    : withoutSys ??= runFixture("references.ts", {
      flags: WITHOUT_SYS,
      timeout: RUN_BOUND,
    });
  return reported(await run) as Record<string, Outcome>;
}

function assertReferenceError(
  outcome: Outcome | undefined,
  words: readonly string[],
  name: string,
): void {
  const shown = `${name}: ${Deno.inspect(outcome)}`;
  assertEquals(outcome?.error, "TaskReferenceError", shown);
  assertEquals(outcome?.exitCode, 1, shown);
  for (const word of words) {
    assertStringIncludes(outcome!.message!, word, shown);
  }
}

for (const sys of [true, false]) {
  const flags = sys ? "with --allow-sys" : "without --allow-sys";

  processTest(`Process finds its function ${flags}`, async () => {
    const found = await outcomes(sys);
    for (const [name, value] of Object.entries(VALUES)) {
      const outcome = found[name];
      assertEquals(outcome, { value, exitCode: 0 }, name);
    }
  });

  processTest(
    `Process says why a function cannot be sent ${flags}`,
    async () => {
      const found = await outcomes(sys);
      for (const [name, words] of Object.entries(ERRORS)) {
        assertReferenceError(found[name], words, name);
      }
    },
  );

  processTest(
    `Process never takes a function for another one ${flags}`,
    async () => {
      const found = await outcomes(sys);
      for (const [name, value] of Object.entries(VALUES_OR_ERRORS)) {
        const outcome = found[name]!;
        if ("value" in outcome) assertEquals(outcome.value, value, name);
        else assertReferenceError(outcome, ["taskRef"], name);
      }
    },
  );

  processTest(
    `Process has no case that is not looked at ${flags}`,
    async () => {
      const known = { ...VALUES, ...ERRORS, ...VALUES_OR_ERRORS };
      assertEquals(
        Object.keys(await outcomes(sys)).sort(),
        Object.keys(known).sort(),
      );
    },
  );
}

processTest(
  "Process with the inspector refuses what an enclosing call has",
  async () => {
    const found = await outcomes(true);
    for (const name of ["inline: closure", "mul(5)", "inner of 5"]) {
      assertReferenceError(found[name], ["captures"], name);
    }
  },
);

processTest(
  "Process says of an export what it cannot be told from",
  async () => {
    const found = await outcomes(false);
    for (const [name, exported] of Object.entries(DOUBTS)) {
      assertReferenceError(found[name], [
        `whether it is the export "${exported}" of`,
        "references.ts",
        `taskRef(import.meta.url, "${exported}")`,
      ], name);
    }
  },
);

processTest(
  "Process refuses inline functions that import what is beside their module",
  async () => {
    for (const flags of [["-A"], WITHOUT_SYS]) {
      const report = reported(
        await runFixture("relative_import.ts", { flags }),
      ) as [string, Outcome, Outcome, string];
      const [exported, literal, computed, absolute] = report;
      assertEquals([exported, absolute], ["plain", "plain"]);
      for (const refused of [literal, computed]) {
        const { name, message } = refused as unknown as Error;
        assertEquals(name, "TaskReferenceError");
        assertStringIncludes(message, '"./reference_tasks.ts"');
        assertStringIncludes(message, "import.meta.resolve");
      }
      const { thrown } = literal as unknown as { thrown: boolean };
      assertEquals(thrown, flags !== WITHOUT_SYS ? false : true);
    }
  },
);

// ---- References and targets that are none ----

/** Runs a reference that leads nowhere. */
async function misled(module: string, name?: string) {
  const process = new Process({
    target: taskRef<[], unknown>(module, name),
    stderr: "piped",
  });
  process.start();
  const [reason, stderr] = await Promise.all([
    reasonOf(process.result),
    textOf(process.stderr),
  ]);
  await process.join();
  assertEquals(process.exitCode, 1);
  assertInstanceOf(reason, TaskReferenceError);
  assertStringIncludes(stderr, `Process ${process.name}:\n`);
  assertStringIncludes(stderr, "TaskReferenceError");
  assertStringIncludes(stderr, reason.message);
  return reason;
}

processTest("Process rejects for an export that is not there", async () => {
  const missing = await misled(fixture("reference_tasks.ts"), "missing");
  assertStringIncludes(missing.message, '"missing"');
  assertStringIncludes(missing.message, "reference_tasks.ts");
  assertStringIncludes(missing.message, "renamed", "It names what is there");
  const other = await misled(fixture("tasks.ts"));
  assertStringIncludes(other.message, '"default"');
  const noFunction = await misled(fixture("reference_tasks.ts"), "box");
  assertStringIncludes(noFunction.message, '"box"');
});

processTest(
  "Process rejects for a class that is named as a target",
  async () => {
    const reason = await misled(fixture("reference_tasks.ts"), "Adder");
    assertStringIncludes(reason.message, "class");
  },
);

processTest("Process rejects for a module that is not there", async () => {
  const url = fixture("no_such_module.ts");
  const reason = await misled(url, "task");
  assertStringIncludes(reason.message, url);
});

processTest(
  "Process rejects for a module that throws when it is loaded",
  async () => {
    const reason = await misled(fixture("throws_at_import.ts"), "unreachable");
    assertStringIncludes(reason.message, "throws_at_import.ts");
    assertStringIncludes(reason.message, "no import today");
  },
);

processTest(
  "Process refuses at the call what no process can find",
  async () => {
    const live = liveResources();
    const refused: [unknown, string][] = [
      [Math.max, "native"],
      [tasks.add.bind(null, 1), "bound"],
      [console.log, "native"],
      [class Task {}, "class"],
      [tasks.TaskFailure, "class"],
    ];
    for (const [target, word] of refused) {
      const error = assertThrows(
        () => new Process({ target: target as () => void }).start(),
        TaskReferenceError,
        word,
      );
      assertStringIncludes(error.message, "Cannot create process");
    }
    assertEquals(liveResources(), live);
    await Promise.resolve();
  },
);

Deno.test("taskRef() wants an absolute URL and a name", () => {
  for (const module of ["./tasks.ts", "tasks", "", 5, undefined]) {
    assertThrows(() => taskRef(module as string), TypeError, "absolute URL");
  }
  for (const name of ["", 5, null]) {
    const make = () => taskRef(fixture("tasks.ts"), name as string);
    assertThrows(make, TypeError, "the name of an export");
  }
  const url = new URL(fixture("tasks.ts"));
  const ref = taskRef<[number, number], number>(url, "add");
  assertEquals([ref.module, ref.name], [url.href, "add"]);
  assert(Object.isFrozen(ref));
  // @ts-expect-error the arguments have to fit the reference
  new Process({ target: ref, args: ["1", 2] });
});

// ---- In a test module ----

export function exportedByTheTest(x: number): number {
  return x * 3;
}

processTest(
  "Process finds functions of a test module and of its imports",
  async () => {
    const ref = taskRef<[number], number>(
      fixture("reference_tasks.ts"),
      "arrow",
    );
    const targets = [exportedByTheTest, plain, ref, (x: number) => x * 5];
    const processes = targets.map((target) => {
      const process = new Process({ target, args: [10] });
      process.start();
      return process;
    });
    const results = await Promise.all(processes.map(({ result }) => result));
    assertEquals(results, [30, 110, 112, 50]);
    for (const process of processes) await process.join();
  },
);

processTest("Process uses the same function again", async () => {
  for (let round = 0; round < 2; round++) {
    const process = new Process({ target: plain, args: [round] });
    process.start();
    assertStrictEquals(await process.result, 100 + round);
    await process.join();
  }
});
