// Copyright 2026 the multitask authors. MIT license.
// The state of fork() in one process: which calls there were, and what they
// gave. A forked child starts with what its parent's earlier calls gave, and
// replays these before its own.
//
//   original --fork()--> original        (gives the pid)
//   replaying --earlier call--> replaying (gives what it gave there)
//             --its call--> original      (gives 0, sound on)

import { unmute } from "./_mute.ts";
import { self } from "./_self.ts";

/** What each call gave, in their order. */
const results: number[] = [];

let calls = 0;
let earlier: readonly number[] = [];
let announce: (() => void) | undefined;

/** Starts a replay; `reached` is called at the call that made this child. */
export function startReplay(
  forks: readonly number[],
  reached: () => void,
): void {
  self.forked = true;
  self.replaying = true;
  earlier = forks;
  announce = reached;
}

/** A call in a replay: what it gives; `undefined` outside of a replay. */
export function replayedCall(): number | undefined {
  if (!self.replaying) return undefined;
  const result = earlier[calls++] ?? 0;
  results.push(result);
  if (calls > earlier.length) {
    self.replaying = false;
    unmute();
    announce!();
  }
  return result;
}

/** A real call: what the calls before it gave. */
export function earlierCalls(): number[] {
  return [...results];
}

/** A real call gave this. */
export function recordCall(pid: number): void {
  calls++;
  results.push(pid);
}
