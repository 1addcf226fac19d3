// Copyright 2026 the multitask authors. MIT license.
// Reads the outline of a module's text: what it exports, which of that is a
// function written down in place, and what it imports. Used to name a function
// without an inspector, so it errs on the safe side: what it cannot tell, it
// leaves out, and the caller goes on to the next way.

import { BEFORE_REGEXP, type Token, tokenize } from "./_tokens.ts";

/** A function or class that is written down somewhere in a module. */
export interface Definition {
  /** What the function is called, as its `name` says. */
  readonly name: string;
  /** The words in its text and its types, in their order. */
  readonly words: () => readonly string[];
}

/** The outline of a module. */
export interface ModuleOutline {
  /** Export name to local name (`default` for an anonymous default export). */
  readonly exports: ReadonlyMap<string, string>;
  /** Local names that stand for a function or class in place at the top level. */
  readonly inPlace: ReadonlyMap<string, Definition>;
  /** All definitions of functions, at any depth, by what they are called. */
  readonly definitions: ReadonlyMap<string, readonly Definition[]>;
  /** What is imported, types left out. */
  readonly imports: readonly {
    readonly specifier: string;
    readonly names: readonly string[];
  }[];
}

/** Tokens behind which a statement starts. */
const STATEMENT_START = new Set([";", "}", "export", "default"]);

/** Words that start a statement where no semicolon stands before it. */
const STATEMENT_WORDS = new Set(
  "export import const let var function async class abstract declare interface type enum namespace if for while do switch try throw return"
    .split(" "),
);

/** Tokens that want an operand behind them: no type, no value ends here. */
const BEFORE_OPERAND = new Set(
  ": | & => ? = < , is extends keyof typeof readonly unique infer asserts new abstract"
    .split(" "),
);

/** More brackets around a function than this nobody writes. */
const MAX_BRACKETS = 4;

/** Reads the outline of a module's text. */
export function scanModule(text: string): ModuleOutline {
  return new Scanner(tokenize(text)).scan();
}

/**
 * Whether a function with this source may be what a definition says. Types are
 * not there any more in the source, so that its words are some of the words of
 * its definition, in the same order.
 */
export function fitsDefinition(
  source: string,
  definition: Definition,
): boolean {
  const words = wordsOf(tokenize(source));
  let next = 0;
  for (const word of definition.words()) if (word === words[next]) next++;
  return next === words.length;
}

/** A path, relative to its module, that the text imports when it runs. */
export function relativeImportIn(source: string): string | undefined {
  // A text that is looked through for each function is rarely one of these.
  if (!source.includes("import")) return undefined;
  const tokens = tokenize(source);
  return tokens.find(({ kind, text }, i) =>
    kind === "string" && /^\.{0,2}\//.test(text) &&
    tokens[i - 1]?.text === "(" && tokens[i - 2]?.text === "import" &&
    tokens[i - 3]?.text !== "."
  )?.text;
}

/** What a compiler leaves as it is: names, and texts without escapes. */
function wordsOf(tokens: readonly Token[]): string[] {
  return tokens.filter(({ kind, text }) =>
    kind === "name" || (kind === "string" && /^[ -\[\]-~]*$/.test(text))
  ).map(({ text }) => text);
}

/** A name that a declaration of variables introduces. */
interface Variable {
  readonly name: string;
  /** What it is from the start, if that is a function written down there. */
  readonly value: Definition | undefined;
}

class Scanner {
  readonly #tokens: readonly Token[];
  readonly #exports = new Map<string, string>();
  readonly #inPlace = new Map<string, Definition>();
  readonly #definitions = new Map<string, Definition[]>();
  readonly #imports: { specifier: string; names: string[] }[] = [];
  /** Definitions by the token that they start with. */
  readonly #byStart = new Map<number, Definition>();
  /** Tokens that name a variable in its declaration. */
  readonly #declared = new Set<number>();
  /** Names that are assigned to. */
  readonly #assigned = new Set<string>();

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  scan(): ModuleOutline {
    const tokens = this.#tokens;
    /** Variables that may be something else later. */
    const changeable = new Map<string, Definition>();
    for (let i = 0; i < tokens.length; i++) {
      const token = tokens[i]!;
      if (token.kind !== "name") continue;
      this.#define(i);
      const variables = this.#variables(i);
      if (token.depth !== 0) continue;
      if (token.text === "import" && !this.#is(i + 1, "(", ".")) {
        i = this.#import(i);
      } else if (token.text === "export") this.#export(i);
      else if (this.#startsStatement(i)) {
        const declared = this.#declaration(i);
        if (declared !== undefined) this.#inPlace.set(declared.name, declared);
        for (const { name, value } of variables) {
          if (value === undefined) continue;
          const target = token.text === "const" ? this.#inPlace : changeable;
          target.set(name, value);
        }
      }
    }
    for (const [name, value] of changeable) {
      if (!this.#assigned.has(name)) this.#inPlace.set(name, value);
    }
    return {
      exports: this.#exports,
      inPlace: this.#inPlace,
      definitions: this.#definitions,
      imports: this.#imports,
    };
  }

  // ---- Tokens ----

  #is(index: number, ...texts: string[]): boolean {
    const token = this.#tokens[index];
    return token !== undefined && token.kind !== "string" &&
      texts.includes(token.text);
  }

  #nameAt(index: number): string | undefined {
    const token = this.#tokens[index];
    return token?.kind === "name" ? token.text : undefined;
  }

  /** Behind the bracket that closes the one at `index`. */
  #behind(index: number): number {
    const depth = this.#tokens[index]?.depth ?? 0;
    let i = index + 1;
    while (i < this.#tokens.length && this.#tokens[i]!.depth > depth) i++;
    return i + 1;
  }

  /** Behind `<T, U>`, if that is what stands there. */
  #behindTypes(index: number): number {
    if (!this.#is(index, "<")) return index;
    let open = 0;
    for (let i = index; i < this.#tokens.length; i++) {
      if (this.#is(i, "<")) open++;
      else if (this.#is(i, ">") && --open === 0) return i + 1;
      else if (this.#is(i, ";")) break;
    }
    return index;
  }

  /** Whether an expression, or a type, can end before this token. */
  #mayEndBefore(index: number): boolean {
    const last = this.#tokens[index - 1];
    if (last === undefined || last.kind === "string") return true;
    if (last.kind === "other") return true;
    if (BEFORE_OPERAND.has(last.text)) return false;
    return last.kind === "name"
      ? !BEFORE_REGEXP.has(last.text)
      : ")]}>".includes(last.text);
  }

  /** Whether a statement starts here that no semicolon separates. */
  #startsLine(index: number): boolean {
    const token = this.#tokens[index]!;
    return token.isFirst && token.kind === "name" &&
      STATEMENT_WORDS.has(token.text) && this.#mayEndBefore(index);
  }

  /** Only where one surely starts: `=> function f() {}` is none. */
  #startsStatement(index: number): boolean {
    const last = this.#tokens[index - 1];
    return last === undefined || STATEMENT_START.has(last.text) ||
      this.#startsLine(index);
  }

  // ---- Definitions ----

  /** Notes a definition; the same one may be come by twice. */
  #note(name: string, start: number, end: number): Definition {
    let definition = this.#byStart.get(start);
    if (definition === undefined) {
      const tokens = this.#tokens;
      definition = { name, words: () => wordsOf(tokens.slice(start, end)) };
      this.#byStart.set(start, definition);
      const known = this.#definitions.get(name);
      if (known === undefined) this.#definitions.set(name, [definition]);
      else known.push(definition);
    }
    return definition;
  }

  /** Notes what is defined, or assigned, at a name. */
  #define(index: number): void {
    this.#declaration(index);
    if (this.#declared.has(index)) return;
    if (this.#is(index + 1, "=", ":")) {
      this.#literal(index + 2, this.#tokens[index]!.text);
    }
    if (this.#isAssigned(index)) this.#assigned.add(this.#tokens[index]!.text);
  }

  /** `f =`, `f +=`, `f ??=`, `f++`, `++f`. */
  #isAssigned(index: number): boolean {
    if (this.#is(index + 1, "=")) return true;
    const text = this.#tokens[index + 1]?.text ?? "";
    if (/^[-+]$/.test(text) && this.#is(index + 2, text)) return true;
    if (/^[-+*/%&|^?<>]$/.test(text)) {
      let i = index + 2;
      while (this.#is(i, text)) i++;
      if (this.#is(i, "=")) return true;
    }
    return this.#is(index - 1, "+", "-") && this.#is(index - 2, "+", "-");
  }

  /** `function name() {}` or `class Name {}`; a signature alone is none. */
  #declaration(index: number): Definition | undefined {
    let i = index;
    if (this.#is(i, "async", "abstract")) i++;
    return this.#is(i, "function", "class")
      ? this.#literal(i, undefined)
      : undefined;
  }

  /** Where the body of a function ends; its name has been passed. */
  #bodyEnd(index: number): number | undefined {
    let i = this.#behindTypes(index);
    if (!this.#is(i, "(")) return undefined;
    const { depth } = this.#tokens[i]!;
    i = this.#behind(i);
    if (this.#is(i, "{")) return this.#behind(i);
    if (!this.#is(i, ":")) return undefined;
    i++;
    while (i < this.#tokens.length && this.#tokens[i]!.depth >= depth) {
      if (this.#is(i, ";") || this.#startsLine(i)) return undefined;
      if (this.#is(i, "{") && this.#mayEndBefore(i)) return this.#behind(i);
      i = this.#is(i, "{", "(", "[") ? this.#behind(i) : i + 1;
    }
    return undefined;
  }

  /** Where a class ends; its name has been passed. */
  #classEnd(index: number): number {
    let i = index;
    while (i < this.#tokens.length && !this.#is(i, ";")) {
      // One in `extends Base<{ a: 1 }>` is a type.
      if (this.#is(i, "{") && (i === index || this.#mayEndBefore(i))) break;
      i = this.#is(i, "{", "(", "[") ? this.#behind(i) : i + 1;
    }
    return this.#behind(i);
  }

  /** Where an arrow function ends at the latest. */
  #arrowEnd(index: number): number {
    const depth = this.#tokens[index]?.depth ?? 0;
    let i = index + 1;
    while (
      i < this.#tokens.length && this.#tokens[i]!.depth >= depth &&
      !this.#is(i, ";") &&
      !(this.#tokens[i]!.depth === depth && this.#startsLine(i))
    ) i++;
    return i;
  }

  /**
   * The function or class that is written down at `index`, if there is one.
   *
   * @param called What it is called if it has no name; without it none is noted.
   */
  #literal(
    index: number,
    called: string | undefined,
    brackets = 0,
  ): Definition | undefined {
    const note = (name: string | undefined, start: number, end: number) =>
      name === undefined ? undefined : this.#note(name, start, end);
    let i = index;
    if (this.#is(i, "async") && !this.#is(i + 1, "=>")) i++;
    if (this.#is(i, "function")) {
      let next = i + 1;
      if (this.#is(next, "*")) next++;
      const own = this.#nameAt(next);
      const end = this.#bodyEnd(own === undefined ? next : next + 1);
      return end === undefined ? undefined : note(own ?? called, i, end);
    }
    if (this.#is(i, "class")) {
      const name = this.#nameAt(i + 1);
      const own = name === "extends" || name === "implements"
        ? undefined
        : name;
      const end = this.#classEnd(own === undefined ? i + 1 : i + 2);
      return note(own ?? called, i, end);
    }
    if (this.#nameAt(i) !== undefined && this.#is(i + 1, "=>")) {
      return note(called, i, this.#arrowEnd(i + 1));
    }
    const open = this.#behindTypes(i);
    if (!this.#is(open, "(")) return undefined;
    const next = this.#behind(open);
    if (this.#is(next, "=>", ":")) {
      return note(called, i, this.#arrowEnd(next));
    }
    // `(function () {}) satisfies Handler`: but not what it is called for.
    if (open !== i || brackets === MAX_BRACKETS) return undefined;
    const isUsed = this.#is(next, "(", ".", "[", "?", "`") &&
      !this.#tokens[next]!.isFirst;
    const inside = this.#tokens.slice(i + 1, next - 1);
    const isList = inside.some(({ kind, text, depth }) =>
      kind === "punctuator" && text === "," && depth === inside[0]!.depth
    );
    return isUsed || isList
      ? undefined
      : this.#literal(i + 1, called, brackets + 1);
  }

  // ---- Variables ----

  /** `const a = 1, { b, c: d } = x`: what is declared at `index`. */
  #variables(index: number): Variable[] {
    const found: Variable[] = [];
    if (
      !this.#is(index, "const", "let", "var") || this.#is(index + 1, "enum")
    ) {
      return found;
    }
    const { depth } = this.#tokens[index]!;
    let i = index + 1;
    while (true) {
      const name = this.#nameAt(i);
      const isPattern = this.#is(i, "{", "[");
      if (name === undefined && !isPattern) return found;
      const start = this.#valueOf(isPattern ? this.#behind(i) : i + 1, depth);
      if (name === undefined) found.push(...this.#pattern(i));
      else {
        this.#declared.add(i);
        const value = this.#is(start, "=")
          ? this.#literal(start + 1, name)
          : undefined;
        found.push({ name, value });
      }
      const next = this.#nextVariable(start, depth);
      if (next === undefined) return found;
      i = next;
    }
  }

  /** The names in a pattern, and perhaps some of its defaults. */
  #pattern(index: number): Variable[] {
    const found: Variable[] = [];
    const end = this.#behind(index);
    for (let i = index + 1; i < end - 1; i++) {
      const name = this.#nameAt(i);
      if (name === undefined || !this.#is(i + 1, ",", "}", "]", "=")) continue;
      this.#declared.add(i);
      found.push({ name, value: undefined });
    }
    return found;
  }

  /** Behind the type of a variable: at its `=`, or where it ends. */
  #valueOf(index: number, depth: number): number {
    let i = this.#is(index, "!") ? index + 1 : index;
    if (!this.#is(i, ":")) return i;
    i++;
    let open = 0;
    for (; i < this.#tokens.length; i++) {
      const token = this.#tokens[i]!;
      if (token.depth < depth) break;
      if (token.depth > depth) continue;
      if (this.#is(i, "=", ";") || this.#startsLine(i)) break;
      if (this.#is(i, "<")) open++;
      else if (this.#is(i, ">")) open--;
      else if (this.#is(i, ",") && open <= 0) break;
    }
    return i;
  }

  /** Where the next variable of a declaration stands, if there is one. */
  #nextVariable(index: number, depth: number): number | undefined {
    const hasValue = this.#is(index, "=");
    for (let i = index; i < this.#tokens.length; i++) {
      const token = this.#tokens[i]!;
      if (token.depth < depth) return undefined;
      if (token.depth > depth) continue;
      if (this.#is(i, ";") || this.#startsLine(i)) return undefined;
      if (!this.#is(i, ",")) continue;
      // A comma may also stand between types: `new Map<string, number>()`.
      if (!hasValue || this.#is(i + 1, "{", "[")) return i + 1;
      if (
        this.#nameAt(i + 1) !== undefined &&
        this.#is(i + 2, "=", ":", "!", ";", ",")
      ) return i + 1;
    }
    return undefined;
  }

  // ---- Imports and exports ----

  /** Gives the last token of the import. */
  #import(index: number): number {
    const names: string[] = [];
    let i = index + 1;
    while (i < this.#tokens.length && this.#tokens[i]!.kind !== "string") {
      const name = this.#nameAt(i);
      if (name !== undefined) names.push(name);
      i++;
    }
    const isType = this.#is(index + 1, "type") && !this.#is(index + 2, "from");
    if (!isType && this.#tokens[i] !== undefined) {
      this.#imports.push({ specifier: this.#tokens[i]!.text, names });
    }
    return i;
  }

  #export(index: number): void {
    if (this.#is(index + 1, "default")) return this.#exportDefault(index + 2);
    if (this.#is(index + 1, "{")) return this.#exportList(index + 1);
    const declared = this.#declaration(index + 1);
    if (declared !== undefined) {
      this.#exports.set(declared.name, declared.name);
    }
    for (const { name } of this.#variables(index + 1)) {
      this.#exports.set(name, name);
    }
  }

  #exportDefault(index: number): void {
    const value = this.#literal(index, "default");
    if (value !== undefined) {
      this.#exports.set("default", value.name);
      this.#inPlace.set(value.name, value);
      return;
    }
    const name = this.#nameAt(index);
    const next = this.#tokens[index + 1];
    const isName = name !== undefined &&
      (next === undefined || next.text === ";" || next.kind === "name");
    this.#exports.set("default", isName ? name : "default");
  }

  #exportList(index: number): void {
    const end = this.#behind(index);
    if (this.#is(end, "from")) return;
    for (let i = index + 1; i < end - 1; i++) {
      const local = this.#nameAt(i);
      if (local === undefined) continue;
      if (this.#is(i + 1, "as")) {
        const exported = this.#tokens[i + 2];
        if (exported !== undefined) this.#exports.set(exported.text, local);
        i += 2;
      } else this.#exports.set(local, local);
    }
  }
}
