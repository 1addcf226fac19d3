// Copyright 2026 the multitask authors. MIT license.

import { assertEquals, assertStringIncludes } from "@std/assert";
import { inspected, isError, messageOf } from "../../ipc/_inspected.ts";

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

const throwing = () => {
  throw new Error("no");
};

Deno.test("inspected() shows what there is", () => {
  assertEquals(inspected("a text"), "a text");
  assertEquals(inspected(undefined), "undefined");
  assertEquals(inspected({ code: 5 }), "{ code: 5 }");
  assertStringIncludes(inspected(new TypeError("bad")), "TypeError: bad\n");
});

Deno.test("inspected() never throws", () => {
  const custom = Object.assign(new Error("bad"), {
    [Symbol.for("Deno.customInspect")]: throwing,
  });
  assertEquals(inspected(custom), "Error: bad");
  const mute = Object.assign(custom, { [Symbol.toPrimitive]: throwing });
  assertEquals(inspected(mute), "[object Error]");
  assertEquals(inspected(revoked()), "(a value that cannot be shown)");
});

Deno.test("isError() takes a proxy that will not tell for no error", () => {
  assertEquals(isError(new TypeError()), true);
  assertEquals(isError(new Proxy(new TypeError(), {})), true);
  assertEquals(isError({ message: "text" }), false);
  assertEquals(isError(revoked()), false);
});

Deno.test("messageOf() gives an error's message, or the value", () => {
  assertEquals(messageOf(new TypeError("bad")), "bad");
  assertEquals(messageOf(5), "5");
  assertEquals(messageOf(revoked()), "(a value that cannot be shown)");
  const hidden = Object.defineProperty(new Error(), "message", {
    get: throwing,
  });
  assertStringIncludes(messageOf(hidden), "Error");
});
