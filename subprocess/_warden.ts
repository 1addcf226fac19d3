// Copyright 2026 the multitask authors. MIT license.
// Whoever ends this program (SIGKILL, SIGTERM, Deno.exit, a crash, a Worker that
// is terminated) leaves its commands running: the runtime takes few of them
// along. So one small shell script per thread, the warden, knows the commands
// that live. It reads from a pipe whose other end only this thread holds:
//
//   + id        a command has started; a negative id is a process group
//   - id        it has ended
//   s id name   send a signal, where this program itself may not
//   end of file this thread is gone: SIGTERM to all that live, SIGKILL a second
//               later to those that are left
//
// The warden lives as long as there is a command to watch over, so that nothing
// is left afterwards. To start it costs about as much as to start a command.
// That is too much for a program that runs one short command after another:
// after a command that was over in BRIEF milliseconds, the next one is watched
// over only once it has lived for so long.
//
// It is not detached: it ignores signals instead, as a session costs a fork of
// this whole program. Unref'd children survive their Worker.

import { resourceClosed, resourceOpened } from "../ipc/_live.ts";

/** Milliseconds; `true` takes one to two of them. A guess. */
const BRIEF = 5;

const SCRIPT = `
trap '' HUP INT QUIT TERM PIPE TSTP TTIN TTOU
live=" $1 "
while read -r op id name; do
  case $op in
    +) live="$live$id " ;;
    -) case $live in *" $id "*) live="\${live%% "$id" *} \${live#* "$id" }" ;; esac ;;
    s) kill -s "$name" -- "$id" ;;
  esac
done 2>/dev/null
[ -n "\${live# }" ] || exit 0
exec 2>/dev/null
for id in $live; do kill -s TERM -- "$id"; done
for turn in 1 2 3 4 5 6 7 8 9 10; do
  left=
  for id in $live; do kill -s 0 -- "$id" && left=1; done
  [ -n "$left" ] || exit 0
  sleep 0.1 || sleep 1
done
for id in $live; do kill -s KILL -- "$id"; done
`;

/** What watches over one command. */
export interface Guard {
  /** Whether the warden can watch at all. */
  readonly isGuarded: boolean;
  /** Has the warden send a signal to the command. */
  signal(name: string): void;
  /** The command has ended. Resolves when nothing of the warden is left. */
  release(): Promise<void>;
}

const live = new Set<number>();
let running: Running | undefined;
let wasBrief = false;
let delayed: ReturnType<typeof setTimeout> | undefined;

interface Running {
  tell(line: string): void;
  stop(): Promise<void>;
}

/** Whether a warden may be started at this moment. */
export function mayWatch(): boolean {
  return Deno.build.os !== "windows" &&
    Deno.permissions.querySync({ name: "run", command: "sh" }).state ===
      "granted";
}

/** Watches over a process, or over a group if `id` is negative. */
export function watchOver(id: number): Guard {
  if (!mayWatch()) return NO_GUARD;
  const startedAt = performance.now();
  live.add(id);
  if (running !== undefined) running.tell(`+ ${id}`);
  else if (!wasBrief) start();
  else delayed ??= setTimeout(start, BRIEF);
  return {
    isGuarded: true,
    signal: (name) => {
      start();
      running?.tell(`s ${id} ${name}`);
    },
    release: async () => {
      if (!live.delete(id)) return;
      wasBrief = performance.now() - startedAt < BRIEF;
      if (live.size > 0) return running?.tell(`- ${id}`);
      clearTimeout(delayed);
      delayed = undefined;
      const warden = running;
      running = undefined;
      await warden?.stop();
    },
  };
}

const NO_GUARD: Guard = {
  isGuarded: false,
  signal: () => {},
  release: () => Promise.resolve(),
};

function start(): void {
  clearTimeout(delayed);
  delayed = undefined;
  if (running !== undefined || live.size === 0) return;
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command("sh", {
      args: ["-c", SCRIPT, "warden", [...live].join(" ")],
      cwd: "/",
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
  } catch {
    return; // Out of processes, most likely: the commands themselves go on.
  }
  child.unref();
  const resource = {};
  resourceOpened(resource, `warden ${child.pid}`);
  const input = child.stdin.getWriter();
  input.closed.catch(() => {});
  const warden: Running = {
    tell: (line) => {
      input.write(new TextEncoder().encode(`${line}\n`)).catch(() => {});
    },
    stop: async () => {
      child.ref(); // Now somebody waits for it.
      try {
        child.kill("SIGKILL"); // It has nothing left to do.
      } catch {
        // Somebody else has ended it.
      }
      await child.status;
      await input.abort().catch(() => {});
      resourceClosed(resource);
    },
  };
  running = warden;
  child.status.then(() => {
    if (running !== warden) return;
    running = undefined; // Somebody has killed it: the next one takes over.
    resourceClosed(resource);
    input.abort().catch(() => {});
  });
}
