// Copyright 2026 the multitask authors. MIT license.

// Two processes that wait for each other: they take turns by a condition, or
// meet at a barrier. A round is one turn of each, or one meeting.

import { Barrier, Condition, type Home, SharedArray } from "../ipc/mod.ts";
import { Crew } from "./_crew.ts";
import { HAS_MAPPED, inHomes, needsMapped } from "./_homes.ts";
import {
  type Absence,
  measure,
  PER_SECOND,
  printTable,
  readFlags,
  type SelfTimed,
  selfTimedFlagsHelp,
} from "./_measure.ts";
import { pythonContender, PythonPeer } from "./_python.ts";
import {
  meet,
  type Meeting,
  type MeetingOrder,
  serveMeetings,
} from "./fixtures/meetings.ts";

const ROUNDS = 11;

const HELP = `Compares rounds per second of two processes that take turns by a
Condition, or meet at a Barrier, with Python's. "mapped" is memory that both
reach; "hub" lives in memory of the parent, which its children ask by messages.
"ratio" is to Python; 2.00 is twice as many rounds.

Usage: deno run -A bench/meeting_bench.ts [flags]

${selfTimedFlagsHelp(ROUNDS)}`;

/** Rounds in one sample. */
const COUNT = 400;

if (import.meta.main) {
  const options = { rounds: ROUNDS, ...readFlags(HELP) };
  const meeting: Meeting = {
    conditions: inHomes((home) => new Condition(undefined, { home })),
    barriers: inHomes((home) => new Barrier(2, { home })),
    turn: HAS_MAPPED ? new SharedArray("i32", 1) : undefined,
  };
  await using crew = Crew.start(2, serveMeetings, meeting);
  await using python = await PythonPeer.start();

  for (const what of ["condition", "barrier"] as const) {
    const contender = (
      name: string,
      home: Home,
      blocking: boolean,
      who: "parent and child" | "children",
    ): SelfTimed | Absence => {
      const order = (side: number): MeetingOrder => ({
        what,
        home,
        count: COUNT,
        blocking,
        side,
      });
      const timed = {
        name: `${name}, ${who}`,
        time: async () => {
          const start = performance.now();
          if (who === "children") await crew.obey([order(0), order(1)]);
          else {
            await crew.begin([order(0)]);
            await meet(meeting, order(1));
            await crew.done(1);
          }
          return (performance.now() - start) * 1000 / COUNT;
        },
      };
      // Whose turn it is stands in mapped memory, whatever the home.
      return home === "mapped" || what === "condition"
        ? needsMapped(timed)
        : timed;
    };
    const title = what === "condition"
      ? "Condition, two take turns"
      : "Barrier, two meet";
    const rows = await measure([
      pythonContender("Python", python, `${what} ${COUNT}`, COUNT),
      contender("mapped, both await", "mapped", false, "parent and child"),
      contender("mapped, both block", "mapped", true, "parent and child"),
      contender("mapped, both await", "mapped", false, "children"),
      contender("mapped, both block", "mapped", true, "children"),
      contender("hub, both await", "shared", false, "children"),
      contender("hub, both block", "shared", true, "children"),
    ], { progress: title, ...options });
    printTable(`rounds per second: ${title}`, rows, PER_SECOND);
  }
}
