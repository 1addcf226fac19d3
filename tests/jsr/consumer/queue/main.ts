// Two queues passed in the arguments of a child, one for each direction. The
// package is reached by a name of the program's import map, which stands in a
// file of its own.

import { Queue } from "@multitask/std/ipc";
import { Process } from "@multitask/std/process";

export async function upper(
  words: Queue<string>,
  answers: Queue<string>,
  count: number,
): Promise<void> {
  for (let i = 0; i < count; i++) {
    const word = await words.get();
    await answers.put(word.toUpperCase());
  }
}

if (import.meta.main) {
  const words = new Queue<string>();
  const answers = new Queue<string>();
  const p = new Process({ target: upper, args: [words, answers, 3] });
  p.start();
  for (const word of ["one", "two", "three"]) await words.put(word);
  for (let i = 0; i < 3; i++) console.log(await answers.get());
  console.log(await p.join());
  console.log(p.exitCode);
}
