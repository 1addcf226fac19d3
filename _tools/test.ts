// Copyright 2026 the multitask authors. MIT license.

// The test command. The type check runs once, before the tests: workers that
// start under `deno test` would otherwise be checked again each time.

import config from "../deno.json" with { type: "json" };
import { deno, exists } from "./_deno.ts";
import { countTests, type TestCounts } from "./_junit.ts";

const HELP =
  `Checks types, then runs the tests and the doc tests, and ends with the line
"N passed, N failed".

Usage: deno task test [paths] [flags]

  tests/...        run only these tests
  other paths      run only the doc tests of these sources
  --filter <text>  run only tests with this text or /pattern/ in the name
  --no-check       leave the type check out
  --help           show this text

All other flags go to "deno test": --fail-fast, --shuffle=1, --coverage=dir ...`;

interface Selection {
  tests: string[];
  docs: string[];
  flags: string[];
  check: boolean;
}

if (import.meta.main) {
  if (Deno.args.includes("--help")) {
    console.log(HELP);
  } else {
    Deno.exit(await main(Deno.args));
  }
}

async function main(args: string[]): Promise<number> {
  const { tests, docs, flags, check } = await select(args);
  const runs: string[][] = [];
  if (check && await deno(["check", "--doc"]) !== 0) {
    console.log("The type check failed: no test was run");
  } else {
    if (tests.length > 0) runs.push([...flags, ...tests]);
    if (docs.length > 0) runs.push([...flags, "--doc", ...docs]);
  }

  const counts: TestCounts = { passed: 0, failed: 0, skipped: 0 };
  for (const run of runs) {
    const result = await runTests(run);
    counts.passed += result.passed;
    counts.failed += result.failed;
    counts.skipped += result.skipped;
  }
  const { passed, failed, skipped } = counts;
  const rest = skipped > 0 ? `, ${skipped} skipped` : "";
  console.log(`${passed} passed, ${failed} failed${rest}`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

async function select(args: string[]): Promise<Selection> {
  const result: Selection = { tests: [], docs: [], flags: [], check: true };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--no-check") result.check = false;
    else if (arg === "--filter") {
      result.flags.push(`--filter=${args[++i] ?? ""}`);
    } else if (arg.startsWith("-")) result.flags.push(arg);
    else if (/^(\.\/)?tests(\/|$)/.test(arg)) result.tests.push(arg);
    else result.docs.push(arg);
  }
  if (result.tests.length + result.docs.length === 0) {
    result.tests.push("tests/");
    for (const path of config.publish.include) {
      const hasDocs = path.endsWith("/") || /\.ts$|^README\.md$/.test(path);
      if (hasDocs && await exists(path)) result.docs.push(path);
    }
  }
  return result;
}

/** Runs `deno test` and counts by its own report. */
async function runTests(args: string[]): Promise<TestCounts> {
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  try {
    const code = await deno([
      "test",
      "--no-check",
      "--allow-all",
      "--permit-no-files",
      `--junit-path=${report}`,
      ...args,
    ]);
    const counts = countTests(await Deno.readTextFile(report));
    // The report has no test to blame when a module throws while it loads, or
    // when the process is killed. That is still one failure.
    if (code !== 0 && counts.failed === 0) counts.failed = 1;
    return counts;
  } finally {
    await Deno.remove(report);
  }
}
