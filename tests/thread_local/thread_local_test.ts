// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Queue, SerializationError } from "../../ipc/mod.ts";
import { Thread } from "../../thread/mod.ts";
import { ThreadLocal } from "../../thread_local/mod.ts";
import { turn } from "../ipc/_waits.ts";
import { threadTest } from "../thread/_run.ts";
import * as tasks from "./fixtures/tasks.ts";

interface Request {
  user: string;
  id: number;
}

/** An object that has been within run() once, so that it looks for contexts. */
function used<T extends object>(): ThreadLocal<T> {
  const local = new ThreadLocal<T>();
  local.run({}, () => {});
  return local;
}

// ---- Per thread ----

threadTest("ThreadLocal has values of its own in each thread", async () => {
  tasks.local.student = "main";
  const threads = ["Alice", "Bob", undefined].map((student) => {
    const thread = new Thread({ target: tasks.study, args: [student] });
    thread.start();
    return thread;
  });
  const seen = await Promise.all(threads.map(({ result }) => result));
  for (const thread of threads) await thread.join();
  assertEquals(seen, [
    { before: undefined, after: "Alice" },
    { before: undefined, after: "Bob" },
    { before: undefined, after: undefined },
  ]);
  assertEquals(tasks.local.student, "main");
  delete tasks.local.student;
});

threadTest("ThreadLocal calls init once in each thread", async () => {
  assertEquals(tasks.initialised(), 0);
  const first = tasks.connection.name;
  assertStrictEquals(tasks.connection.name, first);
  assertEquals(tasks.initialised(), 1);
  const threads = [1, 2].map(() => {
    const thread = new Thread({ target: tasks.connect });
    thread.start();
    return thread;
  });
  const seen = await Promise.all(threads.map(({ result }) => result));
  for (const thread of threads) await thread.join();
  for (const { calls, names } of seen) {
    assertEquals(calls, [0, 1]);
    assertEquals(new Set(names).size, 1);
  }
  const all = [first, ...seen.map(({ names }) => names[0])];
  assertEquals(new Set(all).size, 3);
  assertEquals(tasks.initialised(), 1);
});

Deno.test("ThreadLocal calls init when it is needed, and only once", () => {
  let calls = 0;
  const make = () =>
    new ThreadLocal(() => {
      calls++;
      return { a: 1 };
    });
  const ways: ((local: ReturnType<typeof make>) => unknown)[] = [
    (local) => local.a,
    (local) => local.a = 2,
    (local) => "a" in local,
    (local) => Object.keys(local),
    (local) => ({ ...local }),
    (local) => JSON.stringify(local),
    (local) => delete (local as { a?: number }).a,
  ];
  for (const way of ways) {
    calls = 0;
    const local = make();
    assertEquals(calls, 0);
    way(local);
    way(local);
    assertEquals(calls, 1, String(way));
  }
  calls = 0;
  const local = make();
  assertEquals(local.run({ a: 5 }, () => local.a), 5);
  assertEquals(calls, 0);
  assertEquals(local.a, 1);
});

Deno.test("ThreadLocal whose init throws calls it again", () => {
  let calls = 0;
  const local = new ThreadLocal(() => {
    if (++calls < 3) throw new RangeError(`try ${calls}`);
    return { ok: true };
  });
  assertThrows(() => local.ok, RangeError, "try 1");
  assertThrows(() => Object.keys(local), RangeError, "try 2");
  assertEquals(local.ok, true);
  assertEquals(calls, 3);
  // Nothing was lost on the way.
  assertEquals(Object.keys(local), ["ok"]);
});

Deno.test("ThreadLocal's init may use the object", () => {
  const local: { a: number; b?: number } = new ThreadLocal<
    { a: number; b?: number }
  >(() => {
    local.b = 2;
    return { a: (local.b ?? 0) + 1 };
  });
  assertEquals([local.a, local.b], [3, 2]);
});

// ---- As an object ----

for (const [words, make] of [["", ThreadLocal], [" (used)", used]] as const) {
  const fresh = <T extends object>(): ThreadLocal<T> =>
    make === used ? used<T>() : new ThreadLocal<T>();

  Deno.test(`ThreadLocal is like an object with these properties${words}`, () => {
    const local = fresh<Request>();
    assertEquals(local.user, undefined);
    assertFalse("user" in local);
    assertEquals(Object.keys(local), []);
    local.user = "Alice";
    local.id = 0;
    assert("user" in local);
    assert(Object.hasOwn(local, "id"));
    assertEquals(Object.keys(local), ["user", "id"]);
    assertEquals(Object.entries(local), [["user", "Alice"], ["id", 0]]);
    assertEquals({ ...local } as unknown, { user: "Alice", id: 0 });
    assertEquals(JSON.stringify(local), '{"user":"Alice","id":0}');
    const seen = [];
    for (const key in local) seen.push(key);
    assertEquals(seen, ["user", "id"]);
    delete local.user;
    assertFalse("user" in local);
    assertEquals(local.user, undefined);
    assertEquals(Object.keys(local), ["id"]);
    Object.assign(local, { user: "Bob" });
    assertEquals(local.user, "Bob");
    Object.defineProperty(local, "id", { value: 7, enumerable: false });
    assertEquals(local.id, 7);
    assertEquals(Object.keys(local), ["user"]);
    assertThrows(() => Object.freeze(local), TypeError);
    assertThrows(() => Object.preventExtensions(local), TypeError);
    assertStringIncludes(Deno.inspect(local), "Bob");
    assertStringIncludes(String(local), "ThreadLocal");
  });

  Deno.test(`ThreadLocal has symbols and odd names, too${words}`, () => {
    const key = Symbol("key");
    const local = fresh<Record<string | symbol, unknown>>();
    for (const name of [key, "", "0", "then", "toString", "constructor"]) {
      local[name] = name;
      assertStrictEquals(local[name], name);
      delete local[name];
    }
    assertEquals(typeof local.toString, "function");
  });

  Deno.test(`ThreadLocal keeps the name of its method${words}`, () => {
    const local = fresh<{ a: number }>();
    const any = local as unknown as Record<string, unknown>;
    assertThrows(() => any.run = 5, TypeError, '"run"');
    assertThrows(() => Object.assign(local, { run: 5 }), TypeError, '"run"');
    assertThrows(
      () => Object.defineProperty(local, "run", { value: 5 }),
      TypeError,
      '"run"',
    );
    assertThrows(
      () => local.run({ run: 5 } as never, () => {}),
      TypeError,
      '"run"',
    );
    assertEquals(typeof local.run, "function");
    assert("run" in local);
    assertEquals(Object.keys(local), []);
    const { run } = local;
    assertEquals(run({ a: 1 }, () => local.a), 1);
  });
}

Deno.test("ThreadLocal keeps the name of its method from init", () => {
  const local = new ThreadLocal(() => ({ run: 5 }) as { a?: number });
  assertThrows(() => local.a, TypeError, '"run"');
});

Deno.test("ThreadLocal can be awaited, as it is no promise", async () => {
  const local = new ThreadLocal<{ a: number }>();
  local.a = 1;
  assertStrictEquals(await local, local);
});

Deno.test("ThreadLocal checks what it is given", () => {
  for (const init of [5, {}, null, "init"]) {
    assertThrows(() => new ThreadLocal(init as never), TypeError, '"init"');
  }
  const local = new ThreadLocal<{ a: number }>();
  for (const values of [null, undefined, 5, "a"]) {
    assertThrows(() => local.run(values as never, () => {}), TypeError);
  }
  for (const fn of [null, undefined, {}, "fn"]) {
    assertThrows(() => local.run({}, fn as never), TypeError, '"fn"');
  }
});

Deno.test("ThreadLocal's init has to give an object", () => {
  for (const given of [undefined, null, 5, Promise.resolve({ a: 1 })]) {
    const local = new ThreadLocal(() => given as unknown as { a: number });
    assertThrows(() => local.a, TypeError, '"init"');
  }
});

Deno.test("ThreadLocal's types are those of its values", () => {
  const open = new ThreadLocal();
  open.anything = 5;
  const some = new ThreadLocal<Request>();
  // @ts-expect-error it may not be set
  const unset: string = some.user;
  const maybe: string | undefined = some.user;
  // @ts-expect-error it is a text
  some.user = 5;
  // @ts-expect-error there is no such property
  assertEquals(some.absent, undefined);
  const whole = new ThreadLocal(() => ({ user: "nobody", id: 0 }));
  const set: string = whole.user;
  const size: number = whole.run({ user: "Eve" }, () => whole.user.length);
  const later: Promise<number> = whole.run({}, () => Promise.resolve(1));
  // @ts-expect-error it is a text
  whole.run({ user: 5 }, () => {});
  // @ts-expect-error there is no such value
  whole.run({ absent: 5 }, () => {});
  assertEquals(
    [unset, maybe, set, size],
    [undefined, undefined, "nobody", 3] as never,
  );
  assertInstanceOf(later, Promise);
});

// ---- run ----

Deno.test("ThreadLocal.run() gives values to what it calls", () => {
  const local = new ThreadLocal<Request>();
  local.user = "own";
  local.id = 1;
  const inner = () => ({ user: local.user, id: local.id });
  assertEquals(local.run({ user: "Alice" }, inner), { user: "Alice", id: 1 });
  assertEquals(inner(), { user: "own", id: 1 });
  assertThrows(
    () =>
      local.run({ user: "Bob" }, () => {
        throw new RangeError(local.user);
      }),
    RangeError,
    "Bob",
  );
  assertEquals(inner(), { user: "own", id: 1 });
});

Deno.test("ThreadLocal.run() within run() sees the outer values", () => {
  const local = new ThreadLocal<{ a: number; b: number; c: number }>();
  Object.assign(local, { a: 1, b: 1, c: 1 });
  const seen: unknown[] = [];
  const see = () => seen.push([local.a, local.b, local.c]);
  local.run({ b: 2, c: 2 }, () => {
    see();
    local.run({ c: 3 }, () => {
      see();
      local.b = 33; // Belongs to the innermost.
      see();
    });
    see();
  });
  see();
  assertEquals(seen, [[1, 2, 2], [1, 2, 3], [1, 33, 3], [1, 2, 2], [1, 1, 1]]);
});

Deno.test("ThreadLocal.run() keeps what is set and deleted in it", () => {
  const local = new ThreadLocal<Request>();
  local.user = "own";
  local.run({ id: 5 }, () => {
    local.user = "inner";
    assertEquals(local.user, "inner");
    assertEquals(Object.keys(local).toSorted(), ["id", "user"]);
    assertEquals({ ...local } as unknown, { id: 5, user: "inner" });
    assertEquals(JSON.parse(JSON.stringify(local)), { id: 5, user: "inner" });
    delete local.user;
    // What lies below is seen again.
    assertEquals(local.user, "own");
    delete local.user;
    assertEquals(local.user, "own");
    delete local.id;
    assertFalse("id" in local);
    local.id = undefined as never;
    assert("id" in local);
  });
  assertEquals({ ...local } as unknown, { user: "own" });
});

Deno.test("ThreadLocal.run() copies the values", () => {
  const local = new ThreadLocal<Request>();
  const values = { user: "Alice" };
  local.run(values, () => {
    values.user = "changed";
    assertEquals(local.user, "Alice");
    local.user = "Bob";
    assertEquals(values.user, "changed");
  });
});

Deno.test("ThreadLocal.run() follows awaits, timers and promises", async () => {
  const local = new ThreadLocal<Request>();
  local.user = "own";
  const seen: unknown[] = [];
  const late = Promise.withResolvers<void>();
  await local.run({ user: "Alice" }, async () => {
    await undefined;
    seen.push(local.user);
    await turn();
    seen.push(local.user);
    await Promise.reject(new Error()).catch(() => seen.push(local.user));
    queueMicrotask(() => seen.push(local.user));
    await turn();
    setTimeout(() => {
      seen.push(local.user);
      late.resolve();
    }, 1);
  });
  assertEquals(local.user, "own");
  await late.promise;
  assertEquals(seen, Array(5).fill("Alice"));
});

Deno.test("ThreadLocal.run() keeps many at once apart", async () => {
  const local = new ThreadLocal<{ id: number; sum: number }>();
  const count = 200;
  const requests = Array.from(
    { length: count },
    (_, id) =>
      local.run({ id, sum: 0 }, async () => {
        for (let i = 0; i < 5; i++) {
          if ((id + i) % 3 === 0) await turn();
          else await undefined;
          local.sum = local.sum! + local.id!;
          await local.run({ id: -1 }, async () => {
            await undefined;
            assertEquals(local.id, -1);
            // It is not the outer one's.
            local.sum = -1;
          });
        }
        return [local.id, local.sum];
      }),
  );
  const results = await Promise.all(requests);
  assertEquals(results, results.map((_, id) => [id, 5 * id]));
  assertEquals(Object.keys(local), []);
});

Deno.test("ThreadLocal.run() is that of one object", () => {
  const [a, b] = [new ThreadLocal<Request>(), new ThreadLocal<Request>()];
  a.run({ user: "a" }, () => {
    assertEquals(b.user, undefined);
    b.run({ user: "b" }, () => assertEquals([a.user, b.user], ["a", "b"]));
  });
});

Deno.test("ThreadLocal.run() rejects as its function does", async () => {
  const local = new ThreadLocal<Request>();
  await assertRejects(
    () =>
      local.run({ user: "Eve" }, () => Promise.reject(new RangeError("no"))),
    RangeError,
    "no",
  );
  assertEquals(local.user, undefined);
});

// ---- Not to be sent ----

threadTest("ThreadLocal cannot be sent", async () => {
  const queue = new Queue<unknown>();
  for (const local of [new ThreadLocal(), used<Request>()]) {
    const thread = new Thread({
      target: (value: unknown) => value,
      args: [{ local }],
    });
    const error = assertThrows(() => thread.start(), SerializationError);
    assertEquals(error.path, "args[0].local");
    await assertRejects(() => queue.put(local), SerializationError);
  }
});
