// Copyright 2026 the multitask authors. MIT license.
// What the cores of all shared objects have in common: a slot in an arena, and
// waiting in its lists.
//
// A core is one thread's view of an object; it keeps nothing but what concerns
// this thread alone. The owner's also stands for those who reach it through the
// hub. Operations check, under the guard, that the slot is still this object's:
// a handle that has outlived it gets an error.

import type { Agent, Waiter } from "./_agent.ts";
import {
  LISTS,
  ListWord,
  NodeState,
  NodeWord,
  ObjectFlag,
  ObjectWord,
} from "./_arena.ts";
import { homes, type Place } from "./_homes.ts";
import { hub } from "./_hub.ts";
import {
  type Operation,
  type Reply,
  type SharedObject,
  Status,
  type Withdraw,
} from "./_shared_object.ts";
import { readObituary } from "./_obituaries.ts";
import { ClosedError } from "./errors.ts";

/** Why a wait was in vain. Types add their own from 16 on. */
export const FailCode = { Closed: 1, OwnerGone: 2 } as const;

/** The position of one of an object's lists. */
export function listOf(at: number, list: number): number {
  return at + ObjectWord.Lists + list * ListWord.Words;
}

/** Who waits first in a list, or 0. */
export function firstOf(agent: Agent, list: number): number {
  return agent.int32[list + ListWord.Head]!;
}

/** Ends every wait in a list, one by one. Within an entry. */
export function failAll(agent: Agent, list: number, code: number): void {
  for (let node = firstOf(agent, list); node !== 0;) {
    agent.serve(node, NodeState.Failed, code);
    agent.checkpoint();
    node = firstOf(agent, list);
  }
}

/** What is left to do outside of the guard. */
export type Afterwards = void | (() => void);

/** How to make a core: a new object in a home, or one that is there. */
export interface CorePlace {
  readonly agent: Agent;
  /** Where it is, unless it is to be made. */
  readonly place?: Place;
  /** The process that owns it, for errors; this one unless told. */
  readonly owner?: string;
}

/** See the file comment. */
export abstract class Core implements SharedObject {
  readonly agent: Agent;
  readonly at: number;
  readonly generation: number;
  readonly #owner: string | undefined;
  /** What it is called in errors. */
  protected abstract readonly what: string;

  constructor(
    type: number,
    { agent, place, owner }: CorePlace,
    setUp: (at: number) => void = () => {},
  ) {
    this.agent = agent;
    this.#owner = owner;
    this.at = place?.at ?? agent.createObject(type, setUp);
    this.generation = place?.generation ??
      agent.int32[this.at + ObjectWord.Generation]!;
  }

  /** The process that owns it. */
  protected get ownerPath(): string {
    return this.#owner ?? hub.path;
  }

  /** Where it lies. */
  get place(): Place {
    const { agent, at, generation } = this;
    return { home: homes.homeOf(agent), at, generation };
  }

  /** Whether the slot is still this object's. */
  protected get isThere(): boolean {
    const { int32 } = this.agent;
    return int32[this.at + ObjectWord.Generation] === this.generation &&
      int32[this.at + ObjectWord.Flags] === 0;
  }

  /** Takes the object's guard. Throws when the object is no longer there. */
  protected enter(): void {
    this.agent.enter(this.at + ObjectWord.Guard);
    if (this.isThere) return;
    const error = this.goneError();
    this.agent.commit();
    throw error;
  }

  /** Throws when the object is no longer there; for reads without a guard. */
  protected checkThere(): void {
    if (!this.isThere) throw this.goneError();
  }

  protected goneError(): Error {
    const flags = this.agent.int32[this.at + ObjectWord.Flags]!;
    const isOrphan =
      this.agent.int32[this.at + ObjectWord.Generation] === this.generation &&
      (flags & ObjectFlag.Orphaned) !== 0;
    return this.errorOf(isOrphan ? FailCode.OwnerGone : FailCode.Closed);
  }

  /** The error for a code that a waiter got. */
  protected errorOf(code: number): Error {
    if (code !== FailCode.OwnerGone) {
      return new ClosedError(`The ${this.what} was closed by its owner`);
    }
    const { agent, at } = this;
    const pid = agent.int32[at + ObjectWord.OwnerPid]!;
    return hub.ownerEnded(this.ownerPath, readObituary(agent, pid));
  }

  /** Runs a change as one transaction. */
  protected transact<T>(change: () => T): T {
    this.enter();
    try {
      const result = change();
      this.agent.commit();
      return result;
    } catch (error) {
      this.agent.rollBack();
      throw error;
    }
  }

  /**
   * Runs a change that may line up in a list. It answers at once and gives
   * `undefined`, or calls `line` and gives the result of that.
   */
  protected lineUp(change: () => number | undefined): number | undefined {
    this.agent.reserveNode();
    return this.transact(change);
  }

  /** Lines up at the end of a list. Within an entry, in `lineUp`. */
  protected line(
    list: number,
    waiter: Waiter,
    value = 0,
    amount = 0,
  ): number {
    return this.agent.wait(
      this.at,
      listOf(this.at, list),
      waiter,
      value,
      amount,
    );
  }

  /** A waiter that answers an operation. */
  protected replying(
    reply: Reply,
    granted: (value: number) => void,
  ): Waiter {
    return {
      granted,
      failed: (code) => reply(Status.Failed, 0, hub.pack(this.errorOf(code))),
    };
  }

  /**
   * How to give a wait up: `undo` gives back what it was granted meanwhile,
   * `left` what it brought with it, `lost` sees to what it was granted by an
   * object that is gone. They run within the entry, and before the node is
   * free; what they return runs after it.
   */
  protected withdrawal(
    node: number,
    undo: (value: number) => Afterwards = () => {},
    left: (value: number) => Afterwards = () => {},
    lost: (value: number) => Afterwards = () => {},
  ): Withdraw {
    return () => {
      const { agent, at } = this;
      const after = agent.transact(at + ObjectWord.Guard, () => {
        const value = agent.int32[node + NodeWord.Value]!;
        const late = agent.giveUp(node);
        if (!this.isThere) return late && lost(late.granted);
        return late === undefined ? left(value) : undo(late.granted);
      });
      after?.();
    };
  }

  /** Whom a list has first, or 0. */
  protected first(list: number): number {
    return firstOf(this.agent, listOf(this.at, list));
  }

  /** How many wait in a list. */
  protected countOf(list: number): number {
    return this.agent.words.load(listOf(this.at, list) + ListWord.Count);
  }

  abstract perform(operation: Operation, reply: Reply): Withdraw | undefined;

  /** A process that reached the object through this one has ended. */
  holderGone(_isGone: (path: string) => boolean): void {
    // Most objects are held by nobody; the hub withdraws waiters.
  }

  /** Frees the memory the object has beside its slot. Within an entry. */
  protected dispose(): void {}

  /** Ends every wait on it and gives its slot back. For its owner. */
  destroy(_error: Error): void {
    const { agent, at } = this;
    agent.transact(at + ObjectWord.Guard, () => {
      if (!this.isThere) return;
      for (let list = 0; list < LISTS; list++) {
        failAll(agent, listOf(at, list), FailCode.Closed);
      }
      this.dispose();
      agent.freeObject(at);
    });
  }
}
