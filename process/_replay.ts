// Copyright 2026 the multitask authors. MIT license.
// The state of fork() in one process: which calls there were, and what they
// gave. A forked child starts with what its parent's earlier calls gave, and
// replays these before its own.
//
//   original --fork()--> original        (gives the pid)
//   replaying --earlier call--> replaying (gives what it gave there)
//             --its call--> original      (gives 0, sound on)

import { InvalidStateError } from "../ipc/errors.ts";
import { unmute } from "./_mute.ts";
import { self } from "../ipc/_self.ts";

/** What a call that failed is noted as. */
const FAILED = -1;

/** What each call gave, in their order. */
const results: number[] = [];

let earlier: readonly number[] = [];
let announce: (() => Promise<void>) | undefined;

/**
 * Starts a replay; `reached` is called, and awaited, at the call that made this
 * child.
 */
export function startReplay(
  forks: readonly number[],
  reached: () => Promise<void>,
): void {
  self.forked = true;
  self.replaying = true;
  earlier = forks;
  announce = reached;
}

/** A call in a replay: what it gives. */
export async function replayCall(): Promise<number> {
  const result = earlier[results.length];
  results.push(result ?? 0);
  if (result === FAILED) {
    throw new InvalidStateError("Cannot fork: this call failed in the parent");
  }
  if (result !== undefined) return result;
  self.replaying = false;
  unmute();
  await announce!();
  return 0;
}

/** A real call: what the calls before it gave. */
export function earlierCalls(): number[] {
  return [...results];
}

/** Notes a real call; call the result when it has failed. */
export function recordCall(pid: number): () => void {
  const index = results.push(pid) - 1;
  return () => results[index] = FAILED;
}
