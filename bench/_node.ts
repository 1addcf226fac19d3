// Copyright 2026 the multitask authors. MIT license.

// The pools of npm as contenders: one Node program that has all of them, with
// packages that are installed for this run and removed after it.

import type { Absence, SelfTimed } from "./_measure.ts";
import { Peer, peerContender } from "./_peer.ts";

/** What is installed: the newest ones when this was written. */
const PACKAGES = [
  "piscina@5.3.2",
  "tinypool@2.2.0",
  "workerpool@10.0.3",
  "jest-worker@30.5.1",
] as const;

/** The pools that are compared, by their names in fixtures/node_pools.mjs. */
export const NODE_POOLS = [
  "piscina",
  "tinypool",
  "workerpool",
  "jest-worker",
  "jest-worker-threads",
] as const;

/** One of them. */
export type NodePool = typeof NODE_POOLS[number];

/** What runs where the packages are. */
const FIXTURES = [
  "node_pools.mjs",
  "node_tasks.mjs",
  "node_workerpool.mjs",
] as const;

/** A running fixtures/node_pools.mjs, or why there is none. */
export class NodePools implements AsyncDisposable {
  readonly #peer: Peer | string;
  readonly #directory: string;

  private constructor(peer: Peer | string, directory: string) {
    this.#peer = peer;
    this.#directory = directory;
  }

  /** Installs the packages and starts it. */
  static async start(): Promise<NodePools> {
    const directory = await Deno.makeTempDir();
    try {
      return new NodePools(await startIn(directory), directory);
    } catch (error) {
      await Deno.remove(directory, { recursive: true });
      throw error;
    }
  }

  /** Of Node; `undefined` where it is absent. */
  get pid(): number | undefined {
    return typeof this.#peer === "string" ? undefined : this.#peer.pid;
  }

  /**
   * A contender that has a pool do a command.
   *
   * @param pool Its name, which is its row in the table, too.
   * @param command What to do.
   * @param args What comes behind the name of the pool.
   * @param runs How often the command does what is compared.
   */
  contender(
    pool: NodePool,
    command: string,
    args: readonly number[],
    runs: number,
  ): SelfTimed | Absence {
    const peer = this.#peer;
    const isThere = typeof peer === "string" ||
      peer.greeting.split(" ").includes(pool);
    return peerContender(
      pool,
      isThere ? peer : "skipped: does not work on this Node",
      [command, pool, ...args].join(" "),
      runs,
    );
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (typeof this.#peer !== "string") {
      await this.#peer[Symbol.asyncDispose]();
    }
    await Deno.remove(this.#directory, { recursive: true });
  }
}

/** Gives the running program, or why there is none. */
async function startIn(directory: string): Promise<Peer | string> {
  console.error(`installing ${PACKAGES.join(", ")}`);
  const problem = await install(directory);
  if (problem !== undefined) return problem;
  for (const name of FIXTURES) {
    await Deno.copyFile(
      new URL(`./fixtures/${name}`, import.meta.url),
      `${directory}/${name}`,
    );
  }
  return await Peer.start("node", [`${directory}/${FIXTURES[0]}`]) ??
    "skipped: no node";
}

/** Installs packages of npm into a directory; gives why it was not possible. */
export async function install(
  directory: string,
  packages: readonly string[] = PACKAGES,
): Promise<string | undefined> {
  try {
    const { success } = await new Deno.Command("npm", {
      args: [
        "install",
        "--prefix",
        directory,
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
        ...packages,
      ],
      stdin: "null",
      stdout: "null",
    }).spawn().status;
    return success ? undefined : "skipped: npm install has failed";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "skipped: no npm";
    throw error;
  }
}
