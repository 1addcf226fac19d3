// Copyright 2026 the multitask authors. MIT license.

// Round trips between two processes, one at a time: a message goes there and
// comes back before the next one. All the other sides run from the beginning to
// the end; who has no message waits for one and takes no time from the others.

import { type Connection, Pipe, Queue } from "../ipc/mod.ts";
import type { Target } from "../process/mod.ts";
import { Crew, Member } from "./_crew.ts";
import { HAS_MAPPED, needsMapped } from "./_homes.ts";
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
import { MessagePeer, socketContender } from "./_platform.ts";
import { pythonContender, PythonPeer } from "./_python.ts";
import {
  echoPipe,
  echoQueues,
  echoQueuesSync,
  serveQueuesSync,
  type Table,
} from "./fixtures/ping_pong.ts";

const ROUNDS = 11;

const HELP = `Compares round trips per second between two processes, through
two queues and through a pipe, with Python's. "mapped" is memory that both sides
reach; "hub" lives in memory of the parent, which the child asks by messages.
"ratio" is to Python's two Queues; 3.00 is three times as many.

Usage: deno run -A bench/ping_pong_bench.ts [flags]

${selfTimedFlagsHelp(ROUNDS)}`;

const GOAL = 3;

/** Round trips in one sample. */
const TRIPS = 1000;

/** The bytes of a message over a socket. */
const SIZE = 20;

const PYTHON_QUEUES = "Python, two Queues";
const QUEUES = "two mapped Queues, both sides await";

if (import.meta.main) {
  const options = readFlags(HELP);
  await using resources = new AsyncDisposableStack();

  const { contender: socket } = resources.use(
    await socketContender(`bare Unix socket, ${SIZE} bytes`, SIZE, TRIPS),
  );
  const thread = resources.use(new MessagePeer());
  const python = resources.use(await PythonPeer.start());

  const start = <A extends unknown[]>(
    target: Target<A, never>,
    args: NoInfer<A>,
  ) => {
    resources.use(new Member(target, args));
  };
  /** A contender over two queues with an echo of its own. */
  const overQueues = (
    name: string,
    home: "mapped" | "shared",
    echo: Target<[Table], never>,
  ): SelfTimed | Absence => {
    if (home === "mapped" && !HAS_MAPPED) return needsMapped({ name, time });
    const table = twoQueues(home);
    start(echo, [table]);
    return { name, time };

    function time(): Promise<number> {
      return swapOverQueues(table);
    }
  };
  const overPipe = (
    name: string,
    home: "mapped" | "shared",
  ): SelfTimed | Absence => {
    if (home === "mapped" && !HAS_MAPPED) return needsMapped({ name, time });
    const [here, there] = Pipe<number>({ home });
    start(echoPipe, [there]);
    return { name, time };

    function time(): Promise<number> {
      return swapOverPipe(here);
    }
  };
  const betweenChildren = (name: string): SelfTimed | Absence => {
    if (!HAS_MAPPED) return needsMapped({ name, time });
    const table = twoQueues("mapped");
    const crew = resources.use(Crew.start(1, serveQueuesSync, table));
    start(echoQueuesSync, [table]);
    return { name, time };

    function time(): Promise<number> {
      return timed(() => crew.obey([TRIPS]));
    }
  };

  const rows = await measure([
    pythonContender(PYTHON_QUEUES, python, `queues ${TRIPS}`, TRIPS),
    pythonContender("Python, Pipe", python, `pipe ${TRIPS}`, TRIPS),
    overQueues(QUEUES, "mapped", echoQueues),
    overQueues("two mapped Queues, child blocks", "mapped", echoQueuesSync),
    betweenChildren("two mapped Queues, two children block"),
    overPipe("mapped Pipe, both sides await", "mapped"),
    overQueues("two Queues by the hub, both sides await", "shared", echoQueues),
    overQueues(
      "two Queues by the hub, child blocks",
      "shared",
      echoQueuesSync,
    ),
    overPipe("Pipe by the hub, both sides await", "shared"),
    socket,
    { name: "postMessage to a thread", time: () => swapMessages(thread) },
  ], { rounds: ROUNDS, progress: "round trips", ...options });
  printTable("round trips per second", rows, PER_SECOND);
  const queues = medianOf(rows, QUEUES);
  const theirs = medianOf(rows, PYTHON_QUEUES);
  if (queues !== undefined && theirs !== undefined) {
    const ratio = theirs / queues;
    printGoal(
      `${QUEUES}, at least ${GOAL} x ${PYTHON_QUEUES}`,
      ratio.toFixed(2),
      ratio >= GOAL,
    );
  }
}

function twoQueues(home: "mapped" | "shared"): Table {
  return { pings: new Queue(0, { home }), pongs: new Queue(0, { home }) };
}

/** Microseconds for one round trip. */
async function timed(trips: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await trips();
  return (performance.now() - start) * 1000 / TRIPS;
}

function swapOverPipe(connection: Connection<number>): Promise<number> {
  return timed(async () => {
    for (let i = 0; i < TRIPS; i++) {
      await connection.send(i);
      await connection.recv();
    }
  });
}

function swapOverQueues({ pings, pongs }: Table): Promise<number> {
  return timed(async () => {
    for (let i = 0; i < TRIPS; i++) {
      await pings.put(i);
      await pongs.get();
    }
  });
}

function swapMessages(thread: MessagePeer): Promise<number> {
  return timed(async () => {
    for (let i = 0; i < TRIPS; i++) await thread.ask(i);
  });
}
