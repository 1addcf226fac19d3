// Copyright 2026 the multitask authors. MIT license.

/**
 * An external command: it writes to this terminal, and `call()` gives its exit
 * code.
 *
 * The command looks up a name. Where there is no `nslookup`, Deno itself takes
 * its place.
 *
 * @module
 */

import { call, CommandNotFoundError } from "@multitask/std/subprocess";
import { readOptions } from "./_options.ts";

if (import.meta.main) {
  readOptions("Runs a command and prints its exit code.");

  // No name server may be reachable: then the exit code says so.
  const options = { timeout: 20_000 };
  let r: number;
  try {
    console.log("$ nslookup www.python.org");
    r = await call(["nslookup", "www.python.org"], options);
  } catch (error) {
    if (!(error instanceof CommandNotFoundError)) throw error;
    console.log("There is no nslookup here.\n$ deno --version");
    r = await call([Deno.execPath(), "--version"], options);
  }
  console.log("Exit code:", r);
}
