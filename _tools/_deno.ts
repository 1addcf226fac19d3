// Copyright 2026 the multitask authors. MIT license.

/** The folder of the repository. */
export const ROOT: URL = new URL("../", import.meta.url);

/**
 * Runs this same Deno in the repository's folder, with the terminal's output
 * and no input.
 *
 * @param args The arguments.
 * @returns The exit code.
 */
export async function deno(args: string[]): Promise<number> {
  const command = new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  });
  return (await command.output()).code;
}

/**
 * Whether a path below the repository's folder exists.
 *
 * @param path The path, relative to the repository's folder.
 * @returns `true` if it exists.
 */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(new URL(path, ROOT));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
