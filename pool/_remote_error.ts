// Copyright 2026 the multitask authors. MIT license.

import { unknownClasses } from "../ipc/_error_codec.ts";
import type { TaskCall } from "../ipc/_task.ts";
import { RemoteError } from "../ipc/errors.ts";

/**
 * An error whose class is not known here: its task's module may export it.
 * Else the error itself.
 */
export function exportedClassOf(
  error: unknown,
  call: TaskCall,
): unknown | Promise<unknown> {
  if (!(error instanceof RemoteError) || !unknownClasses.has(error)) {
    return error;
  }
  return import("../ipc/_error_class.ts").then(({ exportedClass }) =>
    exportedClass(error, call)
  ).catch(() => error);
}
