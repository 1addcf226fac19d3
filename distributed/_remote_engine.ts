// Copyright 2026 the multitask authors. MIT license.
// The engine of a manager, as it is used from another process.

import { checkWait, type WaitOptions } from "../ipc/_options.ts";
import type { Session } from "./_session.ts";
import { type Target, targetOf } from "./_target.ts";
import { ENGINE } from "./_wire.ts";
import {
  type Engine,
  type EngineCapabilities,
  type EngineLease,
  type EngineLock,
  type EngineNews,
  type EngineResult,
  type EngineTask,
  type EngineWorker,
  MEMORY_CAPABILITIES,
} from "./engine.ts";

// What comes back is what the servant of the engine gives: the casts say so.

/** See the file comment. */
export class RemoteEngine implements Engine {
  readonly capabilities: EngineCapabilities = MEMORY_CAPABILITIES;
  readonly #session: Session;
  #proxy: Promise<object> | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  async #target(signal?: AbortSignal): Promise<Target> {
    const getting = this.#proxy ??= this.#session.call(
      this.#session.manager,
      ENGINE,
      [],
      { isRenewable: true },
    ) as Promise<object>;
    getting.catch(() => {
      if (this.#proxy === getting) this.#proxy = undefined;
    });
    signal?.throwIfAborted();
    return targetOf(await getting)!;
  }

  async #call(
    method: string,
    args: readonly unknown[],
    options?: WaitOptions,
  ): Promise<unknown> {
    const { timeout, signal } = checkWait(method, options);
    const target = await this.#target(signal);
    return await target.call(method, args, { timeout, signal });
  }

  async enqueue(owner: string, tasks: readonly EngineTask[]): Promise<string> {
    return await this.#call("enqueue", [owner, tasks]) as string;
  }

  async lease(
    worker: EngineWorker,
    options: WaitOptions & { ttl?: number | undefined } = {},
  ): Promise<EngineLease | undefined> {
    const { ttl, timeout, signal } = options;
    const target = await this.#target(signal);
    return await target.call("lease", [worker, ttl], {
      timeout,
      signal,
      late: (value) => {
        if (value === undefined) return;
        const { id, fence } = value as EngineLease;
        target.cast("giveBack", [id, fence]);
      },
    }) as EngineLease | undefined;
  }

  async extend(id: string, fence: number, ttl: number): Promise<void> {
    await this.#call("extend", [id, fence, ttl]);
  }

  async complete(
    id: string,
    fence: number,
    results: readonly EngineResult[],
  ): Promise<void> {
    await this.#call("complete", [id, fence, results]);
  }

  async fail(id: string, fence: number, error: unknown): Promise<void> {
    await this.#call("fail", [id, fence, error]);
  }

  async cancel(
    owner: string,
    ids: readonly string[],
  ): Promise<readonly string[]> {
    return await this.#call("cancel", [owner, ids]) as string[];
  }

  async cancelled(
    worker: string,
    options?: WaitOptions,
  ): Promise<readonly { readonly id: string; readonly fence: number }[]> {
    return await this.#call("cancelled", [worker], options) as {
      id: string;
      fence: number;
    }[];
  }

  async watch(
    owner: string,
    after: number,
    options?: WaitOptions,
  ): Promise<EngineNews> {
    return await this.#call("watch", [owner, after], options) as EngineNews;
  }

  async forget(owner: string): Promise<void> {
    await this.#call("forget", [owner]);
  }

  async leave(worker: string): Promise<void> {
    await this.#call("leave", [worker]);
  }

  async lock(
    name: string,
    { ttl, ...wait }: WaitOptions & { ttl: number },
  ): Promise<EngineLock | undefined> {
    const fence = await this.#call("lock", [name, ttl], wait) as
      | number
      | undefined;
    if (fence === undefined) return undefined;
    return {
      fence,
      extend: async (ttl) => {
        await this.#call("extendLock", [fence, ttl]);
      },
      release: async () => {
        await this.#call("releaseLock", [fence]);
      },
    };
  }
}
