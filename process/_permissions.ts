// Copyright 2026 the multitask authors. MIT license.
// From the parent's permissions, and what it wants to give, to a child's flags.
// A child never gets more than the parent has at that moment.
//
// Flags that deny (`--deny-env=SECRET`) are not passed on: Deno does not list
// them. It says of a path that something in it is denied (`partial`), of a
// whole name too; but not of a pattern of variables (`APP_*`), nor of a host
// whose ports are all meant. These are therefore only taken from a parent that
// has the whole name, with nothing denied.

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
 *
 * Relative paths start at the parent's working directory. A pattern of
 * variables (`"APP_*"`) and a host without a port (`"example.com"`) can only be
 * given by a parent that has the whole of `env` or `net`: Deno does not tell
 * what a `--deny` flag takes out of a smaller grant. A host with a port
 * (`"example.com:443"`) and a single variable can always be given. A flag that
 * denies an address does not follow the names that lead to it.
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
 *   grant (`--allow-read=./data`) covers, nor what a `--deny` flag takes out of
 *   one, so such a one is not passed on: list it.
 * - `"none"`: nothing.
 * - an object: just this; every item must be granted to the parent.
 * - `"exact"`: what the parent has, scoped grants included: the child asks the
 *   parent at each check, over Deno's permission broker (experimental in Deno;
 *   it keeps honest programs within bounds, it is no wall against hostile ones).
 *   Where the parent has a part of `read`, `write`, `ffi` or `run`, the child has
 *   to name paths and commands by their absolute path. Such a child can start no
 *   processes of this package; a Deno that it starts by itself finds no broker
 *   and ends.
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
      // The types have not all of the kinds.
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

/** Whether an item stands for many, some of which may be denied unseen. */
function isOpen(name: PermissionName, item: string): boolean {
  switch (name) {
    case "env":
      return item.includes("*");
    case "net":
    case "import":
      return !/^(?:unix|vsock):|:\d+$/.test(item);
    default:
      return false;
  }
}

/** Whether this process may give an item away. */
function mayGive(name: PermissionName, item: string): boolean {
  return isOpen(name, item) ? has(name) : has(name, item);
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
    const items = grant.map((item: unknown, index) =>
      checkItem(action, name, item, index)
    );
    for (const item of items) {
      if (!mayGive(name, item)) throw lacking(action, name, item);
    }
    if (items.length > 0) grants[name] = items;
  }
  return grants;
}

/** The kinds of system information of Deno 2.9, which does not list them. */
const SYS_KINDS = new Set(
  "loadavg hostname systemMemoryInfo networkInterfaces osRelease osUptime uid gid username cpus homedir getegid statfs getPriority setPriority userInfo ca umask"
    .split(" "),
);

/** What an item of a list has to be. */
const ITEMS: Record<PermissionName, string> = {
  read: "a path or file URL",
  write: "a path or file URL",
  ffi: "a path or file URL",
  run: "a command, a path or a file URL",
  net: 'a host with or without a port ("example.com:443")',
  import: 'a host with or without a port ("example.com:443")',
  env: "the name of a variable",
  sys: 'a kind of system information ("hostname")',
};

/** Checks an item of a list, and gives it as a flag has it. */
function checkItem(
  action: string,
  name: PermissionName,
  item: unknown,
  index: number,
): string {
  const option = `"permissions.${name}[${index}]"`;
  const wrong = (cause?: unknown) =>
    new TypeError(
      `Cannot ${action}: ${option} must be ${ITEMS[name]}, received ${
        shown(item)
      }`,
      { cause },
    );
  const takesPaths = ITEMS[name].includes("file URL");
  let text: string;
  if (typeof item === "string") text = takesPaths ? absolute(name, item) : item;
  else if (item instanceof URL && takesPaths && item.protocol === "file:") {
    text = localPath(item);
  } else throw wrong();
  if (text === "" || text.includes(",")) {
    throw new RangeError(
      `Cannot ${action}: ${option} is ${
        shown(text)
      }, which no flag can express`,
    );
  }
  if (text.includes("\0")) throw wrong();
  if (name === "env" && text.includes("=")) throw wrong();
  if (name === "sys" && !SYS_KINDS.has(text)) throw wrong();
  if ((name === "net" || name === "import") && !isHost(text)) throw wrong();
  try {
    has(name, text);
  } catch (error) {
    throw wrong(error);
  }
  return text;
}

/** A name, an address or a subnet, and a port; Deno checks the details. */
const HOST = /^(?:\[[\da-f:.]+\]|[^\s:*[\]]+)(?::(\d{1,5}))?$/i;

function isHost(text: string): boolean {
  if (/^(?:unix:\/.|vsock:\d+:\d+$)/.test(text)) return true;
  const match = HOST.exec(text);
  return match !== null && Number(match[1] ?? 0) < 0x10000;
}

/** The child may start somewhere else: its paths are the parent's. */
function absolute(name: PermissionName, item: string): string {
  const isPath = name !== "run" || item.includes("/");
  if (!isPath || item === "" || /^(?:[/\\]|[a-z]:)/i.test(item)) return item;
  return `${Deno.cwd()}/${item}`;
}

function lacking(
  action: string,
  name: PermissionName,
  item?: string,
): PermissionNeededError {
  if (item !== undefined && isOpen(name, item)) {
    const flag = flagOf(name);
    const what = name === "env" ? "a pattern" : "a host without a port";
    return new PermissionNeededError(
      `Cannot ${action}: ${
        shown(item)
      } is ${what}, of which flags such as --deny-${name} may take something out unseen, so that only a parent with the whole of ${flag} can give it; list ${
        name === "env" ? "the variables one by one" : "it with its ports"
      }, or use permissions "exact"`,
      { flag },
    );
  }
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
