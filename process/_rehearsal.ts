// Copyright 2026 the multitask authors. MIT license.
// What a spare does before it has a task, so that little of a task's way is new
// to it: code that runs for the first time is slow.

import { hub } from "../ipc/_hub.ts";
import type { Packet } from "../ipc/_packet.ts";
import { Queue } from "../ipc/queue.ts";
import type { ToSpare } from "./_protocol.ts";

/** Has a spare run a task of ours. */
export async function rehearse(
  step: (order: ToSpare, packet: Packet) => Promise<void>,
): Promise<void> {
  using queue = new Queue<string>();
  await step(
    {
      type: "rehearse",
      task: { kind: "export", module: import.meta.url, name: "rehearsal" },
    },
    hub.pack([queue], "args"),
  );
}

/** The task. */
export async function rehearsal(queue: Queue<string>): Promise<void> {
  await queue.put("rehearsed");
}
