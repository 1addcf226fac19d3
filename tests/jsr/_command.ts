// Runs a command of a test so that it ends, whatever it does: at the deadline it
// is killed, and output that a left-over grandchild keeps open is given up.

/** How long output may stay open after the command itself has ended. */
const OUTPUT_GRACE = 5_000;

/** Options of {@linkcode runCommand}. */
export interface RunCommandOptions {
  /** Directory the command runs in. */
  cwd: string;
  /** Variables that are set beside the inherited ones. */
  env?: Record<string, string>;
  /** Milliseconds after which the command is killed. */
  deadline: number;
}

/** How a command ended. */
export interface CommandOutcome {
  /** Exit code; 128 + number if a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** `null`, or what kept the command from a normal end. */
  readonly trouble: string | null;
}

/** Runs a command with an empty stdin and gathers its output. */
export async function runCommand(
  command: string | URL,
  args: string[],
  options: RunCommandOptions,
): Promise<CommandOutcome> {
  const child = new Deno.Command(command, {
    args,
    cwd: options.cwd,
    env: options.env ?? {},
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let trouble: string | null = null;
  const deadline = setTimeout(() => {
    trouble = `killed after ${options.deadline} ms`;
    try {
      child.kill("SIGKILL");
    } catch {
      // It has just ended by itself.
    }
  }, options.deadline);
  const stdout = gather(child.stdout);
  const stderr = gather(child.stderr);
  const { code } = await child.status;
  clearTimeout(deadline);

  const grace = setTimeout(() => {
    trouble ??= `its output was open ${OUTPUT_GRACE} ms after its end`;
    stdout.giveUp();
    stderr.giveUp();
  }, OUTPUT_GRACE);
  const texts = await Promise.all([stdout.text, stderr.text]);
  clearTimeout(grace);
  return { code, stdout: texts[0], stderr: texts[1], trouble };
}

interface Gathering {
  /** All text up to the end of the stream, or up to `giveUp()`. */
  readonly text: Promise<string>;
  giveUp(): void;
}

function gather(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Gathering {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  const read = async () => {
    let text = "";
    while (true) {
      const { done, value } = await reader.read();
      if (done) return text;
      text += value;
    }
  };
  return { text: read(), giveUp: () => void reader.cancel() };
}
