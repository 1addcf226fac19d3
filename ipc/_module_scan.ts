// Copyright 2026 the multitask authors. MIT license.
// Reads the outline of a module's text: what it exports, which of that is a
// function written down in place, and what it imports. Used to name a function
// without an inspector, so it errs on the safe side: what it cannot tell, it
// leaves out, and the caller goes on to the next way.

/** The outline of a module. */
export interface ModuleOutline {
  /** Export name to local name (`default` for an anonymous default export). */
  readonly exports: ReadonlyMap<string, string>;
  /** Names declared at the top level as a function or class in place. */
  readonly inPlace: ReadonlySet<string>;
  /** How often each name is given to a function literal, at any depth. */
  readonly definitions: ReadonlyMap<string, number>;
  /** What is imported, types left out. */
  readonly imports: readonly {
    readonly specifier: string;
    readonly names: readonly string[];
  }[];
}

interface Token {
  readonly kind: "name" | "string" | "punctuator" | "other";
  readonly text: string;
  readonly depth: number;
}

/** Names after which a `/` starts a regular expression. */
const BEFORE_REGEXP = new Set(
  "return typeof instanceof in of new delete void throw case do else yield await"
    .split(" "),
);

/** Tokens behind which a statement starts. */
const STATEMENT_START = new Set([";", "}", "export", "default"]);

const NAME = /[\p{ID_Start}$_#][\p{ID_Continue}$\u200c\u200d]*/uy;
const NUMBER = /\d[\w.]*/y;
const REGEXP = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/\w*/y;

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  /** Depths at which a template's `${` was opened. */
  const templates: number[] = [];
  let depth = 0;
  let at = 0;
  const push = (kind: Token["kind"], value: string) =>
    tokens.push({ kind, text: value, depth });
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

/** Reads the outline of a module's text. */
export function scanModule(text: string): ModuleOutline {
  const tokens = tokenize(text);
  const exports = new Map<string, string>();
  const inPlace = new Set<string>();
  const definitions = new Map<string, number>();
  const imports: { specifier: string; names: string[] }[] = [];
  const is = (index: number, value: string) =>
    tokens[index]?.text === value && tokens[index]!.kind !== "string";
  const nameAt = (index: number) =>
    tokens[index]?.kind === "name" ? tokens[index]!.text : undefined;
  const define = (name: string) =>
    definitions.set(name, (definitions.get(name) ?? 0) + 1);

  /** Behind the bracket that closes the one at `index`. */
  const behind = (index: number) => {
    const { depth } = tokens[index]!;
    let i = index + 1;
    while (i < tokens.length && tokens[i]!.depth > depth) i++;
    return i + 1;
  };
  const isFunctionLiteral = (index: number): boolean => {
    let i = index;
    if (is(i, "async")) i++;
    if (is(i, "function") || is(i, "class")) return true;
    if (is(i, "(")) {
      const next = behind(i);
      return is(next, "=>") || is(next, ":");
    }
    return nameAt(i) !== undefined && is(i + 1, "=>");
  };

  /** `function name`, `class name`: declares it; gives the name. */
  const declaration = (index: number): string | undefined => {
    let i = index;
    if (is(i, "async") || is(i, "abstract")) i++;
    if (!is(i, "function") && !is(i, "class")) return undefined;
    if (is(++i, "*")) i++;
    const name = nameAt(i);
    return name === "extends" ? undefined : name;
  };
  /** `const name = <function literal>`; gives the name, and whether it is. */
  const binding = (index: number) => {
    if (!is(index, "const") && !is(index, "let") && !is(index, "var")) {
      return undefined;
    }
    const name = nameAt(index + 1);
    if (name === undefined) return undefined;
    const { depth } = tokens[index]!;
    let i = index + 2;
    while (
      i < tokens.length && tokens[i]!.depth >= depth &&
      !(tokens[i]!.depth === depth && (is(i, "=") || is(i, ";")))
    ) i++;
    // A variable that is assigned later may be anything by then.
    return {
      name,
      literal: is(index, "const") && is(i, "=") && isFunctionLiteral(i + 1),
    };
  };

  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    // Definitions, wherever they stand.
    const next = tokens[i + 1];
    if (token.kind === "name" && next?.kind === "punctuator") {
      if (
        (next.text === "=" || next.text === ":") && isFunctionLiteral(i + 2)
      ) define(token.text);
    }
    if (is(i, "function") || is(i, "class")) {
      const name = declaration(i);
      if (name !== undefined) define(name);
    }
    if (token.depth !== 0 || token.kind !== "name") continue;

    if (token.text === "import" && !is(i + 1, "(") && !is(i + 1, ".")) {
      const names: string[] = [];
      let j = i + 1;
      while (j < tokens.length && tokens[j]!.kind !== "string") {
        const name = nameAt(j);
        if (name !== undefined) names.push(name);
        j++;
      }
      const isType = is(i + 1, "type") && !is(i + 2, "from");
      if (!isType && tokens[j] !== undefined) {
        imports.push({ specifier: tokens[j]!.text, names });
      }
      i = j;
    } else if (token.text === "export") {
      if (is(i + 1, "default")) {
        const inline = isFunctionLiteral(i + 2);
        const other = inline ? undefined : nameAt(i + 2);
        const last = tokens[i + 3];
        const name = declaration(i + 2) ??
          (other !== undefined &&
              (last === undefined || is(i + 3, ";") || last.kind === "name")
            ? other
            : "default");
        exports.set("default", name);
        if (inline) {
          inPlace.add(name);
          if (name === "default") define(name);
        }
      } else if (is(i + 1, "{")) {
        const end = behind(i + 1);
        if (is(end, "from")) continue;
        for (let j = i + 2; j < end - 1; j++) {
          const local = nameAt(j);
          if (local === undefined) continue;
          if (is(j + 1, "as")) {
            exports.set(tokens[j + 2]!.text, local);
            j += 2;
          } else exports.set(local, local);
        }
      } else {
        const name = declaration(i + 1) ?? binding(i + 1)?.name;
        if (name !== undefined) exports.set(name, name);
      }
    } else {
      // Only where a statement surely starts: `=> function f() {}` is none.
      const previous = tokens[i - 1];
      if (previous !== undefined && !STATEMENT_START.has(previous.text)) {
        continue;
      }
      const declared = declaration(i);
      if (declared !== undefined) inPlace.add(declared);
      const bound = binding(i);
      if (bound?.literal) inPlace.add(bound.name);
    }
  }
  return { exports, inPlace, definitions, imports };
}
