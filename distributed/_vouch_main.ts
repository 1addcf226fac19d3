// Copyright 2026 the multitask authors. MIT license.
// The entry of the thread that vouches for a worker whose event loop is busy.

import { sessionFor } from "./_ticket.ts";
import type { VouchOrder } from "./_vouching.ts";
import { VOUCH } from "./_wire.ts";

addEventListener("message", (event) => {
  // What `startVouching` sends.
  const { ticket, session } = (event as MessageEvent).data as VouchOrder;
  const own = sessionFor(ticket);
  own.expect("");
  let isBusy = false;
  setInterval(async () => {
    if (isBusy) return;
    isBusy = true;
    try {
      await own.call(own.manager, VOUCH, [session], {});
    } catch {
      own.revive(); // The manager may come back.
    } finally {
      isBusy = false;
    }
  }, ticket.heartbeat.interval);
});
