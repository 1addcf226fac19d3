// Copyright 2026 the multitask authors. MIT license.
// Where memory cannot be mapped. That it works is tested by whoever uses it.

import { assertEquals } from "@std/assert";
import { reported, runDeno } from "../process/_run.ts";

const isLinux = Deno.build.os === "linux";
const platform = isLinux ? undefined : "NotSupported";

/** Which home a queue gets, and what comes of asking for the mapped one. */
async function homes(
  flags: readonly string[],
  before = "",
): Promise<{ home: string; forced: string }> {
  const module = JSON.stringify(import.meta.resolve("../../ipc/mod.ts"));
  const text = `
    ${before};
    const { Queue } = await import(${module});
    const homeOf = (home) => {
      try {
        using queue = new Queue(0, { home });
        return queue.maxsize === 0 ? "made" : "odd";
      } catch (error) {
        return error.name;
      }
    };
    console.log(JSON.stringify({
      home: homeOf(undefined),
      forced: homeOf("mapped"),
    }));`;
  const url = `data:text/javascript,${encodeURIComponent(text)}`;
  return reported(
    await runDeno(["run", "--quiet", "--no-prompt", ...flags, url]),
  ) as { home: string; forced: string };
}

Deno.test("mapped memory is there with the whole of --allow-ffi", async () => {
  assertEquals(await homes(["--allow-ffi"]), {
    home: "made",
    forced: platform ?? "made",
  });
});

Deno.test("mapped memory wants --allow-ffi whole", async () => {
  for (
    const flags of [
      [],
      ["--allow-ffi=/usr/lib"],
      ["--allow-ffi", "--deny-ffi=/usr/lib/none.so"],
      ["--allow-ffi", "--deny-ffi"],
    ]
  ) {
    assertEquals(await homes(flags), {
      home: "made",
      forced: platform ?? "PermissionNeededError",
    }, flags.join(" "));
  }
});

Deno.test("mapped memory is not there without the library", async () => {
  const before = `Deno.dlopen = () => { throw new Error("not found"); }`;
  assertEquals(await homes(["--allow-ffi"], before), {
    home: "made",
    forced: "NotSupported",
  });
});
