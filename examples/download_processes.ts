// Copyright 2026 the multitask authors. MIT license.

/**
 * Two downloads at the same time, in a process each: together they take as long
 * as the longer one, not as long as both.
 *
 * @module
 */

import { getpid, Process } from "@multitask/std/process";
import { delay } from "@std/async/delay";
import { readOptions } from "./_options.ts";

/** Pretends to download a file, for 5 to 10 seconds. */
export async function downloadTask(
  filename: string,
  speed: number,
): Promise<void> {
  console.log(`启动下载进程，进程号[${getpid()}].`);
  console.log(`开始下载${filename}...`);
  const timeToDownload = 5 + Math.floor(Math.random() * 6);
  await delay(timeToDownload * 1000 / speed);
  console.log(`${filename}下载完成! 耗费了${timeToDownload}秒`);
}

if (import.meta.main) {
  const { speed } = readOptions("Two downloads at the same time.");

  const start = performance.now();
  const p1 = new Process({
    target: downloadTask,
    args: ["Python从入门到住院.pdf", speed],
  });
  p1.start();
  const p2 = new Process({
    target: downloadTask,
    args: ["Peking Hot.avi", speed],
  });
  p2.start();
  await p1.join();
  await p2.join();
  // Counted in the seconds of the downloads, which --speed makes shorter.
  const total = (performance.now() - start) / 1000 * speed;
  console.log(`总共耗费了${total.toFixed(2)}秒.`);
}
