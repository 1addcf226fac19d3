// Copyright 2026 the multitask authors. MIT license.
// How conditions, events and barriers behave, over every home and way.

import {
  assert,
  assertEquals,
  assertFalse,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  Barrier,
  BrokenBarrierError,
  ClosedError,
  Condition,
  Event,
  InvalidStateError,
  Lock,
  Queue,
  wait,
} from "../../ipc/mod.ts";
import type { KeptGuard } from "./fixtures/matrix_side.ts";
import {
  abortable,
  BAD_WAITS,
  blocking,
  elsewhere,
  onlyAsync,
  REASON,
  suite,
} from "./_matrix.ts";
import { lined, waitersOf } from "./_waiters.ts";
import { assertPending, bounded, reasonOf, turn } from "./_waits.ts";

// ---- Condition ----

suite("Condition", (add) => {
  add(
    "Condition.notify() wakes who waits on the other side, both ways",
    blocking,
    async (world) => {
      using condition = new Condition(undefined, { home: world.home });
      await world.record(condition);
      const theirs = await world.does<KeptGuard>(condition, "acquire");
      const waiting = await world.waits(condition, "wait");
      // It has given the lock up.
      {
        using _guard = await bounded(condition.acquire());
        assertEquals(waitersOf(condition), 1);
        condition.notify();
        await assertPending(waiting.result);
      }
      assertEquals(await bounded(waiting.result), true);
      assertEquals(await condition.tryAcquire(), null);
      await world.other.call(theirs, "release");

      using _guard = await bounded(condition.acquire());
      const ours = condition.wait();
      await world.other.script("notify", condition, 1);
      assertEquals(await bounded(ours), true);
    },
  );

  add("Condition.wait() and notify() need the lock", async (world) => {
    const { home, other } = world;
    using condition = new Condition(new Lock({ home }), { home });
    await world.record(condition);
    const refused = async () => {
      await assertRejects(
        () => world.does(condition, "wait"),
        InvalidStateError,
      );
      for (const method of ["notify", "notifyAll"]) {
        await assertRejects(
          () => other.call(condition, method),
          InvalidStateError,
        );
      }
    };
    await refused();
    assertThrows(() => condition.notify(), InvalidStateError);
    await assertRejects(() => condition.wait(), InvalidStateError);
    // That somebody else has it does not help.
    if (!world.isHere) {
      using _guard = await condition.acquire();
      await refused();
    }
    const theirs = await world.does<KeptGuard>(condition, "acquire");
    await other.call(condition, "notify");
    await other.call(condition, "notifyAll");
    await other.call(theirs, "release");
    await refused();
    assertEquals(waitersOf(condition), 0);
  });

  add(
    "Condition.notify() wakes those who have waited longest",
    blocking,
    async (world) => {
      const { home, other, isSync } = world;
      using condition = new Condition(undefined, { home });
      using log = new Queue<string>(0, { home });
      const wait = (name: string) =>
        other.beginScript("waitNotified", condition, log, name, isSync);
      const running = [await wait("first")];
      await lined(condition, 1);
      const ours = (async () => {
        using _guard = await condition.acquire();
        await condition.wait();
        await log.put("second");
      })();
      await lined(condition, 2);
      if (!isSync) {
        running.push(await wait("third"));
        await lined(condition, 3);
        running.push(await wait("fourth"));
        await lined(condition, 4);
      }
      const notify = async (count?: number) => {
        using _guard = await bounded(condition.acquire());
        if (count === undefined) condition.notifyAll();
        else condition.notify(count);
      };
      await notify(1);
      assertEquals(await bounded(log.get()), "first");
      assertEquals(waitersOf(condition), isSync ? 1 : 3);
      await notify(1);
      assertEquals(await bounded(log.get()), "second");
      if (!isSync) {
        assertEquals(waitersOf(condition), 2);
        await notify();
        assertEquals(await bounded(log.get()), "third");
        assertEquals(await bounded(log.get()), "fourth");
      }
      for (const { result } of running) await bounded(result);
      await bounded(ours);
      assertEquals(log.size, 0);
      assertEquals(waitersOf(condition), 0);
      // Nobody waits: a notification is for nobody.
      await notify();
    },
  );

  add(
    "Condition.wait() has the lock after a time-out, and after an abort",
    async (world) => {
      const { home, other } = world;
      using lock = new Lock({ home });
      using condition = new Condition(lock, { home });
      if (world.isSync) {
        const found = await other.script("waitHoldingSync", condition, lock);
        assertEquals(found, [false, true, false]);
      } else {
        const late = await other.script("waitHolding", condition, lock, false);
        assertEquals(late, [false, true, false]);
        const aborted = await other.script(
          "waitHolding",
          condition,
          lock,
          true,
        );
        assertEquals(aborted, ["aborted", true, false]);
      }
      assertEquals(waitersOf(condition), 0);
      assertFalse(lock.locked);
    },
  );

  add(
    "Condition.wait() waits for the lock when its time is over",
    blocking,
    async (world) => {
      const { home, other } = world;
      using lock = new Lock({ home });
      using condition = new Condition(lock, { home });
      const theirs = await world.does<KeptGuard>(condition, "acquire");
      const waiting = await world.waits(condition, "wait", { timeout: 5 });
      const ours = await bounded(lock.acquire());
      // Now it is in line for the lock.
      await lined(lock, 1);
      await assertPending(waiting.result);
      ours.release();
      assertEquals(await bounded(waiting.result), false);
      assert(lock.locked);
      await other.call(theirs, "release");
      assertFalse(lock.locked);
    },
  );

  add(
    "Condition.wait() refuses bad options and keeps the lock",
    async (world) => {
      const { home, other } = world;
      using lock = new Lock({ home });
      using condition = new Condition(lock, { home });
      const theirs = await world.does<KeptGuard>(condition, "acquire");
      for (const [options, type] of BAD_WAITS) {
        await assertRejects(() => world.does(condition, "wait", options), type);
        assert(lock.locked);
      }
      for (const count of [0, -1, 1.5, NaN]) {
        await assertRejects(
          () => other.call(condition, "notify", count),
          RangeError,
        );
      }
      await assertRejects(
        () => other.call(condition, "notify", "1"),
        TypeError,
      );
      assertEquals(await world.does(condition, "wait", { timeout: 0 }), false);
      assert(lock.locked);
      if (!world.isSync) {
        const before = world.does(condition, "wait", { signal: "aborted" });
        assertEquals(await reasonOf(before), REASON);
        assert(lock.locked);
      }
      await other.call(theirs, "release");
      assertFalse(lock.locked);
    },
  );

  add(
    "Condition.waitFor() looks again after each notification",
    blocking,
    async (world) => {
      const { home, other, isSync } = world;
      using condition = new Condition(undefined, { home });
      using queue = new Queue<string>(0, { home });
      const waiting = await other.beginScript(
        "waitForItem",
        condition,
        queue,
        isSync,
      );
      for (let i = 0; i < 3; i++) {
        await lined(condition, 1);
        using _guard = await bounded(condition.acquire());
        condition.notifyAll();
      }
      await lined(condition, 1);
      {
        using _guard = await bounded(condition.acquire());
        await queue.put("item");
        condition.notify();
      }
      assertEquals(await bounded(waiting.result), [true, "item"]);
      // What holds already is not waited for.
      await queue.put("there");
      const found = await other.script("waitForItem", condition, queue, isSync);
      assertEquals(found, [true, "there"]);
    },
  );

  add(
    "Condition.waitFor() gives false when its time is over",
    async (world) => {
      const { home, other, isSync } = world;
      using condition = new Condition(undefined, { home });
      using queue = new Queue<string>(0, { home });
      for (const timeout of [0, 5]) {
        assertEquals(
          await other.script("waitForItem", condition, queue, isSync, timeout),
          [false, undefined],
        );
      }
      const guard = await condition.tryAcquire();
      assert(guard !== null);
      guard.release();
    },
  );

  add(
    "Condition.wait() gives all levels of the lock up",
    onlyAsync,
    async (world) => {
      const { other } = world;
      using condition = new Condition(undefined, { home: world.home });
      const outer = await other.call<KeptGuard>(condition, "acquire");
      const inner = await other.call<KeptGuard>(condition, "acquire", {
        within: outer,
      });
      const waiting = await other.begin(condition, "wait");
      {
        using _guard = await bounded(condition.acquire());
        condition.notify();
      }
      assertEquals(await bounded(waiting.result), true);
      await other.call(inner, "release");
      assertEquals(await condition.tryAcquire(), null);
      await other.call(outer, "release");
      const guard = await condition.tryAcquire();
      assert(guard !== null);
      guard.release();
    },
  );

  add(
    "Condition.close() by its owner ends whoever waits, who has the lock",
    blocking,
    async (world) => {
      const { home, other } = world;
      using lock = new Lock({ home });
      const condition = new Condition(lock, { home });
      const theirs = await world.does<KeptGuard>(condition, "acquire");
      const waiting = await world.waits(condition, "wait");
      await lined(condition, 1);
      condition.close();
      condition.close();
      await assertRejects(() => bounded(waiting.result), ClosedError);
      assert(lock.locked);
      await other.call(theirs, "release");
      assertFalse(lock.locked);
      assertThrows(() => condition.notify(), ClosedError);
      await assertRejects(() => condition.wait(), ClosedError);
    },
  );

  add("Condition() takes locks only", onlyAsync, (world) => {
    const { home } = world;
    for (const lock of [5, {}, null, new Event({ home })]) {
      assertThrows(
        () => new Condition(lock as unknown as Lock, { home }),
        TypeError,
      );
    }
    return Promise.resolve();
  });
});

// ---- Event ----

suite("Event", (add) => {
  add("Event.isSet is exact on both sides", async (world) => {
    const { other } = world;
    using event = new Event({ home: world.home });
    await world.record(event);
    const states = async () => [event.isSet, await other.get(event, "isSet")];
    assertEquals(await states(), [false, false]);
    event.set();
    event.set();
    assertEquals(await states(), [true, true]);
    await other.call(event, "clear");
    assertEquals(await states(), [false, false]);
    await other.call(event, "set");
    assertEquals(await states(), [true, true]);
    event.clear();
    event.clear();
    assertEquals(await states(), [false, false]);
  });

  add(
    "Event.wait() is woken by the other side, both ways",
    blocking,
    async (world) => {
      using event = new Event({ home: world.home });
      const theirs = await world.waits(event, "wait");
      await lined(event, 1);
      const ours = [event.wait(), event.wait({ timeout: 1e8 })];
      event.set();
      assertEquals(await bounded(theirs.result), true);
      assertEquals(await bounded(Promise.all(ours)), [true, true]);
      assertEquals(await world.does(event, "wait", { timeout: 0 }), true);
      event.clear();
      const again = event.wait();
      await world.other.call(event, "set");
      assertEquals(await bounded(again), true);
      assertEquals(await world.does(event, "wait"), true);
      assertEquals(waitersOf(event), 0);
    },
  );

  add(
    "Event.set() wakes who waits also when clear() follows",
    blocking,
    async (world) => {
      using event = new Event({ home: world.home });
      const theirs = await world.waits(event, "wait");
      await lined(event, 1);
      const ours = event.wait();
      event.set();
      event.clear();
      assertEquals(await bounded(theirs.result), true);
      assertEquals(await bounded(ours), true);
      assertEquals(await world.other.get(event, "isSet"), false);
      assertEquals(await world.does(event, "wait", { timeout: 0 }), false);
    },
  );

  add("Event.wait() gives false when its time is over", async (world) => {
    using event = new Event({ home: world.home });
    for (const timeout of [0, 1, 5]) {
      assertEquals(await world.does(event, "wait", { timeout }), false);
    }
    assertEquals(waitersOf(event), 0);
    for (const [options, type] of BAD_WAITS) {
      await assertRejects(() => world.does(event, "wait", options), type);
    }
    assertEquals(waitersOf(event), 0);
  });

  add(
    "Event.wait() leaves nothing behind when it is aborted",
    abortable,
    async (world) => {
      using event = new Event({ home: world.home });
      event.set();
      const before = world.does(event, "wait", { signal: "aborted" });
      assertEquals(await reasonOf(before), REASON);
      event.clear();
      const waiting = await world.waits(event, "wait", { signal: "abortable" });
      await lined(event, 1);
      await world.other.abort(waiting);
      assertEquals(await reasonOf(waiting.result), REASON);
      await lined(event, 0);
    },
  );

  add("Event can be waited for among others", onlyAsync, async (world) => {
    const { home, other } = world;
    using first = new Event({ home });
    using second = new Event({ home });
    const waiting = await other.beginScript("waitForEvents", [first, second]);
    await lined(first, 1);
    await lined(second, 1);
    second.set();
    assertEquals(await bounded(waiting.result), [1]);
    await lined(first, 0);
    const ours = wait([first]);
    await other.call(first, "set");
    assertEquals(await bounded(ours), [first]);
    assertEquals(
      await other.script("waitForEvents", [first, second]),
      [0, 1],
    );
  });

  add(
    "Event.close() by its owner ends whoever waits, and every later call",
    blocking,
    async (world) => {
      const event = new Event({ home: world.home });
      const theirs = await world.waits(event, "wait");
      await lined(event, 1);
      const ours = event.wait();
      event.close();
      event.close();
      await assertRejects(() => bounded(ours), ClosedError);
      await assertRejects(() => bounded(theirs.result), ClosedError);
      await assertRejects(() => world.does(event, "wait"), ClosedError);
      await assertRejects(() => world.other.get(event, "isSet"), ClosedError);
      await assertRejects(() => event.wait(), ClosedError);
      assertThrows(() => event.set(), ClosedError);
    },
  );

  add(
    "Event.close() by a user closes it there only",
    elsewhere,
    async (world) => {
      using event = new Event({ home: world.home });
      await world.other.call(event, "set");
      await world.other.call(event, "close");
      assert(event.isSet);
      assertEquals(await world.does(event, "wait"), true);
    },
  );
});

// ---- Barrier ----

suite("Barrier", (add) => {
  add(
    "Barrier.wait() gives everybody a place of his own",
    blocking,
    async (world) => {
      const { other } = world;
      using barrier = new Barrier(3, { home: world.home });
      await world.record(barrier);
      const counts = async () => [
        barrier.parties,
        barrier.waiting,
        await other.get(barrier, "parties"),
        await other.get(barrier, "waiting"),
      ];
      assertEquals(await counts(), [3, 0, 3, 0]);
      const first = barrier.wait();
      assertEquals(await counts(), [3, 1, 3, 1]);
      const second = barrier.wait();
      assertEquals(await counts(), [3, 2, 3, 2]);
      assertEquals(await world.does(barrier, "wait"), 2);
      assertEquals(await bounded(Promise.all([first, second])), [0, 1]);
      assertEquals(await counts(), [3, 0, 3, 0]);
      // Who comes first has the first place.
      const theirs = await world.waits(barrier, "wait");
      await lined(barrier, 1);
      assertEquals(barrier.waiting, 1);
      const ours = [barrier.wait(), barrier.wait()];
      assertEquals(await bounded(theirs.result), 0);
      assertEquals(await bounded(Promise.all(ours)), [1, 2]);
      assertEquals([barrier.waiting, barrier.broken], [0, false]);
    },
  );

  add("Barrier of one party lets it pass", async (world) => {
    const { other } = world;
    using barrier = new Barrier(1, { home: world.home });
    await world.record(barrier);
    for (let i = 0; i < 3; i++) {
      assertEquals(await world.does(barrier, "wait"), 0);
      assertEquals(await world.does(barrier, "wait", { timeout: 0 }), 0);
    }
    assertEquals(await other.get(barrier, "broken"), false);
  });

  add(
    "Barrier runs its action once, in its owner, before anybody goes on",
    blocking,
    async (world) => {
      const log: string[] = [];
      using barrier = new Barrier(2, {
        home: world.home,
        action: async () => {
          log.push("action");
          await turn();
          log.push("done");
        },
      });
      const goesOn = (place: Promise<unknown>) =>
        bounded(place).then((place) => {
          log.push("on");
          return place;
        });
      const first = goesOn(barrier.wait());
      const second = await world.waits(barrier, "wait");
      const places = await Promise.all([first, goesOn(second.result)]);
      assertEquals(places, [0, 1]);
      const third = await world.waits(barrier, "wait");
      await lined(barrier, 1);
      const fourth = goesOn(barrier.wait());
      const more = await Promise.all([goesOn(third.result), fourth]);
      assertEquals(more, [0, 1]);
      const once = ["action", "done", "on", "on"];
      assertEquals(log, [...once, ...once]);
      assertFalse(barrier.broken);
    },
  );

  add(
    "Barrier lets any number through, party by party",
    blocking,
    async (world) => {
      const gate = Promise.withResolvers<void>();
      let runs = 0;
      using barrier = new Barrier(2, {
        home: world.home,
        action: async () => {
          if (++runs === 1) await gate.promise;
        },
      });
      await world.record(barrier);
      const waits = [1, 2, 3, 4, 5].map(() => bounded(barrier.wait()));
      while (runs === 0) await turn();
      gate.resolve();
      assertEquals(await Promise.all(waits.slice(0, 4)), [0, 1, 0, 1]);
      await lined(barrier, 1);
      assertEquals(await world.does(barrier, "wait"), 1);
      assertEquals(await waits[4], 0);
      assertEquals(runs, 3);
    },
  );

  add("Barrier of one party runs its action", async (world) => {
    let count = 0;
    using barrier = new Barrier(1, {
      home: world.home,
      action: () => count++,
    });
    assertEquals(await world.does(barrier, "wait"), 0);
    assertEquals(await world.does(barrier, "wait"), 0);
    assertEquals(count, 2);
  });

  add("Barrier breaks when its action fails", blocking, async (world) => {
    using barrier = new Barrier(2, {
      home: world.home,
      action: () => {
        throw new RangeError("from the action");
      },
    });
    const ours = barrier.wait();
    const broken = assertRejects(() => ours, BrokenBarrierError);
    await assertRejects(
      () => world.does(barrier, "wait"),
      RangeError,
      "from the action",
    );
    await bounded(broken);
    assert(barrier.broken);
    assert(await world.other.get(barrier, "broken"));
    barrier.reset();
    const theirs = await world.waits(barrier, "wait");
    await lined(barrier, 1);
    await assertRejects(() => bounded(barrier.wait()), RangeError);
    await assertRejects(() => bounded(theirs.result), BrokenBarrierError);
  });

  add("Barrier breaks when somebody's time is over", async (world) => {
    using barrier = new Barrier(3, { home: world.home });
    const ours = barrier.wait();
    const broken = assertRejects(() => ours, BrokenBarrierError);
    await assertRejects(
      () => world.does(barrier, "wait", { timeout: 5 }),
      BrokenBarrierError,
    );
    await bounded(broken);
    assert(barrier.broken);
    assert(await world.other.get(barrier, "broken"));
    await assertRejects(() => barrier.wait(), BrokenBarrierError);
    await assertRejects(() => world.does(barrier, "wait"), BrokenBarrierError);
    assertEquals(barrier.waiting, 0);
    // A time of 0 is over at once.
    barrier.reset();
    await assertRejects(
      () => world.does(barrier, "wait", { timeout: 0 }),
      BrokenBarrierError,
    );
    assert(barrier.broken);
  });

  add("Barrier's own time holds for its owner", onlyAsync, async (world) => {
    using barrier = new Barrier(2, { home: world.home, timeout: 5 });
    const theirs = world.isHere
      ? undefined
      : await world.waits(barrier, "wait");
    if (theirs) await lined(barrier, 1);
    // In time, and it leaves no timer.
    const pair = [barrier.wait(), theirs?.result ?? barrier.wait()];
    await bounded(Promise.all(pair));
    await assertRejects(() => bounded(barrier.wait()), BrokenBarrierError);
    assert(barrier.broken);
  });

  add(
    "Barrier.abort() throws everybody out until reset()",
    blocking,
    async (world) => {
      const { other } = world;
      using barrier = new Barrier(3, { home: world.home });
      for (const isOurs of [true, false]) {
        const theirs = isOurs || !world.isSync
          ? await world.waits(barrier, "wait")
          : undefined;
        if (theirs) await lined(barrier, 1);
        const ours = barrier.wait();
        const broken = [
          assertRejects(() => ours, BrokenBarrierError),
          theirs && assertRejects(() => theirs.result, BrokenBarrierError),
        ];
        if (isOurs) barrier.abort();
        else await other.call(barrier, "abort");
        await bounded(Promise.all(broken));
        assertEquals([barrier.broken, barrier.waiting], [true, 0]);
        await assertRejects(
          () => world.does(barrier, "wait"),
          BrokenBarrierError,
        );
        if (isOurs) await other.call(barrier, "reset");
        else barrier.reset();
        assertEquals(await other.get(barrier, "broken"), false);
      }
      const waits = [barrier.wait(), barrier.wait()];
      assertEquals(await world.does(barrier, "wait"), 2);
      assertEquals(await bounded(Promise.all(waits)), [0, 1]);
    },
  );

  add(
    "Barrier.reset() throws waiters out, and it works again",
    blocking,
    async (world) => {
      using barrier = new Barrier(3, { home: world.home });
      const theirs = await world.waits(barrier, "wait");
      await lined(barrier, 1);
      const ours = barrier.wait();
      const broken = [
        assertRejects(() => ours, BrokenBarrierError),
        assertRejects(() => theirs.result, BrokenBarrierError),
      ];
      barrier.reset();
      assertEquals([barrier.broken, barrier.waiting], [false, 0]);
      const again = [barrier.wait(), barrier.wait()];
      await bounded(Promise.all(broken));
      assertEquals(await world.does(barrier, "wait"), 2);
      assertEquals(await bounded(Promise.all(again)), [0, 1]);
    },
  );

  add(
    "Barrier.wait() that is aborted leaves its place to another",
    abortable,
    async (world) => {
      using barrier = new Barrier(2, { home: world.home });
      const before = world.does(barrier, "wait", { signal: "aborted" });
      assertEquals(await reasonOf(before), REASON);
      const waiting = await world.waits(barrier, "wait", {
        signal: "abortable",
      });
      await lined(barrier, 1);
      await world.other.abort(waiting);
      assertEquals(await reasonOf(waiting.result), REASON);
      await lined(barrier, 0);
      assertEquals([barrier.waiting, barrier.broken], [0, false]);
      const ours = barrier.wait();
      assertEquals(await world.does(barrier, "wait"), 1);
      assertEquals(await bounded(ours), 0);
    },
  );

  add("Barrier keeps its generations apart", blocking, async (world) => {
    const { other, isSync } = world;
    const count = 60;
    let actions = 0;
    using barrier = new Barrier(3, {
      home: world.home,
      action: () => actions++,
    });
    const theirs = await other.beginScript<number[]>(
      "rounds",
      barrier,
      count,
      isSync,
    );
    const rounds = async () => {
      const places: number[] = [];
      for (let i = 0; i < count; i++) places.push(await barrier.wait());
      return places;
    };
    const [a, b, c] = await bounded(
      Promise.all([theirs.result, rounds(), rounds()]),
    );
    for (let i = 0; i < count; i++) {
      assertEquals([a[i]!, b[i]!, c[i]!].sort(), [0, 1, 2]);
    }
    assertEquals(actions, count);
  });

  add("Barrier.wait() refuses bad options", async (world) => {
    using barrier = new Barrier(2, { home: world.home });
    for (const [options, type] of BAD_WAITS) {
      await assertRejects(() => world.does(barrier, "wait", options), type);
    }
    assertEquals([barrier.waiting, barrier.broken], [0, false]);
    const { home } = world;
    for (const parties of [0, -1, 1.5, NaN]) {
      assertThrows(() => new Barrier(parties, { home }), RangeError);
    }
    assertThrows(() => new Barrier("2" as unknown as number), TypeError);
    assertThrows(() => new Barrier(2, { home, timeout: -1 }), RangeError);
    const action = 5 as unknown as () => void;
    assertThrows(() => new Barrier(2, { home, action }), TypeError);
  });

  add(
    "Barrier.close() by its owner ends whoever waits, and every later call",
    blocking,
    async (world) => {
      const barrier = new Barrier(3, { home: world.home });
      const theirs = await world.waits(barrier, "wait");
      await lined(barrier, 1);
      const ours = barrier.wait();
      barrier.close();
      barrier.close();
      await assertRejects(() => bounded(ours), ClosedError);
      await assertRejects(() => bounded(theirs.result), ClosedError);
      await assertRejects(() => world.does(barrier, "wait"), ClosedError);
      await assertRejects(
        () => world.other.get(barrier, "waiting"),
        ClosedError,
      );
      await assertRejects(() => barrier.wait(), ClosedError);
      assertThrows(() => barrier.waiting, ClosedError);
    },
  );
});
