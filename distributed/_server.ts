// Copyright 2026 the multitask authors. MIT license.
// The serving side of a manager: lets guests in, knows their sessions, and shares
// objects with them.
//
// Whoever comes in has proved to know the key before anything of theirs is
// decoded (ipc/_gate.ts). Then they have HELLO_BOUND to say who they are.

import { ByteReader } from "../ipc/_bytes.ts";
import { isLocal, type ListenerAddress, showAddress } from "../ipc/_address.ts";
import type { ErrorClassLookup } from "../ipc/_error_codec.ts";
import { type Admitted, Gate, type GateOptions } from "../ipc/_gate.ts";
import type { Shortcut } from "../ipc/_network.ts";
import { self } from "../ipc/_self.ts";
import { startTimer } from "../ipc/_timer.ts";
import {
  AuthenticationError,
  SerializationError,
  TimeoutError,
} from "../ipc/errors.ts";
import { Guest, type GuestIdentity, type Host } from "./_guest.ts";
import {
  type Heartbeat,
  type Line,
  type LineEvents,
  localLines,
  SocketLine,
} from "./_line.ts";
import { type Entry, isIpcObject, ObjectTable } from "./_objects.ts";
import { SharedResult, type ShareOptions } from "./_object_servant.ts";
import { noSuchMethod, type Servant } from "./_servant.ts";
import type { Session } from "./_session.ts";
import { isData } from "./_shape.ts";
import { targetOf } from "./_target.ts";
import { EngineServant } from "./_engine_servant.ts";
import { MemoryEngine } from "./memory_engine.ts";
import {
  ENGINE,
  Frame,
  Kind,
  NO_SHAPE,
  PROTOCOL,
  type Ref,
  STATUS,
  VOUCH,
} from "./_wire.ts";

/** What is registered under a name. */
export interface Registered {
  /** Makes, or gives, the object. */
  readonly callable: ((...args: never[]) => unknown) | undefined;
  readonly options: ShareOptions;
}

/** Names, and what is registered under them. */
export type Registry = ReadonlyMap<string, Registered>;

/** How a server works; the options have been checked. */
export interface ServerOptions {
  readonly gate: GateOptions;
  readonly heartbeat: Heartbeat;
  readonly sessionTimeout: number;
  readonly maxValues: number;
  readonly errorClass: ErrorClassLookup | undefined;
}

/** A guest, as `status` tells. */
export interface ManagerGuestStatus {
  /** What it is called, for example `MainProcess`. */
  readonly name: string;
  /** Its process id, on its machine. */
  readonly pid: number;
  /** Where it comes from. */
  readonly address: string;
  /** When its session began, in milliseconds since 1970. */
  readonly since: number;
  /** Whether it is connected at this moment. */
  readonly connected: boolean;
  /** How many calls it has made. */
  readonly calls: number;
  /** How many of them wait. */
  readonly pending: number;
  /** How many leases, locks and permits it has that last as long as it is there. */
  readonly holds: number;
}

/** What was refused, and how often. */
export interface ManagerRefusals {
  /** Who has another key, or speaks another protocol. */
  readonly authentication: number;
  /** Who did not prove who they are in time. */
  readonly late: number;
  /** Who left, or was crowded out, before that. */
  readonly left: number;
  /** Who knew the key and then broke the protocol. */
  readonly protocol: number;
  /** Calls of names that are not shared. */
  readonly call: number;
  /** Arguments that could not be decoded. */
  readonly value: number;
}

/** How a manager is. */
export interface ManagerStatus {
  /** Where it serves. */
  readonly address: ListenerAddress;
  /** How long it has been there, in milliseconds. */
  readonly uptime: number;
  /** Its guests. */
  readonly guests: readonly ManagerGuestStatus[];
  /** How many are about to prove who they are. */
  readonly strangers: number;
  /** How many have proved it so far. */
  readonly admitted: number;
  /** What was refused so far. */
  readonly refused: ManagerRefusals;
  /** How many objects are shared. */
  readonly objects: number;
}

/** How long one who is in may take to say who it is, in milliseconds. */
const HELLO_BOUND = 10_000;

const NO_SHORTCUT: Shortcut = { path: "", token: "", port: 0 };

/** The longest texts of a Hello. */
const MAX_NAME = 200;

type Counts = { -readonly [K in keyof ManagerRefusals]: number };

/** See the file comment. */
export class Server implements Host, Servant {
  // As the object that the manager itself is:
  readonly kind = Kind.Object;
  readonly shape = NO_SHAPE;
  readonly keepsProxies = false;
  // As the host of guests:
  readonly objects: ObjectTable = new ObjectTable(this);
  readonly maxValues: number;
  readonly errorClass: ErrorClassLookup | undefined;
  readonly sessionTimeout: number;

  /** Tells this manager from all others. */
  readonly id: string = crypto.randomUUID();
  readonly #registry: Registry;
  readonly #options: ServerOptions;
  readonly #gate: Gate;
  readonly #guests = new Map<string, Guest>();
  /** Who is in and has not said who it is. */
  readonly #unnamed = new Set<Line>();
  readonly #startedAt = performance.now();
  #admitted = 0;
  readonly #refused: Counts = {
    authentication: 0,
    late: 0,
    left: 0,
    protocol: 0,
    call: 0,
    value: 0,
  };
  readonly #engine: SharedResult;
  /** The session of this process with itself. */
  #local: Session | undefined;

  /** Serves from now on. */
  constructor(
    address: ListenerAddress,
    registry: Registry,
    options: ServerOptions,
  ) {
    this.#registry = registry;
    this.#options = options;
    this.maxValues = options.maxValues;
    this.errorClass = options.errorClass;
    this.sessionTimeout = options.sessionTimeout;
    const servant = new EngineServant(new MemoryEngine());
    this.#engine = new SharedResult(servant, { servant });
    const { gate } = options;
    const offersShortcut = gate.tls === undefined;
    this.#gate = new Gate(address, { ...gate, offersShortcut }, {
      admitted: (admitted) => this.#meet(admitted),
      refused: (error) => this.#refuse(error),
    });
  }

  get address(): ListenerAddress {
    return this.#gate.address;
  }

  /** Resolves when it can be reached. */
  get ready(): Promise<void> {
    return this.#gate.ready;
  }

  hold(): void {
    this.#gate.hold();
  }

  release(): void {
    this.#gate.release();
  }

  // ---- Coming in ----

  #refuse(error: Error): void {
    if (error instanceof AuthenticationError) this.#refused.authentication++;
    else if (error instanceof TimeoutError) this.#refused.late++;
    else this.#refused.left++;
  }

  #meet({ socket, limits, address, isAgain }: Admitted): void {
    if (!isAgain) this.#admitted++;
    const from = address === undefined ? "" : showAddress(address);
    let guest: Guest | undefined;
    const stopTimer = startTimer(
      () => line.close("it has not said who it is"),
      HELLO_BOUND,
      { unref: true },
    );
    let identity: GuestIdentity | undefined;
    const events: LineEvents = {
      frame: (kind, body) => {
        if (guest !== undefined) return guest.frame(kind, body);
        if (identity === undefined) {
          // Others could not take it.
          const shortcut = address !== undefined && isLocal(address)
            ? this.#gate.offerShortcut(limits)
            : undefined;
          identity = this.#welcome(line, kind, body, shortcut);
          if (isAgain) return; // Until it is sure that it takes this line.
        } else if (kind !== Frame.Take) {
          throw new RangeError("Cannot read a frame before Take");
        }
        stopTimer();
        this.#unnamed.delete(line);
        guest = this.#arrive(line, identity, from);
      },
      end: (error) => {
        stopTimer();
        this.#unnamed.delete(line);
        // What was found wrong with a frame; the platform throws no such errors.
        const { cause } = error;
        if (
          cause instanceof RangeError || cause instanceof SerializationError
        ) this.#refused.protocol++;
        guest?.leave(line);
      },
    };
    const line = new SocketLine(
      socket,
      limits,
      events,
      this.#options.heartbeat,
    );
    this.#unnamed.add(line);
  }

  /** Answers who says who it is. */
  #welcome(
    line: Line,
    kind: number,
    body: Uint8Array,
    shortcut: Shortcut = NO_SHORTCUT,
  ): GuestIdentity {
    if (kind !== Frame.Hello) {
      throw new RangeError("Cannot read a frame before Hello");
    }
    const input = new ByteReader(body);
    const version = input.u8();
    if (version !== PROTOCOL) {
      throw new RangeError(`Cannot speak version ${version} of the protocol`);
    }
    const identity: GuestIdentity = {
      session: input.text(),
      name: input.text().slice(0, MAX_NAME),
      pid: input.varint(),
    };
    if (identity.session.length > MAX_NAME) {
      throw new RangeError("Cannot read the name of a session");
    }
    line.listenFor(input.varint());
    const out = line.begin(Frame.Welcome);
    out.u8(PROTOCOL);
    out.u8(this.#guests.has(identity.session) ? 1 : 0);
    out.text(this.id);
    out.text(self.name);
    out.varint(Deno.pid);
    out.varint(Math.ceil(this.#options.heartbeat.interval));
    out.text(shortcut.path);
    out.text(shortcut.token);
    // Behind another one somebody may pass on what comes.
    out.varint(shortcut.port);
    line.commit();
    return identity;
  }

  /** A line is that of a guest from now on, who may have been here before. */
  #arrive(line: Line, identity: GuestIdentity, from: string): Guest {
    let guest = this.#guests.get(identity.session);
    if (guest === undefined) {
      guest = new Guest(this, identity, from);
      this.#guests.set(identity.session, guest);
    }
    guest.arrive(line);
    return guest;
  }

  /** Connects this process with itself. */
  connectLocally(events: LineEvents): Line {
    let guest: Guest | undefined;
    const [near, far] = localLines(events, {
      frame: (kind, body) => {
        if (guest !== undefined) return guest.frame(kind, body);
        const identity = this.#welcome(far, kind, body);
        guest = this.#arrive(far, identity, "this process");
      },
      end: () => guest?.leave(far),
    }, this.#gate);
    return near;
  }

  /** Says which session is that of this process with itself. */
  set local(session: Session) {
    this.#local = session;
  }

  // ---- What guests need ----

  isShared(object: object): boolean {
    return object instanceof SharedResult || this.objects.has(object) ||
      isIpcObject(object) || this.#isOwnProxy(object);
  }

  #isOwnProxy(object: object): boolean {
    return targetOf(object)?.serverId === this.id;
  }

  entryOf(object: object): Entry {
    if (object instanceof SharedResult) {
      return this.objects.share(object.object, object.options);
    }
    const target = targetOf(object);
    return target?.serverId === this.id
      ? this.objects.get(target.id)
      : this.objects.share(object);
  }

  localProxy(ref: Ref): object {
    return this.#local!.proxyFor(ref);
  }

  refused(what: "call" | "value"): void {
    this.#refused[what]++;
  }

  ended(guest: Guest): void {
    if (this.#guests.get(guest.identity.session) === guest) {
      this.#guests.delete(guest.identity.session);
    }
  }

  // ---- The manager as an object ----

  call(name: string, args: readonly unknown[]): unknown {
    if (name === STATUS) return this.status();
    if (name === ENGINE) return this.#engine;
    if (name === VOUCH) return this.#vouch(args);
    const registered = this.#registry.get(name);
    if (registered?.callable === undefined) throw noSuchMethod(name);
    const { callable, options } = registered;
    const result = Reflect.apply(callable, undefined, args);
    return result instanceof Promise
      ? result.then((value) => shared(value, options))
      : shared(result, options);
  }

  /** Somebody says that a guest is there, which is busy. */
  #vouch([session]: readonly unknown[]): void {
    this.#guests.get(String(session))?.vouched();
  }

  status(): ManagerStatus {
    return {
      address: this.address,
      uptime: performance.now() - this.#startedAt,
      guests: [...this.#guests.values()].map((guest) => ({
        name: guest.identity.name,
        pid: guest.identity.pid,
        address: guest.from,
        since: guest.since,
        connected: guest.isPresent,
        calls: guest.made,
        pending: guest.pending,
        holds: guest.holds.size,
      })),
      strangers: this.#gate.strangers,
      admitted: this.#admitted,
      refused: { ...this.#refused },
      objects: this.objects.size,
    };
  }

  /** Tells all guests, and stops. */
  async stop(): Promise<void> {
    this.#gate.hold(); // The program waits for this.
    this.#gate.close();
    for (const line of this.#unnamed) line.close("the manager has ended");
    await Promise.all(
      [...this.#guests.values()].map((guest) => guest.dismiss()),
    );
    this.objects.end();
    await this.#gate.gone;
  }
}

/** What comes of a registered name: objects are shared, data is copied. */
function shared(value: unknown, options: ShareOptions): unknown {
  if (typeof value !== "object" || value === null) {
    return typeof value === "function"
      ? new SharedResult(value, options)
      : value;
  }
  if (targetOf(value) !== undefined || isData(value)) return value;
  return value instanceof SharedResult
    ? value
    : new SharedResult(value, options);
}
