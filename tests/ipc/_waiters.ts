// Copyright 2026 the multitask authors. MIT license.
// Who waits for a shared object, as its memory tells.

import { AssertionError } from "@std/assert";
import { LISTS, ListWord, ObjectWord } from "../../ipc/_arena.ts";
import { type Home, homes } from "../../ipc/_homes.ts";
import { hub } from "../../ipc/_hub.ts";
import type { Ref } from "../../ipc/_packet.ts";
import { PipeCore } from "../../ipc/_pipe_core.ts";
import { HandleNumber } from "../../ipc/_shared_object.ts";

/** Where its parts lie is told by handles. */
function refsOf(object: object): readonly Ref[] {
  const packet = hub.pack(object);
  hub.dropPacket(packet);
  return packet.refs;
}

/** The homes of its parts. For its owner. */
export function homesOf(object: object): (Home | undefined)[] {
  return refsOf(object).map(({ place }) => place?.home);
}

/** How many wait for an object, wherever they are. Counted by its owner. */
export function waitersOf(object: object): number {
  let count = 0;
  for (const { place, type } of refsOf(object)) {
    const agent = place!.home === "mapped" ? homes.mapped! : homes.shared;
    const core = type === HandleNumber.Connection
      ? new PipeCore({ agent, place: place! })
      : undefined;
    const slots = core === undefined
      ? [place!.at]
      : [core.incoming(0).at, core.outgoing(0).at];
    for (const at of slots) {
      for (let list = 0; list < LISTS; list++) {
        count += agent.words.load(
          at + ObjectWord.Lists + list * ListWord.Words + ListWord.Count,
        );
      }
    }
  }
  return count;
}

/** Far more than any of these takes, even on a busy machine. */
const PATIENCE = 20_000;

/** Waits until something that others do has happened. */
export async function until(
  condition: () => boolean,
  otherwise: () => string,
): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!condition()) {
    if (performance.now() > end) throw new AssertionError(otherwise());
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

/** Waits until so many wait for an object. */
export async function lined(object: object, count: number): Promise<void> {
  await until(
    () => waitersOf(object) === count,
    () => `${waitersOf(object)} wait, not ${count}`,
  );
}
