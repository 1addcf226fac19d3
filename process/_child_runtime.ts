// Copyright 2026 the multitask authors. MIT license.
// The child's side: how it joins the tree, runs its task and ends.
//
//   bootstrap (stdin) -> connect, hello -> told what to do -> task -> result
//   -> its own children have ended -> all is sent -> exit
//
// Loaded by the entry modules, and by nobody else.

import { Link } from "../ipc/_link.ts";
import type { Packet } from "../ipc/_packet.ts";
import { hub } from "../ipc/_hub.ts";
import { readyTask } from "../ipc/_ready_task.ts";
import { loadModule } from "../ipc/_task_load.ts";
import type { ByteStream } from "../ipc/_channel.ts";
import { inspected, isError } from "../ipc/_inspected.ts";
import { startTimer } from "../ipc/_timer.ts";
import { TaskReferenceError } from "../ipc/errors.ts";
import {
  type Bootstrap,
  CHANNEL_FD,
  helloBytes,
  type Introduction,
  MAX_BOOTSTRAP,
  Role,
  type ToChild,
  type ToParent,
  type ToSpare,
} from "./_protocol.ts";
import { joinStarted, self } from "../ipc/_self.ts";
import { silenceStdin } from "./_stdin.ts";
import { openSyncPort } from "./_sync_port.ts";
import { orderWatchdog, startUnheldWatchdog } from "./_watchdog.ts";

/** Before a blocking flush at the exit is given up, in milliseconds. */
const FLUSH_PATIENCE = 10_000;

/** Before an owner that does not answer is left alone, in milliseconds. */
const FENCE_PATIENCE = 5000;

type Stream = ByteStream & { ref?(): void; unref?(): void };

/** The orders that tell a child what to do. */
export type Order = Exclude<ToChild, ToSpare | { type: "interrupt" }>;

/** An order, with the packet that belongs to it. */
export interface Orders {
  readonly order: Order;
  readonly packet: Packet;
}

const realExit = Deno.exit;

/**
 * Imports a module that few children need. A literal import would make it a
 * part of every child's module graph, which costs them time; _entries.ts keeps
 * it in the program's.
 */
function later<T>(file: string): Promise<T> {
  return import(new URL(file, import.meta.url).href);
}

/** The parent writes it at once, so that blocking is the fastest way to it. */
function readBootstrap(): Bootstrap {
  const buffer = new Uint8Array(MAX_BOOTSTRAP);
  let have = 0;
  while (!buffer.subarray(0, have).includes(10)) {
    const count = Deno.stdin.readSync(buffer.subarray(have));
    // Without a parent there is nothing to do.
    if (!count) realExit(1);
    have += count!;
  }
  return JSON.parse(
    new TextDecoder().decode(buffer.subarray(0, buffer.indexOf(10))),
  );
}

async function connect(bootstrap: Bootstrap): Promise<Stream> {
  const { address } = bootstrap;
  let stream: Stream;
  if (address.kind === "fd") {
    const [{ Socket }, { NodeStream }] = await Promise.all([
      import("node:net"),
      later<typeof import("./_node_stream.ts")>("./_node_stream.ts"),
    ]);
    stream = new NodeStream(new Socket({ fd: CHANNEL_FD }));
  } else if (address.kind === "unix") {
    stream = await Deno.connect({ transport: "unix", path: address.path });
  } else {
    stream = await Deno.connect({ hostname: "127.0.0.1", port: address.port });
  }
  const hello = helloBytes(Role.Channel, bootstrap.token);
  for (let at = 0; at < hello.length;) {
    at += await stream.write(hello.subarray(at));
  }
  return stream;
}

/** Set where the kernel does not end this process with its parent. */
let watched: Bootstrap | undefined;

let link: Link | undefined;
let stream: Stream | undefined;

/**
 * Whether the kernel may drop what is written and not yet read by the parent:
 * a port resets the connection of a process that ends before it has read all
 * that was sent to it.
 */
let lossy = false;

/** Set when all is done, and only the parent's last word is awaited. */
let exiting: number | undefined;

let handles: Promise<unknown> | undefined;

/** Once: an import of what is there takes a turn of the event loop. */
function loadHandles(): Promise<unknown> {
  return handles ??= later("../ipc/_handles.ts");
}

/**
 * A spare has the time to load what its task may need, and to go once through
 * what it will do then: code that runs for the first time is slow.
 */
async function warmUp(): Promise<void> {
  await loadHandles();
  const { Queue } = await later<typeof import("../ipc/mod.ts")>(
    "../ipc/mod.ts",
  );
  await later("./mod.ts");
  // The first timer of a program takes 10 ms, the first import from text 1 ms.
  clearTimeout(setTimeout(() => {}, 0));
  await import(`data:text/javascript,${encodeURIComponent("export {}")}`);
  using queue = new Queue();
  for (let i = 0; i < WARM_UP_ROUNDS; i++) {
    const got = queue.get();
    await queue.put({ type: "run", task: { module: "", name: "" }, args: [i] });
    await got;
  }
}

/** A guess: enough for the engine to have compiled it. */
const WARM_UP_ROUNDS = 20;

/** Joins the tree and waits for orders. Ends the process if there are none. */
export async function joinTree(): Promise<Orders> {
  const bootstrap = readBootstrap();
  hub.path = bootstrap.path;
  hub.invitation = bootstrap.arena;
  self.asksParent = bootstrap.asksParent === true;
  silenceStdin();
  // The task awaits it, and is told if it fails.
  if (bootstrap.load === "handles") loadHandles().catch(() => {});
  // It connects when it is warm: then it can be taken.
  if (bootstrap.load === "everything") await warmUp();
  const orders = Promise.withResolvers<Orders>();
  try {
    stream = await connect(bootstrap);
  } catch {
    realExit(1); // The parent is gone, or has given up on us.
  }
  lossy = bootstrap.address.kind === "tcp";
  link = new Link(hub, parentPath(bootstrap.path), true, stream!, {
    control: (message, packet) => {
      // It comes from the parent, whose shapes are ours.
      const order = message as ToChild;
      if (order.type === "interrupt") {
        self.interrupted.abort(
          new DOMException("The process was interrupted", "AbortError"),
        );
      } else if (order.type === "rehearse" || order.type === "preload") {
        prepare(order, packet);
      } else orders.resolve({ order, packet });
    },
    // The parent has closed the channel: it has ended, or we have.
    end: () => {
      for (const ended of parentWatchers) ended();
      realExit(exiting ?? 1);
    },
  });
  self.watchParent = watchParent;
  hub.setParent(link);
  link.channel.run();
  hub.syncPort = await openSyncPort(bootstrap, () => realExit(1));
  // Ctrl-C belongs to the parent.
  Deno.addSignalListener("SIGINT", () => {});
  watched = bootstrap.watch ? bootstrap : undefined;
  Deno.exit = exitFlushed;
  globalThis.addEventListener("unload", () => flushSync());
  return await orders.promise;
}

function parentPath(path: string): string {
  return path.slice(0, path.lastIndexOf("."));
}

/** Takes over who this process is. */
export function introduce(introduction: Introduction): void {
  self.name = introduction.name;
  self.identity = introduction.identity ?? "";
  self.daemon = introduction.daemon;
  self.parent = introduction.parent;
  self.startedAt = introduction.startedAt;
}

/** Has a process that ends when it is idle see the end of its parent. */
export async function watchUnheld(): Promise<void> {
  if (watched) await startUnheldWatchdog(watched.directory);
}

/** Sends a control message to the parent, and what goes with it. */
export function sendToParent(message: ToParent, packet?: Packet): void {
  link!.sendControl(message, packet);
}

/** Resolves when all that was sent has left. */
export function flushed(): Promise<void> {
  return link!.channel.flushed();
}

/** Who needs the channel to keep the process alive. */
const holders = new Set<unknown>();

/** Lets the channel keep the process alive for somebody, or not. */
export function holdChannel(held: boolean, holder: unknown = "task"): void {
  if (held) holders.add(holder);
  else holders.delete(holder);
  if (holders.size > 0) stream?.ref?.();
  else stream?.unref?.();
}

const parentWatchers = new Set<() => void>();

function watchParent(ended: () => void): () => void {
  parentWatchers.add(ended);
  holdChannel(true, ended);
  return () => {
    parentWatchers.delete(ended);
    holdChannel(false, ended);
  };
}

/** Prints what ends the process, as Python does. */
export function printFailure(error: unknown): void {
  // Where our own code found that out is of no use; what led to it is.
  const shown = isError(error) && error instanceof TaskReferenceError
    ? `${error.name}: ${error.message}${
      error.cause === undefined ? "" : `\nCaused by ${inspected(error.cause)}`
    }`
    : inspected(error);
  const bytes = new TextEncoder().encode(`Process ${self.name}:\n${shown}\n`);
  try {
    for (let at = 0; at < bytes.length;) {
      at += Deno.stderr.writeSync(bytes.subarray(at));
    }
  } catch {
    // Nobody reads it: the parent gets the error all the same.
  }
}

/** Sends what is unsent without turning the event loop. */
function flushSync(): void {
  const channel = link?.channel;
  if (channel === undefined || channel.closed) return;
  if (channel.idle && (!lossy || exiting !== undefined)) return;
  try {
    hub.syncPort!.exchange(hub.syncRequest(0), FLUSH_PATIENCE);
  } catch {
    // The parent is gone, and with it everybody who could read it.
  }
}

/** `Deno.exit` in a child: nothing that was sent is lost. */
function exitFlushed(code?: number): never {
  hub.fenceSync(FLUSH_PATIENCE);
  if (reportFaults() && !code) code = 1;
  flushSync();
  return code === undefined ? realExit() : realExit(code);
}

/** Prints errors of operations that nobody awaited; true if there were any. */
function reportFaults(): boolean {
  const faults = [...hub.faults];
  for (const reference of faults) printFailure(reference.takeFault());
  return faults.length > 0;
}

/** A turn, in which rejections that nobody handles are seen. */
function eventLoopTurn(): Promise<void> {
  // A timer would do, but the first of a program takes 10 ms.
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/** Ends the process when everything is done: children, faults, flush. */
async function finish(code: number): Promise<never> {
  await eventLoopTurn();
  await joinStarted();
  await hub.settled();
  // An error of the last operation may only now be coming.
  await hub.fence(FENCE_PATIENCE);
  await link!.channel.flushed();
  if (reportFaults() && code === 0) code = 1;
  // What the task itself has set counts where nothing went wrong.
  code ||= lateCode || Deno.exitCode;
  if (lossy) await lastWord(code);
  return realExit(code);
}

/** Ends the process when the parent has read everything; bounded. */
function lastWord(code: number): Promise<void> {
  exiting = code;
  return new Promise((resolve) => {
    startTimer(resolve, FLUSH_PATIENCE);
    // The parent reads to the end, and then closes its side.
    (stream as Deno.TcpConn).closeWrite().catch(resolve);
  });
}

function fail(error: unknown): void {
  sendToParent({ type: "failed" }, hub.packError(error));
}

let settled = false;

/** The least exit code, after an error that came behind the result. */
let lateCode = 0;

/** The first failure, or the result, is what the parent gets. */
function settle(error: unknown, failed: boolean, result?: unknown): void {
  if (settled) {
    if (failed) {
      printFailure(error);
      lateCode = 1;
    }
    return;
  }
  settled = true;
  if (!failed) {
    try {
      sendToParent({ type: "done" }, hub.pack(result, "result"));
      finish(0);
      return;
    } catch (unsendable) {
      error = unsendable;
    }
  }
  printFailure(error);
  fail(error);
  finish(1);
}

/** What a spare does before it has a task. */
async function prepare(order: ToSpare, packet: Packet): Promise<void> {
  holdChannel(true, order);
  try {
    if (order.type === "rehearse") {
      const run = await readyTask(order.task, packet, loadBase);
      await run();
    } else {
      introduce(order.self);
      // Until it has its task: a module starts nothing by itself.
      self.loading = true;
      await Promise.all(order.modules.map(loadModule));
    }
    sendToParent({ type: "prepared", failed: false });
  } catch (error) {
    sendToParent({ type: "prepared", failed: true }, hub.packError(error));
  }
  holdChannel(false, order);
}

async function loadBase(): Promise<
  typeof import("./process.ts")["Process"]
> {
  const { Process } = await later<typeof import("./process.ts")>(
    "./process.ts",
  );
  return Process;
}

/** Runs the task that the parent has sent. */
export async function runTask({ order, packet }: Orders): Promise<void> {
  holdChannel(true);
  // Not before: a worker keeps the event loop alive, and preloaded modules wait
  // until it is idle.
  if (watched) orderWatchdog({ type: "watch", directory: watched.directory });
  // A task that is given no handle gets none later either, but by modules that
  // it imports itself.
  if (packet.refs.length > 0) await loadHandles();
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    settle(event.reason, true);
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    settle(event.error, true);
  });
  try {
    if (order.type === "refuse") throw hub.unpack(packet);
    if (order.type !== "run") throw new Error("Unexpected order");
    const run = await readyTask(order.task, packet, loadBase);
    self.loading = false;
    settle(undefined, false, await run());
  } catch (error) {
    settle(error, true);
  }
}
