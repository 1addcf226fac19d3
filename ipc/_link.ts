// Copyright 2026 the multitask authors. MIT license.

import { ByteReader } from "./_bytes.ts";
import { Channel } from "./_channel.ts";
import type { Hub } from "./_hub.ts";
import { NO_PACKET, type Packet, writePacket } from "./_packet.ts";

/** Kinds of frames. The hub routes all but the control frames. */
export const Frame = {
  Call: 1,
  Cast: 2,
  Reply: 3,
  Cancel: 4,
  Gone: 5,
  Fault: 6,
  Lease: 7,
  Adopt: 8,
  Drop: 9,
  Sync: 10,
  SyncDone: 11,
  /** Look at the mailbox: see _agent.ts. */
  Bell: 12,
  Control: 32,
} as const;

/**
 * Takes a message that is for the neighbour itself, without handles, and the
 * packet that goes with it, whose bytes are its own.
 */
export type Control = (message: unknown, packet: Packet) => void;

/**
 * A channel to a neighbour in the tree, and what the hub has to remember about
 * it: the calls that went through it and the owners that were spoken to.
 */
export class Link {
  readonly #hub: Hub;
  readonly path: string;
  readonly channel: Channel;
  readonly isParent: boolean;
  /** Calls on their way into this link, to the process that waits for each. */
  readonly underWay: Map<string, { src: string; call: number }> = new Map();
  readonly touched: Set<string> = new Set();
  /** Faults for a neighbour that is blocked: they go with its answer. */
  readonly heldFaults: Uint8Array[] = [];
  readonly control: Control;
  readonly #syncReplies = new Map<number, (answer: Uint8Array) => void>();
  readonly #syncWaiting: { after: number; serve: () => void }[] = [];

  constructor(
    hub: Hub,
    path: string,
    isParent: boolean,
    stream: ConstructorParameters<typeof Channel>[0],
    events: { control: Control; end: () => void },
  ) {
    this.#hub = hub;
    this.path = path;
    this.isParent = isParent;
    this.control = events.control;
    this.channel = new Channel(stream, {
      frame: (kind, body) => {
        hub.receive(this, kind, body);
        this.#runSync();
      },
      end: () => events.end(),
    });
  }

  /** Sends a message for the neighbour itself, and what goes with it. */
  sendControl(message: unknown, packet: Packet = NO_PACKET): void {
    const { bytes } = this.#hub.pack(message);
    const out = this.channel.begin(Frame.Control);
    out.varint(bytes.length);
    out.raw(bytes);
    writePacket(out, packet);
    this.channel.commit();
  }

  /** Whether the neighbour is blocked in a request. */
  get servesSync(): boolean {
    return this.#syncReplies.size > 0;
  }

  /** Where an answer goes whose caller is blocked; `undefined` elsewhere. */
  takeSyncReply(call: number): ((answer: Uint8Array) => void) | undefined {
    const respond = this.#syncReplies.get(call);
    this.#syncReplies.delete(call);
    return respond;
  }

  /**
   * Serves one request of the neighbour's {@linkcode SyncPort}. It is taken up
   * when all that the neighbour wrote before it has arrived.
   */
  serveSync(request: Uint8Array, respond: (answer: Uint8Array) => void): void {
    const input = new ByteReader(request);
    const after = input.varint();
    const twice = input.varint();
    const call = input.varint();
    const frames = input.rest();
    this.#syncWaiting.push({
      after,
      serve: () => {
        const seen = Math.min(this.channel.received - after, twice);
        if (call > 0) this.#syncReplies.set(call, respond);
        this.channel.skip(twice - seen);
        this.channel.deliver(frames, seen);
        if (call === 0) respond(new Uint8Array([Frame.SyncDone]));
      },
    });
    this.#runSync();
  }

  /** Serves what waits, once all that goes before it has arrived. */
  #runSync(): void {
    while (true) {
      const next = this.#syncWaiting[0];
      if (next === undefined || this.channel.received < next.after) return;
      // Frames that it brings lead here again.
      this.#syncWaiting.shift();
      next.serve();
    }
  }
}
