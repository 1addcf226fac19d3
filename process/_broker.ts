// Copyright 2026 the multitask authors. MIT license.
// The exact mode of permissions: a child asks its parent at each check, over
// Deno's permission broker (experimental in Deno 2.9).
//
//   child:  {"v":1,"pid":n,"id":n,"permission":"read","value":"/x" | null}\n
//   parent: {"id":n,"result":"allow" | "deny","reason"?:"..."}\n
//
// A check blocks the child's thread until it is answered; a broker that closes
// the connection ends the child (exit code 87): what cannot be understood is
// refused that way. Ids count from 1; there is one request at a time.
//
// This holds honest programs to the parent's permissions. It is no wall against
// hostile code, which can write to the broker's descriptor itself.

import { resourceClosed, resourceOpened } from "../ipc/_live.ts";
import { PermissionNeededError } from "../ipc/errors.ts";
import { has, PERMISSION_NAMES, type PermissionName } from "./_permissions.ts";
import { tooManyOpen } from "./_listener.ts";
import { privateDirectory, removeDirectory } from "./_private_directory.ts";

/** A line that is longer is no request. */
const MAX_LINE = 0x10000;

/** Brokers that are open. */
const open = new Set<PermissionBroker>();

interface Check {
  readonly id: number;
  readonly permission: string;
  readonly value: string | null;
}

/** Answers a child's permission checks out of this process's permissions. */
export class PermissionBroker {
  readonly #directory: string;
  readonly #path: string;
  readonly #listener: Deno.UnixListener;
  readonly #connections = new Set<Deno.UnixConn>();

  /** Opens a socket for the child. */
  constructor(action: string) {
    if (Deno.build.os === "windows") throw needed(action);
    let directory: string | undefined;
    try {
      directory = privateDirectory();
      this.#path = `${directory}/broker`;
      this.#listener = Deno.listen({ transport: "unix", path: this.#path });
    } catch (error) {
      if (directory !== undefined) removeDirectory(directory);
      if (error instanceof Deno.errors.NotCapable) throw needed(action, error);
      throw error;
    }
    this.#directory = directory;
    this.#listener.unref();
    resourceOpened(this, "permission broker");
    open.add(this);
    this.#accept();
  }

  /** What the child's environment needs; the second hides Deno's notice. */
  get env(): Record<string, string> {
    return { DENO_PERMISSION_BROKER_PATH: this.#path, DENO_LOG: "error" };
  }

  /** Removes what would be left behind: for the end of the program. */
  static closeAll(): void {
    for (const broker of open) broker.close();
  }

  async #accept(): Promise<void> {
    while (true) {
      let conn: Deno.UnixConn;
      try {
        conn = await this.#listener.accept();
      } catch {
        if (!open.has(this)) return;
        await tooManyOpen();
        continue;
      }
      this.#connections.add(conn);
      conn.unref();
      // The child has come in; nobody else shall, and nothing is left to leave
      // behind. A program that it starts itself finds no broker and does not
      // start.
      removeDirectory(this.#directory);
      this.#serve(conn);
    }
  }

  async #serve(conn: Deno.UnixConn): Promise<void> {
    const encoder = new TextEncoder();
    const decoder = new TextDecoder("utf-8", { fatal: true });
    const buffer = new Uint8Array(MAX_LINE);
    let length = 0;
    let expected = 1;
    try {
      while (length < buffer.length) {
        const count = await conn.read(buffer.subarray(length));
        if (count === null) break;
        length += count;
        const end = buffer.subarray(0, length).indexOf(10);
        if (end < 0) continue;
        // Nobody honest asks again before the answer.
        if (end + 1 !== length) break;
        const check = parseCheck(decoder.decode(buffer.subarray(0, end)));
        if (check === undefined || check.id !== expected++) break;
        length = 0;
        let answer = encoder.encode(answerTo(check));
        while (answer.length > 0) {
          answer = answer.subarray(await conn.write(answer));
        }
      }
    } catch {
      // The child has ended, or sent what is no text.
    } finally {
      this.#connections.delete(conn);
      try {
        conn.close();
      } catch {
        // `close()` was first.
      }
    }
  }

  /** Ends the broker, and with it whoever still asks. Idempotent. */
  close(): void {
    try {
      this.#listener.close();
    } catch {
      return;
    }
    open.delete(this);
    for (const conn of this.#connections) conn.close();
    this.#connections.clear();
    removeDirectory(this.#directory);
    resourceClosed(this);
  }
}

function needed(action: string, cause?: unknown): PermissionNeededError {
  return new PermissionNeededError(
    `Cannot ${action}: permissions "exact" need a Unix socket in the directory for temporary files: add --allow-read --allow-write --allow-net`,
    { flag: "--allow-read --allow-write --allow-net", cause },
  );
}

function parseCheck(line: string): Check | undefined {
  let message: unknown;
  try {
    message = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof message !== "object" || message === null) return undefined;
  const { v, id, permission, value } = message as Record<string, unknown>;
  if (
    v !== 1 || typeof id !== "number" || typeof permission !== "string" ||
    (value !== null && typeof value !== "string")
  ) return undefined;
  return { id, permission, value };
}

function answerTo({ id, permission, value }: Check): string {
  let allowed = false;
  try {
    allowed = isAllowed(permission, value);
  } catch {
    // What cannot be asked of the parent is not granted.
  }
  const what = value === null
    ? ""
    : ` to ${JSON.stringify(value.slice(0, 256))}`;
  return JSON.stringify(
    allowed ? { id, result: "allow" } : {
      id,
      result: "deny",
      reason: isRelativePath(permission, value)
        ? `Requires ${permission} access${what}, a relative path, of which the parent process cannot tell where it leads; use an absolute one`
        : `Requires ${permission} access${what}, which the parent process does not have`,
    },
  ) + "\n";
}

/**
 * A relative path is asked for as it is written, and the child may be somewhere
 * else; a bare command is looked up along the child's PATH.
 */
function isRelativePath(permission: string, value: string | null): boolean {
  return value !== null && !value.startsWith("/") &&
    ["read", "write", "ffi", "run"].includes(permission);
}

function isAllowed(permission: string, value: string | null): boolean {
  const name = permission as PermissionName;
  if (!PERMISSION_NAMES.includes(name)) return false;
  if (has(name)) return true;
  if (value === null || value.includes("\0")) return false;
  return !isRelativePath(name, value) && has(name, value);
}
