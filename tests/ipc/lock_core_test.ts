// Copyright 2026 the multitask authors. MIT license.

import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import { type Operation, Status } from "../../ipc/_shared_object.ts";
import { LockCore, LockOp } from "../../ipc/_lock_core.ts";
import { InvalidStateError } from "../../ipc/errors.ts";

/** What an acquisition by a process became. */
interface Hold {
  number: number | undefined;
  failed: boolean;
  withdraw: (() => void) | undefined;
}

function operation(code: number, caller: string, number = 0): Operation {
  return { code, caller, part: 0, number, packet: undefined };
}

function acquire(lock: LockCore, caller: string): Hold {
  const hold: Hold = { number: undefined, failed: false, withdraw: undefined };
  hold.withdraw = lock.perform(
    operation(LockOp.Acquire, caller),
    (status, number) => {
      if (status === Status.Done) hold.number = number;
      else hold.failed = true;
    },
  );
  return hold;
}

function release(lock: LockCore, hold: Hold): void {
  const acquisition = Math.floor(hold.number! / 2);
  lock.perform(operation(LockOp.Release, "0", acquisition), () => {});
}

function isAbandoned(hold: Hold): boolean {
  return hold.number! % 2 === 1;
}

Deno.test("LockCore.holderGone() hands a dead process's lock on, once as abandoned", () => {
  const lock = new LockCore();
  const dead = acquire(lock, "0.1");
  const [heir, last] = [acquire(lock, "0.2"), acquire(lock, "0.3")];
  assertFalse(isAbandoned(dead));
  assertEquals([heir.number, last.number], [undefined, undefined]);
  lock.holderGone((path) => path === "0.1");
  assert(isAbandoned(heir));
  release(lock, heir);
  assertFalse(isAbandoned(last));
  release(lock, last);
  assertFalse(lock.locked);
});

Deno.test("LockCore.holderGone() leaves the news for who acquires later", () => {
  const lock = new LockCore();
  acquire(lock, "0.1");
  lock.holderGone((path) => path === "0.1");
  assertFalse(lock.locked);
  const next = acquire(lock, "0.2");
  assert(isAbandoned(next));
  release(lock, next);
  assertFalse(isAbandoned(acquire(lock, "0.2")));
});

Deno.test("LockCore.holderGone() leaves the lock of others alone", () => {
  const lock = new LockCore();
  lock.holderGone(() => true);
  assertFalse(lock.locked);
  const hold = acquire(lock, "0.1");
  lock.holderGone((path) => path === "0.2");
  assert(lock.locked);
  release(lock, hold);
  assertFalse(isAbandoned(acquire(lock, "0.3")));
});

Deno.test("LockCore.perform() does not take a late release for another's", () => {
  const lock = new LockCore();
  const dead = acquire(lock, "0.1");
  lock.holderGone((path) => path === "0.1");
  const next = acquire(lock, "0.2");
  release(lock, dead);
  assert(lock.locked);
  release(lock, next);
  assertFalse(lock.locked);
});

Deno.test("LockCore.perform() withdraws who waits no longer", () => {
  const lock = new LockCore();
  const holder = acquire(lock, "0.1");
  const [gone, heir] = [acquire(lock, "0.2"), acquire(lock, "0.3")];
  gone.withdraw!();
  release(lock, holder);
  assertEquals(gone.number, undefined);
  assert(heir.number !== undefined);
});

Deno.test("LockCore.perform() refuses what a lock cannot do", () => {
  const lock = new LockCore();
  assertThrows(() => lock.perform(operation(99, "0"), () => {}), RangeError);
  assertThrows(
    () => lock.perform(operation(LockOp.Release, "0"), () => {}),
    InvalidStateError,
  );
});

Deno.test("LockCore.destroy() fails those who wait", () => {
  const lock = new LockCore();
  const holder = acquire(lock, "0.1");
  const waiting = acquire(lock, "0.2");
  lock.destroy(new Error("closed"));
  assert(waiting.failed);
  assertFalse(holder.failed);
});
