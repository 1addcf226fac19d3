// Copyright 2026 the multitask authors. MIT license.
// The command line of the examples: the same for all, and not what they show.

import { parseArgs } from "@std/cli/parse-args";

/** What was asked for on the command line. */
export interface ExampleOptions {
  /** What all sleeps are divided by. */
  readonly speed: number;
}

/**
 * Reads the command line. Ends the program after `--help` and after an option
 * that cannot be understood.
 *
 * @param about What the example shows, in one sentence.
 * @returns The options.
 */
export function readOptions(about: string): ExampleOptions {
  const { help, speed } = parseArgs(Deno.args, {
    boolean: ["help"],
    string: ["speed"],
    default: { speed: "1" },
    unknown: (arg) => fail(`Unknown argument: ${arg}`),
  });
  if (help) {
    console.log(helpText(about));
    Deno.exit(0);
  }
  const divisor = Number(speed);
  if (!(divisor > 0 && divisor < Infinity)) {
    fail(`--speed must be a number > 0, received "${speed}"`);
  }
  return { speed: divisor };
}

function helpText(about: string): string {
  const name = Deno.mainModule.slice(Deno.mainModule.lastIndexOf("/") + 1);
  return `${about}

Usage: deno run -A examples/${name} [options]

  --speed=<n>  make all sleeps n times shorter (default: 1)
  --help       show this text`;
}

function fail(message: string): never {
  console.error(`${message}; see --help`);
  Deno.exit(2);
}
