// The package as its users get it: published with `deno publish` to a registry
// on this machine, imported with `jsr:` by programs in directories of their own.
// Every module of the package is remote there, entry files of children and
// workers included, which nothing inside the repository can show.
//
// To add a program, add a folder to `consumer/`:
//   main.ts         the program; `deno run <flags> main.ts` is run beside it
//   expected.json   flags, exit code, lines of stdout, files that must be fetched
// and whatever it needs: a deno.json, an import map, modules. The tools read the
// folder as part of the repository as well, so imports must resolve there too.

import { assert, assertEquals } from "@std/assert";
import { listConsumers, runCachedConsumer, runConsumer } from "./_consumer.ts";
import { publishPackage } from "./_package.ts";
import { LocalRegistry } from "./_registry.ts";
import { TempDir } from "./_temp_dir.ts";

/** By convention the modules that start a worker or a child: nothing imports them. */
const ENTRY_FILE = /(^|\/)_\w+_main\.ts$/;

/** The consumers that use each of the entry files. */
const CACHED = new Set(["fork", "queue", "thread"]);

Deno.test("the published package works in programs that import it with jsr:", async (t) => {
  await using registry = new LocalRegistry();
  registry.start();
  await using npmCache = await TempDir.make("multitask_npm_");
  const pkg = await publishPackage(registry);
  const root = `/${pkg.name}/${pkg.version}/`;
  const consumers = await listConsumers();

  for (const consumer of consumers) {
    await t.step(`consumer ${consumer.name}`, async () => {
      const { expected } = consumer;
      const { run, served, missing, orphans, check } = await runConsumer(
        consumer,
        registry,
        npmCache.path,
      );
      const output = `\nstdout:\n${run.stdout}\nstderr:\n${run.stderr}`;
      assertEquals(run.trouble, null, output);
      assertEquals(lines(run.stdout), expected.stdout, output);
      assertEquals(run.code, expected.exitCode, output);
      assertEquals(orphans, [], "processes were left behind");
      assertEquals(
        missing,
        [],
        "the program asked for files that were not published",
      );
      for (const path of expected.served) {
        assert(
          served.has(root + path),
          `"${path}" did not come from the registry`,
        );
      }
      assertEquals(check.code, 0, check.stderr);
    });
  }

  // Entry files are reached by URL only, and belong to the module graph all the
  // same: a program whose modules were fetched before asks for nothing more.
  for (const consumer of consumers.filter(({ name }) => CACHED.has(name))) {
    await t.step(`consumer ${consumer.name} without a network`, async () => {
      const { run, asked } = await runCachedConsumer(
        consumer,
        registry,
        npmCache.path,
      );
      assertEquals(lines(run.stdout), consumer.expected.stdout, run.stderr);
      assertEquals(asked, []);
    });
  }

  await t.step("every entry file is used by a consumer", () => {
    const used = new Set(consumers.flatMap(({ expected }) => expected.served));
    const unused = [...pkg.files.keys()].filter((path) =>
      ENTRY_FILE.test(path) && !used.has(path)
    );
    assertEquals(
      unused,
      [],
      'no consumer lists these published files under "served"',
    );
  });
});

function lines(text: string): string[] {
  const result = text.split(/\r?\n/);
  if (result.at(-1) === "") result.pop();
  return result;
}
