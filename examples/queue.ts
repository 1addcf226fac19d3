// Copyright 2026 the multitask authors. MIT license.

/**
 * A queue between two processes: one writes, the other reads, for ever, until
 * it is terminated.
 *
 * @module
 */

import { Queue } from "@multitask/std/ipc";
import { getpid, Process } from "@multitask/std/process";
import { delay } from "@std/async/delay";
import { readOptions } from "./_options.ts";

const VALUES = ["A", "B", "C"];

/** What the writing process runs. */
export async function write(q: Queue<string>, speed: number): Promise<void> {
  console.log(`Process to write: ${getpid()}`);
  for (const value of VALUES) {
    console.log(`Put ${value} to queue...`);
    await q.put(value);
    await delay(Math.random() * 1000 / speed);
  }
}

/** What the reading process runs. It has no end. */
export async function read(
  q: Queue<string>,
  done: Queue<string>,
): Promise<never> {
  console.log(`Process to read: ${getpid()}`);
  while (true) {
    const value = await q.get();
    console.log(`Get ${value} from queue.`);
    await done.put(value);
  }
}

if (import.meta.main) {
  const { speed } = readOptions("A queue between a writer and a reader.");

  // The parent makes the queues and passes them to its children.
  const q = new Queue<string>();
  const done = new Queue<string>();
  const pw = new Process({ target: write, args: [q, speed] });
  const pr = new Process({ target: read, args: [q, done] });
  pw.start();
  pr.start();
  await pw.join();
  // All is written by now, but perhaps not all is read, and terminate() stops
  // the reader wherever it is. An empty queue is no sign either: the reader may
  // hold the last item, unprinted. So it reports each item that it is done with.
  for (const _ of VALUES) await done.get();
  // The reader's loop has no end to wait for.
  pr.terminate();
}
