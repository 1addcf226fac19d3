// Copyright 2026 the multitask authors. MIT license.

// Runs the benchmarks one after another, each in a process of its own: what
// one leaves behind (compiled code, garbage) does not slow the next.

import { deno, ROOT } from "../_tools/_deno.ts";

const HELP = `Runs all benchmarks, bench/*_bench.ts, one after another.

Usage: deno task bench [flags]

  --only=<name>  run only bench/<name>_bench.ts; may be given several times
  --help         show this text

All other flags go to the benchmarks: --rounds=<n>, --sample=<ms> ...`;

const SUFFIX = "_bench.ts";

if (import.meta.main) {
  if (Deno.args.includes("--help")) {
    console.log(HELP);
  } else {
    Deno.exit(await main(Deno.args));
  }
}

async function main(args: readonly string[]): Promise<number> {
  const all = await benchmarks();
  const only: string[] = [];
  const flags: string[] = [];
  for (const arg of args) {
    if (arg.startsWith("--only=")) only.push(arg.slice("--only=".length));
    else flags.push(arg);
  }
  const unknown = only.filter((name) => !all.includes(name));
  if (unknown.length > 0) {
    console.error(`No such benchmark: ${unknown.join(", ")}`);
    console.error(`There are: ${all.join(", ")}`);
    return 2;
  }

  const failed: string[] = [];
  for (const name of only.length > 0 ? only : all) {
    console.log(`\n== ${name} ==`);
    // What only a benchmark loads shall not get into the lock file.
    const code = await deno([
      "run",
      "--no-lock",
      "-A",
      `bench/${name}${SUFFIX}`,
      ...flags,
    ]);
    if (code !== 0) failed.push(name);
  }
  if (failed.length > 0) console.error(`\nFailed: ${failed.join(", ")}`);
  return failed.length > 0 ? 1 : 0;
}

/** The names of the benchmarks, in alphabetical order. */
async function benchmarks(): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(new URL("bench/", ROOT))) {
    if (name.endsWith(SUFFIX)) names.push(name.slice(0, -SUFFIX.length));
  }
  return names.sort();
}
