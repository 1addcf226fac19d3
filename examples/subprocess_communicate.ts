// Copyright 2026 the multitask authors. MIT license.

/**
 * A conversation with a program that reads commands: `communicate()` types three
 * lines for us and gives what the program said.
 *
 * The program is `nslookup`. Where there is none, a shell takes its place.
 *
 * @module
 */

import { CommandNotFoundError, PIPE, Popen } from "@multitask/std/subprocess";
import { readOptions } from "./_options.ts";

function start(args: string[]) {
  return new Popen(args, {
    stdin: PIPE,
    stdout: PIPE,
    stderr: PIPE,
    text: true,
    timeout: 20_000,
  });
}

/** The program, and what to type. */
function conversation(): [ReturnType<typeof start>, string] {
  try {
    console.log("$ nslookup");
    return [start(["nslookup"]), "set q=mx\npython.org\nexit\n"];
  } catch (error) {
    if (!(error instanceof CommandNotFoundError)) throw error;
    console.log("There is no nslookup here.\n$ sh");
    return [start(["sh"]), "answer=$((6 * 7))\necho It is $answer.\nexit\n"];
  }
}

if (import.meta.main) {
  readOptions("Types three lines into an interactive program.");

  const [p, lines] = conversation();
  const [output, err] = await p.communicate(lines);
  console.log(output + err);
  console.log("Exit code:", p.returncode);
}
