// Brings the package into a registry: a real `deno publish` of the files of this
// repository, beside the workspace members that stand for its dependencies.

import { runCommand } from "./_command.ts";
import {
  type LocalRegistry,
  normalizeExports,
  type RegistryPackage,
} from "./_registry.ts";
import { TempDir } from "./_temp_dir.ts";

const PUBLISH_DEADLINE = 120_000;
const GIT_DEADLINE = 30_000;

const repository = toPath(new URL("../..", import.meta.url));

/** The fields of a `deno.json` that are read here. */
interface PackageConfig {
  name?: string;
  version?: string;
  exports?: unknown;
  publish?: unknown;
  workspace?: string[];
}

/**
 * Publishes the package from a clean copy of the repository, work in progress
 * included, and returns what the registry then serves.
 */
export async function publishPackage(
  registry: LocalRegistry,
): Promise<RegistryPackage> {
  await using copy = await TempDir.make("multitask_publish_");
  await copyRepository(copy.path);
  const config = await readConfig(copy.path);
  for (const member of config.workspace ?? []) {
    const directory = `${copy.path}/${member}`;
    const { publish } = await readConfig(directory);
    if (publish === false) registry.add(await readMember(directory));
  }

  // Types are left to `deno check` in the consumers, which reads them as users do.
  const outcome = await runCommand(Deno.execPath(), [
    "publish",
    "--token=unused",
    "--allow-dirty",
    "--no-check",
    "--no-provenance",
  ], {
    cwd: copy.path,
    env: registry.env,
    deadline: PUBLISH_DEADLINE,
  });
  const pkg = registry.get(config.name ?? "");
  if (outcome.code !== 0 || outcome.trouble !== null || pkg === undefined) {
    const how = outcome.trouble ?? `exit code ${outcome.code}`;
    throw new Error(
      `Cannot publish "${config.name}": ${how}\n${outcome.stdout}${outcome.stderr}`,
    );
  }
  return pkg;
}

/** Copies what git tracks and what it would track, so that a build's leavings stay out. */
async function copyRepository(target: string): Promise<void> {
  for (const path of await listRepository()) {
    const parent = path.slice(0, path.lastIndexOf("/") + 1);
    await Deno.mkdir(`${target}/${parent}`, { recursive: true });
    try {
      await Deno.copyFile(`${repository}/${path}`, `${target}/${path}`);
    } catch (error) {
      // Git still lists what was deleted and not yet committed.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

async function listRepository(): Promise<string[]> {
  try {
    const { code, stdout } = await runCommand("git", [
      "ls-files",
      "-z",
      "--cached",
      "--others",
      "--exclude-standard",
    ], { cwd: repository, deadline: GIT_DEADLINE });
    if (code === 0) return stdout.split("\0").filter((path) => path !== "");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  // No git on this machine, or no checkout: the sources came as an archive.
  return await listDirectory(repository, "");
}

async function listDirectory(root: string, under: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const entry of Deno.readDir(`${root}/${under}`)) {
    const path = `${under}${entry.name}`;
    if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
    if (entry.isDirectory) paths.push(...await listDirectory(root, `${path}/`));
    else if (entry.isFile) paths.push(path);
  }
  return paths;
}

/** A workspace member as a package: its configuration and every file beside it. */
async function readMember(directory: string): Promise<RegistryPackage> {
  const { name, version, exports } = await readConfig(directory);
  if (name === undefined || version === undefined) {
    throw new Error(
      `Cannot serve "${directory}": it has no name or no version`,
    );
  }
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const path of await listDirectory(directory, "")) {
    files.set(path, await Deno.readFile(`${directory}/${path}`));
  }
  return { name, version, exports: normalizeExports(exports), files };
}

async function readConfig(directory: string): Promise<PackageConfig> {
  return JSON.parse(await Deno.readTextFile(`${directory}/deno.json`));
}

function toPath(url: URL): string {
  const path = decodeURIComponent(url.pathname);
  return Deno.build.os === "windows" ? path.slice(1) : path;
}
