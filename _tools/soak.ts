// Copyright 2026 the multitask authors. MIT license.

// Puts all shared objects under stress for as long as one likes: one primitive
// after the other in a program of its own, each time with another seed.

import { parseArgs } from "@std/cli/parse-args";
import { ROOT } from "./_deno.ts";
import { PRIMITIVES } from "../tests/faults/fixtures/_stress_names.ts";

const HOMES = ["mapped", "shared"];

const HELP =
  `Puts shared objects under stress, one after the other; fails if one of them
does.

Usage: deno task soak [options]

  --minutes=<n>  how long (default: 10)
  --only=<list>  just these of: ${PRIMITIVES.join(", ")}
  --home=<home>  mapped or shared (default: both)
  --seed=<n>     the first seed; others follow from it (default: random)
  --help         show this text`;

/** Operations of one run, and how many of its processes are killed. */
const BUDGET = 4000;
const KILLS = 8;

/** Without progress for so long it hangs, in milliseconds. */
const PATIENCE = 30_000;

/** Longer than any run takes; it is killed then. */
const DEADLINE = 300_000;

interface Options {
  readonly minutes: number;
  readonly primitives: readonly string[];
  readonly homes: readonly string[];
  readonly seed: number;
}

/** What came of a run. */
interface Outcome {
  readonly failure: string | null;
  readonly operations: number;
  readonly kills: number;
}

interface Failure {
  readonly what: string;
  readonly command: string;
}

if (import.meta.main) {
  const options = readOptions();
  if (options !== undefined) Deno.exit(await main(options));
}

function readOptions(): Options | undefined {
  const { help, minutes, only, home, seed } = parseArgs(Deno.args, {
    boolean: ["help"],
    string: ["minutes", "only", "home", "seed"],
    default: { minutes: "10" },
    unknown: (arg) => refuse(`Unknown option: ${arg}`),
  });
  if (help) {
    console.log(HELP);
    return undefined;
  }
  const primitives = only?.split(",") ?? PRIMITIVES;
  for (const name of primitives) {
    if (!PRIMITIVES.includes(name)) refuse(`No such primitive: ${name}`);
  }
  if (home !== undefined && !HOMES.includes(home)) {
    refuse(`No such home: ${home}`);
  }
  return {
    minutes: number("minutes", minutes),
    primitives,
    homes: home === undefined ? HOMES : [home],
    seed: seed === undefined
      ? crypto.getRandomValues(new Uint32Array(1))[0]!
      : number("seed", seed),
  };
}

function number(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0)) {
    refuse(`--${name} must be a number, received "${text}"`);
  }
  return value;
}

async function main(
  { minutes, primitives, homes, seed: first }: Options,
): Promise<number> {
  const start = performance.now();
  const end = start + minutes * 60_000;
  const stop = new AbortController();
  Deno.addSignalListener("SIGINT", () => stop.abort());
  const isOver = () => stop.signal.aborted || performance.now() > end;
  const failures: Failure[] = [];
  let runs = 0;
  let operations = 0;
  let kills = 0;
  let seed = first;
  while (!isOver()) {
    for (const primitive of primitives) {
      for (const home of homes) {
        if (isOver()) break;
        const outcome = await run(primitive, home, seed, stop.signal);
        if (stop.signal.aborted) break;
        runs++;
        operations += outcome.operations;
        kills += outcome.kills;
        if (outcome.failure !== null) {
          const what = `${primitive}, ${home}, seed ${seed}`;
          failures.push({
            what: `${what}: ${outcome.failure}`,
            command:
              `deno task soak --only=${primitive} --home=${home} --seed=${seed}`,
          });
        }
        const time = clock(performance.now() - start);
        console.log(
          `${time}  ${primitive.padEnd(16)} ${home}  seed ${seed}  ${
            outcome.failure ??
              `ok, ${outcome.operations} operations, ${outcome.kills} kills`
          }`,
        );
      }
    }
    seed = next(seed);
  }
  console.log(
    `\n${
      clock(performance.now() - start)
    }  ${runs} runs, ${operations} operations, ${kills} kills, ${failures.length} failures`,
  );
  for (const { what, command } of failures) {
    console.log(`${what}\n  ${command}`);
  }
  return failures.length === 0 ? 0 : 1;
}

/** Runs one program; what it says is shown when it fails. */
async function run(
  primitive: string,
  home: string,
  seed: number,
  signal: AbortSignal,
): Promise<Outcome> {
  const program = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-check",
      "--allow-all",
      "tests/faults/fixtures/stress.ts",
      `--primitive=${primitive}`,
      `--home=${home}`,
      `--seed=${seed}`,
      `--budget=${BUDGET}`,
      `--kills=${KILLS}`,
      `--patience=${PATIENCE}`,
    ],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let late = false;
  const kill = () => {
    try {
      // Its processes end when it does.
      program.kill("SIGKILL");
    } catch {
      // It has just ended by itself.
    }
  };
  const deadline = setTimeout(() => {
    late = true;
    kill();
  }, DEADLINE);
  signal.addEventListener("abort", kill);
  const { code, stdout, stderr } = await program.output();
  signal.removeEventListener("abort", kill);
  clearTimeout(deadline);
  const said = new TextDecoder().decode(stdout);
  const report = /^report (.*)$/m.exec(said)?.[1];
  if (code === 0 && report !== undefined) {
    // Its last line.
    const { steps, kills } = JSON.parse(report) as {
      steps: number;
      kills: number;
    };
    return { failure: null, operations: steps, kills };
  }
  if (!signal.aborted) {
    console.log(`${said}\n${new TextDecoder().decode(stderr)}`);
  }
  const failure = late
    ? `killed after ${DEADLINE / 1000} s`
    : code === 3
    ? "it hangs"
    : /^FAILURE: (.*)$/m.exec(said)?.[1] ?? `exit code ${code}`;
  return { failure, operations: 0, kills: 0 };
}

/** The seed that follows; both kinds of runs come in turn. */
function next(seed: number): number {
  return (Math.imul(seed, 1664525) + 1013904223) >>> 0;
}

function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${`${seconds % 60}`.padStart(2, "0")}`;
}

function refuse(message: string): never {
  console.error(`${message}; see --help`);
  Deno.exit(2);
}
