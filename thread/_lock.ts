// Copyright 2026 the multitask authors. MIT license.
// How the end of a thread is seen.
//
// The runtime tells nobody that a worker has ended by itself. A Web Lock that
// the worker holds passes on when it is gone, and not before: also not while it
// is in a loop that nothing can stop. Whoever waits for the lock keeps the program
// alive, so that nobody waits for it who need not.

/** What is used of Web Locks, for which the runtime has no types. */
interface Locks {
  request(name: string, granted: () => unknown): Promise<unknown>;
  request(
    name: string,
    options: { signal: AbortSignal },
    granted: () => unknown,
  ): Promise<unknown>;
}

const { locks } = navigator as unknown as { locks: Locks };

/** In a worker: holds the lock for as long as it lives. */
export function holdLock(name: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  locks.request(name, () => {
    resolve();
    return new Promise(() => {});
  });
  return promise;
}

/** Calls `passed` when the lock's holder is gone; gives how to stop waiting. */
export function watchLock(name: string, passed: () => void): () => void {
  const stop = new AbortController();
  locks.request(name, { signal: stop.signal }, passed).catch(() => {
    // Nobody waits for it any more.
  });
  return () => stop.abort();
}
