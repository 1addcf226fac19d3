// Copyright 2026 the multitask authors. MIT license.

import type { WordsTask } from "./fixtures/words_worker.ts";
import { bounded } from "./_waits.ts";

/** A thread that works on shared words; disposing of it ends it. */
export class WordsThread implements Disposable {
  readonly #worker = new Worker(
    new URL("./fixtures/words_worker.ts", import.meta.url),
    { type: "module" },
  );

  start(task: WordsTask): void {
    this.#worker.postMessage(task);
  }

  /** The next message of the thread. */
  message(): Promise<unknown> {
    return bounded(
      new Promise((resolve, reject) => {
        this.#worker.onmessage = ({ data }) => resolve(data);
        this.#worker.onerror = (event) => reject(new Error(event.message));
      }),
    );
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}
