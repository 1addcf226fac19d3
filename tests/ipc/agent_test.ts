// Copyright 2026 the multitask authors. MIT license.
// How agents change an arena, wait in it and clear up in it: in one thread, by
// the mortals of _deaths.ts.

import { assert, assertEquals, assertThrows } from "@std/assert";
import { ArenaFullError } from "../../ipc/_agent.ts";
import {
  AgentWord,
  classOf,
  MAX_LOGGED,
  NodeState,
  NodeWord,
  ObjectWord,
  rowAt,
  rowOf,
  wordsOf,
} from "../../ipc/_arena.ts";
import { listOf } from "../../ipc/_core.ts";
import { EventCore, EventOp } from "../../ipc/_event_core.ts";
import { LockCore, LockOp } from "../../ipc/_lock_core.ts";
import { recover } from "../../ipc/_recovery.ts";
import {
  Blocked,
  type Cast,
  Deaths,
  type Mortal,
  shared,
  World,
} from "./_deaths.ts";
import { seeded } from "./_random.ts";

/** Words of an event's slot that it does not use. */
const SPARE = ObjectWord.Own + 8;

/** An object whose guard and spare words are used here. */
function objectOf(world: World, owner: Mortal): number {
  return world.owns(owner, new EventCore({ agent: owner.agent })).at;
}

function transact<T>({ agent }: Mortal, at: number, change: () => T): T {
  return agent.transact(at + ObjectWord.Guard, change);
}

function inWorld(body: (world: World, one: Mortal, other: Mortal) => void) {
  return () => {
    const world = new World();
    body(world, world.born(), world.born());
    world.settle();
    world.close();
  };
}

// ---- Transactions ----

Deno.test("Agent.transact() changes all words or none, however it ends", () =>
  seeded((random) => {
    const deaths = new Deaths({
      arrange: ({ world, owner }: Cast) => objectOf(world, owner),
      act: (at, { victim }) =>
        transact(victim, at, () => {
          for (const round of [1, 2]) {
            for (let word = SPARE; word < SPARE + 8; word++) {
              victim.agent.set(at + word, round * 100 + word);
            }
          }
        }),
      find: (at, { world }) => {
        const words = world.raw.slice(at + SPARE, at + SPARE + 8);
        const isDone = words[0] !== 0;
        words.forEach((word, i) =>
          assertEquals(word, isDone ? 200 + SPARE + i : 0)
        );
        return isDone;
      },
    }, random);
    deaths.twice(deaths.once());
  }));

Deno.test("Agent.allocate() and free() lose no block, whenever it dies", () =>
  seeded((random) => {
    const deaths = new Deaths({
      arrange: ({ world, owner, ann }: Cast) => {
        const at = objectOf(world, owner);
        const blocks = transact(
          ann,
          at,
          () => [20, 300, 20, 20].map((words) => ann.agent.allocate(words)),
        );
        transact(ann, at, () => ann.agent.free(blocks[0]!));
        return { at, blocks, live: world.liveBlocks() };
      },
      act: ({ at, blocks }, { victim }) => {
        const { agent } = victim;
        transact(victim, at, () => {
          agent.set(at + SPARE, agent.allocate(20)); // One that was free.
          agent.set(at + SPARE + 1, agent.allocate(5000));
          agent.free(blocks[1]!);
          agent.free(blocks[2]!);
          agent.set(at + SPARE + 2, agent.allocate(20));
        });
      },
      find: ({ at, blocks, live }, { world, ann }) => {
        const isDone = world.raw[at + SPARE] !== 0;
        assertEquals(world.liveBlocks(), isDone ? live + 1 : live);
        transact(ann, at, () => {
          for (let word = SPARE; isDone && word < SPARE + 3; word++) {
            ann.agent.free(world.raw[at + word]!);
          }
          const left = isDone ? [3] : [1, 2, 3];
          for (const index of left) ann.agent.free(blocks[index]!);
        });
        return isDone;
      },
    }, random);
    deaths.twice(deaths.once());
  }));

Deno.test(
  "Agent.transact() undoes everything when the change throws",
  inWorld((world, one, other) => {
    const at = objectOf(world, one);
    const live = world.liveBlocks();
    const waits = other.call(
      new EventCore({
        agent: other.agent,
        place: {
          home: "shared",
          at,
          generation: world.raw[at + ObjectWord.Generation]!,
        },
      }),
      EventOp.Wait,
    );
    const fault = new Error("the change");
    const thrown = assertThrows(() =>
      transact(one, at, () => {
        one.agent.set(at + SPARE, 1);
        one.agent.allocate(100);
        const first = world.raw[listOf(at, 0)]!;
        one.agent.serve(first, NodeState.Granted, 0);
        throw fault;
      })
    );
    assertEquals(thrown, fault);
    assertEquals(world.raw[at + SPARE], 0);
    // The block of the other's waiters has come.
    assertEquals(world.liveBlocks(), live + 1);
    world.settle();
    assert(waits.isPending);
    world.assertSane();
  }),
);

Deno.test(
  "Agent.set() refuses more changes than can be undone",
  inWorld((world, one) => {
    const at = objectOf(world, one);
    assertThrows(
      () =>
        transact(one, at, () => {
          for (let i = 0; i <= MAX_LOGGED; i++) {
            one.agent.set(at + SPARE, i + 1);
          }
        }),
      RangeError,
    );
    assertEquals(world.raw[at + SPARE], 0);
  }),
);

// ---- The heap ----

Deno.test("wordsOf() has room for what classOf() was asked for", () => {
  for (let words = 1; words < 70_000; words++) {
    const sizeClass = classOf(words);
    assert(wordsOf(sizeClass) >= words);
    if (sizeClass > 0) assert(wordsOf(sizeClass - 1) < words);
  }
});

Deno.test("Agent.allocate() gives blocks that do not overlap", () =>
  seeded((random) => {
    const world = new World();
    const one = world.born();
    const at = objectOf(world, one);
    const live = world.liveBlocks();
    const blocks = new Map<number, number>();
    for (let round = 0; round < 500; round++) {
      transact(one, at, () => {
        if (random.oneIn(2) && blocks.size > 0) {
          const block = random.pick([...blocks.keys()]);
          blocks.delete(block);
          one.agent.free(block);
        } else if (blocks.size < 40) {
          const words = 1 + random.below(600);
          const block = one.agent.allocate(words);
          assert(one.agent.capacityOf(block) >= words);
          blocks.set(block, words);
        }
      });
      const mine = [...blocks].sort(([a], [b]) => a - b);
      mine.forEach(([block, words], i) => {
        const next = mine[i + 1];
        assert(next === undefined || block + words < next[0]);
      });
      assertEquals(world.liveBlocks(), live + blocks.size);
    }
    transact(one, at, () => {
      for (const block of blocks.keys()) one.agent.free(block);
    });
    world.close();
  }));

Deno.test(
  "Agent.allocate() says so when the memory is used up",
  inWorld((world, one) => {
    const at = objectOf(world, one);
    const live = world.liveBlocks();
    assertThrows(
      () =>
        transact(one, at, () => {
          one.agent.allocate(100);
          one.agent.allocate(world.raw.length);
        }),
      ArenaFullError,
    );
    assertEquals(world.liveBlocks(), live);
    world.assertSane();
  }),
);

// ---- Waiting ----

Deno.test(
  "Agent.drain() tells waiters in the order in which they were served",
  inWorld((world, one, other) => {
    const of = shared(world, one, (place) => new EventCore(place));
    const order: number[] = [];
    for (let i = 0; i < 200; i++) {
      of(other).perform(
        {
          code: EventOp.Wait,
          caller: "",
          part: 0,
          number: 0,
          packet: undefined,
        },
        () => order.push(i),
      );
    }
    one.call(of(one), EventOp.Set).result;
    assertEquals(order, []);
    other.agent.drain();
    assertEquals(order, Array.from({ length: 200 }, (_, i) => i));
  }),
);

Deno.test(
  "Agent.block() ends at once when it is served, late or alone",
  inWorld((world, one, other) => {
    const of = shared(world, one, (place) => new LockCore(place));
    const held = one.call(of(one), LockOp.Acquire);
    const waits = other.call(of(other), LockOp.Acquire);
    assertEquals(other.agent.block(() => waits.isDone, 0), "late");
    one.call(of(one), LockOp.Release, { number: held.result >> 1 });
    assertEquals(other.agent.block(() => waits.isDone), "over");
    world.kill(one);
    recover(other.agent, world.isDead);
    assertEquals(other.agent.block(() => false), "alone");
  }),
);

Deno.test("an agent that dies while it joins leaves no seat taken", () => {
  for (let last = 1;; last++) {
    const world = new World();
    const one = world.born();
    const isCut = world.stillborn(last);
    recover(one.agent, world.isDead);
    // Who comes next may sit behind it.
    world.born();
    recover(one.agent, world.isDead);
    world.assertSane();
    world.born();
    const rows = world.living.map(({ agent }) => rowOf(agent.name));
    assertEquals(rows.sort(), [0, 1, 2]);
    world.close();
    if (!isCut) break;
  }
});

Deno.test("the memory of waiters does not grow with deaths", () => {
  const world = new World();
  const one = world.born();
  const waiter = world.born();
  const of = shared(world, one, (place) => new EventCore(place));
  const wait = () => waiter.call(of(waiter), EventOp.Wait);
  wait().withdraw();
  for (let round = 0; round < 200; round++) {
    const call = wait();
    const victim = world.born();
    const view = new EventCore({ agent: victim.agent, place: of(one).place });
    // Between the commit and the delivery.
    victim.life.between = () => {
      const row = rowAt(rowOf(victim.agent.name));
      const isOver = world.raw[row + AgentWord.Logged] === 0 &&
        world.raw[view.at + ObjectWord.Own] === 1;
      if (isOver) victim.life.last = 0;
    };
    victim.doUntil(Infinity, () => void victim.call(view, EventOp.Set));
    world.recover(one);
    world.settle();
    assert(call.isDone);
    one.call(of(one), EventOp.Clear).result;
  }
  assertEquals(world.nodeBlocks(), 1);
  world.close();
});

Deno.test("a waiter that looks up while a dead one's serving still has to be undone stays in line", () => {
  const world = new World();
  const [one, waiter, victim] = [world.born(), world.born(), world.born()];
  const of = shared(world, one, (place) => new EventCore(place));
  const call = waiter.call(of(waiter), EventOp.Wait);
  const node = world.raw[listOf(of(one).at, 0)]!;
  // It dies with the waiter served, but not for good.
  victim.life.between = () => {
    const state = world.raw[node + NodeWord.State];
    if (state === NodeState.Granted) victim.life.last = 0;
  };
  victim.doUntil(Infinity, () => void victim.call(of(victim), EventOp.Set));
  assertEquals(world.raw[node + NodeWord.State], NodeState.Granted);
  // Somebody else has died, so all look up before the victim is missed.
  one.agent.ringAll();
  world.settle();
  world.recover(one);
  world.settle();
  world.assertSane();
  assert(call.isPending);
  one.call(of(one), EventOp.Set).result;
  world.settle();
  assert(call.isDone);
  world.close();
});

// ---- Clearing up ----

Deno.test("recover() spares who has taken the seat of a dead one", () => {
  const world = new World();
  const [one, other, dead] = [world.born(), world.born(), world.born()];
  const at = objectOf(world, one);
  world.kill(dead);
  let next: Mortal | undefined;
  // Somebody else clears up between the look and the deed, and somebody new
  // sits down and is at work.
  const isDead = (pid: number): boolean => {
    if (pid === dead.pid && next === undefined) {
      recover(other.agent, world.isDead);
      next = world.born();
      assertEquals(rowOf(next.agent.name), rowOf(dead.agent.name));
      next.agent.enter(at + ObjectWord.Guard);
      next.agent.set(at + SPARE, 1);
      return true;
    }
    return world.isDead(pid);
  };
  try {
    recover(one.agent, isDead);
  } catch (error) {
    // It waits for the new one's guard: told below.
    if (!(error instanceof Blocked)) throw error;
  }
  assertEquals(world.raw[at + SPARE], 1, "a living one's changes were undone");
  next!.agent.commit();
  world.settle();
  world.close();
});
