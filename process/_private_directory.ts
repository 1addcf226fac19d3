// Copyright 2026 the multitask authors. MIT license.
// Directories for sockets. They are removed with their use; one that a killed
// program has left is swept up by the next that makes a directory.

const PREFIX = "multitask-";

/** A socket stands in its directory within this time, in milliseconds. */
const SETTLED = 10_000;

/** Makes a directory that only this user may enter. */
export function privateDirectory(): string {
  const directory = Deno.makeTempDirSync({ prefix: PREFIX });
  Deno.chmodSync(directory, 0o700);
  sweep(directory.slice(0, directory.lastIndexOf("/")))
    .catch(() => {}); // What may not be read is not swept.
  return directory;
}

async function sweep(root: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(root)) {
    if (!isDirectory || !name.startsWith(PREFIX)) continue;
    const directory = `${root}/${name}`;
    const { mtime } = await Deno.stat(directory);
    if (mtime === null || Date.now() - mtime.getTime() < SETTLED) continue;
    if (!await isInUse(directory)) removeDirectory(directory);
  }
}

/** Whether somebody listens on a socket in there. */
async function isInUse(directory: string): Promise<boolean> {
  for await (const { name } of Deno.readDir(directory)) {
    try {
      const path = `${directory}/${name}`;
      (await Deno.connect({ transport: "unix", path })).close();
      return true;
    } catch (error) {
      const isDead = error instanceof Deno.errors.ConnectionRefused;
      if (!isDead) return true; // It cannot be told.
    }
  }
  return false;
}

/** Removes a directory, unless somebody else was first. */
export function removeDirectory(directory: string): void {
  try {
    Deno.removeSync(directory, { recursive: true });
  } catch {
    // It is gone, or the permission was given up meanwhile.
  }
}
