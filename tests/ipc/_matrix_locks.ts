// Copyright 2026 the multitask authors. MIT license.
// How locks and semaphores behave, over every home and way.

import {
  assert,
  assertEquals,
  assertExists,
  assertFalse,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  BoundedSemaphore,
  ClosedError,
  InvalidStateError,
  Lock,
  type LockGuard,
  RLock,
  Semaphore,
} from "../../ipc/mod.ts";
import type { KeptGuard } from "./fixtures/matrix_side.ts";
import {
  abortable,
  BAD_WAITS,
  blocking,
  elsewhere,
  onlyAsync,
  onlySync,
  REASON,
  suite,
  type World,
} from "./_matrix.ts";
import { lined, waitersOf } from "./_waiters.ts";
import { assertPending, bounded, reasonOf } from "./_waits.ts";

/** What these primitives have in common: something is taken and given back. */
interface Lockable extends Disposable {
  acquire(options?: { signal?: AbortSignal }): Promise<LockGuard>;
  tryAcquire(): Promise<LockGuard | null>;
  release(): void;
  close(): void;
}

/** A primitive of which one holder is enough. */
interface Kind {
  readonly name: "Lock" | "RLock" | "Semaphore" | "BoundedSemaphore";
  make(world: World): Lockable;
  /** Whether it is taken, as its owner sees it. */
  isTaken(object: Lockable): boolean;
  /** The same, as the other side sees it. */
  isTakenThere(world: World, object: Lockable): Promise<boolean>;
}

const LOCKS: readonly Kind[] = [
  {
    name: "Lock",
    make: ({ home }) => new Lock({ home }),
    isTaken: (lock) => (lock as Lock).locked,
    isTakenThere: ({ other }, lock) => other.get(lock, "locked"),
  },
  {
    name: "RLock",
    make: ({ home }) => new RLock({ home }),
    isTaken: (lock) => (lock as RLock).locked,
    isTakenThere: ({ other }, lock) => other.get(lock, "locked"),
  },
];

const SEMAPHORES: readonly Kind[] = [
  {
    name: "Semaphore",
    make: ({ home }) => new Semaphore(1, { home }),
    isTaken: (semaphore) => (semaphore as Semaphore).value === 0,
    isTakenThere: async ({ other }, semaphore) =>
      await other.get(semaphore, "value") === 0,
  },
  {
    name: "BoundedSemaphore",
    make: ({ home }) => new BoundedSemaphore(1, { home }),
    isTaken: (semaphore) => (semaphore as BoundedSemaphore).value === 0,
    isTakenThere: async ({ other }, semaphore) =>
      await other.get(semaphore, "value") === 0,
  },
];

for (const kind of [...LOCKS, ...SEMAPHORES]) {
  const { name } = kind;
  suite(name, (add) => {
    add(
      `${name}.acquire() excludes the other side, both ways`,
      async (world) => {
        using object = kind.make(world);
        await world.record(object);
        assertFalse(kind.isTaken(object));
        assertFalse(await kind.isTakenThere(world, object));
        const theirs = await world.does<KeptGuard>(object, "acquire");
        assertFalse(theirs.abandoned);
        assert(kind.isTaken(object));
        assert(await kind.isTakenThere(world, object));
        assertEquals(await object.tryAcquire(), null);
        await world.other.call(theirs, "release");
        assertFalse(kind.isTaken(object));
        const ours = await object.tryAcquire();
        assertExists(ours);
        assert(await kind.isTakenThere(world, object));
        assertEquals(await world.other.call(object, "tryAcquire"), null);
        ours.release();
        assertFalse(await kind.isTakenThere(world, object));
        const again = await world.other.call<KeptGuard>(object, "tryAcquire");
        assert(kind.isTaken(object));
        await world.other.call(again, "release");
      },
    );

    add(
      `${name}.acquire() serves waiters of both sides in their order`,
      blocking,
      async (world) => {
        using object = kind.make(world);
        const first = await object.acquire();
        const second = await world.waits<KeptGuard>(object, "acquire");
        await lined(object, 1);
        const third = object.acquire();
        await lined(object, 2);
        const fourth = world.isSync
          ? undefined
          : await world.waits<KeptGuard>(object, "acquire");
        if (fourth !== undefined) await lined(object, 3);
        await assertPending(second.result);
        first.release();
        const theirs = await bounded(second.result);
        await assertPending(third);
        assert(kind.isTaken(object));
        await world.other.call(theirs, "release");
        const ours = await bounded(third);
        if (fourth !== undefined) {
          await assertPending(fourth.result);
          ours.release();
          const last = await bounded(fourth.result);
          await world.other.call(last, "release");
        } else ours.release();
        assertFalse(kind.isTaken(object));
      },
    );

    add(`${name}.acquire() gives null when its time is over`, async (world) => {
      using object = kind.make(world);
      const guard = await object.acquire();
      const patient = object.acquire();
      for (const timeout of [0, 1, 5]) {
        assertEquals(await world.does(object, "acquire", { timeout }), null);
      }
      assertEquals(waitersOf(object), 1);
      guard.release();
      (await bounded(patient)).release();
      const theirs = await world.does<KeptGuard>(object, "acquire", {
        timeout: 1e8,
      });
      assertEquals(await object.tryAcquire(), null);
      await world.other.call(theirs, "release");
      assertFalse(kind.isTaken(object));
    });

    add(
      `${name}.acquire() takes nothing when it is aborted`,
      abortable,
      async (world) => {
        using object = kind.make(world);
        const before = world.other.call(object, "acquire", {
          signal: "aborted",
        });
        assertEquals(await reasonOf(before), REASON);
        assertFalse(kind.isTaken(object));
        const guard = await object.acquire();
        const waiting = await world.waits(object, "acquire", {
          signal: "abortable",
        });
        await lined(object, 1);
        const behind = object.acquire();
        await world.other.abort(waiting);
        assertEquals(await reasonOf(waiting.result), REASON);
        await lined(object, 1);
        guard.release();
        (await bounded(behind)).release();
        assertFalse(kind.isTaken(object));
      },
    );

    add(
      `${name}.acquire() refuses bad options, takes nothing`,
      async (world) => {
        using object = kind.make(world);
        for (const [options, type] of BAD_WAITS) {
          await assertRejects(
            () => world.does(object, "acquire", options),
            type,
          );
        }
        assertFalse(kind.isTaken(object));
        assertEquals(waitersOf(object), 0);
      },
    );

    add(`${name}'s guard gives back once only`, async (world) => {
      using object = kind.make(world);
      const theirs = await world.does<KeptGuard>(object, "acquire");
      await world.other.call(theirs, "release");
      await world.other.call(theirs, "release");
      assertFalse(kind.isTaken(object));
      const ours = await object.acquire();
      await world.other.call(theirs, "release");
      assert(await kind.isTakenThere(world, object));
      assert(kind.isTaken(object));
      ours.release();
      ours.release();
      const again = await world.does<KeptGuard>(object, "acquire");
      ours.release();
      assert(kind.isTaken(object));
      await world.other.call(again, "release");
      assertFalse(kind.isTaken(object));
    });

    add(
      `${name}.close() by its owner ends whoever waits, and every later call`,
      blocking,
      async (world) => {
        const object = kind.make(world);
        const guard = await object.acquire();
        const theirs = await world.waits(object, "acquire");
        const late = world.isSync
          ? undefined
          : await world.waits(object, "acquire", { timeout: 1e8 });
        await lined(object, late === undefined ? 1 : 2);
        const ours = object.acquire();
        object.close();
        object.close();
        for (const wait of [ours, theirs.result, late?.result]) {
          if (wait) await assertRejects(() => bounded(wait), ClosedError);
        }
        await assertRejects(() => world.does(object, "acquire"), ClosedError);
        await assertRejects(() => object.acquire(), ClosedError);
        await assertRejects(
          () => kind.isTakenThere(world, object),
          ClosedError,
        );
        assertThrows(() => kind.isTaken(object), ClosedError);
        guard.release(); // A guard may outlive its lock.
      },
    );

    add(
      `${name}.close() by a user closes it there only`,
      elsewhere,
      async (world) => {
        using object = kind.make(world);
        const theirs = await world.does<KeptGuard>(object, "acquire");
        await world.other.call(theirs, "release");
        const [kept] = [object];
        await world.other.call(kept, "close");
        await world.other.call(kept, "close");
        const guard = await object.tryAcquire();
        assertExists(guard);
        guard.release();
        // It can be given to it anew.
        const again = await world.does<KeptGuard>(object, "acquire");
        assert(kind.isTaken(object));
        await world.other.call(again, "release");
      },
    );
  });
}

// ---- Locks ----

suite("Lock", (add) => {
  add("Lock.release() frees a lock, whoever holds it", async (world) => {
    using lock = new Lock({ home: world.home });
    const theirs = await world.does<KeptGuard>(lock, "acquire");
    lock.release();
    assertFalse(lock.locked);
    const ours = await lock.acquire();
    // It has outlived its hold.
    await world.other.call(theirs, "release");
    assert(await world.other.get(lock, "locked"));
    assert(lock.locked);
    await world.other.call(lock, "release");
    assertFalse(await world.other.get(lock, "locked"));
    const next = await world.does<KeptGuard>(lock, "acquire");
    ours.release();
    assert(lock.locked);
    await world.other.call(next, "release");
    assertFalse(lock.locked);
  });

  add("Lock.release() hands the lock to who waits", blocking, async (world) => {
    using lock = new Lock({ home: world.home });
    const stale = await lock.acquire();
    const heir = await world.waits<KeptGuard>(lock, "acquire");
    await lined(lock, 1);
    const last = lock.acquire();
    lock.release();
    stale.release();
    const guard = await bounded(heir.result);
    await assertPending(last);
    assertEquals(await lock.tryAcquire(), null);
    await world.other.call(guard, "release");
    (await bounded(last)).release();
  });

  add(
    "Lock.release() of a free lock is an error, changes nothing",
    async (world) => {
      using lock = new Lock({ home: world.home });
      assertThrows(() => lock.release(), InvalidStateError);
      const released = world.other.call(lock, "release");
      if (world.isByHub) {
        // It is told of it at the next call that it waits for.
        await released;
        await assertRejects(
          () => world.does(lock, "acquire"),
          InvalidStateError,
          "not held",
        );
      } else await assertRejects(() => released, InvalidStateError, "not held");
      assertFalse(lock.locked);
      const theirs = await world.does<KeptGuard>(lock, "acquire");
      assert(lock.locked);
      await world.other.call(theirs, "release");
    },
  );
});

suite("RLock", (add) => {
  add(
    "RLock lets one task of an event loop in at a time",
    onlyAsync,
    async (world) => {
      using lock = new RLock({ home: world.home });
      assertEquals(await world.other.script("overlap", lock, 5, false), 1);
      assertEquals(await world.other.script("overlap", lock, 5, true), 1);
      assertFalse(lock.locked);
    },
  );

  add(
    "RLock.acquire() enters again within its guard",
    onlyAsync,
    async (world) => {
      using lock = new RLock({ home: world.home });
      const outer = await world.does<KeptGuard>(lock, "acquire");
      const inner = await world.does<KeptGuard>(lock, "acquire", {
        within: outer,
      });
      const innermost = await world.other.call<KeptGuard>(lock, "tryAcquire", {
        within: inner,
      });
      // Another task of it does not.
      assertEquals(await world.does(lock, "acquire", { timeout: 0 }), null);
      await world.other.call(outer, "release");
      await world.other.call(outer, "release");
      assert(lock.locked);
      await world.other.call(innermost, "release");
      assert(lock.locked);
      await assertRejects(
        () => world.does(lock, "acquire", { within: outer }),
        InvalidStateError,
        "within",
      );
      await world.other.call(inner, "release");
      assertFalse(lock.locked);
      await assertRejects(
        () => world.does(lock, "acquire", { within: inner }),
        InvalidStateError,
      );
      assertFalse(lock.locked);
    },
  );

  add("RLock.run() enters again inside of itself", onlyAsync, async (world) => {
    using lock = new RLock({ home: world.home });
    assertEquals(await world.other.script("reenterByRun", lock), [
      true,
      true,
      false,
    ]);
    assertFalse(lock.locked);
  });

  add(
    "RLock.acquireSync() enters again for its thread",
    onlySync,
    async (world) => {
      using lock = new RLock({ home: world.home });
      assertEquals(await world.other.script("reenterSync", lock), [
        true,
        true,
        true,
        false,
      ]);
      assertFalse(lock.locked);
    },
  );

  add(
    "RLock.acquireSync() does not enter an async task's hold",
    onlySync,
    async (world) => {
      using lock = new RLock({ home: world.home });
      const guard = await world.other.call<KeptGuard>(lock, "acquire");
      assertEquals(await world.does(lock, "acquire", { timeout: 0 }), null);
      assertEquals(await world.does(lock, "acquire", { timeout: 5 }), null);
      await assertRejects(
        () => world.does(lock, "acquire"),
        InvalidStateError,
        "Cannot block",
      );
      await world.other.call(guard, "release");
      assertFalse(lock.locked);
    },
  );

  add(
    "RLock.acquire() does not enter a thread's hold",
    onlySync,
    async (world) => {
      using lock = new RLock({ home: world.home });
      const guard = await world.does<KeptGuard>(lock, "acquire");
      assertEquals(await world.other.call(lock, "tryAcquire"), null);
      await world.other.call(guard, "release");
      const again = await world.other.call<KeptGuard>(lock, "tryAcquire");
      await world.other.call(again, "release");
    },
  );

  add("RLock.release() is for the thread that holds it", async (world) => {
    using lock = new RLock({ home: world.home });
    assertThrows(() => lock.release(), InvalidStateError);
    await assertRejects(
      () => world.other.call(lock, "release"),
      InvalidStateError,
    );
    assertFalse(lock.locked);
    const theirs = await world.does<KeptGuard>(lock, "acquire");
    if (!world.isHere) {
      assertThrows(() => lock.release(), InvalidStateError);
      assert(lock.locked);
    }
    await world.other.call(lock, "release");
    assertFalse(lock.locked);
    // It has outlived its hold.
    const ours = await lock.acquire();
    await world.other.call(theirs, "release");
    assert(lock.locked);
    ours.release();
  });
});

// ---- Semaphores ----

for (const name of ["Semaphore", "BoundedSemaphore"] as const) {
  const make = ({ home }: World, value: number) =>
    name === "Semaphore"
      ? new Semaphore(value, { home })
      : new BoundedSemaphore(value, { home });
  suite(name, (add) => {
    add(`${name}.value is exact on both sides`, async (world) => {
      using semaphore = make(world, 3);
      const values = async () => [
        semaphore.value,
        await world.other.get(semaphore, "value"),
      ];
      assertEquals(await values(), [3, 3]);
      const theirs = await world.does<KeptGuard>(semaphore, "acquire");
      assertEquals(await values(), [2, 2]);
      const ours = await semaphore.acquire();
      await world.does(semaphore, "acquire");
      assertEquals(await values(), [0, 0]);
      assertEquals(
        await world.does(semaphore, "acquire", { timeout: 0 }),
        null,
      );
      await world.other.call(theirs, "release");
      assertEquals(await values(), [1, 1]);
      ours.release();
      await world.other.call(semaphore, "release");
      assertEquals(await values(), [3, 3]);
    });

    add(
      `${name}.release() serves as many as there are permits`,
      blocking,
      async (world) => {
        using semaphore = make(world, 3);
        for (let i = 0; i < 3; i++) await semaphore.acquire();
        const first = semaphore.acquire();
        await lined(semaphore, 1);
        const second = await world.waits(semaphore, "acquire");
        await lined(semaphore, 2);
        const third = semaphore.acquire();
        await lined(semaphore, 3);
        semaphore.release(2);
        await bounded(Promise.all([first, second.result]));
        await assertPending(third);
        assertEquals(semaphore.value, 0);
        await world.other.call(semaphore, "release", 1);
        await bounded(third);
        assertEquals(semaphore.value, 0);
      },
    );

    add(`${name}.release() refuses a count that is none`, async (world) => {
      using semaphore = make(world, 2);
      await semaphore.acquire();
      for (const count of [0, -1, 1.5, NaN, Infinity]) {
        await assertRejects(
          () => world.other.call(semaphore, "release", count),
          RangeError,
        );
        assertThrows(() => semaphore.release(count), RangeError);
      }
      for (const count of ["1", null, 1n]) {
        await assertRejects(
          () => world.other.call(semaphore, "release", count),
          TypeError,
        );
      }
      assertEquals(semaphore.value, 1);
    });

    add(
      `${name}.release() of too many is an error, changes nothing`,
      async (world) => {
        const limit = name === "Semaphore" ? 0x0fffffff : 2;
        using semaphore = make(world, limit);
        for (const count of [1, 2, 5]) {
          assertThrows(() => semaphore.release(count), InvalidStateError);
          const released = world.other.call(semaphore, "release", count);
          if (world.isByHub) {
            await released;
            await assertRejects(
              () => world.does(semaphore, "acquire"),
              InvalidStateError,
            );
          } else await assertRejects(() => released, InvalidStateError);
          assertEquals(semaphore.value, limit);
        }
        const theirs = await world.does<KeptGuard>(semaphore, "acquire");
        assertThrows(() => semaphore.release(2), InvalidStateError);
        assertEquals(semaphore.value, limit - 1);
        await world.other.call(theirs, "release");
        assertEquals(semaphore.value, limit);
      },
    );
  });
}

suite("Semaphore", (add) => {
  add(
    "Semaphore.release() can make more permits than at first",
    async (world) => {
      using semaphore = new Semaphore(0, { home: world.home });
      await world.other.call(semaphore, "release", 3);
      semaphore.release();
      assertEquals(await world.other.get(semaphore, "value"), 4);
      await world.does(semaphore, "acquire");
      assertEquals(semaphore.value, 3);
    },
  );

  add("Semaphore() refuses a value that is none", onlyAsync, (world) => {
    const { home } = world;
    for (const value of [-1, 1.5, NaN, 2 ** 28]) {
      assertThrows(() => new Semaphore(value, { home }), RangeError);
      assertThrows(() => new BoundedSemaphore(value, { home }), RangeError);
    }
    const text = "1" as unknown as number;
    assertThrows(() => new Semaphore(text, { home }), TypeError);
    return Promise.resolve();
  });
});

suite("BoundedSemaphore", (add) => {
  add(
    "BoundedSemaphore gets every permit back, with and without guards",
    async (world) => {
      using semaphore = new BoundedSemaphore(3, { home: world.home });
      const guards: KeptGuard[] = [];
      for (let i = 0; i < 3; i++) {
        guards.push(await world.does<KeptGuard>(semaphore, "acquire"));
      }
      // Whoever had the first one does not use its guard.
      await world.other.call(semaphore, "release");
      assertEquals(await world.other.get(semaphore, "value"), 1);
      for (const guard of guards.slice(1)) {
        await world.other.call(guard, "release");
      }
      assertEquals(await world.other.get(semaphore, "value"), 3);
    },
  );

  add(
    "BoundedSemaphore's guard frees nothing that release() gave back",
    async (world) => {
      using semaphore = new BoundedSemaphore(2, { home: world.home });
      const theirs = await world.does<KeptGuard>(semaphore, "acquire");
      await world.other.call(semaphore, "release");
      assertEquals(semaphore.value, 2);
      const ours = await semaphore.acquire();
      await world.other.call(theirs, "release");
      assertEquals(await world.other.get(semaphore, "value"), 1);
      assertEquals(semaphore.value, 1);
      ours.release();
      assertEquals(semaphore.value, 2);
    },
  );
});
