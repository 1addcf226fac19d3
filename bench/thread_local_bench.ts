// Copyright 2026 the multitask authors. MIT license.

// Reading a thread-local property against reading a plain one, and against
// AsyncLocalStorage.

import { AsyncLocalStorage } from "node:async_hooks";
import { ThreadLocal } from "../thread_local/mod.ts";
import { FLAGS_HELP, measure, printTable, readFlags } from "./_measure.ts";

const HELP =
  `Compares reads of a ThreadLocal with those of a plain object and of Node's
AsyncLocalStorage. "ratio" is the time divided by that of the plain object.

Usage: deno run -A bench/thread_local_bench.ts [flags]

${FLAGS_HELP}`;

/** Reads of one call: the loop around it costs less than they do. */
const READS = 1000;

if (import.meta.main) {
  const options = readFlags(HELP);
  const plain = { student: "Alice" };
  const storage = new AsyncLocalStorage<{ student: string }>();
  const local = new ThreadLocal(() => ({ student: "Alice" }));
  const used = new ThreadLocal(() => ({ student: "Alice" }));
  used.run({ student: "Bob" }, () => {});
  let sum = 0;
  const times = (read: () => string) => () => {
    for (let i = 0; i < READS; i++) sum += read().length;
  };
  const inStorage = times(() => storage.getStore()!.student);
  const inLocal = times(() => used.student!);
  const rows = await measure([
    { name: "plain property", run: times(() => plain.student) },
    { name: "ThreadLocal, own value", run: times(() => local.student) },
    {
      name: "ThreadLocal, own value, after a run()",
      run: times(() => used.student),
    },
    {
      name: "AsyncLocalStorage, in run()",
      run: () => storage.run({ student: "Bob" }, inStorage),
    },
    {
      name: "ThreadLocal, in run()",
      run: () => used.run({ student: "Bob" }, inLocal),
    },
  ], options);
  printTable(`${READS} reads`, rows);
  if (sum === 0) throw new Error("Nothing was read");
}
