// Copyright 2026 the multitask authors. MIT license.

import { shown } from "../ipc/_options.ts";
import { isHiddenName } from "./_wire.ts";
import { callName, Manager, type ManagerOptions } from "./manager.ts";
import type { ManagerStatus } from "./_server.ts";
import type { WaitOptions } from "../ipc/_options.ts";
import type { ListenerAddress } from "../ipc/_address.ts";
import type { RemoteRegistered } from "./remote.ts";

/** Names, and the functions that give what is shared under them. */
// deno-lint-ignore no-explicit-any -- any arguments: they are those of the names.
export type ManagerDefinitions = Record<string, (...args: any[]) => unknown>;

/** What all managers have. */
export interface ManagerBase extends AsyncDisposable {
  /** See {@linkcode Manager.address}. */
  readonly address: ListenerAddress;
  /** See {@linkcode Manager.start}. */
  start(): Promise<void>;
  /** See {@linkcode Manager.serveForever}. */
  serveForever(options?: Pick<WaitOptions, "signal">): Promise<void>;
  /** See {@linkcode Manager.connect}. */
  connect(options?: WaitOptions): Promise<void>;
  /** See {@linkcode Manager.shutdown}. */
  shutdown(): Promise<void>;
  /** See {@linkcode Manager.status}. */
  status(): Promise<ManagerStatus>;
}

/** A manager whose names are known to the compiler. */
export type DefinedManager<D extends ManagerDefinitions> =
  & ManagerBase
  & {
    readonly [N in keyof D]: (
      ...args: Parameters<D[N]>
    ) => Promise<RemoteRegistered<Awaited<ReturnType<D[N]>>>>;
  };

/** A class of managers whose names are known to the compiler. */
export interface DefinedManagerClass<D extends ManagerDefinitions> {
  /** See {@linkcode Manager}. */
  new (options?: ManagerOptions): DefinedManager<D>;
  /** What it was defined by; only for the compiler. */
  readonly definitions?: D;
}

/**
 * Makes a class of managers whose names, arguments and results the compiler
 * knows, on both sides.
 *
 * Python has no counterpart; it does what `class QueueManager(BaseManager)` and
 * its `register` calls do.
 *
 * @param definitions Names, and functions that give what is shared. The other
 * side gives their type instead: `defineManager<typeof Master>()`.
 * @throws {TypeError} If a name is private or one of the manager's own, or if
 * something is no function.
 *
 * @example
 * ```ts
 * import { defineManager } from "@multitask/std/distributed";
 * import { Queue } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const taskQueue = new Queue<number>();
 * const Master = defineManager({ getTaskQueue: () => taskQueue });
 * await using master = new Master({ authkey: "a long random secret" });
 * await master.start();
 *
 * // In another program, with `import type` of the class.
 * const Worker = defineManager<typeof Master>();
 * await using worker = new Worker({
 *   address: master.address,
 *   authkey: "a long random secret",
 * });
 * await worker.connect();
 * const tasks = await worker.getTaskQueue();
 * await tasks.put(1); // A string would not compile.
 * assertEquals(await taskQueue.get(), 1);
 * ```
 */
export function defineManager<D extends ManagerDefinitions>(
  definitions: D,
): DefinedManagerClass<D>;
/** The same for the other side, by the type of the class. */
export function defineManager<
  // deno-lint-ignore no-explicit-any -- of whatever definitions.
  C extends DefinedManagerClass<any>,
>(): DefinedManagerClass<NonNullable<C["definitions"]>>;
export function defineManager(
  definitions?: ManagerDefinitions,
): DefinedManagerClass<ManagerDefinitions> {
  if (definitions === undefined) return anyNames();
  if (typeof definitions !== "object" || definitions === null) {
    throw new TypeError(
      `Cannot define manager: the definitions must be an object, received ${
        shown(definitions)
      }`,
    );
  }
  const type = class extends Manager {};
  for (const [name, callable] of Object.entries(definitions)) {
    type.register(name, callable);
  }
  return type as unknown as DefinedManagerClass<ManagerDefinitions>;
}

/** A class of clients that know only at run time which names there are. */
function anyNames(): DefinedManagerClass<ManagerDefinitions> {
  const type = class extends Manager {
    constructor(options?: ManagerOptions) {
      super(options);
      return new Proxy(this, {
        get(manager, name) {
          if (typeof name === "symbol" || name in manager) {
            const value: unknown = Reflect.get(manager, name, manager);
            return typeof value === "function" ? value.bind(manager) : value;
          }
          if (isHiddenName(name)) return undefined;
          return (...args: unknown[]) => callName(manager, name, args, true);
        },
      });
    }
  };
  return type as unknown as DefinedManagerClass<ManagerDefinitions>;
}
