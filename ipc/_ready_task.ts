// Copyright 2026 the multitask authors. MIT license.
// A task on the side that runs it, from what arrived to a call: what processes
// and threads have in common.

import { hub } from "./_hub.ts";
import type { Packet } from "./_packet.ts";
import { loadTask, type Task } from "./_task_load.ts";

/** A subclass whose `run()` is the task. */
export interface MethodTask {
  readonly kind: "method";
  readonly module: string;
  readonly name: string;
}

/** The class that a subclass is of. */
type Base = new (options: { name: string }) => object;

/**
 * Loads a task and decodes what it is given; gives the call. `loadBase` gives the
 * class that those with a `run()` of their own are of.
 *
 * @throws {TaskReferenceError} If the task is not there.
 */
export async function readyTask(
  task: Task | MethodTask,
  packet: Packet,
  loadBase: () => Promise<Base>,
): Promise<() => unknown> {
  if (task.kind === "method") {
    // Not literally: few need it, and it would be a part of every module graph.
    const url = new URL("./_subclass.ts", import.meta.url).href;
    const [{ runMethod }, base] = await Promise.all([
      import(url) as Promise<typeof import("./_subclass.ts")>,
      loadBase(),
    ]);
    return await runMethod(base, task, hub.unpack(packet));
  }
  const { run, namespace } = await loadTask(task);
  hub.errorClass = (name) => namespace?.[name];
  // The other side has packed a list.
  const args = hub.unpack(packet) as unknown[];
  return () => run(...args);
}
