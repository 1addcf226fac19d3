// Copyright 2026 the multitask authors. MIT license.
// The sockets on which processes listen, as the kernel lists them.

import type { Way } from "./_ways.ts";

/** Where a process waits for its children. */
export type Socket =
  | { kind: "unix"; path: string }
  | { kind: "tcp"; port: number };

function socketsOf(pid: number): Set<string> {
  const inodes = new Set<string>();
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
    try {
      const target = Deno.readLinkSync(`/proc/${pid}/fd/${name}`);
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // It has been closed meanwhile.
    }
  }
  return inodes;
}

/** The fields of each line of a table of the kernel's. */
function table(path: string): string[][] {
  return Deno.readTextFileSync(path).trimEnd().split("\n").slice(1)
    .map((line) => line.trim().split(/\s+/));
}

/** The bit of a Unix socket that listens. */
const LISTENS = 0x10000;

/** The state of a TCP socket that listens. */
const TCP_LISTENS = "0A";

interface Listening {
  readonly inode: string;
  readonly socket: Socket;
}

function listening(): Listening[] {
  const found: Listening[] = [];
  for (const fields of table("/proc/net/unix")) {
    // Num RefCount Protocol Flags Type St Inode Path
    const [, , , flags, , , inode, path] = fields;
    if (path === undefined || (parseInt(flags!, 16) & LISTENS) === 0) continue;
    // A name that is no file is shown with an @ in the place of its zero.
    const socket = { kind: "unix", path: path.replace(/^@/, "\0") } as const;
    found.push({ inode: inode!, socket });
  }
  for (const fields of table("/proc/net/tcp")) {
    // sl local_address rem_address st queues tr tm->when retrnsmt uid timeout
    const [, local, , state, , , , , , inode] = fields;
    if (state !== TCP_LISTENS) continue;
    const port = parseInt(local!.slice(local!.indexOf(":") + 1), 16);
    found.push({ inode: inode!, socket: { kind: "tcp", port } });
  }
  return found;
}

/** The sockets on which a process listens. */
export function listeningSockets(pid: number): Socket[] {
  const own = socketsOf(pid);
  return listening().filter(({ inode }) => own.has(inode))
    .map(({ socket }) => socket);
}

/** Whether somebody listens there. */
export function isListening(socket: Socket): boolean {
  const wanted = JSON.stringify(socket);
  return listening().some(({ socket }) => JSON.stringify(socket) === wanted);
}

/** Connects as anybody could. */
export async function connect(socket: Socket): Promise<Deno.Conn> {
  return socket.kind === "unix"
    ? await Deno.connect({ transport: "unix", path: socket.path })
    : await Deno.connect({ hostname: "127.0.0.1", port: socket.port });
}

/** The way that leads through a socket. */
export function wayThrough(socket: Socket): Way {
  if (socket.kind === "tcp") return "port";
  return socket.path.startsWith("\0") ? "abstract" : "directory";
}
