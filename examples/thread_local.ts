// Copyright 2026 the multitask authors. MIT license.

/**
 * One global object, whose properties each thread has for itself: the student
 * is set once, and all functions that the thread calls find it there.
 *
 * One thread serves many at a time here, by `await`. So each of them can have
 * its own properties too: `run` gives them.
 *
 * @module
 */

import { currentThread, Thread } from "@multitask/std/thread";
import { ThreadLocal } from "@multitask/std/thread-local";
import { delay } from "@std/async/delay";
import { readOptions } from "./_options.ts";

// The global object:
const localSchool = new ThreadLocal<{ student: string }>();

/** Greets the student of this thread, whom nobody has passed on to it. */
async function processStudent(speed: number): Promise<void> {
  // Meanwhile others set theirs.
  await delay(500 / speed);
  const std = localSchool.student;
  console.log(`Hello, ${std} (in ${currentThread().name})`);
}

/** What the threads run. */
export async function processThread(
  name: string,
  speed: number,
): Promise<void> {
  // The student of this thread:
  localSchool.student = name;
  await processStudent(speed);
}

if (import.meta.main) {
  const { speed } = readOptions(
    "A global object that each thread has for itself.",
  );

  const t1 = new Thread({
    target: processThread,
    args: ["Alice", speed],
    name: "Thread-A",
  });
  const t2 = new Thread({
    target: processThread,
    args: ["Bob", speed],
    name: "Thread-B",
  });
  t1.start();
  t2.start();
  await t1.join();
  await t2.join();

  // The same within one thread: one student for each of two requests that are
  // served at the same time.
  await Promise.all(
    ["Carol", "Dave"].map((student) =>
      localSchool.run({ student }, () => processStudent(speed))
    ),
  );
  console.log(`In ${currentThread().name} itself: ${localSchool.student}`);
}
