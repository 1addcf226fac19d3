// Copyright 2026 the multitask authors. MIT license.

// From the start of a process to its first message: a bare `deno run`, our
// processes, and Python's. Only that time counts; until the next start the
// process has ended and a spare is ready.

import { Queue } from "../ipc/mod.ts";
import {
  Process,
  type ProcessSpawnOptions,
  type Target,
} from "../process/mod.ts";
import {
  measure,
  medianOf,
  MILLISECONDS,
  printGoal,
  printTable,
  readFlags,
  selfTimedFlagsHelp,
} from "./_measure.ts";
import { pythonContender, PythonPeer } from "./_python.ts";
import { giveOne, putOne } from "./fixtures/first_message.ts";
import { putOneOfWhole } from "./fixtures/first_message_whole.ts";

const ROUNDS = 31;

const HELP =
  `Compares the time from the start of a process to its first message.
"ratio" is the time divided by that of a bare \`deno run\`.

Usage: deno run -A bench/process_bench.ts [flags]

${selfTimedFlagsHelp(ROUNDS)}`;

const COLD_GOAL = 1.3;
const WARM_GOAL_MS = 5;

/**
 * Of a process that takes a spare, and of nobody else: only a process with the
 * same options takes it.
 */
const SPARE: ProcessSpawnOptions = { env: { MULTITASK_BENCH: "spare" } };

const TASKS = new URL("./fixtures/first_message.ts", import.meta.url);

/** How long a spare that is ready waits for its task. A guess. */
const SPARE_REST = 100;

const BARE = "bare deno run";
const COLD = "Process, queue";
const WARM = "Process, warm spare";
const PRELOADED = "Process, warm spare, module preloaded";

if (import.meta.main) {
  const options = readFlags(HELP);
  await using python = await PythonPeer.start();
  const pythonRow = (method: string) => {
    const name = `Python, ${method}`;
    return python !== undefined && !python.startMethods.includes(method)
      ? { name, absent: "skipped: not on this system" }
      : pythonContender(name, python, `start ${method}`);
  };
  const rows = await measure([
    { name: BARE, time: () => firstByte("hello.ts") },
    {
      name: "bare deno run that loads a child's modules",
      time: () => firstByte("child_modules.ts"),
    },
    { name: COLD, time: () => firstItem(putOne) },
    {
      name: "Process, queue, module imports the package",
      time: () => firstItem(putOneOfWhole),
    },
    { name: "Process, result", time: firstResult },
    { name: WARM, time: () => firstItemOfSpare([]) },
    { name: PRELOADED, time: () => firstItemOfSpare([TASKS]) },
    { name: "bare program that waits, result", time: firstAnswer },
    pythonRow("spawn"),
    pythonRow("fork"),
  ], { rounds: ROUNDS, progress: "process starts", ...options });
  printTable("start to first message", rows, MILLISECONDS);
  const cold = medianOf(rows, COLD)! / medianOf(rows, BARE)!;
  printGoal(
    `cold start at most ${COLD_GOAL} of a bare one`,
    cold.toFixed(2),
    cold <= COLD_GOAL,
  );
  for (const name of [WARM, PRELOADED]) {
    const warm = MILLISECONDS.of(medianOf(rows, name)!);
    printGoal(
      `${name.replace("Process, ", "")}: at most ${WARM_GOAL_MS} ms`,
      `${warm.toFixed(2)} ms`,
      warm <= WARM_GOAL_MS,
    );
  }
}

/** Of a program of one line. */
async function firstByte(file: string): Promise<number> {
  const program = new URL(`./fixtures/${file}`, import.meta.url);
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", program.href],
    stdin: "null",
    stdout: "piped",
  });
  const start = performance.now();
  const child = command.spawn();
  const reader = child.stdout.getReader();
  const { done } = await reader.read();
  const elapsed = performance.now() - start;
  if (done) throw new Error("The bare program has printed nothing");
  await reader.cancel();
  await child.status;
  return elapsed * 1000;
}

/** Of a process that puts an item into a queue. */
async function firstItem(
  target: Target<[Queue<number>], void>,
  options: ProcessSpawnOptions = {},
): Promise<number> {
  using queue = new Queue<number>();
  const process = new Process({ target, args: [queue], ...options });
  const start = performance.now();
  process.start();
  // The item comes before the result; an error comes instead of it.
  await Promise.race([queue.get(), process.result]);
  const elapsed = performance.now() - start;
  await process.join();
  return elapsed * 1000;
}

/** Of a process that only returns. */
async function firstResult(): Promise<number> {
  const process = new Process({ target: giveOne });
  const start = performance.now();
  process.start();
  await process.result;
  const elapsed = performance.now() - start;
  await process.join();
  return elapsed * 1000;
}

/** Of a program that is there already: the least that a spare has to do. */
async function firstAnswer(): Promise<number> {
  const program = new URL("./fixtures/bare_spare.ts", import.meta.url);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", program.href],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  const output = child.stdout.getReader();
  await output.read(); // It is ready.
  await new Promise((resolve) => setTimeout(resolve, SPARE_REST));
  const start = performance.now();
  await input.write(new TextEncoder().encode(`${TASKS.href}\n`));
  const { done } = await output.read();
  const elapsed = performance.now() - start;
  if (done) throw new Error("The bare program has not answered");
  await input.close();
  await output.cancel();
  await child.status;
  return elapsed * 1000;
}

/** Of a process that is there already, and may have loaded the task. */
async function firstItemOfSpare(preload: readonly URL[]): Promise<number> {
  await Process.prewarm(1, { ...SPARE, preload });
  await new Promise((resolve) => setTimeout(resolve, SPARE_REST));
  const elapsed = await firstItem(putOne, SPARE);
  // The spare that takes its place would be started during the next contender.
  await Process.prewarm(0, SPARE);
  return elapsed;
}
