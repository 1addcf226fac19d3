// Copyright 2026 the multitask authors. MIT license.

import { assert, assertEquals, assertFalse, assertRejects } from "@std/assert";
import { Inbox } from "../../ipc/_inbox.ts";
import { assertPending, bounded } from "./_waits.ts";

Deno.test("Inbox.get() gives items in order, first come, first served", async () => {
  const inbox = new Inbox<number>();
  inbox.put(1);
  inbox.put(2);
  assertEquals(inbox.length, 2);
  assertEquals(await inbox.get({}), 1);
  assertEquals(await inbox.get({ timeout: 0 }), 2);
  assertEquals(await inbox.get({ timeout: 0 }), undefined);
  const gets = [inbox.get({}), inbox.get({})];
  await assertPending(gets[0]!);
  inbox.put(3);
  inbox.put(4);
  inbox.put(5);
  assertEquals(await bounded(Promise.all(gets)), [3, 4]);
  assertEquals(inbox.length, 1);
});

Deno.test("Inbox.giveBack() makes an item the next one", async () => {
  const inbox = new Inbox<number>();
  inbox.put(1);
  inbox.put(2);
  inbox.giveBack((await inbox.get({}))!);
  assertEquals([await inbox.get({}), await inbox.get({})], [1, 2]);
  const get = inbox.get({});
  const ready = inbox.ready({ timeout: 0 });
  inbox.giveBack(3);
  assertEquals(await bounded(get), 3);
  assertFalse(await ready);
});

Deno.test("Inbox.ready() waits for an item and takes none", async () => {
  const inbox = new Inbox<number>();
  assertFalse(await inbox.ready({ timeout: 0 }));
  assertFalse(await bounded(inbox.ready({ timeout: 1 })));
  const ready = [inbox.ready({}), inbox.ready({ timeout: 1e8 })];
  await assertPending(ready[0]!);
  inbox.put(1);
  assertEquals(await bounded(Promise.all(ready)), [true, true]);
  assert(await inbox.ready({ timeout: 0 }));
  assertEquals(inbox.length, 1);
});

Deno.test("Inbox.end() leaves what is there, then every get fails", async () => {
  const inbox = new Inbox<number>();
  inbox.put(1);
  inbox.end(() => new Error("over"));
  inbox.end(() => new Error("too late"));
  assertEquals(await inbox.get({}), 1);
  assert(await inbox.ready({ timeout: 0 }));
  for (const options of [{}, { timeout: 0 }]) {
    await assertRejects(() => inbox.get(options), Error, "over");
  }
});

Deno.test("Inbox.end() ends the waits", async () => {
  const inbox = new Inbox<number>();
  const ready = inbox.ready({ timeout: 1e8 });
  const gets = [inbox.get({}), inbox.get({ timeout: 1e8 })].map((get) =>
    assertRejects(() => get, Error, "over")
  );
  inbox.end(() => new Error("over"));
  await bounded(Promise.all(gets));
  assert(await bounded(ready));
});

Deno.test("Inbox.clear() takes everything out", async () => {
  const inbox = new Inbox<number>();
  inbox.put(1);
  inbox.put(2);
  assertEquals(inbox.clear(), [1, 2]);
  assertEquals(inbox.length, 0);
  assertEquals(await inbox.get({ timeout: 0 }), undefined);
});
