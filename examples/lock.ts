// Copyright 2026 the multitask authors. MIT license.

/**
 * Two threads put money into one account and take the same amount out again,
 * many times. At the end the balance should be 0.
 *
 * 1. Without a lock it is not: one thread writes what the other one has changed
 *    since it was read.
 * 2. With a lock it is: one thread at a time reads and writes.
 *
 * Variables are no danger here, since threads do not share them. A `Value` is
 * made to be shared.
 *
 * @module
 */

import { Barrier, Lock, Value } from "@multitask/std/ipc";
import { Thread } from "@multitask/std/thread";
import { readOptions } from "./_options.ts";

/** How often each thread changes the balance in one round. */
const TIMES = 20_000;

/** Without a lock a wrong balance is likely, not certain: so many are tried. */
const ROUNDS = 100;

/** Money in, money out: the balance should be what it was. */
function changeIt(balance: Value<"i32">, n: number): void {
  balance.value = balance.value + n;
  balance.value = balance.value - n;
}

/** What a thread runs without a lock. */
export async function runThread(
  n: number,
  balance: Value<"i32">,
  start: Barrier,
): Promise<void> {
  // A thread that begins alone may be done before the other one has started.
  await start.wait();
  for (let i = 0; i < TIMES; i++) {
    changeIt(balance, n);
  }
}

/** What a thread runs with a lock. */
export async function runThreadWithLock(
  n: number,
  balance: Value<"i32">,
  start: Barrier,
  lock: Lock,
): Promise<void> {
  await start.wait();
  for (let i = 0; i < TIMES; i++) {
    // The lock is released at the end of the block, whatever happens in it. This
    // thread has nothing else to do, so it may block.
    using _guard = lock.acquireSync();
    changeIt(balance, n);
  }
}

async function withoutLock(): Promise<number> {
  const balance = new Value("i32", 0);
  for (let round = 1; round <= ROUNDS; round++) {
    const start = new Barrier(2);
    const t1 = new Thread({ target: runThread, args: [5, balance, start] });
    const t2 = new Thread({ target: runThread, args: [8, balance, start] });
    t1.start();
    t2.start();
    await t1.join();
    await t2.join();
    if (balance.value !== 0) break;
  }
  return balance.value;
}

async function withLock(): Promise<number> {
  const balance = new Value("i32", 0);
  const lock = new Lock();
  const start = new Barrier(2);
  const args = [balance, start, lock] as const;
  const t1 = new Thread({ target: runThreadWithLock, args: [5, ...args] });
  const t2 = new Thread({ target: runThreadWithLock, args: [8, ...args] });
  t1.start();
  t2.start();
  await t1.join();
  await t2.join();
  return balance.value;
}

if (import.meta.main) {
  readOptions(
    "A balance that two threads change, without a lock and with one.",
  );

  console.log("without lock:", await withoutLock());
  console.log("with lock:", await withLock());
}
