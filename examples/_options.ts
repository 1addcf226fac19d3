// Copyright 2026 the multitask authors. MIT license.
// The command line of the examples: the same for all, and not what they show.

import { parseArgs } from "@std/cli/parse-args";

/** What was asked for on the command line. */
export interface ExampleOptions {
  /** What all sleeps are divided by. */
  readonly speed: number;
  /** The argument, where the example takes one and it was given. */
  readonly argument: string | undefined;
}

/**
 * Reads the command line. Ends the program after `--help` and after an option
 * that cannot be understood.
 *
 * @param about What the example shows, in one sentence.
 * @param argument What its one argument is called, if it takes one.
 * @returns The options.
 */
export function readOptions(about: string, argument?: string): ExampleOptions {
  const { help, speed, _ } = parseArgs(Deno.args, {
    boolean: ["help"],
    string: ["speed"],
    default: { speed: "1" },
    unknown: (arg) =>
      (argument !== undefined && !arg.startsWith("-")) ||
      fail(`Unknown argument: ${arg}`),
  });
  if (help) {
    console.log(helpText(about, argument));
    Deno.exit(0);
  }
  const [given, tooMany] = _.map(String);
  if (tooMany !== undefined) fail(`Unknown argument: ${tooMany}`);
  const divisor = Number(speed);
  if (!(divisor > 0 && divisor < Infinity)) {
    fail(`--speed must be a number > 0, received "${speed}"`);
  }
  return { speed: divisor, argument: given };
}

function helpText(about: string, argument: string | undefined): string {
  const name = Deno.mainModule.slice(Deno.mainModule.lastIndexOf("/") + 1);
  return `${about}

Usage: deno run -A examples/${name} ${
    argument === undefined ? "" : `[${argument}] `
  }[options]

  --speed=<n>  make all sleeps n times shorter (default: 1)
  --help       show this text`;
}

/**
 * Ends the program, which was called in a wrong way.
 *
 * @param message What is wrong.
 */
export function fail(message: string): never {
  console.error(`${message}; see --help`);
  Deno.exit(2);
}
