// Copyright 2026 the multitask authors. MIT license.
// Makes a process a child: joins the tree and learns what to do. A module of
// its own, because it may have to run before the task's module is loaded.

import {
  holdChannel,
  introduce,
  joinTree,
  type Orders,
} from "./_child_runtime.ts";
import { self } from "../ipc/_self.ts";

async function boot(): Promise<Orders> {
  const orders = await joinTree();
  introduce(orders.order.self);
  self.loading = true;
  // The runtime goes on from a preloaded module only when nothing is left to
  // wait for.
  holdChannel(false);
  return orders;
}

/** _entries.ts has it too, but a child need not load all that stands there. */
const CHILD_ENTRY = new URL("./_child_main.ts", import.meta.url).href;

/** What the parent has told; `undefined` where this is no child. */
export const orders: Orders | undefined = Deno.mainModule === CHILD_ENTRY
  ? await boot()
  : undefined;
