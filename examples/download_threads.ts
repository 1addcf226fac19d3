// Copyright 2026 the multitask authors. MIT license.

/**
 * Two downloads at the same time, in a thread each: together they take as long
 * as the longer one, not as long as both. First the threads run a function, then
 * they are objects of a class with a method `run()`.
 *
 * @module
 */

import { Thread } from "@multitask/std/thread";
import { delay } from "@std/async/delay";
import { readOptions } from "./_options.ts";

const BOOK = "Python从入门到住院.pdf";
const FILM = "Peking Hot.avi";

/** Pretends to download a file, for 1 to 3 seconds. */
export async function download(filename: string, speed: number): Promise<void> {
  console.log(`开始下载${filename}...`);
  const timeToDownload = 1 + Math.floor(Math.random() * 3);
  await delay(timeToDownload * 1000 / speed);
  console.log(`${filename}下载完成! 耗费了${timeToDownload}秒`);
}

/** A download that is a thread. Its own fields go along into the thread. */
export class DownloadTask extends Thread {
  readonly filename: string;
  readonly speed: number;

  constructor(filename: string, speed: number) {
    super();
    this.filename = filename;
    this.speed = speed;
  }

  override async run(): Promise<void> {
    await download(this.filename, this.speed);
  }
}

/** Starts both, waits for both; gives the seconds it took. */
async function runBoth(t1: Thread, t2: Thread, speed: number): Promise<number> {
  const start = performance.now();
  t1.start();
  t2.start();
  await t1.join();
  await t2.join();
  // Counted in the seconds of the downloads, which --speed makes shorter.
  return (performance.now() - start) / 1000 * speed;
}

if (import.meta.main) {
  const { speed } = readOptions("Two downloads at the same time, in threads.");

  const byFunction = await runBoth(
    new Thread({ target: download, args: [BOOK, speed] }),
    new Thread({ target: download, args: [FILM, speed] }),
    speed,
  );
  console.log(`总共耗费了${byFunction.toFixed(3)}秒`);

  const byClass = await runBoth(
    new DownloadTask(BOOK, speed),
    new DownloadTask(FILM, speed),
    speed,
  );
  console.log(`总共耗费了${byClass.toFixed(2)}秒.`);
}
