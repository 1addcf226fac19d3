// Copyright 2026 the multitask authors. MIT license.
// What compiles, and what does not: these functions are checked, not called.

import { assertEquals } from "@std/assert";
import {
  HybridPool,
  Pool,
  ProcessPoolExecutor,
  ThreadPool,
  ThreadPoolExecutor,
} from "../../pool/mod.ts";
import * as tasks from "./fixtures/tasks.ts";

function optional(x?: number, y?: number): number {
  return (x ?? 0) + (y ?? 0);
}

function calls(pool: Pool): Promise<number>[] {
  // @ts-expect-error the second argument is a number
  pool.apply(tasks.add, [1, "2"]);
  // @ts-expect-error an argument is needed
  pool.apply(tasks.square);
  // @ts-expect-error an argument is needed
  pool.applyAsync(tasks.square);
  // @ts-expect-error an argument is missing
  pool.apply(tasks.add, [1]);
  pool.apply(tasks.nothing);
  pool.apply(tasks.nothing, [], { timeout: 1 });
  pool.applyAsync(optional, [1], { callback: (sum) => sum.toFixed() });
  return [
    pool.apply(optional),
    pool.apply(tasks.add, [1, 2]),
    pool.apply((x: number) => x, [1]),
  ];
}

function maps(pool: Pool): unknown[] {
  // @ts-expect-error the items are numbers
  pool.map(tasks.square, ["1"]);
  // @ts-expect-error each item is two numbers
  pool.starmap(tasks.add, [[1]]);
  const squares: Promise<number[]> = pool.map(tasks.square, [1]);
  const lazy: AsyncIterableIterator<number> = pool.imap(tasks.square, [1], {
    priority: 1,
    itemTimeout: 1000,
  });
  return [squares, lazy, pool.istarmap(tasks.add, [[1, 2]], { priority: 1 })];
}

function initializers(): unknown[] {
  // @ts-expect-error the argument is a text
  new Pool({ initializer: tasks.setState, initargs: [1] });
  // @ts-expect-error an argument is needed
  new Pool({ initializer: tasks.setState });
  // @ts-expect-error the argument is a text
  new ProcessPoolExecutor({ initializer: tasks.setState, initargs: [1] });
  // @ts-expect-error the argument is a text
  new ThreadPool({ initializer: tasks.setState, initargs: [1] });
  // @ts-expect-error an argument is needed
  new ThreadPoolExecutor({ initializer: tasks.setState });
  // @ts-expect-error an argument is needed
  new HybridPool({ processes: 1, initializer: tasks.setState });
  const initialized = {
    initializer: tasks.setState,
    initargs: ["text"],
  } as const;
  const pool: Pool = new Pool({
    initializer: tasks.setState,
    initargs: ["text"],
  });
  const threads: ThreadPool = new ThreadPool(initialized);
  const futures: ThreadPoolExecutor = new ThreadPoolExecutor(initialized);
  const hybrid: HybridPool = new HybridPool(initialized);
  return [
    pool,
    threads,
    futures,
    hybrid,
    new ThreadPool(2),
    new ThreadPool({ threads: 2 }),
    new ThreadPoolExecutor(),
    new HybridPool(),
    new Pool({ initializer: tasks.nothing }),
    new Pool(2),
    new Pool(),
    new Pool({ processes: 1 }),
  ];
}

function executors(executor: ProcessPoolExecutor): unknown[] {
  // @ts-expect-error an argument is missing
  executor.submit(tasks.add, 1);
  // @ts-expect-error the second iterable has to give numbers
  executor.map(tasks.add, [1], ["2"]);
  const sums: AsyncIterableIterator<number>[] = [
    executor.map(tasks.add, [1], [2]),
    executor.map(tasks.add, [1], [2], { chunksize: 2 }),
    executor.map(tasks.square, [1], { chunksize: 2 }),
    executor.with({ timeout: 1 }).map(tasks.square, new Set([1])),
  ];
  return sums;
}

Deno.test("Pools and executors take only what fits their functions", () => {
  const checked = [calls, maps, initializers, executors];
  assertEquals(checked.map(({ length }) => length), [1, 1, 0, 1]);
});
