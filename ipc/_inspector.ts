// Copyright 2026 the multitask authors. MIT license.
// Asks the engine where a function stands. Needs the whole of --allow-sys. The
// first question of a program takes 100 to 170 ms in a big one, so this is the
// last way to find a module. Awaits are slower while an inspector is connected:
// it connects, asks, and disconnects.

/** What the engine knows of a function. */
export interface FunctionPlace {
  /** The URL of its script. */
  readonly url: string;
  /** Variables of enclosing calls that its scopes hold. */
  readonly captured: readonly string[];
}

interface Session {
  connect(): void;
  disconnect(): void;
  on(
    event: "Debugger.scriptParsed",
    listener: (message: { params: { scriptId: string; url: string } }) => void,
  ): void;
  post(
    method: string,
    params: Record<string, unknown>,
    callback: (error: Error | null, result: unknown) => void,
  ): void;
}

interface Property {
  name: string;
  value?: {
    objectId?: string;
    description?: string;
    value?: { scriptId: string };
  };
}

/** The engine answers at once; an inspector that does not is given up. */
const PATIENCE = 5000;

/** Where a function stands; `undefined` when it cannot be found out. */
export async function locateFunction(
  target: unknown,
): Promise<FunctionPlace | undefined> {
  if (Deno.permissions.querySync({ name: "sys" }).state !== "granted") {
    return undefined;
  }
  const key = `multitask.${crypto.randomUUID()}`;
  const globals = globalThis as unknown as Record<string, unknown>;
  let session: Session | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const inspector = await import("node:inspector") as unknown as {
      Session: new () => Session;
    };
    session = new inspector.Session();
    session.connect();
    const asked = session;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("no answer")), PATIENCE);
    });
    const ask = <T>(method: string, params: Record<string, unknown> = {}) =>
      Promise.race([
        new Promise<T>((resolve, reject) =>
          asked.post(
            method,
            params,
            (error, result) => error ? reject(error) : resolve(result as T),
          )
        ),
        late,
      ]);
    const scripts = new Map<string, string>();
    session.on(
      "Debugger.scriptParsed",
      ({ params }) => scripts.set(params.scriptId, params.url),
    );
    await ask("Debugger.enable");
    globals[key] = target;
    const { result } = await ask<{ result: { objectId: string } }>(
      "Runtime.evaluate",
      { expression: `globalThis[${JSON.stringify(key)}]` },
    );
    const properties = async (objectId: string) =>
      await ask<{ result: Property[]; internalProperties?: Property[] }>(
        "Runtime.getProperties",
        { objectId, ownProperties: true },
      );
    const { internalProperties = [] } = await properties(result.objectId);
    const internal = (name: string) =>
      internalProperties.find((property) => property.name === name)?.value;
    const url = scripts.get(
      internal("[[FunctionLocation]]")?.value?.scriptId ?? "",
    );
    const scopes = internal("[[Scopes]]")?.objectId;
    if (url === undefined || scopes === undefined) return undefined;
    const captured: string[] = [];
    for (const scope of (await properties(scopes)).result) {
      const { description = "", objectId } = scope.value ?? {};
      if (!/^(?:Closure|Block|Catch)\b/.test(description) || !objectId) {
        continue;
      }
      for (const { name } of (await properties(objectId)).result) {
        captured.push(name);
      }
    }
    return { url, captured };
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
    delete globals[key];
    session?.disconnect();
  }
}
