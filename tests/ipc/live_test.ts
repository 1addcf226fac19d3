// Copyright 2026 the multitask authors. MIT license.

import { assertEquals } from "@std/assert";
import {
  liveResources,
  resourceClosed,
  resourceOpened,
} from "../../ipc/_live.ts";

Deno.test("liveResources() gives what is open and not closed", () => {
  const [first, second] = [{}, {}];
  resourceOpened(first, "a child");
  resourceOpened(second, "a listener");
  assertEquals(liveResources(), ["a child", "a listener"]);
  resourceOpened(first, "a child that has moved");
  resourceClosed(second);
  resourceClosed(second);
  assertEquals(liveResources(), ["a child that has moved"]);
  resourceClosed(first);
  assertEquals(liveResources(), []);
});
