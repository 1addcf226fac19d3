// Copyright 2026 the multitask authors. MIT license.
// The registry of live resources: what this package holds open right now
// (children, listeners, channels, temporary directories, workers). The test
// sanitizers do not see all of them, so tests assert that it is empty.

const live = new Map<object, string>();

/** Notes that `resource` is open; `what` describes it for a leak report. */
export function resourceOpened(resource: object, what: string): void {
  live.set(resource, what);
}

/** Notes that `resource` is closed. */
export function resourceClosed(resource: object): void {
  live.delete(resource);
}

/** What is open at this moment, a description each. */
export function liveResources(): string[] {
  return [...live.values()];
}
