// Copyright 2026 the multitask authors. MIT license.
// Warm spares: children that are started and wait for a task.
//
//   started -> connected -> rehearsed -> modules preloaded -> prepared
//
// From the moment it is connected a spare can be taken; what is left of its
// preparation then goes on beside its task, or is not begun.

import type { Child } from "./_child.ts";
import { endAll, setDaemon } from "./_end_of_program.ts";
import type { SpawnPlan } from "./_plan.ts";
import type { ToSpare } from "./_protocol.ts";
import { rehearse } from "./_rehearsal.ts";
import type { Packet } from "../ipc/_packet.ts";
import { self } from "../ipc/_self.ts";
import { startTimer } from "../ipc/_timer.ts";
import { InvalidStateError, TaskReferenceError } from "../ipc/errors.ts";

interface Spare {
  readonly child: Child;
  /** The state of the environment that it was given. */
  readonly changes: number;
  /** The modules that it loads beforehand. */
  readonly preload: readonly string[];
  /** Resolves when it is prepared, or let go; rejects if it cannot be. */
  readonly prepared: Promise<void>;
}

interface Shelf {
  readonly key: string;
  /** Works the plan out anew: permissions may have been given up since. */
  readonly plan: () => SpawnPlan;
  wanted: number;
  preload: readonly string[];
  /** Stops the refill that is due. */
  stopRefill: (() => void) | undefined;
  /** What is kept: neither taken for a task nor ended. */
  readonly spares: Set<Spare>;
}

const shelves = new Map<string, Shelf>();

/**
 * How often the environment has changed: a spare has that of its start. Counted
 * from the first spare on, by all ways that there are in a program, whatever it
 * may read of its environment.
 */
let changes = 0;
let isCounting = false;

function countChanges(): void {
  if (isCounting) return;
  isCounting = true;
  const { env } = Deno;
  const { set, delete: remove } = env;
  env.set = (name, value) => {
    changes++;
    set.call(env, name, value);
  };
  env.delete = (name) => {
    changes++;
    remove.call(env, name);
  };
}

/** The name of a child that has no task yet. */
const SPARE_NAME = "spare";

/**
 * Keeps so many children of a plan waiting, that have loaded some modules;
 * resolves when they are prepared.
 */
export async function keepSpares(
  count: number,
  preload: readonly string[],
  makePlan: () => SpawnPlan,
): Promise<void> {
  const plan = makePlan();
  if (!plan.general) {
    throw new InvalidStateError(
      "Cannot prewarm: such children start with their task's module; give them the whole of read",
    );
  }
  let shelf = shelves.get(plan.key);
  if (shelf === undefined) {
    if (count === 0) return;
    shelf = {
      key: plan.key,
      plan: makePlan,
      wanted: 0,
      preload,
      stopRefill: undefined,
      spares: new Set(),
    };
    shelves.set(plan.key, shelf);
  }
  shelf.wanted = count;
  shelf.preload = preload;
  shelf.stopRefill?.();
  if (count === 0) shelves.delete(plan.key);
  countChanges();
  const stale = takeStale(shelf);
  fill(shelf);
  const excess = [...shelf.spares].slice(count);
  for (const spare of excess) shelf.spares.delete(spare);
  await Promise.all([
    discard([...stale, ...excess]),
    ...[...shelf.spares].map(awaitPrepared),
  ]);
}

/** Waits for a spare, which keeps the program alive meanwhile. */
async function awaitPrepared({ child, prepared }: Spare): Promise<void> {
  const release = child.hold();
  try {
    await prepared;
  } finally {
    release();
  }
}

/** Takes the spares away that are not as those which would be started now. */
function takeStale({ spares, preload }: Shelf): Spare[] {
  const stale = [...spares].filter((spare) =>
    spare.changes !== changes || spare.preload.join() !== preload.join()
  );
  for (const spare of stale) spares.delete(spare);
  return stale;
}

async function discard(spares: readonly Spare[]): Promise<void> {
  const children = spares.map(({ child }) => child);
  await endAll(children);
  // Nobody has read them, and nobody will.
  await Promise.all(
    children.flatMap((child) => [
      child.stdout?.cancel(),
      child.stderr?.cancel(),
    ]),
  );
}

function fill(shelf: Shelf): void {
  while (shelf.spares.size < shelf.wanted) {
    const plan = shelf.plan();
    const child = plan.spawn(SPARE_NAME, "everything");
    // Nobody waits for a spare.
    setDaemon(child, true);
    const { preload, spares } = shelf;
    const prepared = prepare(child, preload, {
      patience: plan.startTimeout,
      isKept: () => spares.has(spare),
    });
    prepared.catch(() => {}); // Whoever prewarms is told.
    const spare = { child, changes, preload, prepared };
    spares.add(spare);
    child.ended.then(async ({ signal }) => {
      const wasPrepared = await prepared.then(
        () => true,
        (error) => error instanceof TaskReferenceError,
      );
      if (!spares.delete(spare)) return;
      // One that ended by itself, or never was ready, would only do so again.
      if (signal !== null && wasPrepared) refillSoon(shelf);
    });
  }
}

/** Prepares a spare, as long as it is kept. */
async function prepare(
  child: Child,
  preload: readonly string[],
  { patience, isKept }: { patience: number; isKept: () => boolean },
): Promise<void> {
  const step = async (order: ToSpare, packet?: Packet) => {
    let stopTimer = startTimer(
      () => {
        // What has come while this process itself was busy is read first.
        stopTimer = startTimer(
          () => {
            if (isKept()) child.kill("SIGKILL");
          },
          CATCH_UP,
          { unref: true },
        );
      },
      patience,
      { unref: true },
    );
    try {
      await child.prepare(order, packet);
    } finally {
      stopTimer();
    }
  };
  const isReady = () => isKept() && child.state === "ready";
  await child.connected;
  for (let round = 0; round < REHEARSALS && isReady(); round++) {
    await rehearse(step);
  }
  if (preload.length > 0 && isReady()) {
    await step({
      type: "preload",
      self: {
        name: SPARE_NAME,
        daemon: true,
        parent: { name: self.name, pid: Deno.pid },
        startedAt: self.startedAt,
      },
      modules: preload,
    });
  }
  if (!isKept() || child.state === "ready") return;
  throw new InvalidStateError(
    `Cannot prewarm: process ${child.pid} ended at its start; see stderr`,
  );
}

/** Has what is missing started in a moment: not in the way of who starts. */
function refillSoon(shelf: Shelf): void {
  shelf.stopRefill?.();
  shelf.stopRefill = startTimer(
    () => {
      if (shelves.get(shelf.key) !== shelf) return;
      try {
        if (shelf.plan().key === shelf.key) return fill(shelf);
      } catch {
        // A permission is gone, with which starts say the same.
      }
      // The next starts are of another kind: these would never be taken.
      shelves.delete(shelf.key);
      discard([...shelf.spares]);
    },
    REFILL_DELAY,
    { unref: true },
  );
}

/** Takes a spare that fits, and has another one started in its place. */
export function takeSpare(plan: SpawnPlan, name: string): Child | undefined {
  const shelf = shelves.get(plan.key);
  if (shelf === undefined) return undefined;
  const stale = takeStale(shelf);
  if (stale.length > 0) {
    discard(stale);
    refillSoon(shelf);
  }
  for (const spare of shelf.spares) {
    const { child } = spare;
    if (child.state !== "ready") continue;
    shelf.spares.delete(spare);
    child.name = name;
    refillSoon(shelf);
    return child;
  }
  return undefined;
}

/** A guess: long enough for a taken spare to load its task. */
const REFILL_DELAY = 20;

/** A guess: enough for the engine to have compiled most of a task's way. */
const REHEARSALS = 64;

/** How long it takes to read what has come meanwhile, in milliseconds. */
const CATCH_UP = 1000;
