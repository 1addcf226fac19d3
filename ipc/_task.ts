// Copyright 2026 the multitask authors. MIT license.
// How a function crosses a boundary: what is checked at the call, and how its
// module and export are found. The other side is _task_load.ts.
//
// Python sends a function by module and name; so do we. Which module?
//
//   1. An explicit reference says so.
//   2. The text of the calling module (and of the other files on the stack):
//      a function that is written down in place, at the top level, and exported,
//      is the one if no other there has its name, or those that have it read
//      differently; the other side compares its source.
//   3. The modules that those files import are loaded already: the export that
//      is this very function.
//   4. The inspector (whole of --allow-sys) knows the script, and whether the
//      function captures variables of an enclosing call.
//   5. Else its source is sent. It then sees no names of its module: an error
//      says which one it misses.
//
// Equal source text alone proves nothing: `mul(2)` and `mul(5)` read the same.

import {
  type Definition,
  fitsDefinition,
  type ModuleOutline,
  relativeImportIn,
  scanModule,
} from "./_module_scan.ts";
import { shown } from "./_options.ts";
import { self } from "./_self.ts";
import { type AnyFunction, relativeImport, type Task } from "./_task_load.ts";
import { isTaskRef, type Target, type TaskRef } from "./task_ref.ts";
import { TaskReferenceError } from "./errors.ts";

/** What is known of a target at the call. */
export interface TaskCall {
  readonly target: AnyFunction | TaskRef;
  /** The files on the stack that are not ours, the caller first. */
  readonly files: readonly string[];
}

/** Where this package's published folders are. */
const PACKAGE = new URL("../", import.meta.url).href;
const OWN_FOLDERS =
  /^(?:mod\.ts|(?:ipc|process|thread|thread_local|subprocess|pool|distributed)\/)/;

/** Whether a URL is one of this package's own modules. */
export function isOwnModule(url: string): boolean {
  return url.startsWith(PACKAGE) &&
    OWN_FOLDERS.test(url.slice(PACKAGE.length));
}

interface CallSite {
  getFileName(): string | null;
  getLineNumber(): number | null;
  getColumnNumber(): number | null;
  getFunctionName(): string | null;
}

/** A place in the code: the file's URL, and line and column. */
export interface Place {
  readonly file: string;
  readonly position: string;
  readonly functionName: string;
}

/** The calls on the stack, innermost first; those awaiting them included. */
export function callStack(): Place[] {
  const settings = Error as unknown as Record<string, unknown>;
  const { prepareStackTrace, stackTraceLimit } = settings;
  let sites: CallSite[] = [];
  try {
    settings.stackTraceLimit = 50;
    settings.prepareStackTrace = (_error: Error, found: CallSite[]) => {
      sites = found;
      return "";
    };
    // Reading it is what prepares it.
    void new Error().stack;
  } finally {
    settings.prepareStackTrace = prepareStackTrace;
    settings.stackTraceLimit = stackTraceLimit;
  }
  return sites.map((site) => {
    const name = site.getFileName() ?? "";
    return {
      file: URL.canParse(name) && !/^[a-z]:[\\/]/i.test(name)
        ? name
        : fileUrl(name),
      position: `${site.getLineNumber()}:${site.getColumnNumber()}`,
      functionName: site.getFunctionName() ?? "",
    };
  });
}

/** The files on the stack that are not ours, the caller first. */
export function callerFiles(): string[] {
  const files = new Set<string>();
  for (const { file } of callStack()) {
    if (/^(?:file|https?):/.test(file) && !isOwnModule(file)) files.add(file);
  }
  return [...files];
}

const NATIVE = /\{\s*\[native code\]\s*\}\s*$/;

/** Checks a target at the call and remembers where the call stands. */
export function checkTarget<A extends unknown[], R>(
  action: string,
  target: Target<A, R>,
): TaskCall {
  if (isTaskRef(target)) return { target, files: [] };
  if (typeof target !== "function") {
    throw new TypeError(
      `Cannot ${action}: "target" must be a function or a taskRef(), received ${
        shown(target)
      }`,
    );
  }
  const source = Function.prototype.toString.call(target);
  if (NATIVE.test(source)) {
    throw new TaskReferenceError(
      `Cannot ${action}: "${target.name}" is a ${
        target.name.startsWith("bound ") ? "bound" : "native"
      } function, which has no source to find it by; pass an exported function and its arguments`,
    );
  }
  if (/^class\b/.test(source)) {
    throw new TaskReferenceError(
      `Cannot ${action}: "${target.name}" is a class; pass a function`,
    );
  }
  const files = callerFiles();
  const imported = relativeImportIn(source);
  if (imported !== undefined && isSurelyInline(target, files)) {
    throw relativeImport(target.name, imported);
  }
  return { target, files };
}

const outlines = new Map<string, ModuleOutline | undefined>();

function mayRead(path: string): boolean {
  return Deno.permissions.querySync({ name: "read", path }).state === "granted";
}

/** The outline of a local module; `undefined` when it cannot be read. */
function outlineOf(file: string): ModuleOutline | undefined {
  if (outlines.has(file)) return outlines.get(file);
  let outline: ModuleOutline | undefined;
  try {
    const url = new URL(file);
    if (url.protocol === "file:" && mayRead(localPath(url))) {
      outline = scanModule(Deno.readTextFileSync(url));
    }
  } catch {
    // An unreadable module (`deno eval` has none) is found in another way.
  }
  outlines.set(file, outline);
  return outline;
}

/** The `file:` URL of an absolute path; "" for anything else. */
export function fileUrl(path: string): string {
  if (!/^(?:\/|[a-z]:\\)/i.test(path)) return "";
  const encoded = encodeURI(path.replaceAll("\\", "/"))
    .replaceAll("?", "%3F").replaceAll("#", "%23");
  return new URL(encoded.startsWith("/") ? encoded : `/${encoded}`, "file:")
    .href;
}

/** The path of a `file:` URL. */
export function localPath(url: URL): string {
  const path = decodeURIComponent(url.pathname);
  return Deno.build.os === "windows"
    ? path.slice(1).replaceAll("/", "\\")
    : path;
}

/** An import of a loaded module settles soon, unless it is being evaluated. */
const IMPORT_PATIENCE = 1000;

export async function namespaceOf(
  url: string,
  patience = IMPORT_PATIENCE,
): Promise<Record<string, unknown> | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    return await Promise.race([
      import(url) as Promise<Record<string, unknown>>,
      new Promise<undefined>((resolve) => {
        timer = setTimeout(resolve, patience, undefined);
      }),
    ]);
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

function exportOf(
  namespace: Record<string, unknown> | undefined,
  target: AnyFunction,
): string | undefined {
  return Object.keys(namespace ?? {}).find((key) => namespace![key] === target);
}

/** Way 2: the function is written down in the calling module. */
function byText(target: AnyFunction, files: readonly string[]) {
  if (target.name === "") return undefined;
  for (const file of files) {
    const outline = outlineOf(file);
    const definition = outline && definitionOf(target, outline);
    if (definition === undefined || isAlsoDefined(target, file, outline!)) {
      continue;
    }
    for (const [name, local] of outline!.exports) {
      if (outline!.inPlace.get(local) === definition) {
        return { module: file, name };
      }
    }
  }
  return undefined;
}

/** The only definition in a module that the function can have come from. */
function definitionOf(
  target: AnyFunction,
  { definitions }: ModuleOutline,
): Definition | undefined {
  const known = definitions.get(target.name) ?? [];
  if (known.length < 2) return known[0];
  const source = Function.prototype.toString.call(target);
  const fitting = known.filter((one) => fitsDefinition(source, one));
  return fitting.length === 1 ? fitting[0] : undefined;
}

/** Whether a module that is imported there makes such functions too. */
function isAlsoDefined(
  target: AnyFunction,
  file: string,
  { imports }: ModuleOutline,
): boolean {
  const source = Function.prototype.toString.call(target);
  return imports.some(({ specifier }) => {
    const module = resolveFrom(specifier, file);
    if (module === undefined || module === file || isOwnModule(module)) {
      return false;
    }
    return outlineOf(module)?.definitions.get(target.name)
      ?.some((one) => fitsDefinition(source, one)) ?? false;
  });
}

/** Whether no module can be found that exports a function. */
function isSurelyInline(
  target: AnyFunction,
  files: readonly string[],
): boolean {
  // The inspector knows of modules that were imported while the program ran.
  const { state } = Deno.permissions.querySync({ name: "sys" });
  return state !== "granted" && files.length > 0 &&
    likelyExport(target, files) === undefined &&
    files.every((file) =>
      outlineOf(file)?.imports.every(({ specifier }) => {
        const module = resolveFrom(specifier, file);
        return module !== undefined && !mayExport(module);
      }) ?? false
    );
}

/** An export that is called what the function is called, or stands for it. */
function likelyExport(target: AnyFunction, files: readonly string[]) {
  if (target.name === "") return undefined;
  for (const file of files) {
    const { exports, inPlace } = outlineOf(file) ?? {};
    for (const [name, local] of exports ?? []) {
      const called = inPlace!.get(local)?.name ?? local;
      if (called === target.name || local === target.name) {
        return { file, name };
      }
    }
  }
  return undefined;
}

/**
 * The module to load first in a child that may not read it itself: the one the
 * function surely is in, or that imports it. A function that is sent by its
 * source needs none.
 */
export function preloadFor({ target, files }: TaskCall): string | undefined {
  if (typeof target !== "function") return target.module;
  const text = byText(target, files);
  if (text !== undefined) return text.module;
  if (target.name === "") return undefined;
  // The module that has a function of this name, else the first that could
  // have imported it.
  const real = files.filter((file) => !isPseudoModule(file));
  return real.find((file) =>
    outlineOf(file)?.definitions.has(target.name) ?? true
  ) ?? real.find((file) => outlineOf(file)!.imports.length > 0);
}

/** Whether it is the main module, which may be waiting for us right now. */
function isMainModule(url: string): boolean {
  return url === self.mainModule && !self.isThread;
}

/** Whether there is no such file: `deno eval`, stdin. */
export function isPseudoModule(file: string): boolean {
  return /\/\$deno\$[^/]*$/.test(file);
}

function resolveFrom(specifier: string, file: string): string | undefined {
  try {
    if (/^\.{0,2}\//.test(specifier)) return new URL(specifier, file).href;
    if (URL.canParse(specifier)) return specifier;
    return import.meta.resolve(specifier);
  } catch {
    return undefined;
  }
}

/** Whether functions of a module may be looked for there. */
function mayExport(module: string): boolean {
  return !isOwnModule(module) && !/^(?:node|npm|data|blob):/.test(module);
}

/** Way 3: it is an export of a module that these files import. */
async function byImport(target: AnyFunction, files: readonly string[]) {
  for (const file of files) {
    const imports = [...outlineOf(file)?.imports ?? []];
    // What is imported by the function's own name comes first.
    const likely = (names: readonly string[]) =>
      names.includes(target.name) ? 0 : 1;
    imports.sort((a, b) => likely(a.names) - likely(b.names));
    for (const { specifier } of imports) {
      const module = resolveFrom(specifier, file);
      if (
        module === undefined || isMainModule(module) || !mayExport(module)
      ) continue;
      const name = exportOf(await namespaceOf(module), target);
      if (name !== undefined) return { module, name };
    }
    // A module that has been evaluated can be asked itself; the main module
    // usually waits for us right now.
    if (!isMainModule(file) || outlineOf(file) === undefined) {
      const name = exportOf(await namespaceOf(file, 100), target);
      if (name !== undefined) return { module: file, name };
    }
  }
  return undefined;
}

/** Finds the exported class that an object is an instance of. */
export async function locateClass(
  constructor: AnyFunction,
  files: readonly string[],
): Promise<{ kind: "method"; module: string; name: string }> {
  const found = byText(constructor, files) ??
    await byImport(constructor, files);
  if (found !== undefined) return { kind: "method", ...found };
  const { locateFunction } = await import("./_inspector.ts");
  const place = await locateFunction(constructor);
  if (place !== undefined && place.captured.length === 0) {
    return { kind: "method", module: place.url, name: constructor.name };
  }
  throw new TaskReferenceError(
    `Cannot find class "${constructor.name}" among the exports of a module: export it from the module that makes the object, or grant --allow-sys`,
  );
}

const located = new WeakMap<AnyFunction, Promise<Task>>();

/** Finds out how the function can be named; see the file comment. */
export function locateTask({ target, files }: TaskCall): Promise<Task> {
  if (typeof target !== "function") {
    return Promise.resolve({
      kind: "export",
      module: target.module,
      name: target.name,
    });
  }
  let task = located.get(target);
  if (task === undefined) {
    task = locate(target, files);
    located.set(target, task);
  }
  return task;
}

async function locate(
  target: AnyFunction,
  files: readonly string[],
): Promise<Task> {
  const source = Function.prototype.toString.call(target);
  const text = byText(target, files);
  if (text !== undefined) return { kind: "export", ...text, source };
  const imported = await byImport(target, files);
  if (imported !== undefined) return { kind: "export", ...imported };
  const { locateFunction } = await import("./_inspector.ts");
  const found = await locateFunction(target);
  if (found !== undefined) {
    const parameters = parametersOf(source);
    const captured = found.captured.filter((name) =>
      mentions(source, name) && !mentions(parameters, name)
    );
    if (captured.length > 0) {
      throw new TaskReferenceError(
        `Cannot send ${described(target)}: it captures ${
          captured.map((name) => `"${name}"`).join(", ")
        } of an enclosing call, which another process does not have; pass the value as an argument, or export the function and name it with taskRef(import.meta.url, "name")`,
      );
    }
    if (/^(?:file|https?):/.test(found.url) && target.name !== "") {
      return {
        kind: "match",
        module: found.url,
        name: target.name,
        source,
      };
    }
  }
  const beside = relativeImportIn(source);
  if (beside !== undefined) throw relativeImport(target.name, beside);
  return {
    kind: "source",
    name: target.name,
    source,
    ...doubtAbout(target, files),
  };
}

/** Why the function was not found among the exports of a module. */
function doubtAbout(
  target: AnyFunction,
  files: readonly string[],
): { why?: string; exported?: string } {
  const likely = likelyExport(target, files);
  if (likely !== undefined) {
    const { file, name } = likely;
    return {
      why:
        `it cannot be told from outside whether it is the export "${name}" of ${file}`,
      exported: name,
    };
  }
  const unread = files.find((file) => outlineOf(file) === undefined);
  if (unread === undefined) return {};
  return {
    why:
      `it was not found among the exports of a module (${unread} could not be read to look there: --allow-read would help)`,
  };
}

/** Whether a name stands somewhere in a text, other than as a property. */
function mentions(text: string, name: string): boolean {
  return new RegExp(`(?<![\\w$.])${escaped(name)}(?![\\w$])`, "u").test(text);
}

/** The text of a function's parameters. */
function parametersOf(source: string): string {
  const single = /^(?:async\s+)?([\w$]+)\s*=>/u.exec(source);
  if (single !== null) return single[1]!;
  const start = source.indexOf("(");
  let depth = 0;
  for (let at = start; at >= 0 && at < source.length; at++) {
    if (source[at] === "(") depth++;
    else if (source[at] === ")" && --depth === 0) {
      return source.slice(start, at);
    }
  }
  return "";
}

function escaped(name: string): string {
  return name.replaceAll("$", "\\$");
}

function described(target: AnyFunction): string {
  return target.name === "" ? "the function" : `function "${target.name}"`;
}
