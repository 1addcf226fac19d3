// Copyright 2026 the multitask authors. MIT license.

import { assert, assertEquals, assertFalse } from "@std/assert";
import {
  fitsDefinition,
  relativeImportIn,
  scanModule,
} from "../../ipc/_module_scan.ts";
import { seeded } from "./_random.ts";

function exportsOf(text: string): Record<string, string> {
  return Object.fromEntries(scanModule(text).exports);
}

function inPlace(text: string): string[] {
  return [...scanModule(text).inPlace.keys()].sort();
}

/** How often a name is given to a function. */
function count(text: string, name: string): number {
  return scanModule(text).definitions.get(name)?.length ?? 0;
}

Deno.test("scanModule() reads an empty module", () => {
  for (const text of ["", " \n\t", "// nothing", "#!/usr/bin/env deno"]) {
    const outline = scanModule(text);
    assertEquals(outline.exports.size, 0);
    assertEquals(outline.inPlace.size, 0);
    assertEquals(outline.definitions.size, 0);
    assertEquals(outline.imports, []);
  }
});

Deno.test("scanModule() finds exported functions and classes", () => {
  const text = `
    export function a() {}
    export async function b(x: number): Promise<void> {}
    export function* c() {}
    export async function* d<T>(x: T) {}
    export class E extends F { m() {} }
    export abstract class G {}
  `;
  assertEquals(exportsOf(text), {
    a: "a",
    b: "b",
    c: "c",
    d: "d",
    E: "E",
    G: "G",
  });
  assertEquals(inPlace(text), ["E", "G", "a", "b", "c", "d"]);
});

Deno.test("scanModule() finds exported function literals", () => {
  const text = `
    export const a = () => {};
    export const b = async (x: number): Promise<number> => { return x; };
    export const c = function () {};
    export const d = async function* named() {};
    export const e = x => x;
    export const f: (a: number) => number = (a) => a;
    export const g = class {};
    export const h = async x => x;
  `;
  const names = ["a", "b", "c", "d", "e", "f", "g", "h"];
  assertEquals(Object.keys(exportsOf(text)), names);
  assertEquals(inPlace(text), names);
});

Deno.test("scanModule() does not take values for functions in place", () => {
  const text = `
    export const a = make(2);
    export const b = other;
    export const c = { m() {} };
    export const d = [() => {}];
    export const e = 1 + 2;
    export const f = (1 + 2) * 3;
    export const g = cond ? () => 1 : () => 2;
    export const h = wrap(function h() {});
    export const i = (() => () => {})();
    export const j = (function () {}).bind(null);
    export const k = (x => x, other);
    export const { l, m: n, o = () => {}, ...p } = make();
    export const [q, { r }] = make();
  `;
  assertEquals(
    Object.keys(exportsOf(text)).sort(),
    "a b c d e f g h i j k l n o p q r".split(" "),
  );
  assertEquals(inPlace(text), []);
});

Deno.test("scanModule() finds lists of exports, also under other names", () => {
  const text = `
    function a() {}
    const b = () => 1;
    class C {}
    let d = () => 2;
    export { a, b as bee, C as default, d as "a name" };
    export { x, y as z } from "./other.ts";
    export * from "./more.ts";
    export * as ns from "./ns.ts";
  `;
  const exports = exportsOf(text);
  assertEquals(exports, { a: "a", bee: "b", default: "C", "a name": "d" });
  assertEquals(inPlace(text), ["C", "a", "b", "d"]);
});

Deno.test("scanModule() finds the default export", () => {
  const cases: [string, string, boolean][] = [
    ["export default function named() {}", "named", true],
    ["export default function () {}", "default", true],
    ["export default async function named() {}", "named", true],
    ["export default async function* () {}", "default", true],
    ["export default class Named {}", "Named", true],
    ["export default class {}", "default", true],
    ["export default class extends Base {}", "default", true],
    ["export default () => {};", "default", true],
    ["export default async (a) => a;", "default", true],
    ["export default x => x", "default", true],
    ["const f = () => 1; export default f;", "f", true],
    ["function f() {}\nexport default f", "f", true],
    ["export default f;\nfunction f() {}", "f", true],
    ["export default make(1);", "default", false],
    ["export default a.b;", "default", false],
    ["export default 42;", "default", false],
    ["export default { a: 1 };", "default", false],
  ];
  for (const [text, local, isInPlace] of cases) {
    const outline = scanModule(text);
    assertEquals(outline.exports.get("default"), local, text);
    assertEquals(outline.inPlace.has(local), isInPlace, text);
  }
});

Deno.test("scanModule() leaves types out of what runs", () => {
  const text = `
    export type A = { f: () => void };
    export interface B { g(): void }
    type C = (x: number) => string;
    export function real(): A | undefined { return undefined; }
  `;
  assertEquals(inPlace(text), ["real"]);
  assertEquals(scanModule(text).exports.get("real"), "real");
});

Deno.test("scanModule() leaves what is not at the top level out", () => {
  const text = `
    function outer() {
      function nested() {}
      const arrow = () => 1;
      class Local {}
    }
    { function block() {} }
    if (x) { function conditional() {} }
    const o = { method() { function deep() {} } };
    export const make = () => function inner() {};
  `;
  assertEquals(inPlace(text), ["make", "outer"]);
});

Deno.test("scanModule() counts the definitions of a name at any depth", () => {
  const text = `
    export function f() {}
    function g() { function f() {} }
    const h = { f: () => 1, g: 2 };
    let i = () => {};
    i = function () {};
    const once = () => {};
    once();
  `;
  for (const [name, times] of [["f", 3], ["i", 2], ["once", 1], ["g", 1]]) {
    assertEquals(count(text, name as string), times, name as string);
  }
  assertEquals(count(text, "x"), 0);
});

Deno.test("scanModule() does not count signatures without a body", () => {
  const text = `
    export function f(x: number): void;
    export function f(x: string): { a: () => void }
    export function f<T extends { a: 1 }>(x: T): asserts x is { a: 1 };
    export function f(x: unknown): { a: number } | undefined { return x }
    export async function g(): Promise<{ a: number }>
    export async function g(x?: string): Promise<{ a: number }> { return x }
    export default function h(x: string): void;
    export default function h(x) {}
    declare function i(): void;
    export declare function j(): { a: 1 };
  `;
  assertEquals(exportsOf(text), { f: "f", g: "g", default: "h" });
  assertEquals(inPlace(text), ["f", "g", "h"]);
  for (const name of ["f", "g", "h"]) assertEquals(count(text, name), 1, name);
  for (const name of ["i", "j"]) assertEquals(count(text, name), 0, name);
});

Deno.test("scanModule() finds function literals in every dress", () => {
  const text = `
    export const a = <T,>(x: T): T => x;
    export const b = async <T extends Map<string, T[]>>(x: T) => x;
    export const c = ((x: number) => x);
    export const d = (x => x) satisfies (x: number) => number;
    export const e = (function () {}) as unknown as () => void;
    export const f = function named() {};
    export const g = ((((async () => {}))));
    export const h: Map<string, () => void> = (x) => x;
    export let i = () => {};
    export var j: Fn = function () {};
    export const k = () => 1, l = (x: number) => x, m = 2, n = x => x
    export const o: Map<string, number> = new Map<string, number>(),
      p = class Named {};
    export default ((x) => x);
  `;
  assertEquals(
    inPlace(text),
    "a b c d default e f g h i j k l n p".split(" "),
  );
  assertEquals(
    Object.keys(exportsOf(text)).sort(),
    "a b c d default e f g h i j k l m n o p".split(" "),
  );
  const { inPlace: found } = scanModule(text);
  assertEquals(found.get("f")?.name, "named");
  assertEquals(found.get("p")?.name, "Named");
  assertEquals(found.get("h")?.name, "h");
  for (const name of ["a", "h", "j", "k", "n"]) {
    assertEquals(count(text, name), 1, name);
  }
  assertEquals(count(text, "f"), 0);
});

Deno.test("scanModule() leaves variables out that are assigned to later", () => {
  const text = `
    export let a = () => {}, b = () => {}, c = () => {}, d = () => {};
    export let e = () => {};
    a = wrap(a);
    function change() { b ??= 1; c += 1; d++; }
    if (a === e) call({ e }, o.e == 1);
  `;
  assertEquals(inPlace(text), ["change", "e"]);
  assertEquals(Object.keys(exportsOf(text)).length, 5);
});

Deno.test("scanModule() needs no semicolons", () => {
  const text = `
    const a = 1
    function b() {}
    export const c = (x) => x
    const d = c
    class E {}
    export { b, d, E }
  `;
  assertEquals(inPlace(text), ["E", "b", "c"]);
});

Deno.test("fitsDefinition() tells definitions apart by their words", () => {
  const text = `
    export function task(x: number): string {
      return format(x, { style: "long" });
    }
    export interface Options { task: (x: number, format: string) => void }
    const other = { task: (x: number) => format(x, { style: "short" }) };
  `;
  const [first, second, third] = scanModule(text).definitions.get("task")!;
  const source = 'function task(x) {\n return format(x, {style: "long"});\n}';
  assert(fitsDefinition(source, first!));
  assertFalse(fitsDefinition(source, second!));
  assertFalse(fitsDefinition(source, third!));
  assert(fitsDefinition('(x)=>format(x, {style: "short"})', third!));
  assert(fitsDefinition(
    "(x)=>x * 2",
    scanModule("const f = (x: T) => x * 2")
      .definitions.get("f")![0]!,
  ));
});

Deno.test("relativeImportIn() finds what stands beside the module", () => {
  const cases: [string, string | undefined][] = [
    ['async () => await import("./a.ts")', "./a.ts"],
    ["async () => await import ( '../a.ts' )", "../a.ts"],
    ['() => import("/a.ts").then((a) => a)', "/a.ts"],
    ['() => import("node:fs")', undefined],
    ['() => import("npm:a/b")', undefined],
    ['() => "import(\\"./a.ts\\")" // import("./a.ts")', undefined],
    ['(a) => a.import("./a.ts")', undefined],
    ["(a) => import(a)", undefined],
    ['() => important("./a.ts")', undefined],
  ];
  for (const [source, path] of cases) {
    assertEquals(relativeImportIn(source), path, source);
  }
});

Deno.test("scanModule() finds what is imported, without types", () => {
  const text = `
    import "./side.ts";
    import one from "./one.ts";
    import { two, three as drei } from './two.ts';
    import four, * as five from "./four.ts";
    import type { Six } from "./types.ts";
    import type Seven from "./types.ts";
    import { type Eight, nine } from "./nine.ts";
    import type from "./type.ts";
    import data from "./data.json" with { type: "json" };
    const later = await import("./later.ts");
    const here = import.meta.url;
  `;
  const { imports } = scanModule(text);
  assertEquals(imports.map(({ specifier }) => specifier), [
    "./side.ts",
    "./one.ts",
    "./two.ts",
    "./four.ts",
    "./nine.ts",
    "./type.ts",
    "./data.json",
  ]);
  assert(imports[1]!.names.includes("one"));
  assert(imports[2]!.names.includes("drei"));
  assert(imports[3]!.names.includes("five"));
  assert(imports[4]!.names.includes("nine"));
});

Deno.test("scanModule() is not misled by comments and texts", () => {
  const text = [
    "// export function a() {}",
    "/* export function b() {} { */",
    "const s = 'export function c() {} {';",
    'const t = "a \\" { export function d() {}";',
    "const u = `export function e() {} { ${ `${1}{` } `;",
    "const v = /export function g() {} [{/]\\/{/;",
    "const w = 1 / 2; const x = 3 / 4;",
    "const y = `${ { a: { b: `}` } }.a.b }`;",
    "export function real() { return `}`; }",
    "export const also = () => '}';",
  ].join("\n");
  assertEquals(exportsOf(text), { real: "real", also: "also" });
  assertEquals(inPlace(text), ["also", "real"]);
});

Deno.test("scanModule() tells a regular expression from a division", () => {
  const texts = [
    "const a = b / c; function f() {} const d = e / g;",
    "const a = (b) / c; function f() {}",
    "const a = [1][0] / 2; function f() { return /[/}]/.test(x) }",
    "const a = x.replace(/{/g, ''); function f() {}",
    "const a = !/}/.test(b); function f() {}",
    "function g() { return /}/ } function f() {}",
    "const a = 1 /2/ 3; function f() {}",
  ];
  for (const text of texts) {
    assert(scanModule(text).inPlace.has("f"), text);
    assertEquals(count(text, "f"), 1, text);
  }
});

Deno.test("scanModule() reads names of any script", () => {
  const text = "export function größe() {} export const $_ = () => 1;" +
    "export function \u{20BB7}() {} export const été = (a) => a;";
  assertEquals(
    inPlace(text).sort(),
    ["$_", "größe", "été", "\u{20BB7}"].sort(),
  );
});

Deno.test("scanModule() does not take a function in an expression for one in place", () => {
  const text = `
    const a = [
      1
    ]
    const b = x =>
    function f() {}
    export { f };
  `;
  assertFalse(scanModule(text).inPlace.has("f"));
});

Deno.test("scanModule() skips the first line of a script", () => {
  const text = "#!/usr/bin/env -S deno run 'it`s {\nexport function f() {}";
  assertEquals(inPlace(text), ["f"]);
});

Deno.test("scanModule() reads its own source", async () => {
  const url = new URL("../../ipc/_module_scan.ts", import.meta.url);
  const outline = scanModule(await Deno.readTextFile(url));
  assertEquals(Object.fromEntries(outline.exports), {
    fitsDefinition: "fitsDefinition",
    relativeImportIn: "relativeImportIn",
    scanModule: "scanModule",
  });
});

Deno.test("scanModule() ends on any text, however broken", async () => {
  const parts = "export function class const let async default import from as {"
    .split(" ");
  parts.push("}", "(", ")", "[", "]", "`", "${", '"', "'", "/", "//", "/*");
  parts.push("*/", "\\", "\n", " ", "a", "b", "=", "=>", ":", ";", ",", "*");
  parts.push("1", "#", "é", "😀", "\uD800", "#!", "type", "/[", "]/");
  await seeded((random) => {
    for (let round = 0; round < 3000; round++) {
      const count = random.below(60);
      let text = "";
      for (let i = 0; i < count; i++) {
        text += random.pick(parts) + (random.oneIn(2) ? " " : "");
      }
      scanModule(text);
    }
  });
});

Deno.test("scanModule() ends soon on long text", () => {
  for (const part of ["(", ")", "{", "`${", "a = (", "/", "'", "x => ", "é"]) {
    scanModule(part.repeat(3000));
  }
});
