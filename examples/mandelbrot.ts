// Copyright 2026 the multitask authors. MIT license.

/**
 * A picture of the Mandelbrot set, drawn twice: by one process, and row by row
 * by a pool with a worker for each core.
 *
 * The picture is a BMP file: the one that is the only argument, or a temporary
 * one.
 *
 * @module
 */

import { Pool } from "@multitask/std/pool";
import { readOptions } from "./_options.ts";

const WIDTH = 1200;
const HEIGHT = 800;

/** Bytes of a pixel: blue, green, red. */
const PIXEL = 3;

/** What is still near 0 after so many steps belongs to the set. */
const STEPS = 3000;

/** Draws row `y`: its pixels from left to right. */
export function renderRow(y: number): Uint8Array {
  const row = new Uint8Array(WIDTH * PIXEL);
  const ci = (y - HEIGHT / 2) / HEIGHT * 2.4;
  for (let x = 0; x < WIDTH; x++) {
    const cr = (x - WIDTH / 2) / HEIGHT * 2.4 - 0.6;
    row.set(colorOf(stepsOf(cr, ci)), x * PIXEL);
  }
  return row;
}

/** How many steps z² + c takes to leave the neighbourhood of 0. */
function stepsOf(cr: number, ci: number): number {
  let zr = 0;
  let zi = 0;
  for (let step = 0; step < STEPS; step++) {
    const rr = zr * zr;
    const ii = zi * zi;
    if (rr + ii > 4) return step;
    zi = 2 * zr * zi + ci;
    zr = rr - ii + cr;
  }
  return STEPS;
}

/** Black inside, from blue to white outside. */
function colorOf(steps: number): [number, number, number] {
  if (steps === STEPS) return [0, 0, 0];
  const light = Math.log1p(steps) / Math.log1p(STEPS);
  return [
    55 + 200 * Math.sqrt(light),
    255 * light,
    255 * light ** 2,
  ];
}

/** A BMP file of rows from top to bottom, whose length is a multiple of 4. */
function bmp(rows: readonly Uint8Array[]): Uint8Array {
  const headers = 54;
  const file = new Uint8Array(headers + WIDTH * HEIGHT * PIXEL);
  const view = new DataView(file.buffer);
  file.set(new TextEncoder().encode("BM"));
  view.setUint32(2, file.length, true);
  view.setUint32(10, headers, true);
  // The second header: its size, the picture's, 1 plane, bits of a pixel. A
  // height below 0 says that the first row is at the top.
  view.setUint32(14, 40, true);
  view.setInt32(18, WIDTH, true);
  view.setInt32(22, -HEIGHT, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, PIXEL * 8, true);
  rows.forEach((row, y) => file.set(row, headers + y * WIDTH * PIXEL));
  return file;
}

/** Draws, says how long it took, and gives the picture and the seconds. */
async function timed(
  who: string,
  draw: () => Uint8Array[] | Promise<Uint8Array[]>,
): Promise<{ rows: Uint8Array[]; seconds: number }> {
  const start = performance.now();
  const rows = await draw();
  const seconds = (performance.now() - start) / 1000;
  console.log(`${who}: ${seconds.toFixed(2)} s`);
  return { rows, seconds };
}

if (import.meta.main) {
  const { argument } = readOptions(
    "Draws the Mandelbrot set, into the BMP file that is given.",
    "path",
  );
  const path = argument ??
    await Deno.makeTempFile({ prefix: "mandelbrot-", suffix: ".bmp" });

  const ys = Array.from({ length: HEIGHT }, (_, y) => y);
  await using pool = new Pool();
  // The start of the workers is not what is compared.
  await pool.map(renderRow, ys.slice(0, pool.size), { chunksize: 1 });

  const workers = pool.size === 1 ? "1 worker" : `${pool.size} workers`;
  const alone = await timed("One process", () => ys.map(renderRow));
  const together = await timed(workers, () => pool.map(renderRow, ys));
  console.log(
    `Speed-up: ${(alone.seconds / together.seconds).toFixed(2)}`,
  );

  await Deno.writeFile(path, bmp(together.rows));
  console.log(`Picture: ${path}`);
}
