// Copyright 2026 the multitask authors. MIT license.

// What all benchmarks share: flags, interleaved measuring, and the table.
//
// A busy machine slows whatever runs at that moment, so nobody is measured in
// one piece: each round runs every contender once, for a few milliseconds, and
// the next round begins with the next contender. A slow moment then hits one
// sample of each, and the median passes over it.

import { parseArgs } from "@std/cli";

/** One of the things that are compared. */
export interface Contender {
  readonly name: string;
  /** Does the work once. A promise is awaited before the next run. */
  readonly run: () => unknown;
}

/** How long {@linkcode measure} takes. */
export interface MeasureOptions {
  /**
   * How many samples each contender gets.
   *
   * @default {21}
   */
  rounds?: number;
  /**
   * Milliseconds that one sample takes at least. A single run may take longer.
   *
   * @default {5}
   */
  sampleMs?: number;
  /**
   * Milliseconds that each contender runs before the first sample, so that its
   * code is optimised. It runs at least twice.
   *
   * @default {200}
   */
  warmUpMs?: number;
}

/** What a contender took, in microseconds for one run. */
export interface Measurement {
  readonly name: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** A contender that cannot take part, and why. */
export interface Absence {
  readonly name: string;
  readonly absent: string;
}

const DEFAULTS: Required<MeasureOptions> = {
  rounds: 21,
  sampleMs: 5,
  warmUpMs: 200,
};

/** The last result; stored so that the optimiser cannot leave the work out. */
let sink: unknown;

/** A contender and its samples so far. */
interface Course {
  readonly contender: Contender;
  readonly isAsync: boolean;
  /** How many runs make one sample. */
  readonly runs: number;
  readonly samples: number[];
}

/**
 * Measures contenders side by side.
 *
 * @param contenders What to compare; the first is the one to compare with.
 * @param options How long to measure.
 * @returns One measurement per contender, in their order.
 */
export async function measure(
  contenders: readonly Contender[],
  options: MeasureOptions = {},
): Promise<Measurement[]> {
  const { rounds, sampleMs, warmUpMs } = { ...DEFAULTS, ...options };
  const courses: Course[] = [];
  for (const contender of contenders) {
    courses.push(await warmUp(contender, sampleMs, warmUpMs));
  }
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < courses.length; i++) {
      const course = courses[(round + i) % courses.length]!;
      course.samples.push(await sample(course));
    }
  }
  return courses.map(({ contender, samples }) => {
    samples.sort((a, b) => a - b);
    return {
      name: contender.name,
      median: median(samples),
      min: samples[0]!,
      max: samples.at(-1)!,
    };
  });
}

async function warmUp(
  contender: Contender,
  sampleMs: number,
  warmUpMs: number,
): Promise<Course> {
  const first = contender.run();
  const isAsync = first instanceof Promise;
  await first;
  let runs = 1;
  const start = performance.now();
  while (true) {
    // The number of runs follows the latest speed: code gets faster as it
    // warms up.
    const course = { contender, isAsync, runs, samples: [] };
    const micros = await sample(course);
    runs = Math.max(1, Math.ceil(sampleMs * 1000 / micros));
    if (performance.now() - start >= warmUpMs) return { ...course, runs };
  }
}

/** Runs the contender and returns microseconds for one run. */
async function sample(course: Course): Promise<number> {
  const { contender: { run }, runs } = course;
  const start = performance.now();
  if (course.isAsync) {
    for (let i = 0; i < runs; i++) sink = await run();
  } else {
    for (let i = 0; i < runs; i++) sink = run();
  }
  const elapsed = performance.now() - start;
  sink = undefined;
  // The clock may stand still during one very short run.
  return Math.max(elapsed, 1e-6) * 1000 / runs;
}

/** The middle of sorted numbers; the mean of both middles of an even count. */
function median(sorted: readonly number[]): number {
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[middle]!
    : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * Prints measurements as a table: the median, the range, and the ratio to the
 * first row (2.00 takes twice as long).
 *
 * @param title What was measured.
 * @param rows The measurements; the first is the one to compare with.
 */
export function printTable(
  title: string,
  rows: readonly (Measurement | Absence)[],
): void {
  const first = rows[0];
  const base = first !== undefined && "median" in first
    ? first.median
    : undefined;
  const cells = rows.map((row) =>
    "absent" in row ? [row.name, "-", row.absent, "-"] : [
      row.name,
      micros(row.median),
      `${micros(row.min)} .. ${micros(row.max)}`,
      base === undefined ? "-" : (row.median / base).toFixed(2),
    ]
  );
  const table = [["", "median µs", "range µs", "ratio"], ...cells];
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...table.map((row) => row[column]!.length))
  );
  console.log(`\n${title}`);
  for (const row of table) {
    const columns = row.map((cell, column) =>
      column === 0
        ? cell.padEnd(widths[column]!)
        : cell.padStart(widths[column]!)
    );
    console.log(`  ${columns.join("  ")}`.trimEnd());
  }
}

/** Three digits that count, never an exponent. */
function micros(value: number): string {
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3);
}

/** The flags that all benchmarks take, for their help texts. */
export const FLAGS_HELP: string =
  `  --rounds=<n>   samples of each contender (default ${DEFAULTS.rounds})
  --sample=<ms>  the least time of one sample (default ${DEFAULTS.sampleMs})
  --warmup=<ms>  time to run before the first sample (default ${DEFAULTS.warmUpMs})
  --help         show this text`;

/**
 * Reads the flags of a benchmark. Prints the help text and ends the program if
 * that is asked for, or if a flag is not understood.
 *
 * @param help The help text; it ends with {@linkcode FLAGS_HELP}.
 * @param args The arguments of the program.
 * @returns How long to measure.
 */
export function readFlags(
  help: string,
  args: readonly string[] = Deno.args,
): MeasureOptions {
  const unknown: string[] = [];
  const flags = parseArgs([...args], {
    boolean: ["help"],
    string: ["rounds", "sample", "warmup"],
    unknown: (arg) => {
      unknown.push(arg);
      return false;
    },
  });
  if (flags.help) {
    console.log(help);
    Deno.exit(0);
  }
  const options: MeasureOptions = {};
  const read = (name: "rounds" | "sample" | "warmup", least: number) => {
    if (flags[name] === undefined) return undefined;
    const value = Number(flags[name]);
    if (flags[name] !== "" && value >= least && Number.isFinite(value)) {
      return value;
    }
    unknown.push(`--${name}=${flags[name]}`);
  };
  const rounds = read("rounds", 1);
  const sampleMs = read("sample", 0);
  const warmUpMs = read("warmup", 0);
  if (unknown.length > 0) {
    console.error(`Not understood: ${unknown.join(" ")}\n\n${help}`);
    Deno.exit(2);
  }
  if (rounds !== undefined) options.rounds = Math.floor(rounds);
  if (sampleMs !== undefined) options.sampleMs = sampleMs;
  if (warmUpMs !== undefined) options.warmUpMs = warmUpMs;
  return options;
}
