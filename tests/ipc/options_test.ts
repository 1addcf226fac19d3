// Copyright 2026 the multitask authors. MIT license.

import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import {
  checkInteger,
  checkNonNegative,
  checkWait,
  shown,
  type WaitOptions,
} from "../../ipc/_options.ts";

Deno.test("shown() shows any value in a few words", () => {
  class Point {}
  const cases: [unknown, string][] = [
    [undefined, "undefined"],
    [null, "null"],
    [1.5, "1.5"],
    [-0, "0"],
    [NaN, "NaN"],
    [3n, "3n"],
    [true, "true"],
    ['a"b', '"a\\"b"'],
    ["x".repeat(1000), `"${"x".repeat(100)}"`],
    [Symbol("s"), "Symbol(s)"],
    [function named() {}, "function named"],
    [() => {}, "function"],
    [{}, "an object"],
    [Object.create(null), "an object"],
    [[], "a Array"],
    [new Point(), "a Point"],
    [{ constructor: undefined }, "an object"],
  ];
  for (const [value, text] of cases) assertEquals(shown(value), text);
});

Deno.test("checkNonNegative() accepts finite numbers from 0", () => {
  for (const value of [0, -0, 0.5, 1e300, Number.MIN_VALUE]) {
    checkNonNegative("do it", "size", value);
  }
  for (const value of [-1, -Number.MIN_VALUE, NaN, Infinity, -Infinity]) {
    assertThrows(
      () => checkNonNegative("do it", "size", value),
      RangeError,
      `Cannot do it: "size" must be finite and >= 0, received ${value}`,
    );
  }
  for (const value of [undefined, null, "1", 1n, {}, [], true]) {
    assertThrows(
      () => checkNonNegative("do it", "size", value),
      TypeError,
      `Cannot do it: "size" must be a number, received ${shown(value)}`,
    );
  }
});

Deno.test("checkInteger() accepts whole numbers from the smallest allowed", () => {
  for (const value of [2, 3, Number.MAX_SAFE_INTEGER]) {
    checkInteger("do it", "count", value, 2);
  }
  for (const value of [1, -1, 2.5, NaN, Infinity, 2 ** 53]) {
    assertThrows(
      () => checkInteger("do it", "count", value, 2),
      RangeError,
      `Cannot do it: "count" must be an integer >= 2, received ${value}`,
    );
  }
  for (const value of [undefined, null, "2", 2n, {}]) {
    assertThrows(
      () => checkInteger("do it", "count", value, 2),
      TypeError,
      `Cannot do it: "count" must be a number, received ${shown(value)}`,
    );
  }
});

Deno.test("checkWait() gives the options that are right", () => {
  const { signal } = new AbortController();
  const options = { timeout: 5, signal };
  assertStrictEquals(checkWait("wait", options), options);
  assertEquals({ ...checkWait("wait", undefined) }, {});
  assertEquals({ ...checkWait("wait", {}) }, {});
});

Deno.test("checkWait() refuses options that are not right", () => {
  for (const options of [null, 5, "1000", () => {}, true]) {
    assertThrows(
      () => checkWait("wait", options as unknown as WaitOptions),
      TypeError,
      "Cannot wait: the options must be an object",
    );
  }
  for (const timeout of [null, "5", 5n, {}]) {
    assertThrows(
      () => checkWait("wait", { timeout: timeout as unknown as number }),
      TypeError,
      'Cannot wait: "timeout" must be a number',
    );
  }
  for (const timeout of [-1, NaN, Infinity]) {
    assertThrows(
      () => checkWait("wait", { timeout }),
      RangeError,
      'Cannot wait: "timeout" must be finite and >= 0',
    );
  }
  for (const signal of [null, {}, new AbortController(), "abort"]) {
    assertThrows(
      () => checkWait("wait", { signal: signal as unknown as AbortSignal }),
      TypeError,
      'Cannot wait: "signal" must be an AbortSignal',
    );
  }
});
