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

/** A contender that holds the watch itself: not all it does is to count. */
export interface SelfTimed {
  readonly name: string;
  /** Does the work and gives microseconds, for one run if it makes many. */
  readonly time: () => Promise<number>;
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
   * Who holds the watch itself decides that itself.
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
  /** What is measured, to show on stderr how far it is. */
  progress?: string;
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

/** What became of a contender. */
export type Row = Measurement | Absence;

const DEFAULTS: Required<Omit<MeasureOptions, "progress">> = {
  rounds: 21,
  sampleMs: 5,
  warmUpMs: 200,
};

/** The last result; stored so that the optimiser cannot leave the work out. */
let _sink: unknown;

/** A contender and its samples so far. */
interface Course {
  readonly name: string;
  readonly take: () => Promise<number>;
  readonly samples: number[];
}

/** What makes one sample of a contender that does not hold the watch. */
interface Load {
  readonly run: () => unknown;
  readonly isAsync: boolean;
  /** How many runs make one sample. */
  readonly runs: number;
}

/**
 * Measures contenders side by side.
 *
 * @param contenders What to compare; the first is the one to compare with.
 * @param options How long to measure.
 * @returns One row per contender, in their order.
 */
export async function measure(
  contenders: readonly (Contender | SelfTimed | Absence)[],
  options: MeasureOptions = {},
): Promise<Row[]> {
  const { rounds, sampleMs, warmUpMs, progress } = { ...DEFAULTS, ...options };
  const courses: Course[] = [];
  showProgress(progress, 0, rounds);
  for (const contender of contenders) {
    if ("absent" in contender) continue;
    const { name } = contender;
    const take = "time" in contender
      ? await warmUpSelfTimed(contender, warmUpMs)
      : await warmUp(contender, sampleMs, warmUpMs);
    courses.push({ name, take, samples: [] });
  }
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < courses.length; i++) {
      const course = courses[(round + i) % courses.length]!;
      course.samples.push(await course.take());
    }
    showProgress(progress, round + 1, rounds);
  }
  return contenders.map((contender) => {
    if ("absent" in contender) return contender;
    const { name, samples } = courses.shift()!;
    samples.sort((a, b) => a - b);
    return {
      name,
      median: median(samples),
      min: samples[0]!,
      max: samples.at(-1)!,
    };
  });
}

/** The median of a row in microseconds; `undefined` if it was not measured. */
export function medianOf(
  rows: readonly Row[],
  name: string,
): number | undefined {
  const row = rows.find((row) => row.name === name);
  return row !== undefined && "median" in row ? row.median : undefined;
}

/** One line that changes on a terminal, a few lines elsewhere. */
function showProgress(
  what: string | undefined,
  round: number,
  rounds: number,
): void {
  if (what === undefined) return;
  const text = `${what}: ${
    round === 0 ? "warming up" : `${round} of ${rounds} rounds`
  }`;
  if (Deno.stderr.isTerminal()) {
    const line = round === rounds ? "" : text;
    Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${line}`));
  } else if (round === 0 || round === rounds >> 1) {
    console.error(text);
  }
}

async function warmUpSelfTimed(
  { time }: SelfTimed,
  warmUpMs: number,
): Promise<() => Promise<number>> {
  const start = performance.now();
  await time();
  do await time(); while (performance.now() - start < warmUpMs);
  return time;
}

async function warmUp(
  { run }: Contender,
  sampleMs: number,
  warmUpMs: number,
): Promise<() => Promise<number>> {
  const first = run();
  const isAsync = first instanceof Promise;
  await first;
  let runs = 1;
  const start = performance.now();
  while (true) {
    // The number of runs follows the latest speed: code gets faster as it
    // warms up.
    const micros = await sample({ run, isAsync, runs });
    runs = Math.max(1, Math.ceil(sampleMs * 1000 / micros));
    if (performance.now() - start >= warmUpMs) {
      return () => sample({ run, isAsync, runs });
    }
  }
}

/** Runs the contender and returns microseconds for one run. */
async function sample({ run, isAsync, runs }: Load): Promise<number> {
  const start = performance.now();
  if (isAsync) {
    for (let i = 0; i < runs; i++) _sink = await run();
  } else {
    for (let i = 0; i < runs; i++) _sink = run();
  }
  const elapsed = performance.now() - start;
  _sink = undefined;
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

/** What a table shows: a time, or how often per second. */
export interface Unit {
  readonly name: string;
  readonly of: (micros: number) => number;
}

/** For what is quick. */
export const MICROSECONDS: Unit = { name: "µs", of: (micros) => micros };

/** For what is slow. */
export const MILLISECONDS: Unit = { name: "ms", of: (micros) => micros / 1000 };

/** For what is done over and over. */
export const PER_SECOND: Unit = { name: "/s", of: (micros) => 1e6 / micros };

/**
 * Prints measurements as a table: the median, the range, and the ratio to the
 * first row (2.00 takes twice as long, or is done twice as often).
 *
 * @param title What was measured.
 * @param rows The measurements; the first is the one to compare with.
 * @param unit What to show of a measurement.
 */
export function printTable(
  title: string,
  rows: readonly Row[],
  unit: Unit = MICROSECONDS,
): void {
  const first = rows[0];
  const base = first !== undefined && "median" in first
    ? unit.of(first.median)
    : 0;
  const cells = rows.map((row) => {
    if ("absent" in row) return [row.name, row.absent];
    const [median, ...ends] = [row.median, row.min, row.max].map(unit.of) as [
      number,
      number,
      number,
    ];
    return [
      row.name,
      digits(median),
      `${digits(Math.min(...ends))} .. ${digits(Math.max(...ends))}`,
      base === 0 ? "-" : (median / base).toFixed(2),
    ];
  });
  const table = [
    ["", `median ${unit.name}`, `range ${unit.name}`, "ratio"],
    ...cells,
  ];
  // The reason of an absence runs across the columns of the figures.
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(
      ...table.filter((row) => column === 0 || row.length === 4)
        .map((row) => row[column]!.length),
    )
  );
  console.log(`\n${title}`);
  for (const row of table) {
    const columns = row.map((cell, column) =>
      column === 0
        ? cell.padEnd(widths[column]!)
        : row.length === 4
        ? cell.padStart(widths[column]!)
        : cell
    );
    console.log(`  ${columns.join("  ")}`.trimEnd());
  }
}

/** Three digits that count, never an exponent. */
function digits(value: number): string {
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3);
}

/**
 * Prints whether a goal is met. It is a word and no failure: a busy machine can
 * break any goal.
 *
 * @param goal What is wanted.
 * @param value What was measured, as text.
 * @param met Whether that is what is wanted.
 */
export function printGoal(goal: string, value: string, met: boolean): void {
  console.log(`  goal: ${goal}: ${value}, ${met ? "met" : "MISSED"}`);
}

/**
 * Prints the goal that one is so many times as quick as another, if both were
 * measured.
 *
 * @param rows The measurements.
 * @param name Of which the goal is.
 * @param other With which it is compared.
 * @param goal The least ratio.
 */
export function printRatio(
  rows: readonly Row[],
  name: string,
  other: string,
  goal: number,
): void {
  const time = medianOf(rows, name);
  const base = medianOf(rows, other);
  if (time === undefined || base === undefined) return;
  const ratio = base / time;
  printGoal(
    `${name} at least ${goal} x ${other}`,
    ratio.toFixed(2),
    ratio >= goal,
  );
}

/**
 * The flags of a benchmark whose contenders hold the watch themselves, for its
 * help text. `--sample` is taken too, and changes nothing.
 *
 * @param rounds Its default.
 */
export function selfTimedFlagsHelp(rounds: number): string {
  return `  --rounds=<n>   samples of each contender (default ${rounds})
  --warmup=<ms>  time to run before the first sample (default ${DEFAULTS.warmUpMs})
  --help         show this text`;
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
 * @param help The help text; it ends with {@linkcode FLAGS_HELP} or
 * {@linkcode selfTimedFlagsHelp}.
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
