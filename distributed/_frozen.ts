// Copyright 2026 the multitask authors. MIT license.
// Copies of what lives elsewhere are frozen: who changes one would wait for an
// effect that never comes.

const CHANGES = ["set", "add", "delete", "clear"] as const;

/** Freezes a value and all that is in it. Bytes cannot be frozen. */
export function frozen(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const stack: object[] = [value];
  const push = (inner: unknown) => {
    if (typeof inner === "object" && inner !== null) stack.push(inner);
  };
  for (let next; (next = stack.pop()) !== undefined;) {
    if (Object.isFrozen(next) || ArrayBuffer.isView(next)) continue;
    if (next instanceof ArrayBuffer) continue;
    if (next instanceof Map) {
      for (const [key, item] of next) {
        push(key);
        push(item);
      }
      refuseChanges(next);
    } else if (next instanceof Set) {
      for (const item of next) push(item);
      refuseChanges(next);
    } else if (Array.isArray(next) || isPlain(next)) {
      for (const inner of Object.values(next)) push(inner);
    } else continue; // A proxy, an error, a date: they are what they are.
    Object.freeze(next);
  }
  return value;
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function refuseChanges(value: Map<unknown, unknown> | Set<unknown>): void {
  for (const name of CHANGES) {
    if (!(name in value)) continue;
    Object.defineProperty(value, name, {
      value: () => {
        throw new TypeError(
          `Cannot ${name}: this is a copy of what another process has; change it there`,
        );
      },
    });
  }
}
