// Copyright 2026 the multitask authors. MIT license.
// A child imports the module that its task is in. When that module starts
// processes as it is loaded, each child would start children for ever.
//
// While the module is loaded, every start is refused. What it does later, out
// of its own asynchronous code, is told by the stack: such a start stands at
// the very place at which this process, or one above it, was started, and no
// task is among those who wait for it.

import { callStack, isOwnModule } from "../ipc/_task.ts";
import { InvalidStateError } from "../ipc/errors.ts";
import { self } from "./_self.ts";

/** The function that runs a task, in `_child_runtime.ts`. */
const TASK_RUNNER = "runTask";

/**
 * Checks that a start belongs to a task, and gives the places at which the new
 * process and those above it were started.
 *
 * @throws {InvalidStateError} If the module starts it by itself.
 */
export function checkGuarded(action: string): string[] {
  const stack = callStack();
  const place = stack.filter(({ file }) => file !== "" && !isOwnModule(file))
    .map(({ file, position }) => `${file}:${position}`).join(" < ");
  if (self.parent !== undefined && !self.forked) {
    const inTask = stack.some(({ file, functionName }) =>
      functionName === TASK_RUNNER && isOwnModule(file)
    );
    if (self.loading || (!inTask && self.startedAt.includes(place))) {
      throw new InvalidStateError(
        `Cannot ${action}: the main module starts a process while it is imported by a child ("${self.name}"), which would go on for ever; put the start under "if (import.meta.main) { ... }"`,
      );
    }
  }
  return [...self.startedAt, place];
}
