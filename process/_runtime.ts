// Copyright 2026 the multitask authors. MIT license.
// How a child's runtime is started so that it resolves imports as its parent
// does. The parent's own flags cannot be read back, so there are options.

import { fileUrl, localPath } from "../ipc/_task.ts";
import { self } from "../ipc/_self.ts";
import { InvalidStateError } from "../ipc/errors.ts";
import { has } from "./_permissions.ts";

/** How the Deno of a child is started. */
export interface RuntimeOptions {
  /**
   * The Deno program.
   *
   * @default {Deno.execPath()}
   */
  execPath?: string;
  /**
   * The configuration file, or `false` for none. The default is the one that
   * is found upwards from the main module.
   */
  config?: string | false;
  /** An import map: a path or URL. */
  importMap?: string;
  /** The lock file, or `false` for none. The default is Deno's own. */
  lock?: string | false;
  /** Where npm packages are: `"auto"`, `"manual"` or `"none"`. */
  nodeModulesDir?: "auto" | "manual" | "none";
  /**
   * Names of unstable features, for example `["kv"]` for `--unstable-kv`.
   *
   * @default {[]}
   */
  unstable?: readonly string[];
  /**
   * Flags for V8, for example `["--max-old-space-size=512"]`.
   *
   * @default {[]}
   */
  v8Flags?: readonly string[];
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

let found: { config: string | undefined } | undefined;

/** The configuration of the program; `null` when one may be there unseen. */
function findConfig(): string | undefined | null {
  if (found !== undefined) return found.config;
  const main = self.mainModule;
  if (!main.startsWith("file:")) return null;
  let folder = new URL("./", main);
  let config: string | undefined;
  search: while (true) {
    if (!has("read", localPath(folder))) return null;
    for (const name of ["deno.json", "deno.jsonc", "package.json"]) {
      const path = localPath(new URL(name, folder));
      if (exists(path)) {
        config = path;
        break search;
      }
    }
    const parent = new URL("../", folder);
    if (parent.href === folder.href) break;
    folder = parent;
  }
  found = { config };
  return config;
}

/** The program and the flags that do not depend on permissions. */
export function runtimeCommand(
  action: string,
  options: RuntimeOptions,
): { program: string; flags: string[] } {
  if (Deno.build.standalone && options.execPath === undefined) {
    throw new InvalidStateError(
      `Cannot ${action}: a compiled program cannot run another module; name a Deno with "runtime.execPath"`,
    );
  }
  const program = options.execPath ?? Deno.execPath();
  const flags = ["--quiet", "--no-prompt"];
  const config = options.config ?? findConfig();
  if (config === false || config === undefined) flags.push("--no-config");
  else if (config !== null) flags.push(`--config=${config}`);
  if (options.importMap !== undefined) {
    flags.push(`--import-map=${options.importMap}`);
  }
  if (options.lock === false) flags.push("--no-lock");
  else if (options.lock !== undefined) flags.push(`--lock=${options.lock}`);
  if (options.nodeModulesDir !== undefined) {
    flags.push(`--node-modules-dir=${options.nodeModulesDir}`);
  }
  for (const name of options.unstable ?? []) flags.push(`--unstable-${name}`);
  if (options.v8Flags?.length) {
    flags.push(`--v8-flags=${options.v8Flags.join(",")}`);
  }
  return { program, flags };
}

/** A module as an argument of `deno run`: local ones as paths. */
export function moduleArgument(url: string): string {
  const parsed = new URL(url);
  const path = parsed.protocol === "file:" ? localPath(parsed) : undefined;
  // A path that does not come back as the same URL is passed as a URL.
  return path !== undefined && fileUrl(path) === url ? path : url;
}
