// Copyright 2026 the multitask authors. MIT license.
// Warm spares: children that are started and wait for a task.

import type { Child } from "./_child.ts";
import { endAll, setDaemon } from "./_end_of_program.ts";
import type { SpawnPlan } from "./_plan.ts";
import { startTimer } from "../ipc/_timer.ts";
import { InvalidStateError } from "../ipc/errors.ts";

interface Shelf {
  readonly key: string;
  /** Works the plan out anew: permissions may have been given up since. */
  readonly plan: () => SpawnPlan;
  wanted: number;
  /** Stops the refill that is due. */
  stopRefill: (() => void) | undefined;
  /** The spares, with the state of the environment that they were given. */
  readonly children: Map<Child, number>;
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

/** Keeps so many children of a plan waiting; resolves when they are ready. */
export async function keepSpares(
  count: number,
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
      stopRefill: undefined,
      children: new Map(),
    };
    shelves.set(plan.key, shelf);
  }
  shelf.wanted = count;
  shelf.stopRefill?.();
  if (count === 0) shelves.delete(plan.key);
  countChanges();
  const stale = takeStale(shelf);
  fill(shelf);
  const excess = [...shelf.children.keys()].slice(count);
  for (const child of excess) shelf.children.delete(child);
  await Promise.all([
    discard([...stale, ...excess]),
    ...[...shelf.children.keys()].map((child) =>
      child.connected.then((isThere) => isThere || failed(child))
    ),
  ]);
}

/** Takes the spares away whose environment is another than a start's now. */
function takeStale({ children }: Shelf): Child[] {
  const stale = [...children].filter(([, state]) => state !== changes)
    .map(([child]) => child);
  for (const child of stale) children.delete(child);
  return stale;
}

async function discard(children: readonly Child[]): Promise<void> {
  await endAll(children);
  // Nobody has read them, and nobody will.
  await Promise.all(
    children.flatMap((child) => [
      child.stdout?.cancel(),
      child.stderr?.cancel(),
    ]),
  );
}

function failed(child: Child): never {
  throw new InvalidStateError(
    `Cannot prewarm: process ${child.pid} ended at its start; see stderr`,
  );
}

function fill(shelf: Shelf): void {
  while (shelf.children.size < shelf.wanted) {
    const child = shelf.plan().spawn(SPARE_NAME, "everything");
    // Nobody waits for a spare.
    setDaemon(child, true);
    shelf.children.set(child, changes);
    child.ended.then(() => {
      // One that never got ready would only do so again.
      if (shelf.children.delete(child) && child.wasReady) refillSoon(shelf);
    });
  }
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
      discard([...shelf.children.keys()]);
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
  for (const child of shelf.children.keys()) {
    if (child.state !== "ready") continue;
    shelf.children.delete(child);
    child.name = name;
    refillSoon(shelf);
    return child;
  }
  return undefined;
}

/** A guess: long enough for a taken spare to load its task. */
const REFILL_DELAY = 20;
