// Copyright 2026 the multitask authors. MIT license.
// Tests of commands: bounded, and nothing may be left of them.

import { assertEquals, AssertionError } from "@std/assert";
import { deadline } from "@std/async";
import { liveResources } from "../../ipc/_live.ts";

/** Far more than a test takes, even on a busy machine. */
const TEST_BOUND = 40_000;

/** How long what only the kernel knows may take to become true. */
const PATIENCE = 10_000;

/** A time within which nothing of a test may be bounded: longer than the test. */
export const LONG = 100_000;

/** A test that runs commands: no child, descriptor or rejection is left. */
export function commandTest(
  name: string,
  test: () => Promise<void>,
  options: Pick<Deno.TestDefinition, "sanitizeResources"> = {},
): void {
  Deno.test(name, options, async () => {
    const rejections: unknown[] = [];
    const onRejection = (event: PromiseRejectionEvent) => {
      event.preventDefault();
      rejections.push(event.reason);
    };
    globalThis.addEventListener("unhandledrejection", onRejection);
    const before = descriptors();
    try {
      await deadline(test(), TEST_BOUND);
      await until(() => liveResources().length === 0, "Something is live");
      await until(
        () => descriptors() <= before,
        `There were ${before} descriptors, now there are more`,
      );
      assertEquals(rejections, []);
    } finally {
      globalThis.removeEventListener("unhandledrejection", onRejection);
    }
  });
}

/** How many pipes this process has open. */
function descriptors(): number {
  let count = 0;
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      if (Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith("pipe:")) {
        count++;
      }
    } catch {
      // The one by which the directory is read.
    }
  }
  return count;
}

/** Waits until what only the kernel knows has become true. */
export async function until(
  condition: () => boolean,
  otherwise: string,
): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!condition()) {
    if (performance.now() > end) throw new AssertionError(otherwise);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Whether a process runs; a zombie does not. */
export function isRunning(pid: number): boolean {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return !"ZX".includes(stat.at(stat.lastIndexOf(")") + 2)!);
  } catch {
    return false;
  }
}

/** Fails unless a process ends. */
export function gone(pid: number): Promise<void> {
  return until(() => !isRunning(pid), `Process ${pid} goes on`);
}

/** Ends a process that a test has let escape. */
export async function sweep(pid: number): Promise<void> {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
  await gone(pid);
}

/** The path of a fixture. */
export function fixture(name: string): string {
  return new URL(`./fixtures/${name}`, import.meta.url).pathname;
}
