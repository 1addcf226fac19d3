// Copyright 2026 the multitask authors. MIT license.
// Runs before the main module in a forked child: joins the tree and makes the
// process silent until the main module reaches the call of fork() again.

import { hub } from "../ipc/_hub.ts";
import "./_child_all.ts";
import {
  flushed,
  holdChannel,
  introduce,
  joinTree,
  sendToParent,
  watchUnheld,
} from "./_child_runtime.ts";
import { mute } from "./_mute.ts";
import { startReplay } from "./_replay.ts";

const { order } = await joinTree();
introduce(order.self);
if (order.type === "replay") {
  startReplay(order.forks, () => {
    sendToParent({ type: "reached" });
    return flushed();
  });
  await watchUnheld();
  mute();
  // The main module decides when it is done; only who waits for somebody else
  // needs the channel.
  holdChannel(false);
  hub.onWaiting.add((waiting) => holdChannel(waiting, hub));
}
