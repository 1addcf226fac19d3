// Copyright 2026 the multitask authors. MIT license.
// A child, or a thread, imports the module that its task is in. When that module
// starts processes or threads as it is loaded, each would start more for ever.
//
// While the module is loaded, every start is refused. What it does later, out
// of its own asynchronous code, is told by the stack: such a start stands at a
// place at which the main process has started one, and no task is among those
// who wait for it. Whoever was refused once gets no other start of its module's
// through.

import { callStack, isOwnModule } from "./_task.ts";
import { InvalidStateError } from "./errors.ts";
import { self } from "./_self.ts";

/** Runs a task: in `_child_runtime.ts` and in `_thread_runtime.ts`. */
const TASK_RUNNER = "runTask";

/** More places than this no program starts processes at by hand. */
const MAX_PLACES = 100;

let wasRefused = false;

/**
 * Checks that a start belongs to a task, and gives the places at which the main
 * process has started processes.
 *
 * @throws {InvalidStateError} If the module starts it by itself.
 */
export function checkGuarded(action: string): readonly string[] {
  const isChild = self.isThread ||
    (self.parent !== undefined && !self.forked);
  const stack = callStack();
  const place = stack.filter(({ file }) => file !== "" && !isOwnModule(file))
    .map(({ file, position }) => `${file}:${position}`).join(" < ");
  if (!isChild) {
    // Its threads are told of them, too.
    const { startedAt } = self;
    if (startedAt.length < MAX_PLACES && !startedAt.includes(place)) {
      self.startedAt = [...startedAt, place];
    }
    return self.startedAt;
  }
  const inTask = stack.some(({ file, functionName }) =>
    functionName === TASK_RUNNER && isOwnModule(file)
  );
  const isModules = self.loading ||
    (!inTask && (wasRefused || self.startedAt.includes(place)));
  if (!isModules) return self.startedAt;
  wasRefused = true;
  throw new InvalidStateError(
    `Cannot ${action}: the main module does so while it is imported by a ${
      self.isThread ? "thread" : `child ("${self.name}")`
    }, which would go on for ever; put the start under "if (import.meta.main) { ... }"`,
  );
}
