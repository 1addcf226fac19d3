// Copyright 2026 the multitask authors. MIT license.
// How a child's runtime is started so that it resolves imports as its parent
// does. The parent's own flags cannot be read back, so there are options.

import { shown } from "../ipc/_options.ts";
import { fileUrl, localPath } from "../ipc/_task.ts";
import { self } from "../ipc/_self.ts";
import { InvalidStateError } from "../ipc/errors.ts";
import { has } from "./_permissions.ts";

/**
 * How the Deno of a child is started. Relative paths start at the parent's
 * working directory.
 */
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
  /** Whether the child starts in another directory. */
  isElsewhere: boolean,
): { program: string; flags: string[] } {
  checkRuntime(action, options);
  if (Deno.build.standalone && options.execPath === undefined) {
    throw new InvalidStateError(
      `Cannot ${action}: a compiled program cannot run another module; name a Deno with "runtime.execPath"`,
    );
  }
  const place = (path: string) => isElsewhere ? fromHere(path) : path;
  const { execPath } = options;
  const program = execPath === undefined
    ? Deno.execPath()
    // A bare name is looked up in the PATH.
    : /[/\\]/.test(execPath)
    ? place(execPath)
    : execPath;
  const flags = ["--quiet", "--no-prompt"];
  const config = options.config ?? findConfig();
  if (config === false || config === undefined) flags.push("--no-config");
  else if (config !== null) flags.push(`--config=${place(config)}`);
  if (options.importMap !== undefined) {
    flags.push(`--import-map=${place(options.importMap)}`);
  }
  if (options.lock === false) flags.push("--no-lock");
  else if (options.lock !== undefined) {
    flags.push(`--lock=${place(options.lock)}`);
  }
  if (options.nodeModulesDir !== undefined) {
    flags.push(`--node-modules-dir=${options.nodeModulesDir}`);
  }
  for (const name of options.unstable ?? []) flags.push(`--unstable-${name}`);
  if (options.v8Flags?.length) {
    flags.push(`--v8-flags=${options.v8Flags.join(",")}`);
  }
  return { program, flags };
}

/** A path or URL as a child has to be told that starts somewhere else. */
function fromHere(path: string): string {
  const isAbsolute = /^(?:[/\\]|[a-z]:[/\\])/i.test(path) ||
    URL.canParse(path);
  return isAbsolute ? path : `${Deno.cwd()}/${path}`;
}

const NODE_MODULES_MODES: readonly unknown[] = ["auto", "manual", "none"];

function checkRuntime(action: string, options: RuntimeOptions): void {
  const wrong = (name: string, what: string, value: unknown) =>
    new TypeError(
      `Cannot ${action}: "runtime.${name}" must be ${what}, received ${
        shown(value)
      }`,
    );
  const isText = (value: unknown) => typeof value === "string" && value !== "";
  const { execPath, config, importMap, lock, nodeModulesDir } = options;
  for (const [name, path] of Object.entries({ execPath, importMap })) {
    if (path === undefined || isText(path)) continue;
    const what = name === "execPath"
      ? "the path of a program"
      : "a path or a URL as text";
    throw wrong(name, what, path);
  }
  for (const [name, path] of Object.entries({ config, lock })) {
    if (path === undefined || path === false || isText(path)) continue;
    throw wrong(name, "a path or false", path);
  }
  if (
    nodeModulesDir !== undefined && !NODE_MODULES_MODES.includes(nodeModulesDir)
  ) {
    throw wrong("nodeModulesDir", '"auto", "manual" or "none"', nodeModulesDir);
  }
  const lists = [
    ["unstable", /^[a-z][a-z\d-]*$/, 'a list of names such as "kv"'],
    ["v8Flags", /^--?[^\s,]+$/, 'a list of flags such as "--expose-gc"'],
  ] as const;
  for (const [name, pattern, what] of lists) {
    const list: unknown = options[name];
    if (list === undefined) continue;
    if (!Array.isArray(list)) throw wrong(name, what, list);
    for (const [index, item] of list.entries()) {
      if (typeof item === "string" && pattern.test(item)) continue;
      throw wrong(`${name}[${index}]`, `one of ${what}`, item);
    }
  }
}

/** A module as an argument of `deno run`: local ones as paths. */
export function moduleArgument(url: string): string {
  const parsed = new URL(url);
  const path = parsed.protocol === "file:" ? localPath(parsed) : undefined;
  // A path that does not come back as the same URL is passed as a URL.
  return path !== undefined && fileUrl(path) === url ? path : url;
}
