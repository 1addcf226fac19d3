// Copyright 2026 the multitask authors. MIT license.
// Compares two values as graphs: the same types, the same contents, and the
// same objects shared in the same places. An equality that looks at contents
// alone would pass for a copy that has lost a cycle, a hole or a minus sign.

import { AssertionError } from "@std/assert";

function differ(path: string, what: string, a: unknown, b: unknown): never {
  throw new AssertionError(
    `${path}: ${what} differs: ${Deno.inspect(a)} instead of ${
      Deno.inspect(b)
    }`,
  );
}

/** Fails unless `actual` is `expected` over again, references included. */
export function assertSameGraph(actual: unknown, expected: unknown): void {
  const counterparts = new Map<object, object>();
  const taken = new Set<object>();

  const same = (a: unknown, b: unknown, path: string): void => {
    if (
      typeof a !== "object" || typeof b !== "object" || a === null || b === null
    ) {
      if (!Object.is(a, b)) differ(path, "the value", a, b);
      return;
    }
    const known = counterparts.get(b);
    if (known !== undefined || taken.has(a)) {
      if (known !== a) differ(path, "which object it is", a, b);
      return;
    }
    counterparts.set(b, a);
    taken.add(a);
    if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) {
      differ(path, "the class", a, b);
    }
    contents(a, b, path);
  };

  const contents = (a: object, b: object, path: string): void => {
    if (b instanceof Map || b instanceof Set) {
      const mine = [...a as Map<unknown, unknown>];
      const theirs = [...b as Map<unknown, unknown>];
      if (mine.length !== theirs.length) differ(path, "the size", a, b);
      theirs.forEach((item, index) => {
        const where = `${path}<${index}>`;
        if (b instanceof Set) return same(mine[index], item, where);
        same(mine[index]![0], item[0], `${where}.key`);
        same(mine[index]![1], item[1], where);
      });
    } else if (b instanceof ArrayBuffer) {
      const mine = a as ArrayBuffer;
      same(mine.resizable, b.resizable, `${path}.resizable`);
      same(mine.maxByteLength, b.maxByteLength, `${path}.maxByteLength`);
      const [left, right] = [new Uint8Array(mine), new Uint8Array(b)];
      if (
        left.length !== right.length ||
        left.some((byte, i) => byte !== right[i])
      ) differ(path, "the bytes", a, b);
      return;
    } else if (ArrayBuffer.isView(b)) {
      const mine = a as typeof b;
      same(mine.byteOffset, b.byteOffset, `${path}.byteOffset`);
      same(mine.byteLength, b.byteLength, `${path}.byteLength`);
      same(mine.buffer, b.buffer, `${path}.buffer`);
      return;
    } else if (b instanceof Date) {
      same((a as Date).getTime(), b.getTime(), `${path}.getTime()`);
    } else if (b instanceof RegExp) {
      same(String(a), String(b), path);
      same((a as RegExp).lastIndex, b.lastIndex, `${path}.lastIndex`);
    } else if (
      b instanceof Number || b instanceof String || b instanceof Boolean ||
      b instanceof BigInt
    ) {
      same(a.valueOf(), b.valueOf(), `${path}.valueOf()`);
    } else if (Array.isArray(b)) {
      same((a as unknown[]).length, b.length, `${path}.length`);
    }
    const keys = Object.keys(b);
    same(Object.keys(a).join("\0"), keys.join("\0"), `${path} (its fields)`);
    for (const key of keys) {
      same(
        (a as Record<string, unknown>)[key],
        (b as Record<string, unknown>)[key],
        `${path}.${key}`,
      );
    }
  };

  same(actual, expected, "value");
}
