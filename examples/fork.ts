// Copyright 2026 the multitask authors. MIT license.

/**
 * One call that returns twice: `fork()` gives the parent the pid of its new
 * child, and gives the child 0.
 *
 * The child is a new process that runs this module again, silently, up to the
 * same call: that is why the first line is printed once.
 *
 * @module
 */

import { fork, getpid, getppid } from "@multitask/std/process";
import { readOptions } from "./_options.ts";

if (import.meta.main) {
  readOptions("A call that returns twice: in the parent and in its new child.");

  console.log(`Process (${getpid()}) start...`);
  const pid = await fork();
  if (pid === 0) {
    console.log(
      `I am child process (${getpid()}) and my parent is ${getppid()}.`,
    );
  } else {
    console.log(`I (${getpid()}) just created a child process (${pid}).`);
  }
}
