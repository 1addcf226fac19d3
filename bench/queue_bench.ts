// Copyright 2026 the multitask authors. MIT license.

// Items per second through a queue, one way: a child puts and its parent, which
// owns the queue, gets, or the other way round. The time is from the order to
// the child until the last item is got.

import { Pipe, Queue } from "../ipc/mod.ts";
import { Process } from "../process/mod.ts";
import {
  measure,
  PER_SECOND,
  printTable,
  readFlags,
  type SelfTimed,
  selfTimedFlagsHelp,
} from "./_measure.ts";
import { pythonContender, PythonPeer } from "./_python.ts";
import { type Item, type Order, serve, work } from "./fixtures/queue_ends.ts";

const ROUNDS = 11;

const HELP = `Compares the items per second through a queue between a parent and
its child with Python's multiprocessing.Queue (its feeder thread puts many at
once). "ratio" is to Python; 2.00 is twice as many.

Usage: deno run -A bench/queue_bench.ts [flags]

${selfTimedFlagsHelp(ROUNDS)}`;

/** What the items are, and how many make a sample. */
const KINDS = [
  { name: "small integers", size: 0, count: 5000 },
  { name: "Uint8Array of 1 MiB", size: 2 ** 20, count: 50 },
] as const;

/** So many under way where they are not awaited one by one. */
const MANY = 64;

/** How many puts and gets are under way at once. */
interface Pattern {
  readonly name: string;
  readonly puts: number;
  readonly gets: number;
}

const ONE_BY_ONE: Pattern = { name: "one by one", puts: 1, gets: 1 };
const MANY_PUTS: Pattern = {
  name: `${MANY} puts in flight`,
  puts: MANY,
  gets: 1,
};
const MANY_OF_BOTH: Pattern = {
  name: `${MANY} puts and ${MANY} gets in flight`,
  puts: MANY,
  gets: MANY,
};

if (import.meta.main) {
  const options = readFlags(HELP);
  const queue = new Queue<Item>();
  const [orders, childOrders] = Pipe<Order | null>();
  await using child = new Process({
    target: serve,
    args: [queue, childOrders],
  });
  child.start();
  await using python = await PythonPeer.start();

  for (const { name, size, count } of KINDS) {
    for (const end of ["put", "get"] as const) {
      const title = end === "put"
        ? `${name}, child to parent`
        : `${name}, parent to child`;
      const ours = ({ name, puts, gets }: Pattern): SelfTimed => ({
        name,
        time: async () => {
          const [theirs, mine] = end === "put" ? [puts, gets] : [gets, puts];
          const start = performance.now();
          await orders.send({ end, count, size, inFlight: theirs });
          await work(queue, {
            end: end === "put" ? "get" : "put",
            count,
            size,
            inFlight: mine,
          });
          await orders.recv();
          return (performance.now() - start) * 1000 / count;
        },
      });
      const patterns = [ONE_BY_ONE];
      if (size === 0) patterns.push(MANY_PUTS);
      // The parent has the queue: only a child's gets have a way to go.
      if (size === 0 && end === "get") patterns.push(MANY_OF_BOTH);
      const rows = await measure([
        pythonContender(
          "Python Queue",
          python,
          `queue ${end} ${count} ${size}`,
          count,
        ),
        ...patterns.map(ours),
      ], { rounds: ROUNDS, progress: title, ...options });
      printTable(`items per second: ${title}`, rows, PER_SECOND);
    }
  }
}
