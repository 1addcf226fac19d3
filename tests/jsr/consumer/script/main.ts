// A single file without any configuration, two processes at once.

// deno-lint-ignore no-import-prefix no-unversioned-import -- the point of this program
import { Process } from "jsr:@multitask/std/process";

export function add(a: number, b: number): Promise<number> {
  return Promise.resolve(a + b);
}

if (import.meta.main) {
  const processes = [1, 2].map((n) =>
    new Process({ target: add, args: [n, 40] })
  );
  for (const p of processes) p.start();
  const sums: number[] = await Promise.all(processes.map((p) => p.result));
  console.log(...sums);
  for (const p of processes) console.log(await p.join(), p.exitCode);
}
