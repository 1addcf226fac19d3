// Copyright 2026 the multitask authors. MIT license.
// All primitives at random: threads and processes at the same time, aborts,
// time-outs and deaths. `deno task soak` does the same for longer.

import { Program } from "./_program.ts";
import { PRIMITIVES } from "./fixtures/_stress_names.ts";
import { seeded } from "../ipc/_random.ts";

// Processes reach each other's memory on Linux.
const ignore = Deno.build.os !== "linux";

/** Operations of a run, and how many of its processes are killed. */
const BUDGET = 500;
const KILLS = 2;

/** Runs of a primitive: processes are killed where they reach the memory. */
const RUNS = [
  ["--home=mapped", "--flavor=wild"],
  ["--home=shared"],
] as const;

for (const primitive of PRIMITIVES) {
  Deno.test({
    name: `${primitive} under stress: threads and processes at random`,
    ignore,
    fn: () =>
      seeded(async (random) => {
        for (const run of RUNS) {
          await using program = new Program("stress", {
            args: [
              `--primitive=${primitive}`,
              `--seed=${random.bits()}`,
              `--budget=${BUDGET}`,
              `--kills=${KILLS}`,
              ...run,
            ],
          });
          await program.success();
        }
      }),
  });
}
