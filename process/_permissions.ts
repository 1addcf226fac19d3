// Copyright 2026 the multitask authors. MIT license.
// From the parent's permissions, and what it wants to give, to a child's flags.
// A child never gets more than the parent has at that moment.

import { shown } from "../ipc/_options.ts";
import { localPath } from "../ipc/_task.ts";
import { PermissionNeededError } from "../ipc/errors.ts";

/** The names of Deno's permissions. */
export const PERMISSION_NAMES = [
  "read",
  "write",
  "net",
  "env",
  "sys",
  "run",
  "ffi",
  "import",
] as const;

/** The name of a Deno permission. */
export type PermissionName = (typeof PERMISSION_NAMES)[number];

/**
 * What a child gets of one permission: `true` all of it, `false` none, a list
 * just these (paths, hosts, variables, commands, kinds), `"inherit"` all of it
 * if the parent has all of it.
 */
export type PermissionGrant = boolean | "inherit" | readonly (string | URL)[];

/** The permissions of a child, by name; a name that is left out is `false`. */
export interface ProcessPermissions {
  /** Reading files. */
  read?: PermissionGrant;
  /** Writing files. */
  write?: PermissionGrant;
  /** The network. */
  net?: PermissionGrant;
  /** Environment variables. */
  env?: PermissionGrant;
  /** Information on the system. */
  sys?: PermissionGrant;
  /** Starting programs. */
  run?: PermissionGrant;
  /** Calling native libraries. */
  ffi?: PermissionGrant;
  /** Importing remote modules. */
  import?: PermissionGrant;
}

/**
 * The permissions of a child.
 *
 * - `"inherit"`: what the parent has whole. Deno does not tell what a scoped
 *   grant (`--allow-read=./data`) covers, so such a one is not passed on: list
 *   it.
 * - `"none"`: nothing.
 * - an object: just this; every item must be granted to the parent.
 * - `"exact"`: what the parent has, scoped grants included: the child asks the
 *   parent at each check, over Deno's permission broker (experimental in Deno;
 *   it keeps honest programs within bounds, it is no wall against hostile ones).
 *   A Deno that such a child starts by itself finds no broker and ends.
 */
export type PermissionMode = "inherit" | "none" | "exact" | ProcessPermissions;

/** What a child is given: all, some or nothing of each name. */
export type Grants = Partial<Record<PermissionName, true | string[]>>;

function descriptor(
  name: PermissionName,
  item?: string,
): Deno.PermissionDescriptor {
  switch (name) {
    case "read":
    case "write":
    case "ffi":
      return item === undefined ? { name } : { name, path: item };
    case "net":
    case "import":
      return item === undefined ? { name } : { name, host: item };
    case "env":
      return item === undefined ? { name } : { name, variable: item };
    case "run":
      return item === undefined ? { name } : { name, command: item };
    case "sys":
      // The list of kinds grows with Deno; an unknown one throws there.
      return item === undefined
        ? { name }
        : { name, kind: item } as Deno.SysPermissionDescriptor;
  }
}

/** Whether this process has a permission: whole, or for one item. */
export function has(name: PermissionName, item?: string): boolean {
  const status = Deno.permissions.querySync(descriptor(name, item));
  // A partial grant has a deny list beside it, which a child would not get.
  return status.state === "granted" && !status.partial;
}

function flagOf(name: PermissionName, item?: string): string {
  return item === undefined ? `--allow-${name}` : `--allow-${name}=${item}`;
}

/** Works out what a child gets. */
export function resolveGrants(action: string, mode: PermissionMode): Grants {
  const grants: Grants = {};
  if (mode === "none" || mode === "exact") return grants;
  if (mode === "inherit") {
    for (const name of PERMISSION_NAMES) if (has(name)) grants[name] = true;
    return grants;
  }
  if (typeof mode !== "object" || mode === null) {
    throw new TypeError(
      `Cannot ${action}: "permissions" must be "inherit", "none", "exact" or an object, received ${
        shown(mode)
      }`,
    );
  }
  for (const [key, grant] of Object.entries(mode)) {
    const name = key as PermissionName;
    if (!PERMISSION_NAMES.includes(name)) {
      throw new TypeError(
        `Cannot ${action}: there is no permission "${key}"; there are ${
          PERMISSION_NAMES.join(", ")
        }`,
      );
    }
    if (grant === false || grant === undefined) continue;
    if (grant === "inherit") {
      if (has(name)) grants[name] = true;
      continue;
    }
    if (grant === true) {
      if (!has(name)) throw lacking(action, name);
      grants[name] = true;
      continue;
    }
    if (!Array.isArray(grant)) {
      throw new TypeError(
        `Cannot ${action}: "permissions.${name}" must be true, false, "inherit" or a list, received ${
          shown(grant)
        }`,
      );
    }
    const items = grant.map((item) =>
      item instanceof URL ? localPath(item) : absolute(name, String(item))
    );
    for (const item of items) {
      if (item === "" || item.includes(",")) {
        throw new RangeError(
          `Cannot ${action}: "permissions.${name}" has ${
            shown(item)
          }, which no flag can express`,
        );
      }
      if (!has(name, item)) throw lacking(action, name, item);
    }
    if (items.length > 0) grants[name] = items;
  }
  return grants;
}

/** The child may start somewhere else: its paths are the parent's. */
function absolute(name: PermissionName, item: string): string {
  const isPath = name === "read" || name === "write" || name === "ffi" ||
    (name === "run" && item.includes("/"));
  if (!isPath || item === "" || /^(?:[/\\]|[a-z]:)/i.test(item)) return item;
  return `${Deno.cwd()}/${item}`;
}

function lacking(
  action: string,
  name: PermissionName,
  item?: string,
): PermissionNeededError {
  const flag = flagOf(name, item);
  return new PermissionNeededError(
    `Cannot ${action}: a child cannot get more than its parent has, which lacks ${flag}`,
    { flag },
  );
}

/** The grants as command line flags. */
export function grantFlags(grants: Grants): string[] {
  if (PERMISSION_NAMES.every((name) => grants[name] === true)) {
    return ["--allow-all"];
  }
  const flags: string[] = [];
  for (const name of PERMISSION_NAMES) {
    const grant = grants[name];
    if (grant === true) flags.push(`--allow-${name}`);
    else if (grant !== undefined) {
      flags.push(`--allow-${name}=${grant.join(",")}`);
    }
  }
  return flags;
}
