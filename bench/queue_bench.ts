// Copyright 2026 the multitask authors. MIT license.

// Items per second through a queue: one way between a parent, which owns the
// queue, and its child, and among children of which half put and half get. The
// time is from the order to the children until the last item is got.

import { type Home, Queue } from "../ipc/mod.ts";
import { Crew } from "./_crew.ts";
import { HOMES, inHome, inHomeContender, inHomes } from "./_homes.ts";
import {
  type Absence,
  measure,
  PER_SECOND,
  printRatio,
  printTable,
  readFlags,
  type SelfTimed,
  selfTimedFlagsHelp,
} from "./_measure.ts";
import { pythonContender, PythonPeer } from "./_python.ts";
import {
  type Item,
  type MemberOrder,
  serve,
  work,
} from "./fixtures/queue_ends.ts";

const ROUNDS = 9;

const HELP = `Compares the items per second through a queue with Python's
multiprocessing.Queue (its feeder thread puts many at once): between a parent
and its child, and among children. "mapped" is memory that both sides reach;
"hub" lives in memory of the parent, which the child asks by messages.
"ratio" is to Python; 2.00 is twice as many.

Usage: deno run -A bench/queue_bench.ts [flags]

${selfTimedFlagsHelp(ROUNDS)}`;

/** What the items are, and how many make a sample. */
interface Kind {
  readonly name: string;
  readonly size: number;
  readonly count: number;
  /** So many are under way where they are not awaited one by one. */
  readonly many: number;
}

const SMALL: Kind = {
  name: "small integers",
  size: 0,
  count: 20_000,
  many: 64,
};
const LARGE: Kind = {
  name: "Uint8Array of 1 MiB",
  size: 2 ** 20,
  count: 16,
  many: 8,
};

/** Small items that go through the hub: a part of the others, it takes long. */
const HUB_PART = 1 / 10;

/** The processes that share one queue, half of them at each end. */
const CROWDS = [2, 8] as const;

const PYTHON = "Python Queue";
const PYTHON_PIPE = "Python Pipe";

/** How a home is called in the tables: by the way that others take to it. */
function wayTo(home: Home): string {
  return home === "mapped" ? "mapped" : "hub";
}

/** How an end works: one by one, many at once, or in the blocking form. */
interface Pattern {
  readonly name: string;
  /** Of the child. */
  readonly inFlight: number;
  /** Of the parent. */
  readonly here: number;
}

const ONE_BY_ONE = "one by one";

function patterns(many: number): readonly Pattern[] {
  return [
    { name: ONE_BY_ONE, inFlight: 1, here: 1 },
    { name: `${many} in flight`, inFlight: many, here: many },
    { name: "blocking child", inFlight: 0, here: 1 },
  ];
}

if (import.meta.main) {
  const options = { rounds: ROUNDS, ...readFlags(HELP) };
  const queues = inHomes((home) => new Queue<Item>(0, { home }));
  await using crew = Crew.start(
    Math.max(...CROWDS),
    serve,
    queues,
  );
  await using python = await PythonPeer.start();

  /** Between the parent and its first child. */
  const oneWay = (
    kind: Kind,
    end: "put" | "get",
    home: Home,
    { name, inFlight, here }: Pattern,
  ): SelfTimed | Absence => {
    const { size } = kind;
    const count = countIn(home, kind);
    return inHomeContender(home, {
      name: `${wayTo(home)}, ${name}`,
      time: async () => {
        const start = performance.now();
        await crew.begin([{ end, count, size, inFlight, home }]);
        await work(inHome(queues, home), {
          end: end === "put" ? "get" : "put",
          count,
          size,
          inFlight: here,
        });
        await crew.done(1);
        return (performance.now() - start) * 1000 / count;
      },
    });
  };

  for (const kind of [SMALL, LARGE]) {
    const { name, size, count, many } = kind;
    for (const end of ["put", "get"] as const) {
      const title = end === "put"
        ? `${name}, child to parent`
        : `${name}, parent to child`;
      const pipe = `pipe_way ${end} ${count} ${size}`;
      const rows = await measure([
        pythonContender(PYTHON, python, `queue ${end} ${count} ${size}`, count),
        ...(kind === LARGE
          ? [pythonContender(PYTHON_PIPE, python, pipe, count)]
          : []),
        ...HOMES.flatMap((home) =>
          patterns(many).map((pattern) => oneWay(kind, end, home, pattern))
        ),
      ], { progress: title, ...options });
      printTable(`items per second: ${title}`, rows, PER_SECOND);
      if (kind === SMALL) {
        printRatio(rows, `mapped, ${ONE_BY_ONE}`, PYTHON, 10);
        printRatio(rows, `hub, ${ONE_BY_ONE}`, PYTHON, 2);
      } else printRatio(rows, `mapped, ${ONE_BY_ONE}`, PYTHON_PIPE, 1);
    }
  }

  for (const size of CROWDS) {
    const title = `small integers, ${size / 2} put and ${size / 2} get`;
    const crowd = (home: Home, inFlight: number): SelfTimed | Absence => {
      const count = countIn(home, SMALL);
      return inHomeContender(home, {
        name: `${wayTo(home)}, ${inFlight === 0 ? "blocking" : ONE_BY_ONE}`,
        time: async () => {
          const orders = Array.from({ length: size }, (_, i): MemberOrder => ({
            end: i % 2 === 0 ? "put" : "get",
            count: count * 2 / size,
            size: 0,
            inFlight,
            home,
          }));
          const start = performance.now();
          await crew.obey(orders);
          return (performance.now() - start) * 1000 / count;
        },
      });
    };
    const { count } = SMALL;
    const rows = await measure([
      pythonContender(PYTHON, python, `queue_crowd ${size} ${count}`, count),
      ...HOMES.flatMap((home) => [crowd(home, 1), crowd(home, 0)]),
    ], { progress: title, ...options });
    printTable(`items per second: ${title}`, rows, PER_SECOND);
  }
}

function countIn(home: Home, { size, count }: Kind): number {
  return home === "mapped" || size > 0 ? count : count * HUB_PART;
}
