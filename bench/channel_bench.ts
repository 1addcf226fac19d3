// Copyright 2026 the multitask authors. MIT license.

// Round trips between two processes, one at a time: a message goes there and
// comes back before the next one. All the other sides run from the beginning to
// the end; who has no message waits for one and takes no time from the others.

import { Channel } from "../ipc/_channel.ts";
import { type Connection, Pipe, Queue } from "../ipc/mod.ts";
import { Process } from "../process/mod.ts";
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
import { pythonContender, PythonPeer } from "./_python.ts";
import { echoPipe, echoQueues } from "./fixtures/ping_pong.ts";

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

  const sockets: (SelfTimed | Absence)[] = [];
  if (Deno.build.os === "windows") {
    const absent = "skipped: no Unix sockets here";
    sockets.push({ name: BARE, absent }, { name: FRAMES, absent });
  } else {
    const bytes = resources.use(await startEcho("bytes"));
    sockets.push({ name: BARE, time: () => swapBytes(bytes.conn) });
    const frames = resources.use(await startEcho("frames"));
    sockets.push({ name: FRAMES, time: frameSwapper(frames.conn) });
  }

  const [here, there] = Pipe<number>();
  const pings = new Queue<number>();
  const pongs = new Queue<number>();
  for (
    const process of [
      new Process({ target: echoPipe, args: [there] }),
      new Process({ target: echoQueues, args: [pings, pongs] }),
    ]
  ) {
    process.start();
    resources.use(process);
  }
  const python = resources.use(await PythonPeer.start());

  const rows = await measure([
    ...sockets,
    { name: "Pipe, small integer", time: () => swapOverPipe(here) },
    {
      name: "two Queues, small integer",
      time: () => swapOverQueues(pings, pongs),
    },
    pythonContender(
      "Python Pipe, small integer",
      python,
      `pipe ${TRIPS}`,
      TRIPS,
    ),
  ], { rounds: ROUNDS, progress: "round trips", ...options });
  printTable("round trips per second", rows, PER_SECOND);
  const bare = medianOf(rows, BARE);
  const frames = medianOf(rows, FRAMES);
  if (bare !== undefined && frames !== undefined) {
    const ratio = bare / frames;
    printGoal(
      `channel at least ${GOAL} of the bare socket`,
      ratio.toFixed(2),
      ratio >= GOAL,
    );
  }
}

/** Microseconds for one round trip. */
async function timed(trips: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await trips();
  return (performance.now() - start) * 1000 / TRIPS;
}

/** A process at the other end of a Unix socket. */
interface Echo extends AsyncDisposable {
  readonly conn: Deno.Conn;
}

async function startEcho(form: "bytes" | "frames"): Promise<Echo> {
  const directory = await Deno.makeTempDir();
  try {
    const path = `${directory}/socket`;
    using listener = Deno.listen({ transport: "unix", path });
    const entry = new URL("./fixtures/socket_echo.ts", import.meta.url);
    const { status } = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", entry.href, form, path],
      stdin: "null",
    }).spawn();
    const conn = await Promise.race([
      listener.accept(),
      status.then(({ code }) => {
        throw new Error(`The echo has ended with exit code ${code}`);
      }),
    ]);
    return {
      conn,
      async [Symbol.asyncDispose]() {
        conn.close(); // It ends with its connection.
        await status;
      },
    };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Without anything of ours: what the runtime and the kernel take. */
function swapBytes(conn: Deno.Conn): Promise<number> {
  const message = new Uint8Array(SIZE).fill(7);
  const buffer = new Uint8Array(1024);
  return timed(async () => {
    for (let i = 0; i < TRIPS; i++) {
      for (let at = 0; at < SIZE;) {
        at += await conn.write(message.subarray(at));
      }
      for (let have = 0; have < SIZE;) {
        const count = await conn.read(buffer);
        if (count === null) throw new Error("The echo has ended");
        have += count;
      }
    }
  });
}

/** The same by frames of a channel. */
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
  return () =>
    timed(() => {
      left = TRIPS;
      done = Promise.withResolvers();
      serve();
      return done.promise;
    });
}

/** What a program of our users does. */
function swapOverPipe(connection: Connection<number>): Promise<number> {
  return timed(async () => {
    for (let i = 0; i < TRIPS; i++) {
      await connection.send(i);
      await connection.recv();
    }
  });
}

function swapOverQueues(
  pings: Queue<number>,
  pongs: Queue<number>,
): Promise<number> {
  return timed(async () => {
    for (let i = 0; i < TRIPS; i++) {
      await pings.put(i);
      await pongs.get();
    }
  });
}
