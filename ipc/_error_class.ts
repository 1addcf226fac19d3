// Copyright 2026 the multitask authors. MIT license.
// An error of a class that only the task's module knows comes back as that
// class, if the module is loaded here.

import {
  errorParts,
  errorShell,
  fillError,
  unknownClasses,
} from "./_error_codec.ts";
import { locateTask, namespaceOf, type TaskCall } from "./_task.ts";
import type { RemoteError } from "./errors.ts";

/** The main module may be waiting for just this error: not for long. */
const PATIENCE = 100;

/** Rebuilds an error whose class the task's module exports. */
export async function exportedClass(
  error: RemoteError,
  call: TaskCall | undefined,
): Promise<Error> {
  // A module that is only named may not be loaded here, and shall not be.
  const original = unknownClasses.get(error);
  if (
    original === undefined || call === undefined ||
    typeof call.target !== "function"
  ) return error;
  const task = await locateTask(call).catch(() => undefined);
  if (task === undefined || task.kind === "source") return error;
  const namespace = await namespaceOf(task.module, PATIENCE);
  const found = namespace?.[original.className];
  if (
    typeof found !== "function" || !(found.prototype instanceof Error)
  ) return error;
  const parts = errorParts(error);
  const rebuilt = errorShell(
    original.className,
    original.name,
    parts.message,
    () => found,
  );
  fillError(rebuilt, {
    ...parts,
    fields: parts.fields.filter(([key]) => !REMOTE_FIELDS.has(key)),
  });
  return rebuilt;
}

const REMOTE_FIELDS = new Set(["process", "pid", "remoteStack"]);
