// Copyright 2026 the multitask authors. MIT license.
// The platform's side of threads: web workers.

import { builtEntry, ENTRY } from "./_entries.ts";
import type { WorkerGrants } from "./_permissions.ts";

/** A worker that was started. */
export interface StartedWorker {
  postMessage(message: unknown, transfer: Transferable[]): void;
  /** Whether it keeps the program alive. */
  held: boolean;
  /**
   * Lets go of one that has ended. One that is in a loop would keep the program
   * from ending by this.
   */
  release(): void;
}

/** What else a worker is started with. */
export interface WorkerStart {
  readonly name: string;
  readonly grants: WorkerGrants;
  /** A module to load in any case, where the worker may not read it itself. */
  readonly preload: string | undefined;
  /** Its module could not be loaded, or an error got past everybody. */
  failed(message: string): void;
}

type Hold = (this: Worker, held: boolean) => void;

/**
 * Workers have this method for Node's `ref()` and `unref()`, under a symbol that
 * has no name: each call counts one up or down.
 */
const hold: Hold | undefined = Object.getOwnPropertySymbols(Worker.prototype)
  .filter(({ description = "" }) => /^(?:|privateWorkerRef)$/.test(description))
  .map((key) => (Worker.prototype as unknown as Record<symbol, unknown>)[key])
  .find((value): value is Hold => typeof value === "function");

/** Starts a worker. */
export function startWorker(
  { name, grants, preload, failed }: WorkerStart,
): StartedWorker {
  const isWhole = grants === "inherit";
  const worker = new Worker(
    isWhole || preload === undefined ? ENTRY : builtEntry(preload),
    {
      type: "module",
      name,
      ...(isWhole ? {} : { deno: { permissions: grants } }),
    } as WorkerOptions,
  );
  worker.addEventListener("error", (event) => {
    // It never takes this program along.
    event.preventDefault();
    failed(event.message);
  });
  let held = true;
  return {
    postMessage: (message, transfer) => worker.postMessage(message, transfer),
    get held() {
      return held;
    },
    set held(wanted: boolean) {
      if (wanted === held) return;
      held = wanted;
      hold?.call(worker, wanted);
    },
    release: () => worker.terminate(),
  };
}
