// Copyright 2026 the multitask authors. MIT license.
// The examples as a reader runs them, with short sleeps. What two processes
// print at the same time comes in any order; the rest is in the order shown.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { EXAMPLES } from "../../_tools/examples.ts";
import { type CommandOutcome, runCommand } from "../jsr/_command.ts";

const ROOT = `${import.meta.dirname}/../..`;

/** Far more than any example takes, even on a busy machine. */
const DEADLINE = 30_000;

function run(file: string, ...args: string[]): Promise<CommandOutcome> {
  return runCommand(Deno.execPath(), ["run", "--allow-all", file, ...args], {
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    deadline: DEADLINE,
  });
}

/** Runs an example that is to end well; gives its output. */
async function outputOf(name: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr, trouble } = await run(
    `examples/${name}.ts`,
    "--speed=100",
    ...args,
  );
  assertEquals({ code, stderr, trouble }, {
    code: 0,
    stderr: "",
    trouble: null,
  }, stdout);
  return stdout;
}

/** The lines of the output, each of which has its end. */
function linesOf(output: string): string[] {
  assert(output.endsWith("\n"), output);
  return output.slice(0, -1).split("\n");
}

/** The number that `pattern` captures. */
function numberIn(line: string | undefined, pattern: RegExp): number {
  const match = pattern.exec(line ?? "");
  assert(match !== null, `${line} does not match ${pattern}`);
  return Number(match[1]);
}

Deno.test("examples/ has the programs that `deno task examples` runs", async () => {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(`${ROOT}/examples`)) {
    if (!name.startsWith("_")) names.push(name.replace(/\.ts$/, ""));
  }
  assertEquals(names.sort(), Object.keys(EXAMPLES).sort());
});

Deno.test("examples/ all have --help and refuse what they do not know", async () => {
  const check = async (name: string) => {
    const help = await run(`examples/${name}.ts`, "--help");
    assertEquals(help.code, 0, help.stderr);
    assertMatch(
      help.stdout,
      new RegExp(`^.+\\.\n\nUsage: deno run -A examples/${name}\\.ts`),
    );
    for (const [argument, message] of WRONG_ARGUMENTS) {
      const refused = await run(`examples/${name}.ts`, argument);
      assertEquals(refused.code, 2, name);
      assertEquals(refused.stdout, "", name);
      assertEquals(refused.stderr, `${message}; see --help\n`, name);
    }
  };
  await Promise.all(Object.keys(EXAMPLES).map(check));
});

const WRONG_ARGUMENTS = [
  ["--fast", "Unknown argument: --fast"],
  ["--speed=0", '--speed must be a number > 0, received "0"'],
] as const;

Deno.test("examples/fork.ts goes on in the parent and in the child", async () => {
  const [first, ...rest] = linesOf(await outputOf("fork"));
  const parent = numberIn(first, /^Process \((\d+)\) start\.\.\.$/);
  // "I (" sorts before "I am".
  rest.sort();
  const child = numberIn(rest[0], /just created a child process \((\d+)\)\.$/);
  assert(parent !== child);
  assertEquals(rest, [
    `I (${parent}) just created a child process (${child}).`,
    `I am child process (${child}) and my parent is ${parent}.`,
  ]);
});

Deno.test("examples/process.ts runs the child between start and join", async () => {
  const lines = linesOf(await outputOf("process"));
  const parent = numberIn(lines[0], /^Parent process (\d+)\.$/);
  const child = numberIn(lines[2], /^Run child process test \((\d+)\)\.\.\.$/);
  assert(parent !== child);
  assertEquals(lines, [
    `Parent process ${parent}.`,
    "Child process will start.",
    `Run child process test (${child})...`,
    "Child process end.",
  ]);
});

Deno.test("examples/download_processes.ts downloads two files in a process each", async () => {
  const lines = linesOf(await outputOf("download_processes"));
  const total = numberIn(lines.pop(), /^总共耗费了(\d+\.\d\d)秒\.$/);
  const pids = lines.filter((line) => line.startsWith("启动"))
    .map((line) => numberIn(line, /^启动下载进程，进程号\[(\d+)\]\.$/));
  assertEquals(new Set(pids).size, 2);
  for (const file of ["Python从入门到住院.pdf", "Peking Hot.avi"]) {
    const own = lines.filter((line) => line.includes(file));
    assertEquals(own.length, 2);
    assertEquals(own[0], `开始下载${file}...`);
    assert(own[1]?.startsWith(`${file}下载完成! `), own[1]);
    const seconds = numberIn(own[1], / 耗费了(\d+)秒$/);
    assert(seconds >= 5 && seconds <= 10, own[1]);
    assert(total >= seconds, `${total} in all, ${seconds} for one`);
  }
  assertEquals(lines.length, 6);
});

Deno.test("examples/queue.ts reads every item before the reader is terminated", async () => {
  const lines = linesOf(await outputOf("queue"));
  const writer = lines.filter((line) => /to write|^Put/.test(line));
  const reader = lines.filter((line) => /to read|^Get/.test(line));
  const write = numberIn(writer[0], /^Process to write: (\d+)$/);
  const read = numberIn(reader[0], /^Process to read: (\d+)$/);
  assert(write !== read);
  const values = ["A", "B", "C"];
  assertEquals(
    writer.slice(1),
    values.map((value) => `Put ${value} to queue...`),
  );
  assertEquals(
    reader.slice(1),
    values.map((value) => `Get ${value} from queue.`),
  );
  for (const value of values) {
    assert(
      lines.indexOf(`Put ${value} to queue...`) <
        lines.indexOf(`Get ${value} from queue.`),
      lines.join("\n"),
    );
  }
  assertEquals(lines.length, 8);
});

Deno.test("examples/pipe.ts has a conversation that ends when an end is closed", async () => {
  const lines = linesOf(await outputOf("pipe"));
  const child = numberIn(lines[0], /^Child process (\d+) sends/);
  const parent = numberIn(lines[2], /^Parent process (\d+) sends/);
  assert(parent !== child);
  assertEquals(lines, [
    `Child process ${child} sends a list...`,
    'Parent receives: [ 42, null, "hello" ]',
    `Parent process ${parent} sends its thanks...`,
    "Child receives: thank you",
    "Child receives no more.",
  ]);
});

Deno.test("examples/ping_pong_separate.ts prints 50 of each", async () => {
  const lines = linesOf(await outputOf("ping_pong_separate"));
  assertMatch(lines[0] ?? "", /^(Ping|Pong){100}$/);
  assertEquals(lines[0]?.match(/Ping/g)?.length, 50);
  assertEquals(lines[1], "Ping: 50, Pong: 50, in this process: 0");
  assertEquals(lines.length, 2);
});

Deno.test("examples/ping_pong_queue.ts prints 50 in all", async () => {
  const lines = linesOf(await outputOf("ping_pong_queue"));
  assertMatch(lines[0] ?? "", /^(Ping|Pong){50}$/);
  const pings = lines[0]?.match(/Ping/g)?.length ?? 0;
  assertEquals(
    lines[1],
    `Ping: ${pings}, Pong: ${50 - pings}, together: 50`,
  );
  assertEquals(lines.length, 2);
});

Deno.test("examples/pool.ts has task 4 wait for a free worker", async () => {
  const lines = linesOf(await outputOf("pool"));
  const parent = numberIn(lines[0], /^Parent process (\d+)\.$/);
  assertEquals(lines[1], "Waiting for all subprocesses done...");
  assertEquals(lines.at(-1), "All subprocesses done.");
  assertEquals(lines.length, 13);
  const pids = new Set<number>();
  for (let task = 0; task < 5; task++) {
    const begin = lines.findIndex((line) =>
      line.startsWith(`Run task ${task}`)
    );
    const end = lines.findIndex((line) => line.startsWith(`Task ${task} runs`));
    assert(1 < begin && begin < end, lines.join("\n"));
    pids.add(numberIn(lines[begin], /^Run task \d \((\d+)\)\.\.\.$/));
    assertMatch(lines[end] ?? "", /^Task \d runs \d+\.\d\d seconds\.$/);
  }
  assert(pids.size <= 4 && !pids.has(parent), [...pids].join());
  const last = lines.findIndex((line) => line.startsWith("Run task 4"));
  const ended = lines.slice(0, last).filter((line) => /^Task/.test(line));
  assert(ended.length > 0, lines.join("\n"));
});

Deno.test("examples/apply_vs_apply_async.ts runs tasks in turn, not at all, and together", async () => {
  const output = await outputOf("apply_vs_apply_async");
  const [before, apply, async, joined] = output.split(/^== .+ ==\n/m)
    .map((part) => part === "" ? [] : linesOf(part));
  assertEquals(output.match(/^==.*$/gm), [
    "== apply ==",
    "== applyAsync ==",
    "== applyAsync, close, join ==",
  ]);
  assertEquals(before, []);
  for (const run of [apply, async, joined]) {
    assertEquals(run?.splice(0, 2), ["开始执行主进程", "开始执行三个子进程"]);
    numberIn(run?.pop(), /^主进程结束 耗时 (\d+\.\d\d) 秒$/);
  }
  assertEquals(apply, ["msg: 0", "end", "msg: 1", "end", "msg: 2", "end"]);
  assertEquals(async, []);
  assertEquals(joined?.sort(), [
    "end",
    "end",
    "end",
    "msg: 0",
    "msg: 1",
    "msg: 2",
  ]);
});

Deno.test("examples/progress.ts hashes the files of a tree and shows how far it is", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${directory}/sub`);
    await Deno.writeTextFile(`${directory}/sub/abc.txt`, "abc");
    await Deno.writeTextFile(`${directory}/empty`, "");
    await Deno.writeTextFile(`${directory}/.hidden`, "is left out");
    const { code, stdout, stderr } = await run(
      "examples/progress.ts",
      directory,
    );
    assertEquals(code, 0, stderr);
    const list =
      `e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  empty
ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  sub/abc.txt
`;
    const digest = await crypto.subtle.digest(
      "SHA-256",
      new TextEncoder().encode(list),
    );
    assertEquals(linesOf(stdout), [
      "2 files, 3 bytes",
      `SHA-256: ${new Uint8Array(digest).toHex()}`,
    ]);
    // It is no terminal.
    assertMatch(
      stderr,
      /^(Hashing +\d+% .+\n)?Hashing +100% +2\/2 +[\d.]+\S+ +in .+\n$/,
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("examples/progress.ts hashes this repository by default", async () => {
  const { code, stdout, stderr } = await run("examples/progress.ts");
  assertEquals(code, 0, stderr);
  const [counts, digest] = linesOf(stdout);
  assert(numberIn(counts, /^(\d+) files, \d+ bytes$/) > 10);
  assertMatch(digest ?? "", /^SHA-256: [\da-f]{64}$/);
  assertMatch(stderr, /^Hashing +100% +(\d+)\/\1 +\S+ +in .+\n$/m);
});

Deno.test("examples/mandelbrot.ts draws a picture and says how much faster a pool is", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const path = `${directory}/picture.bmp`;
    const { code, stdout, stderr } = await run("examples/mandelbrot.ts", path);
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    const lines = linesOf(stdout);
    numberIn(lines[0], /^One process: (\d+\.\d\d) s$/);
    numberIn(lines[1], /^\d+ workers?: (\d+\.\d\d) s$/);
    numberIn(lines[2], /^Speed-up: (\d+\.\d\d)$/);
    assertEquals(lines.slice(3), [`Picture: ${path}`]);

    const picture = await Deno.readFile(path);
    const view = new DataView(picture.buffer);
    assertEquals(new TextDecoder().decode(picture.subarray(0, 2)), "BM");
    assertEquals(view.getUint32(2, true), picture.length);
    const pixels = view.getUint32(10, true);
    const width = view.getInt32(18, true);
    const height = -view.getInt32(22, true);
    assertEquals(picture.length, pixels + width * height * 3);
    const colorAt = (x: number, y: number) => {
      const at = pixels + (y * width + x) * 3;
      return [...picture.subarray(at, at + 3)];
    };
    // 0 belongs to the set, the corners do not.
    const zero = Math.round(width / 2 + 0.6 * height / 2.4);
    assertEquals(colorAt(zero, height / 2), [0, 0, 0]);
    for (const x of [0, width - 1]) {
      for (const y of [0, height - 1]) assert(colorAt(x, y)[0]! > 50);
    }
    // It is the same above and below the real axis.
    for (let x = 0; x < width; x += 7) {
      assertEquals(colorAt(x, height / 2 - 50), colorAt(x, height / 2 + 50));
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("examples/thread.ts counts in the LoopThread while the MainThread waits", async () => {
  assertEquals(linesOf(await outputOf("thread")), [
    "thread MainThread is running...",
    "thread LoopThread is running...",
    "thread LoopThread >>> 1",
    "thread LoopThread >>> 2",
    "thread LoopThread >>> 3",
    "thread LoopThread >>> 4",
    "thread LoopThread >>> 5",
    "thread LoopThread ended.",
    "thread MainThread ended.",
  ]);
});

Deno.test("examples/lock.ts has a wrong balance without the lock, and the right one with it", async () => {
  const lines = linesOf(await outputOf("lock"));
  assert(numberIn(lines[0], /^without lock: (-?\d+)$/) !== 0);
  assertEquals(lines.slice(1), ["with lock: 0"]);
});

Deno.test("examples/multicore.ts has every core do a piece of work", async () => {
  const lines = linesOf(await outputOf("multicore"));
  const cores = navigator.hardwareConcurrency;
  const one = numberIn(
    lines[0],
    /^1 thread: 1 piece of work in (\d+\.\d\d) s, CPU \d+%$/,
  );
  const all = numberIn(
    lines[1],
    /^\d+ threads?: \d+ pieces? of work in (\d+\.\d\d) s, CPU \d+%$/,
  );
  assertEquals(parseInt(lines[1]!), cores);
  const ratio = numberIn(
    lines[2],
    new RegExp(`^Speed-up by ${cores} cores?: (\\d+\\.\\d\\d)$`),
  );
  // Less if a thread had another result; the seconds are rounded.
  const expected = cores * one / all;
  assert(Math.abs(ratio - expected) < 0.1 * expected, lines.join("\n"));
  assertEquals(lines.length, 3);
});

Deno.test("examples/thread_local.ts has a student for each thread and each run", async () => {
  const lines = linesOf(await outputOf("thread_local"));
  assertEquals(lines.slice(0, 2).sort(), [
    "Hello, Alice (in Thread-A)",
    "Hello, Bob (in Thread-B)",
  ]);
  assertEquals(lines.slice(2), [
    "Hello, Carol (in MainThread)",
    "Hello, Dave (in MainThread)",
    "In MainThread itself: undefined",
  ]);
});

Deno.test("examples/download_threads.ts downloads two files by a function, and by a class", async () => {
  const lines = linesOf(await outputOf("download_threads"));
  assertEquals(lines.length, 10);
  const runs = [
    { lines: lines.slice(0, 5), total: /^总共耗费了(\d+\.\d{3})秒$/ },
    { lines: lines.slice(5), total: /^总共耗费了(\d+\.\d\d)秒\.$/ },
  ];
  for (const run of runs) {
    const total = numberIn(run.lines.pop(), run.total);
    for (const file of ["Python从入门到住院.pdf", "Peking Hot.avi"]) {
      const own = run.lines.filter((line) => line.includes(file));
      assertEquals(own[0], `开始下载${file}...`);
      assert(own[1]?.startsWith(`${file}下载完成! `), own[1]);
      const seconds = numberIn(own[1], / 耗费了(\d+)秒$/);
      assert(seconds >= 1 && seconds <= 3, own[1]);
      assert(total >= seconds, `${total} in all, ${seconds} for one`);
      assertEquals(own.length, 2);
    }
  }
});

Deno.test("examples/async_io.ts waits for all requests at the same time, in one thread", async () => {
  const lines = linesOf(await outputOf("async_io"));
  numberIn(
    lines[0],
    /^One after the other: 2 answers in (\d+\.\d\d) s, threads: 1$/,
  );
  numberIn(
    lines[1],
    /^All at the same time: 100 answers in (\d+\.\d\d) s, threads: 1$/,
  );
  const most = numberIn(lines[2], /^Waiting at the same time: (\d+)$/);
  assert(most > 1 && most <= 100, `${most}`);
  assertEquals(lines.length, 3);
});

Deno.test("examples/mixed_mode.ts does each task once, in a thread of one of the processes", async () => {
  const lines = linesOf(await outputOf("mixed_mode"));
  const parent = numberIn(lines[0], /^Parent process (\d+)\.$/);
  const pids = lines.filter((line) => line.endsWith("threads..."))
    .map((line) => numberIn(line, /^Process (\d+) starts 3 threads\.\.\.$/));
  assertEquals(new Set([parent, ...pids]).size, 3);

  // Who runs which tasks, and who says afterwards that it has done them.
  const begun = new Map<string, string>();
  const done = new Map<string, string>();
  for (const line of lines) {
    const run = /^Run task (\d+) in (Thread-[123] of process \d+)\.\.\.$/
      .exec(line);
    if (run !== null) {
      assert(!begun.has(run[1]!), line);
      begun.set(run[1]!, run[2]!);
    }
    const [, worker, tasks] =
      /^(Thread-[123] of process \d+) has done tasks ([\d, ]+)$/.exec(line) ??
        [];
    for (const task of tasks?.split(", ") ?? []) done.set(task, worker!);
  }
  assertEquals(begun.size, 12);
  assertEquals(done, begun);
  for (const worker of done.values()) {
    assert(pids.includes(numberIn(worker, /(\d+)$/)), worker);
  }
  // 0 * 0 + 1 * 1 + ... + 11 * 11
  assertEquals(lines.at(-1), "Sum of the squares: 506");
});

// Elsewhere the kernel cannot.
const SHARINGS = Deno.build.os === "linux" ? ["kernel", "parent"] : ["parent"];

for (const sharing of SHARINGS) {
  Deno.test(`examples/prefork_server.ts serves on when a process crashes, and replaces it; port shared by the ${sharing}`, async () => {
    const lines = linesOf(await outputOf("prefork_server", sharing));
    const parent = numberIn(lines[0], /^Parent process (\d+)\.$/);
    const [, list] = new RegExp(
      `^Processes ([\\d, ]+) serve one port, shared by the ${sharing}\\.$`,
    ).exec(lines[1] ?? "") ?? [];
    const pids = list?.split(", ").map(Number) ?? [];
    assertEquals(new Set([parent, ...pids]).size, 4);

    const crashed = numberIn(
      lines.find((line) => line.includes("crashed")),
      Deno.build.os === "windows"
        ? /^Process (\d+) crashed \(exit code -?\d+\)\.$/
        : /^Process (\d+) crashed \(exit code -9\)\.$/,
    );
    const replacement = numberIn(
      lines.find((line) => line.includes("in its place")),
      /^Process (\d+) serves in its place\.$/,
    );
    assert(pids.includes(crashed), lines.join("\n"));
    assert(![parent, ...pids].includes(replacement), lines.join("\n"));
    assert(lines.includes("The client lost its connection."));

    // Each time all requests are answered, by those that are there.
    const answersOf = (title: string) => {
      const line = lines.find((line) => line.startsWith(title)) ?? "";
      assert(line.startsWith(`${title}: 60 answers, `), lines.join("\n"));
      return new Map(
        Array.from(line.matchAll(/(\d+) by (\d+)/g), ([, count, pid]) => [
          Number(pid),
          Number(count),
        ]),
      );
    };
    const alive = new Set(pids).difference(new Set([crashed]));
    const before = answersOf("Before the crash");
    assertEquals(new Set(before.keys()), new Set(pids));
    const after = answersOf("After the crash");
    after.delete(replacement);
    assertEquals(new Set(after.keys()), alive);
    const replaced = answersOf("After the replacement");
    alive.add(replacement);
    assertEquals(new Set(replaced.keys()), alive);

    const ends = lines.filter((line) => line.includes(" ends, "));
    const answers = new Map(
      ends.map((line) => [
        numberIn(line, /^Process (\d+) ends, /),
        numberIn(line, / after (\d+) answers\.$/),
      ]),
    );
    assertEquals(new Set(answers.keys()), alive);
    const sum = answers.values().reduce((a, b) => a + b, 0);
    assertEquals(sum + before.get(crashed)!, 3 * 60);
  });

  Deno.test(`examples/event_server.ts has an event loop for each core; port shared by the ${sharing}`, async () => {
    const lines = linesOf(await outputOf("event_server", sharing));
    const cores = navigator.hardwareConcurrency;
    assertEquals(
      lines[0],
      `${cores} event loops serve one port, shared by the ${sharing}.`,
    );
    numberIn(lines[1], /^200 requests of 1 s each: (\d+\.\d\d) s$/);
    let sum = 0;
    let most = 0;
    lines.slice(2).forEach((line, index) => {
      sum += numberIn(
        line,
        new RegExp(`^EventLoop-${index + 1}: (\\d+) answers, `),
      );
      const own = numberIn(line, /, at most (\d+) requests under way$/);
      most = Math.max(most, own);
    });
    assertEquals(lines.length, 2 + cores);
    assertEquals(sum, 200);
    assert(most > 1, lines.join("\n"));
  });
}

Deno.test("examples/ that share a port refuse to share it in another way", async () => {
  for (const name of ["prefork_server", "event_server"]) {
    const { code, stdout, stderr } = await run(`examples/${name}.ts`, "magic");
    assertEquals({ code, stdout, stderr }, {
      code: 2,
      stdout: "",
      stderr: "Unknown argument: magic; see --help\n",
    });
  }
});

Deno.test("deno task examples runs those that are named", async () => {
  const { code, stdout, stderr } = await run(
    "_tools/examples.ts",
    "process",
    "examples/pipe.ts",
  );
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  const titles = stdout.match(/^==.*$/gm);
  assertEquals(titles, [
    "== process.ts: A function in a process of its own ==",
    "== pipe.ts: A conversation over a pipe ==",
  ]);
  assertMatch(stdout, /\nRan 2 examples in [\d.]+ s\n$/);
});

Deno.test("deno task examples fails when an example fails, and says which", async () => {
  // The example refuses this speed.
  const { code, stdout, stderr } = await run(
    "_tools/examples.ts",
    "process",
    "--speed=0",
  );
  assertEquals(code, 1);
  assertMatch(stderr, /^process failed: exit code 2$/m);
  assertMatch(stdout, /, 1 failed: process \(exit code 2\)\n$/);
});

Deno.test("deno task examples refuses an example that does not exist", async () => {
  const { code, stdout, stderr } = await run("_tools/examples.ts", "toString");
  assertEquals({ code, stdout, stderr }, {
    code: 2,
    stdout: "",
    stderr: "No such example: toString; see --help\n",
  });
});

// Whether there is nslookup, and what it says, depends on the machine.

Deno.test("examples/subprocess_call.ts prints the exit code of a command", async () => {
  const lines = linesOf(await outputOf("subprocess_call"));
  assertEquals(lines[0], "$ nslookup www.python.org");
  assertMatch(lines.at(-1)!, /^Exit code: \d+$/);
});

Deno.test("examples/subprocess_communicate.ts prints what the program said", async () => {
  const output = await outputOf("subprocess_communicate");
  const lines = linesOf(output);
  assertEquals(lines[0], "$ nslookup");
  assertMatch(lines.at(-1)!, /^Exit code: \d+$/);
  if (lines[1]?.startsWith("There is no")) assert(output.includes("It is 42."));
});

Deno.test("examples/task_master.ts has its tasks done by task_worker.ts", async () => {
  // The tool runs both, each as a program of its own.
  const { code, stdout, stderr } = await run(
    "_tools/examples.ts",
    "task_worker",
    "--speed=100",
  );
  assertEquals({ code, stderr }, { code: 0, stderr: "" }, stdout);
  const lines = linesOf(stdout).slice(1, -2);
  const master = lines.filter((line) => /^(Put|Try|Result|master)/.test(line));
  const worker = lines.filter((line) => /^(Conn|run|task|work)/.test(line));
  assertEquals(master.length + worker.length, lines.length, stdout);
  const numbers = master.slice(0, 10)
    .map((line) => numberIn(line, /^Put task (\d+)\.\.\.$/));
  assertEquals(master.slice(10), [
    "Try get results...",
    ...numbers.map((n) => `Result: ${n} * ${n} = ${n * n}`),
    "master exit.",
  ]);
  assertEquals(worker, [
    "Connect to server 127.0.0.1...",
    ...numbers.map((n) => `run task ${n} * ${n}...`),
    "worker exit.",
  ]);
});

Deno.test("examples/lost_worker.ts loses no result with a worker", async () => {
  const lines = linesOf(await outputOf("lost_worker"));
  const results = lines.filter((line) => line.includes(" = "));
  assertEquals(
    results,
    Array.from({ length: 10 }, (_, i) => {
      const n = i + 1;
      return `${n} * ${n} = ${n * n}`;
    }),
  );
  assert(lines.includes("doomed was killed"));
  const [lost] = lines.filter((line) => line.startsWith("doomed: run task"));
  const n = numberIn(lost, /^doomed: run task (\d+) \(attempt 1\)$/);
  assert(lines.includes(`other: run task ${n} (attempt 2)`), lines.join("\n"));
});
