// A JSR registry for tests: it takes what `deno publish` uploads and serves it
// as the real one does, so that a consumer sees the package as its users will,
// every module under an `http:` URL. Point Deno at it with `JSR_URL`.
//
// Of the management API it has the four routes that `deno publish` calls, in
// this order:
//   GET  /api/scopes/<scope>/packages/<name>/versions/<version>   is it there?
//   GET  /api/scopes/<scope>/packages/<name>                      may I?
//   POST /api/scopes/<scope>/packages/<name>/versions/<version>   the tarball
//   GET  /api/publish_status/<id>                                 is it done?
// and for readers:
//   GET  /@<scope>/<name>/meta.json             its versions
//   GET  /@<scope>/<name>/<version>_meta.json   exports, sizes and checksums
//   GET  /@<scope>/<name>/<version>/<path>      the file

import { readTar } from "./_tar.ts";

/** One version of a package, as it is served. */
export interface RegistryPackage {
  /** Name with its scope, as `@std/assert`. */
  readonly name: string;
  /** Exact version, as `1.0.0`. */
  readonly version: string;
  /** The `exports` of its configuration, always in the long form. */
  readonly exports: Readonly<Record<string, string>>;
  /** File contents by path, without a leading slash. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** One answered request. */
export interface ServedRequest {
  readonly method: string;
  /** Path of the URL without its query. */
  readonly path: string;
  readonly status: number;
}

/** `exports` of a configuration file in the long form. */
export function normalizeExports(exports: unknown): Record<string, string> {
  if (typeof exports === "string") return { ".": exports };
  const result: Record<string, string> = {};
  for (const [key, value] of Object.entries(exports ?? {})) {
    if (typeof value !== "string") {
      throw new TypeError(
        `Cannot read exports: "${key}" must be a string, received ${typeof value}`,
      );
    }
    result[key] = value;
  }
  return result;
}

/** A local JSR registry on a port of its own; disposing it frees the port. */
export class LocalRegistry implements AsyncDisposable {
  readonly #abort = new AbortController();
  readonly #packages = new Map<string, RegistryPackage>();
  #server: Deno.HttpServer<Deno.NetAddr> | null = null;
  #requests: ServedRequest[] = [];

  /** Starts to listen on a free port of 127.0.0.1. */
  start(): void {
    if (this.#server !== null) {
      throw new Error("Cannot start registry: it was started before");
    }
    this.#server = Deno.serve({
      hostname: "127.0.0.1",
      port: 0,
      signal: this.#abort.signal,
      onListen: () => {},
    }, async (request) => {
      const path = decodeURI(new URL(request.url).pathname);
      const response = await this.#answer(request, path);
      this.#requests.push({
        method: request.method,
        path,
        status: response.status,
      });
      return response;
    });
  }

  /** What `JSR_URL` must be, with the closing slash that Deno asks for. */
  get url(): string {
    if (this.#server === null) {
      throw new Error("Cannot tell the registry's address: it is not started");
    }
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  /** Variables that point a Deno at this registry, even behind a proxy. */
  get env(): Record<string, string> {
    const direct = [Deno.env.get("NO_PROXY"), "127.0.0.1"].filter(Boolean);
    return {
      JSR_URL: this.url,
      NO_PROXY: direct.join(","),
      no_proxy: direct.join(","),
      NO_COLOR: "1",
    };
  }

  /** Serves a package that was not published here, as the dependencies are. */
  add(pkg: RegistryPackage): void {
    this.#packages.set(pkg.name, pkg);
  }

  /** The version of this package that is served, if there is one. */
  get(name: string): RegistryPackage | undefined {
    return this.#packages.get(name);
  }

  /** Returns the requests answered since the last call, and forgets them. */
  takeRequests(): ServedRequest[] {
    const requests = this.#requests;
    this.#requests = [];
    return requests;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Not `shutdown()`, which waits for every kept-alive connection.
    this.#abort.abort();
    await this.#server?.finished;
  }

  async #answer(request: Request, path: string): Promise<Response> {
    const api = path.match(
      /^\/api\/scopes\/([^/]+)\/packages\/([^/]+)(?:\/versions\/([^/]+))?$/,
    );
    if (api !== null) {
      const [, scope = "", name = "", version] = api;
      if (request.method === "POST" && version !== undefined) {
        return await this.#publish(request, `@${scope}/${name}`, version);
      }
      return this.#describe(scope, name, version);
    }
    if (path.startsWith("/api/publish_status/")) {
      const id = path.slice("/api/publish_status/".length);
      return Response.json({ id, status: "success", error: null });
    }
    const file = path.match(/^\/(@[^/]+\/[^/]+)\/(.+)$/);
    if (request.method === "GET" && file !== null) {
      const [, name = "", rest = ""] = file;
      return await this.#serve(name, rest);
    }
    return notFound("notFound");
  }

  #describe(
    scope: string,
    name: string,
    version: string | undefined,
  ): Response {
    if (version === undefined) {
      // A package need not have a version yet, so any name is one that may be published.
      return Response.json({ scope, name, githubRepository: null });
    }
    return this.#packages.get(`@${scope}/${name}`)?.version === version
      ? Response.json({ scope, package: name, version })
      : notFound("packageVersionNotFound");
  }

  async #publish(
    request: Request,
    name: string,
    version: string,
  ): Promise<Response> {
    try {
      const files = readTar(await gunzip(request));
      const path =
        (new URL(request.url).searchParams.get("config") ?? "/deno.json").slice(
          1,
        );
      const bytes = files.get(path);
      if (bytes === undefined) {
        throw new Error(`Cannot publish: "${path}" is not in the archive`);
      }
      const config: { exports?: unknown } = JSON.parse(
        new TextDecoder().decode(bytes),
      );
      const pkg = {
        name,
        version,
        exports: normalizeExports(config.exports),
        files,
      };
      checkPackage(pkg);
      this.add(pkg);
      return Response.json({
        id: `${name}@${version}`.replaceAll("/", "_"),
        status: "pending",
        error: null,
      });
    } catch (error) {
      // Deno prints the message, so that the test's output says what was wrong.
      const message = error instanceof Error ? error.message : String(error);
      return Response.json({ code: "malformedRequest", message }, {
        status: 400,
      });
    }
  }

  async #serve(name: string, rest: string): Promise<Response> {
    const pkg = this.#packages.get(name);
    if (pkg === undefined) return notFound("packageNotFound");
    if (rest === "meta.json") {
      const [scope, bare] = name.slice(1).split("/");
      return Response.json({
        scope,
        name: bare,
        latest: pkg.version,
        versions: { [pkg.version]: {} },
      });
    }
    if (rest === `${pkg.version}_meta.json`) {
      // Deno reads the modules itself where the graph has no entry for them.
      return Response.json({
        exports: pkg.exports,
        manifest: await manifest(pkg),
        moduleGraph2: {},
      });
    }
    const path = rest.startsWith(`${pkg.version}/`)
      ? rest.slice(pkg.version.length + 1)
      : "";
    const bytes = pkg.files.get(path);
    if (bytes === undefined) return notFound("fileNotFound");
    return new Response(bytes, {
      headers: { "content-type": contentType(path) },
    });
  }
}

/** The checks of the real registry that keep a consumer from a puzzling failure. */
function checkPackage(pkg: RegistryPackage): void {
  if (Object.keys(pkg.exports).length === 0) {
    throw new Error(`Cannot publish: "${pkg.name}" exports nothing`);
  }
  for (const [key, target] of Object.entries(pkg.exports)) {
    if (!pkg.files.has(target.replace(/^\.\//, ""))) {
      throw new Error(
        `Cannot publish: export "${key}" is "${target}", which is not in the archive`,
      );
    }
  }
}

async function gunzip(request: Request): Promise<Uint8Array> {
  if (request.body === null) {
    throw new Error("Cannot publish: the request has no body");
  }
  return await new Response(
    request.body.pipeThrough(new DecompressionStream("gzip")),
  ).bytes();
}

async function manifest(
  pkg: RegistryPackage,
): Promise<Record<string, { size: number; checksum: string }>> {
  const result: Record<string, { size: number; checksum: string }> = {};
  for (const [path, bytes] of pkg.files) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    result[`/${path}`] = {
      size: bytes.length,
      checksum: `sha256-${digest.toHex()}`,
    };
  }
  return result;
}

function contentType(path: string): string {
  if (/\.[cm]?tsx?$/.test(path)) return "application/typescript";
  if (/\.[cm]?jsx?$/.test(path)) return "text/javascript";
  if (path.endsWith(".json")) return "application/json";
  return "application/octet-stream";
}

function notFound(code: string): Response {
  return Response.json({ code, message: "Not found" }, { status: 404 });
}
