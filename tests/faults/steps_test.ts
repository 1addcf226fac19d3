// Copyright 2026 the multitask authors. MIT license.
// A process is killed between two steps of an operation, also of clearing up:
// whoever is left finds every object sane.
//
// Every step of the most important operations, and some of the others, by
// TEST_SEED; all of all with TEST_STEPS=all. What is tried here with processes
// is tried for each change of memory, in one thread, by
// tests/ipc/recovery_test.ts.

import { assert, assertEquals } from "@std/assert";
import { mappingObstacle } from "../../ipc/_mapped_words.ts";
import { seeded } from "../ipc/_random.ts";
import { Program } from "./_program.ts";
import { GROUPS } from "./fixtures/_step_cases.ts";

const ignore = mappingObstacle() !== undefined;

const isThorough = Deno.env.get("TEST_STEPS") === "all";

/** Programs that share the steps of a group. */
const PARTS = isThorough ? 8 : 1;

for (const group of [...Object.keys(GROUPS), "recoveries"]) {
  Deno.test({
    name: `a child is killed at a step, others go on: ${group}`,
    ignore,
    fn: () =>
      seeded(async (random) => {
        for (let part = 0; part < PARTS; part++) {
          const which = isThorough ? "all" : "some";
          await using program = new Program("dies_at_step", {
            args: [group, `${random.bits()}`, which, `${part}`, `${PARTS}`],
          });
          const deaths = await program.report<number>("deaths");
          const failures = await program.report<string[]>("failures");
          assertEquals(failures, [], failures.join("\n"));
          assert(deaths > 0);
          await program.success();
        }
      }),
  });
}
