// Copyright 2026 the multitask authors. MIT license.

import { assert, assertEquals, assertThrows } from "@std/assert";
import type { PoolProgress } from "../../pool/mod.ts";
import {
  progressBar,
  type ProgressBarOptions,
  type ProgressBarOutput,
} from "../../pool/progress_bar.ts";

/** An output that keeps what is written. */
class FakeOutput implements ProgressBarOutput {
  isTerminal: boolean;
  columns: number;
  readonly written: string[] = [];

  constructor(isTerminal: boolean, columns = 80) {
    this.isTerminal = isTerminal;
    this.columns = columns;
  }

  write(text: string): void {
    this.written.push(text);
  }

  /** The lines as a terminal shows them at last. */
  get shown(): string[] {
    return this.written.join("").replaceAll("\x1b[K", "").split("\n")
      .map((line) => line.slice(line.lastIndexOf("\r") + 1));
  }
}

function terminal(columns?: number): FakeOutput {
  return new FakeOutput(true, columns);
}

function file(): FakeOutput {
  return new FakeOutput(false);
}

/** `done` of `total` at this rate, as a pool tells it. */
function at(done: number, total: number, rate = 10): PoolProgress {
  return { done, total, rate, eta: (total - done) / rate * 1000 };
}

/** What a terminal shows after one call. */
function lineOf(progress: PoolProgress, columns = 80, label = ""): string {
  const output = terminal(columns);
  progressBar({ label, output })(progress);
  return output.shown[0] ?? "";
}

/** The columns of a text without wide characters. */
function columnsIn(line: string): number {
  return [...line].length;
}

Deno.test("progressBar() shows share, count, rate and eta on a terminal", () => {
  assertEquals(
    lineOf(at(25, 100), 80, "Hashing"),
    "Hashing   25% |███████▌                      |  25/100  10.0/s  eta 7.5 s",
  );
  assertEquals(
    lineOf(at(25, 100)),
    " 25% |███████▌                      |  25/100  10.0/s  eta 7.5 s",
  );
});

Deno.test("progressBar() draws in place and ends with a newline when all is done", () => {
  const output = terminal();
  const draw = progressBar({ output });
  for (const done of [0, 5, 10]) draw(at(done, 10));

  assertEquals(output.written, [
    "\r  0% |                              |  0/10  10.0/s  eta 1.0 s\x1b[K",
    "\r 50% |███████████████               |  5/10  10.0/s  eta 0.5 s\x1b[K",
    "\r100% |██████████████████████████████| 10/10  10.0/s  in 1.0 s\x1b[K\n",
  ]);
  assertEquals(output.shown.slice(1), [""]);
});

Deno.test("progressBar() does not draw the same line again", () => {
  const output = terminal();
  const draw = progressBar({ output });
  draw(at(1, 10));
  draw(at(1, 10));
  assertEquals(output.written.length, 1);
});

Deno.test("progressBar() grows by eighths of a character", () => {
  const bars = Array.from(
    { length: 9 },
    (_, i) => /\|(.*)\|/.exec(lineOf(at(i, 240)))?.[1]?.trimEnd(),
  );
  assertEquals(bars, ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"]);
});

Deno.test("progressBar() never fills a line of the terminal, however narrow", () => {
  const states = [at(0, 7), at(3, 7, 0.001), at(123_456, 1_000_000, 54_321)];
  for (const label of ["", "Hashing files", "x".repeat(200)]) {
    for (const progress of states) {
      for (let columns = 1; columns <= 130; columns++) {
        const line = lineOf(progress, columns, label);
        assert(
          columnsIn(line) < columns,
          `"${line}" in ${columns} columns`,
        );
      }
    }
  }
});

Deno.test("progressBar() leaves out the bar first, then the details from the end", () => {
  const progress = at(25, 100);
  assertEquals(lineOf(progress, 40), " 25% |█▎   |  25/100  10.0/s  eta 7.5 s");
  assertEquals(lineOf(progress, 39), " 25%   25/100  10.0/s  eta 7.5 s");
  assertEquals(lineOf(progress, 32), " 25%   25/100  10.0/s");
  assertEquals(lineOf(progress, 20), " 25%   25/100");
  assertEquals(lineOf(progress, 12), " 25%");
  assertEquals(
    lineOf(progress, 30, "A long label"),
    "A long label   25%   25/100",
  );
});

Deno.test("progressBar() follows the width of the terminal", () => {
  const output = terminal(80);
  const draw = progressBar({ output });
  draw(at(1, 10));
  output.columns = 20;
  draw(at(2, 10));
  assertEquals(output.shown, [" 20%   2/10  10.0/s"]);
});

Deno.test("progressBar() counts two columns for wide characters of the label", () => {
  // 4 for the label, 2 between, 4 for the percentage.
  assertEquals(lineOf(at(1, 10), 21, "下载"), "下载   10%   1/10");
  assertEquals(lineOf(at(1, 10), 11, "下载"), "下载   10%");
  assertEquals(lineOf(at(1, 10), 9, "下载中"), "下载   1");
});

Deno.test("progressBar() keeps its label in one line", () => {
  assertEquals(
    lineOf(at(1, 10), 40, " a\r\nb\x1b[2J\n"),
    "a b [2J   10%   1/10  10.0/s  eta 0.9 s",
  );
});

Deno.test("progressBar() writes a plain line at each tenth where there is no terminal", () => {
  const output = file();
  const draw = progressBar({ label: "Hashing", output });
  for (let done = 0; done <= 200; done++) draw(at(done, 200));

  assertEquals(output.written, [
    "Hashing    0%    0/200  10.0/s  eta 20 s\n",
    "Hashing   10%   20/200  10.0/s  eta 18 s\n",
    "Hashing   20%   40/200  10.0/s  eta 16 s\n",
    "Hashing   30%   60/200  10.0/s  eta 14 s\n",
    "Hashing   40%   80/200  10.0/s  eta 12 s\n",
    "Hashing   50%  100/200  10.0/s  eta 10 s\n",
    "Hashing   60%  120/200  10.0/s  eta 8.0 s\n",
    "Hashing   70%  140/200  10.0/s  eta 6.0 s\n",
    "Hashing   80%  160/200  10.0/s  eta 4.0 s\n",
    "Hashing   90%  180/200  10.0/s  eta 2.0 s\n",
    "Hashing  100%  200/200  10.0/s  in 20 s\n",
  ]);
});

Deno.test("progressBar() writes one plain line for tenths that are skipped", () => {
  const output = file();
  const draw = progressBar({ output });
  for (const done of [3, 7, 57, 59, 100]) draw(at(done, 100));
  assertEquals(output.written.map((line) => line.slice(0, 4)), [
    "  3%",
    " 57%",
    "100%",
  ]);
});

Deno.test("progressBar() says 100% only when all is done", () => {
  assertEquals(lineOf(at(999_999, 1_000_000)).slice(0, 4), " 99%");
  const output = file();
  const draw = progressBar({ output });
  draw(at(999_999, 1_000_000));
  draw(at(1_000_000, 1_000_000));
  assertEquals(output.written.map((line) => line.slice(0, 4)), [
    " 99%",
    "100%",
  ]);
});

Deno.test("progressBar() can be used for the next map when all is done", () => {
  for (const output of [terminal(), file()]) {
    const draw = progressBar({ output });
    for (let i = 0; i < 2; i++) {
      draw(at(1, 2));
      draw(at(2, 2));
    }
    const [first, last, ...again] = output.written;
    assertEquals(again, [first, last]);
  }
});

Deno.test("progressBar() is done at once where there is nothing to do", () => {
  const output = file();
  progressBar({ output })({ done: 0, total: 0, rate: 0, eta: NaN });
  assertEquals(output.written, ["100%  0/0  ?/s  in ?\n"]);
});

Deno.test("progressBar() shows rates in the unit that suits them", () => {
  const rates: [number, string][] = [
    [0, "?/s"],
    [NaN, "?/s"],
    [Infinity, "?/s"],
    [0.0001, "0.36/h"],
    [0.001, "3.60/h"],
    [0.25, "15.0/min"],
    [0.999, "59.9/min"],
    [1, "1.00/s"],
    [99.96, "100/s"],
    [999, "999/s"],
    [999.6, "1.00k/s"],
    [12_345, "12.3k/s"],
    [4_000_000, "4.00M/s"],
    [5e9, "5.00G/s"],
    [1e20, "999T/s"],
  ];
  for (const [rate, text] of rates) {
    const output = file();
    progressBar({ output })({ done: 1, total: 2, rate, eta: 0 });
    assertEquals(output.written, [` 50%  1/2  ${text}  eta 0.0 s\n`]);
  }
});

Deno.test("progressBar() shows times in the units that suit them", () => {
  const [second, minute, hour, day] = [1e3, 60e3, 3600e3, 24 * 3600e3];
  const times: [number, string][] = [
    [0, "0.0 s"],
    [340, "0.3 s"],
    [9.94 * second, "9.9 s"],
    [9.96 * second, "10 s"],
    [59.4 * second, "59 s"],
    [59.6 * second, "1 min 00 s"],
    [3 * minute + 5 * second, "3 min 05 s"],
    [hour - 400, "1 h 00 min"],
    [2 * hour + 5 * minute, "2 h 05 min"],
    [day - second, "1 d 0 h"],
    [3 * day + 4 * hour, "3 d 4 h"],
    [Infinity, "?"],
    [NaN, "?"],
  ];
  for (const [eta, text] of times) {
    const output = file();
    progressBar({ output })({ done: 1, total: 2, rate: 1, eta });
    assertEquals(output.written, [` 50%  1/2  1.00/s  eta ${text}\n`]);
  }
});

Deno.test("progressBar() refuses options that are not as they have to be", () => {
  const cases: [unknown, string][] = [
    [{ label: 1 }, 'Cannot create progress bar: "label" must be a string'],
    [
      { output: {} },
      'Cannot create progress bar: "output" must have a method "write"',
    ],
    [
      { output: null },
      'Cannot create progress bar: "output" must have a method "write"',
    ],
  ];
  for (const [options, message] of cases) {
    assertThrows(
      () => progressBar(options as ProgressBarOptions),
      TypeError,
      message,
    );
  }
});
