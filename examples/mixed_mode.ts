// Copyright 2026 the multitask authors. MIT license.

/**
 * The mixed mode: several processes, and several threads in each of them. All of
 * them take their tasks from one queue.
 *
 * Threads are cheaper, and share what lies in memory; a process that crashes takes
 * along nothing but its own threads.
 *
 * @module
 */

import { Queue } from "@multitask/std/ipc";
import { getpid, Process } from "@multitask/std/process";
import { currentThread, Thread } from "@multitask/std/thread";
import { delay } from "@std/async/delay";
import { readOptions } from "./_options.ts";

const PROCESSES = 2;
const THREADS = 3;
const TASKS = 12;

/** Who has done a task. */
export interface TaskResult {
  readonly task: number;
  readonly square: number;
  readonly pid: number;
  readonly thread: string;
}

/** What each thread runs: one task after the other, until there are no more. */
export async function runThread(
  tasks: Queue<number>,
  results: Queue<TaskResult>,
  speed: number,
): Promise<void> {
  const { name } = currentThread();
  for await (const task of tasks) {
    console.log(`Run task ${task} in ${name} of process ${getpid()}...`);
    await delay(500 / speed);
    await results.put({
      task,
      square: task * task,
      pid: getpid(),
      thread: name,
    });
  }
}

/** What each process runs: its threads. It ends when they have ended. */
export function runProc(
  tasks: Queue<number>,
  results: Queue<TaskResult>,
  speed: number,
): void {
  console.log(`Process ${getpid()} starts ${THREADS} threads...`);
  for (let i = 1; i <= THREADS; i++) {
    const t = new Thread({
      target: runThread,
      args: [tasks, results, speed],
      name: `Thread-${i}`,
    });
    t.start();
  }
}

if (import.meta.main) {
  const { speed } = readOptions(
    "Several processes, each with several threads.",
  );

  console.log(`Parent process ${getpid()}.`);
  const tasks = new Queue<number>();
  const results = new Queue<TaskResult>();
  const processes = Array.from(
    { length: PROCESSES },
    () => new Process({ target: runProc, args: [tasks, results, speed] }),
  );
  for (const p of processes) p.start();
  for (let task = 0; task < TASKS; task++) await tasks.put(task);
  // What is in it can still be taken; then those who wait for more are told.
  tasks.shutdown();
  for (const p of processes) await p.join();

  const workers = new Map<string, number[]>();
  let sum = 0;
  while (!results.empty) {
    const { task, square, pid, thread } = await results.get();
    const worker = `${thread} of process ${pid}`;
    workers.set(worker, [...workers.get(worker) ?? [], task]);
    sum += square;
  }
  for (const [worker, done] of [...workers].sort()) {
    console.log(`${worker} has done tasks ${done.join(", ")}`);
  }
  console.log(`Sum of the squares: ${sum}`);
}
