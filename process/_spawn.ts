// Copyright 2026 the multitask authors. MIT license.
// Starts a child and finds the way to it: the first of these that both sides
// may use.
//
//   1. a Unix socket without a file (Linux; the child has all of read, write
//      and net), else 3 where there is no such thing
//   2. inherited descriptors (the child needs nothing)
//   3. a Unix socket in a private directory, which the child is given
//   4. a loopback port
//
// The platform's side of `Child`: nothing else here starts programs.

import { hub } from "../ipc/_hub.ts";
import { resourceClosed, resourceOpened } from "../ipc/_live.ts";
import { PermissionNeededError } from "../ipc/errors.ts";
import { kernelGuard, mayGuard } from "./_kernel_guard.ts";
import { ChildListener, type ChildStream } from "./_listener.ts";
import { type NodeSocket, NodeStream } from "./_node_stream.ts";
import { grantFlags, type Grants, has } from "./_permissions.ts";
import {
  type Address,
  type Bootstrap,
  CHANNEL_FD,
  HELLO_SIZE,
  isToken,
  SYNC_FD,
} from "./_protocol.ts";

/** Where an output of a child goes. */
export type OutputMode = "inherit" | "null" | "piped";

/** What a child is started with. */
export interface SpawnOptions {
  readonly action: string;
  readonly program: string;
  /** Flags, the permission flags left out. */
  readonly flags: readonly string[];
  readonly grants: Grants;
  /** Whether it asks this process for each permission. */
  readonly asksParent: boolean;
  /** The entry module and what follows it. */
  readonly entry: readonly string[];
  readonly path: string;
  /** What the child loads while it waits for its orders. */
  readonly load: Bootstrap["load"];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  readonly stdout: OutputMode;
  readonly stderr: OutputMode;
  /** How long it may take to connect, in milliseconds. */
  readonly startTimeout: number;
  /** The child has connected. */
  channel(stream: ChildStream): void;
  /** The child has opened a connection for blocking requests. */
  sync(stream: ChildStream): void;
}

/** How a program ended: an exit code, or the signal that ended it. */
export interface ExitStatus {
  readonly exitCode: number;
  readonly signal: string | null;
}

/** A program that has been started. */
export interface Spawned {
  readonly pid: number;
  readonly status: Promise<ExitStatus>;
  /** Whether the channel is inherited: descendants may hold it open. */
  readonly inherits: boolean;
  readonly stdout: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  readonly stderr: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  kill(signal: Deno.Signal): void;
  ref(): void;
  unref(): void;
}

interface NodeChild {
  readonly pid?: number;
  readonly spawnargs: readonly string[];
  readonly stdin: NodeSocket;
  readonly stdout: (NodeSocket & AsyncIterable<Uint8Array>) | null;
  readonly stderr: (NodeSocket & AsyncIterable<Uint8Array>) | null;
  readonly stdio: readonly (NodeSocket | null)[];
  on(
    event: "exit",
    listener: (code: number | null, signal: string | null) => void,
  ): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  kill(signal: string): boolean;
  ref(): unknown;
  unref(): unknown;
}

type Way = "abstract" | "fd" | "unix" | "tcp";

function mayListenUnix(): boolean {
  return Deno.build.os !== "windows" && has("read") && has("write") &&
    has("net");
}

function mayInherit(): boolean {
  return Deno.build.os !== "windows" && has("run") &&
    has("env", "NODE_V8_COVERAGE");
}

/** See the file comment. */
function chooseWay(action: string, grants: Grants): Way {
  const unix = mayListenUnix();
  const { read, write, net } = grants;
  if (unix && read === true && write === true && net === true) {
    return Deno.build.os === "linux" ? "abstract" : "unix";
  }
  if (mayInherit()) return "fd";
  if (unix) return "unix";
  // A port for the channel is no more than the parent has.
  if (has("net", "127.0.0.1")) return "tcp";
  throw new PermissionNeededError(
    `Cannot ${action}: there is no way to talk to a child; add --allow-env=NODE_V8_COVERAGE (with the whole of --allow-run), or --allow-read --allow-write --allow-net, or --allow-net=127.0.0.1`,
    { flag: "--allow-env=NODE_V8_COVERAGE" },
  );
}

function withSocket(grants: Grants, directory: string, path: string): Grants {
  const widened: Grants = { ...grants };
  const add = (name: "read" | "write" | "net", item: string) => {
    const grant = widened[name];
    if (grant !== true) widened[name] = [...grant ?? [], item];
  };
  add("read", directory);
  add("write", directory);
  add("net", `unix:${path}`);
  return widened;
}

function secret(): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(HELLO_SIZE - 1));
}

/** Signal numbers come as 128 + n, and as an error for those without a name. */
function exitStatus(
  status: Promise<Deno.CommandStatus>,
): Promise<ExitStatus> {
  return status.then(
    ({ code, signal }) =>
      signal === null
        ? { exitCode: code, signal }
        : { exitCode: -(code - 128), signal },
    (error: unknown) => {
      // The runtime has no name for real-time signals and says so by throwing.
      const number = /signal:? (\d+)/i.exec(String(error))?.[1];
      if (number === undefined) return { exitCode: -1, signal: null };
      return { exitCode: -Number(number), signal: `SIG${number}` };
    },
  );
}

/** Starts a child. Throws at once when it cannot be started. */
export function spawn(options: SpawnOptions): Spawned {
  const { action, grants } = options;
  if (!has("run", options.program)) {
    throw new PermissionNeededError(
      `Cannot ${action}: add --allow-run=${options.program}, or --allow-run`,
      { flag: "--allow-run" },
    );
  }
  const way = chooseWay(action, grants);
  return way === "fd" ? spawnInheriting(options) : spawnListening(options, way);
}

function commandLine(
  options: SpawnOptions,
  grants: Grants,
  guarded: boolean,
): [string, ...string[]] {
  return [
    ...guarded ? kernelGuard() : [],
    options.program,
    "run",
    ...options.flags,
    ...grantFlags(grants),
    ...options.entry,
  ] as [string, ...string[]];
}

/** Another program may not be there, which the guard would not tell. */
function isGuarded({ program }: SpawnOptions): boolean {
  return program === Deno.execPath() && mayGuard() &&
    kernelGuard().length > 0;
}

function spawnListening(
  options: SpawnOptions,
  way: Exclude<Way, "fd">,
): Spawned {
  const listener = ChildListener.get(way);
  const { address, directory } = listener;
  const token = secret();
  const forget = listener.expect({
    token,
    channel: options.channel,
    sync: options.sync,
  });
  // A child that is killed with its parent could not remove the directory.
  const guarded = directory === undefined && isGuarded(options);
  let grants = options.grants;
  if (directory !== undefined && address.kind === "unix") {
    grants = withSocket(grants, directory, address.path);
  } else if (address.kind === "tcp" && grants.net !== true) {
    const host = `127.0.0.1:${address.port}`;
    grants = { ...grants, net: [...grants.net ?? [], host] };
  }
  let child: Deno.ChildProcess;
  try {
    const [program, ...args] = commandLine(options, grants, guarded);
    child = new Deno.Command(program, {
      args,
      env: { ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      stdin: "piped",
      stdout: options.stdout,
      stderr: options.stderr,
    }).spawn();
  } catch (error) {
    forget();
    throw error;
  }
  const resource = { pid: child.pid };
  resourceOpened(resource, `process ${child.pid}`);
  const stdin = child.stdin.getWriter();
  stdin.write(bootstrapLine(options, address, token, !guarded, directory))
    .catch(() => {}); // It has ended already: its status says so.
  const status = exitStatus(child.status).then((status) => {
    forget();
    resourceClosed(resource);
    stdin.close().catch(() => {});
    return status;
  });
  return {
    pid: child.pid,
    status,
    inherits: false,
    stdout: options.stdout === "piped" ? child.stdout : null,
    stderr: options.stderr === "piped" ? child.stderr : null,
    kill: (signal) => child.kill(signal),
    ref: () => child.ref(),
    unref: () => child.unref(),
  };
}

function bootstrapLine(
  options: SpawnOptions,
  address: Address,
  token: Uint8Array<ArrayBuffer>,
  watch: boolean,
  directory: string | undefined,
): Uint8Array<ArrayBuffer> {
  // The child is starting meanwhile: it takes 3 ms the first time.
  const arena = options.grants.ffi === true ? hub.homes?.invite() : undefined;
  const bootstrap: Bootstrap = {
    address,
    token: token.toHex(),
    path: options.path,
    load: options.load,
    watch,
    ...(options.asksParent ? { asksParent: true } : {}),
    ...(arena === undefined ? {} : { arena }),
    ...(directory === undefined ? {} : { directory }),
  };
  return new TextEncoder().encode(JSON.stringify(bootstrap) + "\n");
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

type NodeSpawn = (
  command: string,
  args: string[],
  options: unknown,
) => NodeChild;

let nodeSpawn: NodeSpawn | undefined;

/** A module of Node's, got synchronously, and only when it is needed. */
function builtin<T>(name: string): T {
  return globalThis.process.getBuiltinModule(name) as unknown as T;
}

/**
 * Where a command line of node:child_process has the path of the running Deno,
 * Deno adds `-A` to it. The same path, spelled in another way, is left alone;
 * that it was is checked.
 */
function respelled(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? path : `${path.slice(0, slash)}/.${path.slice(slash)}`;
}

function spawnInheriting(options: SpawnOptions): Spawned {
  nodeSpawn ??= builtin<{ spawn: NodeSpawn }>("node:child_process").spawn;
  const guarded = isGuarded(options);
  const [program, ...args] = commandLine(
    { ...options, program: respelled(options.program) },
    options.grants,
    guarded,
  );
  const mode = (mode: OutputMode) =>
    mode === "piped" ? "pipe" : mode === "null" ? "ignore" : "inherit";
  const stdio: string[] = [
    "pipe",
    mode(options.stdout),
    mode(options.stderr),
  ];
  stdio[CHANNEL_FD] = "pipe";
  stdio[SYNC_FD] = "pipe";
  // Without --allow-env the parent cannot say what the child inherits: then it
  // gets just what the options name.
  const env = has("env")
    ? { ...Deno.env.toObject(), ...options.env }
    : { ...options.env };
  const child = nodeSpawn(program, args, {
    stdio,
    env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const ended = new Promise<ExitStatus>((resolve) => {
    child.on("error", () => resolve({ exitCode: -1, signal: null }));
    child.on("exit", (code, signal) => {
      const number = signal === null ? 0 : signalNumber(signal);
      resolve({ exitCode: code ?? -number, signal });
    });
  });
  if (child.spawnargs.join("\0") !== [program, ...args].join("\0")) {
    child.kill("SIGKILL");
    throw new Error(
      `Cannot ${options.action}: the runtime has changed the child's command line to "${
        child.spawnargs.join(" ")
      }"`,
    );
  }
  if (child.pid === undefined) {
    // Why is only told in a later turn.
    const why = `Cannot ${options.action}: "${options.program}" cannot be run`;
    throw isFile(options.program)
      ? new Deno.errors.PermissionDenied(why)
      : new Deno.errors.NotFound(why);
  }
  const resource = { pid: child.pid };
  resourceOpened(resource, `process ${child.pid}`);
  const token = secret();
  child.stdin.on("error", () => {}); // Its end is seen by its exit.
  child.stdin.write(
    bootstrapLine(options, { kind: "fd" }, token, !guarded, undefined),
    () => {},
  );
  const streams = [CHANNEL_FD, SYNC_FD].map((fd) =>
    new NodeStream(child.stdio[fd]!)
  );
  const [channel, sync] = streams as [NodeStream, NodeStream];
  let isGreeted = false;
  greeted(channel, token, () => {
    isGreeted = true;
    options.channel(channel);
  });
  options.sync(sync);
  for (const stream of streams) stream.unref();
  return {
    pid: child.pid,
    inherits: true,
    status: ended.then((status) => {
      resourceClosed(resource);
      child.stdin.destroy();
      if (!isGreeted) channel.close(); // Nobody else knows of it.
      return status;
    }),
    stdout: child.stdout === null ? null : readable(child.stdout),
    stderr: child.stderr === null ? null : readable(child.stderr),
    kill: (signal) => {
      child.kill(signal);
    },
    ref: () => {
      child.ref();
      for (const pipe of [child.stdout, child.stderr]) pipe?.ref();
    },
    unref: () => {
      child.unref();
      for (const pipe of [child.stdin, child.stdout, child.stderr]) {
        pipe?.unref();
      }
    },
  };
}

function readable(
  source: AsyncIterable<Uint8Array>,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return ReadableStream.from(
    (async function* () {
      for await (const chunk of source) yield new Uint8Array(chunk);
    })(),
  );
}

function signalNumber(name: string): number {
  const { constants } = builtin<
    { constants: { signals: Record<string, number> } }
  >("node:os");
  return constants.signals[name] ?? 0;
}

/** A grandchild inherits the descriptor too; only the child has the token. */
async function greeted(
  stream: NodeStream,
  token: Uint8Array,
  welcome: () => void,
): Promise<void> {
  const hello = new Uint8Array(HELLO_SIZE);
  let have = 0;
  while (have < HELLO_SIZE) {
    const count = await stream.read(hello.subarray(have));
    if (count === null) return;
    have += count;
  }
  if (isToken(hello.subarray(1), token)) welcome();
  else stream.close();
}
