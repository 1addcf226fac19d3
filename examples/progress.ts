// Copyright 2026 the multitask authors. MIT license.

/**
 * A progress bar for a real job: the SHA-256 of each file of a tree, by all
 * cores.
 *
 * The tree is this repository, or the directory that is the only argument. The
 * bar goes to stderr, so that the result can be piped on.
 *
 * @module
 */

import { Pool, progressBar } from "@multitask/std/pool";
import { readOptions } from "./_options.ts";

/** What is known of a file. */
export interface HashedFile {
  readonly path: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** Hashes a file; `null` if it has gone since it was listed. */
export async function hashFile(path: string): Promise<HashedFile | null> {
  try {
    const content = await Deno.readFile(path);
    return { path, bytes: content.length, sha256: await sha256Of(content) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function sha256Of(content: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", content);
  return new Uint8Array(digest).toHex();
}

/** The paths of all files below a directory, without what is hidden. */
async function* filesIn(directory: string): AsyncGenerator<string> {
  for await (const { name, isFile, isDirectory } of Deno.readDir(directory)) {
    if (name.startsWith(".") || name === "node_modules") continue;
    const path = `${directory}/${name}`;
    if (isDirectory) yield* filesIn(path);
    else if (isFile) yield path;
  }
}

if (import.meta.main) {
  const { argument: root = `${import.meta.dirname}/..` } = readOptions(
    "Hashes this repository, or the directory that is given.",
    "directory",
  );

  const paths = (await Array.fromAsync(filesIn(root))).sort();
  await using pool = new Pool();
  const hashed = await pool.map(hashFile, paths, {
    onProgress: progressBar({ label: "Hashing" }),
  });

  const files = hashed.filter((file) => file !== null);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const list = files.map(({ path, sha256 }) =>
    `${sha256}  ${path.slice(root.length + 1)}\n`
  ).join("");
  console.log(`${files.length} files, ${bytes} bytes`);
  // The same as: sha256sum of all files, sorted by path, | sha256sum
  console.log(`SHA-256: ${await sha256Of(new TextEncoder().encode(list))}`);
}
