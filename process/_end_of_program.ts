// Copyright 2026 the multitask authors. MIT license.
// What becomes of children when the program ends, however it ends.
//
//   normal end    the program waits for children that are not daemons: each
//                 keeps the event loop alive; daemons are ended then
//   Deno.exit     all children are ended
//   SIGINT        it is the parent's: it ends its children with grace, then
//                 kills, then ends as if nobody had listened; a second one
//                 kills at once. A listener of the user's goes first, and then
//                 it is the user who decides whether the program ends.
//   SIGKILL, ...  children see it themselves: see _kernel_guard.ts, _watchdog.ts

import { type Child, GRACE, liveChildren } from "./_child.ts";
import { hub } from "../ipc/_hub.ts";
import { PermissionBroker } from "./_broker.ts";
import { ChildListener } from "./_listener.ts";
import { self } from "../ipc/_self.ts";

/** Children that end with the program instead of keeping it alive. */
const daemons = new WeakSet<Child>();

/** Says whether a child is a daemon: does not keep the program alive. */
export function setDaemon(child: Child, daemon: boolean): void {
  if (daemon) daemons.add(child);
  else daemons.delete(child);
  child.held = !daemon || waiting;
}

let waiting = false;

// Whoever waits on a shared object waits for some process, daemon or not: while
// somebody does, and children live, the program goes on.
hub.onWaiting.add((now) => {
  waiting = now;
  for (const child of liveChildren) {
    if (daemons.has(child)) child.held = waiting;
  }
});

self.beforeEnd.add(joinChildren);

/** Waits for all children that are not daemons, then ends the daemons. */
async function joinChildren(): Promise<void> {
  while (true) {
    const joined = [...liveChildren].filter((child) => !daemons.has(child));
    if (joined.length === 0) break;
    await Promise.all(joined.map((child) => child.ended));
  }
  await endAll([...liveChildren]);
}

/** Ends children: politely, and after the grace for sure. */
export async function endAll(
  children: readonly Child[],
  grace = GRACE,
): Promise<void> {
  for (const child of children) child.kill("SIGTERM");
  const timer = setTimeout(() => {
    for (const child of children) child.kill("SIGKILL");
  }, grace);
  try {
    await Promise.all(children.map((child) => child.ended));
  } finally {
    clearTimeout(timer);
  }
}

globalThis.addEventListener("unload", () => {
  reportFaults();
  for (const child of liveChildren) {
    child.kill(daemons.has(child) ? "SIGTERM" : "SIGKILL");
  }
  ChildListener.closeAll();
  PermissionBroker.closeAll();
});

/** Errors of operations that nobody awaited are told at the end at last. */
function reportFaults(): void {
  if (self.isThread) return; // Its starter is told.
  if (self.parent !== undefined && !self.forked) return; // It does so itself.
  for (const reference of [...hub.faults]) {
    console.error("An operation that was not awaited failed:");
    console.error(reference.takeFault());
    Deno.exitCode ||= 1;
  }
}

// ---- Ctrl-C ----

const { addSignalListener, removeSignalListener } = Deno;
const userListeners = new Set<() => void>();

// The runtime does not tell whether somebody listens to SIGINT.
Deno.addSignalListener = (signal, listener) => {
  if (signal === "SIGINT") userListeners.add(listener);
  addSignalListener(signal, listener);
};
Deno.removeSignalListener = (signal, listener) => {
  if (signal === "SIGINT") userListeners.delete(listener);
  removeSignalListener(signal, listener);
};

let interrupts = 0;

function onInterrupt(): void {
  if (interrupts++ > 0) {
    for (const child of liveChildren) child.kill("SIGKILL");
    return;
  }
  // The user's listeners have the same turn.
  setTimeout(async () => {
    const handled = userListeners.size > 0;
    await endAll([...liveChildren]);
    interrupts = 0;
    if (!handled) endByInterrupt();
  }, 0);
}

function endByInterrupt(): void {
  try {
    removeSignalListener("SIGINT", onInterrupt);
    listening = false;
    Deno.kill(Deno.pid, "SIGINT");
  } catch {
    Deno.exit(130); // 128 + SIGINT, as a shell would say it.
  }
}

let listening = false;
const watched = new Set<Child>();

/** Sees to Ctrl-C while children live; a child leaves it to its parent. */
export function watchInterrupts(child: Child): void {
  if (self.parent !== undefined || self.isThread) return;
  watched.add(child);
  if (!listening) {
    listening = true;
    addSignalListener("SIGINT", onInterrupt);
  }
  child.ended.then(() => {
    watched.delete(child);
    if (watched.size === 0 && listening && interrupts === 0) {
      listening = false;
      removeSignalListener("SIGINT", onInterrupt);
    }
  });
}
