// Copyright 2026 the multitask authors. MIT license.
// The thread's side: how it joins the tree, runs its task and ends.
//
//   invitation -> holds its lock, joins, says "up" -> told what to do -> task
//   -> result -> what it has started has ended -> all is sent -> "exiting", end
//
// Loaded by the entry module of threads, and by nobody else.

import { hub } from "../ipc/_hub.ts";
import type { Packet } from "../ipc/_packet.ts";
import { readyTask } from "../ipc/_ready_task.ts";
import { joinStarted, self } from "../ipc/_self.ts";
import {
  joinProcess,
  type StarterLink,
  type ThreadInvitation,
} from "../ipc/_thread_link.ts";
import { eventLoopTurn } from "../ipc/_turn.ts";
import { CancelledError } from "../ipc/errors.ts";
import { becomeThread, here } from "./_here.ts";
import { holdLock } from "./_lock.ts";
import type { Boot, ToStarter, ToThread } from "./_protocol.ts";

/** Before an owner that does not answer is left alone, in milliseconds. */
const FENCE_PATIENCE = 5000;

/** What a worker has besides, for which a published package has no types. */
const scope = globalThis as unknown as EventTarget & { close(): void };

const realClose = scope.close.bind(scope);

/** Thrown past the user's code when the thread ends in the middle of it. */
const ENDS: unique symbol = Symbol("The thread ends");

/**
 * Imports a module that few threads need. A literal import would make it a part
 * of every thread's module graph, which costs them time; _entries.ts keeps it in
 * the program's.
 */
function later<T>(file: string): Promise<T> {
  return import(new URL(file, import.meta.url).href);
}

let starter: StarterLink;
/** Nothing is told any more. */
let closing = false;
let settled = false;

/**
 * Waits for the invitation of the thread that has started this one. `preload`
 * loads the task's module where that may not be read.
 */
export function begin(preload?: () => Promise<unknown>): void {
  scope.addEventListener(
    "message",
    // Nobody else posts to it before.
    (event) =>
      void join((event as MessageEvent<ThreadInvitation>).data, preload),
    { once: true },
  );
}

async function join(
  invitation: ThreadInvitation,
  preload: (() => Promise<unknown>) | undefined,
): Promise<void> {
  const boot = invitation.boot as Boot; // Only our starters start this module.
  await holdLock(boot.lock);
  becomeThread(boot);
  starter = joinProcess(invitation, (message, packet) => {
    const order = message as ToThread; // It comes from our starter.
    if (order.type === "stop") return void stop();
    self.loading = true;
    runTask(order, packet, preload);
  }, stopped);
  Deno.exit = exit;
  scope.close = () => leave(0);
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    settle(event.reason, true);
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    settle(event.error, true);
  });
  tell({ type: "up" });
  if (starter.isStopped) leave(0);
}

function tell(message: ToStarter, packet?: Packet): void {
  if (!closing) starter.link.sendControl(message, packet);
}

/** Ends the thread after what it has sent; the code that runs goes on a bit. */
function leave(code: number): void {
  if (closing) return;
  tell({ type: "exiting", code });
  closing = true;
  starter.flush();
  realClose();
}

/** `Deno.exit` in a thread ends the thread. */
function exit(code?: number): never {
  // Errors of what was not awaited would be told too late.
  hub.fenceSync(FENCE_PATIENCE);
  tellFaults();
  leave(code ?? Deno.exitCode);
  throw ENDS;
}

/** The starter wants it to end: its own threads go first. */
function stop(): void {
  const { stopping, abandonThreads } = here();
  abandonThreads();
  stopping.abort(
    new DOMException("The thread is to be terminated", "AbortError"),
  );
  // Whoever listens has this turn.
  eventLoopTurn().then(() => leave(0));
}

/** The same where it blocks. */
function stopped(): never {
  stop();
  leave(0);
  throw new CancelledError(`Thread "${here().name}" was terminated`);
}

/** Prints nothing here: the starter is told of each error. */
function tellFaults(): void {
  for (const reference of [...hub.faults]) {
    settle(reference.takeFault(), true);
  }
}

/** The first failure, or the result, is what the starter gets. */
function settle(error: unknown, failed: boolean, result?: unknown): void {
  if (error === ENDS || closing) return;
  if (settled) {
    if (failed) tell({ type: "late" }, hub.packError(error));
    return;
  }
  settled = true;
  if (!failed) {
    try {
      tell({ type: "done" }, hub.pack(result, "result"));
      finish();
      return;
    } catch (unsendable) {
      error = unsendable;
    }
  }
  tell({ type: "failed" }, hub.packError(error));
  finish();
}

/** Ends the thread when everything is done. */
async function finish(): Promise<void> {
  // A turn, in which rejections that nobody handles are seen.
  await eventLoopTurn();
  await joinStarted();
  await hub.settled();
  // An error of the last operation may only now be coming.
  await hub.fence(FENCE_PATIENCE);
  tellFaults();
  leave(Deno.exitCode);
}

/** Runs the task that the starter has sent. */
async function runTask(
  order: Exclude<ToThread, { type: "stop" }>,
  packet: Packet,
  preload: (() => Promise<unknown>) | undefined,
): Promise<void> {
  try {
    // A task that is given no handle gets none later either, but by modules
    // that it imports itself.
    if (packet.refs.length > 0) await later("../ipc/_handles.ts");
    if (order.type === "refuse") throw hub.unpack(packet);
    await preload?.().catch(() => {}); // Whoever needs it says what is wrong.
    const run = await readyTask(order.task, packet, async () => {
      const { Thread } = await later<typeof import("./thread.ts")>(
        "./thread.ts",
      );
      return Thread;
    });
    self.loading = false;
    settle(undefined, false, await run());
  } catch (error) {
    settle(error, true);
  }
}
