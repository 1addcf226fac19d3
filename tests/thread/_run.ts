// Copyright 2026 the multitask authors. MIT license.
// Tests of threads, and programs that have threads.

import { assertEquals } from "@std/assert";
import { deadline } from "@std/async";
import { activeChildren } from "../../process/mod.ts";
import { enumerate, Thread } from "../../thread/mod.ts";
import {
  assertNothingLive,
  type RunOptions,
  runProgram,
  type RunResult,
} from "../process/_run.ts";

/** Far more than a test takes, even on a busy machine. */
const TEST_BOUND = 40_000;

/** The URL of a fixture. */
export function fixture(name: string): URL {
  return new URL(`./fixtures/${name}`, import.meta.url);
}

/** Runs a fixture as a program; see {@linkcode runProgram}. */
export function runFixture(
  name: string,
  options?: RunOptions,
): Promise<RunResult> {
  return runProgram(fixture(name), options);
}

/** A test that starts threads: bounded, and nothing is left afterwards. */
export function threadTest(
  name: string,
  test: () => Promise<void>,
  bound: number = TEST_BOUND,
): void {
  Deno.test(name, async () => {
    try {
      await deadline(test(), bound);
      await assertNothingLive();
      assertEquals(names(), ["MainThread"]);
    } catch (error) {
      // The tests behind it shall not suffer from this one.
      for (const child of activeChildren()) child.kill();
      await Promise.all(
        enumerate().map((thread) =>
          thread instanceof Thread ? thread.terminate() : undefined
        ),
      );
      throw error;
    }
  });
}

/** The names of the threads that live. */
export function names(): string[] {
  return enumerate().map(({ name }) => name);
}

/**
 * Calls `test` while what is written to stderr by uncaught errors is kept; gives
 * it.
 */
export async function capturingStderr(
  test: () => Promise<void>,
): Promise<string> {
  const real = Deno.stderr.writeSync;
  const realError = console.error;
  let text = "";
  Deno.stderr.writeSync = (bytes) => {
    text += new TextDecoder().decode(bytes);
    return bytes.length;
  };
  console.error = (...words) => text += `${words.join(" ")}\n`;
  try {
    await test();
  } finally {
    Deno.stderr.writeSync = real;
    console.error = realError;
  }
  return text;
}
