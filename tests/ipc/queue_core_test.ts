// Copyright 2026 the multitask authors. MIT license.

import { assert, assertEquals, assertThrows } from "@std/assert";
import { hub } from "../../ipc/_hub.ts";
import type { Packet } from "../../ipc/_packet.ts";
import { Status } from "../../ipc/_shared_object.ts";
import { QueueCore, QueueOp } from "../../ipc/_queue_core.ts";

/** What an operation became. */
interface Answer {
  status: number | undefined;
  number: number;
  packet: Packet | undefined;
  withdraw: (() => void) | undefined;
}

function queueOf(limit: number): QueueCore {
  return new QueueCore({
    limit,
    // The cost of an item is the number it is.
    costOf: (packet) => hub.unpack(packet) as number,
    ended: (action) => new Error(`ended: ${action}`),
  });
}

function perform(
  queue: QueueCore,
  code: number,
  options: { number?: number; packet?: Packet } = {},
): Answer {
  const answer: Answer = {
    status: undefined,
    number: 0,
    packet: undefined,
    withdraw: undefined,
  };
  answer.withdraw = queue.perform(
    {
      code,
      caller: "0.1",
      part: 0,
      number: options.number ?? 0,
      packet: options.packet,
    },
    (status, number, packet) =>
      Object.assign(answer, { status, number, packet }),
  );
  return answer;
}

const put = (queue: QueueCore, item: number) =>
  perform(queue, QueueOp.Put, { packet: hub.pack(item) });
const get = (queue: QueueCore) => perform(queue, QueueOp.Get);
const itemOf = (answer: Answer) => hub.unpack(answer.packet!);

/** All that can be got now. */
function drain(queue: QueueCore): unknown[] {
  const items: unknown[] = [];
  while (queue.size > 0) items.push(itemOf(get(queue)));
  return items;
}

Deno.test("QueueCore.perform() gives an item back to the front", () => {
  const queue = queueOf(0);
  for (const item of [1, 2, 3]) put(queue, item);
  const first = get(queue);
  perform(queue, QueueOp.Unget, {
    number: first.number,
    packet: first.packet!,
  });
  assertEquals(queue.size, 3);
  assertEquals(drain(queue), [1, 2, 3]);
});

Deno.test("QueueCore.perform() gives an item that comes back to who waits", () => {
  const queue = queueOf(0);
  put(queue, 1);
  const { number, packet } = get(queue);
  const [next, last] = [get(queue), get(queue)];
  perform(queue, QueueOp.Unget, { number, packet: packet! });
  assertEquals(itemOf(next), 1);
  assertEquals(last.status, undefined);
  assertEquals(queue.size, 0);
});

Deno.test("QueueCore.perform() takes an item back by its number", () => {
  const queue = queueOf(0);
  const answers = [1, 2, 3].map((item) => put(queue, item));
  perform(queue, QueueOp.Withdraw, { number: answers[1]!.number });
  perform(queue, QueueOp.Withdraw, { number: answers[1]!.number });
  perform(queue, QueueOp.Withdraw, { number: 12345 });
  assertEquals(queue.size, 2);
  assertEquals(drain(queue), [1, 3]);
});

Deno.test("QueueCore.perform() makes room by taking an item back", () => {
  const queue = queueOf(2);
  const first = put(queue, 1);
  put(queue, 1);
  const waiting = put(queue, 1);
  assertEquals(waiting.status, undefined);
  perform(queue, QueueOp.Withdraw, { number: first.number });
  assertEquals(waiting.status, Status.Done);
  assertEquals(queue.size, 2);
});

Deno.test("QueueCore.perform() counts what items cost", () => {
  const queue = queueOf(10);
  // Larger than the limit, and alone: it fits.
  assertEquals(put(queue, 25).status, Status.Done);
  const waits = [8, 5, 2].map((item) => put(queue, item));
  const states = () => waits.map(({ status }) => status === Status.Done);
  assertEquals(states(), [false, false, false]);
  get(queue);
  // 8 fits; 5 does not, and nobody passes it.
  assertEquals(states(), [true, false, false]);
  get(queue);
  assertEquals(states(), [true, true, true]);
  assertEquals(drain(queue), [5, 2]);
});

Deno.test("QueueCore.perform() serves those behind one that withdraws", () => {
  const queue = queueOf(10);
  put(queue, 8);
  const [large, small] = [put(queue, 9), put(queue, 2)];
  assertEquals(small.status, undefined);
  large.withdraw!();
  assertEquals(small.status, Status.Done);
  assertEquals(large.status, undefined);
  assertEquals(drain(queue), [8, 2]);
});

Deno.test("QueueCore.perform() tells watchers that there is something", () => {
  const queue = queueOf(0);
  const watchers = [1, 2].map(() => perform(queue, QueueOp.Ready));
  const gone = perform(queue, QueueOp.Ready);
  gone.withdraw!();
  const getter = get(queue);
  put(queue, 1);
  assertEquals(itemOf(getter), 1);
  assert(watchers.every(({ status }) => status === undefined));
  put(queue, 2);
  assert(watchers.every(({ status }) => status === Status.Done));
  assertEquals(gone.status, undefined);
  assertEquals(perform(queue, QueueOp.Ready).status, Status.Done);
  assertEquals(drain(queue), [2]);
});

Deno.test("QueueCore.perform() answers questions about the queue", () => {
  const queue = queueOf(7);
  put(queue, 1);
  assertEquals(perform(queue, QueueOp.Size).number, 1);
  assertEquals(perform(queue, QueueOp.MaxSize).number, 7);
  assertEquals(perform(queue, QueueOp.IsShutDown).number, 0);
  perform(queue, QueueOp.ShutDown);
  assertEquals(perform(queue, QueueOp.IsShutDown).number, 1);
  assertThrows(() => perform(queue, 99), RangeError);
});

Deno.test("QueueCore.destroy() fails all who wait and drops the items", () => {
  const queue = queueOf(1);
  const waits = [get(queue), perform(queue, QueueOp.Ready)];
  queue.destroy(new Error("closed"));
  assert(waits.every(({ status }) => status === Status.Failed));

  const full = queueOf(1);
  put(full, 1);
  const waiting = put(full, 1);
  full.destroy(new Error("closed"));
  assertEquals(waiting.status, Status.Failed);
  assertEquals(full.size, 0);
});
