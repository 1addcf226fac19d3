// Copyright 2026 the multitask authors. MIT license.
// Warm spares: children that are started and wait for a task.

import type { Child } from "./_child.ts";
import { endAll } from "./_end_of_program.ts";
import type { SpawnPlan } from "./_plan.ts";
import { startTimer } from "../ipc/_timer.ts";
import { InvalidStateError } from "../ipc/errors.ts";

interface Shelf {
  readonly plan: SpawnPlan;
  wanted: number;
  /** Stops the refill that is due. */
  stopRefill: (() => void) | undefined;
  readonly children: Set<Child>;
}

const shelves = new Map<string, Shelf>();

/** The name of a child that has no task yet. */
const SPARE_NAME = "spare";

/** Keeps so many children of a plan waiting; resolves when they are ready. */
export async function keepSpares(
  count: number,
  plan: SpawnPlan,
): Promise<void> {
  if (!plan.general) {
    throw new InvalidStateError(
      "Cannot prewarm: such children start with their task's module; give them the whole of read",
    );
  }
  let shelf = shelves.get(plan.key);
  if (shelf === undefined) {
    if (count === 0) return;
    shelf = { plan, wanted: 0, stopRefill: undefined, children: new Set() };
    shelves.set(plan.key, shelf);
  }
  shelf.wanted = count;
  shelf.stopRefill?.();
  if (count === 0) shelves.delete(plan.key);
  fill(shelf);
  const excess = [...shelf.children].slice(count);
  for (const child of excess) shelf.children.delete(child);
  await Promise.all([
    discard(excess),
    ...[...shelf.children].map((child) =>
      child.connected.then((isThere) => isThere || failed(child))
    ),
  ]);
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
    const child = shelf.plan.spawn(SPARE_NAME, "everything");
    // Nobody waits for a spare.
    child.held = false;
    shelf.children.add(child);
    child.ended.then(() => shelf.children.delete(child));
  }
}

/** Takes a spare that fits, and has another one started in its place. */
export function takeSpare(plan: SpawnPlan, name: string): Child | undefined {
  const shelf = shelves.get(plan.key);
  if (shelf === undefined) return undefined;
  for (const child of shelf.children) {
    if (child.state !== "ready") continue;
    shelf.children.delete(child);
    child.name = name;
    // Its start shall not delay the one that somebody waits for.
    const refill = () => {
      if (shelves.get(plan.key) === shelf) fill(shelf);
    };
    shelf.stopRefill?.();
    shelf.stopRefill = startTimer(refill, REFILL_DELAY, { unref: true });
    return child;
  }
  return undefined;
}

/** A guess: long enough for a taken spare to load its task. */
const REFILL_DELAY = 20;
