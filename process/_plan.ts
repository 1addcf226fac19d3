// Copyright 2026 the multitask authors. MIT license.
// From the options of a process to the start of its child.

import { checkNonNegative, shown } from "../ipc/_options.ts";
import { self } from "../ipc/_self.ts";
import { localPath } from "../ipc/_task.ts";
import { InvalidStateError } from "../ipc/errors.ts";
import { PermissionBroker } from "./_broker.ts";
import { Child } from "./_child.ts";
import { ALL_ENTRY, BOOT_ENTRY, CHILD_ENTRY } from "./_entries.ts";
import { type Grants, resolveGrants } from "./_permissions.ts";
import type { Bootstrap } from "./_protocol.ts";
import { moduleArgument, runtimeCommand } from "./_runtime.ts";
import type { ProcessSpawnOptions } from "./process.ts";

/** How a child will be started. */
export interface SpawnPlan {
  /** The same for plans whose children can stand in for each other. */
  readonly key: string;
  /** Whether any task can be given to such a child. */
  readonly general: boolean;
  /** How long a child may take to be ready, in milliseconds. */
  readonly startTimeout: number;
  /** Starts a child, which loads something while it waits for its orders. */
  spawn(name: string, load: Bootstrap["load"]): Child;
}

/** What a child starts with: its own entry, or a main module after `first`. */
export interface EntryPoint {
  readonly first: readonly string[];
  readonly main: readonly string[];
}

/** A guess: enough to fetch this package on a slow line. */
const START_TIMEOUT = 60_000;

/** Works out and checks all that is needed to start a child. */
export function spawnPlan(
  action: string,
  options: ProcessSpawnOptions,
  /** The module of the task, for a child that may not read it itself. */
  preload: string | undefined,
  entry?: EntryPoint,
): SpawnPlan {
  if (self.asksParent) {
    throw new InvalidStateError(
      `Cannot ${action}: "${self.name}" has permissions "exact", and a Deno that it starts would have nobody to ask for permissions; start the process from its parent, or give "${self.name}" a list of permissions`,
    );
  }
  const { permissions: mode = "inherit", runtime = {}, cwd } = options;
  checkObject(action, "runtime", runtime);
  if (cwd !== undefined && typeof cwd !== "string" && !(cwd instanceof URL)) {
    throw new TypeError(
      `Cannot ${action}: "cwd" must be a path or URL, received ${shown(cwd)}`,
    );
  }
  const grants: Grants = resolveGrants(action, mode);
  const { program, flags } = runtimeCommand(
    action,
    runtime,
    cwd !== undefined,
  );
  const env = checkEnv(action, options.env);
  if (options.startTimeout !== undefined) {
    checkNonNegative(action, "startTimeout", options.startTimeout);
  }
  // What a child may not read has to be loaded before its main module: ours,
  // and the task's.
  const first = entry?.first ?? (grants.read === true ? [] : [
    ALL_ENTRY,
    ...preload?.startsWith("file:") ? [BOOT_ENTRY, preload] : [],
  ]);
  const spawnOptions = {
    action,
    program,
    flags: [
      ...flags,
      ...first.map((url) => `--preload=${moduleArgument(url)}`),
    ],
    grants,
    asksParent: mode === "exact",
    entry: entry?.main ?? [moduleArgument(CHILD_ENTRY)],
    env,
    cwd: cwd instanceof URL ? localPath(cwd) : cwd,
    stdout: options.stdout ?? "inherit",
    stderr: options.stderr ?? "inherit",
    startTimeout: options.startTimeout ?? START_TIMEOUT,
  };
  return {
    key: JSON.stringify([mode, workingDirectory(), {
      ...spawnOptions,
      action: "",
    }]),
    general: first.length === 0 && mode !== "exact",
    startTimeout: spawnOptions.startTimeout,
    spawn(name, load) {
      if (mode !== "exact") return new Child(name, { ...spawnOptions, load });
      const broker = new PermissionBroker(action);
      try {
        const child = new Child(name, {
          ...spawnOptions,
          load,
          env: { ...env, ...broker.env },
        });
        child.ended.finally(() => broker.close());
        return child;
      } catch (error) {
        broker.close();
        throw error;
      }
    },
  };
}

/** Where a child starts whose options do not say; "" if it may not be told. */
function workingDirectory(): string {
  try {
    return Deno.cwd();
  } catch {
    return "";
  }
}

function checkObject(action: string, name: string, value: unknown): void {
  if (typeof value === "object" && value !== null) return;
  throw new TypeError(
    `Cannot ${action}: "${name}" must be an object, received ${shown(value)}`,
  );
}

function checkEnv(
  action: string,
  env: Readonly<Record<string, string>> | undefined,
): Record<string, string> {
  if (env !== undefined) checkObject(action, "env", env);
  const checked: Record<string, string> = {};
  for (const [name, value] of Object.entries(env ?? {})) {
    if (typeof value !== "string") {
      throw new TypeError(
        `Cannot ${action}: "env.${name}" must be a string, received ${
          shown(value)
        }`,
      );
    }
    if (name === "" || /[=\0]/.test(name) || value.includes("\0")) {
      throw new TypeError(
        `Cannot ${action}: "env" has the variable ${
          shown(name)
        }, which no environment can hold`,
      );
    }
    checked[name] = value;
  }
  return checked;
}
