// Copyright 2026 the multitask authors. MIT license.
// What becomes of what the dead held.
//
// Rules, in this order; a recovery that is itself killed is taken up by the
// next one, and each step can be done twice:
//   1. Its undo log is played back and its guards are freed. No other process
//      can have seen the words meanwhile: they are under those guards.
//   2. The row is marked Dead: from here on nobody takes it for a living
//      agent's, and whoever clears up next goes on with it.
//   3. Its waiters leave their lists. What a waiter had been granted and not
//      taken goes back; what it had in its hands too.
//   4. Objects free what it held and serve whoever is next; those that it owned
//      end, and whoever waits for them is told.
//   5. All agents look at their waiters: the dead one may have served some and
//      died before it told them.
//   6. The row is free; its next user has another generation, so that a word
//      which still names the dead one names nobody.
// One at a time does this, under the Reaper word; step 1 alone is done also by
// somebody in the middle of a transaction, who needs a guard that a dead one
// holds. The rest is for those who know how it has ended, and have noted that
// for whoever is told (_obituaries.ts).

import type { Agent } from "./_agent.ts";
import { freeRecord, IS_RECORD, NO_RECORDS } from "./_records.ts";
import {
  AGENT_MASK,
  agentName,
  AgentPhase,
  AgentWord,
  ArenaWord,
  ListWord,
  logAt,
  NODES_PER_BLOCK,
  NodeState,
  NodeWord,
  ObjectFlag,
  ObjectWord,
  pathOf,
  rowAt,
  rowsOf,
} from "./_arena.ts";

/** What a class of objects does when somebody dies. Each within an entry. */
export interface Mourner {
  /** Frees what the dead agent held, and serves whoever is next. */
  freeHeld(agent: Agent, at: number, dead: number): void;
  /**
   * A waiter died: while it was still in line, or when it was granted something
   * that it has not taken.
   */
  takeBack(agent: Agent, at: number, node: number, granted: boolean): void;
  /** The same, of what was on the way into or out of the object. */
  takeFromHands?(agent: Agent, at: number, kind: number, record: number): void;
  /** The owner is gone: tells all who wait, and frees the object's memory. */
  end(agent: Agent, at: number): void;
}

const mourners = new Map<number, Mourner>();

/** Says what a class of objects does when somebody dies. */
export function registerMourner(type: number, mourner: Mourner): void {
  mourners.set(type, mourner);
}

/**
 * Clears up after all agents that are marked dead, or whose process is.
 * `"later"` when it could not be finished: it has to be called again.
 */
export function recover(
  agent: Agent,
  isDead: (pid: number, parentPid: number) => boolean,
): "nobody" | "done" | "later" {
  const suspects = findDead(agent, isDead);
  if (suspects.length === 0) return "nobody";
  const { words } = agent;
  const holder = words.compareExchange(ArenaWord.Reaper, 0, agent.name);
  const isOurs = holder === agent.name; // Called again by itself.
  if (holder !== 0 && !isOurs) {
    // Whoever does it may have died in it.
    if (
      !suspects.some(({ name }) => name === holder) ||
      words.compareExchange(ArenaWord.Reaper, holder, agent.name) !== holder
    ) return "later";
  }
  // Somebody may have done it meanwhile, and the row be another one's.
  const dead = findDead(agent, isDead);
  try {
    for (const { row } of dead) undo(agent, row);
    if (agent.isBusy || isOurs) return "later";
    for (const { row } of dead) markRow(agent, row);
    let finished = true;
    for (const { row, name } of dead) {
      finished = mourn(agent, row, name) && finished;
    }
    agent.ringAll();
    if (!finished) return "later";
    for (const { row } of dead) {
      words.store(
        row + AgentWord.State,
        words.load(row + AgentWord.State) & ~3 | AgentPhase.Free,
      );
      words.store(row + AgentWord.Pid, 0);
    }
    return "done";
  } finally {
    if (!isOurs) words.store(ArenaWord.Reaper, 0);
  }
}

interface DeadRow {
  readonly row: number;
  readonly name: number;
}

function findDead(
  agent: Agent,
  isDead: (pid: number, parentPid: number) => boolean,
): DeadRow[] {
  const { words } = agent;
  const dead: DeadRow[] = [];
  const looked = new Map<number, boolean>();
  const rows = words.load(ArenaWord.AgentRows);
  for (let i = 0; i < rows; i++) {
    const row = rowAt(i);
    const pid = words.load(row + AgentWord.Pid);
    if (pid === 0) continue;
    const state = words.load(row + AgentWord.State);
    if ((state & 3) !== AgentPhase.Dead) {
      let ended = looked.get(pid);
      if (ended === undefined) {
        ended = isDead(pid, words.load(row + AgentWord.ParentPid));
        looked.set(pid, ended);
      }
      if (!ended) continue;
    }
    dead.push({ row, name: agentName(i, state >>> 2) });
  }
  return dead;
}

function markRow({ words }: Agent, row: number): void {
  const state = words.load(row + AgentWord.State);
  words.store(row + AgentWord.State, state & ~3 | AgentPhase.Dead);
}

/**
 * Marks the agents of a process, or of one of its threads and those that this
 * has started, as dead.
 */
export function markDead(
  agent: Agent,
  whom: { pid: number; path?: string },
): void {
  for (const row of rowsOf(agent.words, whom)) markRow(agent, row);
}

/** A process, and those below it that have a seat. */
export function familyOf(agent: Agent, pid: number): Set<number> {
  const family = new Set([pid]);
  for (const member of family) {
    for (const child of childrenOf(agent, member)) family.add(child);
  }
  return family;
}

/**
 * The processes that a process, or one of its threads, has started and that have
 * a seat.
 */
export function childrenOf(agent: Agent, pid: number, path = ""): number[] {
  const { words } = agent;
  const found = new Set<number>();
  const rows = words.load(ArenaWord.AgentRows);
  for (let i = 0; i < rows; i++) {
    const row = rowAt(i);
    const child = words.load(row + AgentWord.Pid);
    if (child === 0 || words.load(row + AgentWord.ParentPid) !== pid) continue;
    if (path === "" || pathOf({ words, row }).startsWith(`${path}.`)) {
      found.add(child);
    }
  }
  found.delete(pid);
  return [...found];
}

/** Step 1. */
function undo(agent: Agent, row: number): void {
  const { words, int32 } = agent;
  const index = (row - rowAt(0)) / (rowAt(1) - rowAt(0));
  const name = agentName(index, words.load(row + AgentWord.State) >>> 2);
  const log = logAt(index);
  for (let count = words.load(row + AgentWord.Logged); count > 0; count--) {
    words.store(int32[log + 2 * (count - 1)]!, int32[log + 2 * count - 1]!);
  }
  words.store(row + AgentWord.Logged, 0);
  for (let i = AgentWord.HeldMax - 1; i >= 0; i--) {
    const guard = int32[row + AgentWord.Held + i]!;
    if (guard !== 0 && (words.load(guard) & AGENT_MASK) === name) {
      words.exchange(guard, 0);
      words.notify(guard, 0x7fffffff);
    }
    int32[row + AgentWord.Held + i] = 0;
  }
}

/** Steps 3 and 4; false when a class of objects is not known here (yet). */
function mourn(agent: Agent, row: number, name: number): boolean {
  const { int32 } = agent;
  let all = true;
  const isSame = (at: number, generation: number) =>
    int32[at + ObjectWord.Generation] === generation &&
    int32[at + ObjectWord.Flags] === 0;
  const mournerOf = (at: number) => {
    const mourner = mourners.get(int32[at + ObjectWord.Type]!);
    if (mourner === undefined && int32[at + ObjectWord.Type] !== 0) all = false;
    return mourner;
  };
  for (
    let block = int32[row + AgentWord.Nodes]!;
    block !== 0;
    block = int32[block]!
  ) {
    for (let i = 0; i < NODES_PER_BLOCK; i++) {
      const node = block + ListWord.Words + i * NodeWord.Words;
      const state = int32[node + NodeWord.State];
      if (state !== NodeState.Waiting && state !== NodeState.Granted) continue;
      const at = int32[node + NodeWord.Object]!;
      const mourner = mournerOf(at);
      const isGone = !isSame(at, int32[node + NodeWord.Generation]!);
      if (mourner === undefined && !isGone) continue;
      agent.transact(at + ObjectWord.Guard, () => {
        // It may have been served between the look and the entry.
        const state = int32[node + NodeWord.State];
        if (state !== NodeState.Waiting && state !== NodeState.Granted) return;
        if (state === NodeState.Waiting) agent.unlink(node);
        // First: a mourner may take more than one step.
        agent.set(node + NodeWord.State, NodeState.Free);
        if (isSame(at, int32[node + NodeWord.Generation]!)) {
          mourner!.takeBack(agent, at, node, state === NodeState.Granted);
        } else if (int32[node + NodeWord.Amount] === IS_RECORD) {
          freeRecord(agent, NO_RECORDS, int32[node + NodeWord.Value]!);
        }
      });
    }
  }
  const kind = int32[row + AgentWord.HandKind]!;
  if (kind !== 0) {
    const at = int32[row + AgentWord.HandObject]!;
    const record = int32[row + AgentWord.HandRecord]!;
    const generation = int32[row + AgentWord.HandGeneration]!;
    const mourner = mournerOf(at);
    if (mourner !== undefined || !isSame(at, generation)) {
      agent.transact(at + ObjectWord.Guard, () => {
        agent.set(row + AgentWord.HandKind, 0);
        if (isSame(at, generation)) {
          mourner!.takeFromHands?.(agent, at, kind, record);
        } else freeRecord(agent, NO_RECORDS, record);
      });
    }
  }
  for (const at of agent.objects()) {
    const mourner = mournerOf(at);
    if (mourner === undefined) continue;
    agent.transact(at + ObjectWord.Guard, () => {
      if (int32[at + ObjectWord.Type] === 0) return;
      if (int32[at + ObjectWord.Flags] === ObjectFlag.Orphaned) return;
      if (int32[at + ObjectWord.Owner] === name) {
        mourner.end(agent, at);
        agent.orphanObject(at);
      } else mourner.freeHeld(agent, at, name);
    });
  }
  if (!all) return false;
  agent.transact(ArenaWord.Guard, () => {
    let block = int32[row + AgentWord.Nodes]!;
    while (block !== 0) {
      const next = int32[block]!;
      agent.set(row + AgentWord.Nodes, next);
      agent.free(block);
      agent.checkpoint();
      block = next;
    }
  });
  return true;
}
