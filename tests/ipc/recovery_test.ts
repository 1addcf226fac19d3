// Copyright 2026 the multitask authors. MIT license.
// Whoever dies, at whichever step of an operation: every object is sane, and
// whoever waits is served. See _deaths.ts.

import { assert, assertEquals } from "@std/assert";
import { AGENT_MASK, ArenaWord, ObjectWord } from "../../ipc/_arena.ts";
import { BarrierCore, BarrierOp } from "../../ipc/_barrier_core.ts";
import { BlockCore, lookUp } from "../../ipc/_block_core.ts";
import { EventCore, EventOp } from "../../ipc/_event_core.ts";
import { LockCore, LockOp } from "../../ipc/_lock_core.ts";
import { PipeCore } from "../../ipc/_pipe_core.ts";
import type { Packet } from "../../ipc/_packet.ts";
import { priorityKey } from "../../ipc/_priority_key.ts";
import { QueueCore, QueueKind, QueueOp } from "../../ipc/_queue_core.ts";
import { SemaphoreCore, SemaphoreOp } from "../../ipc/_semaphore_core.ts";
import { SignalCore, SignalOp } from "../../ipc/_signal_core.ts";
import {
  type Call,
  type Cast,
  Deaths,
  type Mortal,
  type Scenario,
  shared,
  World,
} from "./_deaths.ts";
import { seeded } from "./_random.ts";

/** Tries a scenario with every death there can be. */
function everyDeath<T>(name: string, scenario: Scenario<T>): void {
  const test = (when: string, body: (deaths: Deaths<T>) => void) =>
    Deno.test(`${name}: ${when}`, () =>
      seeded((random) => body(new Deaths(scenario, random))));
  test("death at every step, and of who clears up", (deaths) => {
    const found = deaths.once();
    deaths.rung(found);
    deaths.twice(found);
  });
  if (scenario.meanwhile !== undefined) {
    test("others are at work in the midst of it", (deaths) => {
      deaths.amid();
      deaths.busy();
    });
  }
  test("death of the owner at every step", (deaths) => deaths.owner());
}

// ---- Lock ----

class Locking {
  readonly #of: (who: Mortal) => LockCore;
  readonly #cast: Cast;
  readonly #released = new Set<Call>();
  late: Call | undefined;

  constructor(cast: Cast) {
    this.#cast = cast;
    this.#of = shared(
      cast.world,
      cast.owner,
      (place) => new LockCore(place),
    );
  }

  of(who: Mortal): LockCore {
    return this.#of(who);
  }

  acquire(who: Mortal): Call {
    return who.call(this.#of(who), LockOp.Acquire);
  }

  /** Whether the lock is this one's. */
  isHeldBy(who: Mortal): boolean {
    const state = this.#cast.world.raw[this.of(who).at + ObjectWord.LockState]!;
    return (state & AGENT_MASK) === who.agent.name;
  }

  release(call: Call): void {
    this.#released.add(call);
    const number = Math.floor(call.result / 2);
    const released = call.who.call(this.#of(call.who), LockOp.Release, {
      number,
    });
    released.result;
    if (call.who !== this.#cast.victim) this.#cast.world.settle();
  }

  /**
   * Those who acquire get it one after the other, and then it is free. Gives
   * which of them was told that the holder before had died.
   */
  inOrder(calls: Call[]): boolean[] {
    const { world, cleo } = this.#cast;
    world.settle();
    const abandoned: boolean[] = [];
    let left = calls.filter((call) => !this.#released.has(call));
    while (left.length > 0) {
      const [next, ...others] = left;
      abandoned.push(next!.result % 2 === 1);
      assert(this.isHeldBy(next!.who), "it does not hold");
      for (const other of others) assert(!other.isDone, "it is held twice");
      this.release(next!);
      left = others;
    }
    assertEquals(this.of(cleo).locked, false);
    const after = this.acquire(cleo);
    assertEquals(after.result % 2, 0, "abandoned twice");
    this.release(after);
    return abandoned;
  }
}

everyDeath("LockCore, a free one is acquired", {
  arrange: (cast) => new Locking(cast),
  act: (lock, { victim }) => void lock.acquire(victim),
  meanwhile: (lock, { ann }) => void (lock.late = lock.acquire(ann)),
  find: (lock, { ann }) => {
    const isLate = lock.late !== undefined;
    const [abandoned] = lock.inOrder([lock.late ?? lock.acquire(ann)]);
    return isLate ? undefined : abandoned;
  },
});

everyDeath("LockCore, a held one is acquired", {
  arrange: (cast) => {
    const lock = new Locking(cast);
    const calls = [lock.acquire(cast.ann), lock.acquire(cast.bob)];
    return { lock, calls };
  },
  act: ({ lock }, { victim }) => void lock.acquire(victim),
  meanwhile: ({ lock, calls }) => lock.release(calls[0]!),
  find: ({ lock, calls }, { cleo }) => {
    const flags = lock.inOrder([...calls, lock.acquire(cleo)]);
    assert(!flags.slice(0, 2).includes(true));
  },
});

everyDeath("LockCore, somebody learns that it was granted", {
  arrange: (cast) => {
    const lock = new Locking(cast);
    const ann = lock.acquire(cast.ann);
    lock.acquire(cast.victim);
    const bob = lock.acquire(cast.bob);
    lock.release(ann);
    return { lock, calls: [bob] };
  },
  act: (_, { victim }) => victim.agent.drain(),
  meanwhile: ({ lock, calls }, { cleo }) => void calls.push(lock.acquire(cleo)),
  find: ({ lock, calls }) => {
    const [first, ...others] = lock.inOrder(calls);
    assertEquals(first, true);
    assert(!others.includes(true));
  },
});

everyDeath("LockCore, somebody learns that it was granted and abandoned", {
  arrange: (cast) => {
    const lock = new Locking(cast);
    lock.acquire(cast.cleo);
    lock.acquire(cast.victim);
    cast.cleo.life.isOver = true;
    cast.world.recover(cast.ann);
    return lock;
  },
  act: (_, { victim }) => victim.agent.drain(),
  find: (lock, { bob }) => {
    assertEquals(lock.acquire(bob).result % 2, 1);
  },
});

everyDeath("LockCore, one is released for which nobody waits", {
  arrange: (cast) => {
    const lock = new Locking(cast);
    return { lock, held: lock.acquire(cast.victim) };
  },
  act: ({ lock, held }) => lock.release(held),
  meanwhile: ({ lock }, { ann }) => void (lock.late = lock.acquire(ann)),
  find: ({ lock }, { ann }) => {
    const isLate = lock.late !== undefined;
    const [abandoned] = lock.inOrder([lock.late ?? lock.acquire(ann)]);
    return isLate ? undefined : !abandoned;
  },
});

for (const withdraws of [false, true]) {
  everyDeath(
    `LockCore, one is released for which others wait${
      withdraws ? ", of whom one gives up" : ""
    }`,
    {
      arrange: (cast) => {
        const lock = new Locking(cast);
        const held = lock.acquire(cast.victim);
        return {
          lock,
          held,
          calls: [lock.acquire(cast.ann), lock.acquire(cast.bob)],
        };
      },
      act: ({ lock, held }) => lock.release(held),
      meanwhile: ({ lock, calls }, { cleo }) => {
        if (withdraws) calls.shift()!.withdraw();
        else calls.push(lock.acquire(cleo));
      },
      find: ({ lock, calls }) => {
        const asked = calls.length;
        const [first, ...others] = lock.inOrder(calls);
        assert(!others.includes(true));
        return asked === 2 ? !first : undefined;
      },
    },
  );
}

everyDeath("LockCore, the hold of another is released", {
  arrange: (cast) => {
    const lock = new Locking(cast);
    return {
      lock,
      held: lock.acquire(cast.ann),
      waits: lock.acquire(cast.bob),
    };
  },
  act: ({ lock }, { victim }) =>
    victim.call(lock.of(victim), LockOp.Release).result,
  find: ({ lock, held, waits }) => {
    const isDone = waits.isDone;
    assertEquals(lock.isHeldBy(held.who), !isDone);
    assert(!lock.inOrder(isDone ? [waits] : [held, waits]).includes(true));
    return isDone;
  },
});

everyDeath("LockCore, somebody gives up in line", {
  arrange: (cast) => {
    const lock = new Locking(cast);
    const ann = lock.acquire(cast.ann);
    const mine = lock.acquire(cast.victim);
    return { lock, mine, calls: [ann, lock.acquire(cast.bob)] };
  },
  act: ({ mine }) => mine.withdraw(),
  meanwhile: ({ lock, calls }, { cleo }) => void calls.push(lock.acquire(cleo)),
  find: ({ lock, calls }) => assert(!lock.inOrder(calls).includes(true)),
});

for (const isFollowed of [true, false]) {
  everyDeath(
    `LockCore, somebody gives up that was granted, ${
      isFollowed ? "others wait" : "nobody waits"
    }`,
    {
      arrange: (cast) => {
        const lock = new Locking(cast);
        const ann = lock.acquire(cast.ann);
        const mine = lock.acquire(cast.victim);
        const calls = isFollowed ? [lock.acquire(cast.bob)] : [];
        lock.release(ann);
        return { lock, mine, calls };
      },
      act: ({ mine }) => mine.withdraw(),
      meanwhile: ({ lock, calls }, { cleo }) => {
        calls.push(lock.acquire(cleo));
      },
      find: ({ lock, calls }, { bob }) => {
        if (calls.length === 0) calls.push(lock.acquire(bob));
        const isAlone = calls.length === 1;
        const [first, ...others] = lock.inOrder(calls);
        assert(!others.includes(true));
        return isAlone ? !first : undefined;
      },
    },
  );
}

everyDeath("LockCore, some are made where others were", {
  arrange: ({ world, ann, victim }) => {
    const cores = [1, 2, 3, 4].map(() => new LockCore({ agent: ann.agent }));
    for (const core of cores) core.destroy(new Error());
    world.owns(ann, new LockCore({ agent: ann.agent }));
    new LockCore({ agent: victim.agent }).destroy(new Error());
  },
  act: (_, { victim }) => {
    for (let i = 0; i < 3; i++) new LockCore({ agent: victim.agent });
  },
  find: (_, { world, ann }) => {
    for (let i = 0; i < 3; i++) {
      world.owns(ann, new LockCore({ agent: ann.agent }));
    }
  },
});

everyDeath("LockCore, some are made where those of a dead one were", {
  arrange: ({ world, ann, bob, cleo }) => {
    for (let i = 0; i < 4; i++) new LockCore({ agent: cleo.agent });
    world.owns(ann, new LockCore({ agent: ann.agent }));
    world.kill(cleo);
    world.recover(bob);
    // There are no others.
    world.raw[ArenaWord.MaxObjects] = world.raw[ArenaWord.Objects]!;
  },
  act: (_, { victim }) => {
    for (let i = 0; i < 2; i++) new LockCore({ agent: victim.agent });
  },
  find: (_, { world, ann, bob }) => {
    for (let i = 0; i < 4; i++) {
      const lock = new LockCore({ agent: ann.agent });
      world.owns(ann, lock);
      ann.call(lock, LockOp.Acquire).result;
      const view = new LockCore({ agent: bob.agent, place: lock.place });
      assert(bob.call(view, LockOp.Acquire).isPending);
    }
  },
});

everyDeath("LockCore, one is closed for which others wait", {
  arrange: (cast) => {
    const lock = new Locking({ ...cast, owner: cast.victim });
    lock.acquire(cast.ann);
    return { lock, waits: [lock.acquire(cast.bob), lock.acquire(cast.cleo)] };
  },
  act: ({ lock }, { victim }) => lock.of(victim).destroy(new Error("closed")),
  find: ({ lock, waits }, { ann }) => {
    for (const call of waits) assert(call.error !== undefined);
    assert(lock.acquire(ann).error !== undefined);
  },
});

// ---- Semaphores ----

interface Permits {
  readonly value: number;
  readonly tracked: boolean;
  readonly bounded: boolean;
}

class Semaphoring {
  readonly #of: (who: Mortal) => SemaphoreCore;
  readonly #cast: Cast;
  readonly settings: Permits;
  late: Call[] = [];

  constructor(cast: Cast, settings: Permits) {
    this.#cast = cast;
    this.settings = settings;
    this.#of = shared(
      cast.world,
      cast.owner,
      (place) => new SemaphoreCore(place, settings),
    );
  }

  of(who: Mortal): SemaphoreCore {
    return this.#of(who);
  }

  acquire(who: Mortal): Call {
    return who.call(this.#of(who), SemaphoreOp.Acquire);
  }

  release(who: Mortal, count = 1): void {
    who.call(this.#of(who), SemaphoreOp.Release, { number: count }).result;
    if (who !== this.#cast.victim) this.#cast.world.settle();
  }

  /** Gives the permit of a guard back. */
  giveBack(call: Call): void {
    call.who.call(this.#of(call.who), SemaphoreOp.ReleaseHeld, {
      number: Math.floor(call.result / 2),
    }).result;
    if (call.who !== this.#cast.victim) this.#cast.world.settle();
  }

  /** So many permits are there, and can be had. */
  assertValue(value: number): void {
    const { cleo } = this.#cast;
    assertEquals(this.of(cleo).value, value, "permits");
    const all = Array.from({ length: value }, () => this.acquire(cleo));
    for (const call of all) assertEquals(call.result % 2, 0, "abandoned twice");
    const late = this.acquire(cleo);
    assert(late.isPending, "a permit too many");
    const first = all.shift();
    if (first === undefined) this.release(cleo);
    else this.giveBack(first);
    assert(late.isDone, "a permit is lost");
    if (first !== undefined) all.push(late);
    for (const call of all) this.giveBack(call);
    assertEquals(this.of(cleo).value, value, "permits afterwards");
  }

  /** Those who acquire get one after another, with so many at a time. */
  inOrder(calls: Call[], atOnce: number): number {
    this.#cast.world.settle();
    let abandoned = 0;
    calls.forEach((call, i) => {
      abandoned += call.result % 2;
      const beyond = calls[i + atOnce];
      assert(!beyond?.isDone, "there are too many permits");
      this.giveBack(call);
    });
    return abandoned;
  }
}

const KINDS: Record<string, Omit<Permits, "value">> = {
  "SemaphoreCore": { bounded: false, tracked: false },
  "SemaphoreCore that is recovered": { bounded: false, tracked: true },
  "SemaphoreCore with a limit": { bounded: true, tracked: true },
};

for (const [name, kind] of Object.entries(KINDS)) {
  const { tracked, bounded } = kind;
  everyDeath(`${name}, a free permit is taken`, {
    arrange: (cast) => new Semaphoring(cast, { value: 2, ...kind }),
    act: (permits, { victim }) => void permits.acquire(victim),
    meanwhile: (permits, { ann }) =>
      void permits.late.push(permits.acquire(ann)),
    find: (permits, { ann }) => {
      if (permits.late.length > 0) {
        const left = permits.of(ann).value + 1;
        permits.inOrder(permits.late, 1);
        if (tracked) assertEquals(left, 2);
        if (tracked) permits.inOrder([permits.acquire(ann)], 1);
        permits.assertValue(left);
        return;
      }
      const left = permits.of(ann).value;
      if (!tracked) {
        permits.assertValue(left);
        return left === 1;
      }
      const calls = [permits.acquire(ann), permits.acquire(ann)];
      const abandoned = permits.inOrder(calls, 2);
      permits.assertValue(2);
      return abandoned === 1;
    },
  });

  everyDeath(`${name}, somebody lines up for a permit`, {
    arrange: (cast) => {
      const permits = new Semaphoring(cast, { value: 1, ...kind });
      const calls = [permits.acquire(cast.ann)];
      return { permits, calls, isReleased: false };
    },
    act: ({ permits }, { victim }) => void permits.acquire(victim),
    meanwhile: (state) => {
      state.permits.giveBack(state.calls.pop()!);
      state.isReleased = true;
    },
    find: ({ permits, calls, isReleased }, { ann, bob }) => {
      if (!isReleased) {
        calls.push(permits.acquire(bob));
        assertEquals(permits.inOrder(calls, 1), 0);
      }
      // Whoever died may have held the permit.
      const value = permits.of(ann).value;
      if (tracked || !isReleased) assertEquals(value, 1);
      if (tracked && value > 0) permits.giveBack(permits.acquire(ann));
      permits.assertValue(value);
    },
  });

  everyDeath(`${name}, somebody learns that a permit was granted`, {
    arrange: (cast) => {
      const permits = new Semaphoring(cast, { value: 1, ...kind });
      const ann = permits.acquire(cast.ann);
      permits.acquire(cast.victim);
      const bob = permits.acquire(cast.bob);
      permits.giveBack(ann);
      return { permits, bob };
    },
    act: (_, { victim }) => victim.agent.drain(),
    find: ({ permits, bob }) => {
      if (tracked) {
        assertEquals(permits.inOrder([bob], 1), 1);
        permits.assertValue(1);
        return;
      }
      const isTaken = bob.isPending;
      if (isTaken) bob.withdraw();
      else permits.inOrder([bob], 1);
      permits.assertValue(isTaken ? 0 : 1);
      return isTaken;
    },
  });

  for (const waiting of [0, 1, 3]) {
    everyDeath(`${name}, two permits are given while ${waiting} wait`, {
      arrange: (cast) => {
        const value = bounded ? 2 : 0;
        const permits = new Semaphoring(cast, { value, ...kind });
        const { victim } = cast;
        if (value > 0) {
          permits.acquire(victim);
          permits.acquire(victim);
        }
        const who = [cast.ann, cast.bob, cast.cleo].slice(0, waiting);
        return { permits, calls: who.map((who) => permits.acquire(who)) };
      },
      act: ({ permits }, { victim }) => permits.release(victim, 2),
      find: ({ permits, calls }, { ann }) => {
        if (!bounded) {
          const given = calls.filter((call) => call.isDone).length;
          assertEquals(
            calls.slice(0, given).every((call) => call.isDone),
            true,
          );
          const total = given + permits.of(ann).value;
          assert(total === 0 || total === 2, `${total} permits`);
          if (total === 0) permits.release(ann, 2);
          permits.inOrder(calls, 2);
          permits.assertValue(2);
          return total === 2;
        }
        while (calls.length < 2) calls.push(permits.acquire(ann));
        const abandoned = permits.inOrder(calls, 2);
        permits.assertValue(2);
        assert(abandoned === 0 || abandoned === 2, `${abandoned} abandoned`);
        return abandoned === 0;
      },
    });
  }

  everyDeath(`${name}, somebody gives up in line`, {
    arrange: (cast) => {
      const permits = new Semaphoring(cast, { value: 1, ...kind });
      const ann = permits.acquire(cast.ann);
      const mine = permits.acquire(cast.victim);
      const calls = [ann, permits.acquire(cast.bob)];
      return { permits, mine, calls };
    },
    act: ({ mine }) => mine.withdraw(),
    meanwhile: ({ permits, calls }, { cleo }) =>
      void calls.push(permits.acquire(cleo)),
    find: ({ permits, calls }) => {
      assertEquals(permits.inOrder(calls, 1), 0);
      permits.assertValue(1);
    },
  });

  everyDeath(`${name}, somebody gives up that was granted`, {
    arrange: (cast) => {
      const permits = new Semaphoring(cast, { value: 1, ...kind });
      const ann = permits.acquire(cast.ann);
      const mine = permits.acquire(cast.victim);
      const calls = [permits.acquire(cast.bob)];
      permits.giveBack(ann);
      return { permits, mine, calls };
    },
    act: ({ mine }) => mine.withdraw(),
    find: ({ permits, calls }) => {
      const abandoned = permits.inOrder(calls, 1);
      permits.assertValue(1);
      return tracked ? abandoned === 0 : undefined;
    },
  });

  everyDeath(`${name}, one is closed for which others wait`, {
    arrange: (cast) => {
      const permits = new Semaphoring({ ...cast, owner: cast.victim }, {
        value: 1,
        ...kind,
      });
      permits.acquire(cast.ann);
      const waits = [permits.acquire(cast.bob), permits.acquire(cast.cleo)];
      return { permits, waits };
    },
    act: ({ permits }, { victim }) => permits.of(victim).destroy(new Error()),
    find: ({ permits, waits }, { ann }) => {
      for (const call of waits) assert(call.error !== undefined);
      assert(permits.acquire(ann).error !== undefined);
    },
  });
}

// ---- Events, conditions ----

everyDeath("EventCore, it is set while others wait", {
  arrange: (cast) => {
    const of = shared(cast.world, cast.owner, (place) => new EventCore(place));
    const wait = (who: Mortal) => who.call(of(who), EventOp.Wait);
    const calls = [cast.ann, cast.bob, cast.cleo].map(wait);
    return { of, wait, calls, isCleared: false };
  },
  act: ({ of }, { victim }) => void victim.call(of(victim), EventOp.Set),
  meanwhile: (state, { ann }) => {
    state.isCleared = true;
    ann.call(state.of(ann), EventOp.Clear).result;
  },
  find: ({ of, wait, calls, isCleared }, { ann, world }) => {
    const { isSet } = of(ann);
    const told = calls.filter((call) => call.isDone).length;
    assert(told === 0 || told === calls.length, `${told} of 3 were woken`);
    if (!isCleared) assertEquals(told > 0, isSet);
    assertEquals(wait(ann).isDone, isSet);
    ann.call(of(ann), EventOp.Set).result;
    world.settle();
    for (const call of calls) assert(call.isDone);
    return isCleared ? undefined : isSet;
  },
});

everyDeath("EventCore, somebody waits or gives up", {
  arrange: (cast) => {
    const of = shared(cast.world, cast.owner, (place) => new EventCore(place));
    const wait = (who: Mortal) => who.call(of(who), EventOp.Wait);
    return { of, wait, calls: [wait(cast.ann)] };
  },
  act: ({ wait }, { victim }) => wait(victim).withdraw(),
  meanwhile: ({ of }, { bob }) => void bob.call(of(bob), EventOp.Set),
  find: ({ of, wait, calls }, { ann, cleo, world }) => {
    calls.push(wait(cleo));
    ann.call(of(ann), EventOp.Set).result;
    world.settle();
    for (const call of calls) assert(call.isDone);
  },
});

class Signalling {
  readonly of: (who: Mortal) => SignalCore;
  readonly calls: Call[];

  constructor(cast: Cast, who: Mortal[]) {
    this.of = shared(cast.world, cast.owner, (place) => new SignalCore(place));
    this.calls = who.map((who) => who.call(this.of(who), SignalOp.Wait));
  }

  notify(who: Mortal, number: number): void {
    who.call(this.of(who), SignalOp.Notify, { number }).result;
  }

  /** How many were notified: those who came first. */
  get notified(): number {
    const count = this.calls.filter((call) => call.isDone).length;
    assert(this.calls.slice(0, count).every((call) => call.isDone));
    return count;
  }
}

for (const number of [1, 2, 3]) {
  everyDeath(`SignalCore, ${number} of three are notified`, {
    arrange: (cast) => new Signalling(cast, [cast.ann, cast.bob, cast.cleo]),
    act: (signal, { victim }) => signal.notify(victim, number),
    find: (signal, { ann, world }) => {
      const { notified } = signal;
      assert(
        notified === 0 || notified === number,
        `${notified} of ${number} were notified`,
      );
      signal.notify(ann, 3);
      world.settle();
      assertEquals(signal.notified, 3);
      return notified > 0;
    },
  });
}

everyDeath("SignalCore, somebody waits or gives up", {
  arrange: (cast) => new Signalling(cast, [cast.ann]),
  act: (signal, { victim }) =>
    victim.call(signal.of(victim), SignalOp.Wait).withdraw(),
  meanwhile: (signal, { bob }) => signal.notify(bob, 1),
  find: (signal, { bob, cleo, world }) => {
    const late = cleo.call(signal.of(cleo), SignalOp.Wait);
    if (signal.notified === 0) signal.notify(bob, 1);
    world.settle();
    assertEquals(signal.notified, 1);
    assert(late.isPending);
    signal.notify(bob, 1);
    world.settle();
    assert(late.isDone);
  },
});

for (const gives of ["learns", "gives up"]) {
  everyDeath(`SignalCore, somebody ${gives} that was notified`, {
    arrange: (cast) => {
      const signal = new Signalling(cast, [cast.victim, cast.ann, cast.bob]);
      signal.notify(cast.cleo, 1);
      return signal;
    },
    act: ({ calls }, { victim }) => {
      if (gives === "learns") victim.agent.drain();
      else calls[0]!.withdraw();
    },
    find: (signal, { cleo, world }) => {
      // Whoever was notified in vain passes it on.
      const [, next, last] = signal.calls;
      const isPassed = next!.isDone;
      assert(last!.isPending);
      if (gives !== "learns") assert(isPassed, "nobody was notified instead");
      signal.notify(cleo, 2);
      world.settle();
      assert(next!.isDone && last!.isDone);
      return gives === "learns" ? !isPassed : undefined;
    },
  });
}

// ---- Barriers ----

class Meeting {
  readonly of: (who: Mortal) => BarrierCore;
  readonly #cast: Cast;

  constructor(cast: Cast, parties: number, action?: () => void) {
    this.#cast = cast;
    this.of = shared(
      cast.world,
      cast.owner,
      (place) => new BarrierCore(place, { parties, action }),
    );
  }

  wait(who: Mortal): Call {
    return who.call(this.of(who), BarrierOp.Wait);
  }

  /** It works after a reset. */
  assertUsable(): void {
    const { world, ann, bob, cleo } = this.#cast;
    ann.call(this.of(ann), BarrierOp.Reset).result;
    world.settle();
    const first = this.of(ann);
    assertEquals([first.waiting, first.broken], [0, false]);
    const calls = [ann, bob, cleo].slice(0, first.parties).map((who) =>
      this.wait(who)
    );
    const { who } = calls.at(-1)!;
    who.call(this.of(who), BarrierOp.Done).result;
    world.settle();
    for (const call of calls) call.result;
    assertEquals([first.waiting, first.broken], [0, false]);
  }
}

const isBroken = (call: Call) => call.error?.name === "BrokenBarrierError";

everyDeath("BarrierCore, the last one arrives", {
  arrange: (cast) => {
    const barrier = new Meeting(cast, 3);
    const calls = [barrier.wait(cast.ann), barrier.wait(cast.bob)];
    return { barrier, calls };
  },
  act: ({ barrier }, { victim }) => void barrier.wait(victim),
  find: ({ barrier, calls }, { ann, cleo, world }) => {
    const isOpen = calls[0]!.isDone;
    assertEquals(calls[1]!.isDone, isOpen, "not all were let go");
    assertEquals(barrier.of(ann).waiting, isOpen ? 0 : 2);
    if (!isOpen) {
      barrier.wait(cleo).result;
      world.settle();
    }
    assertEquals(calls.map((call) => call.result), [0, 1]);
    barrier.assertUsable();
    return isOpen;
  },
});

everyDeath("BarrierCore, the last one arrives and is to act", {
  arrange: (cast) => {
    const barrier = new Meeting(cast, 3, () => {});
    const calls = [barrier.wait(cast.ann), barrier.wait(cast.bob)];
    return { barrier, calls };
  },
  act: ({ barrier }, { victim }) => void barrier.wait(victim),
  find: ({ barrier, calls }) => {
    const broken = isBroken(calls[0]!);
    assertEquals(isBroken(calls[1]!), broken);
    assertEquals(barrier.of(calls[0]!.who).broken, broken);
    barrier.assertUsable();
    return broken;
  },
});

everyDeath("BarrierCore, it opens while the next ones have come", {
  arrange: (cast) => {
    const barrier = new Meeting(cast, 2, () => {});
    const calls = [barrier.wait(cast.ann)];
    barrier.wait(cast.victim).result;
    return { barrier, calls, next: barrier.wait(cast.bob) };
  },
  act: ({ barrier }, { victim }) =>
    void victim.call(barrier.of(victim), BarrierOp.Done),
  find: ({ barrier, calls, next }, { ann, cleo, world }) => {
    const [call] = calls;
    const isOpen = call!.isDone;
    if (!isOpen) {
      assert(isBroken(call!), "one was neither let go nor told");
      assert(isBroken(next));
    } else {
      assert(next.isPending);
      assertEquals(barrier.of(ann).waiting, 1);
      assert(barrier.wait(cleo).result < 0);
      cleo.call(barrier.of(cleo), BarrierOp.Done).result;
      world.settle();
      assertEquals(next.result, 0);
    }
    barrier.assertUsable();
    return isOpen;
  },
});

everyDeath("BarrierCore, it opens while all of the next ones have come", {
  arrange: (cast) => {
    const barrier = new Meeting(cast, 2, () => {});
    const calls = [barrier.wait(cast.ann)];
    barrier.wait(cast.victim).result;
    const next = [cast.bob, cast.cleo, cast.ann].map((who) =>
      barrier.wait(who)
    );
    return { barrier, calls, next };
  },
  act: ({ barrier }, { victim }) =>
    void victim.call(barrier.of(victim), BarrierOp.Done),
  find: ({ barrier, calls, next }, { cleo, bob, world }) => {
    const isOpen = calls[0]!.isDone;
    if (!isOpen) {
      for (const call of [...calls, ...next]) assert(isBroken(call));
    } else {
      const [first, second, third] = next as [Call, Call, Call];
      assertEquals(second.result, -2, "the last of the next ones is to act");
      assert(first.isPending && third.isPending);
      // Who comes now is of those after them.
      const fourth = barrier.wait(bob);
      cleo.call(barrier.of(cleo), BarrierOp.Done).result;
      world.settle();
      assertEquals([first.result, fourth.result], [0, -2]);
      assert(third.isPending);
      bob.call(barrier.of(bob), BarrierOp.Done).result;
      world.settle();
      assertEquals(third.result, 0);
      assertEquals(barrier.of(bob).waiting, 0);
    }
    barrier.assertUsable();
    return isOpen;
  },
});

everyDeath("BarrierCore, one leaves while the action runs", {
  arrange: (cast) => {
    const barrier = new Meeting(cast, 2, () => {});
    const current = barrier.wait(cast.ann);
    barrier.wait(cast.bob).result;
    return { barrier, current, next: barrier.wait(cast.victim) };
  },
  act: ({ next }) => next.withdraw(),
  find: ({ barrier, current }, { ann, bob, cleo, world }) => {
    if (!isBroken(current)) {
      bob.call(barrier.of(bob), BarrierOp.Done).result;
      world.settle();
      assertEquals(current.result, 0);
      assertEquals(barrier.of(ann).waiting, 0);
      barrier.wait(ann);
      assertEquals(barrier.wait(cleo).result, -2);
    }
    barrier.assertUsable();
  },
});

everyDeath("BarrierCore, one arrives that is not the last", {
  arrange: (cast) => {
    const barrier = new Meeting(cast, 3);
    return { barrier, calls: [barrier.wait(cast.ann)] };
  },
  act: ({ barrier }, { victim }) => void barrier.wait(victim),
  find: ({ barrier, calls }, { bob, cleo, world }) => {
    const broken = isBroken(calls[0]!);
    if (!broken) {
      calls.push(barrier.wait(bob), barrier.wait(cleo));
      world.settle();
      assertEquals(calls.map((call) => call.result), [0, 1, 2]);
    }
    barrier.assertUsable();
    return broken;
  },
});

for (const [what, code] of [["reset", "Reset"], ["broken", "Break"]] as const) {
  everyDeath(`BarrierCore, it is ${what} while others wait`, {
    arrange: (cast) => {
      const barrier = new Meeting(cast, 3);
      return {
        barrier,
        calls: [cast.ann, cast.bob].map((w) => barrier.wait(w)),
      };
    },
    act: ({ barrier }, { victim }) =>
      void victim.call(barrier.of(victim), BarrierOp[code]),
    find: ({ barrier, calls }, { ann, cleo, world }) => {
      const isDone = isBroken(calls[0]!);
      assertEquals(isBroken(calls[1]!), isDone, "not all were told");
      assertEquals(barrier.of(ann).broken, isDone && code === "Break");
      if (!isDone) {
        barrier.wait(cleo);
        world.settle();
        assertEquals(calls.map((call) => call.result), [0, 1]);
      }
      barrier.assertUsable();
      return isDone;
    },
  });
}

everyDeath("BarrierCore, somebody gives up", {
  arrange: (cast) => {
    const barrier = new Meeting(cast, 3);
    const mine = barrier.wait(cast.victim);
    return { barrier, mine, other: barrier.wait(cast.ann) };
  },
  act: ({ mine }) => mine.withdraw(),
  find: ({ barrier, other }, { bob, cleo, world }) => {
    const broken = isBroken(other);
    if (!broken) {
      const calls = [other, barrier.wait(bob), barrier.wait(cleo)];
      world.settle();
      assertEquals(calls.map((call) => call.result), [0, 1, 2]);
    }
    barrier.assertUsable();
    return !broken;
  },
});

// ---- Queues ----

/** What an item is beside its name. */
interface ItemKind {
  readonly kind: number;
  /** Bytes in all. */
  readonly size: number;
}

class Queueing {
  readonly #of: (who: Mortal) => QueueCore;
  readonly #cast: Cast;
  readonly #item: ItemKind;

  constructor(cast: Cast, item: ItemKind, maxsize = 0) {
    const { kind, size } = this.#item = item;
    this.#cast = cast;
    this.#of = shared(
      cast.world,
      cast.owner,
      (place) =>
        new QueueCore(place, {
          kind,
          limit: kind === QueueKind.Stream ? maxsize * (size + 1) : maxsize,
          joinable: true,
          ended: (action) => new Error(`shut down: ${action}`),
        }),
    );
  }

  of(who: Mortal): QueueCore {
    return this.#of(who);
  }

  /** An item's name is a letter, by which a heap sorts. */
  packet(name: string): Packet {
    const { kind, size } = this.#item;
    const bytes = new Uint8Array(size).fill(0x55);
    let start = 0;
    if (kind === QueueKind.Priority) {
      const key = priorityKey(name);
      new DataView(bytes.buffer).setUint32(0, key.length, true);
      bytes.set(key, 4);
      start = 4 + key.length;
    }
    bytes[start] = name.charCodeAt(0);
    return { bytes, refs: [] };
  }

  name({ bytes }: Packet): string {
    const { kind, size } = this.#item;
    assertEquals(bytes.length, size);
    const start = kind === QueueKind.Priority
      ? 4 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
      : 0;
    // Not every byte of many: there are many deaths.
    const step = size > 1000 ? 97 : 1;
    for (let i = start + 1; i < size; i += step) {
      assert(bytes[i] === 0x55, "torn");
    }
    return String.fromCharCode(bytes[start]!);
  }

  put(who: Mortal, name: string): Call {
    return who.call(this.#of(who), QueueOp.Put, { packet: this.packet(name) });
  }

  get(who: Mortal): Call {
    return who.call(this.#of(who), QueueOp.Get);
  }

  /** The fast way, where nobody has to wait. */
  tryPut(who: Mortal, name: string): void {
    const number = this.#of(who).tryPut(this.packet(name));
    assert(number !== undefined, "there is no room");
  }

  tryGet(who: Mortal): string | undefined {
    return this.#of(who).tryGet((packet) => this.name(packet))?.value;
  }

  got(call: Call): string {
    call.result;
    return this.name(call.packet!);
  }

  /** Takes all items; `size` is exact, and those who wait to put come in. */
  all(maxsize = Infinity): string {
    const { ann, world } = this.#cast;
    world.settle();
    let names = "";
    for (let left = this.of(ann).size;; left = this.of(ann).size) {
      assert(left <= maxsize, "the queue is too full");
      const name = this.tryGet(ann);
      if (name === undefined) {
        assertEquals(left, 0, "size");
        return names;
      }
      assert(left > 0, "size");
      names += name;
      world.settle();
    }
  }

  /** The items are as if it was not done, or as if it was. */
  find(before: string, after: string, maxsize?: number): boolean {
    const names = this.all(maxsize);
    assert(names === before || names === after, `The items are "${names}"`);
    this.assertUsable();
    return names === after;
  }

  /** It works, and nobody else waits. */
  assertUsable(): void {
    const { ann, bob, world } = this.#cast;
    assertEquals(this.all(), "");
    const waits = this.get(bob);
    assert(waits.isPending, "somebody else's item");
    assert(this.put(ann, "x").isDone);
    world.settle();
    assertEquals(this.got(waits), "x");
    this.tryPut(bob, "y");
    assertEquals(this.all(), "y");
  }
}

/** The order in which items that are put one after another leave. */
function sorted(kind: number, names: string): string {
  if (kind === QueueKind.Lifo) return [...names].reverse().join("");
  return kind === QueueKind.Priority ? [...names].sort().join("") : names;
}

const ORDERS = {
  "QueueCore": QueueKind.Fifo,
  "QueueCore of a LifoQueue": QueueKind.Lifo,
  "QueueCore of a PriorityQueue": QueueKind.Priority,
  "QueueCore of a stream": QueueKind.Stream,
} as const;

/** Small ones share memory, large ones are copied outside of the guard. */
const SIZES = { "small": 40, "large": 2000, "very large": 100_000 };

for (const [what, kind] of Object.entries(ORDERS)) {
  for (const [how, size] of Object.entries(SIZES)) {
    if (size === SIZES["very large"] && kind !== QueueKind.Fifo) continue;
    const item = { kind, size };
    const order = (names: string) => sorted(kind, names);
    const name = `${what}, ${how} items`;

    for (const way of ["put", "tryPut"] as const) {
      everyDeath(`${name}, ${way}()`, {
        arrange: (cast) => {
          const queue = new Queueing(cast, item);
          for (const name of "bd") queue.put(cast.ann, name);
          return queue;
        },
        act: (queue, { victim }) => void queue[way](victim, "c"),
        find: (queue) => queue.find(order("bd"), order("bdc")),
      });
    }

    for (const way of ["get", "tryGet"] as const) {
      everyDeath(`${name}, ${way}()`, {
        arrange: (cast) => {
          const queue = new Queueing(cast, item);
          for (const name of "bdc") queue.put(cast.ann, name);
          return queue;
        },
        act: (queue, { victim }) => void queue[way](victim),
        find: (queue) => queue.find(order("bdc"), order("bdc").slice(1)),
      });

      everyDeath(`${name}, ${way}() makes room for one that waits`, {
        arrange: (cast) => {
          const queue = new Queueing(cast, item, 2);
          for (const name of "bd") queue.put(cast.ann, name);
          const waits = [queue.put(cast.ann, "c"), queue.put(cast.bob, "a")];
          return { queue, waits };
        },
        act: ({ queue }, { victim }) => void queue[way](victim),
        meanwhile: ({ waits }) => waits[0]!.withdraw(),
        find: ({ queue, waits }) => {
          // If it was not too late.
          const isWithdrawn = !waits[0]!.isDone && waits[0]!.isWithdrawn;
          const gone = order("bd")[0]!;
          const stays = order("bd")[1]!;
          const late = isWithdrawn ? "a" : "ca";
          // What was in the dead one's hands comes back, also where it is full.
          const names = queue.all(3);
          const missing = [..."bdca"].filter((name) => !names.includes(name));
          const expected = isWithdrawn ? ["c", `${gone}c`] : ["", gone];
          assert(expected.includes(missing.join("")), `lost: ${missing}`);
          assert(names.includes(stays + late) || kind !== QueueKind.Fifo);
          assertEquals(new Set(names).size, names.length, "doubled");
          assertEquals(
            waits.map((call) => call.isDone),
            [!isWithdrawn, true],
            "acknowledged",
          );
          queue.assertUsable();
          return isWithdrawn ? undefined : missing.length > 0;
        },
      });
    }

    // Neither the order nor the size matters to the rest beyond that.
    const isKnown = kind !== QueueKind.Fifo || size === SIZES["very large"];
    if (size !== SIZES.small && isKnown) continue;

    everyDeath(`${name}, a put() waits for room`, {
      arrange: (cast) => {
        const queue = new Queueing(cast, item, 1);
        queue.put(cast.ann, "b");
        return { queue, waits: queue.put(cast.bob, "d") };
      },
      act: ({ queue }, { victim }) => void queue.put(victim, "c"),
      find: ({ queue, waits }) => {
        assertEquals(queue.all(1), "bd");
        assert(waits.isDone);
        queue.assertUsable();
      },
    });

    for (const takes of [false, true]) {
      everyDeath(`${name}, a put() that waits ${takes ? "comes in" : "ends"}`, {
        arrange: (cast) => {
          const queue = new Queueing(cast, item, 1);
          queue.put(cast.ann, "b");
          const mine = queue.put(cast.victim, "c");
          const other = queue.put(cast.bob, "d");
          if (takes) assertEquals(queue.tryGet(cast.ann), "b");
          return { queue, mine, other };
        },
        act: ({ mine }) => mine.withdraw(),
        find: ({ queue, other }) => {
          const names = queue.all(1);
          assert(other.isDone);
          queue.assertUsable();
          // What is in the queue already stays there, and counts as put.
          assertEquals(names, takes ? "cd" : "bd");
        },
      });
    }

    everyDeath(`${name}, a put() serves who waits to get`, {
      arrange: (cast) => {
        const queue = new Queueing(cast, item);
        return { queue, waits: [queue.get(cast.ann), queue.get(cast.bob)] };
      },
      act: ({ queue }, { victim }) => void queue.put(victim, "a"),
      meanwhile: ({ queue, waits }, { cleo }) => {
        waits.shift()!.withdraw();
        queue.put(cleo, "z");
      },
      find: ({ queue, waits }, { cleo, world }) => {
        if (waits.length === 1) {
          const [call] = waits;
          const first = queue.got(call!);
          const names = first + queue.all();
          assert(names === "z" || names === "az" || names === "za", names);
          queue.assertUsable();
          return;
        }
        const isDone = waits[0]!.isDone;
        assert(waits[1]!.isPending);
        for (const name of "bc") queue.put(cleo, name);
        world.settle();
        const names = waits.map((call) => queue.got(call)).join("");
        assertEquals(names + queue.all(), isDone ? "abc" : "bc");
        queue.assertUsable();
        return isDone;
      },
    });

    everyDeath(`${name}, a get() waits`, {
      arrange: (cast) => {
        const queue = new Queueing(cast, item);
        return { queue, calls: [queue.get(cast.ann)] };
      },
      act: ({ queue }, { victim }) => void queue.get(victim),
      meanwhile: ({ queue }, { bob }) => {
        for (const name of "ab") queue.put(bob, name);
      },
      find: ({ queue, calls }, { bob, cleo, world }) => {
        const [first] = calls;
        if (first!.isPending) {
          const second = queue.get(cleo);
          for (const name of "abc") queue.put(bob, name);
          world.settle();
          assertEquals(queue.got(first!) + queue.got(second), "ab");
          assertEquals(queue.all(), "c");
        } else {
          const names = queue.got(first!) + queue.all();
          assert(names === "a" || names === "ab", names);
        }
        queue.assertUsable();
      },
    });

    for (const gives of ["takes", "gives back"]) {
      everyDeath(`${name}, somebody ${gives} what was granted`, {
        arrange: (cast) => {
          const queue = new Queueing(cast, item);
          const mine = queue.get(cast.victim);
          for (const name of "acb") queue.put(cast.ann, name);
          return { queue, mine };
        },
        act: ({ mine }, { victim }) => {
          if (gives === "takes") victim.agent.drain();
          else mine.withdraw();
        },
        meanwhile: ({ queue }, { bob }) => void queue.put(bob, "d"),
        find: ({ queue }) => {
          const names = queue.all();
          const all = names.includes("d") ? "acbd" : "acb";
          const back = order(all);
          const gone = order(all.slice(1));
          queue.assertUsable();
          if (gives !== "takes") {
            assertEquals(names, back);
            return;
          }
          assert(names === gone || names === back, names);
          return all === "acb" ? names === gone : undefined;
        },
      });
    }

    everyDeath(`${name}, one is put back`, {
      arrange: (cast) => {
        const queue = new Queueing(cast, item);
        for (const name of "bac") queue.put(cast.ann, name);
        const { number } = queue.get(cast.victim);
        return { queue, number };
      },
      act: ({ queue, number }, { victim }) =>
        void victim.call(queue.of(victim), QueueOp.Unget, {
          number,
          packet: queue.packet(order("bac")[0]!),
        }),
      find: ({ queue }) => queue.find(order("bac").slice(1), order("bac")),
    });

    everyDeath(`${name}, one is withdrawn`, {
      arrange: (cast) => {
        const queue = new Queueing(cast, item, 3);
        queue.put(cast.ann, "b");
        const mine = queue.put(cast.victim, "a");
        queue.put(cast.ann, "c");
        const waits = queue.put(cast.bob, "d");
        const joins = cast.cleo.call(queue.of(cast.cleo), QueueOp.Join);
        return { queue, number: mine.result, waits, joins };
      },
      act: ({ queue, number }, { victim }) =>
        void victim.call(queue.of(victim), QueueOp.Withdraw, { number }),
      find: ({ queue, waits }) => {
        const names = queue.all(3);
        assert(waits.isDone);
        const isDone = !names.includes("a");
        assertEquals([...names].sort().join(""), isDone ? "bcd" : "abcd");
        queue.assertUsable();
        return isDone;
      },
    });

    everyDeath(`${name}, the last one is withdrawn that others wait for`, {
      arrange: (cast) => {
        const queue = new Queueing(cast, item);
        const { number } = queue.put(cast.victim, "a");
        const joins = [cast.ann, cast.bob].map((who) =>
          who.call(queue.of(who), QueueOp.Join)
        );
        return { queue, number, joins };
      },
      act: ({ queue, number }, { victim }) =>
        void victim.call(queue.of(victim), QueueOp.Withdraw, { number }),
      find: ({ queue, joins }, { ann, world }) => {
        const names = queue.all();
        assertEquals(joins[0]!.isDone, names === "");
        if (names !== "") queue.of(ann).taskDone();
        world.settle();
        for (const call of joins) assert(call.isDone);
        queue.assertUsable();
        return names === "";
      },
    });

    for (const immediate of [false, true]) {
      everyDeath(
        `${name}, ${immediate ? "immediate " : ""}shutDown() of a full one`,
        {
          arrange: (cast) => {
            const queue = new Queueing(cast, item, 2);
            for (const name of "ba") queue.put(cast.ann, name);
            const puts = [cast.ann, cast.bob].map((w) => queue.put(w, "c"));
            const joins = cast.cleo.call(queue.of(cast.cleo), QueueOp.Join);
            return { queue, puts, joins };
          },
          act: ({ queue }, { victim }) => queue.of(victim).shutDown(immediate),
          find: ({ queue, puts, joins }, { ann }) => {
            const { isShutDown } = queue.of(ann);
            if (!isShutDown) {
              assertEquals(queue.of(ann).size, 2);
              assertEquals(queue.all(2).length, 4);
              for (const call of puts) assert(call.isDone);
              assert(joins.isPending);
              queue.assertUsable();
              return false;
            }
            for (const call of puts) {
              assertEquals(call.error?.message, "shut down: put");
            }
            assertEquals(joins.isDone, immediate);
            assertEquals(queue.of(ann).size, immediate ? 0 : 2);
            assertEquals(queue.put(ann, "x").error?.message, "shut down: put");
            for (const name of immediate ? "" : order("ba")) {
              assertEquals(queue.tryGet(ann), name);
            }
            const last = queue.get(ann);
            assertEquals(last.error?.message, "shut down: get");
            return true;
          },
        },
      );
    }

    everyDeath(`${name}, one is closed for which others wait`, {
      arrange: (cast) => {
        const queue = new Queueing({ ...cast, owner: cast.victim }, item, 1);
        const { ann, bob, cleo } = cast;
        // Something that was granted, and not yet looked at.
        const granted = queue.get(cleo);
        for (const name of "ab") queue.put(ann, name);
        const waits = [
          queue.put(ann, "c"),
          queue.put(bob, "d"),
          bob.call(queue.of(bob), QueueOp.Join),
        ];
        return { queue, waits, granted };
      },
      act: ({ queue }, { victim }) => queue.of(victim).destroy(new Error()),
      find: ({ queue, waits, granted }, { ann }) => {
        for (const call of waits) assert(call.error !== undefined);
        assert(queue.put(ann, "x").error !== undefined);
        assertEquals(queue.got(granted), "a");
      },
    });
  }
}

everyDeath("QueueCore, shutDown() of an empty one", {
  arrange: (cast) => {
    const queue = new Queueing(cast, { kind: QueueKind.Fifo, size: 40 });
    const gets = [queue.get(cast.ann), queue.get(cast.bob)];
    const watches = [cast.ann, cast.cleo].map((who) =>
      who.call(queue.of(who), QueueOp.Ready)
    );
    return { queue, gets, watches };
  },
  act: ({ queue }, { victim }) => queue.of(victim).shutDown(false),
  find: ({ queue, gets, watches }, { ann }) => {
    const { isShutDown } = queue.of(ann);
    for (const call of watches) assertEquals(call.isDone, isShutDown);
    for (const call of gets) {
      if (isShutDown) assertEquals(call.error?.message, "shut down: get");
      else call.withdraw();
    }
    if (!isShutDown) queue.assertUsable();
    return isShutDown;
  },
});

everyDeath("QueueCore, a put() is seen by those who watch", {
  arrange: (cast) => {
    const queue = new Queueing(cast, { kind: QueueKind.Fifo, size: 40 });
    const watches = [cast.ann, cast.bob, cast.cleo].map((who) =>
      who.call(queue.of(who), QueueOp.Ready)
    );
    return { queue, watches };
  },
  act: ({ queue }, { victim }) => void queue.put(victim, "a"),
  find: ({ queue, watches }) => {
    const isThere = watches[0]!.isDone;
    for (const call of watches) assertEquals(call.isDone, isThere);
    assertEquals(queue.all(), isThere ? "a" : "");
    if (!isThere) { for (const call of watches) call.withdraw(); }
    queue.assertUsable();
    return isThere;
  },
});

for (const left of [1, 2]) {
  everyDeath(`QueueCore, taskDone() with ${left} to do`, {
    arrange: (cast) => {
      const queue = new Queueing(cast, { kind: QueueKind.Fifo, size: 40 });
      for (const name of "ab".slice(0, left)) {
        queue.put(cast.ann, name);
        queue.get(cast.ann);
      }
      const joins = [cast.ann, cast.bob, cast.cleo].map((who) =>
        who.call(queue.of(who), QueueOp.Join)
      );
      return { queue, joins };
    },
    act: ({ queue }, { victim }) => queue.of(victim).taskDone(),
    find: ({ queue, joins }, { ann, world }) => {
      let done = 0;
      while (joins[0]!.isPending) {
        for (const call of joins) assert(call.isPending);
        queue.of(ann).taskDone();
        done++;
        world.settle();
      }
      for (const call of joins) assert(call.isDone);
      queue.assertUsable();
      return done < left;
    },
  });
}

/** Enough to fill the first block of a heap, or a segment of records. */
const MANY = "abcdefghijklmnopqrstuvwxyzAB";

for (const [what, kind] of Object.entries(ORDERS)) {
  const item = { kind, size: 900 };
  everyDeath(`${what}, more memory is taken`, {
    arrange: (cast) => {
      const queue = new Queueing(cast, item);
      const { victim } = cast;
      // The 18th begins a new segment, the 29th a new heap.
      const count = kind === QueueKind.Priority ? 28 : 17;
      const names = [...MANY.slice(0, count)].reverse().join("");
      for (const name of names) queue.put(victim, name);
      return { queue, names };
    },
    act: ({ queue }, { victim }) => void queue.put(victim, "E"),
    find: ({ queue, names }) =>
      queue.find(sorted(kind, names), sorted(kind, names + "E")),
  });

  everyDeath(`${what}, memory is given back`, {
    arrange: (cast) => {
      const queue = new Queueing(cast, item);
      const { victim } = cast;
      for (const name of MANY) queue.put(victim, name);
      const order = sorted(kind, MANY);
      // One segment is left, with one record.
      const left = kind === QueueKind.Lifo ? order.length - 17 : 16;
      for (let i = 0; i < left; i++) queue.tryGet(victim);
      return { queue, order: order.slice(left) };
    },
    act: ({ queue }, { victim }) => void queue.tryGet(victim),
    find: ({ queue, order }) => queue.find(order, order.slice(1)),
  });
}

// ---- Pipes, blocks of memory ----

everyDeath("PipeCore, it is made and closed", {
  arrange: () => {},
  act: (_, { victim }) => {
    new PipeCore({ agent: victim.agent }).destroy(new Error());
    new PipeCore({ agent: victim.agent });
  },
  find: () => {},
});

everyDeath("PipeCore, one end is let go of", {
  arrange: (cast) => {
    const of = shared(cast.world, cast.victim, (place) => new PipeCore(place));
    const send = (who: Mortal, end: number) =>
      who.call(of(who).outgoing(end), QueueOp.Put, {
        packet: { bytes: new Uint8Array(9), refs: [] },
      });
    send(cast.ann, 0).result;
    send(cast.ann, 1).result;
    const { bob } = cast;
    for (let i = 0; i < 2; i++) bob.call(of(bob).incoming(1), QueueOp.Get);
    return { of, send };
  },
  act: ({ of }, { victim }) => of(victim).partDropped(0),
  find: ({ send }, { bob }) => {
    // Its owner is gone.
    assert(send(bob, 0).error !== undefined);
    for (const call of bob.calls) assert(!call.isPending);
  },
});

everyDeath("BlockCore, it gets a name and loses it", {
  arrange: (cast) => {
    const core = cast.world.owns(
      cast.ann,
      new BlockCore({ agent: cast.ann.agent }, 8),
    );
    core.setName("a name", 1);
    return core;
  },
  act: (_, { victim }) => {
    const core = new BlockCore({ agent: victim.agent }, 16);
    core.setName("another name", 2);
    core.removeName();
    core.setName("a third name", 3);
    const other = new BlockCore({ agent: victim.agent }, 16);
    other.setName("a fourth name", 4);
    core.destroy(new Error());
  },
  find: (core, { ann, bob }) => {
    assertEquals(lookUp(bob.agent, "a name")?.id, 1);
    for (const name of ["another name", "a third name", "a fourth name"]) {
      assertEquals(lookUp(bob.agent, name), undefined);
    }
    assert(core.removeName());
    const again = new BlockCore({ agent: ann.agent }, 8);
    assert(again.setName("a fourth name", 5));
    again.destroy(new Error());
  },
});

// ---- Objects that are gone, and others in their places ----

/** A world with an owner and two others. */
function inWorld(
  body: (world: World, owner: Mortal, ann: Mortal, bob: Mortal) => void,
): () => void {
  return () => {
    const world = new World();
    body(world, world.born(), world.born(), world.born());
    world.settle();
    world.close();
  };
}

function queueOf(world: World, owner: Mortal): (who: Mortal) => QueueCore {
  return shared(
    world,
    owner,
    (place) => new QueueCore(place, { ended: () => new Error("shut down") }),
  );
}

const packetOf = (size: number): Packet => ({
  bytes: new Uint8Array(size),
  refs: [],
});

for (const isLarge of [false, true]) {
  const packet = packetOf(isLarge ? 2000 : 10);
  const what = isLarge ? "large" : "small";

  Deno.test(
    `QueueCore, a ${what} item that was granted is freed when the queue is closed and its getter gives up`,
    inWorld((world, owner, ann) => {
      const of = queueOf(world, owner);
      const get = ann.call(of(ann), QueueOp.Get);
      owner.call(of(owner), QueueOp.Put, { packet }).result;
      of(owner).destroy(new Error());
      get.withdraw();
    }),
  );

  Deno.test(
    `QueueCore, a ${what} item that was granted is freed when the queue is closed and its getter dies`,
    inWorld((world, owner, ann) => {
      const of = queueOf(world, owner);
      ann.call(of(ann), QueueOp.Get);
      owner.call(of(owner), QueueOp.Put, { packet }).result;
      of(owner).destroy(new Error());
      world.kill(ann);
      world.recover(owner);
    }),
  );

  Deno.test(
    `QueueCore, a ${what} item that was granted is freed when the owner dies before its getter`,
    inWorld((world, owner, ann, bob) => {
      const of = queueOf(world, owner);
      ann.call(of(ann), QueueOp.Get);
      owner.call(of(owner), QueueOp.Put, { packet }).result;
      world.kill(owner);
      world.recover(bob);
      world.kill(ann);
      world.recover(bob);
    }),
  );

  Deno.test(
    `QueueCore, a ${what} item of a closed queue does not come into the next one in its place`,
    inWorld((world, owner, ann) => {
      const of = queueOf(world, owner);
      ann.call(of(ann), QueueOp.Get);
      owner.call(of(owner), QueueOp.Put, { packet }).result;
      of(owner).destroy(new Error());
      const next = queueOf(world, owner);
      assertEquals(next(owner).at, of(owner).at);
      world.kill(ann);
      world.recover(owner);
      assertEquals(next(owner).size, 0);
    }),
  );
}

Deno.test(
  "QueueCore, a large item that is read while its queue is closed does not come into the next one",
  inWorld((world, owner, ann) => {
    const of = queueOf(world, owner);
    owner.call(of(owner), QueueOp.Put, { packet: packetOf(2000) }).result;
    let next = of;
    ann.doUntil(Infinity, () => {
      of(ann).tryGet(() => {
        of(owner).destroy(new Error());
        next = queueOf(world, owner);
        assertEquals(next(owner).at, of(owner).at);
        world.kill(ann);
      });
    });
    world.recover(owner);
    assertEquals(next(owner).size, 0);
  }),
);

Deno.test(
  "SemaphoreCore, a permit of a closed one does not come to the next one in its place",
  inWorld((world, owner, ann) => {
    const settings = { value: 0, bounded: false, tracked: false };
    const make = () =>
      shared(world, owner, (place) => new SemaphoreCore(place, settings));
    const of = make();
    ann.call(of(ann), SemaphoreOp.Acquire);
    of(owner).release("", 1);
    of(owner).destroy(new Error());
    const next = make();
    assertEquals(next(owner).at, of(owner).at);
    world.kill(ann);
    world.recover(owner);
    assertEquals(next(owner).value, 0);
  }),
);

Deno.test(
  "SignalCore, a death does not notify those of the next one in its place",
  inWorld((world, owner, ann, bob) => {
    const make = () => shared(world, owner, (place) => new SignalCore(place));
    const of = make();
    ann.call(of(ann), SignalOp.Wait);
    owner.call(of(owner), SignalOp.Notify, { number: 1 }).result;
    of(owner).destroy(new Error());
    const next = make();
    const waits = bob.call(next(bob), SignalOp.Wait);
    world.kill(ann);
    world.recover(owner);
    world.settle();
    assert(waits.isPending);
  }),
);

// ---- What grows ----

for (const tracked of [false, true]) {
  Deno.test(
    `SemaphoreCore, hundreds of permits are given at once (${
      tracked ? "" : "not "
    }noted)`,
    inWorld((world, owner) => {
      const settings = { value: 700, bounded: tracked, tracked };
      const of = shared(
        world,
        owner,
        (place) => new SemaphoreCore(place, settings),
      );
      for (let i = 0; i < 600; i++) of(owner).tryAcquire("");
      of(owner).release("", 600);
      assertEquals(of(owner).value, 700);
    }),
  );
}

Deno.test(
  "SemaphoreCore, what is noted of the dead does not pile up",
  inWorld((world, owner) => {
    const of = shared(
      world,
      owner,
      (place) =>
        new SemaphoreCore(place, { value: 1, bounded: true, tracked: true }),
    );
    let live = 0;
    for (let round = 0; round < 20; round++) {
      const mortal = world.born();
      mortal.call(
        new SemaphoreCore({ agent: mortal.agent, place: of(owner).place }),
        SemaphoreOp.Acquire,
      ).result;
      world.kill(mortal);
      world.recover(owner);
      if (round === 0) live = world.liveBlocks();
    }
    assertEquals(world.liveBlocks(), live);
  }),
);

Deno.test(
  "recover() takes thousands of waiters out of their lines",
  inWorld((world, owner, ann) => {
    const of = shared(world, owner, (place) => new EventCore(place));
    for (let i = 0; i < 20_000; i++) {
      of(ann).perform(
        {
          code: EventOp.Wait,
          caller: "",
          part: 0,
          number: 0,
          packet: undefined,
        },
        () => {},
      );
    }
    world.kill(ann);
    world.recover(owner);
  }),
);
