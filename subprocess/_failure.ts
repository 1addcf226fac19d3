// Copyright 2026 the multitask authors. MIT license.
// What a command that was told to end fails with.

import { shown } from "../ipc/_options.ts";
import type { EndCause } from "./_command.ts";
import type { CommandPlan } from "./_command_options.ts";
import {
  type Captured,
  CommandAbortedError,
  type CommandFacts,
  MaxBufferError,
  RedirectError,
  SubprocessError,
  TimeoutExpired,
} from "./errors.ts";

/** The longest part of a line of stderr in a message. A guess. */
const MAX_LINE = 500;

/** Adds the last line of stderr that says something, if it was captured. */
export function withLastLine(message: string, stderr: Captured): string {
  if (stderr === null || stderr.length === 0) return message;
  const text = typeof stderr === "string"
    ? stderr.slice(-2 * MAX_LINE)
    : new TextDecoder().decode(stderr.subarray(-2 * MAX_LINE));
  const line = text.trimEnd().split(/[\r\n]/).at(-1)!.trim().slice(-MAX_LINE);
  return line === "" ? message : `${message}: ${line}`;
}

/** The error of a command that was ended because of `cause`. */
export function failureOf(
  cause: EndCause,
  plan: CommandPlan,
  facts: CommandFacts,
): Error {
  const message = withLastLine(
    `Cannot ${plan.spec.action}: ${reasonOf(cause, plan)}${
      howItEnded(plan, facts)
    }`,
    facts.stderr,
  );
  switch (cause.kind) {
    case "timeout":
      return new TimeoutExpired(message, {
        facts,
        timeout: plan.timeout ?? 0,
      });
    case "abort":
      return new CommandAbortedError(message, { facts, cause: cause.reason });
    case "overflow":
      return new MaxBufferError(message, { facts, stream: cause.stream });
    case "redirect":
      return new RedirectError(message, { facts, cause: cause.error });
    case "dispose":
      return new SubprocessError(message, { facts });
  }
}

function reasonOf(cause: EndCause, { timeout, maxBuffer }: CommandPlan) {
  switch (cause.kind) {
    case "timeout":
      return `it took longer than ${timeout} ms`;
    case "abort":
      return `it was aborted (${messageOf(cause.reason)})`;
    case "overflow":
      return `its ${cause.stream} is longer than ${maxBuffer} bytes`;
    case "redirect":
      return `an input or output of it has failed (${messageOf(cause.error)})`;
    case "dispose":
      return "it was disposed of";
  }
}

function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : shown(reason);
}

function howItEnded({ spec }: CommandPlan, facts: CommandFacts): string {
  const notes = [
    facts.returncode === null ? "and goes on even after SIGKILL" : undefined,
    facts.forced ? "it had to be killed" : undefined,
    facts.incomplete ? "somebody still holds its output open" : undefined,
    spec.killTree && facts.reach === "command"
      ? "its descendants could not be reached: add --allow-run=sh"
      : undefined,
  ].filter((note) => note !== undefined);
  return notes.length === 0 ? "" : `; ${notes.join("; ")}`;
}
