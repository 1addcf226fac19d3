// Copyright 2026 the multitask authors. MIT license.

import { assertEquals, assertStringIncludes } from "@std/assert";
import { type PermissionMode, Process } from "../../process/mod.ts";
import {
  fixturePath,
  processTest,
  reported,
  runFixture,
  type RunResult,
} from "./_run.ts";
import {
  attempts,
  grandchild,
  grantedNames,
  grantedOf,
} from "./fixtures/permission_tasks.ts";
import { passedOn } from "./fixtures/reference_again.ts";
import anonymous from "./fixtures/reference_default.ts";
import byDefault, { plain } from "./fixtures/reference_tasks.ts";
import * as everything from "./fixtures/reference_tasks.ts";

const ALL = ["read", "write", "net", "env", "sys", "run", "ffi", "import"];

/** Runs a task with these permissions. */
async function having<A extends unknown[], R>(
  permissions: PermissionMode,
  target: (...args: A) => R | Promise<R>,
  ...args: A
): Promise<R> {
  const process = new Process<A, R>({ target, args, permissions });
  process.start();
  const result = await process.result;
  await process.join();
  assertEquals(process.exitCode, 0);
  return result;
}

// ---- Modes ----

processTest(
  "Process inherits the permissions that its parent has whole",
  async () => {
    assertEquals(await having("inherit", grantedNames), ALL);
    const process = new Process({ target: grantedNames });
    process.start();
    assertEquals(await process.result, ALL);
    await process.join();
  },
);

processTest(
  "Process with no permissions runs its task all the same",
  async () => {
    assertEquals(await having("none", grantedNames), []);
    assertEquals(await having("none", (x: number) => x + 1, 1), 2);
    const file = fixturePath("tasks.ts");
    const done = await having("none", attempts, {
      read: [file],
      write: ["/tmp/multitask_none"],
      env: ["HOME"],
      host: ["127.0.0.1"],
    });
    assertEquals(new Set(Object.values(done)), new Set(["NotCapable"]));
    assertEquals(Object.keys(done).length, 4);
  },
);

processTest(
  "Process with no permissions gets its module however that is imported",
  async () => {
    const targets = [plain, everything.arrow, byDefault, anonymous, passedOn];
    const processes = targets.map((target) => {
      const process = new Process({ target, args: [1], permissions: "none" });
      process.start();
      return process;
    });
    const results = await Promise.allSettled(
      processes.map(({ result }) => result),
    );
    for (const process of processes) await process.join();
    assertEquals(
      results.map((result) =>
        result.status === "fulfilled" ? result.value : String(result.reason)
      ),
      [101, 103, 105, 201, 103],
    );
  },
);

processTest("Process has just the permissions of its list", async () => {
  const folder = await Deno.makeTempDir();
  const [inside, beside] = [`${folder}/inside`, `${folder}/beside`];
  await Deno.mkdir(inside);
  await Deno.writeTextFile(`${inside}/file`, "text");
  await Deno.writeTextFile(`${folder}/other`, "text");
  const permissions: PermissionMode = {
    read: [inside],
    write: [new URL(`file://${beside}`)],
    env: ["MULTITASK_A"],
    net: ["127.0.0.1"],
    sys: false,
    ffi: "inherit",
    run: [],
  };
  assertEquals(await having(permissions, grantedNames), ["ffi"]);
  const done = await having(permissions, attempts, {
    read: [`${inside}/file`, `${folder}/other`],
    write: [beside, `${inside}/file`],
    env: ["MULTITASK_A", "HOME"],
    host: ["127.0.0.1", "0.0.0.0"],
  });
  assertEquals(done, {
    [`read ${inside}/file`]: "text",
    [`read ${folder}/other`]: "NotCapable",
    [`write ${beside}`]: "undefined",
    [`write ${inside}/file`]: "NotCapable",
    "env MULTITASK_A": "undefined",
    "env HOME": "NotCapable",
    "host 127.0.0.1": "listened",
    "host 0.0.0.0": "NotCapable",
  });
  assertEquals(
    await having({ sys: ["hostname"], run: ["deno"] }, grantedOf, [
      { name: "sys", kind: "hostname" },
      { name: "sys", kind: "osRelease" },
      { name: "sys" },
      { name: "run", command: "deno" },
      { name: "run", command: "sh" },
    ]),
    [true, false, false, true, false],
  );
  await Deno.remove(folder, { recursive: true });
});

processTest(
  "Process takes relative paths from where its parent is",
  async () => {
    const folder = await Deno.makeTempDir();
    const name = "deno.json";
    await Deno.writeTextFile(`${folder}/${name}`, "not ours");
    const process = new Process({
      target: attempts,
      args: [{ read: [`${Deno.cwd()}/${name}`, `${folder}/${name}`] }],
      permissions: { read: [name] },
      cwd: folder,
    });
    process.start();
    assertEquals(await process.result, {
      [`read ${Deno.cwd()}/${name}`]: await Deno.readTextFile(name),
      [`read ${folder}/${name}`]: "NotCapable",
    });
    await process.join();
    await Deno.remove(folder, { recursive: true });
  },
);

processTest("Process hands on no more than it has itself", async () => {
  const permissions: PermissionMode = { run: true, env: true, read: true };
  const { own, inherited, more } = await having(permissions, grandchild);
  assertEquals(own, ["read", "env", "run"]);
  assertEquals(inherited, ["read", "env", "run"]);
  assertEquals(more, "PermissionNeededError");
});

processTest(
  "Process never has more than its parent has at that moment",
  async () => {
    const folder = await Deno.makeTempDir();
    const result = await runFixture("never_more.ts", {
      flags: [
        "--allow-run",
        "--allow-read",
        "--allow-env",
        "--allow-net=127.0.0.1",
        "--allow-import",
        `--allow-write=${folder}`,
      ],
      args: [folder],
    });
    const lacking = (flag: string) => ({ name: "PermissionNeededError", flag });
    assertEquals(reported(result), {
      inherit: ["read", "env", "run", "import"],
      none: [],
      whole: ["read"],
      other: lacking("--allow-ffi"),
      item: lacking("--allow-sys=hostname"),
      ifThere: ["env"],
      wider: lacking("--allow-write"),
      outside: lacking("--allow-write=/"),
      scoped: [true, true, false, false],
      revokedInherit: ["read", "run", "import"],
      revoked: lacking("--allow-env"),
      revokedItem: lacking("--allow-env=HOME"),
    });
    await Deno.remove(folder, { recursive: true });
  },
);

// ---- The exact mode ----

processTest("Process with exact permissions asks its parent", async () => {
  const file = fixturePath("permission_tasks.ts");
  const done = await having("exact", attempts, { env: ["HOME"] });
  assertEquals(done, { "env HOME": Deno.env.get("HOME")! });
  const read = await having("exact", attempts, { read: [file] });
  assertStringIncludes(read[`read ${file}`]!, "grantedNames");
});

/** Runs the fixture with a scoped grant. */
async function exactRun(
  folder: string,
  flags: readonly string[],
): Promise<unknown> {
  const result = await runFixture("exact.ts", {
    flags: ["--allow-run", "--allow-net", ...flags],
    args: [`${folder}/in/file`, `${folder}/out/file`],
    env: { MULTITASK_GIVEN: "given", MULTITASK_KEPT: "kept" },
  });
  return reported(result);
}

async function exactFolder(): Promise<string> {
  const folder = await Deno.makeTempDir();
  for (const name of ["in", "out"]) {
    await Deno.mkdir(`${folder}/${name}`);
    await Deno.writeTextFile(`${folder}/${name}/file`, name);
  }
  return folder;
}

processTest(
  "Process with exact permissions has its parent's scoped grants",
  async () => {
    const folder = await exactFolder();
    const done = await exactRun(folder, [
      "--allow-read",
      "--allow-write",
      "--allow-env=MULTITASK_GIVEN",
    ]);
    assertEquals(done, {
      [`read ${folder}/in/file`]: "in",
      [`read ${folder}/out/file`]: "out",
      [`write ${folder}/in/file`]: "undefined",
      "env MULTITASK_GIVEN": "given",
      "env MULTITASK_KEPT": "NotCapable",
    });
    await Deno.remove(folder, { recursive: true });
  },
);

processTest(
  "Process with exact permissions has its parent's scoped read",
  async () => {
    const folder = await exactFolder();
    const temp = await Deno.makeTempDir();
    const code = decodeURIComponent(
      new URL("../../", import.meta.url).pathname,
    );
    const done = await exactRun(folder, [
      // Its own files, the socket's, and one of the folders.
      `--allow-read=${code},/tmp,${temp},${folder}/in`,
      `--allow-write=/tmp,${temp}`,
      "--deny-read=" + `${folder}/out`,
      "--deny-write=" + folder,
      "--allow-env=MULTITASK_GIVEN",
    ]);
    assertEquals(done, {
      [`read ${folder}/in/file`]: "in",
      [`read ${folder}/out/file`]: "NotCapable",
      [`write ${folder}/in/file`]: "NotCapable",
      "env MULTITASK_GIVEN": "given",
      "env MULTITASK_KEPT": "NotCapable",
    });
    await Deno.remove(folder, { recursive: true });
    await Deno.remove(temp, { recursive: true });
  },
);

processTest(
  "Process with exact permissions says what it cannot do",
  async () => {
    const code = fixturePath("../../../");
    const temp = await Deno.makeTempDir();
    const result = await runFixture("exact_start.ts", {
      flags: [
        "--allow-run",
        "--allow-net",
        "--allow-env",
        `--allow-read=${code},/tmp,${temp}`,
        `--allow-write=/tmp,${temp}`,
      ],
      args: ["README.md"],
      env: { TMPDIR: temp },
    });
    const [read, made] = reported(result) as [string, string];
    assertStringIncludes(read, "NotCapable");
    assertStringIncludes(read, "use an absolute one");
    assertStringIncludes(made, "InvalidStateError");
    assertStringIncludes(made, '"asking" has permissions "exact"');
    await Deno.remove(temp, { recursive: true });
  },
);

processTest(
  "Process with exact permissions says what its broker needs",
  async () => {
    const result = await runFixture("channel_way.ts", {
      flags: ["--allow-run", "--allow-env=NODE_V8_COVERAGE"],
      args: ['"exact"'],
    });
    const { name, message, flag } = reported(result) as Record<string, string>;
    assertEquals(name, "PermissionNeededError");
    assertStringIncludes(message!, "--allow-read");
    assertStringIncludes(flag!, "--allow-write");
  },
);

// ---- Flags that deny ----

/** What children with these permissions get, under flags that deny some. */
async function denied(
  flags: readonly string[],
  lists: readonly PermissionMode[],
  asked: readonly Deno.PermissionDescriptor[],
): Promise<unknown[]> {
  const result = await runFixture("denied.ts", {
    flags: ["--allow-run", ...flags],
    args: [JSON.stringify(lists), JSON.stringify(asked)],
  });
  return reported(result) as unknown[];
}

function assertLacking(found: unknown, flag: string, cure: string): void {
  const error = found as { name: string; message: string; flag: string };
  assertEquals(error.name, "PermissionNeededError", Deno.inspect(found));
  assertEquals(error.flag, flag);
  assertStringIncludes(error.message, cure);
}

processTest(
  "Process is given no pattern of variables of which some may be denied",
  async () => {
    const lists = [
      { env: ["APP_*"] },
      { env: ["APP_A"] },
      { env: ["APP_SECRET"] },
    ];
    const asked = ["APP_A", "APP_SECRET"].map((variable) => ({
      name: "env" as const,
      variable,
    }));
    const port = "--allow-net=127.0.0.1";
    for (const flag of ["--allow-env=APP_*", "--allow-env"]) {
      const [all, one, secret] = await denied(
        [port, flag, "--deny-env=APP_SECRET"],
        lists,
        asked,
      );
      assertLacking(all, "--allow-env", "one by one");
      assertEquals(one, [true, false]);
      assertLacking(secret, "--allow-env=APP_SECRET", "lacks");
    }
    const [all] = await denied([port, "--allow-env"], lists, asked);
    assertEquals(all, [true, true]);
  },
);

processTest(
  "Process is given no host of which some ports may be denied",
  async () => {
    const hosts = ["example.com", "example.com:443", "example.com:80"];
    const lists = hosts.map((host) => ({ net: [host] }));
    const asked = hosts.slice(1).map((host) => ({
      name: "net" as const,
      host,
    }));
    const [all, one, other] = await denied(
      [
        "--allow-env=NODE_V8_COVERAGE",
        "--allow-net=example.com",
        "--deny-net=example.com:80",
      ],
      lists,
      asked,
    );
    assertLacking(all, "--allow-net", "with its ports");
    assertEquals(one, [true, false]);
    assertLacking(other, "--allow-net=example.com:80", "lacks");
    const [whole] = await denied(["--allow-net"], lists, asked);
    assertEquals(whole, [true, true]);
  },
);

processTest(
  "Process is given no folder of which some is denied",
  async () => {
    const folder = await Deno.makeTempDir();
    const path = `${folder}/secret`;
    const [all, one] = await denied(
      [
        "--allow-net=127.0.0.1",
        `--allow-read=${folder}`,
        `--deny-read=${path}`,
      ],
      [{ read: [folder] }, { read: [`${folder}/other`] }],
      [{ name: "read", path }, { name: "read", path: `${folder}/other` }],
    );
    assertLacking(all, `--allow-read=${folder}`, "lacks");
    assertEquals(one, [false, true]);
    await Deno.remove(folder);
  },
);

processTest(
  "Process inherits nothing of a permission of which some is denied",
  async () => {
    const items: Record<string, string> = {
      read: "/etc/secret",
      write: "/etc/secret",
      net: "example.com:80",
      env: "APP_SECRET",
      sys: "uid",
      ffi: "/lib/secret.so",
      import: "example.com:443",
    };
    for (const [name, item] of Object.entries(items)) {
      const flags = [`--allow-${name}`, `--deny-${name}=${item}`];
      const [inherited, asked] = await denied(
        name === "net" ? flags : [...flags, "--allow-net=127.0.0.1"],
        ["inherit", { [name]: "inherit" }],
        [{ name } as Deno.PermissionDescriptor],
      );
      assertEquals([inherited, asked], [[false], [false]], name);
    }
  },
);

// ---- The ways of the channel ----

/** Runs the fixture, in which a child does everything over its channel. */
function channelRun(
  flags: readonly string[],
  permissions: PermissionMode,
  env: Readonly<Record<string, string>> = {},
): Promise<RunResult> {
  return runFixture("channel_way.ts", {
    flags,
    args: [JSON.stringify(permissions)],
    env,
  });
}

async function assertWay(
  way: string | undefined,
  flags: readonly string[],
  permissions: PermissionMode,
  granted: readonly string[],
  env?: Readonly<Record<string, string>>,
): Promise<void> {
  const listener = way === undefined ? [] : [`listener for children (${way})`];
  assertEquals(reported(await channelRun(flags, permissions, env)), {
    ways: [...listener, "process N"],
    got: ["blocking", "awaited"],
    result: ["a", "b", true, false, 2, false, false, true, granted],
    inline: 49,
    exitCode: 0,
  });
}

const SMALLEST = ["--allow-run", "--allow-env=NODE_V8_COVERAGE"];
const LOOPBACK = ["--allow-run", "--allow-net=127.0.0.1"];
const FILES = ["--allow-run", "--allow-read", "--allow-write", "--allow-net"];

if (Deno.build.os === "linux") {
  processTest(
    "Process with all permissions talks over an abstract socket",
    () => assertWay("abstract", ["-A"], "inherit", ALL),
  );
}

processTest(
  "Process with the smallest set of flags talks over descriptors",
  () => assertWay(undefined, SMALLEST, "inherit", ["run"]),
);

processTest(
  "Process with no permissions of a parent with few has none",
  () => assertWay(undefined, SMALLEST, "none", []),
);

processTest(
  "Process with no permissions talks over descriptors",
  () => assertWay(undefined, ["-A"], "none", []),
);

processTest(
  "Process with no permissions may talk over a socket's file",
  () => assertWay("unix", FILES, "none", []),
);

processTest(
  "Process with loopback only talks over a port",
  () => assertWay("tcp", LOOPBACK, "inherit", ["run"]),
);

processTest(
  "Process with no permissions may talk over a port",
  () => assertWay("tcp", LOOPBACK, "none", []),
);

// Where no command of the system can tie the child's life to its parent's.
for (const permissions of ["inherit", "none"] as const) {
  processTest(
    `Process with permissions "${permissions}" needs no command of the system`,
    () =>
      assertWay(
        permissions === "none" || Deno.build.os !== "linux"
          ? undefined
          : "abstract",
        ["-A"],
        permissions,
        permissions === "none" ? [] : ALL,
        { PATH: "/nonexistent" },
      ),
  );
}

processTest("Process says which flags make a way to a child", async () => {
  const cases: [string[], string[]][] = [
    [[], ["--allow-run"]],
    [["--allow-run=sh"], ["--allow-run"]],
    [["--allow-run"], [
      "--allow-env=NODE_V8_COVERAGE",
      "--allow-net=127.0.0.1",
      "--allow-read --allow-write --allow-net",
    ]],
    [["--allow-run", "--allow-read", "--allow-env=HOME"], [
      "--allow-env=NODE_V8_COVERAGE",
    ]],
  ];
  for (const [flags, named] of cases) {
    const { name, message, flag } = reported(
      await channelRun(flags, "inherit"),
    ) as Record<string, string>;
    assertEquals(name, "PermissionNeededError", flags.join(" "));
    for (const text of named) assertStringIncludes(message!, text);
    assertEquals(flag, named[0]);
  }
});
