// Copyright 2026 the multitask authors. MIT license.
// A manager and clients of it, within one process.

import { Manager, type ManagerOptions } from "../../distributed/manager.ts";
import { SyncManager } from "../../distributed/sync_manager.ts";
import { liveResources } from "../../ipc/_live.ts";
import { bounded, turn } from "../ipc/_waits.ts";
import { assertEquals } from "@std/assert";

/** A key for both sides. */
export const KEY = "the key of the tests";

type Registered = Readonly<
  // deno-lint-ignore no-explicit-any -- any arguments.
  Record<string, (...args: any[]) => unknown>
>;

/** A class of managers that shares some things. */
export function managerOf(registered: Registered): typeof Manager {
  class Served extends Manager {}
  for (const [name, callable] of Object.entries(registered)) {
    Served.register(name, callable);
  }
  return Served;
}

/** A manager that serves, and those who connect to it. */
export class Served implements AsyncDisposable {
  readonly manager: Manager;
  readonly #type: typeof Manager;
  readonly #clients: Manager[] = [];

  private constructor(manager: Manager, type: typeof Manager) {
    this.manager = manager;
    this.#type = type;
  }

  static async start(
    registered: Registered = {},
    options: ManagerOptions = {},
  ): Promise<Served> {
    const type = managerOf(registered);
    const manager = new type({ authkey: KEY, ...options });
    serving++;
    await bounded(manager.start());
    return new Served(manager, type);
  }

  /** Connects one more. */
  async connect(options: ManagerOptions = {}): Promise<Manager> {
    const { address } = this.manager;
    const client = new this.#type({ address, authkey: KEY, ...options });
    await bounded(client.connect());
    this.#clients.push(client);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await bounded(Promise.all(this.#clients.map((one) => one.shutdown())));
    await bounded(this.manager.shutdown());
    await untilNothingIsOpen();
  }
}

/** The same of a manager that makes objects. */
export class Sync implements AsyncDisposable {
  readonly manager: SyncManager;
  readonly client: SyncManager;
  readonly #others: SyncManager[] = [];

  private constructor(manager: SyncManager, client: SyncManager) {
    this.manager = manager;
    this.client = client;
  }

  static async start(options: ManagerOptions = {}): Promise<Sync> {
    const manager = new SyncManager({ authkey: KEY, ...options });
    serving++;
    await bounded(manager.start());
    const { address } = manager;
    const client = new SyncManager({ address, authkey: KEY, ...options });
    await bounded(client.connect());
    return new Sync(manager, client);
  }

  async connect(options: ManagerOptions = {}): Promise<SyncManager> {
    const { address } = this.manager;
    const other = new SyncManager({ address, authkey: KEY, ...options });
    await bounded(other.connect());
    this.#others.push(other);
    return other;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#others, this.client, this.manager];
    for (const one of all) await bounded(one.shutdown());
    await untilNothingIsOpen();
  }
}

/** How many managers of a test serve. */
let serving = 0;

/** Waits for what is closed in the background. */
export async function untilNothingIsOpen(): Promise<void> {
  if (--serving > 0) return;
  for (let i = 0; i < 1000 && liveResources().length > 0; i++) await turn();
  assertEquals(liveResources(), []);
}

/** Waits until something holds, but not for ever. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
): Promise<void> {
  const end = performance.now() + 20_000;
  while (!await condition()) {
    if (performance.now() > end) throw new Error(`Not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
