// A forked child, whose main module runs again behind an entry that is remote.

// deno-lint-ignore no-import-prefix no-unversioned-import -- the point of this program
import { activeChildren, fork } from "jsr:@multitask/std/process";

console.log("start");
const pid = await fork();
if (pid === 0) {
  console.log("child");
} else {
  await Promise.all(activeChildren().map((child) => child.join()));
  console.log("parent");
}
