// Copyright 2026 the multitask authors. MIT license.
// Workers that are threads of other processes.
//
//   pool --orders--> host process --starts--> thread
//   pool <---------- messages and claims ---> thread
//
// A host has so many seats; a worker takes one, in the fullest host that has one
// left. When a host ends, so do its workers, and nobody else. A thread that does
// not stop is ended with its host. Hosts without workers wait for the next one;
// they end with the pool.

import "../ipc/_handles.ts";
import { homes } from "../ipc/_homes.ts";
import { hub } from "../ipc/_hub.ts";
import type { Packet } from "../ipc/_packet.ts";
import { self } from "../ipc/_self.ts";
import type { Task } from "../ipc/_task_load.ts";
import { startTimer } from "../ipc/_timer.ts";
import type { SharedArray } from "../ipc/shared_array.ts";
import type { Child } from "../process/_child.ts";
import { setDaemon, watchInterrupts } from "../process/_end_of_program.ts";
import type { ExitStatus } from "../process/_spawn.ts";
import type { HostNews, HostOrder } from "./_host.ts";
import { LineTail } from "./_line_tail.ts";
import type { ProcessStart } from "./_process_start.ts";
import { makeBoardMemory, SharedBoard } from "./_shared_board.ts";
import { WORKER_TASK } from "./_worker_entry.ts";
import type { WorkerEvents, WorkerHandle } from "./_worker_handle.ts";
import { WorkerPipe } from "./_worker_pipe.ts";

const HOST_TASK: Task = {
  kind: "export",
  module: new URL("./_host.ts", import.meta.url).href,
  name: "host",
};

/** Never called: so the module belongs to the graph of the program. */
export const entry = (): Promise<unknown> => import("./_host.ts");

/** How many lines of a host's stderr are kept. */
const STDERR_LINES = 20;

/** How long a host without threads may take to end, in milliseconds. */
const END_BOUND = 5000;

/** How long a thread may take to stop until its host is killed, in ms. */
const STOP_BOUND = 3000;

/** See the file comment. */
export class Hosts {
  readonly #start: ProcessStart;
  readonly #seats: number;
  readonly #hosts = new Set<Host>();
  #nextName = 1;

  constructor(start: ProcessStart, seats: number) {
    this.#start = start;
    this.#seats = seats;
  }

  /** Starts a worker. */
  start(id: number, events: WorkerEvents): WorkerHandle {
    let best: Host | undefined;
    for (const host of this.#hosts) {
      const { size } = host.workers;
      if (host.isEnding || size >= this.#seats) continue;
      if (best === undefined || size > best.workers.size) best = host;
    }
    if (best === undefined) {
      best = new Host(
        `PoolHost-${this.#nextName++}`,
        this.#start,
        () => this.#hosts.delete(best!),
      );
      this.#hosts.add(best);
    }
    return new HybridWorker(id, best, events);
  }

  /** The pool has ended: so do the hosts. */
  async close(): Promise<void> {
    const hosts = [...this.#hosts];
    for (const host of hosts) host.close();
    await Promise.all(hosts.map(({ ended }) => ended));
  }
}

class Host {
  readonly child: Child;
  readonly workers = new Map<number, HybridWorker>();
  readonly stderr = new LineTail(STDERR_LINES);
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  readonly #control: WorkerPipe;
  readonly #over: () => void;
  #isEnding = false;
  #holds = 0;

  constructor(
    name: string,
    { plan, startedAt }: ProcessStart,
    over: () => void,
  ) {
    this.#over = over;
    this.#control = new WorkerPipe(
      // A host of ours has packed it.
      (packet) => this.#told(hub.unpack(packet) as HostNews),
      () => this.child.hold(),
    );
    const { there } = this.#control;
    const args = hub.pack([there]);
    try {
      this.child = plan().spawn(name, "handles");
    } catch (error) {
      hub.dropPacket(args);
      this.#control.close();
      there.close();
      throw error;
    }
    const { child } = this;
    const ended = Promise.withResolvers<void>();
    this.ended = ended.promise;
    setDaemon(child, true);
    watchInterrupts(child);
    if (child.stderr !== null) this.stderr.read(child.stderr);
    child.listen({
      message: (_message, packet) => hub.dropPacket(packet),
      ended: (status) => {
        hub.dropSent(args);
        there.close();
        this.#ended(status).finally(ended.resolve);
      },
    });
    child.connected.then((isThere) => {
      if (!isThere) return;
      child.send({
        type: "run",
        self: {
          name,
          // Unlike a daemon it may have children: pools can be nested.
          daemon: false,
          parent: { name: self.name, pid: Deno.pid },
          startedAt,
        },
        task: HOST_TASK,
      }, args);
      there.close();
    });
  }

  get isEnding(): boolean {
    return this.#isEnding;
  }

  #told(news: HostNews): void {
    if (news.kind === "stuck") return this.kill();
    const { reason, exitCode } = news.exit;
    this.workers.get(news.id)?.ended(
      reason === "terminated"
        ? { exitCode: null, signal: null, how: "was terminated" }
        : { exitCode, signal: null },
    );
  }

  order(order: HostOrder): void {
    this.#control.send(hub.pack(order));
  }

  /** Keeps the program alive, and has news read, while a worker is awake. */
  hold(): () => void {
    this.#holds++;
    this.#control.awake = true;
    return () => {
      this.#control.awake = --this.#holds > 0;
    };
  }

  kill(): void {
    this.#isEnding = true;
    this.child.kill("SIGKILL");
  }

  close(): void {
    this.#isEnding = true;
    this.#control.close();
    this.child.held = true;
    const stopTimer = startTimer(() => this.kill(), END_BOUND);
    this.ended.then(stopTimer);
  }

  async #ended({ exitCode, signal }: ExitStatus): Promise<void> {
    this.#isEnding = true;
    this.#over();
    this.#control.finish();
    this.#control.close();
    await this.stderr.finished;
    for (const worker of [...this.workers.values()]) {
      worker.ended({ exitCode, signal });
    }
  }
}

class HybridWorker implements WorkerHandle {
  readonly name: string;
  readonly id: number;
  readonly board: SharedBoard | undefined;
  readonly #host: Host;
  readonly #events: WorkerEvents;
  readonly #pipe: WorkerPipe;
  readonly #memory: SharedArray<"i32"> | undefined;
  #stopKill: (() => void) | undefined;

  constructor(id: number, host: Host, events: WorkerEvents) {
    this.id = id;
    this.name = `PoolWorker-${id}`;
    this.#host = host;
    this.#events = events;
    this.#pipe = new WorkerPipe(
      (packet) => events.message(packet),
      () => host.hold(),
    );
    this.#memory = homes.mapped === undefined ? undefined : makeBoardMemory();
    this.board = this.#memory && new SharedBoard(this.#memory);
    host.workers.set(id, this);
    const { there } = this.#pipe;
    host.order({
      kind: "start",
      id,
      name: this.name,
      pipe: there,
      memory: this.#memory ?? null,
      task: WORKER_TASK,
    });
    there.close();
  }

  get pid(): number {
    return this.#host.child.pid;
  }

  get isEnding(): boolean {
    return this.#pipe.isOver;
  }

  send(packet: Packet): void {
    this.#pipe.send(packet);
  }

  get awake(): boolean {
    return this.#pipe.awake;
  }

  set awake(awake: boolean) {
    this.#pipe.awake = awake;
  }

  ended(
    end: { exitCode: number | null; signal: string | null; how?: string },
  ): void {
    if (!this.#host.workers.delete(this.id)) return;
    this.#stopKill?.();
    try {
      this.#pipe.finish();
    } finally {
      this.#events.ended({ ...end, stderr: this.#host.stderr.text });
      this.#pipe.close();
      this.#memory?.close();
    }
  }

  kill(): void {
    this.end(STOP_BOUND);
  }

  end(grace: number): void {
    this.#host.order({ kind: "stop", id: this.id });
    this.#stopKill ??= startTimer(
      () => this.#host.kill(),
      Math.max(grace, STOP_BOUND),
      { unref: true },
    );
  }
}
