// Copyright 2026 the multitask authors. MIT license.

import {
  ANY_LOCAL_PORT,
  isLocal,
  type ListenerAddress,
  parseAddress,
  showAddress,
} from "../ipc/_address.ts";
import { type GateOptions, MAX_STRANGERS } from "../ipc/_gate.ts";
import { checkKey } from "../ipc/_handshake.ts";
import type { ClientTlsOptions, ListenerTlsOptions } from "../ipc/_network.ts";
import {
  checkInteger,
  checkNonNegative,
  checkWait,
  shown,
  type WaitOptions,
} from "../ipc/_options.ts";
import type { PeerOptions } from "../ipc/_peer.ts";
import { waitFor } from "../ipc/_waiting.ts";
import { InvalidStateError } from "../ipc/errors.ts";
import { listenMutually } from "./_mutual_tls.ts";
import type { ShareOptions } from "./_object_servant.ts";
import { type ManagerStatus, type Registered, Server } from "./_server.ts";
import { Session } from "./_session.ts";
import { sessionFor, type Ticket } from "./_ticket.ts";
import { isHiddenName, STATUS } from "./_wire.ts";

/** Certificates of a manager, and of those who connect to it. */
export interface ManagerTlsOptions
  extends Partial<ListenerTlsOptions>, ClientTlsOptions {
  /**
   * The certificate of this side, as PEM. Who serves needs one; who connects
   * only where clients are asked for theirs.
   */
  cert?: string;
  /** The private key of the certificate, as PEM. */
  key?: string;
  /**
   * Who serves asks clients for a certificate, which has to be of one of these
   * roots, each as PEM.
   *
   * @default {undefined} clients need no certificate
   */
  clientCaCerts?: readonly string[];
}

/** Options of a {@linkcode Manager}. */
export interface ManagerOptions extends PeerOptions {
  /**
   * Where the manager is: a port, a Unix socket, or `"host:port"`. Port 0 is any
   * that is free, for one that serves.
   *
   * @default {{ hostname: "127.0.0.1", port: 0 }}
   */
  address?: ListenerAddress | string;
  /**
   * The key that both sides prove to know. Long and random. Python's default is
   * a random one of the process; here it is given, or `insecure` set.
   */
  authkey?: string | Uint8Array;
  /**
   * Encrypts the connections. An address that other machines reach needs it.
   *
   * @default {undefined} no TLS
   */
  tls?: ManagerTlsOptions;
  /**
   * Whether to serve at an address that other machines reach without `tls`, or
   * without `authkey`.
   *
   * @default {false}
   */
  insecure?: boolean;
  /**
   * How often each side says that it is there, in milliseconds.
   *
   * @default {2_500}
   */
  heartbeatInterval?: number;
  /**
   * After how long a silence the other side is taken for gone, in milliseconds.
   *
   * @default {10_000}
   */
  heartbeatTimeout?: number;
  /**
   * How long a manager waits for a guest whose connection broke, in milliseconds:
   * then what the guest holds without a `ttl` is free.
   *
   * @default {5_000}
   */
  sessionTimeout?: number;
  /**
   * How long a connection that broke is tried to be made again, in milliseconds:
   * then the calls that wait for it fail.
   *
   * @default {30_000}
   */
  reconnectTimeout?: number;
  /**
   * How many items and fields a message may have in all: a few bytes are as many
   * of them, which take more memory here. Bytes of a typed array count once.
   *
   * @default {4_194_304}
   */
  maxValues?: number;
  /**
   * How many may be about to prove who they are, for one that serves: one more,
   * and the oldest has to go.
   *
   * @default {128}
   */
  maxUnauthenticated?: number;
  /**
   * Error classes of the program, so that errors of theirs arrive as themselves.
   * Built-in ones and those of this package do.
   *
   * @default {[]}
   */
  // deno-lint-ignore no-explicit-any -- a constructor of whatever arguments.
  errorClasses?: readonly (new (...args: any[]) => Error)[];
}

/** Options of {@linkcode Manager.register}. */
export interface ManagerRegisterOptions {
  /**
   * The names of the object that can be reached.
   *
   * @default {undefined} all public methods and getters
   */
  exposed?: readonly string[];
  /**
   * Methods whose results are shared as objects themselves, and not copied.
   * Python: `method_to_typeid`.
   *
   * @default {[]}
   */
  shared?: readonly string[];
  /**
   * For a queue: how often a leased item may be tried in all.
   *
   * @default {5}
   */
  maxAttempts?: number;
}

const MAX_VALUES = 1 << 22;

/** What is registered with each class. */
const registries = new WeakMap<object, Map<string, Registered>>();

/** What is registered with a class and those that it extends. */
function registryOf(type: object): Map<string, Registered> {
  const all = new Map<string, Registered>();
  for (
    let at = type;
    at !== Function.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    for (const [name, registered] of registries.get(at) ?? []) {
      if (!all.has(name)) all.set(name, registered);
    }
  }
  return all;
}

/** Registers a name without a method. For this package only. */
export function registerName(
  type: object,
  name: string,
  callable: ((...args: never[]) => unknown) | undefined,
  options: ShareOptions = {},
): void {
  const registry = registries.get(type) ?? new Map<string, Registered>();
  registries.set(type, registry.set(name, { callable, options }));
}

/** Calls a registered name. For this package only. */
export let callName: (
  manager: Manager,
  name: string,
  args: readonly unknown[],
  isRenewable: boolean,
) => Promise<unknown>;

/** The session of a manager. For this package only. */
export let sessionOf: (manager: Manager) => Session;

/** The server of a manager that serves. For this package only. */
export let serverOf: (manager: Manager) => Server | undefined;

/**
 * Shares objects with other processes, on this machine and on others.
 *
 * Python: `multiprocessing.managers.BaseManager`. The differences: `start` serves
 * in this process; what crosses is data, never code, and a holder of the key
 * runs nothing but the methods of what is shared; a connection that breaks is made
 * again, and what was under way is told; queues have leases, so that no item is
 * lost with a worker; nobody who is silent or hostile holds up others.
 *
 * Registered names are methods: they give proxies of what the callable gives, or
 * copies of data. The same object has the same proxy. A proxy whose manager was
 * restarted is got again by its name.
 *
 * ```text
 * new --start--> serving --shutdown--> over
 *   \--connect--> connected --shutdown--> over
 * ```
 *
 * **Errors**: what a method throws arrives as it is, with the remote stack in its
 * `cause`. A call whose connection broke rejects with `ConnectionClosedError` and
 * is not repeated; calls made while there is no connection wait for one.
 *
 * **Program end**: calls that wait keep the program alive, and so does
 * `serveForever`; `start` and `connect` do not.
 *
 * **On one machine** (Linux): who has connected to a loopback port, without
 * `tls`, comes again by a Unix socket without a file that the manager names, if
 * both sides have the whole of `read`, `write` and `net`; that costs the system
 * less. Behind a tunnel or on another port, the first connection stays.
 *
 * @example
 * ```ts
 * import { Manager } from "@multitask/std/distributed";
 * import { Queue } from "@multitask/std/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const taskQueue = new Queue<number>();
 * class QueueManager extends Manager {}
 * QueueManager.register("getTaskQueue", () => taskQueue);
 * await using manager = new QueueManager({ authkey: "a long random secret" });
 * await manager.start();
 *
 * // The other side, mostly in another program:
 * class QueueClient extends Manager {}
 * QueueClient.register("getTaskQueue");
 * await using client = new QueueClient({
 *   address: manager.address,
 *   authkey: "a long random secret",
 * });
 * await client.connect();
 * const tasks = await client.getTaskQueue();
 * await tasks.put(1);
 * assertEquals(await taskQueue.get(), 1);
 * ```
 */
export class Manager implements AsyncDisposable {
  static {
    callName = (manager, name, args, isRenewable) =>
      manager.#use(name).call(manager.#session!.manager, name, args, {
        isCopy: true,
        isRenewable,
      });
    sessionOf = (manager) => manager.#use("use the manager");
    serverOf = (manager) => manager.#server;
  }

  /** What was registered by name. */
  // deno-lint-ignore no-explicit-any -- names are known when the program runs.
  [registered: string]: any;

  readonly #options: ManagerOptions;
  readonly #address: ListenerAddress;
  readonly #ticket: Omit<Ticket, "address">;
  readonly #over = Promise.withResolvers<void>();
  #server: Server | undefined;
  #session: Session | undefined;
  #shutdown: Promise<void> | undefined;

  /**
   * Checks the options; {@linkcode Manager.start} or
   * {@linkcode Manager.connect} goes on.
   *
   * @throws {TypeError} If an option is wrong, or if there is neither `authkey`
   * nor `insecure`.
   * @throws {RangeError} If a number is out of range or the key is empty.
   */
  constructor(options: ManagerOptions = {}) {
    const action = "create manager";
    if (typeof options !== "object" || options === null) {
      throw new TypeError(
        `Cannot ${action}: the options must be an object, received ${
          shown(options)
        }`,
      );
    }
    this.#options = { ...options };
    this.#address = parseAddress(action, options.address ?? ANY_LOCAL_PORT);
    this.#ticket = checkOptions(action, options);
  }

  /**
   * Registers a name with this class: it becomes a method of its instances.
   *
   * Python: `BaseManager.register`.
   *
   * @param name A name that is not private and not taken.
   * @param callable Gives the object, on the serving side. It may take arguments,
   * and be async. The other side leaves it out.
   * @throws {TypeError} If an argument is wrong, or the name is one of the
   * manager's own.
   */
  static register(
    name: string,
    // deno-lint-ignore no-explicit-any -- any arguments, which are checked there.
    callable?: (...args: any[]) => unknown,
    options: ManagerRegisterOptions = {},
  ): void {
    const action = "register";
    if (typeof name !== "string" || isHiddenName(name)) {
      throw new TypeError(
        `Cannot ${action}: "name" must be a string that is no private name, received ${
          shown(name)
        }`,
      );
    }
    const isOwn = registryOf(this).has(name);
    if (!isOwn && name in this.prototype) {
      throw new TypeError(
        `Cannot ${action}: "name" must not be a member of the manager itself, received ${
          shown(name)
        }`,
      );
    }
    if (callable !== undefined && typeof callable !== "function") {
      throw new TypeError(
        `Cannot ${action}: "callable" must be a function, received ${
          shown(callable)
        }`,
      );
    }
    checkRegisterOptions(action, options);
    registerName(this, name, callable, { ...options });
    Object.defineProperty(this.prototype, name, {
      configurable: true,
      writable: true,
      value: async function (this: Manager, ...args: unknown[]) {
        return await callName(this, name, args, true);
      },
    });
  }

  /** Where the manager is; once it serves, it has the port that was free. */
  get address(): ListenerAddress {
    return this.#server?.address ?? this.#address;
  }

  /**
   * Serves in this process, from the call on. Does not keep the program alive:
   * calls that wait do, and {@linkcode Manager.serveForever}.
   *
   * Python: `BaseManager.start`, which serves in a process of its own.
   *
   * @throws {TypeError} If the address leads over the network and there is
   * neither `tls` nor `insecure`.
   * @throws {PermissionNeededError} If a permission is missing; names the flag.
   * @throws {Deno.errors.AddrInUse} If the address is taken.
   * @throws {InvalidStateError} If it serves or is connected already.
   */
  async start(): Promise<void> {
    const action = "start the manager";
    this.#checkNew(action);
    const { tls, insecure } = this.#options;
    if (tls === undefined && !insecure && !isLocal(this.#address)) {
      throw new TypeError(
        `Cannot ${action}: ${
          showAddress(this.#address)
        } leads over the network; give "tls", or insecure: true`,
      );
    }
    const { dial: { tls: _, ...peer }, heartbeat, maxValues } = this.#ticket;
    const errorClass = errorLookup(this.#options);
    const server = this.#server = new Server(
      this.#address,
      registryOf(this.constructor),
      {
        gate: {
          ...peer,
          ...(tls === undefined ? {} : this.#gateTls(action, tls)),
          maxStrangers: this.#options.maxUnauthenticated ?? MAX_STRANGERS,
        },
        heartbeat,
        sessionTimeout: this.#options.sessionTimeout ?? 5000,
        maxValues,
        errorClass,
      },
    );
    const session = this.#session = server.local = new Session({
      open: (events) => Promise.resolve(server.connectLocally(events)),
      interval: heartbeat.interval,
      reconnectTimeout: 0,
      maxValues,
      errorClass,
      where: "this process",
      ticket: () => ({ ...this.#ticket, address: reachable(server.address) }),
    });
    await session.connect({});
    server.hold(); // The program waits for this.
    try {
      await server.ready;
    } finally {
      server.release();
    }
  }

  #gateTls(
    action: string,
    tls: ManagerTlsOptions,
  ): Pick<GateOptions, "tls" | "listen"> {
    const own = serverTls(action, tls);
    const { clientCaCerts } = tls;
    const address = this.#address;
    if (clientCaCerts === undefined || "path" in address) return { tls: own };
    return {
      tls: own,
      listen: (refused) =>
        listenMutually(address, { ...own, clientCaCerts }, refused),
    };
  }

  /**
   * Serves until {@linkcode Manager.shutdown}, and keeps the program alive.
   *
   * Python: `BaseManager.get_server().serve_forever()`.
   *
   * @param options `signal` shuts the manager down.
   */
  async serveForever(options: Pick<WaitOptions, "signal"> = {}): Promise<void> {
    const { signal } = checkWait("serve", options);
    if (this.#server === undefined) await this.start();
    const server = this.#server!;
    server.hold();
    try {
      await waitFor<void>({ signal }, (waiter) => {
        this.#over.promise.then(waiter.resolve, waiter.reject);
        return () => {};
      });
    } catch (error) {
      if (error !== signal?.reason) throw error;
      await this.shutdown();
    } finally {
      server.release();
    }
  }

  /**
   * Connects to a manager that serves.
   *
   * Python: `BaseManager.connect`.
   *
   * **Cancel safety**: after an abort or a time-out nothing is left, and it may be
   * tried again.
   *
   * @throws {AuthenticationError} If the manager has another key, or is none.
   * @throws {Deno.errors.ConnectionRefused} If nobody listens at the address.
   * @throws {TimeoutError} If nobody answered in time.
   * @throws {PermissionNeededError} If a permission is missing; names the flag.
   * @throws {TypeError} If the address leads over the network with neither `tls`
   * nor `authkey`, without `insecure`.
   * @throws {InvalidStateError} If it serves or is connected already.
   */
  async connect(options?: WaitOptions): Promise<void> {
    const wait = checkWait("connect", options);
    this.#checkNew("connect");
    const ticket = { ...this.#ticket, address: this.#address };
    const session = sessionFor(ticket, errorLookup(this.#options));
    this.#session = session;
    try {
      await session.connect(wait);
    } catch (error) {
      if (this.#session === session && !this.#shutdown) {
        this.#session = undefined;
      }
      throw error;
    }
  }

  #checkNew(action: string): void {
    if (this.#shutdown !== undefined) {
      throw new InvalidStateError(`Cannot ${action}: it was shut down`);
    }
    if (this.#session === undefined) return;
    throw new InvalidStateError(
      `Cannot ${action}: it ${
        this.#server === undefined ? "is connected" : "serves"
      } already`,
    );
  }

  #use(action: string): Session {
    if (this.#session !== undefined) return this.#session;
    throw new InvalidStateError(
      `Cannot call "${action}": call start() or connect() first`,
    );
  }

  /** How the manager is: its guests, and what it has refused. */
  async status(): Promise<ManagerStatus> {
    const session = this.#use("status");
    return await session.call(session.manager, STATUS, [], {
      isCopy: true,
    }) as ManagerStatus;
  }

  /**
   * Ends it. Where it serves, its guests are told: their calls reject with
   * `ConnectionClosedError`. Where it is connected, only this connection ends.
   * Resolves when all is closed, within a few seconds. Idempotent.
   */
  shutdown(): Promise<void> {
    return this.#shutdown ??= this.#end();
  }

  async #end(): Promise<void> {
    try {
      await this.#session?.close();
    } finally {
      await this.#server?.stop();
      this.#over.resolve();
    }
  }

  /** The same as {@linkcode Manager.shutdown}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }
}

/** Where others find what listens on all interfaces. */
function reachable(address: ListenerAddress): ListenerAddress {
  if ("path" in address) return address;
  const { hostname, port } = address;
  if (hostname === "0.0.0.0") return { hostname: "127.0.0.1", port };
  if (hostname === "::") return { hostname: "::1", port };
  return address;
}

function serverTls(action: string, tls: ManagerTlsOptions): ListenerTlsOptions {
  const { cert, key } = tls;
  if (cert === undefined || key === undefined) {
    throw new TypeError(
      `Cannot ${action}: "tls.cert" and "tls.key" must be texts in PEM`,
    );
  }
  return { cert, key };
}

function errorLookup(
  { errorClasses }: ManagerOptions,
): ((name: string) => unknown) | undefined {
  if (errorClasses === undefined) return undefined;
  const byName = new Map(errorClasses.map((type) => [type.name, type]));
  return (name) => byName.get(name);
}

function checkRegisterOptions(
  action: string,
  { exposed, shared, maxAttempts }: ManagerRegisterOptions,
): void {
  for (const [name, list] of Object.entries({ exposed, shared })) {
    if (list === undefined) continue;
    const isList = Array.isArray(list) &&
      list.every((one) => typeof one === "string" && !isHiddenName(one));
    if (isList) continue;
    throw new TypeError(
      `Cannot ${action}: "${name}" must be a list of names that are not private, received ${
        shown(list)
      }`,
    );
  }
  if (maxAttempts !== undefined) {
    checkInteger(action, "maxAttempts", maxAttempts, 1);
  }
}

/** Checks the options of a manager; gives what connections need of them. */
export function checkOptions(
  action: string,
  options: ManagerOptions,
): Omit<Ticket, "address"> {
  const {
    authkey,
    tls,
    insecure = false,
    heartbeatInterval = 2500,
    heartbeatTimeout = 10_000,
    reconnectTimeout = 30_000,
    maxValues = MAX_VALUES,
    errorClasses,
  } = options;
  if (authkey !== undefined) checkKey(action, authkey);
  else if (!insecure) {
    throw new TypeError(
      `Cannot ${action}: "authkey" must be given, a long random secret, or insecure: true`,
    );
  }
  const times = {
    heartbeatInterval,
    heartbeatTimeout,
    reconnectTimeout,
    sessionTimeout: options.sessionTimeout ?? 0,
  };
  for (const [name, value] of Object.entries(times)) {
    checkNonNegative(action, name, value);
  }
  if (heartbeatInterval < 1) {
    throw new RangeError(
      `Cannot ${action}: "heartbeatInterval" must be >= 1, received ${heartbeatInterval}`,
    );
  }
  checkInteger(action, "maxValues", maxValues, 1);
  checkClientCaCerts(action, tls?.clientCaCerts);
  if (options.maxUnauthenticated !== undefined) {
    checkInteger(action, "maxUnauthenticated", options.maxUnauthenticated, 1);
  }
  if (
    errorClasses !== undefined &&
    !(Array.isArray(errorClasses) &&
      errorClasses.every((type) => typeof type === "function"))
  ) {
    throw new TypeError(
      `Cannot ${action}: "errorClasses" must be a list of classes, received ${
        shown(errorClasses)
      }`,
    );
  }
  const { maxMessage, handshakeTimeout } = options;
  return {
    dial: {
      insecure,
      ...(authkey === undefined ? {} : { authkey }),
      ...(tls === undefined ? {} : { tls: clientTls(tls) }),
      ...(maxMessage === undefined ? {} : { maxMessage }),
      ...(handshakeTimeout === undefined ? {} : { handshakeTimeout }),
    },
    heartbeat: { interval: heartbeatInterval, timeout: heartbeatTimeout },
    reconnectTimeout,
    maxValues,
  };
}

function checkClientCaCerts(action: string, texts: unknown): void {
  const isList = texts === undefined || Array.isArray(texts) &&
      texts.length > 0 && texts.every((text) => typeof text === "string");
  if (isList) return;
  throw new TypeError(
    `Cannot ${action}: "tls.clientCaCerts" must be a list of texts in PEM, received ${
      shown(texts)
    }`,
  );
}

function clientTls(
  { cert, key, caCerts }: ManagerTlsOptions,
): ClientTlsOptions {
  return {
    ...(caCerts === undefined ? {} : { caCerts }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  };
}
