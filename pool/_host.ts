// Copyright 2026 the multitask authors. MIT license.
// A process of a HybridPool: it starts the threads that the pool asks for and
// tells when they end. What they work on goes past it, from the pool to each.

import { hub } from "../ipc/_hub.ts";
import type { SharedArray } from "../ipc/shared_array.ts";
import type { Connection } from "../ipc/connection.ts";
import { ConnectionClosedError } from "../ipc/errors.ts";
import { StartedThread, type ThreadExit } from "../thread/_started_thread.ts";
import type { Task } from "../ipc/_task_load.ts";

/** What the pool asks for. */
export type HostOrder =
  | {
    readonly kind: "start";
    readonly id: number;
    readonly name: string;
    readonly pipe: Connection;
    readonly memory: SharedArray<"i32"> | null;
    readonly task: Task;
  }
  | { readonly kind: "stop"; readonly id: number };

/** What it is told. */
export type HostNews =
  | { readonly kind: "stuck"; readonly id: number }
  | { readonly kind: "ended"; readonly id: number; readonly exit: ThreadExit };

/** The main function of such a process. Ends when the pool is gone. */
export async function host(
  control: Connection<HostOrder | HostNews>,
): Promise<void> {
  const threads = new Map<number, StartedThread>();
  const tell = (news: HostNews) => {
    control.send(news).catch((error) => {
      // The pool is gone: then nobody wants to know.
      if (!(error instanceof ConnectionClosedError)) throw error;
    });
  };
  try {
    while (true) {
      const order = await control.recv() as HostOrder; // It comes from the pool.
      const { id } = order;
      if (order.kind === "stop") threads.get(id)?.stop();
      else threads.set(id, start(order, tell, () => threads.delete(id)));
    }
  } catch (error) {
    if (!(error instanceof ConnectionClosedError)) throw error;
  }
  await Promise.all([...threads.values()].map((thread) => thread.stop()));
}

function start(
  { id, name, pipe, memory, task }: HostOrder & { kind: "start" },
  tell: (news: HostNews) => void,
  over: () => void,
): StartedThread {
  const args = hub.pack([pipe, memory, { name, id }]);
  const thread = new StartedThread(
    { name, daemon: true, grants: "inherit", preload: undefined },
    {
      message: (_message, packet) => hub.dropPacket(packet),
      stuck: () => tell({ kind: "stuck", id }),
      ended: (exit) => {
        over();
        hub.dropSent(args);
        tell({ kind: "ended", id, exit });
      },
    },
  );
  thread.send({ type: "run", task }, args);
  // The thread has them.
  pipe.close();
  memory?.close();
  // While it lives, its end is looked for.
  thread.held = true;
  return thread;
}
