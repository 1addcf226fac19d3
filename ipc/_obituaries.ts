// Copyright 2026 the multitask authors. MIT license.
// How processes have ended, as those learn who wait for an object of theirs.
// Written by whoever saw the end, before anybody is told. It is for error
// messages only: written without a guard, and the oldest are written over.

import type { Agent } from "./_agent.ts";
import { ArenaWord, OBITUARIES, obituaryAt, ObituaryWord } from "./_arena.ts";
import type { Ended } from "./_hub.ts";

/** Bytes for both texts. */
const ROOM = (ObituaryWord.Words - ObituaryWord.Text) * 4;

/** Notes how the process `pid`, or the one that it went down with, has ended. */
export function writeObituary(agent: Agent, pid: number, ended: Ended): void {
  const { words, int32 } = agent;
  const at = obituaryAt(words.add(ArenaWord.Obituaries, 1));
  const encoder = new TextEncoder();
  const signal = encoder.encode(ended.signal ?? "").subarray(0, 16);
  const name = encoder.encode(ended.name).subarray(0, ROOM - signal.length);
  words.store(at + ObituaryWord.Pid, 0);
  int32[at + ObituaryWord.ExitCode] = ended.exitCode ?? 0;
  int32[at + ObituaryWord.Signal] = ended.signal === null ? -1 : signal.length;
  int32[at + ObituaryWord.Name] = name.length;
  words.bytes.set(name, (at + ObituaryWord.Text) * 4);
  words.bytes.set(signal, (at + ObituaryWord.Text) * 4 + name.length);
  words.store(at + ObituaryWord.Pid, pid);
}

/** How the process has ended, if that was noted. */
export function readObituary(agent: Agent, pid: number): Ended | undefined {
  const { words, int32 } = agent;
  const count = words.load(ArenaWord.Obituaries);
  for (let i = count - 1; i >= Math.max(count - OBITUARIES, 0); i--) {
    const at = obituaryAt(i);
    if (words.load(at + ObituaryWord.Pid) !== pid) continue;
    const decoder = new TextDecoder();
    const start = (at + ObituaryWord.Text) * 4;
    const split = start + int32[at + ObituaryWord.Name]!;
    const signal = int32[at + ObituaryWord.Signal]!;
    return {
      name: decoder.decode(words.bytes.slice(start, split)),
      pid,
      exitCode: int32[at + ObituaryWord.ExitCode]!,
      signal: signal < 0
        ? null
        : decoder.decode(words.bytes.slice(split, split + signal)),
    };
  }
  return undefined;
}
