// Copyright 2026 the multitask authors. MIT license.

// Checks which published file may import which:
// - a module folder imports only itself and folders of a lower layer;
// - nothing published imports a folder that is not published;
// - the entry files of workers and children (`_*_main.ts`) import by relative
//   path only: a bare name would be looked up in the user's import map.

import { exists, ROOT } from "./_deno.ts";

const LAYERS: Readonly<Record<string, number>> = {
  ipc: 1,
  subprocess: 2,
  thread_local: 2,
  process: 3,
  thread: 3,
  pool: 4,
  distributed: 5,
};
const ROOT_LAYER = 6;

/** The part of the output of `deno info --json` that is read here. */
interface ModuleGraph {
  modules: {
    specifier: string;
    error?: string;
    dependencies?: {
      specifier: string;
      code?: { specifier?: string };
      type?: { specifier?: string };
    }[];
  }[];
}

if (import.meta.main) {
  const { files, problems } = await checkLayers();
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) Deno.exit(1);
  console.log(`Checked the layers of ${files} files`);
}

async function checkLayers(): Promise<{ files: number; problems: string[] }> {
  const seen = new Set<string>();
  const problems: string[] = [];
  for await (const file of publishedFiles()) {
    if (seen.has(new URL(file, ROOT).href)) continue;
    // Entry files are in no graph but their own.
    for (const module of (await moduleGraph(file)).modules) {
      const path = localPath(module.specifier);
      if (path === undefined || layerOf(path) === undefined) continue;
      if (seen.has(module.specifier)) continue;
      seen.add(module.specifier);
      if (module.error !== undefined) problems.push(module.error);
      for (const { specifier, code, type } of module.dependencies ?? []) {
        const target = code?.specifier ?? type?.specifier;
        const problem = checkImport(path, specifier, target);
        if (problem !== undefined) problems.push(problem);
      }
    }
  }
  return { files: seen.size, problems };
}

function checkImport(
  from: string,
  specifier: string,
  target: string | undefined,
): string | undefined {
  if (/(^|\/)_\w+_main\.ts$/.test(from) && !/^\.\.?\//.test(specifier)) {
    return `${from} imports "${specifier}": an entry file may import only relative paths`;
  }
  const to = target === undefined ? undefined : localPath(target);
  // What this repository takes from `_std` is remote for the users.
  if (to === undefined || specifier.startsWith("@std/")) return undefined;
  const [fromLayer, toLayer] = [layerOf(from), layerOf(to)];
  if (toLayer === undefined) {
    return `${from} imports ${to}: it is not published`;
  }
  if (folderOf(from) === folderOf(to) || fromLayer! > toLayer) return undefined;
  return `${from} (layer ${fromLayer}) imports ${to} (layer ${toLayer}): only lower layers may be imported`;
}

async function* publishedFiles(): AsyncGenerator<string> {
  if (await exists("mod.ts")) yield "mod.ts";
  for (const folder of Object.keys(LAYERS)) {
    if (await exists(folder)) yield* typescriptFiles(`${folder}/`);
  }
}

async function* typescriptFiles(folder: string): AsyncGenerator<string> {
  for await (
    const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))
  ) {
    if (isDirectory) yield* typescriptFiles(`${folder}${name}/`);
    else if (name.endsWith(".ts")) yield `${folder}${name}`;
  }
}

async function moduleGraph(file: string): Promise<ModuleGraph> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", file],
    cwd: ROOT,
  }).output();
  const decoder = new TextDecoder();
  if (!success) {
    throw new Error(`Cannot read the imports of ${file}`, {
      cause: decoder.decode(stderr),
    });
  }
  // The shape of this output is stable within a version of Deno.
  return JSON.parse(decoder.decode(stdout)) as ModuleGraph;
}

/** The path below the repository's folder, if the module is there. */
function localPath(specifier: string): string | undefined {
  return specifier.startsWith(ROOT.href)
    ? specifier.slice(ROOT.href.length)
    : undefined;
}

function folderOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : "";
}

function layerOf(path: string): number | undefined {
  const folder = folderOf(path);
  return folder === "" ? ROOT_LAYER : LAYERS[folder];
}
