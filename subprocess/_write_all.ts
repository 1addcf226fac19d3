// Copyright 2026 the multitask authors. MIT license.

import type { OutputWriter } from "./_command_options.ts";

/** Writes all of a chunk, however many writes it takes. */
export async function writeAll(
  to: OutputWriter,
  chunk: Uint8Array,
): Promise<void> {
  for (let at = 0; at < chunk.length;) {
    at += await to.write(at === 0 ? chunk : chunk.subarray(at));
  }
}
