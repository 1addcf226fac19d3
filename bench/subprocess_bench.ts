// Copyright 2026 the multitask authors. MIT license.

// External commands: capturing much, starting many, lines, input and output at
// the same time; against bare Deno.Command, Python and execa.

import { PIPE, pipeline, Popen, run } from "../subprocess/mod.ts";
import {
  type Absence,
  measure,
  medianOf,
  MILLISECONDS,
  PER_SECOND,
  printGoal,
  printRatio,
  printTable,
  readFlags,
  type Row,
  type SelfTimed,
  selfTimedFlagsHelp,
} from "./_measure.ts";
import { install } from "./_node.ts";
import { Peer, peerContender } from "./_peer.ts";
import { pythonContender, PythonPeer } from "./_python.ts";

const ROUNDS = 9;

const HELP =
  `Compares commands that are run by subprocess with those of Deno.Command,
Python's subprocess and execa (on Node; it is installed into a temporary
directory). "ratio" is to the first row. It takes some minutes.

Usage: deno run -A bench/subprocess_bench.ts [flags]

${selfTimedFlagsHelp(ROUNDS)}`;

/** The newest that Node 20 can load. */
const EXECA_PACKAGE = "execa@9.6.1";

const SIZE = 100 * 2 ** 20;
const COUNT = 300;
const LINES = 5_000_000;

/** The most memory that capturing may take, in bytes. */
const PEAK = 200 * 2 ** 20;
const PEAK_RUNS = 5;

const OURS = "subprocess";
const BARE = "Deno.Command";
const PYTHON = "Python";
const EXECA = "execa";

if (import.meta.main) {
  const flags = readFlags(HELP);
  const options = { rounds: ROUNDS, warmUpMs: 0, ...flags };
  const directory = await Deno.makeTempDir();
  try {
    await using execa = await startExeca(directory);
    await using python = await PythonPeer.start("python_commands.py");
    const ofPython = (command: string, runs = 1) =>
      pythonContender(PYTHON, python, command, runs);
    const ofExeca = (command: string, runs = 1): SelfTimed | Absence =>
      peerContender(
        EXECA,
        execa ?? "skipped: no node, or npm install has failed",
        command,
        runs,
      );

    {
      const title = `capture ${SIZE >> 20} MiB`;
      const rows = await measure([
        ofPython(`capture ${SIZE}`),
        timed(OURS, 1, () => run(head(), { captureOutput: true })),
        timed(BARE, 1, () => bare(head()).output()),
        ofExeca(`capture ${SIZE}`),
      ], { progress: title, ...options });
      printTable(title, rows, MILLISECONDS);
      printShare(rows, PYTHON, 0.7);
      printShare(rows, EXECA, 0.4);
    }

    await measurePeak();

    {
      const title = `${COUNT} x true, one by one`;
      const rows = await measure([
        ofPython(`true ${COUNT}`, COUNT),
        timed(OURS, COUNT, async () => {
          for (let i = 0; i < COUNT; i++) await run(["true"]);
        }),
        timed(BARE, COUNT, async () => {
          for (let i = 0; i < COUNT; i++) {
            await new Deno.Command("true").spawn().status;
          }
        }),
        ofExeca(`true ${COUNT}`, COUNT),
      ], { progress: title, ...options });
      printTable(title, rows, PER_SECOND);
      printRatio(rows, OURS, PYTHON, 0.8);
      printRatio(rows, OURS, EXECA, 3);
    }

    {
      const title = `${LINES} lines`;
      const rows = await measure([
        ofPython(`lines ${LINES}`),
        timed(OURS, 1, async () => {
          let total = 0;
          const seq = new Popen(["seq", `${LINES}`], { stdout: PIPE });
          for await (const lines of seq.lineBatches()) {
            for (const line of lines) total += line.length;
          }
          return total;
        }),
        timed(`${OURS}, line by line`, 1, async () => {
          let total = 0;
          const seq = new Popen(["seq", `${LINES}`], { stdout: PIPE });
          for await (const line of seq) total += line.length;
          return total;
        }),
      ], { progress: title, ...options });
      printTable(title, rows, MILLISECONDS);
      printShare(rows, PYTHON, 1);
    }

    {
      const title = `${SIZE >> 20} MiB through cat`;
      const input = new Uint8Array(SIZE);
      const rows = await measure([
        ofPython(`cat ${SIZE}`),
        timed(OURS, 1, () => run(["cat"], { input, stdout: PIPE })),
        ofExeca(`cat ${SIZE}`),
      ], { progress: title, ...options });
      printTable(title, rows, MILLISECONDS);
      printShare(rows, PYTHON, 0.6);
    }

    {
      const title = `${SIZE >> 20} MiB from one command to another`;
      const rows = await measure([
        timed("shell", 1, () =>
          run(`head -c ${SIZE} /dev/zero | wc -c`, {
            shell: true,
            stdout: PIPE,
          })),
        timed(
          "pipeline()",
          1,
          () => pipeline(head(), ["wc", "-c"], { stdout: PIPE }),
        ),
      ], { progress: title, ...options });
      printTable(title, rows, MILLISECONDS);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function head(): [string, ...string[]] {
  return ["head", "-c", `${SIZE}`, "/dev/zero"];
}

function bare([program, ...args]: [string, ...string[]]): Deno.Command {
  return new Deno.Command(program, { args });
}

async function startExeca(directory: string): Promise<Peer | undefined> {
  console.error(`installing ${EXECA_PACKAGE}`);
  if (await install(directory, [EXECA_PACKAGE]) !== undefined) return undefined;
  const program = `${directory}/execa_commands.mjs`;
  await Deno.copyFile(
    new URL("./fixtures/execa_commands.mjs", import.meta.url),
    program,
  );
  return await Peer.start("node", [program]);
}

/** A contender that is timed here. */
function timed(
  name: string,
  runs: number,
  work: () => Promise<unknown>,
): SelfTimed {
  return {
    name,
    time: async () => {
      const start = performance.now();
      await work();
      return (performance.now() - start) * 1000 / runs;
    },
  };
}

/** Prints the goal that ours takes no more than a share of another's time. */
function printShare(rows: readonly Row[], other: string, share: number): void {
  const time = medianOf(rows, OURS);
  const base = medianOf(rows, other);
  if (time === undefined || base === undefined) return;
  const ratio = time / base;
  printGoal(
    `${OURS} at most ${share} of the time of ${other}`,
    ratio.toFixed(2),
    ratio <= share,
  );
}

/** The memory of a program that only captures. */
async function measurePeak(): Promise<void> {
  const title = `memory of a program that captures ${SIZE >> 20} MiB`;
  if (Deno.build.os !== "linux") {
    console.log(`\n${title}\n  skipped: this system does not tell it`);
    return;
  }
  const program = new URL("./fixtures/capture_peak.ts", import.meta.url).href;
  const peaks: number[] = [];
  for (let i = 0; i < PEAK_RUNS; i++) {
    const { stdout } = await run(
      [Deno.execPath(), "run", "--no-lock", "-A", program, `${SIZE}`],
      { stdout: PIPE, text: true, check: true },
    );
    peaks.push(Number(stdout));
  }
  peaks.sort((a, b) => a - b);
  const [least, median, most] = [
    peaks[0]!,
    peaks[PEAK_RUNS >> 1]!,
    peaks.at(-1)!,
  ].map((bytes) => `${Math.round(bytes / 2 ** 20)} MiB`);
  console.log(`\n${title}\n  ${median} (${least} .. ${most})`);
  printGoal(
    `a peak under ${PEAK >> 20} MiB`,
    median!,
    peaks[PEAK_RUNS >> 1]! < PEAK,
  );
}
