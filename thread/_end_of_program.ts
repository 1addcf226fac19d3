// Copyright 2026 the multitask authors. MIT license.
// What becomes of threads when the program, or the thread that has started them,
// ends.
//
//   normal end    waits for threads that are not daemons: each keeps the event
//                 loop alive; daemons end with the program
//   Deno.exit     all end; whatever they wait for in a blocking form is woken,
//                 so that nothing keeps the program

import { hub } from "../ipc/_hub.ts";
import { self } from "../ipc/_self.ts";
import { liveThreads, type StartedThread } from "./_started_thread.ts";

let waiting = false;

/** Says whether a thread keeps the program alive. */
export function setHeld(thread: StartedThread): void {
  thread.held = !thread.daemon || waiting;
}

// Whoever waits on a shared object may wait for a daemon: while somebody does,
// the program goes on.
hub.onWaiting.add((now) => {
  waiting = now;
  for (const thread of liveThreads) if (thread.daemon) setHeld(thread);
});

/**
 * Waits for all threads that are not daemons, then ends the daemons. One that is
 * stuck has been told of, and is waited for by nobody.
 */
async function joinThreads(): Promise<void> {
  while (true) {
    const joined = [...liveThreads].filter(({ daemon, state }) =>
      !daemon && state !== "stuck"
    );
    if (joined.length === 0) break;
    await Promise.all(joined.map(({ over }) => over));
  }
  await Promise.all([...liveThreads].map((thread) => thread.stop()));
}

self.beforeEnd.add(joinThreads);

globalThis.addEventListener("unload", () => {
  for (const thread of liveThreads) thread.abandon();
});
