// Copyright 2026 the multitask authors. MIT license.
// Directories for sockets. They are removed with their use; those of a program
// that was killed are swept up by the next one that makes a directory.

const NAME = /^multitask-(\d+)-/;

/** Makes a directory that only this user may enter. */
export function privateDirectory(): string {
  const directory = Deno.makeTempDirSync({ prefix: `multitask-${Deno.pid}-` });
  Deno.chmodSync(directory, 0o700);
  sweep(directory.slice(0, directory.lastIndexOf("/")));
  return directory;
}

function sweep(root: string): void {
  // Only Linux tells cheaply whether a process lives.
  if (Deno.build.os !== "linux") return;
  try {
    for (const { name } of Deno.readDirSync(root)) {
      const pid = NAME.exec(name)?.[1];
      if (pid !== undefined && !lives(pid)) {
        removeDirectory(`${root}/${name}`);
      }
    }
  } catch {
    // It may not be read: then nothing is swept.
  }
}

function lives(pid: string): boolean {
  try {
    Deno.statSync(`/proc/${pid}`);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

/** Removes a directory, unless somebody else was first. */
export function removeDirectory(directory: string): void {
  try {
    Deno.removeSync(directory, { recursive: true });
  } catch {
    // It is gone, or the permission was given up meanwhile.
  }
}
