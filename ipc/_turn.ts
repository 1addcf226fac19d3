// Copyright 2026 the multitask authors. MIT license.

/**
 * Resolves in another turn of the event loop. A timer would do, but the first of
 * a program, or thread, takes 10 ms.
 */
export function eventLoopTurn(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
