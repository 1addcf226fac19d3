// Copyright 2026 the multitask authors. MIT license.

import type { CommandInput } from "./_command_options.ts";
import type { InputChunk } from "./_feed.ts";
import type { Platform } from "./_platform.ts";

/** The chunks of an input. Opens the file, if it is one. */
export function chunksOf(
  input: CommandInput,
  platform: Platform,
): AsyncIterable<InputChunk> | Iterable<InputChunk> {
  // Text and typed arrays are iterable, too, but not by chunks.
  if (
    typeof input === "string" || input instanceof Uint8Array ||
    input instanceof ArrayBuffer
  ) return [input];
  if (input instanceof URL) return platform.openRead(input);
  if ("stdout" in input) return outputOf(input.stdout, platform);
  if (Symbol.asyncIterator in input || Symbol.iterator in input) return input;
  if ("path" in input) return platform.openRead(input.path);
  return input.readable;
}

function outputOf(
  stdout: ReadableStream<Uint8Array> | InputChunk | null,
  platform: Platform,
): ReturnType<typeof chunksOf> {
  if (stdout !== null) return chunksOf(stdout, platform);
  throw new TypeError(
    "Cannot run command: the stdout of the command that is its input is not captured",
  );
}
