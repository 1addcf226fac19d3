// Copyright 2026 the multitask authors. MIT license.

// Locks and the like: what they take where nobody else wants them, and how
// often they change hands where everybody does.

import {
  BoundedSemaphore,
  Event,
  type Home,
  Lock,
  type LockGuard,
  RLock,
  Semaphore,
  SharedArray,
  Value,
} from "../ipc/mod.ts";
import { Crew } from "./_crew.ts";
import { HAS_MAPPED, HOMES, inHomeContender, inHomes } from "./_homes.ts";
import {
  type Absence,
  measure,
  type MeasureOptions,
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
import { serveLock } from "./fixtures/lock_takers.ts";

const ROUNDS = 15;

const HELP = `Compares locks, semaphores, events and numbers with those of
Python's multiprocessing: alone, and (locks) with 2 and 8 processes that want
them at the same time. "mapped" and "shared" are the homes; other processes
reach what is in the shared home by the hub. "ratio" is to Python; 2.00 is twice
as often.

Usage: deno run -A bench/lock_bench.ts [flags]

${selfTimedFlagsHelp(ROUNDS)}`;

/** So often in one sample: what takes a tenth of a microsecond, or ten. */
const QUICK = 100_000;
const SLOW = 200;

/** As it is written: both look their methods up in every round. */
const PYTHON_LOCK = "Python Lock, acquire and release";
const OUR_LOCK = "mapped Lock, acquireSync and release";

/** The processes that want the lock at the same time. */
const CROWDS = [2, 8] as const;

/** How long they take it from each other in one sample, in milliseconds. */
const CROWD_MS = 50;

/** A contender that does something so often. */
function repeated(
  name: string,
  count: number,
  work: (count: number) => void | Promise<void>,
): SelfTimed {
  return {
    name,
    time: async () => {
      const start = performance.now();
      const working = work(count);
      if (working !== undefined) await working;
      return (performance.now() - start) * 1000 / count;
    },
  };
}

/** What has the methods of a lock. */
interface Acquirable {
  acquireSync(): LockGuard;
  acquire(): Promise<LockGuard>;
}

// Each contender has a loop of its own: the engine fits the code of a loop to
// all that ever went through it.

/** Both forms of acquire. */
function acquires(what: string, lock: Acquirable): SelfTimed[] {
  return [
    repeated(`${what}, acquireSync and release`, QUICK, (count) => {
      for (let i = 0; i < count; i++) lock.acquireSync().release();
    }),
    repeated(`${what}, await acquire and release`, QUICK, async (count) => {
      for (let i = 0; i < count; i++) (await lock.acquire()).release();
    }),
  ];
}

/** In each home; Python first. */
interface Alone {
  readonly title: string;
  readonly python: readonly (readonly [name: string, work: string])[];
  readonly ours: (home: Home) => SelfTimed[];
}

const ALONE: readonly Alone[] = [
  {
    title: "Lock, nobody else wants it",
    python: [
      [PYTHON_LOCK, "lock_methods"],
      ["Python Lock, methods looked up once", "lock"],
      ["Python Lock, with", "with_lock"],
    ],
    ours: (home) => acquires(`${home} Lock`, new Lock({ home })),
  },
  {
    title: "RLock, nobody else wants it",
    python: [["Python RLock, acquire and release", "rlock"]],
    ours: (home) => acquires(`${home} RLock`, new RLock({ home })),
  },
  {
    title: "Semaphore, there are enough",
    python: [
      ["Python Semaphore, acquire and release", "semaphore"],
      ["Python BoundedSemaphore", "bounded"],
    ],
    ours: (home) => [
      ...acquires(`${home} Semaphore`, new Semaphore(4, { home })),
      ...acquires(
        `${home} BoundedSemaphore`,
        new BoundedSemaphore(4, { home }),
      ),
    ],
  },
  {
    title: "Event, set and clear",
    python: [["Python", "set_clear"]],
    ours: (home) => {
      const event = new Event({ home });
      return [repeated(home, QUICK, (count) => {
        for (let i = 0; i < count; i++) {
          event.set();
          event.clear();
        }
      })];
    },
  },
  {
    title: "Event, isSet",
    python: [["Python", "is_set"]],
    ours: (home) => {
      const event = new Event({ home });
      return [repeated(home, QUICK, (count) => {
        let set = false;
        for (let i = 0; i < count; i++) set = event.isSet || set;
        if (set) throw new Error("Nobody has set the event");
      })];
    },
  },
  {
    title: "Value, add 1",
    python: [["Python, with value.get_lock(): value.value += 1", "add"]],
    ours: (home) => {
      const value = new Value("i32", 0, { home });
      return [
        repeated(`${home}, addSync`, QUICK, (count) => {
          for (let i = 0; i < count; i++) value.addSync(1);
        }),
        repeated(`${home}, await add`, QUICK, async (count) => {
          for (let i = 0; i < count; i++) await value.add(1);
        }),
        repeated(`${home}, its lock around value += 1`, QUICK, (count) => {
          for (let i = 0; i < count; i++) {
            const guard = value.lock.acquireSync();
            value.value += 1;
            guard.release();
          }
        }),
      ];
    },
  },
];

/** What is written where there is no lock. */
function naive(thread: MessagePeer): SelfTimed {
  return repeated(
    "a thread hands it out, postMessage",
    SLOW,
    async (count) => {
      for (let i = 0; i < count; i++) {
        await thread.ask("acquire");
        thread.tell("release");
      }
    },
  );
}

if (import.meta.main) {
  const options = { rounds: ROUNDS, ...readFlags(HELP) };
  await using resources = new AsyncDisposableStack();
  const python = resources.use(await PythonPeer.start());
  const { contender: socket } = resources.use(
    await socketContender("round trip over a bare Unix socket", 20, SLOW),
  );
  const thread = resources.use(new MessagePeer());

  for (const { title, python: theirs, ours } of ALONE) {
    const rows = await measure([
      ...theirs.map(([name, work]) =>
        pythonContender(name, python, `alone ${work} ${QUICK}`, QUICK)
      ),
      ...HOMES.flatMap(ours),
      ...(title.startsWith("Lock") ? [naive(thread), socket] : []),
    ], { progress: title, ...options });
    printTable(`per second: ${title}`, rows, PER_SECOND);
    const time = medianOf(rows, OUR_LOCK);
    const pythonTime = medianOf(rows, PYTHON_LOCK);
    if (time !== undefined && pythonTime !== undefined) {
      const ratio = pythonTime / time;
      printGoal(
        `${OUR_LOCK}, at least ${PYTHON_LOCK}`,
        ratio.toFixed(2),
        ratio >= 1,
      );
    }
  }
  await measureCrowds(python, options);
}

/** Many processes that want one lock. */
async function measureCrowds(
  python: PythonPeer | undefined,
  options: MeasureOptions,
): Promise<void> {
  const locks = inHomes((home) => new Lock({ home }));
  const numbers = HAS_MAPPED ? new SharedArray("i32", 1) : undefined;
  await using crew = Crew.start(Math.max(...CROWDS), serveLock, {
    locks,
    numbers,
  });
  for (const size of CROWDS) {
    const crowd = (
      name: string,
      home: Home,
      blocking: boolean,
    ): SelfTimed | Absence =>
      inHomeContender(home, {
        name,
        time: async () => {
          const order = { home, blocking, duration: CROWD_MS };
          const start = performance.now();
          const counts = await crew.obey(new Array(size).fill(order));
          const elapsed = performance.now() - start;
          return elapsed * 1000 / counts.reduce((sum, count) => sum + count);
        },
      });
    const title = `Lock, ${size} processes want it`;
    const rows = await measure([
      pythonContender(
        "Python Lock",
        python,
        `lock_crowd ${size} ${CROWD_MS / 1000}`,
      ),
      crowd("mapped, acquireSync", "mapped", true),
      crowd("mapped, await acquire", "mapped", false),
      crowd("hub, await acquire", "shared", false),
      crowd("hub, acquireSync", "shared", true),
    ], { progress: title, ...options });
    printTable(`per second, in total: ${title}`, rows, PER_SECOND);
  }
}
