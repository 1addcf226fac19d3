// Copyright 2026 the multitask authors. MIT license.

// Processor time of processes, as Linux counts it.

/** Whether this system tells it. */
export const HAS_CPU_TIMES: boolean = Deno.build.os === "linux";

/** Of Linux towards programs, on every machine. */
const MICROSECONDS_PER_TICK = 1e6 / 100;

/** Places in /proc/<pid>/stat, counted from behind the name. */
const Field = { Parent: 1, UserTicks: 11, SystemTicks: 12 } as const;

/** What processes have used so far, all threads, in microseconds. */
export function cpuTime(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const stat = statOf(pid);
    ticks += stat[Field.UserTicks]! + stat[Field.SystemTicks]!;
  }
  return ticks * MICROSECONDS_PER_TICK;
}

/** A process and those below it. */
export function familyOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    let parent: number;
    try {
      parent = statOf(Number(name))[Field.Parent]!;
    } catch {
      continue; // It has just ended.
    }
    children.set(parent, [...children.get(parent) ?? [], Number(name)]);
  }
  const family = [pid];
  for (const member of family) family.push(...children.get(member) ?? []);
  return family;
}

function statOf(pid: number): number[] {
  const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // The name can contain anything, a ")" too.
  return text.slice(text.lastIndexOf(")") + 2).split(" ").map(Number);
}
