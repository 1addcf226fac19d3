// A process whose target stands in the program's own main module. The target
// needs the program's import map, so the child has to resolve as the parent does.

// deno-lint-ignore no-import-prefix no-unversioned-import -- the point of this program
import { Process } from "jsr:@multitask/std/process";
import { multiply } from "./multiply.ts";

export function square(n: number): number {
  return multiply(n, n);
}

if (import.meta.main) {
  const p = new Process({ target: square, args: [7] });
  p.start();
  const result: number = await p.result;
  console.log(result);
  console.log(await p.join());
  console.log(p.exitCode);
}
