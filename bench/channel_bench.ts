// Copyright 2026 the multitask authors. MIT license.

// Round trips between two processes over a socket, one at a time, as plain
// bytes and as frames of a channel: what the way of the hub costs by itself.
// The other sides run from the beginning to the end.

import { Channel } from "../ipc/_channel.ts";
import {
  type Absence,
  measure,
  medianOf,
  PER_SECOND,
  printGoal,
  printTable,
  readFlags,
  type SelfTimed,
  selfTimedFlagsHelp,
} from "./_measure.ts";
import { socketContender, startEcho } from "./_platform.ts";

const ROUNDS = 15;

const HELP = `Compares round trips per second between two processes.
"ratio" is to a bare Unix socket; 0.70 is 70 round trips in the time of 100.

Usage: deno run -A bench/channel_bench.ts [flags]

${selfTimedFlagsHelp(ROUNDS)}`;

const GOAL = 0.7;

/** Round trips in one sample. */
const TRIPS = 4000;

/** The bytes of a message over a socket. */
const SIZE = 20;

const BARE = `bare Unix socket, ${SIZE} bytes`;
const FRAMES = `channel frames, ${SIZE} bytes`;

if (import.meta.main) {
  const options = readFlags(HELP);
  await using resources = new AsyncDisposableStack();

  const { contender: bare } = resources.use(
    await socketContender(BARE, SIZE, TRIPS),
  );
  let frames: SelfTimed | Absence;
  if ("absent" in bare) frames = { ...bare, name: FRAMES };
  else {
    const { conn } = resources.use(await startEcho("frames"));
    frames = { name: FRAMES, time: frameSwapper(conn) };
  }
  const rows = await measure([bare, frames], {
    rounds: ROUNDS,
    progress: "round trips",
    ...options,
  });
  printTable("round trips per second", rows, PER_SECOND);
  const bareTime = medianOf(rows, BARE);
  const framesTime = medianOf(rows, FRAMES);
  if (bareTime !== undefined && framesTime !== undefined) {
    const ratio = bareTime / framesTime;
    printGoal(
      `channel at least ${GOAL} of the bare socket`,
      ratio.toFixed(2),
      ratio >= GOAL,
    );
  }
}

/** Sends frames of a channel there and back. */
function frameSwapper(conn: Deno.Conn): () => Promise<number> {
  const message = new Uint8Array(SIZE).fill(7);
  let left = 0;
  let done: PromiseWithResolvers<void> | undefined;
  const channel = new Channel(conn, {
    frame: () => {
      if (--left > 0) serve();
      else done?.resolve();
    },
    end: () => done?.reject(new Error("The echo has ended")),
  });
  const serve = () => {
    channel.begin(1).raw(message);
    channel.commit();
  };
  channel.run();
  return async () => {
    left = TRIPS;
    done = Promise.withResolvers();
    const start = performance.now();
    serve();
    await done.promise;
    return (performance.now() - start) * 1000 / TRIPS;
  };
}
