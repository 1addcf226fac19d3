// Copyright 2026 the multitask authors. MIT license.
// One signal may be that of very many tasks. An event target looks through all
// of its listeners for each that comes or goes, so that it gets one for all.

interface Listeners {
  readonly all: Set<() => void>;
  readonly tell: () => void;
}

const bySignal = new WeakMap<AbortSignal, Listeners>();

/** Has something done when a signal is aborted; gives how to take that back. */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  const listeners = bySignal.get(signal) ?? listenTo(signal);
  listeners.all.add(listener);
  return () => {
    if (!listeners.all.delete(listener) || listeners.all.size > 0) return;
    signal.removeEventListener("abort", listeners.tell);
    if (bySignal.get(signal) === listeners) bySignal.delete(signal);
  };
}

function listenTo(signal: AbortSignal): Listeners {
  const all = new Set<() => void>();
  const tell = () => {
    bySignal.delete(signal);
    // Those that go away meanwhile are not told.
    for (const listener of all) listener();
  };
  signal.addEventListener("abort", tell, { once: true });
  const listeners = { all, tell };
  bySignal.set(signal, listeners);
  return listeners;
}
