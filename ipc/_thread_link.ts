// Copyright 2026 the multitask authors. MIT license.
// How a thread joins the tree: a link to the thread that started it, over a
// message port, and the memory that both share. To the hub a thread is a
// process whose place ends with ".tN".
//
//   starter -> thread   ThreadInvitation, once
//   both ways           bytes of the channel | a block of shared memory
//   thread -> starter   a blocking request; its answer is put into memory, and
//                       the thread sits in Atomics.wait until it is there

import type { ByteStream } from "./_channel.ts";
import { homes, type Invitation } from "./_homes.ts";
import { type Ended, hub, type SyncPort } from "./_hub.ts";
import { Link } from "./_link.ts";
import type { Packet } from "./_packet.ts";
import { TimeoutError } from "./errors.ts";

/** What a thread is told first, with the ports in its transfer list. */
export interface ThreadInvitation {
  readonly path: string;
  readonly port: MessagePort;
  readonly shared: SharedArrayBuffer;
  readonly blocks: readonly (readonly [string, SharedArrayBuffer])[];
  readonly arena: Invitation | undefined;
  /** Words and bytes of the answer to a blocking request. */
  readonly answer: readonly [SharedArrayBuffer, SharedArrayBuffer];
}

type Message =
  | { kind: "bytes"; bytes: Uint8Array }
  | { kind: "end" }
  | { kind: "sync"; request: Uint8Array }
  | { kind: "block"; key: string; buffer: SharedArrayBuffer | undefined };

/** Words of the answer. */
const Answer = { State: 0, Length: 1, Words: 2 } as const;
const AnswerState = { Waiting: 0, There: 1 } as const;
const ANSWER_SIZE = 0x10000;
const MAX_ANSWER = 0x7fff0000;

/** The bytes that come by a message port, as a stream. */
class PortStream implements ByteStream {
  readonly #port: MessagePort;
  readonly #other: (message: Message) => void;
  readonly #chunks: Uint8Array[] = [];
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(port: MessagePort, other: (message: Message) => void) {
    this.#port = port;
    this.#other = other;
    port.onmessage = ({ data }: MessageEvent<Message>) => this.#take(data);
  }

  #take(message: Message): void {
    if (message.kind === "bytes") this.#chunks.push(message.bytes);
    else if (message.kind === "end") this.#closed = true;
    else this.#other(message);
    this.#wake?.();
  }

  /** Takes what has arrived without turning the event loop. */
  takeNow(): void {
    const { receiveMessageOnPort } = globalThis.process.getBuiltinModule(
      "node:worker_threads",
    ) as unknown as {
      receiveMessageOnPort(port: MessagePort): { message: Message } | undefined;
    };
    while (true) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) return;
      this.#take(received.message);
    }
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#chunks.length === 0) {
      if (this.#closed) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const chunk = this.#chunks[0]!;
    const count = Math.min(chunk.length, into.length);
    into.set(chunk.subarray(0, count));
    if (count === chunk.length) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(count);
    return count;
  }

  write(bytes: Uint8Array): Promise<number> {
    // The writer uses its memory again: the message is a copy.
    this.send({ kind: "bytes", bytes: bytes.slice() });
    return Promise.resolve(bytes.length);
  }

  send(message: Message): void {
    if (!this.#closed) this.#port.postMessage(message);
  }

  close(): void {
    if (this.#closed) return;
    this.send({ kind: "end" });
    this.#closed = true;
    this.#port.close();
    this.#wake?.();
  }
}

let nextNumber = 1;

/** A thread as the one that has started it sees it. */
export interface ThreadLink {
  readonly path: string;
  readonly link: Link;
  /** The thread has ended: what it held is free when this resolves. */
  ended(ended: Ended): Promise<void>;
}

/** Takes a worker into the tree: it has to call {@linkcode joinProcess}. */
export function inviteThread(
  worker: Pick<Worker, "postMessage">,
  control: (packet: Packet) => void,
): ThreadLink {
  const path = `${hub.path}.t${nextNumber++}`;
  const { port1, port2 } = new MessageChannel();
  const answer = [
    new SharedArrayBuffer(Answer.Words * Int32Array.BYTES_PER_ELEMENT),
    new SharedArrayBuffer(ANSWER_SIZE, { maxByteLength: MAX_ANSWER }),
  ] as const;
  const stream = new PortStream(port1, (message) => {
    if (message.kind === "sync") {
      link.serveSync(message.request, (bytes) => respond(answer, bytes));
    } else if (message.kind === "block") {
      homes.setBlock(message.key, message.buffer, announce);
    }
  });
  const announce = (key: string, buffer: SharedArrayBuffer | undefined) =>
    stream.send({ kind: "block", key, buffer });
  const link: Link = new Link(hub, path, false, stream, {
    control,
    end() {},
  });
  const takeNow = () => stream.takeNow();
  homes.onBlock.add(announce);
  homes.blockSources.add(takeNow);
  const invitation: ThreadInvitation = {
    path,
    port: port2,
    shared: homes.sharedBuffer,
    blocks: [...homes.blocks],
    arena: homes.invite(),
    answer,
  };
  worker.postMessage(invitation, [port2]);
  hub.addChild(link);
  link.channel.run();
  return {
    path,
    link,
    async ended(ended) {
      homes.onBlock.delete(announce);
      homes.blockSources.delete(takeNow);
      hub.childEnded(path, ended);
      await homes.threadEnded(path, ended);
    },
  };
}

function respond(
  [state, bytes]: ThreadInvitation["answer"],
  answer: Uint8Array,
): void {
  const words = new Int32Array(state);
  if (answer.length > bytes.byteLength) bytes.grow(answer.length);
  new Uint8Array(bytes).set(answer);
  Atomics.store(words, Answer.Length, answer.length);
  Atomics.store(words, Answer.State, AnswerState.There);
  Atomics.notify(words, Answer.State);
}

/** In a thread: joins the tree of the one that has started it. */
export function joinProcess(
  invitation: ThreadInvitation,
  control: (packet: Packet) => void,
): Link {
  const { path, port, shared, blocks, arena, answer } = invitation;
  hub.path = path;
  hub.invitation = arena;
  homes.joinShared(shared);
  for (const [key, buffer] of blocks) homes.setBlock(key, buffer);
  const stream = new PortStream(port, (message) => {
    if (message.kind === "block") {
      homes.setBlock(message.key, message.buffer, announce);
    }
  });
  const announce = (key: string, buffer: SharedArrayBuffer | undefined) =>
    stream.send({ kind: "block", key, buffer });
  homes.onBlock.add(announce);
  homes.blockSources.add(() => stream.takeNow());
  const starter = path.slice(0, path.lastIndexOf("."));
  const link = new Link(hub, starter, true, stream, { control, end() {} });
  hub.setParent(link);
  hub.syncPort = syncPort(stream, answer);
  link.channel.run();
  return link;
}

function syncPort(
  stream: PortStream,
  [state, bytes]: ThreadInvitation["answer"],
): SyncPort {
  const words = new Int32Array(state);
  return {
    exchange(request, patience = Infinity) {
      Atomics.store(words, Answer.State, AnswerState.Waiting);
      stream.send({ kind: "sync", request });
      Atomics.wait(words, Answer.State, AnswerState.Waiting, patience);
      if (Atomics.load(words, Answer.State) !== AnswerState.There) {
        throw new TimeoutError(`Nobody answered in ${patience} ms`);
      }
      return new Uint8Array(bytes)
        .slice(0, Atomics.load(words, Answer.Length));
    },
  };
}
