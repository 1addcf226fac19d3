// Copyright 2026 the multitask authors. MIT license.
// Makes a forked child silent while it runs its main module again. What took
// hold of an output meanwhile (`const log = console.log`, a writer) is silent
// for just as long.

let muted = false;

/** Makes stdout and the console silent. Call once. */
export function mute(): void {
  muted = true;
  muteConsole();
  muteStdout();
}

/** Ends the silence. */
export function unmute(): void {
  muted = false;
}

function muteConsole(): void {
  const methods = console as unknown as Record<string, unknown>;
  for (const [name, method] of Object.entries(methods)) {
    if (typeof method !== "function") continue;
    methods[name] = (...args: unknown[]) =>
      muted ? undefined : method.apply(console, args);
  }
}

function muteStdout(): void {
  const { stdout } = Deno;
  const write = stdout.write.bind(stdout);
  const writeSync = stdout.writeSync.bind(stdout);
  stdout.write = (bytes) =>
    muted ? Promise.resolve(bytes.length) : write(bytes);
  stdout.writeSync = (bytes) => muted ? bytes.length : writeSync(bytes);
  let writable: WritableStream<Uint8Array<ArrayBuffer>> | undefined;
  Object.defineProperty(stdout, "writable", {
    get: () =>
      writable ??= new WritableStream({
        async write(bytes) {
          for (let at = 0; at < bytes.length;) {
            at += await stdout.write(bytes.subarray(at));
          }
        },
      }),
    configurable: true,
  });
}
