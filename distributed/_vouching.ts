// Copyright 2026 the multitask authors. MIT license.
// A thread that says that this process is there while its event loop is busy.

import { resourceClosed, resourceOpened } from "../ipc/_live.ts";
import type { Ticket } from "./_ticket.ts";

/** What the thread is told. */
export interface VouchOrder {
  readonly ticket: Ticket;
  readonly session: string;
}

/**
 * Starts to vouch for a session; gives how to stop. Where the thread cannot be
 * started, for want of a permission to read this package, a task that blocks the
 * event loop for long is taken for a worker that is gone.
 */
export function startVouching(ticket: Ticket, session: string): () => void {
  const thread = new Worker(new URL("./_vouch_main.ts", import.meta.url), {
    type: "module",
    name: "multitask vouch",
  });
  resourceOpened(thread, "thread that vouches");
  thread.addEventListener("error", (event) => {
    event.preventDefault();
    stop();
  });
  thread.postMessage({ ticket, session } satisfies VouchOrder);
  const stop = () => {
    thread.terminate();
    resourceClosed(thread);
  };
  return stop;
}
