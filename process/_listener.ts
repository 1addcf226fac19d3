// Copyright 2026 the multitask authors. MIT license.
// Where a parent waits for its children: a Unix socket or a loopback port. Only
// a child that shows its token gets in; whoever else connects, and whatever
// they send, is dropped, and the parent goes on.

import { privateDirectory, removeDirectory } from "./_private_directory.ts";
import { startTimer } from "../ipc/_timer.ts";
import { resourceClosed, resourceOpened } from "../ipc/_live.ts";
import { type Address, HELLO_SIZE, isToken, Role } from "./_protocol.ts";

/** A connection that a child has made. */
export interface ChildStream {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
  ref(): void;
  unref(): void;
}

/** What becomes of a child's connections. */
export interface Expectation {
  readonly token: Uint8Array;
  /** The channel; a second one is dropped. */
  channel(stream: ChildStream): void;
  /** A connection for blocking requests. */
  sync(stream: ChildStream): void;
}

/**
 * - `abstract`: a Unix socket with a name and no file (Linux): nothing to leave
 *   behind. Its name cannot be named in a permission flag.
 * - `unix`: a Unix socket in a private directory.
 * - `tcp`: a port of 127.0.0.1.
 */
export type ListenerKind = "abstract" | "unix" | "tcp";

/** Somebody who connects and says nothing is dropped after this long. */
const HELLO_PATIENCE = 10_000;

/**
 * So many may be about to say who they are. A child does so at once, so that
 * among more the oldest is none.
 */
const MAX_STRANGERS = 128;

const open = new Map<ListenerKind, ChildListener>();

/** Descriptors have run out: waits for some to be given back. */
export function tooManyOpen(): Promise<void> {
  return new Promise((resolve) => {
    startTimer(resolve, 100, { unref: true });
  });
}

/** A socket that children connect to. */
export class ChildListener {
  readonly address: Address;
  readonly directory: string | undefined;
  readonly #kind: ListenerKind;
  readonly #listener: Deno.Listener<Deno.Conn>;
  readonly #expected = new Set<Expectation & { arrived?: boolean }>();
  /** Who has not said yet who they are, the oldest first. */
  readonly #strangers = new Set<Deno.Conn>();

  private constructor(kind: ListenerKind) {
    this.#kind = kind;
    if (kind === "tcp") {
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      this.#listener = listener;
      this.address = { kind: "tcp", port: listener.addr.port };
    } else {
      // Removed when the last child is gone; a child that outlives its parent
      // for a moment removes it otherwise.
      this.directory = kind === "unix" ? privateDirectory() : undefined;
      const path = this.directory === undefined
        ? `\0multitask-${crypto.randomUUID()}`
        : `${this.directory}/socket`;
      this.#listener = Deno.listen({ transport: "unix", path });
      this.address = { kind: "unix", path };
    }
    // Children keep the program alive, not the socket they come through.
    this.#listener.unref();
    resourceOpened(this, `listener for children (${kind})`);
  }

  /** The open listener of a kind, made if there is none. */
  static get(kind: ListenerKind): ChildListener {
    let listener = open.get(kind);
    if (listener === undefined) {
      listener = new ChildListener(kind);
      open.set(kind, listener);
      listener.#accept();
    }
    return listener;
  }

  /** Lets a child in; call the result when it is gone. */
  expect(expectation: Expectation): () => void {
    this.#expected.add(expectation);
    return () => {
      this.#expected.delete(expectation);
      if (this.#expected.size === 0) this.#close();
    };
  }

  async #accept(): Promise<void> {
    while (true) {
      let conn: Deno.Conn;
      try {
        conn = await this.#listener.accept();
      } catch {
        if (open.get(this.#kind) !== this) return; // It was closed.
        await tooManyOpen();
        continue;
      }
      if (this.#strangers.size >= MAX_STRANGERS) {
        const [oldest] = this.#strangers;
        this.#strangers.delete(oldest!);
        closeQuietly(oldest!);
      }
      this.#meet(conn);
    }
  }

  async #meet(conn: Deno.Conn): Promise<void> {
    this.#strangers.add(conn);
    // What has not shown a token holds nothing up.
    conn.unref();
    const stopTimer = startTimer(
      () => closeQuietly(conn),
      HELLO_PATIENCE,
      { unref: true },
    );
    try {
      const hello = new Uint8Array(HELLO_SIZE);
      let have = 0;
      while (have < HELLO_SIZE) {
        const count = await conn.read(hello.subarray(have));
        if (count === null) throw new Error("It left");
        have += count;
      }
      const child = this.#find(hello.subarray(1));
      if (child === undefined) throw new Error("A stranger");
      if (hello[0] === Role.Channel && !child.arrived) {
        child.arrived = true;
        child.channel(conn);
      } else if (hello[0] === Role.Sync) child.sync(conn);
      else throw new Error("A stranger");
    } catch {
      closeQuietly(conn);
    } finally {
      stopTimer();
      this.#strangers.delete(conn);
    }
  }

  #find(token: Uint8Array): (Expectation & { arrived?: boolean }) | undefined {
    let found;
    for (const child of this.#expected) {
      if (isToken(token, child.token)) found = child;
    }
    return found;
  }

  #close(): void {
    // The end of the program, and of its last child, may both come here.
    if (open.get(this.#kind) !== this) return;
    open.delete(this.#kind);
    this.#listener.close();
    if (this.directory !== undefined) removeDirectory(this.directory);
    resourceClosed(this);
  }

  /** Removes what would be left behind: for the end of the program. */
  static closeAll(): void {
    for (const listener of open.values()) listener.#close();
  }
}

function closeQuietly(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // It was closed already.
  }
}
