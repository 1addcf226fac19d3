// Copyright 2026 the multitask authors. MIT license.
// Waiting for a thread that another one has started: by its lock.

import { startTimer } from "../ipc/_timer.ts";
import { type Wait, waitFor } from "../ipc/_waiting.ts";
import { here } from "./_here.ts";
import { watchLock } from "./_lock.ts";

/** Between two looks whether a thread that holds no lock yet is gone, in ms. */
const LOOK = 5;

/** Resolves with `true` at its end, with `false` when the time was over. */
export async function joinByLock(ident: number, wait: Wait): Promise<boolean> {
  const { directory } = here();
  return await waitFor<true>(wait, ({ resolve }) => {
    let stop = () => {};
    // The lock is free before the thread holds it and after its end; its row
    // goes when its starter has seen the end.
    const look = () => {
      if (directory.has(ident)) stop = startTimer(watch, LOOK);
      else resolve(true);
    };
    const watch = () => stop = watchLock(directory.lockOf(ident), look);
    look();
    return () => stop();
  }) ?? false;
}
