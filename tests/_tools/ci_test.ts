// Copyright 2026 the multitask authors. MIT license.
// What .ci/run ends with, whatever becomes of the commands that it runs.

import { assertEquals, assertStringIncludes } from "@std/assert";

const SCRIPT = decodeURIComponent(
  new URL("../../.ci/run", import.meta.url).pathname,
);

/** Runs the script over a `deno` that only pretends. */
async function ci(
  check: string,
  test: string,
): Promise<{ code: number; lines: string[] }> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${folder}/deno`,
      `#!/bin/sh
case "$*" in
--version) echo "deno 2.9.6 (stable)";;
"task check") ${check};;
"task test") ${test};;
esac
`,
      { mode: 0o700 },
    );
    const { code, stdout } = await new Deno.Command("bash", {
      args: [SCRIPT],
      env: { HOME: folder, PATH: `${folder}:${Deno.env.get("PATH")}` },
      stderr: "null",
    }).output();
    const text = new TextDecoder().decode(stdout);
    return { code, lines: text.trimEnd().split("\n") };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const ignore = Deno.build.os === "windows";

Deno.test({
  name: ".ci/run ends with the line of the test command",
  ignore,
  fn: async () => {
    const cases: [string, string, number, string][] = [
      ["true", "echo a; echo '3 passed, 0 failed'", 0, "3 passed, 0 failed"],
      [
        "true",
        "echo '3 passed, 0 failed, 1 skipped'",
        0,
        "3 passed, 0 failed, 1 skipped",
      ],
      ["exit 4", "echo '3 passed, 0 failed'", 4, "3 passed, 0 failed"],
      ["true", "echo '3 passed, 2 failed'; exit 1", 1, "3 passed, 2 failed"],
    ];
    for (const [check, test, code, last] of cases) {
      const found = await ci(check, test);
      assertEquals([found.code, found.lines.at(-1)], [code, last], test);
    }
  },
});

Deno.test({
  name: ".ci/run counts no test when the test command dies",
  ignore,
  fn: async () => {
    for (
      const test of [
        "echo working; kill -9 $$",
        "echo '3 passed, 0 failed'; echo 'and then'; exit 1",
        "exit 0",
        "true",
      ]
    ) {
      const { code, lines } = await ci("true", test);
      assertEquals([code, lines.at(-1)], [1, "0 passed, 0 failed"], test);
      assertStringIncludes(lines.join("\n"), "have died");
    }
  },
});
