// Commands, with a deadline and their group, from the published package.

// deno-lint-ignore no-import-prefix no-unversioned-import -- the point of this program
import * as subprocess from "jsr:@multitask/std/subprocess";

const { $, PIPE, Popen, run, TimeoutExpired } = subprocess;

const sort = new Popen(["sort"], { stdin: PIPE, stdout: PIPE, text: true });
const [sorted]: [string, null] = await sort.communicate("b\na\n");
console.log(sorted.trimEnd().split("\n").join(), sort.returncode);
console.log((await $`echo ${"two words"}`).stdout.trim());
try {
  await run("sleep 60; true", { shell: true, timeout: 100, killTree: true });
} catch (error) {
  if (!(error instanceof TimeoutExpired)) throw error;
  console.log(error.timedOut, error.returncode);
}
