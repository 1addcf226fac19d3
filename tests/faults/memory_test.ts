// Copyright 2026 the multitask authors. MIT license.
// What is made and dropped, started and joined, is gone.

import { assert, assertEquals } from "@std/assert";
import { Program } from "./_program.ts";

const ignore = Deno.build.os !== "linux";

const COLLECTED = ["-A", "--v8-flags=--expose-gc"];

interface Growth {
  heap: number;
  rss: number;
}

/** One word for each handle would be seen in the heap. */
const MOST_HEAP = 2;

/** What an allocator may keep; a leak of buffers is many times this. */
const MOST_RSS = 24;

Deno.test({
  name: "100 000 handles that are made and dropped leave memory flat",
  ignore,
  async fn() {
    await using program = new Program("many_handles", { flags: COLLECTED });
    for (const label of ["here", "through", "down", "down there", "up"]) {
      const { heap, rss } = await program.report<Growth>(label);
      assert(heap < MOST_HEAP, `${label}: the heap grew by ${heap} MiB`);
      assert(rss < MOST_RSS, `${label}: memory grew by ${rss} MiB`);
    }
    assertEquals(await program.report("through left"), 0);
    assertEquals(await program.report("down left there"), 0);
    assertEquals(await program.report("down left here"), 2);
    assertEquals(await program.report("down exit"), 0);
    assertEquals(await program.report("up left here"), 0);
    assertEquals(await program.report("up left there"), 0);
    assertEquals(await program.report("up exit"), 0);
    assertEquals(await program.report("left at last"), [0, 0]);
    await program.success();
  },
});

for (const [way, count] of [["abstract", 100], ["descriptor", 50]] as const) {
  Deno.test({
    name: `${count} children that have ended leave nothing (${way} way)`,
    ignore,
    async fn() {
      await using program = new Program("many_children", {
        flags: COLLECTED,
        args: [way, String(count)],
      });
      type State = Growth & Record<string, unknown>;
      const before = await program.report<State>("before");
      const after = await program.report<State>("after");
      const { heap, rss, ...rest } = after;
      assertEquals(rest, {
        descriptors: before.descriptors,
        children: 0,
        resources: [],
        shared: 0,
      });
      assert(heap - before.heap < MOST_HEAP, `The heap grew to ${heap} MiB`);
      assert(rss - before.rss < MOST_RSS, `Memory grew to ${rss} MiB`);
      await program.success();
    },
  });
}
