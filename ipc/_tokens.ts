// Copyright 2026 the multitask authors. MIT license.
// The tokens of a TypeScript module, as far as its outline needs them: comments
// are left out, a template is a token for each of its texts, and an operator may
// be several tokens.

/** A token. */
export interface Token {
  readonly kind: "name" | "string" | "punctuator" | "other";
  readonly text: string;
  readonly depth: number;
  /** Whether a line ends between the token before and this one. */
  readonly isFirst: boolean;
}

/** Names after which a `/` starts a regular expression. */
export const BEFORE_REGEXP: ReadonlySet<string> = new Set(
  "return typeof instanceof in of new delete void throw case do else yield await"
    .split(" "),
);

const NAME = /[\p{ID_Start}$_#][\p{ID_Continue}$\u200c\u200d]*/uy;
const NUMBER = /\d[\w.]*/y;
const REGEXP = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/\w*/y;

/** Reads the tokens of a text; ends on any text, however broken. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  /** Depths at which a template's `${` was opened. */
  const templates: number[] = [];
  let depth = 0;
  let at = 0;
  /** Where the token before ends. */
  let last = 0;
  const push = (kind: Token["kind"], value: string) => {
    const isFirst = text.slice(last, at).includes("\n");
    tokens.push({ kind, text: value, depth, isFirst });
    last = at;
  };
  const match = (pattern: RegExp) => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  const template = () => {
    // From behind the opening quote or brace to the closing quote or `${`.
    while (at < text.length) {
      const char = text[at++];
      if (char === "\\") at++;
      else if (char === "`") return push("other", "`");
      else if (char === "$" && text[at] === "{") {
        at++;
        templates.push(depth++);
        return;
      }
    }
  };
  if (text.startsWith("#!")) at = text.indexOf("\n") + 1 || text.length;
  while (at < text.length) {
    const char = text[at]!;
    if (/\s/.test(char)) at++;
    else if (char === "/" && text[at + 1] === "/") {
      at = text.indexOf("\n", at) + 1 || text.length;
    } else if (char === "/" && text[at + 1] === "*") {
      at = text.indexOf("*/", at + 2) + 2;
      if (at < 2) at = text.length;
    } else if (char === '"' || char === "'") {
      const start = ++at;
      while (at < text.length && text[at] !== char) {
        at += text[at] === "\\" ? 2 : 1;
      }
      push("string", text.slice(start, at++));
    } else if (char === "`") {
      at++;
      template();
    } else if (char === "}" && templates.at(-1) === depth - 1) {
      depth = templates.pop()!;
      at++;
      template();
    } else if ("([{".includes(char)) {
      push("punctuator", char);
      depth++;
      at++;
    } else if (")]}".includes(char)) {
      depth--;
      push("punctuator", char);
      at++;
    } else if (char === "/") {
      const last = tokens.at(-1);
      const afterValue = last !== undefined &&
        (last.kind === "name"
          ? !BEFORE_REGEXP.has(last.text)
          : last.kind !== "punctuator" || ")]}".includes(last.text));
      const regexp = afterValue ? undefined : match(REGEXP);
      push(regexp ? "other" : "punctuator", regexp ?? char);
      at += regexp?.length ?? 1;
    } else {
      const name = match(NAME);
      const number = name ? undefined : match(NUMBER);
      if (name) push("name", name);
      else if (number) push("other", number);
      else {
        const arrow = text.startsWith("=>", at)
          ? "=>"
          : /^(?:===|!==|==|!=|<=|>=)/.exec(text.slice(at, at + 3))?.[0];
        push("punctuator", arrow ?? char);
        at += (arrow ?? char).length;
        continue;
      }
      at += (name ?? number)!.length;
    }
  }
  return tokens;
}
