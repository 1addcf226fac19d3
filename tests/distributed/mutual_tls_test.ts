// Copyright 2026 the multitask authors. MIT license.
// Managers that ask for certificates of clients. The certificate of the tests is
// good for both sides.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { TcpAddress } from "../../ipc/_address.ts";
import { Queue } from "../../ipc/queue.ts";
import type { RemoteQueue } from "../../distributed/remote_queue.ts";
import { Manager } from "../../distributed/manager.ts";
import { CLIENT_TLS, SERVER_TLS } from "../ipc/_connected.ts";
import { bounded } from "../ipc/_waits.ts";
import { KEY, Served, until } from "./_managers.ts";

Deno.test("Manager lets in who has a certificate, and nobody else", async () => {
  const clientCaCerts = CLIENT_TLS.caCerts;
  await using served = await Served.start({ getQueue: () => new Queue() }, {
    address: "localhost:0",
    tls: { ...SERVER_TLS, clientCaCerts },
  });
  const { port } = served.manager.address as TcpAddress;
  assert(port > 0);
  const address = { hostname: "localhost", port };
  const client = await served.connect({
    address,
    tls: { ...CLIENT_TLS, ...SERVER_TLS },
  });
  const queue: RemoteQueue<string> = await client.getQueue();
  await queue.put("x".repeat(1_000_000));
  assertEquals((await bounded(queue.get())).length, 1_000_000);
  const taken = new Manager({
    address,
    authkey: KEY,
    tls: { ...SERVER_TLS, clientCaCerts },
  });
  await assertRejects(() => taken.start(), Deno.errors.AddrInUse);
  const stranger = new Manager({ address, authkey: KEY, tls: CLIENT_TLS });
  await assertRejects(() => bounded(stranger.connect()));
  await stranger.shutdown();
  await until(
    async () => (await client.status()).refused.authentication === 1,
    "it is counted",
  );
  assertThrows(
    () =>
      new Manager({ authkey: KEY, tls: { ...SERVER_TLS, clientCaCerts: [] } }),
    TypeError,
    "clientCaCerts",
  );
});
