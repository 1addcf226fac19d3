// Copyright 2026 the multitask authors. MIT license.
// How a thread joins the tree: a link to the thread that started it, over a
// message port, and the memory that both share. To the hub a thread is a
// process whose place ends with ".tN".
//
//   starter -> thread   ThreadInvitation, once
//   both ways           bytes of the channel
//   both ways           blocks of shared memory, by a port of their own: nobody
//                       listens to it, so that they lie there until they are
//                       looked for, also by a thread that blocks
//   thread -> starter   a blocking request; its answer is put into memory, and
//                       the thread sits in Atomics.wait until it is there
//
// A thread that shall stop is told so in that memory, too: whatever it waits for
// in a blocking form ends then.

import type { ByteStream } from "./_channel.ts";
import { homes, type Invitation } from "./_homes.ts";
import { type Ended, hub, type SyncPort } from "./_hub.ts";
import { type Control, Link } from "./_link.ts";
import { type ProcessOfThread, self } from "./_self.ts";
import { startTimer } from "./_timer.ts";
import { InvalidStateError, TimeoutError } from "./errors.ts";

/** What a thread is told first, with the ports in its transfer list. */
export interface ThreadInvitation {
  readonly path: string;
  readonly port: MessagePort;
  readonly blockPort: MessagePort;
  readonly shared: SharedArrayBuffer;
  readonly blocks: readonly (readonly [string, SharedArrayBuffer])[];
  readonly arena: Invitation | undefined;
  readonly process: ProcessOfThread;
  /** Words and bytes of the answer to a blocking request. */
  readonly answer: readonly [SharedArrayBuffer, SharedArrayBuffer];
  /** What whoever starts the thread tells it besides. */
  readonly boot: unknown;
}

type Message =
  | { kind: "bytes"; bytes: Uint8Array }
  | { kind: "end" }
  | { kind: "sync"; request: Uint8Array };

/** A block, or that it is gone. */
interface BlockMessage {
  readonly key: string;
  readonly buffer: SharedArrayBuffer | undefined;
}

/** Exchanges blocks with the thread at the other end; gives how to stop. */
function exchangeBlocks(port: MessagePort): { stop(): void } {
  const tell = (key: string, buffer: SharedArrayBuffer | undefined) =>
    port.postMessage({ key, buffer });
  const take = () => {
    const { receiveMessageOnPort } = globalThis.process.getBuiltinModule(
      "node:worker_threads",
    ) as unknown as {
      receiveMessageOnPort(port: MessagePort):
        | { message: BlockMessage }
        | undefined;
    };
    while (true) {
      const received = receiveMessageOnPort(port);
      if (received === undefined) return;
      const { key, buffer } = received.message;
      homes.setBlock(key, buffer, tell);
    }
  };
  homes.onBlock.add(tell);
  homes.blockSources.add(take);
  return {
    stop() {
      homes.onBlock.delete(tell);
      homes.blockSources.delete(take);
      port.close();
    },
  };
}

/** Words of the answer. */
const Answer = { State: 0, Length: 1, Stop: 2, Words: 3 } as const;
const AnswerState = { Waiting: 0, There: 1 } as const;
const ANSWER_SIZE = 0x10000;
const MAX_ANSWER = 0x7fff0000;

/** The runtime's ports can let the program end, as Node's do. */
type RefPort = MessagePort & { ref(): void; unref(): void };

/** The bytes that come by a message port, as a stream. */
class PortStream implements ByteStream {
  readonly #port: RefPort;
  #held = true;
  #stopLetGo: (() => void) | undefined;
  readonly #other: (message: Message) => void;
  readonly #chunks: Uint8Array[] = [];
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(port: MessagePort, other: (message: Message) => void) {
    this.#port = port as RefPort;
    this.#other = other;
    port.onmessage = ({ data }: MessageEvent<Message>) => this.#take(data);
  }

  #take(message: Message): void {
    if (message.kind === "bytes") this.#chunks.push(message.bytes);
    else if (message.kind === "end") this.#closed = true;
    this.#other(message);
    this.#wake?.();
    if (!this.#held && !this.#closed) this.#letGoSoon();
  }

  /** Whether it keeps the program alive. */
  set held(held: boolean) {
    this.#held = held;
    if (held) this.#port.ref();
    else this.#letGo();
  }

  #letGo(): void {
    // It concerns the wait that is under way, and is only done when it changes.
    this.#port.ref();
    this.#port.unref();
  }

  /** The runtime waits for the next message only after this turn. */
  #letGoSoon(): void {
    this.#stopLetGo ??= startTimer(
      () => {
        this.#stopLetGo = undefined;
        if (!this.#held && !this.#closed) this.#letGo();
      },
      0,
      { unref: true },
    );
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
    this.finish();
  }

  /** The other side is gone: what it has sent can still be read. */
  finish(): void {
    // Closing the port brings what lies there.
    this.#port.close();
    this.#closed = true;
    this.#stopLetGo?.();
    this.#wake?.();
  }
}

let nextNumber = 1;

/** A thread as the one that has started it sees it. */
export interface ThreadLink {
  readonly path: string;
  readonly link: Link;
  /** Whether the link keeps the program alive. */
  held: boolean;
  /** Ends all that the thread waits for in a blocking form, now and later. */
  stop(): void;
  /** The thread has ended: what it held is free when this resolves. */
  ended(ended: Ended): Promise<void>;
}

/** Takes a worker into the tree: it has to call {@linkcode joinProcess}. */
export function inviteThread(
  worker: { postMessage(message: unknown, transfer: Transferable[]): void },
  control: Control,
  boot?: unknown,
): ThreadLink {
  const path = `${hub.path}.t${nextNumber++}`;
  const { port1, port2 } = new MessageChannel();
  const answer = [
    new SharedArrayBuffer(Answer.Words * Int32Array.BYTES_PER_ELEMENT),
    new SharedArrayBuffer(ANSWER_SIZE, { maxByteLength: MAX_ANSWER }),
  ] as const;
  const blocks = new MessageChannel();
  const exchange = exchangeBlocks(blocks.port1);
  const stream = new PortStream(port1, (message) => {
    homes.takeBlocks(); // One may look for what another one has made.
    if (message.kind !== "sync") return;
    link.serveSync(message.request, (bytes) => respond(answer, bytes));
  });
  const link: Link = new Link(hub, path, false, stream, {
    control,
    end() {},
  });
  const invitation: ThreadInvitation = {
    path,
    port: port2,
    blockPort: blocks.port2,
    shared: homes.sharedBuffer,
    blocks: [...homes.blocks],
    arena: homes.invite(),
    process: {
      name: self.name,
      identity: self.identity,
      daemon: self.daemon,
      mainModule: self.mainModule,
      parent: self.parent,
      asksParent: self.asksParent,
      forked: self.forked,
      startedAt: self.startedAt,
    },
    answer,
    boot,
  };
  worker.postMessage(invitation, [port2, blocks.port2]);
  hub.addChild(link);
  const reading = link.channel.run();
  return {
    path,
    link,
    set held(held: boolean) {
      stream.held = held;
    },
    stop() {
      const words = new Int32Array(answer[0]);
      Atomics.store(words, Answer.Stop, 1);
      Atomics.notify(words, Answer.State);
      homes.ringThread(path);
    },
    async ended(ended) {
      stream.finish();
      await reading;
      exchange.stop();
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

/** In a thread, the way to the one that has started it. */
export interface StarterLink {
  readonly link: Link;
  /** Sends at once what is unsent, without an answer. */
  flush(): void;
  /** Whether this thread shall stop. */
  readonly isStopped: boolean;
}

/**
 * In a thread: joins the tree of the one that has started it. `stopped` is
 * called where the thread blocks and shall stop; it throws.
 */
export function joinProcess(
  invitation: ThreadInvitation,
  control: Control,
  stopped: () => never = () => {
    throw new InvalidStateError("The thread was stopped");
  },
): StarterLink {
  const { path, port, blockPort, shared, blocks, arena, answer } = invitation;
  const words = new Int32Array(answer[0]);
  Object.assign(self, invitation.process, { isThread: true });
  hub.path = path;
  hub.invitation = arena;
  homes.checkStopped = () => {
    if (Atomics.load(words, Answer.Stop) === 1) stopped();
  };
  homes.joinShared(shared);
  for (const [key, buffer] of blocks) homes.setBlock(key, buffer);
  exchangeBlocks(blockPort);
  const stream = new PortStream(port, () => {});
  const starter = path.slice(0, path.lastIndexOf("."));
  const link = new Link(hub, starter, true, stream, { control, end() {} });
  hub.setParent(link);
  hub.syncPort = syncPort(stream, answer);
  link.channel.run();
  return {
    link,
    flush() {
      if (link.channel.idle) return;
      stream.send({ kind: "sync", request: hub.syncRequest(0) });
    },
    get isStopped() {
      return Atomics.load(words, Answer.Stop) === 1;
    },
  };
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
      const end = performance.now() + patience;
      // A wake-up may be that of the answer before, seen without it.
      while (
        Atomics.load(words, Answer.State) === AnswerState.Waiting &&
        performance.now() < end
      ) {
        Atomics.wait(
          words,
          Answer.State,
          AnswerState.Waiting,
          end - performance.now(),
        );
        homes.checkStopped();
      }
      if (Atomics.load(words, Answer.State) !== AnswerState.There) {
        throw new TimeoutError(`Nobody answered in ${patience} ms`);
      }
      return new Uint8Array(bytes)
        .slice(0, Atomics.load(words, Answer.Length));
    },
  };
}
