// Copyright 2026 the multitask authors. MIT license.
// From a template to the arguments of a command. No shell reads them: values are
// never taken apart, and what only a shell understands is refused, not passed on.

import { shown } from "../ipc/_options.ts";

/** What a value of a template can be. */
export type TemplateValue =
  | string
  | number
  | bigint
  | boolean
  | URL
  | readonly (string | number | bigint | boolean | URL)[];

const SHELL_ONLY = /[|&;<>()`$*?~\n]/;

/** Takes a template apart. */
export function templateArgs(
  strings: readonly string[],
  values: readonly TemplateValue[],
): string[] {
  const args: string[] = [];
  let word: string | undefined;
  let quote = "";
  const endWord = () => {
    if (word !== undefined) args.push(word);
    word = undefined;
  };
  for (const [i, text] of strings.entries()) {
    for (let at = 0; at < text.length; at++) {
      const character = text[at]!;
      if (quote !== "") {
        if (character === quote) quote = "";
        else if (
          character === "\\" && quote === '"' &&
          /["\\]/.test(text[at + 1] ?? "")
        ) word += text[++at]!;
        else word += character;
      } else if (character === "'" || character === '"') {
        quote = character;
        word ??= "";
      } else if (character === "\\" && at + 1 < text.length) {
        word = (word ?? "") + text[++at]!;
      } else if (/[ \t\r\n]/.test(character)) {
        endWord();
      } else if (SHELL_ONLY.test(character)) {
        throw new TypeError(
          `Cannot run command: no shell reads the template, which has an unquoted ${
            shown(character)
          }; quote it, use pipeline(), or run() with shell: true`,
        );
      } else {
        word = (word ?? "") + character;
      }
    }
    if (i >= values.length) break;
    const value = values[i]!;
    if (!Array.isArray(value)) {
      word = (word ?? "") + textOf(value, i);
      continue;
    }
    const next = strings[i + 1] ?? "";
    if (word !== undefined || quote !== "" || !/^(\s|$)/.test(next)) {
      throw new TypeError(
        `Cannot run command: value ${i} is an array, which must stand alone between spaces`,
      );
    }
    args.push(...value.map((item) => textOf(item, i)));
  }
  if (quote !== "") {
    throw new TypeError(`Cannot run command: a ${quote} is not closed`);
  }
  endWord();
  return args;
}

function textOf(value: unknown, i: number): string {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
    case "bigint":
    case "boolean":
      return String(value);
  }
  if (value instanceof URL && value.protocol === "file:") {
    return decodeURIComponent(value.pathname);
  }
  if (value instanceof URL) return value.href;
  throw new TypeError(
    `Cannot run command: value ${i} must be a string, a number, a boolean, a URL or an array of them, received ${
      shown(value)
    }`,
  );
}
