// Copyright 2026 the multitask authors. MIT license.
// What a spare does before it has a task, so that little of a task's way is new
// to it: code that runs for the first time is slow.

import { hub } from "../ipc/_hub.ts";
import { Queue } from "../ipc/queue.ts";
import type { Child } from "./_child.ts";

/** A guess: enough for the engine to have compiled most of it. */
const ROUNDS = 64;

/** Has a spare run tasks of ours, until it is taken. */
export async function rehearse(child: Child): Promise<void> {
  for (let round = 0; round < ROUNDS && child.state === "ready"; round++) {
    using queue = new Queue<number>();
    await child.prepare(
      {
        type: "rehearse",
        task: { kind: "export", module: import.meta.url, name: "rehearsal" },
      },
      hub.pack([queue, round], "args"),
    );
  }
}

/** The task. */
export async function rehearsal(
  queue: Queue<number>,
  round: number,
): Promise<void> {
  await queue.put(round);
}
