// Copyright 2026 the multitask authors. MIT license.
// Linux can end a process when its parent ends (PR_SET_PDEATHSIG), at once and
// whatever it is doing. The runtime cannot ask for it; `setpriv`, which belongs
// to every distribution (util-linux), can, and becomes the child by exec.
//
// Where this works a child needs no watchdog: `new Worker` blocks its main
// thread for about 16 ms before the task could run.

let prefix: string[] | undefined;

/** The command to put before a child's, or nothing where there is none. */
export function kernelGuard(): readonly string[] {
  if (prefix !== undefined) return prefix;
  prefix = [];
  if (Deno.build.os !== "linux") return prefix;
  const command = ["setpriv", "--pdeathsig", "KILL"];
  const [program, ...args] = command as [string, ...string[]];
  try {
    const tried = new Deno.Command(program, {
      args: [...args, program, "--version"],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).outputSync();
    if (tried.success) prefix = command;
  } catch {
    // It is not there, or may not be run.
  }
  return prefix;
}

/** Whether the guard may be used at this moment: permissions can be revoked. */
export function mayGuard(): boolean {
  return Deno.build.os === "linux" &&
    Deno.permissions.querySync({ name: "run", command: "setpriv" }).state ===
      "granted";
}
