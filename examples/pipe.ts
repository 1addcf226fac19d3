// Copyright 2026 the multitask authors. MIT license.

/**
 * A conversation of a parent and its child over a pipe: each has one end, and
 * when one of them closes its end, the other one notices.
 *
 * @module
 */

import {
  type Connection,
  ConnectionClosedError,
  Pipe,
} from "@multitask/std/ipc";
import { getpid, Process } from "@multitask/std/process";
import { readOptions } from "./_options.ts";

/** What the child runs: it begins, and then listens to the end. */
export async function talk(connection: Connection): Promise<void> {
  console.log(`Child process ${getpid()} sends a list...`);
  await connection.send([42, null, "hello"]);
  try {
    while (true) console.log("Child receives:", await connection.recv());
  } catch (error) {
    if (!(error instanceof ConnectionClosedError)) throw error;
    console.log("Child receives no more.");
  }
}

if (import.meta.main) {
  readOptions("A conversation of a parent and its child over a pipe.");

  const [parentEnd, childEnd] = Pipe();
  const p = new Process({ target: talk, args: [childEnd] });
  p.start();
  console.log("Parent receives:", await parentEnd.recv());
  console.log(`Parent process ${getpid()} sends its thanks...`);
  await parentEnd.send("thank you");
  parentEnd.close();
  await p.join();
}
