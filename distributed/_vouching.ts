// Copyright 2026 the multitask authors. MIT license.
// A thread that says that this process is there while its event loop is busy.

import { resourceClosed, resourceOpened } from "../ipc/_live.ts";
import type { Ticket } from "./_ticket.ts";

/** What the thread is told. */
export interface VouchOrder {
  readonly ticket: Ticket;
  readonly session: string;
}

const ENTRY = new URL("./_vouch_main.ts", import.meta.url);

/** Never called: so the module belongs to the graph of the program. */
export const entry = (): Promise<unknown> => import("./_vouch_main.ts");

/** Asking for what is not granted would print an error. */
function mayStart(): boolean {
  if (ENTRY.protocol !== "file:") return true;
  const query = { name: "read", path: ENTRY } as const;
  return Deno.permissions.querySync(query).state === "granted";
}

/**
 * Starts to vouch for a session; gives how to stop. Where the thread cannot be
 * started, for want of a permission to read this package, a task that blocks the
 * event loop for long is taken for a worker that is gone.
 */
export function startVouching(ticket: Ticket, session: string): () => void {
  if (!mayStart()) return () => {};
  const thread = new Worker(ENTRY, {
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
