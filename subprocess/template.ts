// Copyright 2026 the multitask authors. MIT license.

import type { RunOptions } from "./_command_options.ts";
import { templateArgs, type TemplateValue } from "./_template.ts";
import type { CompletedProcess } from "./completed_process.ts";
import { run } from "./run.ts";

/** Options of {@linkcode $}. */
export type TemplateOptions = Omit<
  RunOptions,
  "captureOutput" | "stdout" | "stderr" | "text" | "shell"
>;

/** A template tag that runs commands. */
export interface CommandTag {
  /** Runs the command that the template says. */
  (
    strings: TemplateStringsArray,
    ...values: readonly TemplateValue[]
  ): Promise<CompletedProcess<string, string>>;
  /** The same with these options. */
  (options: TemplateOptions): CommandTag;
  /** The program and the arguments that the template says; runs nothing. */
  readonly args: (
    strings: TemplateStringsArray,
    ...values: readonly TemplateValue[]
  ) => string[];
}

function tagWith(options: TemplateOptions): CommandTag {
  const tag = (
    first: TemplateStringsArray | TemplateOptions,
    ...values: readonly TemplateValue[]
  ) => {
    if (!Array.isArray(first)) {
      return tagWith({ ...options, ...first as TemplateOptions });
    }
    return runTemplate(first as TemplateStringsArray, values, options);
  };
  return Object.assign(tag, {
    args: (
      strings: TemplateStringsArray,
      ...values: readonly TemplateValue[]
    ) => templateArgs(strings.raw, values),
  }) as CommandTag;
}

async function runTemplate(
  strings: TemplateStringsArray,
  values: readonly TemplateValue[],
  options: TemplateOptions,
): Promise<CompletedProcess<string, string>> {
  return await run(templateArgs(strings.raw, values), {
    check: true,
    ...options as RunOptions,
    captureOutput: true,
    text: true,
  }) as CompletedProcess<string, string>;
}

/**
 * Runs the command of a template, without a shell: each value is one argument,
 * or a part of one, whatever is in it; an array is as many as it has elements.
 * Spaces part the arguments, quotes and backslashes keep them together, as they
 * stand in the source: `'\\n'` is a backslash and an n. What
 * only a shell would understand (`|`, `>`, `*`, ...) has to be quoted.
 *
 * Its outputs are captured as text, and another exit code than 0 is an error
 * unless `$({ check: false })` says otherwise. Python has nothing of the kind.
 *
 * **Cancel safety**: as of {@linkcode run}.
 *
 * @example
 * ```ts
 * import { $ } from "@multitask/std/subprocess";
 * import { assertEquals } from "@std/assert";
 *
 * const name = "a file; rm -rf $HOME";
 * const flags = ["-n", "-e"];
 * const { stdout } = await $`echo ${flags} ${name}`;
 * assertEquals(stdout, name);
 * const { returncode } = await $({ check: false, timeout: 10_000 })`sh -c 'exit 3'`;
 * assertEquals(returncode, 3);
 * ```
 */
export const $: CommandTag = tagWith({});
