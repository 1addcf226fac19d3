// Copyright 2026 the multitask authors. MIT license.
// From the permissions that are asked for to those of a worker. The runtime sees
// to it that they are never more than the starter's.
//
// It takes them only with --unstable-worker-options, and ends the whole program
// where that is missing. Nothing tells whether it is there but the command line
// and the configuration, as far as these may be read.

import { shown } from "../ipc/_options.ts";
import { fileUrl, localPath } from "../ipc/_task.ts";
import { self } from "../ipc/_self.ts";
import { PermissionNeededError } from "../ipc/errors.ts";

const NAMES = [
  "read",
  "write",
  "net",
  "env",
  "sys",
  "run",
  "ffi",
  "import",
] as const;

/**
 * What a thread gets of one permission: `true` all of it, `false` none, a list
 * just these (paths, hosts, variables, commands, kinds), `"inherit"` what its
 * starter has.
 */
export type ThreadPermissionGrant =
  | boolean
  | "inherit"
  | readonly (string | URL)[];

/** The permissions of a thread, by name; a name that is left out is `false`. */
export interface ThreadPermissions {
  /** Reading files. */
  read?: ThreadPermissionGrant;
  /** Writing files. */
  write?: ThreadPermissionGrant;
  /** The network. */
  net?: ThreadPermissionGrant;
  /** Environment variables. */
  env?: ThreadPermissionGrant;
  /** Information on the system. */
  sys?: ThreadPermissionGrant;
  /** Starting programs. */
  run?: ThreadPermissionGrant;
  /** Calling native libraries. */
  ffi?: ThreadPermissionGrant;
  /** Importing remote modules. */
  import?: ThreadPermissionGrant;
}

/**
 * The permissions of a thread.
 *
 * - `"inherit"`: what its starter has.
 * - `"none"`: nothing.
 * - an object: just this; never more than its starter has.
 *
 * The last two need `--unstable-worker-options`, or
 * `"unstable": ["worker-options"]` in deno.json.
 */
export type ThreadPermissionMode = "inherit" | "none" | ThreadPermissions;

/** What a worker is started with. */
export type WorkerGrants =
  | "inherit"
  | Readonly<Record<string, boolean | "inherit" | readonly (string | URL)[]>>;

const FLAG = "--unstable-worker-options";

/** Checks what is asked for. */
export function workerGrants(
  action: string,
  mode: ThreadPermissionMode = "inherit",
): WorkerGrants {
  if (mode === "inherit") return mode;
  if (
    mode !== "none" &&
    (typeof mode !== "object" || mode === null || Array.isArray(mode))
  ) {
    throw new TypeError(
      `Cannot ${action}: "permissions" must be "inherit", "none" or an object, received ${
        shown(mode)
      }`,
    );
  }
  const asked = mode === "none" ? {} : mode as Record<string, unknown>;
  for (const [name, grant] of Object.entries(asked)) {
    if (!(NAMES as readonly string[]).includes(name)) {
      throw new TypeError(
        `Cannot ${action}: "permissions.${name}" is no permission; there are ${
          NAMES.join(", ")
        }`,
      );
    }
    const isGrant = grant === undefined || grant === "inherit" ||
      typeof grant === "boolean" || (Array.isArray(grant) &&
        grant.every((item) => typeof item === "string" || item instanceof URL));
    if (!isGrant) {
      throw new TypeError(
        `Cannot ${action}: "permissions.${name}" must be true, false, "inherit" or a list, received ${
          shown(grant)
        }`,
      );
    }
  }
  if (!mayTakePermissions()) {
    throw new PermissionNeededError(
      `Cannot ${action} with "permissions": the runtime takes them for threads only with ${FLAG}; add it, or "unstable": ["worker-options"] to deno.json`,
      { flag: FLAG },
    );
  }
  return Object.fromEntries(
    // What was checked above.
    NAMES.map((name) => [name, (asked[name] ?? false) as boolean]),
  );
}

let known: boolean | undefined;

/** False where the flag is missing for sure. */
function mayTakePermissions(): boolean {
  return known ??= isInConfiguration() || (isOnCommandLine() ?? true);
}

/** `undefined` where the command line cannot be read. */
function isOnCommandLine(): boolean | undefined {
  try {
    return Deno.readTextFileSync("/proc/self/cmdline").split("\0")
      .includes(FLAG);
  } catch {
    return undefined;
  }
}

const IN_CONFIGURATION = /"unstable"\s*:\s*\[[^\]]*"worker-options"/;

/** The runtime takes the configuration next to the main module, or above it. */
function isInConfiguration(): boolean {
  const main = URL.canParse(self.mainModule)
    ? self.mainModule
    : fileUrl(self.mainModule);
  let folder = URL.canParse(main) ? new URL(".", main) : undefined;
  while (folder?.protocol === "file:") {
    for (const name of ["deno.json", "deno.jsonc"]) {
      try {
        const text = Deno.readTextFileSync(localPath(new URL(name, folder)));
        if (IN_CONFIGURATION.test(text)) return true;
      } catch {
        // It is not there, or may not be read.
      }
    }
    const parent = new URL("../", folder);
    folder = parent.href === folder.href ? undefined : parent;
  }
  return false;
}
