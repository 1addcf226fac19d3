// Threads, one of them without permissions, and values of each thread.

import { Queue } from "@multitask/std/ipc";
import { currentThread, Thread } from "@multitask/std/thread";
import { ThreadLocal } from "@multitask/std/thread-local";

const local = new ThreadLocal<{ student: string }>();

export function greet(): string {
  return `Hello, ${local.student} (in ${currentThread().name})`;
}

export async function student(
  name: string,
  greetings: Queue<string>,
): Promise<void> {
  local.student = name;
  await greetings.put(greet());
}

if (import.meta.main) {
  local.student = "nobody";
  const greetings = new Queue<string>();
  const threads = (["inherit", "none"] as const).map((permissions, i) =>
    new Thread({
      target: student,
      args: [["Alice", "Bob"][i]!, greetings],
      name: `Thread-${"AB"[i]}`,
      permissions,
    })
  );
  for (const thread of threads) {
    thread.start();
    console.log(await greetings.get());
    console.log(await thread.join());
  }
  console.log(greet());
}
