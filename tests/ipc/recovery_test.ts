// Copyright 2026 the multitask authors. MIT license.
// Whoever dies, at whichever step of an operation: every object is sane, and
// whoever waits is served. See _deaths.ts.

import { assert, assertEquals } from "@std/assert";
import { BarrierCore, BarrierOp } from "../../ipc/_barrier_core.ts";
import { BlockCore, lookUp } from "../../ipc/_block_core.ts";
import { EventCore, EventOp } from "../../ipc/_event_core.ts";
import { LockCore, LockOp } from "../../ipc/_lock_core.ts";
import { PipeCore } from "../../ipc/_pipe_core.ts";
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
} from "./_deaths.ts";
import { seeded } from "./_random.ts";

/** Tries a scenario with every death there can be. */
function everyDeath<T>(name: string, scenario: Scenario<T>): void {
  const test = (when: string, body: (deaths: Deaths<T>) => void) =>
    Deno.test(`${name}: ${when}`, () =>
      seeded((random) => body(new Deaths(scenario, random))));
  test("death at every step, and of who clears up", (deaths) => {
    deaths.twice(deaths.once());
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

  release(call: Call): void {
    this.#released.add(call);
    const number = Math.floor(call.result / 2);
    const released = call.who.call(this.#of(call.who), LockOp.Release, {
      number,
    });
    released.result;
    this.#cast.world.settle();
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
      assert(this.of(next!.who).heldHere > 0, "it does not hold");
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
    assertEquals(lock.of(held.who).heldHere > 0, !isDone);
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
    const cores = [1, 2, 3].map(() => new LockCore({ agent: ann.agent }));
    for (const core of cores) core.destroy(new Error());
    for (const core of cores) {
      if (core === cores[0]) continue;
      world.owns(ann, new LockCore({ agent: ann.agent }));
    }
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
    this.#cast.world.settle();
  }

  /** Gives the permit of a guard back. */
  giveBack(call: Call): void {
    call.who.call(this.#of(call.who), SemaphoreOp.ReleaseHeld).result;
    this.#cast.world.settle();
  }

  /** So many permits are there, and can be had. */
  assertValue(value: number): void {
    const { cleo } = this.#cast;
    assertEquals(this.of(cleo).value, value, "permits");
    const all = Array.from({ length: value }, () => this.acquire(cleo));
    for (const call of all) assertEquals(call.result, 0, "abandoned twice");
    const late = this.acquire(cleo);
    assert(late.isPending, "a permit too many");
    this.release(cleo);
    assert(late.isDone, "a permit is lost");
    for (const call of all) this.giveBack(call);
    assertEquals(this.of(cleo).value, value, "permits afterwards");
  }

  /** Those who acquire get one after another, with so many at a time. */
  inOrder(calls: Call[], atOnce: number): number {
    this.#cast.world.settle();
    let abandoned = 0;
    calls.forEach((call, i) => {
      abandoned += call.result;
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
    ann.call(first, BarrierOp.Done).result;
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
