// Copyright 2026 the multitask authors. MIT license.
// A way to a manager that can be cut, held up and delayed, in each direction.

import type { ListenerAddress, TcpAddress } from "../../ipc/_address.ts";

/** A direction of a {@linkcode Cutter}. */
export type Direction = "there" | "back";

/** See the file comment. */
export class Cutter implements Disposable {
  readonly #listener: Deno.TcpListener;
  readonly #target: TcpAddress;
  readonly #conns = new Set<Deno.Conn>();
  readonly #held = new Map<Direction, PromiseWithResolvers<void>>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  /** How long each piece takes, in milliseconds. */
  delay: () => number = () => 0;
  #isOpen = true;

  constructor(target: ListenerAddress) {
    this.#target = target as TcpAddress; // Tests use ports.
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#run();
  }

  get address(): ListenerAddress {
    const { hostname, port } = this.#listener.addr;
    return { hostname, port };
  }

  async #run(): Promise<void> {
    for await (const near of this.#listener) {
      if (!this.#isOpen) {
        near.close();
        continue;
      }
      try {
        const { hostname, port } = this.#target;
        const far = await Deno.connect({ hostname, port });
        this.#conns.add(near).add(far);
        this.#pump(near, far, "there");
        this.#pump(far, near, "back");
      } catch {
        near.close();
      }
    }
  }

  async #pump(
    from: Deno.Conn,
    to: Deno.Conn,
    direction: Direction,
  ): Promise<void> {
    const buffer = new Uint8Array(1 << 16);
    try {
      for (let n; (n = await from.read(buffer)) !== null;) {
        let rest: Uint8Array = buffer.slice(0, n);
        const ms = this.delay();
        if (ms > 0) await this.#sleep(ms);
        await this.#held.get(direction)?.promise;
        while (rest.length > 0) rest = rest.subarray(await to.write(rest));
      }
      await to.closeWrite();
    } catch {
      for (const conn of [from, to]) this.#close(conn);
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        resolve();
      }, ms);
      this.#timers.add(timer);
    });
  }

  #close(conn: Deno.Conn): void {
    this.#conns.delete(conn);
    try {
      conn.close();
    } catch {
      // It is closed.
    }
  }

  /** Breaks what is connected; what comes later is let through, or not. */
  cut({ stayCut = false } = {}): void {
    this.#isOpen = !stayCut;
    for (const conn of this.#conns) this.#close(conn);
  }

  /** Lets connections through again. */
  mend(): void {
    this.#isOpen = true;
  }

  /** Nothing gets through in a direction, and nobody is told. */
  hold(direction: Direction): void {
    this.#held.set(direction, Promise.withResolvers());
  }

  [Symbol.dispose](): void {
    for (const held of this.#held.values()) held.resolve();
    this.#held.clear();
    this.cut({ stayCut: true });
    this.#listener.close();
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
