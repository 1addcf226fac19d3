// Copyright 2026 the multitask authors. MIT license.

/**
 * A function that runs in a process of its own: `start()` starts it, `join()`
 * waits for its end.
 *
 * @module
 */

import { getpid, Process } from "@multitask/std/process";
import { readOptions } from "./_options.ts";

/** What the child runs. It is exported so that the child finds it. */
export function runProc(name: string): void {
  console.log(`Run child process ${name} (${getpid()})...`);
}

// The child imports this module too, and must not start a child of its own.
if (import.meta.main) {
  readOptions("A function that runs in a process of its own.");

  console.log(`Parent process ${getpid()}.`);
  const p = new Process({ target: runProc, args: ["test"] });
  console.log("Child process will start.");
  p.start();
  await p.join();
  console.log("Child process end.");
}
