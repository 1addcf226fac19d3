// Copyright 2026 the multitask authors. MIT license.
// One command from its start to the moment when nothing of it is left here.
//
//   running --exit--> exited --all outputs read, or given up--> done
//
// On a side track it may be told to end, once, by the first of these causes:
// its time is up, its signal is aborted, it wrote too much, a redirection has
// failed, or somebody has called terminate on disposal:
//
//   untouched --cause--> asked (SIGTERM) --exit, and an empty group--> ended
//                          |                                            ^
//                          +--killGrace--> killed (SIGKILL) ------------+
//
// Invariants:
// - Whatever happens, it is done at most killGrace + 2 * drain after a cause:
//   `drain` bounds the reading of outputs that others hold open, and the wait
//   for a process that even SIGKILL does not end (one that sits in a driver).
// - The first cause stays the cause.
// - What was read before reading is given up is kept.
// - Nobody signals a command that has been waited for. Its group is signalled
//   only while an ending is under way.
// - When it is done, there is no timer, listener, reading or writing of it.

import { startTimer } from "../ipc/_timer.ts";
import { Capture } from "./_capture.ts";
import {
  type CommandInput,
  type CommandPlan,
  DRAIN,
  type OutputPlace,
  type OutputWriter,
} from "./_command_options.ts";
import { Feed } from "./_feed.ts";
import { chunksOf } from "./_input.ts";
import type {
  CommandExit,
  OutputFile,
  Platform,
  StartedCommand,
} from "./_platform.ts";
import { writeAll } from "./_write_all.ts";
import { Pump, type Reading, type Sink } from "./_pump.ts";
import type { CommandFacts } from "./errors.ts";

/** Why a command was told to end. */
export type EndCause =
  | { readonly kind: "timeout" }
  | { readonly kind: "abort"; readonly reason: unknown }
  | { readonly kind: "overflow"; readonly stream: OutputName }
  | { readonly kind: "redirect"; readonly error: unknown }
  | { readonly kind: "dispose" };

/** The outputs of a command. */
export type OutputName = "stdout" | "stderr";

/** How often an ending looks whether a group is empty, in milliseconds. */
const GROUP_LOOK = 20;

/** A command that was started. */
export class Command {
  readonly plan: CommandPlan;
  readonly #platform: Platform;
  readonly #started: StartedCommand;
  readonly #startedAt = performance.now();
  /** Its exit, or `undefined` when even SIGKILL had no effect. */
  readonly exited: Promise<CommandExit | undefined>;
  readonly #gaveUp = Promise.withResolvers<undefined>();
  readonly #captures = new Map<OutputName, Capture>();
  readonly #readings = new Set<Reading>();
  readonly #files: OutputFile[] = [];
  #feed: Feed | undefined;
  #exit: CommandExit | undefined;
  #exitedAt: number | undefined;
  #cause: EndCause | undefined;
  readonly #told = Promise.withResolvers<EndCause>();
  #ending: Promise<void> | undefined;
  #isForced = false;
  #isIncomplete = false;
  #stopDeadline: (() => void) | undefined;
  #stopDrain: (() => void) | undefined;
  #onAbort: (() => void) | undefined;

  /** Starts it. Throws when it cannot be started; nothing is left then. */
  constructor(plan: CommandPlan, platform: Platform) {
    this.plan = plan;
    this.#platform = platform;
    const sinks = {
      stdout: this.#sinks("stdout"),
      stderr: this.#sinks("stderr"),
    };
    let chunks: ReturnType<typeof chunksOf> | undefined;
    try {
      chunks = plan.input === undefined
        ? undefined
        : chunksOf(plan.input, platform);
      this.#started = platform.spawn(plan.spec);
    } catch (error) {
      this.#closeFiles();
      if (chunks instanceof ReadableStream) chunks.cancel().catch(() => {});
      throw error;
    }
    this.exited = Promise.race([
      this.#started.exited.then((exit) => this.#exitWith(exit)),
      this.#gaveUp.promise,
    ]);
    for (const name of ["stdout", "stderr"] as const) {
      if (sinks[name] !== undefined) this.#pump(name, sinks[name]);
    }
    if (chunks !== undefined) this.#feedWith(chunks);
    this.#watch();
    this.exited.then(() => this.#leave());
  }

  get pid(): number {
    return this.#started.pid;
  }

  /** How it ended, once it has. */
  get exit(): CommandExit | undefined {
    return this.#exit;
  }

  /** Why it was told to end, if it was. */
  get cause(): EndCause | undefined {
    return this.#cause;
  }

  /** Resolves when it is told to end, with the cause. */
  get told(): Promise<EndCause> {
    return this.#told.promise;
  }

  get started(): StartedCommand {
    return this.#started;
  }

  // ---- outputs and input ----

  /** What gets an output from the start; `undefined` if it waits for a reader. */
  #sinks(name: OutputName): Sink[] | undefined {
    const places = this.plan[name].filter((place) => place !== "null");
    const [first] = places;
    if (first === undefined || this.plan.spec[name] !== "piped") {
      return undefined;
    }
    if (places.length === 1 && first === "piped") return undefined;
    try {
      return places.map((place) => this.#sink(name, place));
    } catch (error) {
      this.#closeFiles();
      throw error;
    }
  }

  #sink(name: OutputName, place: OutputPlace): Sink {
    if (place === "piped") return this.#capture(name);
    if (place === "inherit") {
      return (chunk) => this.#platform.write(name, chunk);
    }
    if (place instanceof URL || typeof place === "object" && "path" in place) {
      const { path, append = false } = place instanceof URL
        ? { path: place }
        : place;
      const file = this.#platform.openWrite(path, append);
      this.#files.push(file);
      return (chunk) => file.write(chunk);
    }
    if (!(place instanceof WritableStream)) {
      const writer = place as OutputWriter;
      return (chunk) => writeAll(writer, chunk);
    }
    return async (chunk) => {
      const writer = place.getWriter();
      try {
        await writer.ready;
        await writer.write(chunk.slice());
      } finally {
        writer.releaseLock();
      }
    };
  }

  #capture(name: OutputName): Sink {
    const { maxBuffer, overflow } = this.plan;
    const capture = new Capture(maxBuffer, overflow);
    this.#captures.set(name, capture);
    return (chunk) => {
      if (capture.add(chunk)) this.end({ kind: "overflow", stream: name });
    };
  }

  #pump(name: OutputName, sinks: readonly Sink[]): void {
    const stream = this.#started[name];
    if (stream === null) return;
    this.addReading(
      new Pump(stream, sinks, (error) => {
        this.end({ kind: "redirect", error });
      }),
    );
  }

  /** Something reads an output, and is to be stopped with all the others. */
  addReading(reading: Reading): void {
    this.#readings.add(reading);
    if (this.#exit === undefined || this.#stopDeadline !== undefined) return;
    // It had exited before anybody read: the bounds hold for this, too.
    if (this.#cause !== undefined || this.plan.drain !== undefined) {
      return this.#drain();
    }
    this.#watch();
  }

  /** Captures an output that is a pipe nobody reads. */
  capture(name: OutputName): void {
    const stream = this.#started[name];
    if (stream === null || stream.locked || this.#captures.has(name)) return;
    this.#pump(name, [this.#capture(name)]);
  }

  /** Writes an input to its stdin and closes that. */
  feed(input: CommandInput): void {
    this.#feedWith(chunksOf(input, this.#platform));
  }

  #feedWith(chunks: ReturnType<typeof chunksOf>): void {
    this.#feed = new Feed(this.#started.stdin!, chunks, (error) => {
      this.end({ kind: "redirect", error });
    });
    if (this.#exit !== undefined) this.#feed.stop();
  }

  get isFed(): boolean {
    return this.#feed !== undefined;
  }

  /** Whether the source of its input has come to its end. */
  get isInputOver(): boolean {
    return this.#feed?.hasEnded ?? false;
  }

  // ---- its end ----

  /** Minds its deadline and its signal. */
  #watch(): void {
    const { timeout, signal, spec } = this.plan;
    if (timeout !== undefined) {
      const left = timeout - (performance.now() - this.#startedAt);
      this.#stopDeadline = startTimer(
        () => this.end({ kind: "timeout" }),
        Math.max(0, left),
        { unref: spec.detached },
      );
    }
    if (signal === undefined) return;
    this.#onAbort = () => this.end({ kind: "abort", reason: signal.reason });
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  #exitWith(exit: CommandExit): CommandExit {
    this.#exit = exit;
    this.#exitedAt = performance.now();
    this.#feed?.stop();
    // An ending gives its group the grace first.
    if (this.plan.drain !== undefined && this.#ending === undefined) {
      this.#drain();
    }
    return exit;
  }

  /** It has exited: its deadline is over unless an output is still read. */
  async #leave(): Promise<void> {
    const { stdin } = this.#started;
    if (stdin !== null && !this.isFed && !stdin.locked) {
      stdin.abort().catch(() => {}); // Nobody reads it any more.
    }
    await this.#readingsDone();
    this.#letGo();
    await this.#ending;
    await this.#started.release();
  }

  async #readingsDone(): Promise<void> {
    while (true) {
      const open = [...this.#readings];
      await Promise.all(open.map((reading) => reading.done));
      if (open.length === this.#readings.size) break;
    }
    for (const reading of this.#readings) {
      if (!reading.hasEnded) this.#isIncomplete = true;
    }
  }

  #letGo(): void {
    this.#stopDeadline?.();
    this.#stopDrain?.();
    this.#stopDeadline = this.#stopDrain = undefined;
    if (this.#onAbort !== undefined) {
      this.plan.signal?.removeEventListener("abort", this.#onAbort);
      this.#onAbort = undefined;
    }
    this.#closeFiles();
  }

  #closeFiles(): void {
    for (const file of this.#files.splice(0)) file.close();
  }

  /** Resolves when it has ended and all that is read of it is read. */
  async done(): Promise<void> {
    await this.exited;
    this.#feed?.stop();
    await this.#readingsDone();
    await this.#ending;
    this.#letGo();
    await this.#started.release();
  }

  /** Tells it to end; the first cause counts. */
  end(cause: EndCause): Promise<void> {
    this.#cause ??= cause;
    this.#told.resolve(this.#cause);
    return this.#ending ??= this.#end();
  }

  async #end(): Promise<void> {
    const { killGrace } = this.plan;
    const lateAt = performance.now() + killGrace;
    const late = Promise.withResolvers<void>();
    const stopTimer = startTimer(() => late.resolve(), killGrace);
    this.#tell("SIGTERM");
    await Promise.race([this.#started.exited, late.promise]);
    stopTimer();
    while (this.#started.groupAlive() === true) {
      const left = lateAt - performance.now();
      if (left <= 0) break;
      await new Promise((resolve) =>
        setTimeout(resolve, Math.min(left, GROUP_LOOK))
      );
    }
    if (this.#exit === undefined || this.#started.groupAlive() === true) {
      this.#isForced = true;
      this.#tell("SIGKILL");
    } else if (this.#started.groupAlive() === undefined) {
      // Nobody can tell whether members are left: they get no more grace.
      this.#tell("SIGKILL");
    }
    this.#feed?.stop();
    this.#drain();
    await this.exited;
  }

  #tell(signal: "SIGTERM" | "SIGKILL"): void {
    try {
      this.#started.signalAll(signal);
    } catch {
      // The permission for it was revoked: that for the command itself lasts.
      try {
        this.#started.signal(signal);
      } catch {
        // Nobody can end it. The bounds hold all the same.
      }
    }
  }

  /** From now on, what others hold open is read only for a while. */
  #drain(): void {
    if (this.#stopDrain !== undefined) return;
    this.#stopDrain = startTimer(() => {
      for (const reading of this.#readings) reading.stop();
      if (this.#exit === undefined) this.#gaveUp.resolve(undefined);
    }, this.plan.drain ?? DRAIN);
  }

  // ---- what is known ----

  /** What an output has brought so far; `null` if it is not captured. */
  captured(name: OutputName): Uint8Array<ArrayBuffer> | null {
    return this.#captures.get(name)?.bytes() ?? null;
  }

  /** All that is known, but for the outputs. */
  get facts(): Omit<CommandFacts, "stdout" | "stderr"> {
    const { spec } = this.plan;
    return {
      args: spec.args,
      cwd: spec.cwd,
      pid: this.pid,
      returncode: this.#exit?.returncode ?? null,
      signal: this.#exit?.signal ?? null,
      duration: (this.#exitedAt ?? performance.now()) - this.#startedAt,
      timedOut: this.#cause?.kind === "timeout",
      forced: this.#isForced,
      incomplete: this.#isIncomplete,
      truncated: [...this.#captures.values()].some(({ isTruncated }) =>
        isTruncated
      ),
      reach: this.#started.reach,
    };
  }
}
