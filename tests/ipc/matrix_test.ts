// Copyright 2026 the multitask authors. MIT license.
// One behaviour of every shared object, wherever it lives and whoever uses it:
// see _matrix.ts. The last test looks whether all of it has really run.

import { assertEquals } from "@std/assert";
import { liveResources } from "../../ipc/_live.ts";
import {
  canMap,
  cell,
  endSides,
  type Form,
  FORMS,
  giveUpSide,
  type Primitive,
  PRIMITIVES,
  recorded,
  suites,
  type Way,
  WAYS,
  World,
} from "./_matrix.ts";
import "./_matrix_locks.ts";
import "./_matrix_signals.ts";
import "./_matrix_queues.ts";
import "./_matrix_values.ts";

/** Cells that make no sense, with the reason. */
function missing(primitive: Primitive, form: Form): string | undefined {
  if (primitive === "Pipe" && form === "Sync") {
    return "a Connection has no blocking forms";
  }
  if (
    (primitive === "SharedMemory" || primitive === "ShareableList") &&
    form === "async"
  ) return "nothing of it waits: it has one form, which is not async";
  return undefined;
}

const expected = new Set<string>();

function runCell(way: Way, primitive: Primitive, form: Form): void {
  const name = cell(way, primitive, form);
  const isThere = way.home === "shared" || canMap;
  if (isThere) expected.add(name);
  Deno.test({
    name,
    ignore: !isThere,
    // The other sides are there for all tests; see the end of this file.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn(context) {
      for (const { name, without, run } of suites.get(primitive) ?? []) {
        const ignore = without !== undefined &&
          without(new World(way, primitive, form)) !== false;
        const isGood = await context.step({
          name,
          ignore,
          sanitizeOps: false,
          sanitizeResources: false,
          fn: () => run(new World(way, primitive, form)),
        });
        // Who knows what it is doing now.
        if (!ignore && !isGood) await giveUpSide(way);
      }
    },
  });
}

for (const primitive of PRIMITIVES) {
  for (const way of WAYS) {
    for (const form of FORMS) {
      if (missing(primitive, form) === undefined) {
        runCell(way, primitive, form);
      }
    }
  }
}

Deno.test("every shared object took every way in every form", () => {
  assertEquals([...recorded].sort(), [...expected].sort());
});

Deno.test.afterAll(async () => {
  await endSides();
  assertEquals(liveResources(), []);
});
