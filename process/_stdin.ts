// Copyright 2026 the multitask authors. MIT license.
// A child's stdin is the line on which it sees that its parent is gone. To the
// task it reads as empty, and a read that waits never keeps the child alive.

/** Makes stdin read as empty from here on. */
export function silenceStdin(): void {
  const { stdin } = Deno;
  stdin.read = () => Promise.resolve(null);
  stdin.readSync = () => null;
  Object.defineProperty(stdin, "readable", {
    get: () => new Blob([]).stream(),
    configurable: true,
  });
  globalThis.prompt = () => null;
  globalThis.confirm = () => false;
  globalThis.alert = () => {};
  silenceNodeStdin();
}

/** The Node-compatible `process` takes 20 ms to make: only when asked for. */
function silenceNodeStdin(): void {
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, "process");
  const get = descriptor?.get;
  if (get === undefined || !descriptor!.configurable) return;
  Object.defineProperty(globalThis, "process", {
    ...descriptor,
    get() {
      const process = get.call(globalThis);
      Object.defineProperty(globalThis, "process", descriptor!);
      Object.defineProperty(process, "stdin", {
        get: () => emptyNodeStream(process),
        configurable: true,
      });
      return process;
    },
  });
}

let empty: unknown;

function emptyNodeStream(
  process: { getBuiltinModule(name: string): unknown },
): unknown {
  const { Readable } = process.getBuiltinModule("node:stream") as {
    Readable: { from(items: unknown[]): unknown };
  };
  return empty ??= Readable.from([]);
}
