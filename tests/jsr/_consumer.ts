// Runs a program that uses the published package, as on the machine of somebody
// who has never seen it: a copy of the program in a fresh directory, an empty
// cache, and nothing but the registry to get the package from.

import { type CommandOutcome, runCommand } from "./_command.ts";
import type { LocalRegistry } from "./_registry.ts";
import { TempDir } from "./_temp_dir.ts";

const RUN_DEADLINE = 60_000;
const CHECK_DEADLINE = 120_000;
/** How long processes of a consumer may outlive it: children end soon after their parent. */
const ORPHAN_GRACE = 5_000;
const ORPHAN_POLL = 50;

const consumers = new URL("./consumer/", import.meta.url);

/** What `expected.json` of a consumer says. */
export interface Expected {
  /** Flags of `deno run`. */
  readonly flags: string[];
  /** Exit code of the program. */
  readonly exitCode: number;
  /** Lines of its standard output. */
  readonly stdout: string[];
  /** Files of the package that must be fetched for it, paths as published. */
  readonly served: string[];
}

/** A program of `tests/jsr/consumer/`. */
export interface Consumer {
  readonly name: string;
  readonly expected: Expected;
}

/** How a consumer ended. */
export interface ConsumerOutcome {
  readonly run: CommandOutcome;
  /** Paths that the registry was asked for during the run. */
  readonly served: ReadonlySet<string>;
  /** Paths of these that it did not have. */
  readonly missing: string[];
  /** Processes of the run that were there after it. They are killed. */
  readonly orphans: number[];
  /** `deno check` of the same program. */
  readonly check: CommandOutcome;
}

/** All consumers, by name. */
export async function listConsumers(): Promise<Consumer[]> {
  const result: Consumer[] = [];
  for await (const { name, isDirectory } of Deno.readDir(consumers)) {
    if (!isDirectory) continue;
    const url = new URL(`${name}/expected.json`, consumers);
    const json: unknown = JSON.parse(await Deno.readTextFile(url));
    if (!isExpected(json)) {
      throw new TypeError(
        `Cannot run consumer "${name}": expected.json must have flags, exitCode, stdout and served`,
      );
    }
    result.push({ name, expected: json });
  }
  return result.sort((a, b) => a.name < b.name ? -1 : 1);
}

/**
 * Runs a consumer and then checks its types, which come from the published
 * sources too. `npmCache` is shared by the consumers of one test run: it spares
 * the registry of npm, and holds nothing of this package.
 */
export async function runConsumer(
  consumer: Consumer,
  registry: LocalRegistry,
  npmCache: string,
): Promise<ConsumerOutcome> {
  await using machine = await FreshMachine.make(consumer, registry, npmCache);
  const { options } = machine;

  registry.takeRequests();
  const run = await runCommand(Deno.execPath(), [
    "run",
    ...consumer.expected.flags,
    "main.ts",
  ], { ...options, deadline: RUN_DEADLINE });
  const orphans = await endOrphans(`DENO_DIR=${options.env.DENO_DIR}`);
  const requests = registry.takeRequests();

  const check = await runCommand(Deno.execPath(), ["check", "main.ts"], {
    ...options,
    deadline: CHECK_DEADLINE,
  });
  return {
    run,
    served: new Set(
      requests.filter(({ status }) => status === 200).map(({ path }) => path),
    ),
    missing: requests.filter(({ status }) => status !== 200)
      .map(({ path }) => path),
    orphans,
    check,
  };
}

/** How a consumer ended whose modules were all fetched before. */
export interface CachedOutcome {
  readonly run: CommandOutcome;
  /** Paths that the registry was asked for during the run: none. */
  readonly asked: string[];
}

/**
 * Fetches a consumer's modules with `deno cache`, as for a machine without a
 * network, and runs it then.
 */
export async function runCachedConsumer(
  consumer: Consumer,
  registry: LocalRegistry,
  npmCache: string,
): Promise<CachedOutcome> {
  await using machine = await FreshMachine.make(consumer, registry, npmCache);
  const options = { ...machine.options, deadline: RUN_DEADLINE };
  await runCommand(Deno.execPath(), ["cache", "main.ts"], options);
  registry.takeRequests();
  const run = await runCommand(Deno.execPath(), [
    "run",
    "--cached-only",
    ...consumer.expected.flags,
    "main.ts",
  ], options);
  return { run, asked: registry.takeRequests().map(({ path }) => path) };
}

/** A copy of a consumer in a directory of its own, and an empty cache. */
class FreshMachine implements AsyncDisposable {
  readonly #directory: TempDir;
  readonly #cache: TempDir;
  /** How commands are run there. */
  readonly options: {
    readonly cwd: string;
    readonly env: Record<string, string> & { readonly DENO_DIR: string };
  };

  private constructor(
    directory: TempDir,
    cache: TempDir,
    registry: LocalRegistry,
  ) {
    this.#directory = directory;
    this.#cache = cache;
    this.options = {
      cwd: directory.path,
      env: { ...registry.env, DENO_DIR: cache.path },
    };
  }

  static async make(
    consumer: Consumer,
    registry: LocalRegistry,
    npmCache: string,
  ): Promise<FreshMachine> {
    const directory = await TempDir.make("multitask_consumer_");
    const cache = await TempDir.make("multitask_deno_dir_");
    const machine = new FreshMachine(directory, cache, registry);
    try {
      const source = new URL(`${consumer.name}/`, consumers);
      await copyDirectory(source, directory.path);
      await Deno.symlink(npmCache, `${cache.path}/npm`, { type: "junction" });
      return machine;
    } catch (error) {
      await machine[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cache[Symbol.asyncDispose]();
    await this.#directory[Symbol.asyncDispose]();
  }
}

function isExpected(value: unknown): value is Expected {
  const { flags, exitCode, stdout, served }: Partial<
    Record<keyof Expected, unknown>
  > = value ?? {};
  return [flags, stdout, served].every((list) =>
    Array.isArray(list) && list.every((item) => typeof item === "string")
  ) && Number.isInteger(exitCode);
}

async function copyDirectory(from: URL, to: string): Promise<void> {
  for await (const entry of Deno.readDir(from)) {
    const target = `${to}/${entry.name}`;
    if (entry.isDirectory) {
      await Deno.mkdir(target);
      await copyDirectory(new URL(`${entry.name}/`, from), target);
    } else {
      await Deno.copyFile(new URL(entry.name, from), target);
    }
  }
}

/** Waits a while for the processes that carry `variable`, then kills them and returns their pids. */
async function endOrphans(variable: string): Promise<number[]> {
  const end = Date.now() + ORPHAN_GRACE;
  let orphans = findProcesses(variable);
  while (orphans.length > 0 && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, ORPHAN_POLL));
    orphans = findProcesses(variable);
  }
  for (const pid of orphans) Deno.kill(pid, "SIGKILL");
  return orphans;
}

/** Processes with this line in their environment; none where there is no /proc. */
function findProcesses(variable: string): number[] {
  if (Deno.build.os !== "linux") return [];
  const pids: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // The environment of a zombie reads as empty, so only the living are found.
      const environ = Deno.readTextFileSync(`/proc/${name}/environ`);
      if (environ.split("\0").includes(variable)) pids.push(Number(name));
    } catch {
      // It has ended meanwhile, or belongs to somebody else.
    }
  }
  return pids;
}
