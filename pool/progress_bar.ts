// Copyright 2026 the multitask authors. MIT license.

import { shown } from "../ipc/_options.ts";
import type { PoolProgress } from "./_progress.ts";

/** Where a {@linkcode progressBar} is drawn. */
export interface ProgressBarOutput {
  /** Whether a line can be drawn again in its place. */
  readonly isTerminal: boolean;
  /** How many characters fit in a line of a terminal. Read at each drawing. */
  readonly columns: number;
  /** Writes a text at once. */
  write(text: string): void;
}

/** Options of a {@linkcode progressBar}. */
export interface ProgressBarOptions {
  /**
   * What is under way; stands before the bar.
   *
   * @default {""}
   */
  label?: string;
  /**
   * Where the bar is drawn.
   *
   * @default {Deno.stderr}
   */
  output?: ProgressBarOutput;
}

/** The longest bar, and the shortest one that is worth its place, in columns. */
const MAX_BAR = 30;
const MIN_BAR = 5;

/** For terminals that do not tell their width. */
const DEFAULT_COLUMNS = 80;

/** Clears the line from the cursor on. */
const CLEAR_REST = "\x1b[K";

/**
 * Makes a progress bar for `onProgress` of {@linkcode Pool.map} and its
 * relatives: it shows the share, the count, the rate and how long the rest takes.
 *
 * Python: none; it is what tqdm does there. The difference: there is nothing to
 * wrap and nothing to close; the pool tells how far it is.
 *
 * On a terminal the bar is drawn again in its place, no wider than the terminal
 * is at that moment; elsewhere a plain line is written at each tenth. The last
 * drawing, when all is done, ends with a newline and has the time it took. Items
 * that fail count as done. A map that is given up, by its `signal` or its
 * `timeout`, leaves the bar as it is.
 *
 * A bar is for one map at a time.
 *
 * @param options What stands before the bar, and where it is drawn.
 * @returns The function to pass as `onProgress`.
 * @throws {TypeError} If `label` is not a string, or `output` cannot be written.
 *
 * @example
 * ```ts
 * import { Pool, progressBar } from "@multitask/std/pool";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new Pool(2);
 * const squares = await pool.map((x: number) => x * x, [1, 2, 3], {
 *   onProgress: progressBar({ label: "Squares" }),
 * });
 * assertEquals(squares, [1, 4, 9]);
 * ```
 */
export function progressBar(
  options: ProgressBarOptions = {},
): (progress: PoolProgress) => void {
  const { label = "", output = STDERR } = options;
  checkBar(label, output);
  // A line break in it would break the drawing in place.
  const title = label.replace(/\p{Cc}+/gu, " ").trim();
  let drawn = "";
  let tenth = -1;
  return (progress) => {
    const isOver = progress.done >= progress.total;
    if (output.isTerminal) {
      const line = terminalLine(title, progress, output.columns);
      if (line !== drawn || isOver) {
        output.write(`\r${line}${CLEAR_REST}${isOver ? "\n" : ""}`);
      }
      drawn = line;
    } else {
      const reached = Math.floor(percentOf(progress) / 10);
      if (reached > tenth) output.write(`${plainLine(title, progress)}\n`);
      tenth = Math.max(tenth, reached);
    }
    if (isOver) {
      // The next map begins anew.
      drawn = "";
      tenth = -1;
    }
  };
}

function checkBar(label: unknown, output: unknown): void {
  if (typeof label !== "string") {
    throw new TypeError(
      `Cannot create progress bar: "label" must be a string, received ${
        shown(label)
      }`,
    );
  }
  if (typeof (output as ProgressBarOutput | null)?.write !== "function") {
    throw new TypeError(
      `Cannot create progress bar: "output" must have a method "write", received ${
        shown(output)
      }`,
    );
  }
}

// ---- Lines ----

function plainLine(title: string, progress: PoolProgress): string {
  const parts = [percentText(progress), ...detailsOf(progress)];
  if (title !== "") parts.unshift(title);
  return parts.join("  ");
}

function terminalLine(
  title: string,
  progress: PoolProgress,
  columns: number,
): string {
  // The cursor is behind the text: with one in the last column the terminal
  // would go to the next line.
  const room = Math.max(columns - 1, 0);
  const shortTitle = cut(title, Math.floor(room / 2));
  const start = shortTitle === ""
    ? percentText(progress)
    : `${shortTitle}  ${percentText(progress)}`;
  const details = detailsOf(progress);
  const rest = details.join("  ");
  const width = Math.min(MAX_BAR, room - widthOf(`${start} || ${rest}`));
  if (width >= MIN_BAR) {
    return `${start} |${bar(shareOf(progress), width)}| ${rest}`;
  }
  while (
    details.length > 0 && widthOf([start, ...details].join("  ")) > room
  ) {
    details.pop();
  }
  return cut([start, ...details].join("  "), room);
}

/** A bar that grows by eighths of a character. */
function bar(share: number, width: number): string {
  const eighths = Math.floor(share * width * 8);
  const full = "█".repeat(eighths >> 3);
  return `${full}${" ▏▎▍▌▋▊▉"[eighths & 7]}`.slice(0, width).padEnd(width);
}

/** The count, the rate and the time, the most important first. */
function detailsOf({ done, total, rate, eta }: PoolProgress): string[] {
  const all = String(total);
  const time = done < total
    ? `eta ${durationText(eta)}`
    : `in ${durationText(done / rate * 1000)}`;
  return [
    `${String(done).padStart(all.length)}/${all}`,
    rateText(rate),
    time,
  ];
}

// ---- Numbers for people ----

function shareOf({ done, total }: PoolProgress): number {
  return total > 0 ? Math.min(done / total, 1) : 1;
}

/** Rounded down: 100 is only said when all is done. */
function percentOf({ done, total }: PoolProgress): number {
  return total > 0 ? Math.min(Math.floor(done * 100 / total), 100) : 100;
}

function percentText(progress: PoolProgress): string {
  return `${percentOf(progress)}%`.padStart(4);
}

/** A rate per second in the unit in which it is at least 1. */
function rateText(rate: number): string {
  if (!(rate > 0 && rate < Infinity)) return "?/s";
  if (rate >= 1) return `${shortNumber(rate)}/s`;
  if (rate * 60 >= 1) return `${shortNumber(rate * 60)}/min`;
  return `${shortNumber(rate * 3600)}/h`;
}

/** Three digits and a prefix. */
function shortNumber(value: number): string {
  for (const prefix of ["", "k", "M", "G"]) {
    if (value < 999.5) return `${threeDigits(value)}${prefix}`;
    value /= 1000;
  }
  return `${threeDigits(Math.min(value, 999))}T`;
}

function threeDigits(value: number): string {
  if (value < 0.01) return "0.00";
  return value.toPrecision(3).slice(0, 4).replace(/\.$/, "");
}

function durationText(milliseconds: number): string {
  if (!(milliseconds >= 0 && milliseconds < Infinity)) return "?";
  const seconds = milliseconds / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const [s, m, h] = [Math.round(seconds), seconds / 60, seconds / 3600];
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${twoDigits(s % 60)} s`;
  const minutes = Math.round(m);
  if (minutes < 24 * 60) {
    return `${Math.floor(minutes / 60)} h ${twoDigits(minutes % 60)} min`;
  }
  const hours = Math.round(h);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}

// ---- Widths ----

const NO_COLUMN = /[\p{M}\p{Cf}]/u;

// The blocks of East Asian wide characters, and pictures: an estimate, as the
// terminal decides.
const TWO_COLUMNS =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;

function columnsOf(character: string): number {
  if (NO_COLUMN.test(character)) return 0;
  return TWO_COLUMNS.test(character) ? 2 : 1;
}

/** How many columns of a terminal a text takes. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += columnsOf(character);
  return width;
}

/** As much of a text as fits. */
function cut(text: string, columns: number): string {
  let width = 0;
  let end = 0;
  for (const character of text) {
    width += columnsOf(character);
    if (width > columns) return text.slice(0, end);
    end += character.length;
  }
  return text;
}

// ---- The standard output ----

const STDERR: ProgressBarOutput = {
  get isTerminal() {
    return Deno.stderr.isTerminal();
  },
  get columns() {
    try {
      // 0 is what a terminal says that does not know.
      return Deno.consoleSize().columns || DEFAULT_COLUMNS;
    } catch {
      return DEFAULT_COLUMNS;
    }
  },
  write(text) {
    const bytes = new TextEncoder().encode(text);
    try {
      for (let at = 0; at < bytes.length;) {
        at += Deno.stderr.writeSync(bytes.subarray(at));
      }
    } catch {
      // Nobody reads it any more: no reason to fail, as with console.error().
    }
  },
};
